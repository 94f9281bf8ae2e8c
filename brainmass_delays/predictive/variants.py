"""The kinds of predictive coding that gradients, inference and learning know, by name."""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from brainmass_delays._core.checks import check_choice

from .bidirectional_coding import bidirectional_energy_of_batch, check_both_models
from .energies import energy_of_batch
from .error_coding import error_energy_of_batch
from .initialization import init_activities_with_ffwd
from .layers import as_params
from .partition import as_variables, compile_over_arrays


class Variant(NamedTuple):
    """Describe one kind of predictive coding.

    ``energy(params, variables, y, x, loss_id, **options)`` is the batch mean of free variables, whose last
    entry is inert: activities, or errors.
    """

    energy: Callable
    frees_errors: bool = False
    has_backward_model: bool = False


VARIANTS = {
    "pc": Variant(energy_of_batch),
    "epc": Variant(error_energy_of_batch, frees_errors=True),
    "bpc": Variant(bidirectional_energy_of_batch, has_backward_model=True),
}


def find_variant(name: str, params) -> Variant:
    """Look up a kind of predictive coding; refuse ``params`` that lack its backward model."""
    found = VARIANTS[check_choice("variant", name, VARIANTS)]
    if found.has_backward_model:
        check_both_models(params)
    return found


@functools.cache
def options_of(variant: str) -> tuple[str, ...]:
    """Return the names of the options that the energy of a variant takes."""
    parameters = inspect.signature(VARIANTS[variant].energy).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def feedforward_of(params, x, *, variant="pc", **energy_options):
    """Return the activities of a feedforward pass; options that do not scale predictions are ignored."""
    forward = (params[0], None) if find_variant(variant, params).has_backward_model else params
    scalings = {name: energy_options[name] for name in ("param_type", "gamma") if name in energy_options}
    return init_activities_with_ffwd(forward, x, **scalings)


def start_of(params, x, *, variant="pc", **energy_options):
    """Return the free variables of the feedforward pass."""
    activities = feedforward_of(params, x, variant=variant, **energy_options)
    return list(map(jnp.zeros_like, activities)) if VARIANTS[variant].frees_errors else activities


def energy_of(params, variables, y, x, loss_id, *, variant="pc", **options):
    """Return the energy of a batch, of the kind ``variant``."""
    energy = find_variant(variant, params).energy
    for name in options:
        check_choice(f"energy options of variant={variant!r}", name, options_of(variant))
    return energy(params, variables, y, x, loss_id, **options)


def layer_energies(params, variables, y, x, loss_id, **options):
    """Return the terms of the energy, the output first."""
    return _layer_energies(as_params(params), as_variables(variables), y, x, loss_id, **options)


@compile_over_arrays
def _layer_energies(params, variables, y, x, loss_id, **options):
    """Return the terms of the energy of a batch."""
    return energy_of(params, variables, y, x, loss_id, **options, record_layers=True)
