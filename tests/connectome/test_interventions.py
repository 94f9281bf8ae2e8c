"""Lesions, resections and scalings: what changes, what stays, what is on record."""

import brainunit as u
import numpy as np
import pytest

from brainmass_delays import ArgumentError, HopfStep, Network, Simulator, sweep
from brainmass_delays.connectome import Connectome

HEALTHY = Connectome.synthetic(8)
LABELS = HEALTHY.labels


def concerned(regions):
    mask = np.zeros((8, 8), bool)
    mask[regions], mask[:, regions] = True, True
    return mask


def test_a_lesion_of_regions_weakens_and_slows_all_their_connections():
    lesioned = HEALTHY.lesion([LABELS[1], 4], weight=0.25, speed_factor=0.5)
    mask, edges = concerned([1, 4]), HEALTHY.weights != 0
    np.testing.assert_array_equal(lesioned.weights, np.where(mask, 0.25, 1.0) * HEALTHY.weights)
    ratio = (lesioned.delays(3.0) / HEALTHY.delays(3.0))[edges & ~np.eye(8, dtype=bool)]
    np.testing.assert_allclose(np.asarray(ratio), np.where(mask, 2.0, 1.0)[edges & ~np.eye(8, dtype=bool)])
    assert lesioned.changes[0].regions == (LABELS[1], LABELS[4])
    assert HEALTHY.changes == ()


def test_a_lesion_of_edges_changes_only_them():
    target, source = map(int, np.argwhere(HEALTHY.weights != 0)[3])
    cut = HEALTHY.lesion(edges=[(target, LABELS[source])])
    assert cut.weights[target, source] == 0
    assert np.count_nonzero(cut.weights != HEALTHY.weights) == 1
    assert cut.changes[0].edges == ((LABELS[target], LABELS[source]),)


def test_one_region_needs_no_list():
    np.testing.assert_array_equal(HEALTHY.resect(LABELS[3]).weights, HEALTHY.resect([3]).weights)
    np.testing.assert_array_equal(HEALTHY.lesion(np.int64(3)).weights, HEALTHY.resect(3).weights)


def test_changes_add_up_and_survive_other_operations():
    changed = HEALTHY.resect([2]).rescale(weights=2.0, lengths=np.full(8, 1.5)).normalize("max")
    assert [c.what for c in changed.changes] == ["resect", "rescale"]
    assert not changed.weights[2].any() and not changed.weights[:, 2].any()
    np.testing.assert_allclose(changed.lengths.mantissa, 1.5 * HEALTHY.lengths.mantissa)


def test_rescaling_keeps_the_precision():
    c = Connectome(np.float32([[0, 1], [1, 0]]), np.float32([[0, 9], [9, 0]]))
    assert c.rescale(weights=2.0, lengths=[[1.0], [3.0]]).weights.dtype == np.float32


def test_resections_are_swept_in_one_program():
    traces = []

    def predict(weights):
        traces.append(1)
        net = Network(HopfStep(8, a=-0.1, init_x=0.1), conn=weights, lengths=HEALTHY.lengths, speed=5.0,
                      coupled_var="x", coupling="additive", k=0.05, max_delay=100 * u.ms)  # fmt: skip
        return Simulator(net, dt=0.5 * u.ms).run(5 * u.ms, monitors=["x"])["x"][-1]

    found = sweep(predict, {"weights": HEALTHY.resections()}, batch=8).results
    n_traces = len(traces)
    for i in (0, 5):
        np.testing.assert_allclose(found[i], predict(HEALTHY.resect([i]).weights), rtol=1e-12)
    assert n_traces <= 2, "one for shapes, one for the program"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: HEALTHY.lesion(), "Connectome.lesion: needs at least one region or connection"),
        (lambda: HEALTHY.lesion(["nowhere"]), "Connectome.lesion.regions: must be one of"),
        (
            lambda: HEALTHY.resect([99]),
            "Connectome.resect.regions: must be labels or whole numbers from 0 to 7",
        ),
        (lambda: HEALTHY.resect(np.ones(8, bool)), r"Write numpy.flatnonzero\(mask\)"),
        (lambda: HEALTHY.lesion(edges=[(0, "V9")]), "Connectome.lesion.edges: must be one of"),
        (
            lambda: HEALTHY.lesion([0], weight=-1.0),
            "Connectome.lesion.weight: must be finite and not negative",
        ),
        (
            lambda: HEALTHY.lesion([0], speed_factor=0.0),
            "Connectome.lesion.speed_factor: must be finite and positive; got 0.0. Cut with",
        ),
        (lambda: HEALTHY.lesion(edges=[(0, 0)]), "Connectome.lesion.edges: must name connections that exist"),
        (lambda: HEALTHY.lesion(edges=[3]), "Connectome.lesion.edges: must hold pairs"),
        (lambda: HEALTHY.resect([]), "Connectome.resect: needs at least one"),
        (lambda: HEALTHY.rescale(weights=np.nan), "Connectome.rescale.weights: must be finite"),
        (lambda: HEALTHY.rescale(lengths=0.0), "Connectome.rescale.lengths: must be positive"),
        (
            lambda: HEALTHY.rescale(weights=np.ones(3)),
            r"Connectome.rescale.weights: must broadcast to \(8, 8\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
