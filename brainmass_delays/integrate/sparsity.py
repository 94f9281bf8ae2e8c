"""Which components of a slope depend on which of the state, and Jacobians by few directions.

Columns of a Jacobian that share no row can be probed in one direction [1]_. The pattern is read off the
program of the function: every number is followed by the set of components that it depends on. An operation
that is not known here makes all of its results depend on all of its arguments, so that a pattern may be too
full but misses nothing.

References
----------
.. [1] A. Curtis, M. Powell, J. Reid. On the estimation of sparse Jacobian matrices. IMA J. Appl. Math. 13
   (1974) 117-119.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from .._core.checks import ArgumentError
from .._core.status import is_traced

MOST_BITS = 2**27  # of the sets that one operation makes; functions above that count as dense
# results depend on arguments place by place; arguments have the shape of the result, or are scalars
ELEMENTWISE = frozenset({
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt",
    "ceil", "clamp", "complex", "conj", "convert_element_type", "copy", "copy_p", "cos", "cosh",
    "digamma", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt",
    "imag", "integer_pow", "is_finite", "le", "lgamma", "log", "log1p", "logistic", "lt", "max", "min",
    "mul", "name", "ne", "neg", "nextafter", "not", "or", "pow", "real", "reduce_precision", "rem",
    "round", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient", "sub",
    "tan", "tanh", "xor",
})  # fmt: skip
# results are arguments in other places; further arguments tell where, and must be known
MOVES = frozenset({
    "broadcast_in_dim", "concatenate", "dynamic_slice", "dynamic_update_slice", "expand_dims", "gather",
    "pad", "reshape", "rev", "scatter", "scatter-add", "slice", "split", "squeeze", "stack",
    "transpose", "unstack",
})  # fmt: skip
REDUCTIONS = frozenset({
    "reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or",
})  # fmt: skip
CALLS = frozenset({
    "jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2",
})  # fmt: skip


class Known(NamedTuple):
    """Hold what is known of an array: the components that each of its numbers depends on, shape (component,
    ...) or None for none, and its value or None."""

    shape: tuple
    sets: np.ndarray | None
    value: Any = None


class Coloring(NamedTuple):
    """Hold a pattern (slope, state), the color of every column, and the number of colors."""

    pattern: np.ndarray
    colors: np.ndarray
    n_colors: int

    @classmethod
    def of(cls, pattern: np.ndarray) -> "Coloring":
        """Color columns one after the other, the fullest first, so that equal colors share no row."""
        n = len(pattern)
        sharing = pattern.T.astype(np.float32) @ pattern > 0
        colors = np.full(n, -1)
        for column in np.argsort(-sharing.sum(0), kind="stable"):
            taken = colors[sharing[column]]
            colors[column] = np.setdiff1d(np.arange(n), taken)[0]
        return cls(pattern, colors, int(colors.max()) + 1)

    def directions(self, dtype) -> jax.Array:
        """Return the directions to probe, shape (color, component)."""
        return jnp.asarray(self.colors == np.arange(self.n_colors)[:, None], dtype)

    def expand(self, probed: jax.Array) -> jax.Array:
        """Return the Jacobian (..., component) from what was probed, (component, ..., color)."""
        rows = self.pattern.reshape(len(self.pattern), *(1,) * (probed.ndim - 2), -1)
        return jnp.where(rows, probed[..., self.colors], 0.0)

    def is_complete(self, function: Callable, y: jax.Array) -> jax.Array:
        """Tell whether the Jacobian at ``y`` has no entries beyond the pattern: along an odd direction."""
        direction = jnp.asarray(np.random.default_rng(0).normal(size=y.size), y.dtype)
        _, push = jax.linearize(function, y)
        probed = jnp.moveaxis(jax.vmap(push)(self.directions(y.dtype)), 0, -1)
        exact, found = push(direction), self.expand(probed) @ direction
        scale = jnp.max(jnp.abs(exact)) + jnp.max(jnp.abs(found))
        close = jnp.abs(exact - found) <= 1e3 * jnp.finfo(y.dtype).eps * scale
        return jnp.all(close | ~jnp.isfinite(exact))


def coloring(sparsity: Any, function: Callable, y: jax.Array) -> tuple[Coloring, Any]:
    """Return the coloring for ``function``, a slope of the state, as the caller's ``sparsity`` has it, and
    whether the pattern has all entries of the Jacobian at ``y``."""
    if isinstance(sparsity, str):
        dense = sparsity == "dense"
        return Coloring.of(np.ones((y.size, y.size), bool) if dense else detect(function, y)), True
    found = Coloring.of(sparsity)
    return found, found.is_complete(function, y)


def check_sparsity(where: str, sparsity: Any, size: int, used: bool) -> Any:
    """Return ``sparsity`` as one of its names or a boolean array; ``used``: by the method."""
    if isinstance(sparsity, str) and sparsity in ("detect", "dense"):
        return sparsity
    rule = "must be 'detect', 'dense' or an array (component of the slope, component of the state)"
    if isinstance(sparsity, str | u.Quantity) or sparsity is None or is_traced(sparsity):
        raise ArgumentError(where, rule, repr(sparsity))
    pattern = np.asarray(sparsity.toarray() if hasattr(sparsity, "toarray") else sparsity)
    if pattern.shape != (size, size) or pattern.dtype.kind not in "biuf":
        raise ArgumentError(where, rule, f"{pattern.dtype}{list(pattern.shape)} for {size} components")
    if not used:
        raise ArgumentError(where, "is of use to method='radau5' only", "an explicit method")
    return pattern != 0


def detect(function: Callable, y: jax.Array) -> np.ndarray:
    """Return which results of ``function`` depend on which components of ``y``, shape (result, component)."""
    closed = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(y.shape, y.dtype))
    n = y.size
    start = Known(y.shape, np.eye(n, dtype=bool).reshape(n, *y.shape))
    with jax.ensure_compile_time_eval():
        try:
            (result,) = _follow(closed, [start], n)
        except MemoryError:
            return np.ones((n, n), bool)
    sets = result.sets if result.sets is not None else np.zeros((n, *result.shape), bool)
    return sets.reshape(n, -1).T


def _follow(closed: ClosedJaxpr, arguments: list[Known], n: int) -> list[Known]:
    """Follow the sets of the arguments through a program."""
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.invars, arguments, strict=True))
    known |= {v: _constant(c) for v, c in zip(jaxpr.constvars, closed.consts, strict=True)}

    def look(atom):
        return _constant(atom.val) if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        results = _results(equation, [look(x) for x in equation.invars], n)
        known.update(zip(equation.outvars, results, strict=True))
    return [look(x) for x in jaxpr.outvars]


def _results(equation, arguments, n) -> list[Known]:
    """Return what is known of the results of one operation."""
    shapes = [v.aval.shape for v in equation.outvars]
    if any(n * int(np.prod(shape)) > MOST_BITS for shape in shapes):
        raise MemoryError
    name, params = equation.primitive.name, equation.params
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    if name in CALLS and inner is not None:
        inner = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
        return _follow(inner, arguments, n)
    if all(x.sets is None for x in arguments):
        return _computed(equation, arguments, shapes)
    if name in ELEMENTWISE:
        return [Known(shapes[0], _union(name, arguments, shapes[0]))]
    if name in REDUCTIONS:
        return [Known(shapes[0], arguments[0].sets.any(axis=tuple(a + 1 for a in params["axes"])))]
    if name == "dot_general":
        return [Known(shapes[0], _product(params["dimension_numbers"], arguments))]
    if name in MOVES and (moved := _moved(equation, arguments, shapes, n)):
        return moved
    touched = np.zeros(n, bool)
    for x in arguments:
        if x.sets is not None:
            touched |= x.sets.reshape(n, -1).any(axis=1)
    return [Known(s, np.broadcast_to(touched.reshape(n, *(1,) * len(s)), (n, *s))) for s in shapes]


def _computed(equation, arguments, shapes):
    """Return results that depend on no component, computed if all arguments are known: indices, weights."""
    known = all(x.value is not None for x in arguments) and not equation.effects
    if not known or equation.primitive.name not in ELEMENTWISE | MOVES | REDUCTIONS | {"iota"}:
        return [Known(shape, None) for shape in shapes]
    values = equation.primitive.bind(*(x.value for x in arguments), **equation.params)
    values = values if equation.primitive.multiple_results else [values]
    return [Known(shape, None, value) for shape, value in zip(shapes, values, strict=True)]


def _union(name, arguments, shape):
    """Return the union of the sets, place by place; what is multiplied by a known 0 is left out."""
    factor = True
    if name == "mul":
        for x in arguments:
            factor = factor if x.value is None else factor & (np.asarray(x.value) != 0)
    sets = [x.sets.reshape(-1, *(x.shape or (1,) * len(shape))) for x in arguments if x.sets is not None]
    union = np.logical_or.reduce(np.broadcast_arrays(*sets)) & factor
    return np.broadcast_to(union, (len(union), *shape))


def _product(numbers, arguments):
    """Return the sets of a product of matrices, of which one may be known."""
    total, sides = 0.0, []
    for i, x in enumerate(arguments):
        (contracted, batch), rank = (numbers[0][i], numbers[1][i]), range(len(x.shape))
        free = [a for a in rank if a not in (*contracted, *batch)]
        order = [*batch, *free, *contracted] if i == 0 else [*batch, *contracted, *free]
        kept = [x.shape[a] for a in batch], [x.shape[a] for a in free]
        inner = int(np.prod([x.shape[a] for a in contracted]))
        ends = (int(np.prod(kept[1])), inner) if i == 0 else (inner, int(np.prod(kept[1])))
        sides.append((x, order, (int(np.prod(kept[0])), *ends), kept))

    def arranged(array, order, sizes):
        lead = array.ndim - len(order)
        axes = [*range(lead), *(lead + a for a in order)]
        return np.transpose(array, axes).reshape(*array.shape[:lead], *sizes).astype(np.float32)

    nonzero = [
        arranged(np.ones(x.shape, bool) if x.value is None else np.asarray(x.value) != 0, *rest[:2])
        for x, *rest in sides
    ]
    (left, *left_rest, (batch, rows)), (right, *right_rest, (_, columns)) = sides
    if left.sets is not None:
        total = total + arranged(left.sets, *left_rest) @ nonzero[1]
    if right.sets is not None:
        total = total + nonzero[0] @ arranged(right.sets, *right_rest)
    return np.asarray(total > 0).reshape(-1, *batch, *rows, *columns)


def _moved(equation, arguments, shapes, n):
    """Return the sets of numbers that were moved, found by moving their places; None if it is not known
    where to."""
    name = equation.primitive.name
    where = _says_where(name, len(arguments))
    if any(arguments[i].value is None for i in where):
        return None
    numbers = [x for i, x in enumerate(arguments) if i not in where]
    # place 0 holds nothing: what is filled in comes from there
    starts = np.cumsum([1, *(int(np.prod(x.shape)) for x in numbers)])
    places = [
        (start + np.arange(np.prod(x.shape, dtype=int))).astype(np.int32).reshape(x.shape)
        for start, x in zip(starts[:-1], numbers, strict=True)
    ]
    sets = [np.zeros((n, 1), bool)]
    for x in numbers:
        size = int(np.prod(x.shape))
        sets.append(np.zeros((n, size), bool) if x.sets is None else x.sets.reshape(n, size))
    sets = np.concatenate(sets, axis=1)

    def move(*places):
        rest = iter(places)
        filled = [x.value if i in where else next(rest) for i, x in enumerate(arguments)]
        params = equation.params | ({"fill_value": 0} if name == "gather" else {})
        found = equation.primitive.bind(*filled, **params)
        return found if equation.primitive.multiple_results else [found]

    if name == "scatter-add":
        dtype = equation.invars[0].aval.dtype  # its sum is a program for numbers of this type
        if not np.issubdtype(dtype, np.floating) or starts[-1] > 2 ** np.finfo(dtype).nmant:
            return None
        places = [x.astype(dtype) for x in places]
        if np.max(move(np.zeros_like(places[0]), np.ones_like(places[1]))[0], initial=0) > 1:
            return None  # several numbers go to one place
        added = sets[:, np.asarray(move(np.zeros_like(places[0]), places[1])[0]).astype(int)]
        return [Known(shapes[0], sets[:, places[0].astype(int)] | added)]
    return [Known(s, sets[:, np.asarray(p)]) for s, p in zip(shapes, move(*places), strict=True)]


def _says_where(name: str, n_arguments: int) -> range:
    """Return which arguments are no numbers that are moved, but tell where to."""
    first = {"gather": 1, "dynamic_slice": 1, "dynamic_update_slice": 2, "scatter": 1, "scatter-add": 1}
    last = 2 if name.startswith("scatter") else n_arguments
    return range(first.get(name, n_arguments), last)


def _constant(value) -> Known:
    """Return what is known of a constant of a program."""
    return Known(np.shape(value), None, None if is_traced(value) else value)
