"""Predictive-coding networks in continuous time, with conduction delays."""

import math
from typing import Any

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
from brainstate.nn import Param

from .._core.arguments import each, numbers
from .._core.checks import ArgumentError, check_choice
from .._core.param import HoldsParams
from .._core.units import magnitude
from ..delays.delay import step_size
from ..delays.interpolation import INTERPOLATIONS
from ..integrate.steps import STEPS
from .arguments import ARRAY, RULES, TAU
from .delayed_layer import PCLayer
from .energies import check_loss
from .initialization import init_activities_with_ffwd
from .layers import as_params
from .populations import ValueUnits
from .prediction import layer_scalings
from .validation import check_labels, check_network, inputs_and_targets

METHODS = tuple(name for name, step in STEPS.items() if set(step.offsets) <= {0.0, 1.0})


class PCNetwork(HoldsParams, brainstate.nn.Module):
    r"""Relax the activities of a predictive-coding network in time, with conduction delays.

    .. math::

        \tau \dot z_l(t) = -e_l(t) + \big(J_{l+1}^T e_{l+1}\big)(t - d_b), \qquad
        e_l(t) = z_l(t) - f_l(z_{l-1}(t - d_f))

    Without delays this is the gradient flow of `pc_energy` per sample. The fixed point does not depend on
    the delays, but whether it is stable does (`critical_delay`).

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
    method : {'heun', 'euler', 'exp_euler'}, default 'heun'
        Order 2, 1 or 1 in the step, for smooth histories: the methods of `brainmass_delays.integrate.steps`
        whose stages lie at the ends of a step. 'exp_euler' treats the leak exactly. Linear reads add an
        error of order 2 that depends on where a delay falls between two steps, so that halving the step need
        not quarter it; cubic ones show the order of the method alone.
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
    One `update` is one step of ``brainstate.environ``'s ``dt``; run many with `Simulator`. Histories before
    the initial time are constant. Gradients of a run reach parameters and delays marked ``fit=True``;
    `local_grads` needs no run. Heun's step puts its predictor into the buffers, so that delays shorter than
    a step are right as well.

    Examples
    --------
    >>> import brainunit as u, jax
    >>> from brainmass_delays import Simulator
    >>> from brainmass_delays.predictive import PCNetwork, make_mlp
    >>> model = make_mlp(jax.random.key(0), [3, 5, 2], 'tanh')
    >>> y, x = jax.numpy.zeros(2), jax.numpy.ones(3)
    >>> net = PCNetwork((model, None), y, x, forward_delay=2 * u.ms, tau=10 * u.ms)
    >>> result = Simulator(net, dt=0.5 * u.ms).run(20 * u.ms, monitors=lambda net: net.energy())
    >>> result['output'].shape
    (40,)
    """

    def __init__(
        self,
        params: Any,
        y: Any,
        x: Any = None,
        *,
        activities: list | None = None,
        tau: Any = 1.0 * u.ms,
        forward_delay: Any = None,
        backward_delay: Any = None,
        max_delay: Any = None,
        interpolation: str = "linear",
        method: str = "heun",
        loss_id: str = "MSE",
        param_type: str = "sp",
        gamma: float | None = None,
    ):
        super().__init__()
        model, skips = params = as_params(params)
        self._check(y, x, activities, gamma, interpolation, max_delay)
        y, x = jnp.asarray(y), None if x is None else jnp.asarray(x)
        self.is_free, self.tau = x is None, tau
        self.method = check_choice("PCNetwork.method", method, METHODS)
        TAU("PCNetwork.tau", magnitude("PCNetwork.tau", tau, u.ms, plain=False))
        check_labels("PCNetwork", y, check_loss("PCNetwork", loss_id))
        activities = self._initial_activities(params, y, x, activities, param_type, gamma)
        n_layers = len(model)
        inputs, targets = inputs_and_targets(activities, y, x, n_layers)
        check_network(
            params, [_as_batch(z) for z in activities], _as_batch(y), x if x is None else _as_batch(x)
        )
        self.values, self.observation = [ValueUnits(z) for z in inputs], ValueUnits(y)
        reads = {"max_delay": max_delay, "interpolation": interpolation}
        rows = zip(
            self.values,
            [target.shape for target in targets],
            model,
            skips or [None] * n_layers,
            layer_scalings(params, inputs[0].shape[-1], targets[0].shape[-1], param_type, gamma),
            _per_layer("forward_delay", forward_delay, n_layers),
            _per_layer("backward_delay", backward_delay, n_layers),
            ["MSE"] * (n_layers - 1) + [loss_id],
            strict=True,
        )
        names = ("skip", "scaling", "forward_delay", "backward_delay", "loss_id")
        self.layers = [PCLayer(*row[:3], **dict(zip(names, row[3:], strict=True)), **reads) for row in rows]

    @staticmethod
    def _check(y, x, activities, gamma, interpolation, max_delay):
        """Refuse what is no data, and options of reads that there are not."""
        data = numbers(axes=(1, 8), unit=u.UNITLESS, finite=True)
        data("PCNetwork.y", y)
        if x is not None:
            data("PCNetwork.x", x)
        if activities is not None:
            each(ARRAY)("PCNetwork.activities", activities)
        RULES["gamma"]("PCNetwork.gamma", gamma)
        check_choice("PCNetwork.interpolation", interpolation, INTERPOLATIONS)
        if max_delay is not None:
            numbers(scalar=True, finite=True, traced=False)(
                "PCNetwork.max_delay", magnitude("PCNetwork.max_delay", max_delay, u.ms, plain=False)
            )

    def _initial_activities(self, params, y, x, activities, param_type, gamma):
        """Return the given activities, or those of a feedforward pass."""
        if activities is not None:
            return [jnp.asarray(z) for z in activities]
        if x is None:
            raise ArgumentError("PCNetwork.activities", "must be given for a free input, x=None", "None")
        flat = init_activities_with_ffwd(params, _as_batch(x), param_type=param_type, gamma=gamma)
        if math.prod(y.shape[:-1]) != len(flat[0]):
            rule = f"must have the leading axes of x, {x.shape[:-1]}"
            raise ArgumentError("PCNetwork.y", rule, f"shape {y.shape}")
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
        step = STEPS[self.method]
        before = {path: state.value for path, state in self._dynamic_states().items()}

        def drive(c, values):
            if c > 0:
                self._arrive(values, y, x)
            return self._inputs()

        values = tuple(units.z.value for units in self.values)
        new = step.advance(self._rates, drive, values, step_size("PCNetwork.update"))
        if len(step.offsets) > 1:
            for path, state in self._dynamic_states().items():
                state.value = before[path]
        self._arrive(new, y, x)
        return self.activities

    @property
    def activities(self) -> list[jax.Array]:
        """Present activities as for `pc_energy`; the last entry is the prediction of the observation."""
        return [units.z.value for units in self.values[not self.is_free :]] + [
            self.layers[-1].errors.prediction.value
        ]

    @property
    def params(self) -> tuple:
        """Present parameters as ``(model, skip_model)``."""
        skips = [layer.skip for layer in self.layers]
        return [layer.layer for layer in self.layers], skips if any(s is not None for s in skips) else None

    def energy(self) -> jax.Array:
        """Return the present energy, a batch mean: what has arrived against what it should predict."""
        return sum(jnp.mean(layer.energy(target.z.value)) for layer, target in self._pairs())

    def local_states(self) -> dict[str, brainstate.State]:
        """Return what `local_grads` moves, by name: parameters and trainable forward delays."""
        states = {}
        for l, layer in enumerate(self.layers):
            states[f"layers.{l}.parameters"] = layer.parameters
            if layer.forward_delay is not None:
                for path, param in layer.forward_delay.nodes(Param).items():
                    if param.fit:
                        states[f"layers.{l}.forward_{path[-1]}"] = param.val
        return states

    def local_grads(self) -> dict[str, Any]:
        r"""Compute the gradient of the present energy in parameters and forward delays, all that arrived
        being fixed.

        Returns
        -------
        dict
            Like `local_states`. For dense layers ``-e_i z_j(t - d_ij)`` times the slope of the activation,
            and ``e_i W_ij z_j'(t - d_ij)``: local in postsynaptic error, presynaptic activity and
            presynaptic slope.

        Notes
        -----
        The buffers are constants, so this is not the gradient of a run. Backward delays do not enter the
        present energy; train them by the gradient of a run.
        """
        if not hasattr(self.observation, "z"):
            cure = "Call brainstate.nn.init_all_states(net) first"
            raise ArgumentError("PCNetwork.local_grads", "needs the states of the network", "none", cure)
        return brainstate.transform.grad(self.energy, self.local_states())()

    def _pairs(self):
        """Return each layer with the units that it predicts."""
        return list(zip(self.layers, [*self.values[1:], self.observation], strict=True))

    def _compare(self):
        """Update all errors."""
        for layer, target in self._pairs():
            layer.compare(target.z.value)

    def _inputs(self):
        """Return the predictions of levels 1 to L - 1 and the feedback to levels 0 to L - 1."""
        predictions = [layer.errors.prediction.value for layer in self.layers[:-1]]
        return predictions, [layer.feedback() for layer in self.layers]

    def _rates(self, _, values, inputs):
        """Return the rates of all value units per ms; zero for a clamped input."""
        tau = magnitude("PCNetwork.tau", self.tau, u.ms, plain=False)
        predictions, feedback = inputs
        first = feedback[0] / tau if self.is_free else jnp.zeros_like(values[0])
        triples = zip(values[1:], predictions, feedback[1:], strict=True)
        return (first, *((f - (z - p)) / tau for z, p, f in triples))

    def _arrive(self, values, y, x):
        """Set the values at the end of a step, take new data, and compare."""
        data = [x, *[None] * (len(values) - 1)]
        for units, value, given in zip(self.values, values, data, strict=True):
            units(value if given is None else jnp.asarray(given, value.dtype))
        if y is not None:
            self.observation(jnp.asarray(y, self.observation.z.value.dtype))
        self._compare()

    def _dynamic_states(self):
        """Return all states that a step changes."""
        return {
            path: state
            for path, state in self.states().items()
            if not isinstance(state, brainstate.ParamState)
        }


def _as_batch(z):
    """Return ``z`` (..., n) with one leading axis."""
    return z.reshape(-1, z.shape[-1])


def _per_layer(name, delay, n_layers):
    """Return one delay per layer."""
    if not isinstance(delay, list | tuple):
        return [delay] * n_layers
    if len(delay) != n_layers:
        raise ArgumentError(
            f"PCNetwork.{name}", f"must be one delay or a list of {n_layers}", f"{len(delay)} entries"
        )
    return list(delay)
