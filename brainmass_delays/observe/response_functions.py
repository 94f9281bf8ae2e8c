"""Hemodynamic response functions: formulas of time in seconds, as published, 0 before time 0.

References
----------
.. [1] Boynton, G. M., Engel, S. A., Glover, G. H., Heeger, D. J. (1996). Linear systems analysis of
functional
   magnetic resonance imaging in human V1. Journal of Neuroscience 16, 4207-4221. (``gamma``)
.. [2] Polonsky, A., Blake, R., Braun, J., Heeger, D. J. (2000). Neuronal activity in human primary visual
   cortex correlates with perception during binocular rivalry. Nature Neuroscience 3, 1153-1159.
   (``damped_sines``)
.. [3] Glover, G. H. (1999). Deconvolution of impulse response in event-related BOLD fMRI. NeuroImage 9,
   416-429. (``glover``, with the constants of nilearn; ``mixture_of_gammas``, with those of The Virtual
   Brain)
.. [4] Friston, K. J., Mechelli, A., Turner, R., Price, C. J. (2000). Nonlinear responses in fMRI: the balloon
   model, Volterra kernels, and other hemodynamics. NeuroImage 12, 466-477. (``volterra``)
.. [5] Friston, K. J., et al. (1998). Event-related fMRI: characterizing differential responses. NeuroImage 7,
   30-40. (``spm``)
"""

import jax.numpy as jnp
from jax.scipy.special import gammaln


def gamma_density(t, shape, scale):
    """Return the density of the gamma distribution, 0 for ``t <= 0``."""
    inside = t > 0
    z = jnp.where(inside, t, 1.0) / scale
    density = jnp.exp((shape - 1) * jnp.log(z) - z - gammaln(shape)) / scale
    return jnp.where(inside, density, 0.0)


def difference_of_gammas(t, delay, undershoot, dispersion, ratio):
    """Return a gamma density minus ``ratio`` times another; both have the same dispersion."""
    peak = gamma_density(t, delay / dispersion, dispersion)
    return peak - ratio * gamma_density(t, undershoot / dispersion, dispersion)


def mixture_of_gammas(t, a1, a2, rate, c):
    """Return two powers times exponentials, each over its gamma function."""
    return (gamma_density(t, a1, 1 / rate) - c * gamma_density(t, a2, 1 / rate)) / rate


def gamma(t, tau, n):
    """Return the gamma function of Boynton 1996, of unit area."""
    return gamma_density(t, n, tau)


def volterra(t, tau_s, tau_f):
    """Return the first-order Volterra kernel, an underdamped oscillator: ``4 tau_s**2 > tau_f``."""
    w = jnp.sqrt(1 / tau_f - 1 / (4 * tau_s**2))
    return jnp.where(t >= 0, jnp.exp(-t / (2 * tau_s)) * jnp.sin(w * t) / (3 * w), 0.0)


def damped_sines(t, tau1, tau2, f1, f2, a1, a2):
    """Return the difference of two damped sines of Polonsky 2000."""
    first = a1 * jnp.exp(-t / tau1) * jnp.sin(2 * jnp.pi * f1 * t)
    return jnp.where(t >= 0, first - a2 * jnp.exp(-t / tau2) * jnp.sin(2 * jnp.pi * f2 * t), 0.0)


# name: formula, the parameters it was published with (times in s, rates in Hz), seconds until it has died out
KERNELS = {
    "spm": (difference_of_gammas, {"delay": 6.0, "undershoot": 16.0, "dispersion": 1.0, "ratio": 0.167}, 32),
    "glover": (
        difference_of_gammas,
        {"delay": 6.0, "undershoot": 12.0, "dispersion": 0.9, "ratio": 0.48},
        32,
    ),
    "mixture_of_gammas": (mixture_of_gammas, {"a1": 6.0, "a2": 13.0, "rate": 1.0, "c": 0.4}, 32),
    "volterra": (volterra, {"tau_s": 0.8, "tau_f": 0.4}, 20),
    "gamma": (gamma, {"tau": 1.08, "n": 3.0}, 20),
    "damped_sines": (
        damped_sines,
        {"tau1": 7.22, "tau2": 7.4, "f1": 0.03, "f2": 0.12, "a1": 0.1, "a2": 0.1},
        40,
    ),
}
