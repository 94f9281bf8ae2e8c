"""Predictive-coding networks in continuous time: predictions and errors arrive after conduction delays."""

from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp

from .._core.checks import ArgumentError, check_choice
from .._core.units import magnitude
from ..delays.prefetch import prefetch, prefetch_delay
from ..delays.source import params_of, shape_of, static_bound, step_size, value_of
from .energies import LOSSES
from .initialization import init_activities_with_ffwd
from .layers import Dense, as_params
from .partition import join, split
from .prediction import layer_scalings, predict, sample_size
from .units import ErrorUnits, ValueUnits
from .validation import check_labels, check_network, inputs_and_targets

METHODS = ("euler", "heun")


class PCLayer(brainstate.nn.Module):
    r"""Predict the units above from delayed values of the units below, and send the errors back with a delay.

    .. math::

        e(t) = z_\text{above}(t) - a f(z_\text{below}(t - d_f)) - s(z_\text{below}(t - d_f)), \qquad
        \text{feedback}(t) = \big[J^T e\big](t - d_b)

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
        Delay of the prediction and of the error: None, a scalar, or, for a `Dense` layer without skip, a matrix
        ``[target, source]``: ``(n_out, n_in)`` forward, ``(n_in, n_out)`` backward. A ``Param`` is trainable.
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
    Delayed errors are passed back through the Jacobian at the values from which they were predicted. With a matrix
    of delays the slope of an activation that comes first is taken at the receiving unit, now.

    Examples
    --------
    >>> import brainstate, jax.numpy as jnp
    >>> from brainmass_delays.predictive import Dense, PCLayer
    >>> from brainmass_delays.predictive.units import ValueUnits
    >>> below = ValueUnits(jnp.ones(2))
    >>> layer = PCLayer(below, (3,), Dense(jnp.ones((3, 2))))
    >>> _ = brainstate.nn.init_all_states([below, layer])
    >>> layer.predict().tolist()
    [2.0, 2.0, 2.0]
    """

    def __init__(self, below: ValueUnits, shape: tuple[int, ...], layer: Any, *, skip: Any = None, scaling: float = 1.0,
                 forward_delay: Any = None, backward_delay: Any = None, max_delay: Any = None,
                 interpolation: str = "linear", loss_id: str = "MSE"):
        super().__init__()
        self.below, self.errors = below, ErrorUnits(shape)
        (layer,), skips = as_params(([layer], None if skip is None else [skip]))
        arrays, self._rest = split((layer, skips and skips[0]))
        self.parameters = brainstate.ParamState(arrays)
        self.scaling, self.loss = scaling, LOSSES[check_choice("PCLayer.loss_id", loss_id, LOSSES)]
        self.forward_delay, self.backward_delay = forward_delay, backward_delay
        self.delay_params = {f"{name}_{key}": param for name in ("forward", "backward")
                             for key, param in params_of(getattr(self, f"{name}_delay")).items()}
        n_in, n_out = below.varshape[-1], shape[-1]
        per_connection = [_is_matrix(f"PCLayer.{name}", getattr(self, name), size) for name, size in
                          (("forward_delay", (n_out, n_in)), ("backward_delay", (n_in, n_out)))]
        if any(per_connection) and not (isinstance(layer, Dense) and skip is None):
            raise ArgumentError("PCLayer.layer", "must be a Dense without skip if delays differ between connections",
                                type(layer).__name__, "Give the layer one delay")
        options = {"max_delay": max_delay, "interpolation": interpolation}
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
        return join(self.parameters.value, self._rest)


class _Uniform:
    """Read one prediction and one error for all connections of a layer of any kind."""

    def __init__(self, layer: PCLayer, options: dict):
        forward, backward = layer.forward_delay, layer.backward_delay
        self.values = _read(layer.below, "z", forward, options)
        self.errors = _read(layer.errors, "e", backward, options)
        self.then = self.values if backward is None else _read(
            layer.below, "z", *_sum_of_delays(forward, backward, options))

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


