"""Sweeps: the grid, chunks, devices, executors, failures and bad input."""

import pickle
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.sweeps import sweep
from brainmass_delays.sweeps.program import Job, Program, key, settings

SPEEDS = np.linspace(1.0, 4.0, 7) * u.mm / u.ms
STRENGTHS = np.linspace(0.1, 0.5, 3)


def wave(speed, k):
    """Return a pytree that mixes units, shapes and random numbers."""
    delay = 12.0 * u.mm / speed
    noise = brainstate.random.normal(size=(2,))
    return {"delay": delay, "path": (k * jnp.sin(jnp.arange(3.0) * delay.to_decimal(u.ms)) + noise[0],)}


def expected(speed, k):
    return 12.0 / speed.to_decimal(u.mm / u.ms), k


class PicklingExecutor(Executor):
    """Run calls at once, but only what survives pickling: what process pools, dask and MPI ask for."""

    def __init__(self):
        self.n_calls = 0

    def submit(self, fn, /, *args, **kwargs):
        self.n_calls += 1
        fn, args, kwargs = pickle.loads(pickle.dumps((fn, args, kwargs)))
        future = Future()
        try:
            future.set_result(pickle.loads(pickle.dumps(fn(*args, **kwargs))))
        except Exception as error:
            future.set_exception(error)
        return future


def run(**options):
    brainstate.random.seed(3)
    return sweep(wave, {"speed": SPEEDS, "k": STRENGTHS}, **options)


def assert_same(one, other):
    assert jax.tree.structure(one.results) == jax.tree.structure(other.results)
    for a, b in zip(jax.tree.leaves(one.results), jax.tree.leaves(other.results), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(one.status, other.status)


def test_the_result_has_the_shape_of_the_grid_and_units():
    result = run()
    assert list(result.axes) == ["speed", "k"]
    np.testing.assert_array_equal(
        result.axes["speed"].to_decimal(u.mm / u.ms), SPEEDS.to_decimal(u.mm / u.ms)
    )
    delay = result.results["delay"].to_decimal(u.ms)
    np.testing.assert_allclose(delay, np.repeat(12 / np.linspace(1, 4, 7)[:, None], 3, 1), rtol=1e-15)
    path = result.results["path"][0]
    brainstate.random.seed(3)
    brainstate.random.set_key(brainstate.random.split_key())
    noise = brainstate.random.normal(size=(2,))[0]
    loop = [[k * np.sin(np.arange(3) * d) for k in STRENGTHS] for d in delay[:, 0]]
    np.testing.assert_allclose(path, np.array(loop) + noise, atol=1e-12)
    assert result.status.shape == (7, 3) and not result.status.any() and result.failures() == []


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 1},
        {"batch": 4},
        {"batch": 21},
        {"batch": 1000},
        {"max_memory": 3000.0},
        {"devices": 1},
        {"progress": True},
    ],
)
def test_results_do_not_depend_on_chunks(options):
    assert_same(run(**options), run())


def test_a_chunk_takes_no_more_memory_than_allowed():
    def predict(a):
        return (a * jnp.ones(1000)).cumsum()

    job = Job("memory", predict, key(), settings(), 1, 100e3)
    program = Program(job, {"a": np.arange(64.0)})
    assert 1 <= program.size <= 12
    np.testing.assert_allclose(program(job.key, {"a": np.arange(64.0)})[0][:, -1], 1000 * np.arange(64.0))


def test_results_do_not_depend_on_threads_nor_on_their_default_precision():
    with ThreadPoolExecutor(3) as pool:
        assert_same(run(executor=pool, batch=2), run())
    assert jax.config.jax_enable_x64


def test_calls_can_be_pickled():
    executor = PicklingExecutor()
    assert_same(run(executor=executor, batch=5), run())
    assert executor.n_calls == 5


def test_an_executor_gets_many_chunks_unless_told_otherwise():
    executor = PicklingExecutor()
    sweep(wave, {"speed": SPEEDS, "k": STRENGTHS}, executor=executor)
    assert executor.n_calls == 21


def test_workers_see_the_environment_of_the_caller():
    def steps(tau):
        return tau / brainstate.environ.get("dt")

    with ThreadPoolExecutor(1) as pool, brainstate.environ.context(dt=0.5 * u.ms):
        result = sweep(steps, {"tau": [1.0, 2.0] * u.ms}, executor=pool)
    np.testing.assert_allclose(u.get_magnitude(result.results), [2.0, 4.0])


def test_one_compilation_serves_all_chunks():
    traced = []

    def predict(a):
        traced.append(1)
        return a * 2

    result = sweep(predict, {"a": np.arange(50.0)}, batch=7)
    np.testing.assert_array_equal(result.results, np.arange(50) * 2.0)
    assert len(traced) <= 2  # once for the states it reads, once for the program


def test_axes_side_by_side():
    result = sweep(
        lambda a, b: a - b, {"a": [1.0, 2.0, 3.0], "b": [0.5, 0.25, 0.125]}, product=False, batch=2
    )
    np.testing.assert_array_equal(result.results, [0.5, 1.75, 2.875])


def test_an_axis_may_hold_an_array_per_point():
    matrices = np.arange(12.0).reshape(3, 2, 2)
    result = sweep(lambda w, k: k * w.sum(), {"w": matrices, "k": [1.0, 10.0]})
    np.testing.assert_array_equal(result.results, np.outer(matrices.sum((1, 2)), [1, 10]))


