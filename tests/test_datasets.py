"""Recordings: orientation, averages and messages on data made here; the real ones where there is a network."""

import io

import brainunit as u
import numpy as np
import pytest
import scipy.io

from brainmass_delays import ArgumentError, Connectome, datasets

RNG = np.random.default_rng(0)
SERIES = {
    who: RNG.normal(size=(3, 40)).cumsum(axis=1) for who in ("s2", "s1")
}  # regions first, as distributed


@pytest.fixture
def made_here(monkeypatch):
    """Serve two subjects with three regions."""
    files = {}
    for who, series in SERIES.items():
        stream = io.BytesIO()
        scipy.io.savemat(stream, {"tc": series})
        files[who] = stream.getvalue()
    monkeypatch.setattr(datasets, "verified_files", lambda name, dataset: files)
    connectome = Connectome(np.ones((3, 3)) - np.eye(3), 10 * np.ones((3, 3)), labels=["a", "b", "c"])
    monkeypatch.setattr(Connectome, "fetch", lambda name, subject: connectome)


def test_one_subject(made_here):
    r = datasets.fetch("hcp", subject="s1")
    np.testing.assert_array_equal(r.bold, SERIES["s1"].T)
    np.testing.assert_allclose(r.fc, np.corrcoef(SERIES["s1"]))
    assert r.tr == 0.72 * u.second and r.labels == ("a", "b", "c") and r.subjects == ("s1", "s2")
    assert repr(r) == "Recording('hcp', subject s1, 3 regions, 40 samples, TR 720. ms)"


def test_the_average_is_taken_of_fisher_z_and_says_so(made_here):
    r = datasets.fetch("gw")
    expected = np.tanh(np.mean([np.arctanh(np.corrcoef(s)[0, 2]) for s in SERIES.values()]))
    np.testing.assert_allclose(r.fc[0, 2], expected)
    np.testing.assert_array_equal(r.fc, r.fc.T)
    np.testing.assert_array_equal(np.diag(r.fc), 1)
    assert r.bold is None and r.tr is None and "Fisher z" in r.how and "average of 2 subjects" in repr(r)


def test_unknown_names_are_refused(made_here):
    with pytest.raises(
        ArgumentError, match=r"datasets.fetch.name: must be one of 'hcp', 'gw'; got 'hpc'. Did you mean"
    ):
        datasets.fetch("hpc")
    with pytest.raises(ArgumentError, match=r"datasets.fetch.subject: must be one of 's1', 's2'; got 's3'"):
        datasets.fetch("hcp", subject="s3")
    with pytest.raises(ArgumentError, match=r"datasets.subjects.name: must be one of"):
        datasets.subjects("tvb76")


@pytest.mark.slow
def test_real_recordings():
    try:
        recordings = [datasets.fetch("hcp", subject=who) for who in datasets.subjects("hcp")]
        gw = datasets.fetch("gw", subject=datasets.subjects("gw")[0])
    except ConnectionError as error:
        pytest.skip(str(error).splitlines()[0])
    pairs = np.triu_indices(94, k=1)
    between = np.corrcoef([r.fc[pairs] for r in recordings])[np.triu_indices(7, k=1)]
    with_structure = [np.corrcoef(r.fc[pairs], r.connectome.weights[pairs])[0, 1] for r in recordings]
    assert {r.bold.shape for r in recordings} == {(1200, 94)} and gw.bold.shape == (355, 94)
    np.testing.assert_allclose([between.mean(), between.min()], [0.71, 0.61], atol=0.005)
    np.testing.assert_allclose([min(with_structure), max(with_structure)], [0.24, 0.31], atol=0.005)
