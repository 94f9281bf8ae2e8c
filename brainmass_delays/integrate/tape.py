"""A tape: arrays of static length whose rows a loop writes once and may read later.

A tape is a (named) tuple of arrays, an index one NumPy-style index per array, and rows one row per array. A
loop that keeps its tape apart from its state never copies the tape, neither for a checkpoint nor in a
backward step.
"""

import jax
import jax.numpy as jnp


def read(tape, index):
    """Gather ``leaf[index]`` from every array of the tape; an empty index reads nothing."""
    return tuple(leaf[i] for leaf, i in zip(tape, index, strict=True)) if index else ()


def write(tape, slot, rows, active=True):
    """Put one row per array at ``slot``, unless not ``active``."""
    return jax.tree.map(lambda leaf, row: leaf.at[slot].set(jnp.where(active, row, leaf[slot])), tape, rows)


def add(tape, index, values):
    """Add ``values`` where `read` found them: the transpose of `read`."""
    if not index:
        return tape
    leaves, structure = jax.tree.flatten(tape)
    added = [leaf.at[i].add(value) for leaf, i, value in zip(leaves, index, values, strict=True)]
    return jax.tree.unflatten(structure, added)


def blank(row, length):
    """Return a zero tape of ``length`` rows for arrays of the shape of ``row``."""
    return jax.tree.map(lambda x: jnp.zeros((length, *x.shape), x.dtype), row)