def test_a_seed_gives_every_point_its_own_noise_and_without_one_all_share_it():
    def noisy(seed):
        brainstate.random.seed(seed)
        return brainstate.random.normal(size=(4,))

    result = sweep(noisy, {"seed": np.arange(5)}, batch=2).results
    brainstate.random.seed(4)
    np.testing.assert_allclose(result[4], brainstate.random.normal(size=(4,)), atol=1e-15)
    assert len(np.unique(result)) == 20
    shared = sweep(lambda a: a * brainstate.random.normal(), {"a": np.ones(5)}, batch=2).results
    assert len(np.unique(shared)) == 1
    again = sweep(lambda a: a * brainstate.random.normal(), {"a": np.ones(5)}).results
    assert again[0] != shared[0]


def test_states_outside_are_left_as_they_were():
    total = brainstate.ShortTermState(jnp.zeros(()))

    def predict(a):
        total.value = total.value + a
        return total.value

    np.testing.assert_array_equal(sweep(predict, {"a": [1.0, 2.0]}).results, [1.0, 2.0])
    assert float(total.value) == 0.0


def test_gradients_can_be_swept():
    result = sweep(lambda a: jax.grad(lambda x: x**3)(a), {"a": [1.0, 2.0]})
    np.testing.assert_allclose(result.results, [3.0, 12.0])


def test_a_failing_point_is_flagged_and_hides_no_other():
    def predict(a, b):
        return {"x": jnp.where((a < 0) & (b == 2.0 * u.ms), jnp.nan, a), "n": jnp.arange(2)}

    with pytest.warns(
        UserWarning, match=r"sweep: 1 of 4 points failed, the first at a=-1\.0, b=2\. ms: a value"
    ):
        result = sweep(predict, {"a": [-1.0, 4.0], "b": [2.0, 3.0] * u.ms}, batch=3)
    np.testing.assert_array_equal(result.status, [[2, 0], [0, 0]])
    np.testing.assert_array_equal(result.results["x"], [[np.nan, -1.0], [4.0, 4.0]])


def test_flags_of_the_prediction_are_kept():
    with pytest.warns(UserWarning, match="a delay passed its static bound"):
        result = sweep(lambda a: {"x": a, "status": jnp.where(a > 1, 1, 0)}, {"a": [1.0, 2.0]})
    assert result.status.tolist() == [0, 1] and list(result.results) == ["x"]
    assert result.failures() == ["a=2.0: a delay passed its static bound"]


@pytest.mark.parametrize(
    ("axes", "options", "message"),
    [
        ({}, {}, r"sweep\.axes: must be a dict of at least one argument"),
        (
            {"sped": [1.0], "k": [1.0]},
            {},
            r"sweep\.axes: must be one of 'speed', 'k'; got 'sped'\. Did you mean 'speed'",
        ),
        ({"speed": [1.0]}, {}, r"must name every argument of predict that has no default; got nothing for k"),
        ({"speed": [], "k": [1.0]}, {}, r"sweep\.axes\['speed'\]: must hold at least one value"),
        (
            {"speed": 3.0, "k": [1.0]},
            {},
            r"sweep\.axes\['speed'\]: must hold at least one value; got 3\.0\. Write a list",
        ),
        ({"speed": ["a"], "k": [1.0]}, {}, r"sweep\.axes\['speed'\]: must hold numbers"),
        (
            {"speed": [1.0, 2.0], "k": [1.0]},
            {"product": False},
            r"must be of one length with product=False; got \{'speed': 2, 'k': 1\}",
        ),
        ({"speed": [1.0], "k": [1.0]}, {"batch": 0}, r"sweep\.batch: must be a whole number of at least 1"),
        (
            {"speed": [1.0], "k": [1.0]},
            {"max_memory": 1.0},
            r"sweep\.max_memory: must allow for one point, \d+ bytes; got 1",
        ),
        (
            {"speed": [1.0], "k": [1.0]},
            {"devices": 99},
            r"sweep\.devices: must be at most \d+, the devices here; got 99",
        ),
        ({"speed": [1.0], "k": [1.0]}, {"devices": []}, r"sweep\.devices: must name at least one device"),
        (
            {"speed": [1.0], "k": [1.0]},
            {"executor": 4},
            r"sweep\.executor: must be a concurrent\.futures\.Executor, or a function that makes one; got ",
        ),
    ],
)
def test_bad_arguments_are_refused(axes, options, message):
    with pytest.raises(ArgumentError, match=message):
        sweep(lambda speed, k: speed * k, axes, **options)


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda a: {"x": "text"}, r"sweep\.predict: must return arrays; got str at result\['x'\]"),
        (lambda a: None, r"sweep\.predict: must return at least one array; got None\. Add a return"),
        (lambda a: float(a), r"sweep\.predict: must be traceable by jax\.vmap; got .* Use jax\.numpy"),
        (lambda a: a if a > 0 else -a, r"sweep\.predict: must be traceable by jax\.vmap"),
        (lambda a: np.sin(a), r"sweep\.predict: must be traceable by jax\.vmap"),
        (3, r"sweep\.predict: must be callable; got int"),
    ],
)
def test_predictions_that_cannot_be_swept_are_refused(predict, message):
    with pytest.raises(ArgumentError, match=message):
        sweep(predict, {"a": [1.0, 2.0]})


def test_an_error_in_a_worker_reaches_the_caller():
    def broken(a):
        raise KeyError("missing")

    with ThreadPoolExecutor(2) as pool, pytest.raises(KeyError, match="missing"):
        sweep(broken, {"a": [1.0, 2.0]}, executor=pool)


def test_several_devices_give_the_same_results():
    program = Path(__file__).parent / "four_devices.py"
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4", "4", "equal"]
