"""A tape: arrays of static length whose rows a loop writes once and may read later.

A tape is a (named) tuple of arrays, an index one NumPy-style index per array, and rows one row per array. A
loop that keeps its tape apart from its state never copies the tape, neither for a checkpoint nor in a
backward step. The body of such a loop sees the tape through a reader, so that a backward step can hand it
again what a forward step has read.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun


class Reader:
    """Read a tape.

    ``rows(index)`` gathers at ``index(tape)``; ``fixed(compute)`` returns ``compute(reader)`` as a constant
    of differentiation, whatever loops it contains.
    """

    def __init__(self, tape):
        self.tape = tape

    def rows(self, index):
        """Return ``leaf[i]`` for every array of the tape and its ``i`` of ``index(tape)``."""
        return tuple(leaf[i] for leaf, i in zip(self.tape, index(self.tape), strict=True))

    def fixed(self, compute):
        """Return what ``compute`` finds, without its derivative."""
        return frozen(lambda tape: compute(Reader(tape)))(self.tape)


class RecordingReader(Reader):
    """Read a tape and keep what was read, and where."""

    def __init__(self, tape):
        super().__init__(tape)
        self.indices, self.values, self.constants = [], [], []

    def rows(self, index):
        """Return ``leaf[i]`` for every array of the tape and its ``i`` of ``index(tape)``."""
        self.indices.append(index(self.tape))
        self.values.append(super().rows(lambda tape: self.indices[-1]))
        return self.values[-1]

    def fixed(self, compute):
        """Return what ``compute`` finds, without its derivative."""
        self.constants.append(super().fixed(compute))
        return self.constants[-1]


class ReplayingReader:
    """Hand out, in the same order, what a `RecordingReader` has kept."""

    def __init__(self, values, constants):
        self._values, self._constants = iter(values), iter(constants)

    def rows(self, index):
        """Return the next rows."""
        return next(self._values)

    def fixed(self, compute):
        """Return the next constant."""
        return next(self._constants)


def frozen(function):
    """Return ``function`` with no derivative in its arguments, nor in anything that it closes over."""

    def call(*args):
        args = lax.stop_gradient(args)
        closed, out = jax.make_jaxpr(function, return_shape=True)(*args)
        consts = [lax.stop_gradient(x) for x in closed.consts]
        leaves = jaxpr_as_fun(ClosedJaxpr(closed.jaxpr, consts))(*jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(out), leaves)

    return call


def write(tape, slot, rows, active=True):
    """Put one row per array at ``slot``, unless not ``active``."""
    return jax.tree.map(lambda leaf, row: leaf.at[slot].set(jnp.where(active, row, leaf[slot])), tape, rows)


def write_each(tapes, slots, rows, active=True):
    """Write a row on each of several tapes."""
    return tuple(write(*each, active) for each in zip(tapes, slots, rows, strict=True))


def add(tape, index, values):
    """Add ``values`` where `Reader.rows` found them: the transpose of a read."""
    leaves, structure = jax.tree.flatten(tape)
    added = [leaf.at[i].add(value) for leaf, i, value in zip(leaves, index, values, strict=True)]
    return jax.tree.unflatten(structure, added)


def blank(row, length):
    """Return a zero tape of ``length`` rows for arrays of the shape of ``row``."""
    return jax.tree.map(lambda x: jnp.zeros((length, *x.shape), x.dtype), row)
