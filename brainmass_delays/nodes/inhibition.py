"""Feedback inhibition control: inhibition such that every region of a Wong-Wang network fires at one rate."""

from collections.abc import Callable
from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .._core.arguments import checked, function, instance, numbers
from .._core.checks import ArgumentError, check_count
from .._core.status import is_traced
from .._core.units import magnitude
from .transfer import firing_rate
from .wong_wang_exc_inh import WongWangExcInhStep

NEWTON_STEPS = 60
NODE = instance(WongWangExcInhStep, "a WongWangExcInhStep")
RATES = numbers(unit=u.Hz, finite=True, axes=(0, 1), traced=False)
COUPLINGS = numbers(unit=u.UNITLESS, finite=True, traced=False)
STEP = numbers(unit=u.UNITLESS, scalar=True, finite=True, above=0, traced=False)
POSITIVE = numbers(scalar=True, finite=True, above=0, traced=False)


class Inhibition(NamedTuple):
    """Report the inhibition that balances a network.

    Parameters
    ----------
    J_i : array, shape (n_regions,)
        Inhibitory couplings, in nA.
    S_e, S_i : array, shape (n_regions,)
        Gatings at the fixed point.
    rate_i : Quantity, shape (n_regions,)
        Inhibitory firing rates at the fixed point.
    growth : Quantity
        Rate at which the slowest perturbation grows, without delays; the fixed point is stable if negative.
    """

    J_i: Any
    S_e: Any
    S_i: Any
    rate_i: Any
    growth: Any


@checked(node=NODE, weights=numbers(), rate=numbers(finite=True))
def feedback_inhibition(node: WongWangExcInhStep, weights: Any, rate: Any = 3.0 * u.Hz) -> Inhibition:
    r"""Compute the inhibition at which every region of a network rests at the same excitatory rate.

    Parameters
    ----------
    node : WongWangExcInhStep
        The nodes; their ``J_i`` is not used.
    weights : array_like, shape (n_regions, n_regions)
        Weights ``[target, source]`` as they reach the input ``coupling``, with the strength ``k`` of the
        network; the ``G`` of the node comes on top.
    rate : Quantity or array, default 3 Hz
        Excitatory rate, one for all or one per region.

    Returns
    -------
    Inhibition
        ``J_i``, the fixed point and its stability.

    Raises
    ------
    ArgumentError
        If a rate is not positive or not below saturation, or weights do not fit the node.

    Notes
    -----
    At the rate r the gating is :math:`S_E = \gamma_E \tau_E r / (1 + \gamma_E \tau_E r)`, and the current
    that makes E fire at r follows from the inverse of H. The inhibitory population then has a fixed point of
    its own, and what is missing to the excitatory current is :math:`J_i S_I`. Everything is solved by
    Newton's method to rounding. The gradient in weights, rate and parameters is exact (implicit
    differentiation); that of ``growth`` is zero. Noise shifts the mean rate upwards: `tune_inhibition`
    corrects for that.

    References
    ----------
    Deco, G. et al. (2014). How local excitation-inhibition ratio impacts the whole brain dynamics. Journal of
    Neuroscience 34, 7886-7898.

    Demirtas, M. et al. (2019). Hierarchical heterogeneity across human cortex shapes large-scale neural
    dynamics. Neuron 101, 1181-1194.

    Examples
    --------
    >>> from brainmass_delays import Connectome, WongWangExcInhStep
    >>> from brainmass_delays.nodes.inhibition import feedback_inhibition
    >>> weights = Connectome.synthetic(6).normalize('max').weights
    >>> found = feedback_inhibition(WongWangExcInhStep(6, G=0.3), weights)
    >>> bool((found.J_i > 0.5).all()), bool(found.growth < 0)
    (True, True)
    """
    weights = jnp.asarray(u.get_magnitude(weights))
    n = node.varshape[-1]
    if weights.shape != (n, n):
        raise ArgumentError("feedback_inhibition.weights", f"must have shape {(n, n)}", weights.shape)
    if np.shape(u.get_magnitude(rate)) not in ((), (1,), (n,)):
        raise ArgumentError("feedback_inhibition.rate", f"must be one number or {n}", np.shape(rate))
    r = jnp.asarray(magnitude("feedback_inhibition.rate", rate, u.Hz)) * jnp.ones(n)
    if not is_traced(r) and not np.all((r > 0) & (r < 1000)):
        raise ArgumentError("feedback_inhibition.rate", "must lie between 0 and 1000 Hz", r)
    p = {parameter.name: getattr(node, parameter.name).value() for parameter in node.PARAMETERS}
    opened = p["gamma_e"] * p["tau_e"] * r
    S_e = opened / (1 + opened)
    afferent = p["G"] * p["J_N"] * (weights @ S_e)
    x_e = _root(lambda x: firing_rate(x, p["a_e"], p["b_e"], p["d_e"]) - r, p["b_e"] / p["a_e"] * jnp.ones(n))
    given = p["J_N"] * S_e + p["W_i"] * p["I_o"] + p["lamda"] * afferent

    def rate_i(x):
        return firing_rate(x, p["a_i"], p["b_i"], p["d_i"])

    x_i = _root(lambda x: x + p["tau_i"] * p["gamma_i"] * rate_i(x) - given, given)
    S_i = p["tau_i"] * p["gamma_i"] * rate_i(x_i)
    current = p["w_p"] * p["J_N"] * S_e + p["W_e"] * p["I_o"] + afferent + p["I_ext"]
    J_i = (current - x_e) / S_i
    growth = _growth(node, weights, J_i, S_e, S_i)
    return Inhibition(J_i, S_e, S_i, rate_i(x_i) * u.Hz, growth / u.ms)


