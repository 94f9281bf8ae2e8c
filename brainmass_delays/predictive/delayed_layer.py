"""One layer of a predictive-coding network whose predictions and errors arrive after conduction delays."""

from typing import Any

import brainstate
import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError, check_choice
from .._core.param import ShowsSignature
from .._core.trees import fill
from ..delays.delay import Delay
from ..delays.read import prefetch, prefetch_delay
from .energies import LOSSES
from .layers import Dense, as_params
from .partition import split
from .populations import ErrorUnits, ValueUnits
from .prediction import predict


class PCLayer(ShowsSignature, brainstate.nn.Module):
    r"""Predict the units above from delayed values of the units below, and send the errors back with a delay.

    .. math::

        e(t) = z_\text{above}(t) - a f(z_\text{below}(t - d_f)) - s(z_\text{below}(t - d_f)), \qquad
        \text{feedback}(t) = \big(J^T e\big)(t - d_b)

    Parameters
    ----------
    below : ValueUnits
        The units that predict.
    shape : tuple of int
        Shape ``(..., n_out)`` of what is predicted.
    layer : callable
        The map f on one sample, as in `pc_energy`. Its arrays become one ``ParamState``.
    skip : callable, optional
        The map s.
    scaling : float, default 1.0
        The factor a.
    forward_delay, backward_delay : Quantity, Param or callable, optional
        Delay of the prediction and of the error: None, a scalar, or, for a `Dense` layer without skip, a
        matrix ``[target, source]``: ``(n_out, n_in)`` forward, ``(n_in, n_out)`` backward. A ``Param`` is
        trainable.
    max_delay : Quantity, optional
        Static bound of each delay that can change.
    interpolation : {'linear', 'cubic', 'nearest'}, default 'linear'
        How delayed values are read.
    loss_id : {'MSE', 'CE'}, default 'MSE'
        Loss of the prediction; the error is its negative derivative.

    Raises
    ------
    ArgumentError
        For delays of another shape, and for matrices of delays of a layer that is not `Dense`.

    Notes
    -----
    Delayed errors are passed back through the Jacobian at the values from which they were predicted. With a
    matrix of delays the slope of an activation that comes first is taken at the receiving unit, now.

    Examples
    --------
    >>> import brainstate, jax.numpy as jnp
    >>> from brainmass_delays.predictive import Dense, PCLayer
    >>> from brainmass_delays.predictive.populations import ValueUnits
    >>> below = ValueUnits(jnp.ones(2))
    >>> layer = PCLayer(below, (3,), Dense(jnp.ones((3, 2))))
    >>> _ = brainstate.nn.init_all_states([below, layer])
    >>> layer.predict().tolist()
    [2.0, 2.0, 2.0]
    """

    def __init__(
        self,
        below: ValueUnits,
        shape: tuple[int, ...],
        layer: Any,
        *,
        skip: Any = None,
        scaling: float = 1.0,
        forward_delay: Any = None,
        backward_delay: Any = None,
        max_delay: Any = None,
        interpolation: str = "linear",
        loss_id: str = "MSE",
    ):
        super().__init__()
        self.below, self.errors = below, ErrorUnits(shape)
        (layer,), skips = as_params(([layer], None if skip is None else [skip]))
        arrays, self._rest = split((layer, skips and skips[0]))
        self.parameters = brainstate.ParamState(arrays)
        self.scaling, self.loss = scaling, LOSSES[check_choice("PCLayer.loss_id", loss_id, LOSSES)]
        self.forward_delay, self.backward_delay = (
            None if delay is None else Delay(delay, max_delay=max_delay, where=f"PCLayer.{name}")
            for name, delay in (("forward_delay", forward_delay), ("backward_delay", backward_delay))
        )
        n_in, n_out = below.varshape[-1], shape[-1]
        per_connection = [
            _is_matrix(f"PCLayer.{name}", getattr(self, name), size)
            for name, size in (("forward_delay", (n_out, n_in)), ("backward_delay", (n_in, n_out)))
        ]
        if any(per_connection) and not (isinstance(layer, Dense) and skip is None):
            raise ArgumentError(
                "PCLayer.layer",
                "must be a Dense without skip if delays differ between connections",
                type(layer).__name__,
                "Give the layer one delay",
            )
        options = {"interpolation": interpolation}
        self._link = (_PerConnection if any(per_connection) else _Uniform)(self, options)

    @property
    def layer(self) -> Any:
        """The map f with its present parameters."""
        return self._maps()[0]

    @property
    def skip(self) -> Any:
        """The map s with its present parameters, or None."""
        return self._maps()[1]

    def predict(self) -> jax.Array:
        """Return the prediction from the delayed values below, ``(..., n_out)``."""
        return self._link.predict(self)

    def compare(self, target: jax.Array) -> jax.Array:
        """Update the error units for ``target``, ``(..., n_out)``; return the error."""
        prediction = self.predict()
        error = -jax.grad(lambda p: jnp.sum(on_samples(self.loss, target, p)))(prediction)
        return self.errors(prediction, error, self._link.signal(self, error))

    def feedback(self) -> jax.Array:
        """Return the error that reaches the units below now, ``(..., n_in)``."""
        return self._link.feedback(self)

    def energy(self, target: jax.Array) -> jax.Array:
        """Return the loss of the present prediction per sample, ``(...)``."""
        return on_samples(self.loss, target, self.predict())

    def _maps(self):
        """Return layer and skip."""
        return fill(self.parameters.value, self._rest)


