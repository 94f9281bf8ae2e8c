"""Closed forms: the equilibrium of deep linear networks, and the stability of one delayed unit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from brainmass_delays._core.checks import ArgumentError, check_positive

from .arguments import checked
from .layers import as_params
from .prediction import layer_scalings, predict


@checked
def linear_equilibrium_activities(params, *, y, x, param_type="sp", gamma=None, output_energy_scaling=1.0):
    r"""Solve for the activities at which the energy of a deep linear network is least.

    Parameters
    ----------
    params : (model, skip_model)
        As for `pc_energy`; every layer and skip must be affine, ``W z + b``.
    y : array, (batch, n_out)
        Observation.
    x : array, (batch, n_in)
        Prior.
    param_type, gamma, output_energy_scaling
        As for `pc_energy` with ``loss_id='MSE'``.

    Returns
    -------
    list of L arrays, each (batch, n_l)
        ``[z_1, ..., z_{L-1}]`` and the prediction of y, like the activities of `pc_energy`.

    Raises
    ------
    ArgumentError
        If a layer is not affine.

    Notes
    -----
    Solves ``A z = b`` per sample with the Hessian A of `linear_activity_hessian`; the cost is cubic in the
    number of hidden units. Exact gradients in parameters and data.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import linear_equilibrium_activities, make_mlp
    >>> model = make_mlp(jax.random.key(0), [3, 5, 2], 'identity')
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> [z.shape for z in linear_equilibrium_activities((model, None), y=y, x=x)]
    [(4, 5), (4, 2)]
    """
    weights, biases = _affine_layers(params, x, param_type, gamma)
    _check_targets("linear_equilibrium_activities", x, y, weights)
    hessian = _hessian(weights, output_energy_scaling)
    sizes = [w.shape[0] for w in weights[:-1]]

    def solve(x, y):
        targets = [weights[0] @ x + biases[0], *biases[1:-1]]
        errors = [*biases[1:-1], output_energy_scaling * (biases[-1] - y)]
        right = [t - w.T @ e for t, w, e in zip(targets, weights[1:], errors, strict=True)]
        return jnp.linalg.solve(hessian, jnp.concatenate(right))

    hidden = jnp.split(jax.vmap(solve)(x, y), np.cumsum(sizes)[:-1], axis=1)
    return [*hidden, hidden[-1] @ weights[-1].T + biases[-1]]


@checked
def linear_equilibrium_energy(params, *, y, x, param_type="sp", gamma=None, output_energy_scaling=1.0):
    r"""Compute the least energy of a deep linear network without solving for the activities.

    .. math::

        F^* = \frac1{2N} \sum_i r_i^T S^{-1} r_i, \quad r = y - f_L(\dots f_1(x)), \quad
        S = I / \lambda + \sum_{l=2}^{L} (W_L \cdots W_l) (W_L \cdots W_l)^T

    where ``W_l`` includes the scaling and the skip of the layer.

    Parameters
    ----------
    params, y, x, param_type, gamma, output_energy_scaling
        As for `linear_equilibrium_activities`.

    Returns
    -------
    array, ()

    Notes
    -----
    The cost is that of L - 1 matrix products and one solve with S, of the size of the output.

    References
    ----------
    Innocenti et al. (2024), Only strict saddles in the energy landscape of predictive coding networks?

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import linear_equilibrium_energy, make_mlp
    >>> model = make_mlp(jax.random.key(0), [3, 5, 2], 'identity')
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> bool(linear_equilibrium_energy((model, None), y=y, x=x) > 0)
    True
    """
    weights, biases = _affine_layers(params, x, param_type, gamma)
    _check_targets("linear_equilibrium_energy", x, y, weights)
    prediction = x
    for w, b in zip(weights, biases, strict=True):
        prediction = prediction @ w.T + b
    residual = y - prediction
    scaled = jnp.linalg.solve(_rescaling(weights, output_energy_scaling), residual.T)
    return jnp.sum(residual.T * scaled) / (2 * len(residual))


@checked
def linear_energy_rescaling(params, x, *, param_type="sp", gamma=None, output_energy_scaling=1.0):
    """Compute the matrix S by which the equilibrium energy differs from the loss of the feedforward pass.

    Parameters
    ----------
    params, x, param_type, gamma, output_energy_scaling
        As for `linear_equilibrium_activities`; only the shape of ``x`` is used.

    Returns
    -------
    array, (n_out, n_out)
        S of `linear_equilibrium_energy`.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import linear_energy_rescaling, make_mlp
    >>> model = make_mlp(jax.random.key(0), [3, 5, 2], 'identity')
    >>> linear_energy_rescaling((model, None), jax.numpy.ones((4, 3))).shape
    (2, 2)
    """
    return _rescaling(_affine_layers(params, x, param_type, gamma)[0], output_energy_scaling)


@checked
def linear_activity_hessian(params, x, *, param_type="sp", gamma=None, output_energy_scaling=1.0):
    """Compute the Hessian of one sample's energy in the hidden activities of a deep linear network.

    Parameters
    ----------
    params, x, param_type, gamma, output_energy_scaling
        As for `linear_equilibrium_activities`; only the shape of ``x`` is used.

    Returns
    -------
    array, (n_hidden, n_hidden)
        Block tridiagonal and symmetric, ``I + W_{l+1}^T W_{l+1}`` on the diagonal and ``-W_{l+1}`` below it;
        the hidden units of all layers follow each other. Its eigenvalues are the rates of inference.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import linear_activity_hessian, make_mlp
    >>> model = make_mlp(jax.random.key(0), [3, 5, 4, 2], 'identity')
    >>> linear_activity_hessian((model, None), jax.numpy.ones((1, 3))).shape
    (9, 9)
    """
    return _hessian(_affine_layers(params, x, param_type, gamma)[0], output_energy_scaling)


@checked
def critical_delay(weight, tau: Any = 1.0):
    r"""Compute the delay beyond which one hidden unit oscillates ever more strongly.

    A unit ``tau dz/dt = -e(t) - w e_out(t - d)`` whose output prediction ``w z`` arrives after the same
    delay d obeys ``tau dz/dt = -z(t) - w^2 z(t - 2 d) + const``. It is stable for every delay if ``|w| <=
    1``, and otherwise below

    .. math:: d^* = \tau \frac{\arccos(-1 / w^2)}{2 \sqrt{w^4 - 1}}.

    Parameters
    ----------
    weight : array
        Weight w of the output, dimensionless.
    tau : float or Quantity, default 1.0
        Time constant.

    Returns
    -------
    array or Quantity, shape of ``weight``
        Delay in one direction, in the unit of ``tau``; infinite where ``|w| <= 1``.

    Notes
    -----
    Setting ``s = i omega`` in ``tau s + 1 + w^2 exp(-2 s d) = 0`` gives the frequency of
    `critical_frequency`. The gradient is zero where the result is infinite.

    Examples
    --------
    >>> from brainmass_delays.predictive import critical_delay
    >>> print(round(float(critical_delay(1.5)), 4))
    0.5039
    """
    check_positive("critical_delay.tau", getattr(tau, "mantissa", tau))
    w2, unstable = _squared_where_unstable(weight)
    return jnp.where(unstable, jnp.arccos(-1 / w2) / (2 * jnp.sqrt(w2**2 - 1)), jnp.inf) * tau


@checked
def critical_frequency(weight, tau: Any = 1.0):
    r"""Compute the frequency of one hidden unit at its critical delay, ``sqrt(w^4 - 1) / (2 pi tau)``.

    Parameters
    ----------
    weight : array
        Weight w of the output, dimensionless.
    tau : float or Quantity, default 1.0
        Time constant.

    Returns
    -------
    array or Quantity, shape of ``weight``
        Cycles per unit of ``tau``; zero where no delay makes the unit oscillate, ``|w| <= 1``.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays.predictive import critical_frequency
    >>> print(round(float(critical_frequency(1.35, 17 * u.ms).to_decimal(u.Hz)), 1))
    14.3
    """
    check_positive("critical_frequency.tau", getattr(tau, "mantissa", tau))
    w2, unstable = _squared_where_unstable(weight)
    return jnp.where(unstable, jnp.sqrt(w2**2 - 1), 0.0) / (2 * jnp.pi * tau)


def _squared_where_unstable(weight):
    """Return the squared weight, 2 where it is at most one, and where it is above one."""
    w2 = jnp.asarray(weight, dtype=float) ** 2
    return jnp.where(w2 > 1, w2, 2.0), w2 > 1


def _affine_layers(params, x, param_type, gamma) -> tuple[list, list]:
    """Return weight and bias of ``a_l f_l + s_l`` for every layer, by differentiating it at zero."""
    if x is None:
        raise ArgumentError(
            "linear theory.x", "must hold the prior", "None", "Without a prior the equilibrium is not unique"
        )
    params = as_params(params)
    try:
        width = jax.eval_shape(lambda h: predict(params, 0, h), x[0]).size
    except (TypeError, ValueError) as error:
        got = f"samples of shape {x.shape[1:]}: {error}"
        raise ArgumentError("linear theory.x", "must hold samples that params[0][0] reads", got) from error
    sample = jnp.zeros(x.shape[1:], jnp.result_type(x, float))
    weights, biases = [], []
    for l, scaling in enumerate(layer_scalings(params, x[0].size, width, param_type, gamma)):
        layer = lambda h, l=l, scaling=scaling: predict(params, l, h, scaling)  # noqa: E731
        weights.append(jax.jacobian(layer)(sample))
        biases.append(layer(sample))
        _check_affine(layer, weights[-1], biases[-1], l)
        sample = jnp.zeros_like(biases[-1])
    return weights, biases


def _check_targets(where, x, y, weights):
    """Refuse an observation that is not one row of the last layer per sample."""
    shape = len(x), len(weights[-1])
    if y is None or jnp.shape(y) != shape:
        got = "None" if y is None else jnp.shape(y)
        raise ArgumentError(f"{where}.y", f"must have the shape (batch, n_out) = {shape}", got)


def _check_affine(layer: Callable, weight, bias, l: int):
    """Refuse a layer that is not affine, by one probe."""
    probe = jnp.linspace(-2.0, 3.0, weight.shape[1])
    miss = jnp.max(jnp.abs(layer(probe) - weight @ probe - bias))
    if (
        not isinstance(miss, jax.core.Tracer)
        and miss > 1e-4 * (1 + jnp.max(jnp.abs(weight))) * weight.shape[1]
    ):
        raise ArgumentError(
            f"linear theory.params[0][{l}]", "must be affine, W z + b", f"a deviation of {miss:.2g}"
        )


def _hessian(weights, precision):
    """Assemble the block tridiagonal Hessian of the hidden activities."""
    sizes = [w.shape[0] for w in weights[:-1]]
    ends = np.cumsum([0, *sizes])
    hessian = jnp.eye(ends[-1], dtype=weights[0].dtype)
    for l, w in enumerate(weights[1:]):
        here = slice(ends[l], ends[l + 1])
        last = l == len(sizes) - 1
        hessian = hessian.at[here, here].add((precision if last else 1.0) * w.T @ w)
        if not last:
            above = slice(ends[l + 1], ends[l + 2])
            hessian = hessian.at[above, here].set(-w).at[here, above].set(-w.T)
    return hessian


def _rescaling(weights, precision):
    """Return ``I / precision`` plus the products of the last weights with their transposes."""
    product = jnp.eye(weights[-1].shape[0], dtype=weights[-1].dtype)
    rescaling = product / precision
    for w in weights[:0:-1]:
        product = product @ w
        rescaling += product @ product.T
    return rescaling
