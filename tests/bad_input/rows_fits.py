"""Rows of results of fits, of fits that look around, and of many at once."""

import contextlib
import tempfile

import brainstate
import jax.numpy as jnp
import numpy as np
from rows import _fitter, _Model, _swept
from table import FLAG, row, rows

import brainmass_delays as bd
from brainmass_delays import FitResult, objectives

DATA = np.arange(4.0)


def _in_a_folder(call):
    """Return the call, made in an empty folder, with nothing returned."""

    def made(value):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            call(value)

    return made


def _likely(**options):
    """Return a fitter whose loss is a likelihood."""
    return _fitter(objective=objectives.gaussian(sigma=1.0), **options)


def _fit(fitter=None, **options):
    return (fitter or _likely()).fit(DATA, **{"n_steps": 2} | options)


RESULT = _fit()
row("FitResult.optima.rtol", lambda v: (RESULT.optima(v), None)[1], "zero half bool")
row("FitResult.uncertainty.level", lambda v: (RESULT.uncertainty(level=v), None)[1])
row("FitResult.uncertainty.method", lambda v: RESULT.uncertainty(method=v))
row("FitResult.identifiability.method", lambda v: RESULT.identifiability(method=v))
row("FitResult.save.path", _in_a_folder(RESULT.save), "string")
row("FitResult.load.path", FitResult.load)

# ------------------------------------------------------------------------------------------------- fits

row("Fitter.mode", lambda v: _fit(_likely(mode=v)) and None)
row("Fitter.priors", lambda v: _fit(_likely(priors=v)) and None, "none")
row("Fitter.fit.checkpoint", _in_a_folder(lambda v: _fit(checkpoint=v)), "none string")
row("Fitter.fit.every", _in_a_folder(lambda v: _fit(checkpoint="fit.npz", every=v)))
_GONE_ON = _likely()
_fit(_GONE_ON)
row("Fitter.fit.resume", lambda v: _fit(_GONE_ON, resume=v) and None, FLAG)


class _Random(_Model):
    """Add noise to the parameter."""

    def update(self):
        return self.x.value() + brainstate.random.normal(size=4)


def _noise_floor(target=DATA, **options):
    _fitter(model=_Random(), predict=lambda model: model()).noise_floor(target, **options)


row("Fitter.noise_floor.target", lambda v: _noise_floor(v), "")
row("Fitter.noise_floor.seeds", lambda v: _noise_floor(seeds=v))
_PROFILE = {"name": "x", "values": [0.5, 1.5], "target": DATA, "n_steps": 2}
rows(
    "Fitter.profile",
    lambda **o: (_likely().profile(o.pop("name"), o.pop("values"), o.pop("target"), **o), None)[1],
    _PROFILE,
    {"name": "", "values": "", "target": "", "n_steps": ""},
)
row("Fitter.log_density.target", lambda v: (_likely().log_density(v), None)[1])
row("Fitter.log_density.space", lambda v: _likely().log_density(DATA, space=v))

# -------------------------------------------------------------------------------------------- parameters

row("get_params.model", bd.get_params)
row("get_params.fixed", lambda v: (bd.get_params(_Model(), fixed=v), None)[1], FLAG)
row("use_cores.n", bd.use_cores)
row("set_params.model", lambda v: bd.set_params(v, {"x": 1.0}))
row("set_params.values", lambda v: bd.set_params(_Model(), v))

# ------------------------------------------------------------------------------------------ many at once


def _problem(level):
    return _likely(), (level + 5.0) * jnp.ones(4)


row(
    "fit_many.subjects",
    lambda v: (bd.fit_many(_problem, v, 2), None)[1],
    "mapping shape one objects",  # what a subject raises is its message
)
rows(
    "fit_many",
    lambda **o: _raised(bd.fit_many(**o)),
    {"make_problem": _problem, "subjects": [1.0, 2.0], "n_steps": 2},
    {
        "make_problem": "",
        "n_steps": "",
        "executor": "none",
        "retries": "zero",
        "level": "none",
        "progress": FLAG,
    },
)
row(
    "fit_many.checkpoints",
    _in_a_folder(lambda v: _raised(bd.fit_many(_problem, [1.0], 2, checkpoints=v))),
    "none string",
)


def _raised(cohort):
    """Raise the message of a subject, as a user reads it."""
    for message in cohort.messages:
        if message:
            raise bd.ArgumentError("fit_many", message)


row("sweep.retries", lambda v: (bd.sweep(_swept, {"a": DATA}, retries=v), None)[1], "none zero")
row("sweep.store", _in_a_folder(lambda v: bd.sweep(_swept, {"a": DATA}, store=v)), "none string")
