"""What the papers show, and the runs of single nodes of tvb-library (tests/golden/nodes_tvb_runs.py)."""

from pathlib import Path

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import (
    EpileptorStep,
    JansenRitStep,
    MontbrioPazoRoxinStep,
    ReducedWongWangStep,
    ZerlautStep,
)
from brainmass_delays.integrate.steps import per_ms
from brainmass_delays.nodes import NODES

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nodes_tvb_runs.npz")


def run(node, dt, steps, every=1, drive=None):
    """Return all states every so many steps, (steps / every, states, nodes)."""
    brainstate.nn.init_all_states(node)

    def one(i):
        with brainstate.environ.context(dt=dt * u.ms):
            inputs = () if drive is None else (None, drive(i))
            node.update(*inputs)
        return jnp.stack([u.get_mantissa(getattr(node, s).value) for s in node.STATE_NAMES])

    found = brainstate.transform.for_loop(one, np.arange(steps))
    return np.asarray(found)[every - 1 :: every]


def seizures(x1, ms_per_sample, window=50.0):
    """Return onsets and ends of episodes in which x1 keeps coming back above -0.5, in ms."""
    near = np.convolve(x1 > -0.5, np.ones(int(window / ms_per_sample)), "same") > 0
    edges = np.flatnonzero(np.diff(near.astype(int))) * ms_per_sample
    return edges[: len(edges) // 2 * 2].reshape(-1, 2)


@pytest.mark.slow
def test_epileptor_seizures_last_as_long_and_shift_as_far_as_in_tvb():
    expected = GOLDEN["Epileptor"]
    found = run(EpileptorStep(1, method="heun"), 0.05, 140_000, 40)[..., 0]
    ours, theirs = (seizures(x[:, 0], 2.0) for x in (found, expected))
    assert len(ours) == len(theirs) >= 3
    lengths = [np.diff(s, axis=1).mean() for s in (ours, theirs)]
    assert abs(lengths[0] / lengths[1] - 1) < 0.05
    shifts = []
    for x, s in ((found, ours), (expected, theirs)):
        lfp, t = x[:, 3] - x[:, 0], 2.0 * np.arange(len(x))
        during = np.any([(t > a) & (t < b) for a, b in s], axis=0)
        shifts.append(lfp[during].mean() - lfp[~during & (t > 600)].mean())
    assert abs(shifts[0] / shifts[1] - 1) < 0.05


def test_the_beginning_of_an_epileptor_run_is_that_of_tvb():
    found = run(EpileptorStep(1, method="heun"), 0.05, 4_000, 40)[..., 0]
    np.testing.assert_allclose(found, GOLDEN["Epileptor"][:100], rtol=1e-9, atol=1e-9)


def test_zerlaut_and_wong_wang_run_as_in_tvb():
    node = ZerlautStep(1, external_input_ex_ex=0.0025, external_input_in_ex=0.0025, method="heun")
    found = run(node, 0.1, 10_000, 20)[..., 0]
    np.testing.assert_allclose(found, GOLDEN["Zerlaut"][:, :4], rtol=1e-8, atol=1e-14)
    assert 1 < 1e3 * found[-1, 0] < 60, "an active state"
    found = run(ReducedWongWangStep(1, method="heun"), 0.5, 4_000, 20)[..., 0]
    np.testing.assert_allclose(found, GOLDEN["ReducedWongWang"], rtol=1e-9)


def test_jansen_rit_has_alpha_waves_and_slow_spikes():
    """Figures 3 and 4 of Jansen and Rit (1995): input uniform between 120 and 320 per second."""
    node = JansenRitStep(2, C=jnp.array([135.0, 270.0]), method="heun")
    pulses = jnp.asarray(np.random.default_rng(0).uniform(120, 320, (20_000, 2)))
    states = run(node, 1.0, 20_000, drive=lambda i: pulses[i] * u.Hz)
    eeg = (states[:, 1] - states[:, 2])[2000:]
    f = np.fft.rfftfreq(len(eeg), 1e-3)
    power = np.abs(np.fft.rfft(eeg - eeg.mean(0), axis=0)) ** 2
    smooth = np.array([np.convolve(p, np.ones(18), "same") for p in power.T])
    smooth[:, f < 1] = 0
    alpha, slow = f[smooth.argmax(1)]
    assert 8 < alpha < 12
    assert 4 < slow < 6
    assert eeg[:, 1].std() >= 5


def test_montbrio_is_bistable_between_the_roots_of_its_steady_state():
    node = MontbrioPazoRoxinStep(2, delta=1.0 * u.kHz, init_r=jnp.array([10.0, 900.0]) * u.Hz, init_v=jnp.array([-2.0, -0.2]), method="heun")  # fmt: skip
    end = 1e-3 * run(node, 0.005, 12_000)[-1, 0]
    # r and v at rest: v = -delta / (2 pi r), and v**2 + eta + J r - (pi r)**2 = 0, times r**2.
    roots = np.roots([-(np.pi**2), 15.0, -5.0, 0.0, 1 / (4 * np.pi**2)])
    roots = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
    roots = roots[roots > 0]
    assert len(roots) == 3
    np.testing.assert_allclose(end, roots[[0, 2]], rtol=1e-4)


@pytest.mark.parametrize("name", NODES)
def test_the_default_start_is_no_unstable_fixed_point(name):
    brainstate.random.seed(3)
    node = NODES[name](1)
    brainstate.nn.init_all_states(node)
    units = [s.unit for s in node.STATES]

    def rates(numbers):
        given = tuple(x if unit.is_unitless else x * unit for x, unit in zip(numbers, units, strict=True))
        found = node.derivative(given, 0.0 * u.ms, node.step_inputs(()))
        return jnp.stack([per_ms(r, unit) * jnp.ones(1) for r, unit in zip(found, units, strict=True)])

    at = jnp.stack([u.get_mantissa(getattr(node, s).value) for s in node.STATE_NAMES])
    if np.abs(rates(at)).max() < 1e-12:
        jacobian = np.asarray(jax.jacfwd(rates)(at)).reshape(at.size, at.size)
        assert np.linalg.eigvals(jacobian).real.max() < 1e-9
