"""Distances between power spectra, and between cross-spectra."""

import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, optional, time
from .._core.checks import ArgumentError
from .objective import objective
from .series import DATA, in_one_unit, is_band, is_length, root, to_series
from .welch import common_segment, kept_bins, pair_products, squared_size, welch


@objective("loss")
@checked(
    prediction=DATA,
    target=DATA,
    nperseg=optional(is_length),
    dt=optional(time),
    band=optional(is_band),
)
def spectrum(prediction, target, *, nperseg=None, dt=None, band=None):
    r"""Measure the log-spectral distance of two time series, in decibels. A loss.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, ...)
        Two sets of time series with the same trailing axes; their lengths may differ. Leave both out to get
        the callable itself.
    nperseg : int or Quantity, optional
        Length of a segment of the averaged periodograms (Hann window, half overlap, mean removed), in samples
        or in time units. By default 256, or the length of the shorter series.
    dt : Quantity, optional
        Sampling interval; needed with ``band`` or times only.
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
    prediction, target = in_one_unit("spectrum", prediction, target)
    if prediction.shape[1:] != target.shape[1:] or prediction.ndim == 0:
        raise ArgumentError(
            "spectrum",
            f"prediction must have the trailing axes of target, (time, *{target.shape[1:]})",
            prediction.shape,
        )
    nperseg = common_segment("spectrum", prediction, target, nperseg, dt)
    kept = kept_bins("spectrum", nperseg, dt, band)
    ours, theirs = (welch(x, nperseg, squared_size)[kept] for x in (prediction, target))
    decibels = 10 * (_log10(ours, theirs) - _log10(theirs, theirs))
    return root(jnp.mean(decibels**2))


@objective("loss")
@checked(
    prediction=DATA,
    target=DATA,
    nperseg=optional(is_length),
    dt=optional(time),
    band=optional(is_band),
)
def cross_spectrum(prediction, target, *, nperseg=None, dt=None, band=None):
    r"""Measure the distance of two sets of cross-spectra, in sizes and phases. A loss.

    Parameters
    ----------
    prediction, target : array_like or Quantity, shape (time, region)
        Two sets of time series of the same regions; their lengths may differ. Leave both out to get the
        callable itself.
    nperseg, dt, band
        As in `spectrum`.

    Returns
    -------
    jax.Array, shape ()
        :math:`\sqrt{\mathrm{mean}\,|\ln (P_{ij} / T_{ij})|^2}` over frequencies and all pairs i <= j: the
        real part of the logarithm is the ratio of sizes in nepers (8.7 dB), the imaginary part the difference
        of phases in rad, between -pi and pi.

    Raises
    ------
    ArgumentError
        If regions or units disagree, a segment is longer than a series, or the band is empty.

    Notes
    -----
    Phases see delays directly, unlike powers; where coherence is low they are noise: choose the band. A floor
    of 1e-6 of the mean target power keeps the logarithm finite. The gradient is exact but where a phase
    difference jumps by a cycle, and 0 where the distance is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays import objectives
    >>> x = np.random.default_rng(0).normal(size=(512, 3))
    >>> round(float(objectives.cross_spectrum(np.e * x, x)), 3)
    2.0
    """
    prediction, target = in_one_unit("cross_spectrum", prediction, target)
    prediction, target = (
        to_series(f"cross_spectrum.{name}", x) for name, x in (("prediction", prediction), ("target", target))
    )
    if prediction.shape[1] != target.shape[1]:
        raise ArgumentError(
            "cross_spectrum",
            f"prediction must have the regions of target, {target.shape[1]}",
            prediction.shape[1],
        )
    nperseg = common_segment("cross_spectrum", prediction, target, nperseg, dt)
    kept = kept_bins("cross_spectrum", nperseg, dt, band)
    # squares of squares of fields in tesla are 0 in single precision; the ratio does not see a common size
    size = jnp.sqrt(jnp.mean(jnp.square(jax.lax.stop_gradient(target))))
    size = jnp.where(size > 0, size, 1)
    prediction, target = prediction / size, target / size
    pairs = (slice(None), *np.triu_indices(target.shape[1]))
    ours, theirs = (welch(x, nperseg, pair_products)[kept][pairs] for x in (prediction, target))
    scale = jnp.mean(jnp.abs(jax.lax.stop_gradient(theirs)))
    floor = (1e-6 * scale) ** 2 + jnp.finfo(scale.dtype).tiny
    sizes = 0.5 * (jnp.log(squared_size(ours) + floor) - jnp.log(squared_size(theirs) + floor))
    ratio = ours * jnp.conj(theirs)
    silent = squared_size(ratio) == 0
    phases = jnp.where(silent, 0, jnp.angle(jnp.where(silent, 1, ratio)))
    return root(jnp.mean(sizes**2 + phases**2))


def _log10(power: jax.Array, reference: jax.Array) -> jax.Array:
    """Return the decimal logarithm with a floor of 1e-12 of the mean reference."""
    # tiny: two silent series have the distance 0, not NaN
    floor = 1e-12 * jnp.mean(jax.lax.stop_gradient(reference)) + jnp.finfo(reference.dtype).tiny
    return jnp.log10(power + floor)