@checked(measure=function, J_i=COUPLINGS, rate=RATES, step=STEP, tolerance=POSITIVE)
def tune_inhibition(
    measure: Callable,
    J_i: Any,
    rate: Any = 3.0 * u.Hz,
    step: float = 0.1,
    tolerance: Any = 0.1 * u.Hz,
    rounds: int = 50,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    r"""Adapt the inhibition of every region until its measured rate is right.

    Parameters
    ----------
    measure : callable
        ``measure(J_i)`` runs the model with these couplings, shape ``(n_regions,)``, and returns the mean
        excitatory rates, a Quantity or numbers of Hz.
    J_i : array_like, shape (n_regions,)
        Start, for instance from `feedback_inhibition`.
    rate : Quantity, default 3 Hz
        The rate wanted.
    step : float, default 0.1
        Change of J_i in nA per Hz of deviation.
    tolerance : Quantity, default 0.1 Hz
        Largest deviation allowed.
    rounds : int, default 50
        Largest number of measurements.

    Returns
    -------
    J_i : np.ndarray, shape (n_regions,)
        The couplings of the last measurement.
    report : dict
        ``'converged'`` (bool), ``'rates'`` (n_regions,) in Hz at the end, and ``'worst'``, the largest
        deviation in Hz of every round.

    Raises
    ------
    ArgumentError
        If a rate measured is not finite.

    Notes
    -----
    A region that fires too fast gets more inhibition, as in the iterative scheme of Deco et al. (2014), in
    proportion to its deviation. A mean gating S gives the rate :math:`S / (\gamma_E \tau_E (1 - S))`.

    Examples
    --------
    >>> import numpy as np
    >>> from brainmass_delays.nodes.inhibition import tune_inhibition
    >>> J_i, report = tune_inhibition(lambda J: 10.0 - 5.0 * J, np.ones(2))
    >>> [round(float(J), 2) for J in J_i], report['converged']
    ([1.39, 1.39], True)
    """
    target = magnitude("tune_inhibition.rate", rate, u.Hz)
    allowed = magnitude("tune_inhibition.tolerance", tolerance, u.Hz)
    J_i, worst = np.array(J_i, float), []
    for last in range(check_count("tune_inhibition.rounds", rounds), 0, -1):
        rates = np.asarray(magnitude("tune_inhibition.measure", measure(J_i), u.Hz))
        if not np.all(np.isfinite(rates)):
            raise ArgumentError("tune_inhibition.measure", "must return finite rates", rates)
        worst.append(np.abs(rates - target).max())
        if worst[-1] <= allowed or last == 1:
            break
        J_i = J_i + step * (rates - target)
    return J_i, {"converged": bool(worst[-1] <= allowed), "rates": rates, "worst": np.array(worst)}


def _root(f: Callable, start: Any) -> Any:
    """Return where an increasing convex ``f`` is 0 elementwise, differentiable in what ``f`` holds."""

    def newton(x):
        value, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
        return x - value / slope

    x = lax.stop_gradient(lax.fori_loop(0, NEWTON_STEPS, lambda _, x: lax.stop_gradient(newton(x)), start))
    slope = lax.stop_gradient(jax.jvp(f, (x,), (jnp.ones_like(x),))[1])
    # One more step, in which only f carries a gradient: the theorem of the implicit function.
    return x - f(x) / slope


def _growth(node, weights, J_i, S_e, S_i):
    """Return the largest real part of the eigenvalues of the network without delays, per ms."""
    parameters = {p.name: getattr(node, p.name) for p in node.PARAMETERS}
    probe = type(node)(len(J_i), **parameters | {"J_i": lax.stop_gradient(J_i)})

    def rates(state):
        drive = (weights @ state[0], 0.0, 0.0, 0.0, 0.0)
        return jnp.stack(probe.derivative((state[0], state[1]), 0.0 * u.ms, drive))

    at = lax.stop_gradient(jnp.stack([S_e, S_i]))
    jacobian = lax.stop_gradient(jax.jacfwd(rates)(at)).reshape(at.size, at.size)
    shape = jax.ShapeDtypeStruct((), jacobian.dtype)
    return jax.pure_callback(_largest_real_part, shape, jacobian, vmap_method="broadcast_all")


def _largest_real_part(matrices):
    """Return the largest real part of the eigenvalues of a matrix, or of each of a stack."""
    return np.linalg.eigvals(matrices).real.max(axis=-1).astype(matrices.dtype)