class PCNetwork(brainstate.nn.Module):
    r"""Relax the activities of a predictive-coding network in time, with conduction delays.

    .. math::

        \tau \dot z_l(t) = -e_l(t) + \big[J_{l+1}^T e_{l+1}\big](t - d_b), \qquad
        e_l(t) = z_l(t) - f_l(z_{l-1}(t - d_f))

    Without delays this is the gradient flow of `pc_energy` per sample. The fixed point does not depend on the delays,
    but whether it is stable does (`critical_delay`).

    Parameters
    ----------
    params : (model, skip_model)
        As for `pc_energy`. The arrays are copied into one ``ParamState`` per layer.
    y : array, (..., n_L)
        Observation at the initial time.
    x : array, (..., n_0), optional
        Prior at the initial time. None: a free input.
    activities : list of arrays, optional
        Initial activities as for `pc_energy`. Default: the feedforward pass; required without ``x``.
    tau : Quantity, default 1 ms
        Time constant of the value units.
    forward_delay, backward_delay : Quantity, Param or callable, or a list of L of them, optional
        Delay of predictions and of errors, for all layers or per layer; see `PCLayer`.
    max_delay : Quantity, optional
        Static bound of delays that can change.
    interpolation : {'linear', 'cubic', 'nearest'}, default 'linear'
        How delayed values are read.
    method : {'heun', 'euler'}, default 'heun'
        Order 2 or 1 in the step.
    loss_id, param_type, gamma
        As for `pc_energy`.

    Attributes
    ----------
    layers : list of PCLayer
    values : list of ValueUnits
        Levels 0 to L - 1; level 0 is ``x``.

    Raises
    ------
    ArgumentError
        As `pc_energy` and `PCLayer`; for a list of delays of another length.

    Notes
    -----
    One `update` is one step of ``brainstate.environ``'s ``dt``; run many with `Simulator`. Histories before the initial time
    are constant. Gradients of a run reach parameters and delays marked ``fit=True``; `local_grads` needs no run.
    Heun's step puts its predictor into the buffers, so that delays shorter than a step are right as well.

    Examples
    --------
    >>> import brainunit as u, jax
    >>> from brainmass_delays import Simulator
    >>> from brainmass_delays.predictive import PCNetwork, make_mlp
    >>> model = make_mlp(jax.random.key(0), [3, 5, 2], 'tanh')
    >>> net = PCNetwork((model, None), jax.numpy.zeros(2), jax.numpy.ones(3), forward_delay=2 * u.ms, tau=10 * u.ms)
    >>> result = Simulator(net, dt=0.5 * u.ms).run(20 * u.ms, monitors=lambda net: net.energy())
    >>> result['output'].shape
    (40,)
    """

    def __init__(self, params: Any, y: Any, x: Any = None, *, activities: list | None = None, tau: Any = 1.0 * u.ms,
                 forward_delay: Any = None, backward_delay: Any = None, max_delay: Any = None,
                 interpolation: str = "linear", method: str = "heun", loss_id: str = "MSE", param_type: str = "sp",
                 gamma: float | None = None):
        super().__init__()
        model, skips = params = as_params(params)
        y, x = jnp.asarray(y), None if x is None else jnp.asarray(x)
        self.is_free, self.tau = x is None, tau
        self.method = check_choice("PCNetwork.method", method, METHODS)
        magnitude("PCNetwork.tau", tau, u.ms, plain=False)
        check_labels("PCNetwork", y, check_choice("PCNetwork.loss_id", loss_id, LOSSES))
        activities = self._initial_activities(params, y, x, activities, param_type, gamma)
        inputs, targets = inputs_and_targets(activities, y, x, len(model))
        check_network(params, *jax.tree.map(lambda z: z.reshape(-1, z.shape[-1]), (activities, y)),
                      None if x is None else x.reshape(-1, x.shape[-1]))
        scalings = layer_scalings(params, inputs[0].shape[-1], targets[0].shape[-1], param_type, gamma)
        delays = zip(_per_layer("forward_delay", forward_delay, len(model)),
                     _per_layer("backward_delay", backward_delay, len(model)), strict=True)
        self.values = [ValueUnits(z) for z in inputs]
        self.observation = ValueUnits(y)
        self.layers = [
            PCLayer(below, target.shape, model[l], skip=skips[l] if skips else None, scaling=scalings[l],
                    forward_delay=forward, backward_delay=backward, max_delay=max_delay, interpolation=interpolation,
                    loss_id=loss_id if l == len(model) - 1 else "MSE")
            for l, (below, target, (forward, backward)) in enumerate(zip(self.values, targets, delays, strict=True))
        ]

    def _initial_activities(self, params, y, x, activities, param_type, gamma):
        """Return the given activities, or those of a feedforward pass."""
        if activities is not None:
            return [jnp.asarray(z) for z in activities]
        if x is None:
            raise ArgumentError("PCNetwork.activities", "must be given for a free input", "None")
        flat = init_activities_with_ffwd(params, x.reshape(-1, x.shape[-1]), param_type=param_type, gamma=gamma)
        return [z.reshape(*y.shape[:-1], z.shape[-1]) for z in flat]

    @brainstate.nn.call_order(2)
    def init_state(self, *args, **kwargs):
        """Compute the errors at the initial time and let their history be constant."""
        brainstate.transform.jit(self._compare)()
        for layer in self.layers:
            for buffer in (layer.errors.after_updates or {}).values():
                buffer.init_state()

    def update(self, y: Any = None, x: Any = None) -> list[jax.Array]:
        """Advance by one step.

        Parameters
        ----------
        y, x : array, optional
            Observation and prior at the end of the step; by default they stay.

        Returns
        -------
        list of arrays
            `activities`, after the step.
        """
        rates = self._rates()
        if self.method == "heun":
            before = {path: state.value for path, state in self._dynamic_states().items()}
            self._advance(rates, y, x)
            rates = [(first + second) / 2 for first, second in zip(rates, self._rates(), strict=True)]
            for path, state in self._dynamic_states().items():
                state.value = before[path]
        self._advance(rates, y, x)
        return self.activities

    @property
    def activities(self) -> list[jax.Array]:
        """Present activities as for `pc_energy`; the last entry is the prediction of the observation."""
        return [units.z.value for units in self.values[not self.is_free :]] + [self.layers[-1].errors.prediction.value]

    @property
    def params(self) -> tuple:
        """Present parameters as ``(model, skip_model)``."""
        skips = [layer.skip for layer in self.layers]
        return [layer.layer for layer in self.layers], skips if any(s is not None for s in skips) else None

    def energy(self) -> jax.Array:
        """Return the present energy, a batch mean: the loss of what has arrived against what it should predict."""
        return sum(jnp.mean(layer.energy(target.z.value)) for layer, target in self._pairs())

    def local_states(self) -> dict[str, brainstate.State]:
        """Return the states that `local_grads` moves, by name: parameters and trainable forward delays of each layer."""
        states = {}
        for l, layer in enumerate(self.layers):
            states[f"layers.{l}.parameters"] = layer.parameters
            for name, param in layer.delay_params.items():
                if name.startswith("forward") and param.fit:
                    states[f"layers.{l}.{name}"] = param.val
        return states

    def local_grads(self) -> dict[str, Any]:
        r"""Compute the gradient of the present energy in parameters and forward delays, all that arrived being fixed.

        Returns
        -------
        dict
            Like `local_states`. For dense layers ``-e_i z_j(t - d_ij)`` times the slope of the activation, and
            ``e_i W_ij z_j'(t - d_ij)``: local in postsynaptic error, presynaptic activity and presynaptic slope.

        Notes
        -----
        The buffers are constants, so this is not the gradient of a run. Backward delays do not enter the present
        energy; train them by the gradient of a run.
        """
        return brainstate.transform.grad(self.energy, self.local_states())()

    def _pairs(self):
        """Return each layer with the units that it predicts."""
        return list(zip(self.layers, [*self.values[1:], self.observation], strict=True))

    def _compare(self):
        """Update all errors."""
        for layer, target in self._pairs():
            layer.compare(target.z.value)

    def _rates(self) -> list[jax.Array]:
        """Return the rates of all value units per ms; zero for a clamped input."""
        tau = magnitude("PCNetwork.tau", self.tau, u.ms, plain=False)
        rates = [layer.feedback() / tau for layer in self.layers]
        for l, layer in enumerate(self.layers[:-1], 1):
            rates[l] -= layer.errors.e.value / tau
        return rates if self.is_free else [jnp.zeros_like(rates[0]), *rates[1:]]

    def _advance(self, rates, y, x):
        """Move the values along ``rates``, take new data, and compare."""
        dt = step_size("PCNetwork.update").to_decimal(u.ms)
        new = [units.z.value + dt * rate for units, rate in zip(self.values, rates, strict=True)]
        if x is not None:
            new[0] = jnp.asarray(x, new[0].dtype)
        for units, value in zip(self.values, new, strict=True):
            units(value)
        if y is not None:
            self.observation(jnp.asarray(y, self.observation.z.value.dtype))
        self._compare()

    def _dynamic_states(self):
        """Return all states that a step changes."""
        return {path: state for path, state in self.states().items() if not isinstance(state, brainstate.ParamState)}


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
    found = () if delay is None else shape_of(delay)
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


def _sum_of_delays(forward, backward, options):
    """Return the delay of a value whose prediction error comes back, and the options of its read."""
    if forward is None:
        return backward, options
    bounds = [static_bound("PCLayer", delay, options["max_delay"]) for delay in (forward, backward)]
    return (lambda: value_of(forward) + value_of(backward)), {**options, "max_delay": sum(bounds[1:], bounds[0])}


def _per_layer(name, delay, n_layers):
    """Return one delay per layer."""
    if not isinstance(delay, list | tuple):
        return [delay] * n_layers
    if len(delay) != n_layers:
        raise ArgumentError(f"PCNetwork.{name}", f"must be one delay or a list of {n_layers}", f"{len(delay)} entries")
    return list(delay)
