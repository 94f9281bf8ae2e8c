"""Bidirectional predictive coding: every level is predicted from both of its neighbors."""

import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError
from .arguments import checked
from .energies import LOSSES, check_loss, half_squared_error, output_first
from .layers import as_params
from .partition import as_variables, compile_over_arrays
from .validation import check_backward, check_labels, check_network, inputs_and_targets


@checked
def bpc_energy(
    params,
    activities,
    y,
    x=None,
    loss_id="MSE",
    *,
    alpha_forward=1.0,
    alpha_backward=1.0,
    record_layers=False,
):
    r"""Compute the energy of a bidirectional predictive-coding network.

    .. math::

        F = \frac1N \sum_{i=1}^N \sum_{l=1}^{L} \Big[ \alpha_f\, \tfrac12 \| z_l - f_l(z_{l-1}) \|^2
            + \alpha_b\, \tfrac12 \| z_{l-1} - g_l(z_l) \|^2 \Big]

    where :math:`z_L` is ``y`` and :math:`z_0` is ``x``, or the first activity if there is no ``x``.

    Parameters
    ----------
    params : (forward, backward)
        Two lists of L callables on one sample. ``forward[l]`` predicts a level from the one below it, towards
        ``y``; ``backward[l]`` predicts the level below from it, so that ``backward[0]`` makes ``x`` and
        ``backward[-1]`` reads ``y``. Put skips into the layers.
    activities : list of arrays, each (batch, ...)
        As for `pc_energy`; the last entry is inert.
    y : array, (batch, ...)
        Observation, clamped as z_L.
    x : array, (batch, ...), optional
        Prior, clamped as z_0. None leaves it free; its backward error stays.
    loss_id : {'MSE', 'CE'}, default 'MSE'
        Loss of the forward prediction of ``y``.
    alpha_forward, alpha_backward : float, default 1.0
        Weights of the two directions.
    record_layers : bool, default False
        Return the terms instead of their sum: the L forward ones in the order of `pc_energy`, then the L
        backward ones in the same order.

    Returns
    -------
    array, () or (2 L,)
        Dimensionless.

    Raises
    ------
    ArgumentError
        For a wrong number of entries, shapes that do not fit, labels that are not one-hot, unknown choices.

    Notes
    -----
    At fixed activities the gradients of both sets of weights are local. In a network whose prior is a label
    and whose observation an image, ``x=None`` infers the label and a feedforward pass of ``forward`` paints
    the image.

    References
    ----------
    Oliviers, Tang, Bogacz (2025), Bidirectional predictive coding, arXiv:2505.23415.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import bpc_energy, init_activities_with_ffwd, make_mlp
    >>> params = make_mlp(jax.random.key(0), [3, 5, 2]), make_mlp(jax.random.key(1), [2, 5, 3])[::-1]
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> bpc_energy(params, init_activities_with_ffwd(params[0], x), y, x, record_layers=True).shape
    (4,)
    """
    check_both_models(params)
    check_labels("bpc_energy", y, loss_id)
    alphas = {"alpha_forward": alpha_forward, "alpha_backward": alpha_backward}
    return _energy(
        as_params(params), as_variables(activities), y, x, loss_id, **alphas, record_layers=record_layers
    )


def check_both_models(params) -> None:
    """Refuse ``params`` that lack the backward model."""
    if not (isinstance(params, tuple) and len(params) == 2 and params[1]):
        raise ArgumentError("params", "must be (forward, backward) for variant='bpc'", "one model")


def bidirectional_energy_of_batch(
    params, activities, y, x, loss_id, *, alpha_forward=1.0, alpha_backward=1.0, record_layers=False
):
    """Return the energy of `bpc_energy` without compiling it."""
    check_loss("bpc_energy", loss_id)
    forward, backward = params
    below, above = inputs_and_targets(activities, y, x, len(forward))
    check_network((forward, None), activities, y, x)
    check_backward(backward, below, above)
    losses = [half_squared_error] * (len(forward) - 1) + [LOSSES[loss_id]]

    def of_sample(below, above):
        upwards = [loss(z, f(h)) for loss, f, h, z in zip(losses, forward, below, above, strict=True)]
        downwards = [half_squared_error(z, g(h)) for g, h, z in zip(backward, above, below, strict=True)]
        return upwards, downwards

    upwards, downwards = (list(map(jnp.mean, terms)) for terms in jax.vmap(of_sample)(below, above))
    upwards = [alpha_forward * energy for energy in upwards]
    downwards = [alpha_backward * energy for energy in downwards]
    if record_layers:
        return jnp.concatenate([output_first(upwards), output_first(downwards)])
    return sum(upwards) + sum(downwards)


_energy = compile_over_arrays(bidirectional_energy_of_batch)
