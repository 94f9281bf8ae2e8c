"""Distances of a prediction from a recording, point by point."""

from typing import Any

import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, numbers
from .._core.checks import ArgumentError
from .._core.status import is_traced
from .._core.units import magnitude
from .objective import objective
from .series import DATA, in_one_unit, root, same_shape


@objective("loss")
@checked(prediction=DATA, target=DATA)
def timeseries_mse(prediction, target):
    """Measure the mean squared difference of two time series.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, ...)
        Two series of one shape and one dimension. Leave both out to get the callable itself.

    Returns
    -------
    jax.Array, shape ()
        ``mean((prediction - target)**2)``, a plain number in the squared unit of ``prediction``.

    Raises
    ------
    ArgumentError
        If the shapes differ, or one has a unit and the other has none or another dimension.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays import objectives
    >>> float(objectives.timeseries_mse(jnp.ones((4, 2)), 3 * jnp.ones((4, 2))))
    4.0
    """
    same_shape("timeseries_mse", prediction, target)
    prediction, target = in_one_unit("timeseries_mse", prediction, target)
    return jnp.mean((prediction - target) ** 2)


@objective("loss")
@checked(prediction=DATA, target=DATA)
def timeseries_rmse(prediction, target):
    """Measure the root mean squared difference of two time series.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, ...)
        Two series of one shape and one dimension. Leave both out to get the callable itself.

    Returns
    -------
    jax.Array, shape ()
        ``sqrt(mean((prediction - target)**2))``, a plain number in the unit of ``prediction``.

    Raises
    ------
    ArgumentError
        If the shapes differ, or one has a unit and the other has none or another dimension.

    Notes
    -----
    The loss has a corner at zero: there the gradient is set to 0, elsewhere it is exact.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays import objectives
    >>> loss = objectives.timeseries_rmse()
    >>> float(loss(jnp.ones((4, 2)), 3 * jnp.ones((4, 2))))
    2.0
    """
    same_shape("timeseries_rmse", prediction, target)
    prediction, target = in_one_unit("timeseries_rmse", prediction, target)
    return root(jnp.mean((prediction - target) ** 2))


@objective("loss", likelihood=True)
@checked(prediction=DATA, target=DATA)
def gaussian_nll(prediction, target, *, sigma: Any):
    r"""Measure the negative log likelihood of a recording with independent Gaussian noise. A loss.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, ...)
        Two series of one shape and one dimension. Leave both out to get the callable itself.
    sigma : float, array_like, Quantity or Param
        Standard deviation of the noise, positive, in the dimension of the prediction; scalar or of a shape
        that broadcasts to it, e.g. one per region. A Param is trained if the model reaches it.

    Returns
    -------
    jax.Array, shape ()
        :math:`\sum \frac{(p - t)^2}{2 \sigma^2} + \log \sigma + \frac12 \log 2\pi` over all numbers, sigma in
        the unit of the prediction.

    Raises
    ------
    ArgumentError
        If the shapes differ, or the dimension of one of the three does.

    Notes
    -----
    The gradient is exact, also in sigma, whose best value is the root mean squared difference. A sigma that
    is not positive gives NaN: bound a Param, e.g. with ``t=SoftplusT(0.0)``.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays import objectives
    >>> round(float(objectives.gaussian_nll(jnp.ones(4), jnp.zeros(4), sigma=1.0)), 4)
    5.6758
    """
    same_shape("gaussian_nll", prediction, target)
    sigma = sigma.value() if callable(getattr(sigma, "value", None)) else sigma
    numbers()("gaussian_nll.sigma", sigma)
    sigma = jnp.asarray(magnitude("gaussian_nll.sigma", sigma, u.get_unit(prediction), plain=False))
    if not is_traced(sigma) and not np.all((sigma > 0) & np.isfinite(sigma)):
        raise ArgumentError("gaussian_nll.sigma", "must be positive and finite", np.min(sigma))
    prediction, target = in_one_unit("gaussian_nll", prediction, target)
    if sigma.ndim > prediction.ndim or any(
        a not in (1, b) for a, b in zip(sigma.shape[::-1], prediction.shape[::-1], strict=False)
    ):
        raise ArgumentError("gaussian_nll.sigma", f"must broadcast to {prediction.shape}", sigma.shape)
    sigma = sigma.reshape(*[1] * (prediction.ndim - sigma.ndim), *sigma.shape)
    terms = 0.5 * ((prediction - target) / sigma) ** 2 + jnp.log(sigma)
    return jnp.sum(terms + 0.5 * jnp.log(2 * jnp.pi))
