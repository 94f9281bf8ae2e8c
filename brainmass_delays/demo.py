"""The demonstration: recover a conduction speed from a noisy recording of a whole-brain network."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import brainstate
import braintools
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param, SigmoidT

from . import objectives
from ._core.checks import ArgumentError
from ._core.files import replacing
from ._core.progress import tqdm
from .connectome import Connectome
from .fit import FitResult, Fitter
from .network import Network
from .nodes import HopfStep
from .simulation import Simulator
from .viz.recovery import draw_gradient, draw_landscape, draw_recovery

SPEED = u.mm / u.ms
BOUNDS = (1.0, 20.0)  # mm/ms, what the fit is allowed to believe
LOOK = (1.2, 16.7)  # mm/ms, the range that is swept
DENSITY = 0.2  # share of the connections kept: averaged tractography connects every pair
RHYTHM, SPREAD = 80.0, 4.0  # Hz, mean and standard deviation over the regions
NOISE = 0.1  # of the recording, relative to its standard deviation
DT = 0.5 * u.ms
DIFFERENCE = 2e-6  # mm/ms, of the central differences


@dataclass(frozen=True)
class Effort:
    """How much is computed."""

    duration: float = 120.0  # ms
    n_coarse: int = 8
    n_fine: int = 60
    n_zoom: int = 60
    n_gradients: int = 30
    n_steps: int = 100


QUICK = Effort(duration=40.0, n_coarse=24, n_fine=24, n_zoom=60, n_gradients=5, n_steps=60)


def build(connectome: Connectome, speed, interpolation: str = "linear") -> Network:
    """Couple one fast oscillator per region; the speed is trainable unless reads are rounded."""
    n, rng = connectome.n_regions, np.random.default_rng(0)
    frequency = RHYTHM + SPREAD * rng.standard_normal(n)
    x, y = 0.3 * rng.standard_normal((2, n))
    node = HopfStep(n, a=0.05, w=2 * np.pi * frequency * u.Hz, init_x=x, init_y=y)
    bounded = Param(
        speed * SPEED,
        t=SigmoidT(BOUNDS[0] * SPEED, BOUNDS[1] * SPEED),
        fit=interpolation != "nearest",
    )
    return Network(node, conn=connectome, speed=bounded, coupled_var="x", k=0.2, interpolation=interpolation)


class Experiment:
    """A recording made at a known speed, and the loss that any other speed has on it."""

    def __init__(self, connectome: Connectome, speed: float, effort: Effort):
        self.connectome, self.speed, self.effort = connectome, speed, effort
        clean = self.simulate(build(connectome, speed))["output"]
        noise = np.random.default_rng(1).standard_normal(clean.shape)
        self.target = clean + NOISE * jnp.std(clean) * noise
        self.floor = float(objectives.timeseries_rmse(clean, self.target))
        self._losses = {
            name: jax.jit(lambda v, name=name: self._loss(v, name)) for name in ("nearest", "linear")
        }
        self._slope = jax.jit(jax.grad(lambda v: self._loss(v, "linear")))

    def simulate(self, net: Network) -> dict:
        """Return the activity x of every region, ``(time, region)``."""
        return Simulator(net, dt=DT).run(
            self.effort.duration * u.ms, monitors=lambda model: model.node.x.value
        )

    def _loss(self, speed, interpolation):
        activity = self.simulate(build(self.connectome, speed, interpolation))["output"]
        return objectives.timeseries_rmse(activity, self.target)

    def losses(self, speeds: Sequence[float], interpolation: str, what: str) -> np.ndarray:
        """Return the loss at every speed."""
        return np.array([float(self._losses[interpolation](v)) for v in tqdm(speeds, desc=what)])

    def slopes(self, speeds: Sequence[float]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the gradient at every speed, and central differences for both kinds of read."""
        gradient = [float(self._slope(v)) for v in tqdm(speeds, desc="gradient")]
        shifted = {
            name: [
                self.losses(np.asarray(speeds) + h, name, f"differences, {name}")
                for h in (-DIFFERENCE, DIFFERENCE)
            ]
            for name in self._losses
        }
        return np.array(gradient), {
            name: (up - low) / (2 * DIFFERENCE) for name, (low, up) in shifted.items()
        }

    def fit(self, starts: Sequence[float]) -> list[tuple[FitResult, float]]:
        """Descend from every start; return each result and the seconds it took."""
        fitter = Fitter(
            build(self.connectome, starts[0]),
            braintools.optim.Adam(lr=0.05),
            predict=self.simulate,
            progress=True,
        )
        outcomes = []
        for start in starts:
            began = time.perf_counter()
            result = fitter.fit(self.target, self.effort.n_steps, starts={"speed": [start] * SPEED})
            outcomes.append((result.starts[0], time.perf_counter() - began))
        return outcomes


