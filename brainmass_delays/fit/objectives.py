"""Distances between a predicted and a recorded time series, safe to differentiate where they vanish.

Every objective can be called at once, ``fc_rmse(prediction, target)``, or configured first and handed to a
`Fitter`: ``fc_corr(as_loss=True)`` and ``fc_rmse()`` return a callable ``(prediction, target) -> scalar``.

Time is axis 0 everywhere, as in the trajectories of the simulator.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError, check_count
from .._core.units import magnitude

__all__ = ["combine", "fc_corr", "fc_rmse", "spectrum", "timeseries_mse", "timeseries_rmse"]


def _configurable(objective: Callable) -> Callable:
    """Let an objective be called with data, or configured by a call with its options alone."""

    @functools.wraps(objective)
    def called_or_configured(*data, **options):
        if data:
            return objective(*data, **options)
        inspect.signature(objective).bind(None, None, **options)  # a misspelled option fails here
        return functools.partial(objective, **options)

    return called_or_configured


def _same_shape(where: str, prediction, target) -> None:
    """Refuse a prediction and a target of different shapes."""
    if jnp.shape(prediction) != jnp.shape(target):
        raise ArgumentError(
            where,
            f"prediction must have the shape of target, {jnp.shape(target)}",
            jnp.shape(prediction),
            "Simulate as many samples as were recorded, or drop a transient from both",
        )


def _in_one_unit(where: str, prediction, target) -> tuple[jax.Array, jax.Array]:
    """Return both magnitudes in the unit of the prediction."""
    ours, theirs = u.get_unit(prediction), u.get_unit(target)
    if not u.have_same_dim(ours, theirs):
        raise ArgumentError(
            where,
            "prediction and target must have the same dimension",
            f"{ours} and {theirs}",
            "Give both a unit, or strip it from both with brainunit.get_magnitude",
        )
    return jnp.asarray(u.get_magnitude(prediction)), jnp.asarray(magnitude(where, target, ours))


def _root(square: jax.Array) -> jax.Array:
    """Return the square root with the derivative 0 at 0, where the true one is infinite; NaN stays NaN."""
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def _unit_columns(signals: jax.Array) -> jax.Array:
    """Center columns and scale them to norm 1; constant ones become 0 with derivative 0; NaN stays NaN."""
    centered = signals - jnp.mean(signals, axis=0)
    square = jnp.sum(centered**2, axis=0)
    # The mean of equal numbers is off by a rounding error, so a constant column has a small norm, not zero.
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(signals)), axis=0)
    rounding = 8 * jnp.finfo(signals.dtype).eps * largest
    constant = square <= signals.shape[0] * rounding**2
    return jnp.where(constant, 0, centered / jnp.sqrt(jnp.where(constant, 1, square)))


def _connectivity(where: str, signals) -> jax.Array:
    """Return the Pearson correlation of every pair of columns, with ones on the diagonal."""
    signals = jnp.asarray(u.get_magnitude(signals))
    if signals.ndim != 2 or signals.shape[0] < 2:
        raise ArgumentError(
            where,
            "needs time series of shape (time, region) with at least 2 samples",
            signals.shape,
            "Select one batch element first",
        )
    columns = _unit_columns(signals)
    correlation = columns.T @ columns
    return jnp.where(jnp.eye(signals.shape[1], dtype=bool), 1, correlation)


@_configurable
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
    _same_shape("timeseries_mse", prediction, target)
    prediction, target = _in_one_unit("timeseries_mse", prediction, target)
    return jnp.mean((prediction - target) ** 2)


@_configurable
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
    _same_shape("timeseries_rmse", prediction, target)
    prediction, target = _in_one_unit("timeseries_rmse", prediction, target)
    return _root(jnp.mean((prediction - target) ** 2))


@_configurable
def fc_corr(prediction, target, *, as_loss=False):
    """Correlate the functional connectivity of two time series, over the pairs of regions.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region)
        Two sets of time series of the same regions; their lengths may differ. Leave both out to get the
        callable.
    as_loss : bool, default False
        Return ``1 - correlation``, to be minimized, instead of the correlation.

    Returns
    -------
    jax.Array, shape ()
        Pearson correlation of the upper triangles of the two functional connectivity matrices, dimensionless.

    Raises
    ------
    ArgumentError
        If the numbers of regions differ or are below 3, where the correlation is not defined.

    Notes
    -----
    Units and scale drop out. A constant region correlates with nothing: its entries are 0 and so is its
    gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> signals = np.random.default_rng(0).normal(size=(100, 4))
    >>> round(float(objectives.fc_corr(signals, 5 * signals)), 6)
    1.0
    """
    ours, theirs = _connectivity("fc_corr", prediction), _connectivity("fc_corr", target)
    _same_shape("fc_corr", ours, theirs)
    n_regions = ours.shape[0]
    if n_regions < 3:
        raise ArgumentError("fc_corr", "needs at least 3 regions", n_regions, "Use fc_rmse instead")
    pairs = np.triu_indices(n_regions, k=1)
    columns = _unit_columns(jnp.stack([ours[pairs], theirs[pairs]], axis=1))  # [pair, series]
    correlation = columns[:, 0] @ columns[:, 1]
    return 1 - correlation if as_loss else correlation


@_configurable
def fc_rmse(prediction, target):
    """Measure the root mean squared difference of the functional connectivity of two time series.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region)
        Two sets of time series of the same regions; their lengths may differ. Leave both out to get the
        callable.

    Returns
    -------
    jax.Array, shape ()
        Root mean square over all entries of the two Pearson correlation matrices, dimensionless.

    Raises
    ------
    ArgumentError
        If the numbers of regions differ.

    Notes
    -----
    Units and scale drop out. A constant region correlates with nothing: its entries are 0 and so is its
    gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> signals = np.random.default_rng(0).normal(size=(100, 4))
    >>> float(objectives.fc_rmse(signals, signals))
    0.0
    """
    ours, theirs = _connectivity("fc_rmse", prediction), _connectivity("fc_rmse", target)
    _same_shape("fc_rmse", ours, theirs)
    return _root(jnp.mean((ours - theirs) ** 2))


def _power(signals: jax.Array, nperseg: int) -> jax.Array:
    """Average Hann-windowed periodograms of half-overlapping segments: ``[frequency, ...]``."""
    starts = np.arange(0, signals.shape[0] - nperseg + 1, max(nperseg - nperseg // 2, 1))
    segments = signals[starts[:, None] + np.arange(nperseg)]  # [segment, time, ...]
    segments = segments - jnp.mean(segments, axis=1, keepdims=True)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(nperseg) / nperseg)
    window = jnp.asarray(window, signals.dtype).reshape((-1,) + (1,) * (signals.ndim - 1))
    transform = jnp.fft.rfft(segments * window, axis=1)
    return jnp.mean(jnp.real(transform) ** 2 + jnp.imag(transform) ** 2, axis=0)


def _frequencies_kept(nperseg: int, dt, band) -> np.ndarray:
    """Return the indices of the frequency bins inside ``band``, never the mean (bin 0)."""
    frequencies = np.fft.rfftfreq(nperseg)
    if band is not None:
        if dt is None:
            raise ArgumentError(
                "spectrum.dt", "must be given with band", "None", "Pass the sampling interval"
            )
        low, high = (magnitude("spectrum.band", edge, u.Hz) for edge in band)
        frequencies = frequencies / (magnitude("spectrum.dt", dt, u.second, plain=False))
        kept = np.flatnonzero((frequencies >= low) & (frequencies <= high) & (frequencies > 0))
    else:
        kept = np.arange(1, len(frequencies))
    if not len(kept):
        raise ArgumentError(
            "spectrum.band",
            "must hold a frequency of the spectrum",
            band if band is not None else f"{nperseg} samples per segment",
            "Widen the band or take longer segments",
        )
    return kept


@_configurable
def spectrum(prediction, target, *, nperseg=None, dt=None, band=None):
    r"""Measure the log-spectral distance of two time series, in decibels.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, ...)
        Two sets of time series with the same trailing axes; their lengths may differ. Leave both out to get
        the callable itself.
    nperseg : int, optional
        Samples per segment of the averaged periodograms (Hann window, half overlap, mean removed). By default
        256, or the length of the shorter series.
    dt : Quantity, optional
        Sampling interval, in time units; needed with ``band`` only.
    band : (Quantity, Quantity), optional
        Lowest and highest frequency compared; plain numbers are Hz. By default every frequency but 0.

    Returns
    -------
    jax.Array, shape ()
        :math:`\sqrt{\mathrm{mean}\,(10 \log_{10} P / T)^2}` over frequencies and trailing axes, with the
        power spectral densities P of the prediction and T of the target, in decibels.

    Raises
    ------
    ArgumentError
        If trailing axes or units disagree, a segment is longer than a series, or the band is empty.

    Notes
    -----
    It does not see the phase, so it changes more slowly with a conduction speed than a point-by-point loss
    does. A floor of 1e-12 of the mean target power keeps the logarithm finite. The gradient is exact, and 0
    where the distance is 0.

    References
    ----------
    .. [1] Welch, P. D. (1967). The use of fast Fourier transform for the estimation of power spectra. IEEE
       Transactions on Audio and Electroacoustics 15(2), 70-73.
    .. [2] Gray, A. H., Markel, J. D. (1976). Distance measures for speech processing. IEEE Transactions on
       Acoustics, Speech, and Signal Processing 24(5), 380-391.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> signals = np.random.default_rng(0).normal(size=(512, 3))
    >>> round(float(objectives.spectrum(10 * signals, signals)), 3)
    20.0
    """
    prediction, target = _in_one_unit("spectrum", prediction, target)
    if prediction.shape[1:] != target.shape[1:] or prediction.ndim == 0:
        raise ArgumentError(
            "spectrum",
            f"prediction must have the trailing axes of target, (time, *{target.shape[1:]})",
            prediction.shape,
        )
    shorter = min(len(prediction), len(target))
    nperseg = min(256, shorter) if nperseg is None else check_count("spectrum.nperseg", nperseg, minimum=2)
    if nperseg > shorter:
        raise ArgumentError(
            "spectrum.nperseg", f"must not exceed the length of the shorter series, {shorter}", nperseg
        )
    kept = _frequencies_kept(nperseg, dt, band)
    ours, theirs = _power(prediction, nperseg)[kept], _power(target, nperseg)[kept]
    # tiny: two silent series have the distance 0, not NaN
    floor = 1e-12 * jnp.mean(jax.lax.stop_gradient(theirs)) + jnp.finfo(theirs.dtype).tiny
    decibels = 10 * (jnp.log10(ours + floor) - jnp.log10(theirs + floor))
    return _root(jnp.mean(decibels**2))


def is_score(objective: Callable) -> bool:
    """Tell whether an objective of this module grows as the fit improves."""
    function, options = getattr(objective, "func", objective), getattr(objective, "keywords", {})
    return function in (fc_corr, fc_corr.__wrapped__) and not options.get("as_loss", False)


def combine(*weighted_objectives: tuple[float, Callable]) -> Callable[[Any, Any], jax.Array]:
    """Add up objectives with weights.

    Parameters
    ----------
    *weighted_objectives : (float, callable)
        Pairs of a dimensionless weight and an objective ``(prediction, target) -> scalar``. A score that
        should grow, such as `fc_corr`, takes a negative weight.

    Returns
    -------
    callable
        ``loss(prediction, target=None)``, the weighted sum.

    Raises
    ------
    ArgumentError
        If there is no pair, or one is not a (number, callable) pair.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays import objectives
    >>> loss = objectives.combine((2.0, objectives.timeseries_rmse()), (0.5, objectives.timeseries_mse()))
    >>> float(loss(jnp.full((4, 2), 3.0), jnp.full((4, 2), 1.0)))
    6.0
    """
    if not weighted_objectives:
        raise ArgumentError("combine", "needs at least one (weight, objective) pair")
    for pair in weighted_objectives:
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[1])):
            raise ArgumentError(
                "combine",
                "must be given (weight, objective) pairs",
                repr(pair),
                "Write combine((1.0, timeseries_rmse()), (0.5, fc_corr(as_loss=True)))",
            )

    def loss(prediction, target=None):
        return sum(weight * objective(prediction, target) for weight, objective in weighted_objectives)

    return loss
