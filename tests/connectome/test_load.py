"""Connectome.load and save: every format gives back the same numbers, and no file can do harm."""

import bz2
import pickle
import tempfile
import zipfile
from pathlib import Path

import brainunit as u
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays import ArgumentError
from brainmass_delays.connectome import Connectome

WEIGHTS = np.array([[0.0, 0.25, 0.0], [1.5, 0.0, 1e-7], [0.0, 3.0, 0.0]])
LENGTHS = np.array([[0.0, 31.5, 8.0], [30.25, 0.0, 77.0], [8.0, 76.0, 0.0]])
CENTRES = np.array([[-10.0, 2.5, 3.0], [10.0, -2.5, 1e-3], [0.0, 0.0, 40.0]])
LABELS = ("lV1", "rV1", "CC")


def rows(matrix, separator=" "):
    """Return a matrix as text that keeps every digit."""
    return "\n".join(separator.join(map(repr, map(float, row))) for row in matrix) + "\n"


def centres_text():
    """Return labels and positions as The Virtual Brain writes them."""
    return "".join(f"{label} {x} {y} {z} \n" for label, (x, y, z) in zip(LABELS, CENTRES, strict=True))


def assert_same(c, labels=LABELS, centres=True):
    """Check every field against the originals, to the last bit."""
    np.testing.assert_array_equal(c.weights, WEIGHTS)
    np.testing.assert_array_equal(c.lengths.to_decimal(u.mm), LENGTHS)
    assert c.labels == labels
    if centres:
        np.testing.assert_array_equal(c.centres.to_decimal(u.mm), CENTRES)
    else:
        assert c.centres is None


@pytest.mark.parametrize("centres", [None, CENTRES])
def test_saved_and_loaded_is_the_same(tmp_path, centres):
    Connectome(WEIGHTS, LENGTHS, LABELS, centres).save(tmp_path / "c.npz")
    assert_same(Connectome.load(tmp_path / "c.npz"), centres=centres is not None)


def test_npz_keeps_precision_sign_and_missing_lengths(tmp_path):
    lengths = np.where(WEIGHTS != 0, LENGTHS, np.nan).astype(np.float32)
    Connectome(-WEIGHTS.astype(np.float32), lengths, signed=True).save(tmp_path / "c.npz")
    c = Connectome.load(tmp_path / "c.npz")
    assert c.signed and c.weights.dtype == np.float32
    np.testing.assert_array_equal(c.lengths.mantissa, lengths)


def tvb_files(suffix=""):
    """Return the text files of The Virtual Brain by name."""
    texts = {
        "weights.txt": rows(WEIGHTS, "   "),
        "tract_lengths.txt": rows(LENGTHS, "\t"),
        "centres.txt": centres_text(),
        "info.txt": 'weights_unit = "au"',
        "cortical.txt": "1\n1\n0\n",
    }
    if suffix == ".bz2":
        return {name + suffix: bz2.compress(text.encode()) for name, text in texts.items()}
    return {name: text.encode() for name, text in texts.items()}


