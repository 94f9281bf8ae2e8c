"""Inference by the steps of an optimizer instead of a solver."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from brainmass_delays._core.checks import ArgumentError, check_count
from brainmass_delays._core.status import NOT_FINITE, flag, raise_if_failed

from .arguments import checked, fits_optimizer
from .gradients import compute_activity_grad
from .layers import as_params
from .norms import tree_norm
from .partition import as_variables, compile_over_arrays
from .validation import check_labels
from .variants import energy_of


class ActivityUpdate(NamedTuple):
    """Hold one discrete step of inference.

    Attributes
    ----------
    energy : array, ()
        Before the step.
    activities, grads : list of arrays, each (batch, ...)
    opt_state : pytree
    """

    energy: jax.Array
    activities: list[jax.Array]
    grads: list[jax.Array]
    opt_state: Any


class Descent(NamedTuple):
    """Hold inference by an optimizer.

    Attributes
    ----------
    activities : list of arrays, each (batch, ...)
        After the last step.
    energies : array, (n_steps + 1,)
        Before the first step and after every step.
    grad_norms : array, (n_steps + 1,)
        Euclidean norm of the gradient in all activities, there.
    trajectory : list of arrays, each (n_steps + 1, batch, ...), or None
    """

    activities: list[jax.Array]
    energies: jax.Array
    grad_norms: jax.Array
    trajectory: list[jax.Array] | None


@checked
def update_activities(
    params, activities, optim, opt_state, y, x=None, loss_id="MSE", **energy_options
) -> ActivityUpdate:
    """Move the activities by one optax step down the energy.

    Parameters
    ----------
    params, activities, y, x, loss_id
        As for `pc_energy`.
    optim : optax.GradientTransformation
        E.g. ``optax.sgd(0.2)``; the gradient is that of a batch mean, so scale the rate with the batch size.
    opt_state : pytree
        ``optim.init(activities)``, then what the last step returned.
    **energy_options
        As for `compute_activity_grad`.

    Returns
    -------
    ActivityUpdate

    Examples
    --------
    >>> import jax, optax
    >>> from brainmass_delays.predictive import init_activities_with_ffwd, make_mlp, update_activities
    >>> params, optim = (make_mlp(jax.random.key(0), [3, 5, 2]), None), optax.sgd(0.2)
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> activities = init_activities_with_ffwd(params, x)
    >>> step = update_activities(params, activities, optim, optim.init(activities), y, x)
    >>> step.energy.shape
    ()
    """
    energy, grads = compute_activity_grad(params, activities, y, x, loss_id, **energy_options)
    activities, opt_state = apply_updates(
        "update_activities.opt_state",
        optim,
        grads,
        opt_state,
        as_variables(activities),
        "Make it by optim.init(activities)",
    )
    return ActivityUpdate(energy, activities, grads, opt_state)


@checked
def descend_inference(
    params, activities, optim, n_steps, y, x=None, loss_id="MSE", *, record=False, **energy_options
) -> Descent:
    """Move the activities by a fixed number of optax steps down the energy, in one compiled program.

    Parameters
    ----------
    params, activities, y, x, loss_id
        As for `pc_energy`; errors for ``variant='epc'``.
    optim : optax.GradientTransformation
        Starts from a fresh state. The gradient is that of a batch mean, so scale the rate with the batch
        size.
    n_steps : int
        Number of steps.
    record : bool, default False
        Keep the activities of every step.
    **energy_options
        As for `compute_activity_grad`.

    Returns
    -------
    Descent

    Raises
    ------
    ArgumentError
        As `pc_energy`, and for a number of steps below one.
    RunError
        When the energy becomes NaN or infinite, outside of ``jax.jit``.

    Notes
    -----
    Gradients in parameters and data are those of the steps taken, in either mode.

    Examples
    --------
    >>> import jax, optax
    >>> from brainmass_delays.predictive import descend_inference, init_activities_with_ffwd, make_mlp
    >>> params, x, y = make_mlp(jax.random.key(0), [3, 5, 2]), jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> start = init_activities_with_ffwd(params, x)
    >>> path = descend_inference(params, start, optax.sgd(0.4), 20, y, x)
    >>> path.energies.shape, bool(path.energies[-1] < path.energies[0])
    ((21,), True)
    """
    check_labels("descend_inference", y, loss_id)
    n_steps = check_count("descend_inference.n_steps", n_steps)
    path = _descend(
        as_params(params), as_variables(activities), optim, n_steps, y, x, loss_id, record, energy_options
    )
    diverged = flag(~jnp.all(jnp.isfinite(path.energies)), NOT_FINITE)
    raise_if_failed(
        "descend_inference", diverged, "Lower the rate of the optimizer, or mend layers and data."
    )
    return path


@compile_over_arrays
def _descend(params, activities, optim, n_steps, y, x, loss_id, record, energy_options):
    """Scan over the steps."""
    _check_optimizer(optim)
    gradient = jax.value_and_grad(lambda z: energy_of(params, z, y, x, loss_id, **energy_options))

    def step(carry, _):
        z, opt_state = carry
        energy, grads = gradient(z)
        updates, opt_state = optim.update(grads, opt_state, z)
        seen = energy, tree_norm(grads), z if record else None
        return (optax.apply_updates(z, updates), opt_state), seen

    (z, _), seen = jax.lax.scan(step, (activities, optim.init(activities)), length=n_steps)
    energy, grads = gradient(z)
    last = energy, tree_norm(grads), z if record else None
    path = jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), seen, last)
    return Descent(z, *path)


def apply_updates(where, optim, grads, opt_state, values, cure):
    """Apply one optax step, if ``opt_state`` fits; ``where`` and ``cure`` are for the message."""
    _check_optimizer(optim)
    try:
        return _apply_updates(optim, grads, opt_state, values)
    except (AttributeError, TypeError, ValueError):
        fits_optimizer(where, optim, opt_state, values, cure)
        raise


@compile_over_arrays
def _apply_updates(optim, grads, opt_state, values):
    """Apply one optax step."""
    updates, opt_state = optim.update(grads, opt_state, values)
    return optax.apply_updates(values, updates), opt_state


def _check_optimizer(optim):
    """Refuse what is no optimizer of optax."""
    if not isinstance(optim, optax.GradientTransformation):
        raise ArgumentError(
            "optim", "must be an optax.GradientTransformation", repr(optim), "E.g. optax.adam(1e-3)"
        )
