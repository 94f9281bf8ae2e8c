"""How a run decides which connections it reads by windows, step by step, or at once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainmass_delays.delays.edges import packed_edges
from brainmass_delays.delays.interpolation import INTERPOLATIONS
from brainmass_delays.engine.plan import MAX_BLOCK, Table, choose_blocks, list_slots, plan_reads
from brainmass_delays.engine.slots import Slots
from brainmass_delays.engine.span import divide

RULES = sorted(INTERPOLATIONS)


@st.composite
def networks(draw):
    """Draw which connections exist and static bounds of their lags; some have no delay."""
    n = draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low = rng.uniform(0, draw(st.sampled_from([0.9, 4.0, 30.0, 300.0])), (n, n))
    high = low * rng.uniform(1, 3, (n, n))
    without = rng.random((n, n)) < draw(st.sampled_from([0.0, 0.3]))
    edges = packed_edges(rng.random((n, n)) < draw(st.sampled_from([0.2, 1.0])))
    return edges, *(edges.pack(np.where(without, 0.0, bound)) for bound in (low, high))


@given(
    st.lists(
        st.tuples(networks(), st.sampled_from(RULES), st.sampled_from([0.0, 1.0]), st.booleans()),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([None, 1, 5, 50]),
)
def test_every_connection_is_read_once_and_in_time(reads, block):
    tables = [
        Table(edges, low, high, INTERPOLATIONS[name], (0.0, last), is_live)
        for (edges, low, high), name, last, is_live in reads
    ]
    plan = plan_reads(tables, block)
    for k, (edges, low, high, rule, offsets, is_live) in enumerate(tables):
        lists, short = [level.slots[k] for level in plan.levels], plan.short[k]
        count = sum(np.asarray(slots.put(np.zeros(low.shape), slots.valid)) for slots in map(_eager, lists))
        np.add.at(count, (short.targets, short.slots), 1)
        np.testing.assert_array_equal(count, edges.active & (high > 0))
        np.testing.assert_array_equal(short.sources, edges.sources[short.targets, short.slots])
        assert not is_live or not any(slots.valid.any() for slots in lists)
        for level in plan.levels:
            lag = np.asarray(_eager(level.slots[k]).take(np.floor(low + 1e-6), np.inf))
            # a block's last step reads samples that were known when the block began
            assert (lag - rule.lead - max(offsets) >= level.block - 1).all()
        assert plan.n_recent >= short.take(high).max(initial=0.0) + rule.tail or not short.count
    sizes = [level.block for level in plan.levels]
    assert sizes == sorted(sizes, reverse=True)
    assert block is None or sizes[0] == block


def _eager(slots):
    """Compute with NumPy instead of JAX, which would compile for every shape."""
    return _NumpySlots(*slots)


class _NumpySlots:
    def __init__(self, positions, sources, valid, n_slots):
        self.positions, self.valid, self.n_slots = positions, valid, n_slots

    def take(self, table, padding):
        at = np.minimum(self.positions, self.n_slots - 1)
        return np.where(self.valid, np.take_along_axis(table, at, 1), padding)

    def put(self, table, values):
        table = table.copy()
        rows, entries = np.nonzero(self.valid)
        table[rows, self.positions[rows, entries]] = np.broadcast_to(values, self.valid.shape)[rows, entries]
        return table


def test_slot_lists_take_and_put():
    rng = np.random.default_rng(0)
    edges = packed_edges(np.ones((4, 5), bool)[:, :4])
    table = rng.normal(size=(4, 4))
    for share in (0.0, 0.3, 0.7, 1.0):
        chosen = rng.random((4, 4)) < share
        for whole in (False, True):
            slots = Slots.of(list_slots(edges, chosen, whole=whole), 4, is_summed=False)
            if not chosen.any():
                assert slots is None
                continue
            taken = slots.take(table, 7.0)
            assert sorted(np.asarray(taken)[slots.valid]) == sorted(table[chosen])
            assert (np.asarray(taken)[~slots.valid] == 7.0).all()
            back = slots.put(np.zeros((2, 4, 4)) + 0 * taken.sum(), taken)
            np.testing.assert_allclose(back, np.broadcast_to(np.where(chosen, table, 0.0), (2, 4, 4)))


@pytest.mark.parametrize(
    "lags, expected",
    {
        "all long": ([40] * 1000, [23]),
        "all just long enough": ([20] * 7056, [20]),
        "one that is short": ([40] * 7000 + [3], [23]),
        "many that are short": ([20] * 6900 + [4] * 156, [20, 4]),
        "nothing delayed": ([], [23]),
        "all below a step": ([0] * 50, [23]),
    }.values(),
)
def test_blocks_for(lags, expected):
    assert choose_blocks(np.array(lags, int), 84, None) == expected


@given(st.lists(st.integers(0, 100), max_size=300), st.integers(0, 4), st.none() | st.integers(1, 90))
def test_chosen_blocks_are_short_and_nested(lags, spare, block):
    sizes = choose_blocks(np.array(lags, int) - spare, 10, block)
    assert 1 <= len(sizes) <= 2
    assert sizes[0] == block or 1 <= sizes[0] <= MAX_BLOCK
    if len(sizes) == 2:
        assert 2 <= sizes[1] <= sizes[0] // 2


@given(st.integers(0, 5000), st.lists(st.integers(1, 60), min_size=1, max_size=3))
def test_a_run_is_divided_into_blocks_within_blocks(n_steps, blocks):
    """Every length divides the one before, none is longer than planned, and few stretches are left over."""
    blocks = sorted(blocks, reverse=True)
    stretches = divide(n_steps, tuple(blocks))
    assert sum(stretch[0][0] * stretch[0][1] for stretch in stretches) == n_steps
    for stretch in stretches:
        assert all(1 <= size <= most for (size, _), most in zip(stretch, blocks, strict=True))
        for (longer, _), (size, count) in pairwise(stretch):
            assert size * count == longer
    assert len(stretches) <= 2 + len(blocks)
