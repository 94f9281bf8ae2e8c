"""A coupling in which every region predicts its own activity from the delayed activity of others."""

from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError
from ..couplings import SeparableCoupling
from ..delays.read import DelayedRead


class LocalGrads(NamedTuple):
    """Hold the gradient of the prediction energy, connection by connection.

    Attributes
    ----------
    weights : array, (N, K)
        ``-e_i z_j(t - d_ij)``.
    delay : Quantity, (N, K)
        ``e_i W_ij z_j'(t - d_ij)``, per ms.
    """

    weights: jax.Array
    delay: Any


class PredictiveCoupling(SeparableCoupling):
    r"""Drive every region towards what the delayed activity of the others predicts.

    .. math::

        \text{drive}_i = -k\, e_i, \qquad e_i = z_i(t) - \sum_j W_{ij} z_j(t - d_{ij}), \qquad
        F = \tfrac12 \sum_i e_i^2

    Parameters
    ----------
    x, y : Callable
        Reads of the source, shape (..., N, K), and the target, shape (..., N).
    conn : array_like or Param, shape (N, K) or (N * K,)
        Weights W of the prediction, ``[target, source]``, dimensionless.
    k : float, Quantity or Param, default 1
        Strength, scalar or per target.

    Raises
    ------
    ArgumentError
        As `brainmass_delays.couplings.Coupling`.

    Notes
    -----
    Weights and delays learn by `local_grads`, step by step and without a reverse pass, or as ``Param`` by
    the gradient of a whole run, like those of any other coupling. Use it in a `Network` by
    ``coupling=PredictiveCoupling``.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import HopfStep, Network, Simulator
    >>> from brainmass_delays.predictive import PredictiveCoupling
    >>> net = Network(HopfStep(3, a=-0.1, init_x=0.1), conn=1 - np.eye(3), delay=5 * u.ms, coupled_var='x',
    ...               coupling=PredictiveCoupling, k=0.1)
    >>> result = Simulator(net, dt=0.5 * u.ms).run(10 * u.ms, monitors=lambda net: net.coupling.energy())
    >>> result['output'].shape
    (20,)
    """

    def __init__(self, x, y, conn, k: Any = 1.0):
        super().__init__({"x": x, "y": y}, conn, k=k)

    def error(self):
        """Return the prediction error of every target, shape (..., N)."""
        return self.y() - self.sums()[0]

    def energy(self):
        """Return half the squared error, summed over targets: shape (...)."""
        return 0.5 * jnp.sum(self.error() ** 2, axis=-1)

    def combine(self, sums, y):
        """Return the drive of every target, shape (..., N)."""
        return -self.k.value() * (y - sums[0])

    def local_grads(self) -> LocalGrads:
        """Compute the gradient of the present energy in weights and delays from what each connection sees.

        Returns
        -------
        LocalGrads
            Averaged over leading axes.

        Raises
        ------
        ArgumentError
            If the source is not read with a delay.

        Notes
        -----
        The slope ``z_j'`` is that of the buffer's interpolant. The result equals automatic differentiation
        through the buffer at fixed contents; it is not the gradient of a run, in which errors also act
        through the activity. Delays must stay within the bounds of their read, or all becomes NaN: project
        them there, and give ``prefetch_delay`` a ``min_delay``, which is a quarter of the start otherwise.
        """
        if not isinstance(self.x, DelayedRead):
            raise ArgumentError(
                "PredictiveCoupling.x",
                "must be a delayed read for local_grads",
                type(self.x).__name__,
                "Make it by node.prefetch_delay",
            )
        values, slopes = self.x.value_and_slope()
        weights = self.weights()
        error = (self.y() - jnp.sum(weights * values, axis=-1))[..., None]
        lead = tuple(range(values.ndim - 2))
        return LocalGrads(
            jnp.mean(-error * values, axis=lead), jnp.mean(error * weights * slopes, axis=lead) / u.ms
        )