def write_zip(path, files):
    """Write a zip of named contents."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("suffix", ["", ".bz2"])
@pytest.mark.parametrize("folder", ["", "connectivity_3/", "a/b/"])
def test_tvb_zip(tmp_path, folder, suffix):
    files = {folder + name: content for name, content in tvb_files(suffix).items()}
    files["__MACOSX/._weights.txt"] = b"\0\1"
    assert_same(Connectome.load(write_zip(tmp_path / "tvb.zip", files)))


def test_tvb_folder(tmp_path):
    for name, content in tvb_files().items():
        (tmp_path / name).write_bytes(content)
    assert_same(Connectome.load(tmp_path))


def test_tvb_zip_without_centres_or_labels(tmp_path):
    files = tvb_files()
    del files["centres.txt"]
    c = Connectome.load(write_zip(tmp_path / "a.zip", files))
    assert_same(c, labels=("0", "1", "2"), centres=False)
    files["centers.txt"] = rows(CENTRES).encode()
    assert_same(Connectome.load(write_zip(tmp_path / "b.zip", files)), labels=("0", "1", "2"))


@pytest.mark.parametrize(
    "separator, suffix", [(",", ".csv"), (";", ".csv"), ("\t", ".tsv"), (" ", ".txt"), (", ", ".txt")]
)
def test_pair_of_text_files(tmp_path, separator, suffix):
    weights, lengths = tmp_path / f"w{suffix}", tmp_path / f"l{suffix}"
    weights.write_text(rows(WEIGHTS, separator))
    lengths.write_text("# mm\n\n" + rows(LENGTHS, separator))
    assert_same(Connectome.load(weights, lengths), labels=("0", "1", "2"), centres=False)


@pytest.mark.parametrize(
    "header, names",
    [
        (",lV1,rV1,CC\n", ["lV1,", "rV1,", "CC,"]),
        ("region,lV1,rV1,CC\n", ["lV1,", "rV1,", "CC,"]),
        ('"lV1","rV1","CC"\n', ["", "", ""]),
        ("", ["lV1,", '"rV1",', "CC,"]),
    ],
)
def test_names_in_the_first_row_or_column_become_labels(tmp_path, header, names):
    text = header + "".join(
        name + row + "\n" for name, row in zip(names, rows(WEIGHTS, ",").split(), strict=True)
    )
    (tmp_path / "w.csv").write_text("\ufeff" + text, encoding="utf-8")
    (tmp_path / "l.csv").write_text(rows(LENGTHS, ","))
    assert_same(Connectome.load(tmp_path / "w.csv", tmp_path / "l.csv"), centres=False)


def test_a_spreadsheet_with_a_counting_index_is_read(tmp_path):
    text = ",0,1,2\n" + "".join(f"{i},{row}\n" for i, row in enumerate(rows(WEIGHTS, ",").split()))
    (tmp_path / "w.csv").write_text(text)
    (tmp_path / "l.csv").write_text(rows(LENGTHS, ","))
    assert_same(
        Connectome.load(tmp_path / "w.csv", tmp_path / "l.csv"), labels=("0", "1", "2"), centres=False
    )


@pytest.mark.parametrize(
    "names", [("weights", "tract_lengths"), ("sc", "len"), ("C", "D"), ("SC", "distances")]
)
def test_mat_with_both_matrices(tmp_path, names):
    path = tmp_path / "c.mat"
    labels = np.array(LABELS, dtype=object)
    scipy.io.savemat(
        path, {names[0]: WEIGHTS, names[1]: LENGTHS, "labels": labels, "centres": CENTRES, "x": 1}
    )
    assert_same(Connectome.load(path))
    scipy.io.savemat(
        path, {names[0]: scipy.sparse.csc_array(WEIGHTS), names[1]: LENGTHS, "names": list(LABELS)}
    )
    assert_same(Connectome.load(path), centres=False)


def test_pairs_may_mix_formats_and_lone_variables_need_no_name(tmp_path):
    scipy.io.savemat(tmp_path / "w.mat", {"anything": WEIGHTS})
    np.save(tmp_path / "l.npy", LENGTHS)
    assert_same(
        Connectome.load(tmp_path / "w.mat", tmp_path / "l.npy"), labels=("0", "1", "2"), centres=False
    )


def test_transpose_reads_source_target_files(tmp_path):
    np.savez(tmp_path / "c.npz", weights=WEIGHTS.T, lengths=LENGTHS.T, labels=np.array(LABELS))
    assert_same(Connectome.load(tmp_path / "c.npz", transpose=True), centres=False)


class Bomb:
    """Touch a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".mat", ".zip", ".csv", ".txt"])
def test_a_pickle_is_never_run(tmp_path, suffix):
    trap, path = tmp_path / "sprung", tmp_path / f"evil{suffix}"
    path.write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ArgumentError, match=f"evil{suffix}"):
        Connectome.load(path)
    assert not trap.exists()


@given(
    suffix=st.sampled_from([".npz", ".npy", ".mat", ".zip", ".csv", ".txt"]),
    head=st.sampled_from(
        [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM", b"0 1\n"]
    ),
    tail=st.binary(max_size=200),
)
@settings(max_examples=150, deadline=None)
def test_random_bytes_end_in_a_message_that_names_the_file(suffix, head, tail):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"random{suffix}")
        path.write_bytes(head + tail)
        with pytest.raises(ArgumentError, match=f"Connectome.load: .*random{suffix}"):
            Connectome.load(path)


def test_pickled_objects_inside_an_npz_are_never_run(tmp_path):
    trap, path = tmp_path / "sprung", tmp_path / "evil.npz"
    np.savez(path, weights=WEIGHTS, lengths=LENGTHS, labels=np.array([Bomb(trap)] * 3, dtype=object))
    with pytest.raises(
        ArgumentError,
        match=r"evil\.npz must be a readable \.npz file.*pickled objects, which are never loaded",
    ):
        Connectome.load(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "name", ["../weights.txt", "/etc/weights.txt", "a/../../weights.txt", "..\\weights.txt"]
)
def test_a_zip_that_points_outside_is_refused(tmp_path, name):
    path = write_zip(tmp_path / "evil.zip", {**tvb_files(), name: b"0"})
    with pytest.raises(ArgumentError, match=r"evil\.zip must not point outside itself; got"):
        Connectome.load(path)


@pytest.mark.parametrize("kind", ["zip", "bz2", "npz", "mat", "txt"])
def test_what_takes_too_much_is_refused(tmp_path, kind):
    zeros = np.zeros((100, 100))
    if kind == "npz":
        np.savez_compressed(tmp_path / "big.npz", weights=zeros, lengths=zeros)
    elif kind == "mat":
        scipy.io.savemat(tmp_path / "big.mat", {"weights": zeros, "lengths": zeros}, do_compression=True)
    elif kind == "txt":
        np.savetxt(tmp_path / "big.txt", zeros)
    else:
        content = b"0 " * 10_000
        name = "weights.txt" + (".bz2" if kind == "bz2" else "")
        write_zip(tmp_path / f"big.{kind}", {name: bz2.compress(content) if kind == "bz2" else content})
        if kind == "bz2":
            (tmp_path / "big.bz2").rename(tmp_path / "big.zip")
    (path,) = tmp_path.iterdir()
    with pytest.raises(ArgumentError, match=r"max_memory: must be at least|must hold at most|longer than"):
        Connectome.load(path, max_memory=10_000)
