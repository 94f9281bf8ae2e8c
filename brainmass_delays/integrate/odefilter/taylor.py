"""Derivatives of a solution at the initial time, computed from the equation itself."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.experimental.jet import jet

from ..._core.arguments import checked, function, numbers
from ..._core.checks import check_choice, check_count
from .coordinates import Equation

# Raised by Taylor mode for operations without a rule: loops, `arctan`, functions with a rule of their own (an
# AttributeError in jax 0.12). One that the field raises by itself comes again in forward mode.
_NO_RULE = (NotImplementedError, KeyError, AttributeError, jax.errors.UnexpectedTracerError)


@checked(f=function)
def taylor_coefficients(
    f: Callable, y0, t0, *, num: int, order: int = 1, args=None, method: str = "auto"
) -> tuple:
    """Compute the derivatives of the solution of an initial value problem at its initial time.

    Parameters
    ----------
    f : callable
        ``f(t, y, args)``, the derivative of ``y``; for ``order=2`` ``f(t, y, dy, args)``, its second
        derivative.
    y0 : pytree of arrays or quantities
        Initial value; for ``order=2`` the tuple ``(y, dy)``.
    t0 : float or quantity
        Initial time.
    num : int
        Number of derivatives taken from the equation.
    order : int, default 1
        Order of the equation.
    args : pytree, optional
        Passed to ``f``.
    method : {'auto', 'jet', 'jvp'}, default 'auto'
        ``'jet'``: Taylor mode, cost ``num**2`` evaluations; knows no loops and no function with a rule of its
        own. ``'jvp'``: nested forward mode, cost ``2**num``, any function. ``'auto'``: the first if it can,
        else the second.

    Returns
    -------
    tuple of ``num + order`` pytrees
        The value and its derivatives, not divided by factorials.

    Notes
    -----
    The explicit time dependence of ``f`` is differentiated too: ``y' = sin(3 t)`` has the coefficients 0, 0,
    3, 0. Gradients in ``y0``, ``args`` and ``t0`` are exact.

    References
    ----------
    Krämer and Hennig (2024). Stable implementation of probabilistic ODE solvers. JMLR 25.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.integrate import taylor_coefficients
    >>> rows = taylor_coefficients(lambda t, y, args: jnp.sin(3 * t), jnp.zeros(1), 0.0, num=3)
    >>> [float(row[0]) for row in rows]
    [0.0, 0.0, 3.0, 0.0]
    """
    check_choice("taylor_coefficients.method", method, ("auto", "jet", "jvp"))
    check_count("taylor_coefficients.num", num)
    for leaf in jax.tree.leaves(y0):
        numbers(finite=True, is_complex=True)("taylor_coefficients.y0", leaf)
    equation = Equation("taylor_coefficients", f, y0, t0, order=order, args=args)
    numbers(scalar=True, finite=True)("taylor_coefficients.t0", equation.t0)
    rows = coefficient_rows(equation, num, method)
    return tuple(equation.state.to_tree(row, k) for k, row in enumerate(rows))


def coefficient_rows(equation: Equation, num: int, method: str = "auto", initial=None) -> jax.Array:
    """Return the initial coefficients of an equation in vector form, shape (order + num, d)."""
    field, t0 = equation.field, equation.t0
    initial = equation.initial if initial is None else initial
    if method == "auto":
        try:
            jax.eval_shape(lambda: _by_taylor_mode(field, initial, t0, num))
            method = "jet"
        except _NO_RULE:
            method = "jvp"
    return {"jet": _by_taylor_mode, "jvp": _by_forward_mode}[method](field, initial, t0, num)


def _by_taylor_mode(field, initial, t0, num):
    """Lengthen the series by one derivative per pass of Taylor mode."""
    rows = [*initial, field(t0, initial)]
    order = len(initial)
    for known in range(1, num):
        # Row k of the arguments of the field has the derivatives k + 1, k + 2, ...
        series = [jnp.stack(rows[1 + k : order + 1 + k]) for k in range(known)]
        time = [jnp.ones_like(t0)] + [jnp.zeros_like(t0)] * (known - 1)
        _, derivatives = jet(field, (t0, initial), (time, series))
        rows.append(derivatives[-1])
    return jnp.stack(rows)


def _by_forward_mode(field, initial, t0, num):
    """Differentiate the field along the flow, once per derivative."""

    def along_flow(function):
        def derivative(t, coefficients):
            flow = jnp.concatenate([coefficients[1:], field(t, coefficients)[None]])
            return jax.jvp(function, (t, coefficients), (jnp.ones_like(t), flow))[1]

        return derivative

    rows = [*initial]
    function = field
    for _ in range(num):
        rows.append(function(t0, initial))
        function = along_flow(function)
    return jnp.stack(rows)
