"""Fits that are killed go on to the same bits; files of other fits, damaged files and full disks are told apart."""

import importlib.util
import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import brainstate
import braintools
import numpy as np
import optax
import pytest
from brainstate.nn import Module, SigmoidT

from brainmass_delays import ArgumentError, Fitter, Param
from brainmass_delays._core.files import locked
from brainmass_delays.fit import FitResult

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import fits  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Fitter.fit. the loss went down by:UserWarning")
MISSING = {"least_squares": "optimistix", "nevergrad": "nevergrad"}
STEPS = {"least_squares": 7, "starts": 25, "lanes": 40}
NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name in MISSING and importlib.util.find_spec(MISSING[name]) is None, reason="an extra"
        ),
    )
    for name in fits.ENGINES
]
engines = pytest.mark.parametrize("engine", NAMES)


class Killed(Exception):
    pass


def same(ours, theirs):
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def interrupted(engine, path, step, monkeypatch):
    """Run a fit until it has taken so many steps."""
    calls = []

    def sleep(_):
        calls.append(1)
        if len(calls) > step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(fits.time, "sleep", sleep)
        with pytest.raises(Killed):
            fits.fit(engine, path)


@engines
def test_a_fit_that_goes_on_ends_on_the_same_bits(engine, tmp_path, monkeypatch):
    whole = fits.numbers(fits.fit(engine, None))
    for step in (1, STEPS.get(engine, 14)):
        path = tmp_path / f"{step}.npz"
        interrupted(engine, path, step, monkeypatch)
        assert path.exists() == (step > 1)
        resumed = fits.fit(engine, path)
        same(fits.numbers(resumed), whole)
        same(fits.numbers(fits.fit(engine, path)), whole)  # a finished one is finished
    assert {p.suffix for p in tmp_path.iterdir()} == {".npz", ".lock"}


@engines
def test_little_is_simulated_twice(engine, tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    last = STEPS.get(engine, 14)
    interrupted(engine, path, last, monkeypatch)
    steps = []
    with monkeypatch.context() as patch:
        patch.setattr(fits.time, "sleep", steps.append)
        whole = fits.fit(engine, path)
    total = sum(run.n_steps for run in whole.starts or (whole,))
    side_by_side = len(whole.starts) if engine == "lanes" else 1
    assert total - last <= len(steps) <= total - last + 3 * side_by_side


def start(engine, path, out):
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", HERE / "fits.py", engine, path, out], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def killed_at_random(engine, path, out, rng):
    """Let a fit begin or go on until it writes, and kill it at a random moment after; tell whether it was
    killed before it ended."""
    process, before = start(engine, path, out), path.stat().st_mtime_ns if path.exists() else 0
    while process.poll() is None and not (path.exists() and path.stat().st_mtime_ns > before):
        time.sleep(0.005)
    time.sleep(rng.uniform(0.0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.communicate()  # which closes its pipes too
    return process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="kills are those of POSIX")
@pytest.mark.parametrize("engine, n_kills", [("adam", 1), *(pytest.param(*p.values, 20, marks=[*p.marks, pytest.mark.slow]) for p in NAMES)])  # fmt: skip
def test_a_killed_process_goes_on_in_another(engine, n_kills, tmp_path):
    """A fit is killed again and again; once it has ended, another one begins."""
    path, out, rng = tmp_path / "fit.npz", tmp_path / "result.npz", random.Random(n_kills)
    whole, left = fits.numbers(fits.fit(engine, None)), n_kills
    while left or not out.exists():
        if left:
            left -= killed_at_random(engine, path, out, rng)
        else:
            process = start(engine, path, out)
            _, errors = process.communicate()
            assert process.returncode == 0, errors
        if out.exists():
            with np.load(out) as found:
                same({name: found[name] for name in found.files}, whole)
            if left:
                path.unlink()
                out.unlink()


def test_files_hold_numbers_and_text_only(tmp_path):
    path = tmp_path / "fit.npz"
    fits.fit("adam", path, n_steps=4)
    with np.load(path, allow_pickle=False) as file:
        meta = json.loads(str(file["__fit__"]))
        assert all(file[name].dtype != object for name in file.files)
    assert meta["fingerprint"]["backend"] == "grad" and "rate" in meta["fingerprint"]["parameters"]


@pytest.mark.parametrize("n_bytes", [0, 10, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, n_bytes):
    path = tmp_path / "fit.npz"
    fits.fit("adam", path, n_steps=4)
    content = path.read_bytes()
    path.write_bytes(content[: int(n_bytes * len(content)) if n_bytes < 1 else n_bytes])
    with pytest.raises(
        ArgumentError, match="Fitter.fit.checkpoint: must be a file that a fit has written, whole"
    ):
        fits.fit("adam", path, n_steps=4)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "fit.npz"
    np.savez(path, x=np.ones(3))
    with pytest.raises(ArgumentError, match="must be a file that a fit has written"):
        fits.fit("adam", path)
    np.savez(path, x=np.array({"a": 1}, dtype=object))
    with pytest.raises(ArgumentError, match="must be a file that a fit has written"):
        fits.fit("adam", path)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda m: m.setattr(fits, "TARGET", fits.TARGET + 1), "must be of this fit, whose target is"),
        (lambda m: m.setitem(fits.ENGINES, "adam", fits.ENGINES["starts"][:1] + (60, None)), "whose optimizer is Adam with ConstantLR, learning rates"),
        (lambda m: m.setattr("jax.__version__", "99.0"), "whose jax is 99.0; got"),
        (lambda m: m.setattr(fits.Decay, "update", lambda self: fits.TARGET * self.rate.value()[0] * self.scale.value()[0]), "must be of this model, whose loss at the best parameters is"),
    ],
    ids=["target", "optimizer", "version", "model"],
)  # fmt: skip
def test_files_of_other_fits_are_refused_and_what_differs_is_named(tmp_path, monkeypatch, change, message):
    path = tmp_path / "fit.npz"
    fits.fit("adam", path, n_steps=4)
    with monkeypatch.context() as patch:
        change(patch)
        with pytest.raises(ArgumentError, match=message):
            fits.fit("adam", path, n_steps=4)


