"""Subjects of two sizes whose speeds are to be found; importable by the workers of the tests."""

import os
import signal
from pathlib import Path

import brainunit as u
import numpy as np
from brainstate.nn import Module, SigmoidT

from brainmass_delays import Connectome, Fitter, HopfStep, Network, Param, Simulator, objectives

SPEED = u.mm / u.ms


def network(n, seed, speed):
    return Network(
        HopfStep(n, a=0.1, init_x=0.1), conn=Connectome.synthetic(n, seed=seed), speed=speed, k=0.2,
        coupled_var="x", max_delay=150 * u.ms,
    )  # fmt: skip


def simulate(model):
    return Simulator(model, dt=0.5 * u.ms).run(60 * u.ms, monitors=["x"])["x"]


def true_speed(subject):
    return 3.0 + 0.25 * subject


def problem(subject):
    """Subject 5 has lost its data."""
    n = 4 if subject % 2 else 5
    target = np.array(simulate(network(n, subject, true_speed(subject) * SPEED)))
    if subject == 5:
        target[3, 0] = np.nan
    speed = Param(4.0 * SPEED, t=SigmoidT(1.5 * SPEED, 12.0 * SPEED))
    return Fitter(network(n, subject, speed), predict=simulate, backend="scipy"), target


class Level(Module):
    def __init__(self):
        super().__init__()
        self.x = Param(0.5 * u.mV)

    def update(self):
        return self.x.value() * np.ones(8)


SIGMA = 0.2


def level_problem(level):
    """A mean of eight values with a known noise."""
    data = level + SIGMA * np.random.default_rng(0).normal(size=8)
    objective = objectives.gaussian(SIGMA * u.mV)
    return Fitter(Level(), predict=lambda m: m(), objective=objective, backend="scipy"), data * u.mV


def uneven_problem(n):
    """Models of one or two parameters."""

    class Levels(Module):
        def __init__(self):
            super().__init__()
            for name in "xy"[:n]:
                setattr(self, name, Param(0.5 * u.mV))

        def update(self):
            return u.math.stack([getattr(self, name).value() for name in "xy"[:n]])

    return Fitter(Levels(), predict=lambda m: m(), backend="scipy"), np.array([1.0, 2.0])[:n] * u.mV


def connectivity_problem(subject):
    fitter, target = problem(subject)
    return Fitter(fitter.model, predict=simulate, backend="scipy", objective=objectives.fc_rmse()), target


def deadly_problem(subject):
    """The first worker that fits subject 2 is killed."""
    mark = Path(os.environ["DEADLY_MARK"])
    if subject == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return problem(subject)


def fatal_problem(subject):
    """Every worker that fits subject 2 is killed, as where its memory does not suffice."""
    if subject == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return problem(subject)
