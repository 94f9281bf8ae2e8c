"""Fit to a checkpoint in a process that the tests may kill: ``python fits.py ENGINE CHECKPOINT RESULT``."""

import os
import sys
import time
from unittest import mock

import brainstate
import braintools
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Module

from brainmass_delays import Param
from brainmass_delays.fit import Fitter, side_by_side

brainstate.environ.set(precision=64)
T = np.linspace(0.0, 3.0, 40)


class Decay(Module):
    """A sum of two decays, with noise that every evaluation shares."""

    def __init__(self):
        super().__init__()
        self.rate, self.scale = Param(jnp.array([0.4, 2.5])), Param(jnp.array([1.0, 0.3]))

    def update(self):
        noise = 0.01 * brainstate.random.normal(size=T.shape)
        return self.scale.value() @ jnp.exp(-self.rate.value()[:, None] * T) + noise


TARGET = 1.5 * np.exp(-0.7 * T) + 0.5 * np.exp(-3.0 * T)
ENGINES = {
    "adam": ({"optimizer": lambda: braintools.optim.Adam(lr=braintools.optim.StepLR(base_lr=0.05, step_size=7))}, 60, None),
    "lbfgsb": ({"backend": "scipy"}, 40, None),
    "nelder-mead": ({"backend": "scipy", "optimizer": "Nelder-Mead"}, 40, None),
    "least_squares": ({"backend": "least_squares"}, 60, None),
    "starts": ({"optimizer": lambda: braintools.optim.Adam(lr=0.05)}, 20, {"scale": [[1.0, 0.3], [0.2, 0.2], [2.0, 1.0]]}),
    "lanes": ({"optimizer": lambda: braintools.optim.Adam(lr=0.05)}, 20, {"scale": [[1.0, 0.3], [0.2, 0.2], [2.0, 1.0]]}),
    "nevergrad": (
        {"backend": "nevergrad", "search_space": {"rate": (0.1, 5.0), "scale": (0.0, 3.0)}, "optimizer": {"n_sample": 4}}, 20, None
    ),
}  # fmt: skip


def fit(engine, checkpoint, *, pause=0.0, n_steps=None, **options):
    """Run one fit, slowly enough to be killed in it."""
    brainstate.random.seed(1)
    settings, steps, starts = ENGINES[engine]
    settings = {k: v() if callable(v) else v for k, v in settings.items()}
    callbacks = None if engine == "lanes" else lambda info: time.sleep(pause)

    def recorded(*given):
        record(*given)
        time.sleep(pause)

    record = side_by_side.record  # of starts side by side, which have no callbacks
    fitter = Fitter(Decay(), predict=lambda m: m(), callbacks=callbacks, **settings)
    with mock.patch.object(side_by_side, "record", recorded):
        return fitter.fit(TARGET, n_steps or steps, starts=starts, checkpoint=checkpoint, every=3, **options)


def numbers(result):
    """Return all that must be the same to the last bit."""
    found = {
        "history": np.array(result.history),
        "best_loss": np.array(result.best_loss),
        "prediction": np.array(result.prediction),
    }
    found |= {name: np.array(value) for name, value in result.best_params.items()}
    found |= {f"norm of {name}": np.array(value) for name, value in result.gradient_norms.items()}
    for i, start in enumerate(result.starts):
        found |= {f"{i}.{name}": value for name, value in numbers(start).items()}
    return found


if __name__ == "__main__":
    engine, checkpoint, out = sys.argv[1:]
    result = fit(engine, checkpoint, pause=0.02)
    np.savez(f"{out}.part.npz", **numbers(result))
    os.replace(f"{out}.part.npz", out)  # whole or not at all
