"""BOLD by convolution with a hemodynamic response function, while the neural model runs."""

from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import returned
from .._core.checks import ArgumentError, check_choice
from .._core.status import is_traced
from .._core.trees import select
from .._core.units import magnitude
from .average import zeros_like
from .averaged_input import InterimMonitor
from .monitor import check_period, emission_rows
from .parameters import number, to_param
from .response_functions import KERNELS
from .schedule import schedule

UNITS = dict.fromkeys(
    ("delay", "undershoot", "dispersion", "tau", "tau1", "tau2", "tau_s", "tau_f"), u.second
)
UNITS |= dict.fromkeys(("rate", "f1", "f2"), u.Hz)
NORMALIZATIONS = ("area", "peak", "none", "tvb")
TVB_GAIN, TVB_OFFSET = 5.6 * 0.02, 1.0  # k_1 V_0, and the activity at rest that it takes away


class HRF(InterimMonitor):
    r"""Turn neural activity into BOLD by a convolution: :math:`y(t) = \int_0^D h(s) \, x(t - s) \, ds`.

    Parameters
    ----------
    source : str or callable, optional
        Neural activity x, see `Monitor`.
    period : Quantity
        Repetition time TR.
    kernel : {'spm', 'glover', 'mixture_of_gammas', 'volterra', 'gamma', 'damped_sines'} or callable
        The response h, or ``h(t)`` of times in s, an array ``(n,)``, that returns ``(n,)`` or
        ``(n, n_nodes)``. Default ``'spm'``.
    normalize : {'area', 'peak', 'none', 'tvb'}, default 'area'
        ``'area'``: h is scaled to a unit integral, so constant activity is its own response. ``'peak'``: to
        a largest value of 1 per s. ``'none'``: h as published. ``'tvb'``: the sum without a time step that
        The Virtual Brain forms, whose size depends on ``step``.
    duration : Quantity, optional
        D, after which the response is cut off: by default 20, 32 or 40 s, where it has died out.
    step : Quantity, default 10 ms
        Step of the convolution. Activity that comes faster is averaged to it. The Virtual Brain has 4 ms.
    **parameters : Quantity, float or Param
        Parameters of a named kernel, scalar or one per region: ``delay``, ``undershoot``, ``dispersion`` and
        ``ratio`` of the first two; ``a1``, ``a2``, ``rate``, ``c``; ``tau_s``, ``tau_f``; ``tau``, ``n``;
        ``tau1``, ``tau2``, ``f1``, ``f2``, ``a1``, ``a2``. A plain number is in s or Hz.

    Raises
    ------
    ArgumentError
        If a choice or the name or unit of a parameter is wrong, ``tau_f`` is not below ``4 tau_s**2``, or the
        kernel returns another shape.

    Notes
    -----
    The integral is a sum over the means of ``step``, with h in the middle of each (order 2): the response to
    given activity does not depend on ``step``. Before the run activity is 0, so the first D hold a
    transient. Emitted in the unit of the activity. Memory: D / step values per region. The gradient is
    exact, also in the parameters of the kernel.

    With ``'tvb'`` the kernel is taken at the beginning of each mean, and ``'volterra'`` becomes
    :math:`k_1 V_0 (\sum_j h_j x_j - 1)` with :math:`k_1 = 5.6` and :math:`V_0 = 0.02`.

    References
    ----------
    See `brainmass_delays.observe.response_functions`.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import HRF, apply
    >>> activity = jnp.zeros((2000, 1)).at[0].set(1.0)
    >>> ts, bold = apply(HRF(period=1 * u.second, normalize='peak'), activity, dt=10 * u.ms)
    >>> int(ts[bold[:, 0].argmax()].to_decimal(u.second))
    5
    """

    def __init__(
        self,
        source: str | Callable | None = None,
        period: Any = None,
        kernel: str | Callable = "spm",
        *,
        normalize: str = "area",
        duration: Any = None,
        step: Any = 10.0 * u.ms,
        **parameters: Any,
    ):
        super().__init__(source, period, step)
        if period is None:
            raise ArgumentError("HRF.period", "must be a time", "None", "Pass the repetition time")
        self.normalize = check_choice("HRF.normalize", normalize, NORMALIZATIONS)
        if callable(kernel):
            published, longest = {}, 32
        else:
            _, published, longest = KERNELS[check_choice("HRF.kernel", kernel, KERNELS)]
        self.kernel, self._names = kernel, tuple(published)
        self.duration = check_period("HRF.duration", longest * u.second if duration is None else duration)
        for name in parameters:
            check_choice("HRF.parameters", name, published)
        for name, value in (published | parameters).items():
            unit = UNITS.get(name, u.UNITLESS)
            setattr(self, name, to_param(f"HRF.{name}", value, unit, positive=name not in ("c", "ratio")))
        if kernel == "volterra":
            self._check_underdamped()

    def _check_underdamped(self) -> None:
        """Refuse time constants for which the Volterra kernel does not oscillate."""
        tau_s, tau_f = (getattr(self, name).value().to_decimal(u.second) for name in ("tau_s", "tau_f"))
        if not is_traced((tau_s, tau_f)) and np.any(tau_f >= 4 * tau_s**2):
            raise ArgumentError("HRF.tau_f", "must be below 4 tau_s**2, in s", tau_f)

    def response(self, t: Any, like: Any = None) -> jax.Array:
        """Return h as published at times ``t``.

        Parameters
        ----------
        t : array_like or Quantity, shape (n,)
            Times; plain numbers are s.
        like : array or ShapeDtypeStruct, shape (..., n_nodes), optional
            Activity that parameters per region must match.

        Returns
        -------
        jax.Array, shape (n,) or (n, n_nodes)
        """
        t = np.asarray(magnitude("HRF.response.t", t, u.second))
        if callable(self.kernel):
            h = jnp.asarray(returned("HRF.kernel", self.kernel(t)))
            regions = h.shape[1:] if like is None else tuple(like.shape[-1:])
            if h.shape not in (t.shape, (*t.shape, *regions)) or h.ndim > 2:
                rule = f"must return one value per time, {t.shape}, or per time and region"
                raise ArgumentError("HRF.kernel", rule, h.shape)
            return h
        p = {n: number(f"HRF.{n}", getattr(self, n), UNITS.get(n, u.UNITLESS), like) for n in self._names}
        if any(jnp.ndim(value) for value in p.values()):
            t = t[:, None]  # [time, region]
        return KERNELS[self.kernel][0](t, **p)

    def weights(self, dt: Any, like: Any = None) -> jax.Array:
        """Return what the last means are multiplied with, the newest first, ``(n,)`` or ``(n, n_nodes)``."""
        h = dt.to_decimal(u.second)
        ages = np.arange(self._length(dt)) * 1.0
        if self.normalize == "tvb":
            return self.response(ages * h, like)
        weights = self.response((ages + 0.5) * h, like) * h
        if self.normalize == "area":
            return weights / jnp.sum(weights, axis=0)
        return weights / (jnp.max(weights, axis=0) / h) if self.normalize == "peak" else weights

    def start(self, value, dt):
        """Return the last means, oldest first, and the last emission."""
        zero = u.get_magnitude(zeros_like(value))
        return jnp.zeros((self._length(dt), *zero.shape), zero.dtype), zeros_like(value)

    def emit(self, state):
        """Return the last emission."""
        return state[1]

    def advance_means(self, state, means, i, dt, n):
        """Convolve at every emission; past means are kept for the next stretch."""
        past, last = state
        plan, n_rows = schedule("HRF.period", self.period, dt), len(means)
        newest_last = self.weights(dt, past)[::-1].astype(past.dtype)
        buffer = jnp.concatenate([past, u.get_magnitude(means)])
        rows, count = emission_rows(plan, i, n_rows, n)
        respond = jax.checkpoint(lambda row: _weighted_sum(newest_last, buffer, row + 1))
        samples = jax.lax.map(respond, rows)
        if self.normalize == "tvb" and self.kernel == "volterra":
            samples = TVB_GAIN * (samples - TVB_OFFSET)
        samples = jax.tree.map(lambda _: samples, means)  # in the unit of the activity
        newest = jax.tree.map(lambda leaf: leaf[jnp.maximum(count - 1, 0)], samples)
        past = jax.lax.dynamic_slice_in_dim(buffer, n, len(past))
        return (past, select(count > 0, newest, last)), samples, count

    def _length(self, dt):
        """Return how many means the response holds."""
        return max(1, round(self.duration.to_decimal(u.second) / dt.to_decimal(u.second)))


def _weighted_sum(weights: jax.Array, buffer: jax.Array, start: Any) -> jax.Array:
    """Return the sum over time of a window of the buffer times weights, ``(n,)`` or ``(n, n_nodes)``."""
    window = jax.lax.dynamic_slice_in_dim(buffer, start, len(weights))
    if weights.ndim == 1:
        return jnp.tensordot(weights, window, 1)
    return jnp.einsum("tn,t...n->...n", weights, window)
