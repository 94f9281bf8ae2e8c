"""While loops with three reverse modes, all called as ``loop(cond, body, init)``.

References
----------
.. [1] P. Stumm, A. Walther. New algorithms for optimal online checkpointing. SIAM J. Sci. Comput. 32 (2010)
836-854.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from .._core.arguments import checked, function, text, tree_of_numbers
from .._core.checks import ArgumentError, check_choice, check_count
from .._core.trees import is_inexact, select
from .checkpointing import checkpointed_tape_loop, checkpointed_while_loop
from .lanes import any_lane, lane
from .tape import Reader, write_each

BASE = 16  # steps per level of the bounded loop


@checked(cond=function, body=function)
def while_loop(
    cond: Callable[[Any], Any],
    body: Callable[[Any], Any],
    init: Any,
    *,
    kind: str | Callable = "lax",
    max_steps: int | None = None,
) -> Any:
    """Repeat ``state = body(state)`` while ``cond(state)`` holds.

    Parameters
    ----------
    cond : callable
        ``state -> bool``, a scalar.
    body : callable
        ``state -> state`` of the same structure, shapes and dtypes. Both functions may close over traced
        arrays, which then receive gradients.
    init : pytree of arrays
        The first state.
    kind : {'lax', 'bounded', 'checkpointed'} or callable, default 'lax'
        How reverse mode works (see Notes), or any function ``(cond, body, init) -> state``, which then has to
        know its own bound.
    max_steps : int, optional
        Stop after this many steps even if ``cond`` still holds; the caller sees it by evaluating ``cond`` on
        the result. Needed by 'bounded' and 'checkpointed'.

    Returns
    -------
    pytree of arrays
        The last state.

    Raises
    ------
    ArgumentError
        For an unknown kind, a missing bound, and for reverse mode through 'lax'.

    Notes
    -----
    With n steps taken and M = ``max_steps``:

    ============== ============ ============== ============================== =====================
    kind           reverse mode forward mode   states kept in reverse mode    body runs, value+grad
    ============== ============ ============== ============================== =====================
    'lax'          no           yes            --                             --
    'bounded'      yes, nested  yes            16 log16(M)                    n (1 + log16(M))
    'checkpointed' yes, once    no             at most 4.3 sqrt(M)            2 n, or 3 n above 2 sqrt(M)
    ============== ============ ============== ============================== =====================

    All three compute the same gradient: that of the steps taken, the number of steps being a constant. Under
    ``vmap`` the loop runs until the slowest lane is done and finished lanes stand still.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.integrate import while_loop
    >>> def power_above_100(x):
    ...     return while_loop(lambda y: y < 100.0, lambda y: x * y, x, kind='checkpointed', max_steps=50)
    >>> print(jax.grad(power_above_100)(3.0))    # 3^5, the first power above 100: 5 * 3^4
    405.0
    """
    _check_state(cond, body, init)
    return resolve(kind, max_steps, "while_loop.kind")(cond, body, init)


def _check_state(cond, body, init):
    """Refuse functions that do not fit the state, by their shapes alone."""
    tree_of_numbers("while_loop.init", init)
    before, after = jax.eval_shape(lambda state: state, init), jax.eval_shape(body, init)
    fits = jax.tree.structure(before) == jax.tree.structure(after) and all(
        old.shape == new.shape and (old.dtype == new.dtype or old.weak_type)
        for old, new in zip(*map(jax.tree.leaves, (before, after)), strict=True)
    )
    if not fits:
        raise ArgumentError("while_loop.body", f"must return a state like init, {before}", f"{after}")
    test = jax.eval_shape(cond, init)
    if getattr(test, "shape", None) != () or test.dtype != bool:
        raise ArgumentError("while_loop.cond", "must return one bool", f"{test} for init")


def resolve(
    loop: str | Callable, max_steps: int | None = None, where: str = "while_loop"
) -> Callable[[Callable, Callable, Any], Any]:
    """Turn one of the names 'lax', 'bounded', 'checkpointed', or any callable, into ``loop(cond, body,
    init)``.

    Parameters
    ----------
    loop : {'lax', 'bounded', 'checkpointed'} or callable
        The result of a callable must have the structure of ``init``.
    max_steps : int, optional
        The bound built into the named loops.
    where : str, default 'while_loop'
        Name of the argument, for error messages.

    Returns
    -------
    callable
        ``(cond, body, init) -> state``.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.integrate import resolve
    >>> resolve(jax.lax.while_loop)(lambda n: n < 3, lambda n: n + 1, 0).item()
    3
    >>> print(resolve('bounded', max_steps=3)(lambda n: True, lambda n: n + 1, 0))
    3
    """
    text("resolve.where", where)
    if callable(loop):
        return _Given(loop, where)
    check_choice(where, loop, LOOPS)
    if max_steps is not None:
        max_steps = check_count("while_loop.max_steps", max_steps)
    elif loop != "lax":
        raise ArgumentError(
            "while_loop.max_steps", f"is needed by kind {loop!r}", None, "Give the most steps allowed"
        )
    return functools.partial(LOOPS[loop], max_steps=max_steps)


@dataclass(frozen=True)
class _Given:
    """A loop of the user, whose result is looked at."""

    loop: Callable
    where: str

    def __call__(self, cond, body, init):
        state = self.loop(cond, body, init)
        if jax.tree.structure(state) != jax.tree.structure(init):
            cure = "Add a return" if state is None else ""
            raise ArgumentError(self.where, "must return a state like init", type(state).__name__, cure)
        return state


def tape_loop(cond, body, init, tapes, *, loop, max_steps):
    """Repeat ``state, rows, slots = body(state, reader)``; write one row on each tape, at its slot.

    ``reader`` reads the first tape. A row that has been read must not be written again, and ``body`` must
    read the same on a tape that later steps have filled further: reverse mode replays steps on the final
    tape.
    """
    if loop == "checkpointed":
        resolve(loop, max_steps)  # checks the bound
        return checkpointed_tape_loop(cond, body, init, tapes, max_steps=max_steps)

    def running(carry):
        # one condition for all lanes: a batched one would copy the whole tape in every step
        return any_lane(cond(carry[0])) if loop == "lax" else cond(carry[0])

    def step(carry):
        state, tapes = carry
        active = lane(cond(state))
        new, rows, slots = body(state, Reader(tapes[0] if tapes else ()))
        return select(active, new, state), write_each(tapes, slots, rows, active)

    return resolve(loop, max_steps)(running, step, (init, tapes))


def _lax_while_loop(cond, body, init, *, max_steps):
    """Run ``lax.while_loop``; reverse mode raises a message that names the kinds which have one."""
    if max_steps is None:
        state = lax.while_loop(cond, body, init)
    else:
        state, _ = lax.while_loop(
            lambda carry: cond(carry[0]) & (carry[1] < max_steps),
            lambda carry: (body(carry[0]), carry[1] + 1),
            (init, 0),
        )
    return jax.tree.map(_forward_only, state)


def _bounded_while_loop(cond, body, init, *, max_steps):
    """Run a tree of scans of 16 steps, each level rematerialized, that skips all after the last step."""
    init = jax.tree.map(lambda x: lax.convert_element_type(x, jnp.result_type(x)), init)

    def running(carry):
        state, n = carry
        return cond(state) & (n < max_steps)

    def step(carry, _):
        state, n = carry
        active = running(carry)
        # a finished state is not fed to body, whose derivative there may be infinite
        new = body(select(active, state, init))
        return (select(active, new, state), n + 1), None

    for _ in range(max(1, math.ceil(math.log(max_steps, BASE) - 1e-9))):
        step = functools.partial(_scan_if, any_running=lambda carry: any_lane(running(carry)), step=step)
    return step((init, 0), None)[0][0]


def _scan_if(carry, _, *, any_running, step):
    """Scan 16 steps if any lane still runs."""

    @jax.checkpoint
    def scan_or_skip(carry):
        def scan(carry):
            return lax.scan(step, carry, None, length=BASE)[0]

        return lax.cond(any_running(carry), scan, lambda carry: carry, carry)

    return scan_or_skip(carry), None


def _refuse_transpose(_cotangent, _value):
    raise ArgumentError(
        "while_loop.kind",
        "Reverse-mode differentiation does not work for lax.while_loop",
        "'lax'",
        "Choose while_loop='checkpointed' (fewest states) or 'bounded' (also nested derivatives)",
    )


def _forward_only(x):
    return _forward_only_p.bind(x) if is_inexact(x) else x


_forward_only_p = Primitive("forward_only")
_forward_only_p.def_impl(lambda x: x)
_forward_only_p.def_abstract_eval(lambda x: x)
batching.defvectorized(_forward_only_p)
mlir.register_lowering(_forward_only_p, lambda context, x: [x])
ad.deflinear2(_forward_only_p, _refuse_transpose)

LOOPS = {"lax": _lax_while_loop, "bounded": _bounded_while_loop, "checkpointed": checkpointed_while_loop}
