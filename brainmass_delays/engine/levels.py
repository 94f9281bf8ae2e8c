"""Read one table in one level of blocks: from lags and weights to what every stage of a block gets."""

import jax
import jax.numpy as jnp

from ..delays.interpolation import Interpolation, split
from .block_reads import MirroredReads, Place, ScatteredReads
from .slots import Slots
from .windows import blend, blend_in_reverse, stage_weights, window_length, window_starts


class LevelReads:
    """Serve sums over the slots of a level, or, without weights, the value of every slot.

    Parameters
    ----------
    slots : Slots
        Which slots of the table.
    shortest : int
        The smallest whole lag among them.
    lag, weights : array, array or None
        Lags in steps and weights of the whole table, ``(target, slot)``.
    rule : Interpolation
        How to read between samples.
    offsets : tuple of float
        Stages of a step, in steps.
    lean : bool
        Whether the reverse pass reads again; False where plain autodiff must get through.
    """

    def __init__(
        self,
        slots: Slots,
        shortest: int,
        lag: jax.Array,
        weights: jax.Array | None,
        rule: Interpolation,
        offsets: tuple[float, ...],
        lean: bool,
    ):
        self.is_summed = weights is not None
        self.slots, self.rule, self.offsets = slots, rule, offsets
        self.lean = lean
        self.lag = slots.take(lag, shortest)
        starts, self.fraction = window_starts(rule, self.lag)
        self.place = Place(starts, slots)
        self.weights = slots.take(weights, 0.0) if self.is_summed else None
        parts = {c % 1: c for c in reversed(offsets)}
        self.taps = {part: self._taps(c) for part, c in parts.items()} if self.is_summed else ()

    def _taps(self, c):
        """Return the weights of every sample, the connection's times the interpolation's, one array per
        track."""
        stage = stage_weights(self.rule, self.fraction, c)
        taps = (stage.values, stage.slopes) if self.rule.slope_taps else (stage.values,)
        return tuple(t * self.weights[..., None] for t in taps)

    def reads(self, block: int, origin: int, lateness: tuple[int, ...]):
        """Return how blocks of tracks whose initial sample is in column ``origin`` read."""
        length = window_length(self.rule, block, max(self.offsets))
        if not self.is_summed:
            return ScatteredReads(self.slots.sources.size, length, block, origin)
        return MirroredReads(
            self.slots.sources.size, length, block, origin, self.offsets, lateness, not self.lean
        )

    def serve(self, seen, jump: jax.Array | None, age, block: int) -> dict[float, jax.Array]:
        """Return what each stage gets, ``(step, ..., target)`` or ``(step, ..., target, entry)``.

        ``jump`` is that of the slope at the initial time, ``age`` how many steps ago that was."""
        served = seen if self.is_summed else self._blended(seen, block)
        if jump is None:
            return served
        return {
            c: value + jnp.moveaxis(self._kink_term(jump, c, age, block), -1, 0)
            for c, value in served.items()
        }

    def _blended(self, seen, block):
        """Interpolate the windows of a block for every stage."""
        served, mix = {}, blend_in_reverse if self.lean else blend
        for c in self.offsets:
            stage = stage_weights(self.rule, self.fraction, c)
            value = mix(seen[0], stage.values, stage.base, block)
            if self.rule.slope_taps:
                value += mix(seen[1], stage.slopes, stage.base, block)
            served[c] = jnp.moveaxis(value, -1, 0)
        return served

    def _kink_term(self, jump, c, age, block):
        """Correct the one interval that ends at the initial time by the slope before it."""
        k, fraction = split(self.lag - c, self.rule.lead)
        ends_there = k[..., None] == age + jnp.arange(block)
        weight = self.rule.slope_weights(fraction)[..., 0] * jump[..., self.slots.sources]
        term = jnp.where(ends_there, weight[..., None], 0.0)
        return jnp.einsum("ik,...ikm->...im", self.weights, term) if self.is_summed else term

    def merge(self, served: dict, more: dict) -> dict:
        """Put what this level serves beside what longer blocks served."""
        if not served and (self.is_summed or self.slots.is_whole):
            return more
        if self.is_summed:
            return {c: served[c] + value for c, value in more.items()}
        nothing = {c: jnp.zeros((*v.shape[:-1], self.slots.n_slots), v.dtype) for c, v in more.items()}
        return {c: self.slots.put((served or nothing)[c], value) for c, value in more.items()}
