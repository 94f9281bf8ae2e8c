"""Every wrong argument of a connectome fails at once, with a message that names it and the cure."""

import re

import brainunit as u
import jax
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from brainmass_delays import ArgumentError
from brainmass_delays.connectome import Connectome
from brainmass_delays.viz.matrices import plot_connectivity, plot_functional_connectivity

W = np.array([[0.0, 1.0], [2.0, 0.0]])
L = np.array([[0.0, 10.0], [20.0, 0.0]])
GOOD = Connectome(W, L, labels=["left", "right"])


def put(matrix, value):
    """Return a copy with the value at target 0, source 1."""
    changed = np.array(matrix)
    changed[0, 1] = value
    return changed


CASES = [
    # name, call, fragment of the message
    (
        "weights not square",
        lambda: Connectome(np.ones((2, 3)), np.ones((2, 3))),
        "Connectome.weights: must be a square matrix [target, source]; got shape (2, 3).",
    ),
    (
        "weights empty",
        lambda: Connectome(np.ones((0, 0)), np.ones((0, 0))),
        "Connectome.weights: must be a square",
    ),
    ("weights a number", lambda: Connectome(3.0, L), "Connectome.weights: must be a square matrix"),
    (
        "weights ragged",
        lambda: Connectome([[0, 1], [1]], L),
        "Connectome.weights: must be an array of numbers",
    ),
    (
        "weights text",
        lambda: Connectome([["a", "b"], ["c", "d"]], L),
        "Connectome.weights: must be real numbers",
    ),
    ("weights complex", lambda: Connectome(W * 1j, L), "must be real numbers; got dtype complex128"),
    (
        "weights sparse",
        lambda: Connectome(scipy.sparse.csr_array(W), L),
        "Connectome.weights: must be a dense array; got csr_array. Pass its .toarray().",
    ),
    (
        "weights NaN",
        lambda: Connectome(put(W, np.nan), L),
        "Connectome.weights: must be finite; got nan at (0, 1). Replace missing connections by 0.",
    ),
    (
        "weights infinite",
        lambda: Connectome(put(W, np.inf), L),
        "Connectome.weights: must be finite; got inf",
    ),
    (
        "weights negative",
        lambda: Connectome(put(W, -1), L),
        "Connectome.weights: must not be negative; got -1.0 at (0, 1), 1 in all. Pass signed=True",
    ),
    (
        "weights with a unit",
        lambda: Connectome(W * u.mm, L),
        "Connectome.weights: must have the dimension of 1; got mm",
    ),
    (
        "weights traced",
        lambda: jax.jit(lambda w: Connectome(w, L))(W),
        "Connectome.weights: must be concrete numbers; got a traced array.",
    ),
    (
        "lengths of another shape",
        lambda: Connectome(W, np.ones((3, 3))),
        "Connectome.lengths: must have the shape of weights, (2, 2); got (3, 3). Load both from one",
    ),
    (
        "lengths NaN on an edge",
        lambda: Connectome(W, put(L, np.nan)),
        "Connectome.lengths: must be finite and not negative where weights are not 0; got nan at (0, 1), 1",
    ),
    ("lengths infinite on an edge", lambda: Connectome(W, put(L, np.inf)), "got inf at (0, 1)"),
    ("lengths negative on an edge", lambda: Connectome(W, put(L, -5)), "got -5.0 at (0, 1)"),
    (
        "lengths in ms",
        lambda: Connectome(W, L * u.ms),
        "Connectome.lengths: must have the dimension of mm; got ms.",
    ),
    (
        "lengths of mixed dimension",
        lambda: Connectome(W, [[0 * u.mm, 1 * u.ms], [1 * u.mm, 0 * u.mm]]),
        "Connectome.lengths: must be an array of numbers of one unit",
    ),
    (
        "lengths partly without unit",
        lambda: Connectome(W, [[0 * u.mm, 1 * u.mm], [1.0, 0.0]]),
        "Connectome.lengths: must be an array of numbers of one unit",
    ),
    ("lengths missing", lambda: Connectome(W, None), "Connectome.lengths: must be a number"),
    (
        "weights with a mask",
        lambda: Connectome(np.ma.masked_equal(W, 0), L),
        "Connectome.weights: must hold every number; got a masked array. Say what stands in the gaps with .filled(0)",
    ),
    (
        "weights of rows with a mask",
        lambda: Connectome(list(np.ma.masked_equal(W, 0)), L),
        "Connectome.weights: must hold every number; got a masked array.",
    ),
    (
        "lengths with a mask and a unit",
        lambda: Connectome(W, np.ma.masked_equal(L, 0) * u.mm),
        "Connectome.lengths: must hold every number; got a masked array.",
    ),
    ("labels bytes", lambda: Connectome(W, L, [b"\xff", b"b"]), "Connectome.labels: must be text or UTF-8"),
    (
        "labels missing",
        lambda: Connectome(W, L, ["a", None]),
        "Connectome.labels: must be strings; got None.",
    ),
    (
        "labels a number",
        lambda: Connectome(W, L, 3),
        "Connectome.labels: must be a sequence of strings; got 3.",
    ),
    (
        "signed a text",
        lambda: Connectome(W, L, signed="False"),
        "Connectome.signed: must be True or False; got 'False'.",
    ),
    ("lengths a text", lambda: Connectome(W, "straight"), "Connectome.lengths: must be one of 'centres'"),
    (
        "labels too few",
        lambda: Connectome(W, L, ["a"]),
        "Connectome.labels: must be one per region, 2; got 1.",
    ),
    (
        "labels one string",
        lambda: Connectome(W, L, "ab"),
        "Connectome.labels: must be a sequence of strings; got 'ab'.",
    ),
    (
        "centres of wrong shape",
        lambda: Connectome(W, L, None, np.ones((2, 2))),
        "Connectome.centres: must have shape (2, 3); got (2, 2).",
    ),
    (
        "centres NaN",
        lambda: Connectome(W, L, None, np.full((2, 3), np.nan)),
        "Connectome.centres: must be finite",
    ),
    (
        "centres in ms",
        lambda: Connectome(W, L, None, np.ones((2, 3)) * u.ms),
        "Connectome.centres: must have the dimension of mm; got ms.",
    ),
    (
        "speed zero",
        lambda: GOOD.delays(0),
        "Connectome.delays.speed: must be positive; got 0.0 mm/ms. Use inf for no delay.",
    ),
    ("speed negative", lambda: GOOD.delays(-4 * u.meter / u.second), "must be positive; got -4.0 mm/ms"),
    ("speed NaN", lambda: GOOD.delays(np.nan), "Connectome.delays.speed: must be positive; got nan mm/ms"),
    (
        "speed a length",
        lambda: GOOD.delays(4 * u.mm),
        "Connectome.delays.speed: must have the dimension of mm / ms; got mm.",
    ),
    ("speed text", lambda: GOOD.delays("fast"), "Connectome.delays.speed: must be a number; got 'fast'."),
    ("speed missing", lambda: GOOD.delays(None), "Connectome.delays.speed: must be a number; got None."),
    (
        "speed of wrong shape",
        lambda: GOOD.delays([1.0, 2.0, 3.0]),
        "Connectome.delays.speed: must be a scalar, one per source, or one per edge (2, 2); got shape (3,).",
    ),
    (
        "speed zero on one edge",
        lambda: GOOD.delays(put(np.ones((2, 2)), 0)),
        "must be positive; got 0.0 mm/ms",
    ),
    (
        "threshold without a rule",
        lambda: GOOD.threshold(),
        "Connectome.threshold: needs either density or weight; got neither.",
    ),
    (
        "threshold with two rules",
        lambda: GOOD.threshold(density=0.5, weight=1),
        "either density or weight; got both.",
    ),
    (
        "threshold density",
        lambda: GOOD.threshold(density=30),
        "Connectome.threshold.density: must be above 0 and at most 1; got 30.",
    ),
    ("threshold density text", lambda: GOOD.threshold(density="10%"), "at most 1; got '10%'."),
    (
        "threshold weight",
        lambda: GOOD.threshold(weight=np.nan),
        "Connectome.threshold.weight: must be finite and not negative",
    ),
    (
        "normalize unknown",
        lambda: GOOD.normalize("rows"),
        "Connectome.normalize.how: must be one of 'row', 'max', 'none'; got 'rows'. Did you mean 'row'?",
    ),
    (
        "select unknown label",
        lambda: GOOD.select(["lefft"]),
        "Connectome.select.regions: must be one of 'left', 'right'; got 'lefft'. Did you mean 'left'?",
    ),
    ("select too high", lambda: GOOD.select([2]), "must be labels or whole numbers from 0 to 1; got 2."),
    (
        "select a mask",
        lambda: GOOD.select([True, False]),
        "must be labels or whole numbers from 0 to 1; got True.",
    ),
    ("select twice", lambda: GOOD.select([0, "left"]), "must name at least one, each only once; got [0, 0]."),
    ("select nothing", lambda: GOOD.select([]), "must name at least one, each only once; got []."),
    (
        "synthetic too small",
        lambda: Connectome.synthetic(1),
        "Connectome.synthetic.n_regions: must be a whole number of at least 2; got 1.",
    ),
    (
        "synthetic half a region",
        lambda: Connectome.synthetic(8.5),
        "must be a whole number of at least 2; got 8.5.",
    ),
    (
        "synthetic seed",
        lambda: Connectome.synthetic(8, seed=-1),
        "Connectome.synthetic.seed: must be a whole number of at least 0; got -1.",
    ),
    (
        "synthetic density",
        lambda: Connectome.synthetic(8, density=0),
        "Connectome.synthetic.density: must be above 0 and at most 1; got 0.",
    ),
    (
        "fetch unknown",
        lambda: Connectome.fetch("hpc"),
        "Connectome.fetch.name: must be one of 'hcp', 'gw', 'tvb76'; got 'hpc'. Did you mean 'hcp'?",
    ),
    ("save without suffix", lambda: GOOD.save("mine"), "Connectome.save.path: must end in .npz; got 'mine'."),
    (
        "plot a vector",
        lambda: plot_connectivity(np.ones(3)),
        "plot_connectivity.connectivity: must be a square matrix; got shape (3,).",
    ),
    (
        "plot with too few labels",
        lambda: plot_connectivity(W, labels=["a"]),
        "plot_connectivity.labels: must be one per region, 2; got 1.",
    ),
    (
        "plot on one axes",
        lambda: plot_connectivity(GOOD, ax=[]),
        "plot_connectivity.ax: must be an Axes or a sequence of them; got [].",
    ),
    (
        "correlations of a vector",
        lambda: plot_functional_connectivity(np.ones(3)),
        "plot_functional_connectivity.data: must have shape",
    ),
    (
        "correlations of NaN",
        lambda: plot_functional_connectivity(np.full((9, 2), np.nan)),
        "plot_functional_connectivity.data: must be finite",
    ),
    (
        "correlations of a constant",
        lambda: plot_functional_connectivity(np.ones((9, 2))),
        "must vary in every region; got a constant series in region 0.",
    ),
]


@pytest.mark.parametrize("call, message", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_message(call, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        call()
