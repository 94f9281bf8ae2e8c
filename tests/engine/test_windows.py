"""Sums over windows: any width, any number of slots in use, batches, against a loop in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays.engine.slots import last_marked
from brainmass_delays.engine.windows import blend, blend_in_reverse, sum_windows

N_STEPS, N_TAPS, N_TIMES = 9, 2, 40


def example(n_targets, width, used, batch=()):
    rng = np.random.default_rng(width)
    track = rng.normal(size=(*batch, 6, N_TIMES))
    sources = rng.integers(0, 6, (n_targets, width))
    starts = rng.integers(0, N_TIMES - N_STEPS - N_TAPS - 8, (n_targets, width))
    taps = rng.normal(size=(n_targets, width, N_TAPS)) * (np.arange(width) < used[:, None])[..., None]
    return track, sources, starts, taps


def summed_by_loop(track, sources, starts, taps):
    total = np.zeros((*track.shape[:-2], len(sources), N_STEPS))
    for i, k in np.ndindex(sources.shape):
        for q in range(N_TAPS):
            first = starts[i, k] + q
            total[..., i, :] += taps[i, k, q] * track[..., sources[i, k], first : first + N_STEPS]
    return total


def summed(track, sources, starts, taps, used):
    return sum_windows([track], sources, [starts], [taps], N_STEPS, used=used, room=7)


@pytest.mark.parametrize("width", range(1, 10))
@pytest.mark.parametrize("batch", [(), (3,)])
def test_slots_in_use(width, batch):
    """Full tables turn over all slots, ragged ones over those in use."""
    for used in (np.full(5, width), np.array([0, width, 1, width // 2, 0])):
        arrays = example(5, width, used, batch)
        found = summed(*map(jnp.asarray, arrays), used)
        np.testing.assert_allclose(found, summed_by_loop(*arrays), rtol=1e-12, atol=1e-12)


def test_a_batch_of_ragged_tables():
    """`jax.vmap` over weights or starts stacks the targets, and how many of their slots are in use."""
    used = np.array([0, 6, 1, 3, 0])
    arrays = [example(5, 6, used) for _ in range(2)]
    track, sources = arrays[0][:2]
    stacked = [
        jnp.stack([jnp.asarray(a[n]) * (1 + i * (n == 3)) for i, a in enumerate(arrays)]) for n in (2, 3)
    ]
    found = jax.vmap(lambda s, t: summed(jnp.asarray(track), sources, s, t, used))(*stacked)
    for row, starts, taps in zip(found, *map(np.asarray, stacked), strict=True):
        np.testing.assert_allclose(row, summed_by_loop(track, sources, starts, taps), rtol=1e-12, atol=1e-12)


def test_entries_up_to_the_last_one_marked():
    marks = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    assert last_marked(marks).tolist() == [3, 0, 4]


@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("base, n_taps, spare", [(0, 2, 0), (1, 2, 0), (0, 3, 2), (2, 4, 1), (0, 1, 0)])
def test_blends_go_back_as_autodiff_does(lead, base, n_taps, spare):
    n_steps, rng = 6, np.random.default_rng(0)
    windows = jnp.asarray(rng.normal(size=(*lead, 3, 5, base + n_taps - 1 + n_steps + spare)))
    weights, bar = jnp.asarray(rng.normal(size=(3, 5, n_taps))), rng.normal(size=(*lead, 3, 5, n_steps))
    expected, back = jax.vjp(lambda *args: blend(*args, base, n_steps), windows, weights)
    got, quick_back = jax.vjp(lambda *args: blend_in_reverse(*args, base, n_steps), windows, weights)
    np.testing.assert_array_equal(got, expected)
    for found, wanted in zip(quick_back(jnp.asarray(bar)), back(jnp.asarray(bar)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
