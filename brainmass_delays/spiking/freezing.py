"""Round learned delays once, for every reported number, and report where they ended."""

from collections.abc import Callable
from typing import NamedTuple

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import checked, function, numbers, optional
from .._core.checks import ArgumentError
from .arguments import are_delay_layers, is_module
from .base import DelayedSpikes
from .grid import time_step


class FrozenDelays:
    """Report what rounding did; as a context manager, undo it on leaving.

    Attributes
    ----------
    loss_before, loss_after : float or None
        The loss with fractional and with rounded delays, if a loss was given.
    largest_move : float
        Largest change of a delay in steps, at most one half.
    steps : dict
        Delays as whole steps by the path of the layer, for export.
    """

    @checked("FrozenDelays", layers=are_delay_layers, loss=optional(function))
    def __init__(self, layers: dict[str, DelayedSpikes], loss: Callable | None):
        self._layers = layers
        self._masters = {
            name: (layer.delay.value(), None if layer.width is None else layer.width.value)
            for name, layer in layers.items()
        }
        self.loss_before = None if loss is None else _one_number(loss)
        lags = {name: np.asarray(layer.lag()) for name, layer in layers.items()}
        try:
            for layer in layers.values():
                _round(layer)
            self.steps = {name: layer.steps() for name, layer in layers.items()}
            self.largest_move = max(float(np.max(np.abs(lags[name] - self.steps[name]))) for name in layers)
            self.loss_after = None if loss is None else float(loss())
        except BaseException:  # there will be no report, and so nobody to call restore
            self.restore()
            raise

    @property
    def loss_change(self) -> float | None:
        """Loss after rounding minus loss before."""
        return None if self.loss_before is None else self.loss_after - self.loss_before

    def restore(self) -> None:
        """Put the fractional delays and the kernel widths back."""
        for name, (delay, width) in self._masters.items():
            self._layers[name].delay.set_value(delay)
            if width is not None:
                self._layers[name].width.value = width

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.restore()

    def __repr__(self):
        loss = "" if self.loss_before is None else f", loss {self.loss_before:.4g} -> {self.loss_after:.4g}"
        return f"FrozenDelays({', '.join(self.steps)}: moved by at most {self.largest_move:.2f} steps{loss})"


@checked(module=is_module, loss=optional(function))
def freeze_delays(module: brainstate.nn.Module, loss: Callable[[], float] | None = None) -> FrozenDelays:
    """Round every delay in ``module`` to the nearest step, and sharpen every kernel to that step.

    Do this once before any number is reported or exported. Nothing is compiled again.

    Parameters
    ----------
    module : Module
        A layer of delays or anything that contains one.
    loss : callable, optional
        Loss of the module as it stands; called before and after, so that the price of rounding is known.

    Returns
    -------
    FrozenDelays
        Use it in a ``with`` statement to evaluate during training: the fractional delays return at the end.

    Raises
    ------
    ArgumentError
        When there is no layer of delays in ``module``.
    RunError
        When a delay left its bounds during training.

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import DelayLayer, freeze_delays
    >>> delay = jnp.array([1.25, 2.75]) * u.ms
    >>> layer = DelayLayer(2, max_delay=9 * u.ms, interpolation='linear', delay=delay)
    >>> with brainstate.environ.context(dt=1 * u.ms), freeze_delays(layer) as frozen:
    ...     print(layer.delay.value(), round(frozen.largest_move, 2))
    [1. 3.] ms 0.25
    >>> print(layer.delay.value())
    [1.25 2.75] ms
    """
    return FrozenDelays(delay_layers(module), loss)


class Saturation(NamedTuple):
    """Share of delays within half a step of a bound."""

    at_min: float
    at_max: float
    n_delays: int

    @property
    def total(self) -> float:
        """Share at either bound."""
        return self.at_min + self.at_max


def _one_number(loss):
    """Return what a loss returns if that is one number."""
    value = loss()
    numbers(unit=u.UNITLESS, scalar=True, traced=False)("freeze_delays.loss", value)
    return float(value)


@checked(module=is_module)
def saturation(module: brainstate.nn.Module) -> Saturation:
    """Report the share of delays within half a step of their bounds, over all layers in ``module``.

    Examples
    --------
    >>> import brainstate, brainunit as u, jax.numpy as jnp
    >>> from brainmass_delays.spiking import DelayLayer, saturation
    >>> layer = DelayLayer(4, max_delay=9 * u.ms, delay=jnp.array([0.2, 3., 5., 9.]) * u.ms)
    >>> with brainstate.environ.context(dt=1 * u.ms):
    ...     saturation(layer)
    Saturation(at_min=0.25, at_max=0.25, n_delays=4)
    """
    at_min = at_max = total = 0
    for layer in delay_layers(module, "saturation").values():
        lower, upper = layer.bounds_in_steps()
        lag = np.asarray(layer.lag())
        at_min += np.sum(lag <= lower + 0.5)
        at_max += np.sum(lag >= upper - 0.5)
        total += lag.size
    return Saturation(float(at_min / total), float(at_max / total), total)


def delay_layers(module: brainstate.nn.Module, where: str = "freeze_delays") -> dict[str, DelayedSpikes]:
    """Find the delay layers in ``module`` by their path; check that their delays are inside the bounds."""
    found = {}
    if isinstance(module, DelayedSpikes):
        found["layer"] = module
    else:
        found = {".".join(map(str, path)): node for path, node in module.nodes(DelayedSpikes).items()}
    if not found:
        raise ArgumentError(f"{where}.module", "must contain a layer of delays", type(module).__name__)
    for layer in found.values():
        layer.check()
    return found


def _round(layer):
    """Replace the master copy of one layer by its nearest whole steps."""
    delay, dt = layer.delay.value(), time_step("freeze_delays")
    layer.delay.set_value((jnp.round(layer.lag()) * dt).in_unit(u.get_unit(delay)).astype(delay.dtype))
    if layer.width is not None:
        layer.width.value = jax.tree.map(jnp.zeros_like, layer.width.value)
