"""Every monitor and chain: against NumPy and SciPy, in one go and in stretches, with its gradient."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from monitor_cases import DT, GAIN, MONITORS, Peak, X
from scipy.signal import csd, welch

from brainmass_delays import ArgumentError, Param
from brainmass_delays.observe import (
    Balloon,
    Chain,
    Covariance,
    CrossSpectrum,
    GlobalAverage,
    LeadField,
    RegionAverage,
    SensorNoise,
    Spectrum,
    SubSample,
    TemporalAverage,
    apply,
    emission_steps,
)


def stretches(monitor, values, cuts, start=0):
    """Run a monitor as an engine does: a compiled stretch at a time, its first step number an argument."""
    run = jax.jit(lambda state, rows, i: monitor.advance(state, rows, i, DT))
    state, kept = monitor.init(jax.ShapeDtypeStruct(values.shape[1:], values.dtype), DT), []
    for a, b in zip([0, *cuts], [*cuts, len(values)], strict=True):
        state, samples, count = run(state, values[a:b], jnp.int32(start + a))
        if samples is not None:
            kept.append(samples[: int(count)])
    return monitor.sample(state) if monitor.period is None else jnp.concatenate(kept)


@pytest.mark.parametrize("name", MONITORS)
def test_stretches_equal_one_go(name):
    monitor, start = MONITORS[name](), 13
    _, whole = apply(monitor, X, DT, start=start)
    assert whole.size and np.all(np.isfinite(np.asarray(whole)[-1]))
    np.testing.assert_allclose(
        stretches(monitor, X, [11, 22, 33, 44, 86], start), whole, rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize(
    "name",
    [
        "hrf",
        "mean, sensors, noise, spectrum",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("balloon", "mean, balloon, correlation")),
    ],
)
def test_a_batch_equals_its_rows(name):
    monitor, batch = MONITORS[name](), np.stack([X, X[::-1]], axis=1)  # [time, batch, region]
    together = apply(monitor, batch, DT)[1]
    if name == "mean, sensors, noise, spectrum":  # noise differs from row to row
        assert together.shape == (5, 2, 2, 2)
        return
    rows = [apply(monitor, batch[:, b], DT)[1] for b in range(2)]
    axis = 0 if monitor.period is None else 1
    np.testing.assert_allclose(together, np.stack(rows, axis=axis), rtol=1e-12, atol=1e-15)
    mapped = jax.vmap(lambda x: apply(monitor, x, DT)[1])(jnp.asarray(batch.transpose(1, 0, 2)))
    np.testing.assert_allclose(mapped, np.stack(rows), rtol=1e-12, atol=1e-15)


def _sensors(gain):
    return (
        TemporalAverage(period=0.3 * u.ms)
        >> LeadField(matrix=Param(gain * jnp.asarray(GAIN)))
        >> Covariance()
    )


def _bold(gain):
    fast = {"gamma": 4.1e5 * u.Hz, "tau": 0.98 * u.ms, "efficacy": 1e5}
    kappa = Param(650 * gain * u.Hz)
    return Balloon(period=1.1 * u.ms, kappa=kappa, step=0 * u.ms, **fast) >> Covariance()


@pytest.mark.parametrize("monitor", [_sensors, pytest.param(_bold, marks=pytest.mark.slow)])
def test_gradients_through_stretches_are_those_of_one_go(monitor):
    """In the values, in a Param of the monitor, and by forward mode; stretches in a scan, as an engine has them."""

    @jax.jit
    def whole(x, gain):
        return jnp.sum(apply(monitor(gain), x, DT)[1])

    @jax.jit
    def in_stretches(x, gain):
        m = monitor(gain)

        @jax.checkpoint
        def stretch(carry, rows):
            state, i = carry
            return (m.advance(state, rows, i, DT)[0], i + len(rows)), None

        state = m.init(jax.ShapeDtypeStruct((3,), float), DT)
        (state, _), _ = jax.lax.scan(stretch, (state, jnp.int32(0)), x.reshape(8, 12, 3))
        return jnp.sum(m.sample(state))

    x, gain = jnp.asarray(X[:96]), jnp.array(1.1)
    for a, b in zip(jax.grad(whole, (0, 1))(x, gain), jax.grad(in_stretches, (0, 1))(x, gain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-15)
    forward = jax.jvp(lambda k: in_stretches(x, k), (gain,), (1.0,))[1]
    np.testing.assert_allclose(forward, jax.grad(whole, 1)(x, gain), rtol=1e-9)


def _real(samples):
    return jnp.concatenate([jnp.ravel(jnp.real(samples)), jnp.ravel(jnp.imag(samples))])


QUICK = {"mean", "spectrum", "mean, balloon, correlation"}
SMOOTH = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
    for name in MONITORS
    if "peak" not in name and "own" not in name
]


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_agrees_with_central_differences_and_forward_mode(name):
    monitor = MONITORS[name]()
    weight = np.random.default_rng(2).normal(size=1000)

    @jax.jit
    def loss(x):
        seen = _real(apply(monitor, x, DT)[1])
        seen = jnp.where(jnp.isnan(seen), 0, seen)  # spectra before the first segment
        return jnp.sum(seen * weight[: seen.size])

    direction = np.random.default_rng(3).normal(size=X.shape)
    slope, tangent = (
        jnp.sum(jax.grad(loss)(jnp.asarray(X)) * direction),
        jax.jvp(loss, (jnp.asarray(X),), (direction,))[1],
    )
    np.testing.assert_allclose(slope, tangent, rtol=1e-9)
    h = 1e-5
    np.testing.assert_allclose(
        slope, (loss(X + h * direction) - loss(X - h * direction)) / (2 * h), rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize("name", MONITORS)
def test_single_precision_values_stay_so(name):
    """Also where JAX computes in double precision, as with parameters in float64."""
    monitor = MONITORS[name]()
    seen = jax.eval_shape(lambda x: apply(monitor, x, DT)[1], jax.ShapeDtypeStruct(X.shape, jnp.float32))
    assert seen.dtype in (jnp.float32, jnp.complex64) or "lead field" in name or "sensors" in name


def windows(period):
    steps = emission_steps(SubSample(period=period), 0, len(X), DT)
    return steps, list(zip([0, *steps[:-1]], steps, strict=True))


@pytest.mark.parametrize("period", [0.7 * u.ms, 0.25 * u.ms, 0.97 * u.ms])
def test_kept_values_and_exact_means(period):
    steps, spans = windows(period)
    ts, kept = apply(SubSample(period=period), X, DT)
    np.testing.assert_array_equal(kept, X[steps - 1])
    np.testing.assert_allclose(ts.to_decimal(u.ms), steps * 0.1)
    _, means = apply(TemporalAverage(period=period), X, DT)
    np.testing.assert_allclose(means, [X[a:b].mean(axis=0) for a, b in spans], atol=1e-14)
    _, peaks = apply(Peak(period=period), X, DT)
    np.testing.assert_array_equal(peaks, [np.abs(X[a:b]).max(axis=0) for a, b in spans])


def test_averages_over_regions():
    _, mean = apply(GlobalAverage(), X * u.mV, DT)
    np.testing.assert_allclose(mean.to_decimal(u.mV), X.mean(axis=1))
    _, groups = apply(RegionAverage(masks=[[1, 1, 0], [0, 1, 3]]), X, DT)
    np.testing.assert_allclose(groups, np.stack([X[:, :2].mean(axis=1), (X[:, 1] + 3 * X[:, 2]) / 4], axis=1))


def test_covariance_is_that_of_numpy():
    _, covariance = apply(Covariance(), X * u.mV, DT)
    np.testing.assert_allclose(covariance.to_decimal(u.mV**2), np.cov(X.T))
    _, correlation = apply(Covariance(kind="correlation"), X, DT)
    np.testing.assert_allclose(correlation, np.corrcoef(X.T))
    steps = emission_steps(Covariance(period=1.7 * u.ms), 0, len(X), DT)
    _, running = apply(Covariance(period=1.7 * u.ms), X, DT)
    np.testing.assert_allclose(running, [np.cov(X[:s].T) for s in steps], rtol=1e-12)


def test_constant_regions_correlate_with_nothing():
    flat = X.copy()
    flat[:, 1] = 0.1
    expected = np.corrcoef(X.T)
    expected[1] = expected[:, 1] = 0
    expected[1, 1] = 1
    value, pull = jax.vjp(lambda x: apply(Covariance(kind="correlation"), x, DT)[1], jnp.asarray(flat))
    np.testing.assert_allclose(value, expected, atol=1e-13)
    assert np.all(np.isfinite(pull(jnp.ones((3, 3)))[0]))
    assert np.all(np.isnan(apply(Covariance(kind="correlation"), X[:1], DT)[1]))


def test_covariance_keeps_its_accuracy_in_single_precision(single_precision):
    far = (X[:, None] * np.ones((1, 60, 1))).reshape(-1, 3) + 1000.0
    _, covariance = apply(Covariance(), far.astype(np.float32), DT)
    assert covariance.dtype == jnp.float32
    np.testing.assert_allclose(covariance, np.cov(far.T), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("nperseg", [20, 15])
def test_spectra_are_those_of_scipy(nperseg):
    f, expected = welch(X, 1e4, nperseg=nperseg, axis=0)
    monitor = Spectrum(nperseg=nperseg)
    _, power = apply(monitor, X * u.mV, DT)
    np.testing.assert_allclose(power.to_decimal(u.mV**2 / u.Hz), expected, rtol=1e-10)
    np.testing.assert_allclose(monitor.frequencies(DT).to_decimal(u.Hz), f)
    _, cross = apply(CrossSpectrum(nperseg=nperseg), X, DT)
    _, pairs = csd(X[:, :, None], X[:, None, :], 1e4, nperseg=nperseg, axis=0)
    np.testing.assert_allclose(cross, pairs, rtol=1e-10, atol=1e-20)


def test_a_run_too_short_for_a_segment_has_no_spectrum():
    assert np.all(np.isnan(apply(Spectrum(nperseg=98), X, DT)[1]))


def test_no_emission_is_an_empty_result():
    ts, means = apply(TemporalAverage(period=50 * u.ms), X, DT)
    assert ts.shape == (0,) and means.shape == (0, 3)


def test_results_of_a_run_are_found_by_the_source():
    _, means = apply(TemporalAverage("x", 1 * u.ms), {"x": X, "y": 2 * X}, DT)
    np.testing.assert_array_equal(means, apply(TemporalAverage(period=1 * u.ms), X, DT)[1])


def test_chains_can_be_grouped_in_any_way():
    a, b, c = TemporalAverage("x", 0.3 * u.ms), SubSample(period=0.6 * u.ms), Covariance()
    left, right = (a >> b) >> c, a >> (b >> c)
    assert isinstance(left, Chain) and left.source == right.source == "x" and left.period is None
    np.testing.assert_array_equal(apply(left, X, DT)[1], apply(right, X, DT)[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SubSample(3), r"SubSample.source: must be the name of a state or a function"),
        (lambda: SubSample(SubSample()), r"SubSample.source: must not be a monitor; .* Write first >> second"),
        (lambda: SubSample(period=-1 * u.ms), r"SubSample.period: must be one finite time of at least 0"),
        (lambda: SubSample(period=1 * u.mV), r"SubSample.period: must be a time or None"),
        (lambda: Covariance() >> SubSample(), r"Monitor.>>: needs a first monitor that emits during the run; got Cov"),
        (lambda: SubSample() >> SubSample("x"), r"Monitor.>>: feeds the second monitor, which must have no source"),
        (lambda: SubSample() >> 3, r"Monitor.>>: must be followed by a monitor; got 3"),
        (lambda: apply(SubSample(period=0.05 * u.ms), X, DT), r"SubSample.period: must be at least the interval of"),
        (lambda: apply(TemporalAverage(period=1 * u.ms) >> SubSample(period=0.5 * u.ms), X, DT), r"interval of what comes in, 1 ms"),
        (lambda: apply(SubSample(), X, 0.1), r"apply.dt: needs a unit such as ms"),
        (lambda: apply(SubSample(), X[:0], DT), r"apply.trajectory: must have a first axis of time with a value"),
        (lambda: apply(SubSample("z"), {"x": X}, DT), r"apply.trajectory: must hold the source of the monitor, 'z'; got \['x'\]"),
        (lambda: RegionAverage(masks=[[1, 0], [0, 0]]), r"RegionAverage.masks: must hold at least one node per group; got none in group 1"),
        (lambda: RegionAverage(masks=[[1, -1]]), r"RegionAverage.masks: .*got a negative weight"),
        (lambda: apply(RegionAverage(masks=[[1, 1]]), X, DT), r"RegionAverage.masks: must be of 3 nodes; got 2"),
        (lambda: Covariance(kind="fc"), r"Covariance.kind: must be one of 'covariance', 'correlation'"),
        (lambda: apply(SubSample(), {"x": X}, DT), r"the source of the monitor, None; .*Pass one of its entries"),
        (lambda: apply(SubSample(), X, 0 * u.ms), r"apply.dt: must be positive; got 0"),
        (lambda: RegionAverage(masks=[[1], [1, 2]]), r"RegionAverage.masks: must have shape"),
        (lambda: SensorNoise(1.0, seed=1.5), r"SensorNoise.seed: must be a whole number of at least 0; got 1.5"),
        (lambda: Balloon(efficacy="a"), r"Balloon.efficacy: must be a number"),
        (lambda: LeadField(matrix=GAIN * 1j), r"LeadField.matrix: must be real; got complex numbers"),
        (lambda: Spectrum(nperseg=1), r"Spectrum.nperseg: must be a whole number of at least 2"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