def run_demo(
    connectome: str = "hcp", speed: float = 4.5, out: str | Path = "figures", quick: bool = False
) -> float:
    """Recover a known speed, print a table and write three figures.

    Parameters
    ----------
    connectome : str, optional
        ``'hcp'`` (default), ``'gw'``, ``'tvb76'``, ``'synthetic'``, or a file that `Connectome.load` reads.
        Measured ones are downloaded once; offline, the synthetic one takes their place.
    speed : float, optional
        The true conduction speed in mm/ms, from 1.2 to 16.7. Default 4.5.
    out : str or path, optional
        Folder of the figures. Default ``'figures'``.
    quick : bool, optional
        Compute less, for a first look. Default False.

    Returns
    -------
    float
        The recovered speed in mm/ms, from the start that a coarse sweep chose.

    Raises
    ------
    ArgumentError
        If the speed is out of range or the connectome cannot be used.

    Examples
    --------
    >>> from brainmass_delays.demo import run_demo
    >>> run_demo('synthetic', quick=True)  # doctest: +SKIP
    """
    if not LOOK[0] <= speed <= LOOK[1]:
        raise ArgumentError("demo.speed", f"must be between {LOOK[0]} and {LOOK[1]} mm/ms", speed)
    brainstate.environ.set(precision=64)
    effort = QUICK if quick else Effort()
    brain = load(connectome, n_synthetic=24 if quick else 84).threshold(density=DENSITY).normalize("row")
    print(
        f"\n{brain}\nTarget: {effort.duration:g} ms of one {RHYTHM:g} Hz oscillator per region "
        f"at {speed:g} mm/ms, with {NOISE:.0%} measurement noise.\n"
    )
    experiment = Experiment(brain, speed, effort)

    coarse = np.geomspace(*LOOK, effort.n_coarse)
    chosen = coarse[np.argmin(experiment.losses(coarse, "linear", "coarse sweep"))]
    outcomes = experiment.fit([chosen, coarse[0], coarse[-1]])
    _print_table(speed, outcomes)
    _write_figures(Path(out), experiment, [result for result, _ in outcomes])
    return _recovered(outcomes[0][0])


def load(name: str, n_synthetic: int = 84) -> Connectome:
    """Return a connectome by name or from a file; a synthetic one, with a notice, if the download fails."""
    if name == "synthetic":
        return Connectome.synthetic(n_synthetic)
    if name not in ("hcp", "gw", "tvb76"):
        return Connectome.load(name)
    try:
        return Connectome.fetch(name)
    except OSError as error:
        rule = "=" * 78
        print(
            f"{rule}\nNOTICE: {name!r} could not be downloaded, so this run uses a SYNTHETIC connectome.\n"
            f"{str(error).splitlines()[0]}\n{rule}"
        )
        return Connectome.synthetic(n_synthetic)


def _recovered(result: FitResult) -> float:
    return float(result.best_params["speed"].to_decimal(SPEED))


def _print_table(true: float, outcomes: list[tuple[FitResult, float]]) -> None:
    """Print one line per start."""
    titles = f"{'true':>8}{'start':>8}{'recovered':>11}{'error':>10}{'loss':>10}{'steps':>7}{'time':>9}"
    print(f"\n{titles}   (speeds in mm/ms)")
    reasons = ("best of the coarse sweep", "slowest of the sweep", "fastest of the sweep")
    for (result, seconds), why in zip(outcomes, reasons, strict=True):
        start = float(result.param_history["speed"][0].to_decimal(SPEED))
        found = _recovered(result)
        print(
            f"{true:8.3f}{start:8.3f}{found:11.4f}{abs(found / true - 1):10.3%}{result.best_loss:10.5f}"
            f"{result.n_steps:7d}{seconds:7.1f} s   {why}"
        )
    print(
        "\nThe loss can have several valleys, so the first start is the best of a coarse sweep of speeds\n"
        f"from {LOOK[0]:g} to {LOOK[1]:g} mm/ms. The other two show what happens without it: a fit that\n"
        "ended in another valley has a higher loss. The first time includes compilation.\n"
    )


def _write_figures(out: Path, experiment: Experiment, results: list[FitResult]) -> None:
    """Draw the loss over speed, its gradient, and the recovery."""
    true, effort = experiment.speed, experiment.effort
    wide = np.geomspace(1.002 * BOUNDS[0], 0.998 * BOUNDS[1], effort.n_fine)  # wherever a fit may end
    close = 1.1 * true + np.linspace(-0.003, 0.003, effort.n_zoom)
    some = np.geomspace(*LOOK, effort.n_gradients)
    curves = {
        name: [(v, experiment.losses(v, name, f"loss, {name}")) for v in (wide, close)]
        for name in ("linear", "nearest")
    }
    figures = {
        "loss_over_speed": draw_landscape(curves, results, true),
        "gradient": draw_gradient(some, *experiment.slopes(some)),
        "recovery": draw_recovery(results, true, experiment.floor),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        with replacing("demo.out", out / f"{name}.png") as file:
            figure.savefig(file, dpi=150, format="png")
        print(f"wrote {out / name}.png")
