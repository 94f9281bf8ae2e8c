"""The program of a whole run: spans of steps, of which only the state and what is kept survives."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._core.trees import inexact, is_inexact
from .layout import Frame
from .span import Carry, Given, Span, StepCall

# Steps after which a run keeps nothing but its state and what is recorded.
SPAN = 8192
# Bytes of states, summed over steps, up to which a run is one span, of at most this many times the steps: a
# reverse pass keeps about three times as much, 50 MB, and need not run forward again.
WHOLE, LONGEST = 2**24, 4


class Spans(NamedTuple):
    """Divide a run: ``size`` steps ``count`` times, then ``rest``."""

    size: int
    count: int
    rest: int

    @property
    def sizes(self) -> list[int]:
        """The sizes of all spans in order."""
        return [self.size] * self.count + [self.rest] * bool(self.rest)


def divide_run(n_steps: int, n_bytes: int, size: int | None) -> Spans:
    """Divide a run of a model whose states fill ``n_bytes`` into spans of ``size``, or of about `SPAN` steps,
    without a rest if possible; a run that is small as a whole is not divided."""
    if size is None:
        most = min(WHOLE // max(1, n_bytes), LONGEST * SPAN)
        count = 1 if n_steps <= most else -(-n_steps // SPAN)
        least = -(-n_steps // count)
        size = next((s for s in range(least, least + least // 2 + 1) if n_steps % s == 0), least)
    size = min(size, n_steps)
    return Spans(size, n_steps // size, n_steps % size)


class Progress(NamedTuple):
    """Hold what one span hands to the next."""

    carry: Carry
    past: tuple
    memory: Any
    is_finite: Any
    is_still: Any


class RunProgram:
    """Run all spans, in one compiled call or one by one.

    Parameters
    ----------
    frame : Frame
        What is read from where.
    step : StepCall
        One step.
    post : dict of int to callable
        By size of the span, what monitors make of it.
    spans : Spans
        How the run is divided.
    lean, cuts : bool
        Whether the adjoint recomputes blocks and spans, and whether gradients are cut between spans.
    compiled : bool
        Whether to compile.
    """

    def __init__(
        self, frame: Frame, step: StepCall, post: dict, spans: Spans, lean: bool, cuts: bool, compiled: bool
    ):
        self.frame, self.step, self.post, self.spans = frame, step, post, spans
        self.lean, self.cuts = lean, cuts
        self.whole = jax.jit(self._whole) if compiled else self._whole
        self.one = jax.jit(self._span, static_argnames="size") if compiled else self._span

    def _whole(self, given: Given, post_given: dict, progress: Progress, rows: Any, kept: Any):
        """Run all spans and return what is left and what was kept."""
        size, count, rest = self.spans
        keeps_spans_apart = self.lean and count + bool(rest) > 1

        def body(progress, xs):
            base, rows, kept = xs
            return self._span(given, post_given, progress, base, rows, kept, size=size)

        if keeps_spans_apart:
            body = jax.checkpoint(body)
        main = jax.tree.map(lambda x: x[: size * count].reshape(count, size, *x.shape[1:]), rows)
        bases = size * np.arange(count, dtype=np.int32)
        chosen = None if kept is None else kept[0]
        if count == 1:
            progress, out = body(progress, jax.tree.map(lambda x: x[0], (bases, main, chosen)))
            outs = [_alone(out)]
        else:
            progress, out = jax.lax.scan(body, progress, (bases, main, chosen))
            outs = [out]
        if rest:
            last = jax.tree.map(lambda x: x[size * count :], rows)
            end = (
                given,
                post_given,
                progress,
                np.int32(size * count),
                last,
                None if kept is None else kept[1],
            )
            span = (
                jax.checkpoint(lambda *a: self._span(*a, size=rest))
                if keeps_spans_apart
                else (lambda *a: self._span(*a, size=rest))
            )
            progress, out = span(*end)
            outs.append(_alone(out))
        return progress, outs

    def _span(self, given: Given, post_given: dict, progress: Progress, base, rows, kept, *, size: int):
        """Run one span."""
        if self.cuts:
            progress = jax.tree.map(lambda x: _cut(x, base > 0), progress)
        span = Span(self.frame, self.step, given, base, self.lean)
        carry, past, out = span.run(size, progress.carry, progress.past, rows)
        recorded, watched = out
        is_finite = progress.is_finite & _all_finite((carry.states, recorded, watched))
        is_still = progress.is_still & _is_constant((recorded, watched))
        _, (memory, samples) = self.post[size](
            *post_given[size], progress.memory, watched, given.first + base
        )
        if kept is not None:
            recorded = jax.tree.map(lambda x: x[kept], recorded)
        return Progress(carry, past, memory, is_finite, is_still), (recorded, samples)


def _alone(out):
    """Give what one span returns an axis of spans."""
    return jax.tree.map(lambda x: jnp.asarray(x)[None], out)


def _cut(x, here):
    if not is_inexact(x):
        return x
    return jnp.where(here, jax.lax.stop_gradient(x), x)


def _all_finite(tree):
    leaves = jax.tree.leaves(inexact(tree))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves])) if leaves else jnp.bool_(True)


def _is_constant(tree):
    leaves = [x for x in jax.tree.leaves(tree) if x.shape[0]]
    return jnp.all(jnp.stack([jnp.all(x == x[:1]) for x in leaves])) if leaves else jnp.bool_(True)
