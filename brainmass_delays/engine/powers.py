"""Powers of many numbers at once: a CPU takes ``x ** p`` number by number, but exponentials in vectors."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Jaxpr, Literal

# Exponents for which XLA multiplies, divides or takes a root.
EASY = (-1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)


@jax.custom_jvp
def power(x: Any, p: Any) -> jax.Array:
    """Return ``x ** p`` as ``exp(p log |x|)``, with the values of ``**`` for negative numbers and 0, too.

    The relative error is that of rounding ``p log |x|``: some units in the last place. Derivatives are those
    of ``**``."""
    size = jnp.abs(x)
    sign = jnp.where(p == jnp.floor(p), jnp.where(p % 2 == 1, -1.0, 1.0), jnp.nan).astype(size.dtype)
    result = jnp.where((p == 0) | (size == 1), 1.0, jnp.exp(p * jnp.log(size)))
    return jnp.where(x < 0, sign, 1) * result


def _jvp(primals, tangents):
    (x, p), (dx, dp) = primals, tangents
    result = power(x, p)
    return result, _tangent(x, p, result, dx, dp)


def _tangent(x, p, result, dx, dp):
    tangent = jnp.zeros_like(result)
    if not isinstance(dx, SymbolicZero):
        tangent += dx * p * _one_lower(x, p, result)
    if not isinstance(dp, SymbolicZero):
        tangent += dp * jnp.log(jnp.where(x == 0, 1.0, x)) * result
    return tangent.astype(result.dtype)


@jax.custom_jvp
def _one_lower(x, p, result):
    """Return ``x ** (p - 1)`` by a division; its derivatives are those of a power, also at 0."""
    at_zero = jnp.where(p == 1, 1.0, jnp.where(p > 1, 0.0, jnp.inf))
    return jnp.where(x == 0, at_zero, result / jnp.where(x == 0, 1.0, x)).astype(result.dtype)


def _one_lower_jvp(primals, tangents):
    (x, p, result), (dx, dp, _) = primals, tangents
    lower = _one_lower(x, p, result)
    return lower, _tangent(x, p - 1, lower, dx, dp)


power.defjvp(_jvp, symbolic_zeros=True)
_one_lower.defjvp(_one_lower_jvp, symbolic_zeros=True)


def evaluate(jaxpr: Jaxpr, consts: list, *args: Any) -> list:
    """Evaluate a traced program, powers of arrays by `power`.

    What stands in loops, branches and functions with derivatives of their own is left as it is."""
    if not _has_powers(jaxpr):
        return jax.core.eval_jaxpr(jaxpr, consts, *args)
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))

    def read(v):
        return v.val if isinstance(v, Literal) else values[v]

    for e in jaxpr.eqns:
        operands = list(map(read, e.invars))
        if _is_power(e):
            out = [power(*operands)]
        elif _is_call(e):
            inner = e.params["jaxpr"]
            out = evaluate(inner.jaxpr, inner.consts, *operands)
        else:
            with e.ctx.manager:
                found = e.primitive.bind(*operands, **e.primitive.get_bind_params(e.params))
            out = found if e.primitive.multiple_results else [found]
        values |= zip(e.outvars, out, strict=True)
    return list(map(read, jaxpr.outvars))


def _is_power(equation):
    if equation.primitive.name != "pow" or not equation.outvars[0].aval.shape:
        return False
    p = equation.invars[1]
    is_floating = jnp.issubdtype(p.aval.dtype, np.floating)
    return is_floating and not (isinstance(p, Literal) and float(p.val) in EASY)


def _is_call(equation):
    return equation.primitive.name in ("jit", "pjit")


def _has_powers(jaxpr):
    return any(_is_power(e) or (_is_call(e) and _has_powers(e.params["jaxpr"].jaxpr)) for e in jaxpr.eqns)