def bounded(low=0.0, high=5.0):
    class Level(Module):
        def __init__(self):
            super().__init__()
            self.x = Param(1.0, t=SigmoidT(low, high))

        def update(self):
            return self.x.value() * np.ones(3)

    return Level()


def level(path, model=None, n=4, fit=None, **options):
    fitter = Fitter(model or bounded(), predict=lambda m: m(), **options)
    return fitter.fit(np.full(3, 2.0), n, checkpoint=path, every=1, **(fit or {}))


@pytest.mark.parametrize(
    "first, second, message",
    [
        ({}, {"model": lambda: bounded(0.0, 6.0)}, "whose parameters is"),
        ({"optimizer": lambda: optax.adam(0.1)}, {"optimizer": lambda: optax.adam(0.2)}, "whose optimizer is"),
        (
            {"optimizer": lambda: braintools.optim.Adam(lr=0.1)},
            {"optimizer": lambda: braintools.optim.Adam(lr=0.1, betas=(0.5, 0.9))},
            "whose optimizer is",
        ),
        (
            {"optimizer": lambda: braintools.optim.Adam(lr=braintools.optim.StepLR(0.1, step_size=2))},
            {"optimizer": lambda: braintools.optim.Adam(lr=braintools.optim.StepLR(0.1, step_size=3))},
            "whose optimizer is",
        ),
        ({"fit": lambda: {"starts": 3}}, {"fit": lambda: {"starts": 4}}, "whose starts is 4, digest"),
        ({"fit": lambda: {"starts": 3}}, {}, "whose starts is None; got 3, digest"),
        ({"fit": lambda: {"starts": {"x": [1.0, 3.0]}}}, {"fit": lambda: {"starts": {"x": [1.0, 3.1]}}}, "whose starts is"),
        ({"search_space": lambda: {"x": (0.5, 3.0)}}, {"search_space": lambda: {"x": (0.5, 4.0)}}, "whose search_space is"),
    ],
)  # fmt: skip
def test_a_fit_that_was_changed_does_not_go_on(tmp_path, first, second, message):
    made = [{name: make() for name, make in options.items()} for options in (first, first, second)]
    whole = level(tmp_path / "a.npz", **made[0])
    assert level(tmp_path / "a.npz", **made[1]).history == whole.history
    with pytest.raises(ArgumentError, match=f"Fitter.fit.checkpoint: must be of this fit, {message}"):
        level(tmp_path / "a.npz", **made[2])


def test_a_loss_that_is_rounding_is_that_of_this_model(tmp_path):
    path = tmp_path / "a.npz"
    pytest.importorskip("optimistix")
    assert level(path, n=20, backend="least_squares").best_loss < 1e-20
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["0/best_loss"] = arrays["0/best_loss"] + 1e-15
    np.savez(path, **arrays)
    assert level(path, n=20, backend="least_squares").best_loss < 1e-14


def test_precision_is_part_of_a_fit(tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    fits.fit("adam", path, n_steps=4)
    monkeypatch.setattr(brainstate.environ, "get_precision", lambda: 32)
    with pytest.raises(ArgumentError, match="must be of this fit, whose precision is 32; got 64"):
        fits.fit("adam", path, n_steps=4)


def test_the_second_writer_of_a_file_is_refused(tmp_path):
    path = tmp_path / "fit.npz"
    with locked(f"{path}.lock"), pytest.raises(ArgumentError, match="must be used by one fit at a time"):
        fits.fit("adam", path, n_steps=4)
    fits.fit("adam", path, n_steps=4)


@pytest.mark.skipif(sys.platform == "win32", reason="limits are those of POSIX")
def test_a_full_disk_is_a_clear_error_and_the_old_file_stays(tmp_path):
    path = tmp_path / "fit.npz"
    fits.fit("adam", path, n_steps=4)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match=r"fit.npz could not be written \(File too large\)") as caught:
            fits.fit("adam", path, n_steps=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before and isinstance(caught.value.result, FitResult)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize(
    "path, message", [(3, "must be a path"), ("/nowhere/at/all.npz", "must lie in a folder that exists")]
)
def test_paths_that_cannot_be_are_refused(path, message):
    with pytest.raises(ArgumentError, match=f"Fitter.fit.checkpoint: {message}"):
        fits.fit("adam", path, n_steps=2)
    with pytest.raises(ArgumentError, match="Fitter.fit.every"):
        fits.Fitter(fits.Decay(), predict=lambda m: m()).fit(fits.TARGET, 2, checkpoint="x.npz", every=0)


def test_results_are_saved_and_loaded(tmp_path):
    result = fits.fit("starts", None)
    assert "90% interval" in result.summary()
    result.save(tmp_path / "result.npz")
    back = FitResult.load(tmp_path / "result.npz")
    same(fits.numbers(back), fits.numbers(result))
    assert back.model is None and back.summary() == result.summary() and back.starts[1].failures == ()
    assert back.backend == "grad" and set(back.param_history) == set(result.param_history)
    again = pickle.loads(pickle.dumps(back))
    same(fits.numbers(again), fits.numbers(result))
    with pytest.raises(
        ArgumentError, match="FitResult.load.path: must be a file that FitResult.save has written"
    ):
        (tmp_path / "other.npz").write_bytes(b"no")
        FitResult.load(tmp_path / "other.npz")
