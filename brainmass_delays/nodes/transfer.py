"""Transfer functions from input to firing rate that several models share."""

import jax.numpy as jnp

SERIES_BELOW = 0.1


def threshold_linear(z):
    r"""Return :math:`z / (1 - e^{-z})`, a smooth threshold-linear function, 1 at 0.

    Parameters
    ----------
    z : array
        Excess of the input over the threshold, dimensionless.

    Returns
    -------
    array
        The transfer, positive everywhere.

    Notes
    -----
    At 0, where the formula is 0/0, its Taylor series takes over: below 0.1 in magnitude the terms up to
    :math:`z^8` are exact to 1e-15. Value and derivatives of all orders in use are finite for every finite
    ``z``, and the gradient at 0 is 1/2.

    References
    ----------
    Abbott, L. F., Chance, F. S. (2005). Drivers and modulators from push-pull and balanced synaptic input.
    Progress in Brain Research 149, 147-155.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.nodes.transfer import threshold_linear
    >>> float(threshold_linear(0.0)), float(jax.grad(threshold_linear)(0.0))
    (1.0, 0.5)
    """
    z = jnp.asarray(z)
    near = jnp.abs(z) < SERIES_BELOW
    small = jnp.where(near, z, 0.0)
    square = small**2
    series = 1 + small / 2 + square * (1 / 12 + square * (-1 / 720 + square * (1 / 30240 - square / 1209600)))
    # Written with the decaying exponential: e^{-z} itself overflows far below the threshold.
    away = jnp.where(near, 1.0, z)
    size = jnp.abs(away)
    formula = jnp.maximum(away, 0.0) + size * jnp.exp(-size) / -jnp.expm1(-size)
    return jnp.where(near, series, formula)


def firing_rate(x, a, b, d):
    r"""Return the rate of Wong and Wang, :math:`(a x - b) / (1 - e^{-d (a x - b)})`.

    Parameters
    ----------
    x : array
        Synaptic current.
    a, b, d : float or array
        Gain, threshold and curvature: ``a * x`` and ``b`` are rates, ``d`` is a time in the inverse unit.

    Returns
    -------
    array
        The rate, in the unit of ``b``; 1 / d at the threshold.

    References
    ----------
    Wong, K.-F., Wang, X.-J. (2006). A recurrent network mechanism of time integration in perceptual
    decisions. Journal of Neuroscience 26, 1314-1328.

    Examples
    --------
    >>> from brainmass_delays.nodes.transfer import firing_rate
    >>> round(float(firing_rate(125 / 310, 310.0, 125.0, 0.16)), 2)
    6.25
    """
    return threshold_linear(d * (a * x - b)) / d