class _Uniform:
    """Read one prediction and one error for all connections of a layer of any kind."""

    def __init__(self, layer: PCLayer, options: dict):
        forward, backward = layer.forward_delay, layer.backward_delay
        self.values = _read(layer.below, "z", forward, options)
        self.errors = _read(layer.errors, "e", backward, options)
        self.then = (
            self.values
            if backward is None
            else _read(layer.below, "z", self._sum_of_delays(forward, backward), options)
        )

    def _sum_of_delays(self, forward, backward):
        """Return the delay of a value whose prediction error comes back."""
        if forward is None:
            return backward
        bound = self.values.max_delay + self.errors.max_delay
        return Delay(lambda: forward() + backward(), max_delay=bound, where="PCLayer")

    def predict(self, layer):
        return on_samples(_map_of(layer), self.values())

    def signal(self, layer, error):
        return error

    def feedback(self, layer):
        def pull(values, error):
            return jax.vjp(_map_of(layer), values)[1](error)[0]

        return on_samples(pull, self.then(), self.errors())


class _PerConnection:
    """Read every connection of a dense layer with a delay of its own."""

    def __init__(self, layer: PCLayer, options: dict):
        n_in, n_out = layer.below.varshape[-1], layer.errors.varshape[-1]
        self.values = _read_matrix(layer.below, "z", layer.forward_delay, (n_out, n_in), options)
        self.signals = _read_matrix(layer.errors, "signal", layer.backward_delay, (n_in, n_out), options)

    def predict(self, layer):
        return _after(layer)(self._drive(layer))

    def signal(self, layer, error):
        return jax.vjp(_after(layer), self._drive(layer))[1](error)[0]

    def feedback(self, layer):
        dense = layer.layer
        arrived = jnp.sum(dense.weight.T * self.signals(), axis=-1)
        before = dense.activation if dense.activation_first else lambda z: z
        return jax.vjp(before, layer.below.z.value)[1](arrived)[0]

    def _drive(self, layer):
        """Return the weighted sum of what has arrived, (..., n_out)."""
        dense, values = layer.layer, self.values()
        arrived = dense.activation(values) if dense.activation_first else values
        drive = jnp.sum(dense.weight * arrived, axis=-1)
        return drive if dense.bias is None else drive + dense.bias


def on_samples(function, *values):
    """Apply a function of vectors over the leading axes of ``values``, each ``(..., n)``."""
    lead = values[0].shape[:-1]
    out = jax.vmap(function)(*(v.reshape(-1, v.shape[-1]) for v in values))
    return out.reshape(*lead, *out.shape[1:])


def _map_of(layer):
    """Return the scaled map of a layer on one sample."""
    f, skip = layer._maps()
    return lambda h: predict(([f], [skip]), 0, h, layer.scaling)


def _after(layer):
    """Return what a dense layer does to its drive."""
    dense = layer.layer
    after = (lambda drive: drive) if dense.activation_first else dense.activation
    return lambda drive: layer.scaling * after(drive)


def _is_matrix(where, delay, shape) -> bool:
    """Tell whether a delay has one entry per connection; refuse other shapes."""
    found = () if delay is None else delay.shape()
    if found not in ((), shape):
        raise ArgumentError(where, f"must be a scalar or a matrix [target, source], {shape}", found)
    return found == shape


def _read(node, state, delay, options):
    """Read a state, with a delay if there is one."""
    return prefetch(node, state) if delay is None else prefetch_delay(node, state, delay, **options)


def _read_matrix(node, state, delay, shape, options):
    """Read the source of every connection ``[target, source]``; no delay repeats the current state."""
    if delay is None:
        current = prefetch(node, state)
        return lambda: current()[..., None, :]
    index = jnp.broadcast_to(jnp.arange(shape[1]), shape)
    return prefetch_delay(node, state, (delay, index), **options)
