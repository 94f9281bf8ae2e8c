"""Error-based predictive coding: the same energy with the errors, not the activities, as free variables."""

import jax
import jax.numpy as jnp

from brainmass_delays._core.checks import ArgumentError

from .arguments import checked
from .energies import LOSSES, check_loss, half_squared_error, output_first
from .initialization import init_activities_with_ffwd
from .layers import as_params
from .partition import as_variables, compile_over_arrays
from .prediction import layer_scalings, predict, sample_size
from .validation import check_labels, inputs_and_targets


@checked
def epc_energy(
    params,
    errors,
    y,
    x=None,
    loss_id="MSE",
    *,
    param_type="sp",
    output_energy_scaling=1.0,
    gamma=None,
    record_layers=False,
):
    r"""Compute the energy of a predictive-coding network as a function of its errors.

    .. math::

        z_l = a_l f_l(z_{l-1}) + s_l(z_{l-1}) + e_l, \qquad
        F = \frac1N \sum_{i=1}^N \Big[ \sum_{l=1}^{L-1} \tfrac12 \| e_l \|^2
            + \lambda\, \ell\big(y,\, a_L f_L(z_{L-1}) + s_L(z_{L-1})\big) \Big]

    Parameters
    ----------
    params : (model, skip_model)
        As for `pc_energy`.
    errors : list of arrays, each (batch, ...)
        ``[e_1, ..., e_L]`` with ``x``, ``[z_0, e_1, ..., e_L]`` without: the free input comes first. The last
        entry is inert, as for `pc_energy`. See `init_errors`.
    y, x, loss_id, param_type, output_energy_scaling, gamma, record_layers
        As for `pc_energy`.

    Returns
    -------
    array, () or (L,)
        Dimensionless; equal to `pc_energy` at `activities_of_errors`.

    Raises
    ------
    ArgumentError
        As `pc_energy`.

    Notes
    -----
    An error reaches the output in one sweep instead of one layer per step of inference, so that inference
    does not slow down with depth. The equilibria are those of `pc_energy`, and there the parameter
    gradients agree; elsewhere those at fixed errors run through the sweep and are not local.

    The published program also moves an error of the output, which nothing penalizes: run long enough, it
    takes over the whole residual and leaves nothing to learn from. Here that entry is inert.

    References
    ----------
    Goemaere et al. (2025), Error optimization: overcoming exponential signal decay in deep predictive coding
    networks, arXiv:2505.20137.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import epc_energy, init_errors, make_mlp
    >>> params = make_mlp(jax.random.key(0), [3, 5, 2], 'tanh'), None
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> [float(energy) > 0 for energy in epc_energy(params, init_errors(params, x), y, x, record_layers=True)]
    [True, False]
    """
    check_labels("epc_energy", y, loss_id)
    options = {"param_type": param_type, "output_energy_scaling": output_energy_scaling, "gamma": gamma}
    return _energy(
        as_params(params), as_variables(errors), y, x, loss_id, **options, record_layers=record_layers
    )


@checked
def init_errors(params, x, *, param_type="sp", gamma=None) -> list[jax.Array]:
    """Initialize all errors with zero, which is the feedforward pass.

    Parameters
    ----------
    params : (model, skip_model)
        As for `pc_energy`.
    x : array, (batch, ...)
        Input of the network.
    param_type, gamma
        As for `pc_energy`.

    Returns
    -------
    list of L arrays, each (batch, ...)
        Put a start of z_0 in front for a free input.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import init_errors, make_mlp
    >>> [e.shape for e in init_errors(make_mlp(jax.random.key(0), [3, 5, 2]), jax.numpy.ones((4, 3)))]
    [(4, 5), (4, 2)]
    """
    if x is None:
        raise ArgumentError("init_errors.x", "must hold the input", "None")
    return [
        jnp.zeros_like(z) for z in init_activities_with_ffwd(params, x, param_type=param_type, gamma=gamma)
    ]


@checked
def activities_of_errors(params, errors, x=None, *, param_type="sp", gamma=None) -> list[jax.Array]:
    """Sweep once through the network and return the activities that have these errors.

    Parameters
    ----------
    params, errors, x, param_type, gamma
        As for `epc_energy`.

    Returns
    -------
    list of arrays like ``errors``
        Activities as for `pc_energy`; the last entry is the prediction of the output.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import activities_of_errors, init_activities_with_ffwd, init_errors
    >>> from brainmass_delays.predictive import make_mlp
    >>> params, x = (make_mlp(jax.random.key(0), [3, 5, 2]), None), jax.numpy.ones((4, 3))
    >>> activities = activities_of_errors(params, init_errors(params, x), x)
    >>> bool((activities[0] == init_activities_with_ffwd(params, x)[0]).all())
    True
    """
    params = as_params(params)
    expected = len(params[0]) + (x is None)
    if len(errors) != expected:
        raise ArgumentError(
            "activities_of_errors.errors",
            f"must hold {expected} entries {'without' if x is None else 'with'} x",
            len(errors),
            "Start from init_errors",
        )
    return _activities(params, as_variables(errors), x, param_type, gamma)


def error_energy_of_batch(
    params,
    errors,
    y,
    x,
    loss_id,
    *,
    param_type="sp",
    output_energy_scaling=1.0,
    gamma=None,
    record_layers=False,
):
    """Return the energy of `epc_energy` without compiling it."""
    check_loss("epc_energy", loss_id)
    inputs_and_targets(errors, y, x, len(params[0]), "epc_energy.errors")
    prediction = activities_of_batch(params, errors, x, param_type, gamma)[-1]
    if prediction.shape != y.shape:
        raise ArgumentError(
            "epc_energy.y", f"must have the shape of the prediction, {prediction.shape}", y.shape
        )
    hidden = errors[x is None : -1]
    energies = [jnp.mean(jax.vmap(half_squared_error)(e, jnp.zeros_like(e))) for e in hidden]
    energies.append(output_energy_scaling * jnp.mean(jax.vmap(LOSSES[loss_id])(y, prediction)))
    return output_first(energies) if record_layers else sum(energies)


def activities_of_batch(params, errors, x, param_type="sp", gamma=None):
    """Return the activities of `activities_of_errors` without compiling."""
    start, errors = (errors[0], errors[1:]) if x is None else (x, errors)
    width = sample_size(errors[0])
    scalings = layer_scalings(params, sample_size(start), width, param_type, gamma)
    activities = [start]
    for l, scaling in enumerate(scalings):
        prediction = jax.vmap(lambda h, l=l, a=scaling: predict(params, l, h, a))(activities[-1])
        last = l == len(scalings) - 1
        if not last and errors[l].shape != prediction.shape:
            raise ArgumentError(
                f"epc_energy.errors[{l + (x is None)}]",
                f"must have the shape of what params[0][{l}] predicts, {prediction.shape}",
                errors[l].shape,
            )
        activities.append(prediction if last else prediction + errors[l])
    return activities[x is not None :]


_energy = compile_over_arrays(error_energy_of_batch)
_activities = compile_over_arrays(activities_of_batch)
