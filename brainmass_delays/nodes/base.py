"""The base of all node models: one declaration and one derivative become a trainable population."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import brainstate
import brainunit as u
import jax.numpy as jnp

from .._core.checks import ArgumentError, check_choice
from .._core.choices import InterpolationName
from .._core.impulses import landed
from .._core.param import HoldsParams
from .._core.units import magnitude
from ..delays import read as delayed_reads
from ..delays.delay import step_size
from ..integrate.steps import STEPS, per_ms
from . import arguments, overrides
from .declaration import Input, Parameter, StateVariable, documentation, inputs_of_states, signature

DEFAULT_METHOD = "heun"
# The names that braintools and brainmass give to methods of ours.
METHOD_NAMES = {"rk2": "heun"}


class NeuralMass(HoldsParams, brainstate.nn.Dynamics):
    """Turn a declaration of states, parameters and inputs, and one derivative, into a node model.

    A model sets the class attributes `STATES`, `PARAMETERS` and, where they differ from one additive input
    per state, `INPUTS`, and defines ``derivative(self, state, t, drive)``. The constructor takes the
    parameters by position or name, and by name the initial values (``init_x``), the noises (``noise_x``) and
    the ``method``.

    Attributes
    ----------
    STATES, PARAMETERS, INPUTS : tuple
        The declaration: `StateVariable`, `Parameter` and `Input` entries.
    STATE_NAMES : tuple of str
        Names of the states, in the order of ``derivative``.
    SIGNALS : dict
        What can travel beside the states: functions ``f(node, state) -> array`` of the states, in declared
        order, and the parameters, by name.
    slopes, start_values : dict, tuple
        Rate of every state at the start of the last step, in the unit of the state per ms, and the states
        there.

    Raises
    ------
    ArgumentError
        If an argument is unknown, has the wrong shape or dimension, is not finite, or lies outside its
        bounds.

    Notes
    -----
    The default method is ``'heun'``: second order for one pass more than ``'euler'``, while ``'exp_euler'``,
    the default of brainmass, is first order (but exact for linear decay, and stable for stiff decay). Every
    parameter is a `brainstate.nn.Param`: pass ``Param(value, fit=True)`` to train it. The gradient is that of
    the discrete step, in parameters, initial values and inputs alike.

    Examples
    --------
    A leaky integrator, declared and stepped:

    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays.nodes.base import NeuralMass
    >>> from brainmass_delays.nodes.declaration import Parameter, StateVariable
    >>> class Leak(NeuralMass):
    ...     STATES = (StateVariable('x', 1.0),)
    ...     PARAMETERS = (Parameter('tau', 10.0 * u.ms, r'\\tau', 'time constant'),)
    ...     def derivative(self, state, t, drive):
    ...         return ((drive[0] - state[0]) / self.tau.value(),)
    >>> leak = Leak(2, method='rk4')
    >>> _ = brainstate.nn.init_all_states(leak)
    >>> with brainstate.environ.context(dt=1.0 * u.ms):
    ...     x = leak.update()
    >>> [round(float(v), 4) for v in x]
    [0.9048, 0.9048]
    """

    STATES: ClassVar[tuple[StateVariable, ...]] = ()
    PARAMETERS: ClassVar[tuple[Parameter, ...]] = ()
    INPUTS: ClassVar[tuple[Input, ...]] = ()
    SIGNALS: ClassVar[dict[str, Callable]] = {}
    STATE_NAMES: ClassVar[tuple[str, ...]] = ()
    # What takes the place of arguments that other programs have, for the message.
    RENAMED: ClassVar[dict[str, str]] = {}

    # They hold tracers between a step and the buffer that stores them: no nodes of the module graph.
    graph_invisible_attrs = ("slopes", "start_values")

    if TYPE_CHECKING:  # states and parameters are attributes that no checker sees being set

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "STATES" in vars(cls) and "INPUTS" not in vars(cls):
            cls.INPUTS = inputs_of_states(cls.STATES)
        cls.STATE_NAMES = tuple(s.name for s in cls.STATES)
        overrides.refuse_uncalled(cls)
        if "derivative" in vars(cls):
            cls.derivative = overrides.checked(cls.derivative)
        cls.__signature__ = signature(cls, DEFAULT_METHOD)
        cls.__doc__ = documentation(cls, cls.__doc__ or "", cls.__signature__.parameters["method"])

    def __init__(self, *args, **kwargs):
        chosen = arguments.bind(self._title, type(self).__signature__, self.RENAMED, args, kwargs)
        super().__init__(arguments.size(self._where("in_size"), chosen["in_size"]))
        self.method = chosen["method"]
        for p in self.PARAMETERS:
            setattr(self, p.name, arguments.param(self._where(p.name), p, chosen[p.name], self.varshape))
        for s in self.STATES:
            name = s.argument
            setattr(self, name, arguments.initial_source(self._where(name), s, chosen[name]))
        noises = {entry.noise: chosen[entry.noise] for entry in self.INPUTS if entry.noise}
        for name, noise in arguments.noise_sources(self._title, noises, self.varshape).items():
            setattr(self, name, noise)
        self.start_step()

    def derivative(self, state: tuple, t: Any, drive: tuple) -> tuple:
        """Return the time derivative of every state.

        Parameters
        ----------
        state : tuple of array or Quantity, shape ``(..., *in_size)``
            States in declared order.
        t : Quantity
            Time of the evaluation.
        drive : tuple
            Inputs in declared order, noise included.

        Returns
        -------
        tuple
            One rate per state: a Quantity per time, or a plain number in the unit of the state per ms.
        """
        raise NotImplementedError(self._where("derivative"))

    def init_state(self, batch_size: int | None = None, **kwargs):
        """Set every state to its initial value.

        Parameters
        ----------
        batch_size : int, optional
            Length of a leading batch axis; no such axis if not given.
        """
        shape = self.varshape if batch_size is None else (batch_size, *self.varshape)
        for s in self.STATES:
            value = arguments.initial_value(self._where(s.argument), s, getattr(self, s.argument), shape)
            setattr(self, s.name, brainstate.HiddenState(value))

    def update(self, *inputs, **named):
        """Advance all states by one step of ``brainstate.environ``'s ``dt``, inputs held over the step.

        Parameters
        ----------
        *inputs, **named : array_like or Quantity, shape ``(..., *in_size)``
            Inputs in declared order, or by name; a missing one, or None, is zero.

        Returns
        -------
        array or Quantity
            What `output` returns, after the step.

        Raises
        ------
        ArgumentError
            If there are too many inputs, one is unknown, given twice or of the wrong dimension, or ``dt`` is
            not set.
        """
        drive = self.step_inputs(arguments.in_order(self._where("update"), self.INPUTS, inputs, named))
        self.advance(lambda c, state: drive)
        return self.output()

    def output(self):
        """Return what ``update`` returns: the first state."""
        return getattr(self, self.STATE_NAMES[0]).value

    def advance(self, drive: Callable) -> None:
        """Advance all states by one step and keep the slopes at its start.

        Parameters
        ----------
        drive : Callable
            ``drive(c, state)`` returns the inputs, as `step_inputs` does, at ``t + c * dt``.
        """
        dt = step_size(self._where("update"))
        t, values = step_time(), self.values()
        self.start_step()

        def rate(c, state, inputs):
            return self.rates(c, state, t + c * dt, inputs)

        self.set_values(STEPS[self.method].advance(rate, drive, values, dt))

    def __setattr__(self, name: str, value: Any) -> None:
        noises = {entry.noise: vars(self).get(entry.noise) for entry in self.INPUTS if entry.noise}
        if name in noises and name in vars(self):
            arguments.noise_sources(self._title, {**noises, name: value}, self.varshape)
        if name == "method":
            value = check_choice(self._where("method"), METHOD_NAMES.get(str(value), value), STEPS)
        super().__setattr__(name, value)

    def values(self) -> tuple:
        """Return the values of all states in declared order."""
        return tuple(getattr(self, name).value for name in self.STATE_NAMES)

    def set_values(self, values: tuple) -> None:
        """Set all states at the end of a step."""
        for name, value in zip(self.STATE_NAMES, values, strict=True):
            state = getattr(self, name)
            state.value = landed(state, value)

    def start_step(self) -> None:
        """Forget the slopes of the step before."""
        self.slopes, self.start_values = {}, ()

    def rates(self, c: float, state: tuple, t: Any, inputs: tuple) -> tuple:
        """Return the rates at a stage of a step, and keep those that its start finds first."""
        rates = self.derivative(state, t, inputs)
        if not isinstance(rates, tuple | list) or len(rates) != len(self.STATES):
            names = ", ".join(self.STATE_NAMES)
            one = "one array" if hasattr(rates, "dtype") else type(rates).__name__
            got = len(rates) if isinstance(rates, tuple | list) else one
            rule = f"must return a tuple of one rate per state ({names})"
            raise ArgumentError(self._where("derivative"), rule, got)
        if c == 0.0 and not self.slopes:
            self._keep(rates, state)
        return rates

    def sample_noise(self) -> tuple:
        """Return one sample of the noise of every input, 0 where there is none, and advance the noises."""
        return tuple(self._sample(entry) for entry in self.INPUTS)

    def step_inputs(self, inputs: tuple, noise: tuple | None = None) -> tuple:
        """Return all inputs in their units: missing ones zero, noise added.

        Parameters
        ----------
        inputs : tuple
            Inputs in declared order, None or missing for zero.
        noise : tuple, optional
            What `sample_noise` returned for this step; drawn afresh if not given. A step with several stages
            draws once.
        """
        if len(inputs) > len(self.INPUTS):
            names = ", ".join(entry.name for entry in self.INPUTS)
            rule = f"takes at most {len(self.INPUTS)} inputs ({names})"
            raise ArgumentError(self._where("update"), rule, len(inputs))
        noise = self.sample_noise() if noise is None else noise
        given = (*inputs, *[None] * (len(self.INPUTS) - len(inputs)))
        driven = [
            entry.name
            for entry, value in zip(self.INPUTS, given, strict=True)
            if value is not None or self.noises[entry.name] is not None
        ]
        overrides.refuse_ignored(self, driven)
        return tuple(map(self._input, self.INPUTS, given, noise))

    def prefetch(self, state: str) -> delayed_reads.CurrentRead:
        """Return a read of the current value of ``state``, shape ``(..., *in_size)``."""
        return delayed_reads.prefetch(self, state)

    def prefetch_delay(
        self,
        state,
        *delay_and_index,
        init=None,
        interpolation: InterpolationName = "linear",
        max_delay=None,
        min_delay=None,
    ) -> delayed_reads.DelayedRead:
        """Return a delayed read of ``state``; see `brainmass_delays.prefetch_delay` for the arguments."""
        delay = delay_and_index[0] if len(delay_and_index) == 1 else delay_and_index
        return delayed_reads.prefetch_delay(
            self,
            state,
            delay,
            init=init,
            interpolation=interpolation,
            max_delay=max_delay,
            min_delay=min_delay,
        )

    @property
    def noises(self) -> dict:
        """Return the noise module, or None, of every input by name."""
        return {i.name: getattr(self, i.noise) if i.noise else None for i in self.INPUTS}

    @property
    def _title(self) -> str:
        """Return the name of the model for messages."""
        return type(self).__name__

    def _where(self, name: str) -> str:
        """Return the place of one argument for messages."""
        return f"{self._title}.{name}"

    def _sample(self, entry: Input):
        """Return one sample of the noise of one input, as the number of its unit."""
        noise = self.noises[entry.name]
        return (
            0.0
            if noise is None
            else arguments.input_value(self._where(entry.noise), entry, noise(), self.varshape)
        )

    def _input(self, entry: Input, value: Any, noise: Any):
        """Return one input with its noise, in its unit."""
        number = arguments.input_value(self._where(entry.name), entry, value, self.varshape)
        return arguments.in_unit(number + noise, entry.unit)

    def _keep(self, rates: tuple, state: tuple) -> None:
        """Store the rates at the start of the step, in the shape of their states and per ms."""
        where = self._where("derivative")
        self.slopes = {
            s.name: jnp.broadcast_to(per_ms(rate, s.unit, where), x.shape) * (s.unit / u.ms)
            for s, rate, x in zip(self.STATES, rates, state, strict=True)
        }
        self.start_values = state


NeuralMass.__signature__ = signature(NeuralMass, DEFAULT_METHOD)  # as `__init_subclass__` does for models


def step_time() -> u.Quantity:
    """Return the time at the start of the step from the environment, 0 ms if there is none."""
    return magnitude("t", brainstate.environ.get("t", 0.0 * u.ms), u.ms) * u.ms
