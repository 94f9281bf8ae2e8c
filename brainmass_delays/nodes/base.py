"""The base of all node models: one declaration and one derivative become a trainable, steppable population."""

import difflib
import math
from collections.abc import Callable
from typing import Any, ClassVar

import brainstate
import brainunit as u
import numpy as np
from brainstate.nn import Param

from .._core.checks import ArgumentError, check_choice, check_count, check_finite
from .._core.status import is_traced
from .._core.units import magnitude
from ..integrate.steps import STEPS, per_ms
from .declaration import Input, Parameter, StateVariable, documentation, inputs_of_states, signature

DEFAULT_METHOD = "heun"


class NeuralMass(brainstate.nn.Dynamics):
    """Turn a declaration of states, parameters and inputs, and one derivative, into a node model.

    A model sets the class attributes `STATES`, `PARAMETERS` and, where they differ from one additive input per state,
    `INPUTS`, and defines ``derivative(self, state, t, drive)``. The constructor takes the parameters by position or
    name, and by name the initial values (``init_x``), the noises (``noise_x``) and the ``method``.

    Attributes
    ----------
    STATES, PARAMETERS, INPUTS : tuple
        The declaration: `StateVariable`, `Parameter` and `Input` entries.
    STATE_NAMES : tuple of str
        Names of the states, in the order of ``derivative``.
    slopes : dict
        Rate of every state at the start of the last step, in the unit of the state per ms.

    Raises
    ------
    ArgumentError
        If an argument is unknown, has the wrong shape or dimension, is not finite, or lies outside its bounds.

    Notes
    -----
    The default method is ``'heun'``: second order for one pass more than ``'euler'``, while ``'exp_euler'``, the
    default of brainmass, is first order (but exact for linear decay, and stable for stiff decay).
    Every parameter is a `brainstate.nn.Param`: pass ``Param(value, fit=True)`` to train it. The gradient is that of the
    discrete step, in parameters, initial values and inputs alike.

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
    STATE_NAMES: ClassVar[tuple[str, ...]] = ()

    # `slopes` holds tracers between the step and the buffer that stores them: no node of the module graph.
    graph_invisible_attrs = ("slopes",)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "STATES" in vars(cls) and "INPUTS" not in vars(cls):
            cls.INPUTS = inputs_of_states(cls.STATES)
        cls.STATE_NAMES = tuple(s.name for s in cls.STATES)
        cls.__signature__ = signature(cls, DEFAULT_METHOD)
        cls.__doc__ = documentation(cls, cls.__doc__ or "", cls.__signature__.parameters["method"])

    def __init__(self, *args, **kwargs):
        chosen = self._bind(args, kwargs)
        super().__init__(self._size(chosen["in_size"]))
        self.method = check_choice(f"{self._title}.method", chosen["method"], STEPS)
        for parameter in self.PARAMETERS:
            setattr(self, parameter.name, self._param(parameter, chosen[parameter.name]))
        self.initial = {s.name: chosen[s.argument] for s in self.STATES}
        for entry in self.INPUTS:
            if entry.noise:
                setattr(self, entry.noise, self._noise(entry, chosen[entry.noise]))
        self.slopes = {}

    def derivative(self, state: tuple, t: Any, drive: tuple) -> tuple:
        """Return the time derivative of every state.

        Parameters
        ----------
        state : tuple of array or Quantity, shape (..., *in_size)
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
        raise NotImplementedError(f"{self._title}.derivative")

    def init_state(self, batch_size: int | None = None, **kwargs):
        """Set every state to its initial value.

        Parameters
        ----------
        batch_size : int, optional
            Length of a leading batch axis; no such axis if not given.
        """
        shape = self.varshape if batch_size is None else (batch_size, *self.varshape)
        for state in self.STATES:
            setattr(self, state.name, brainstate.HiddenState(self._initial_value(state, shape)))

    def update(self, *inputs):
        """Advance all states by one step of ``brainstate.environ``'s ``dt``, inputs held over the step.

        Parameters
        ----------
        *inputs : array_like or Quantity, shape (..., *in_size)
            Inputs in declared order; a missing one, or None, is zero.

        Returns
        -------
        array or Quantity
            What `output` returns, after the step.

        Raises
        ------
        ArgumentError
            If there are too many inputs, one has the wrong dimension, or ``dt`` is not set.
        """
        drive = self.step_inputs(inputs)
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
        dt = self._dt()
        t = brainstate.environ.get("t", 0.0 * u.ms)
        states = tuple(getattr(self, name) for name in self.STATE_NAMES)

        def rate(c, state, inputs):
            rates = self.derivative(state, t + c * dt, inputs)
            if c == 0.0:
                self._keep(rates)
            return rates

        new = STEPS[self.method].advance(rate, drive, tuple(s.value for s in states), dt)
        for state, value in zip(states, new, strict=True):
            state.value = value

    def step_inputs(self, inputs: tuple) -> tuple:
        """Return all inputs of one step in their units: missing ones zero, each with a fresh sample of its noise."""
        if len(inputs) > len(self.INPUTS):
            names = ", ".join(i.name for i in self.INPUTS)
            raise ArgumentError(f"{self._title}.update", f"takes at most {len(self.INPUTS)} inputs ({names})",
                                len(inputs))
        given = (*inputs, *[None] * (len(self.INPUTS) - len(inputs)))
        return tuple(self._with_noise(i, value) for i, value in zip(self.INPUTS, given, strict=True))

    def prefetch(self, state: str):
        """Return a read of the current value of ``state``, shape (..., *in_size)."""
        from ..delays.prefetch import prefetch
        return prefetch(self, state)

    def prefetch_delay(self, state: str, delay_and_index=None, *, init=None, interpolation="linear", max_delay=None):
        """Return a delayed read of ``state``; see `brainmass_delays.prefetch_delay` for the arguments."""
        from ..delays.prefetch import prefetch_delay
        return prefetch_delay(self, state, delay_and_index, init=init, interpolation=interpolation,
                              max_delay=max_delay)

    @property
    def noises(self) -> dict:
        """Return the noise module, or None, of every input by name."""
        return {i.name: getattr(self, i.noise) if i.noise else None for i in self.INPUTS}

    @property
    def _title(self) -> str:
        """Return the name of the model for messages."""
        return type(self).__name__

    def _bind(self, args: tuple, kwargs: dict) -> dict:
        """Match the arguments of the constructor with its signature, defaults filled in."""
        known = type(self).__signature__.parameters
        for name in kwargs:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise ArgumentError(f"{self._title}.{name}", "is not an argument of this model",
                                    cure=f"Did you mean {near[0]!r}?" if near else f"It takes {', '.join(known)}")
        try:
            bound = type(self).__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(self._title, str(error)) from None
        bound.apply_defaults()
        return bound.arguments

    def _size(self, in_size) -> tuple[int, ...]:
        """Return ``in_size`` as a tuple of counts."""
        sizes = in_size if isinstance(in_size, (tuple, list)) else (in_size,)
        if not sizes or not all(isinstance(n, (int, np.integer)) for n in sizes):
            raise ArgumentError(f"{self._title}.in_size", "must be an int or a tuple of int", repr(in_size))
        return tuple(check_count(f"{self._title}.in_size", n) for n in sizes)

    def _param(self, parameter: Parameter, value: Any) -> Param:
        """Return ``value`` as a Param in the form in which the equations expect it."""
        where = f"{self._title}.{parameter.name}"
        if isinstance(value, Param):
            self._check_form(where, parameter, value.value())
            param = value
        else:
            if callable(value):
                value = value(self.varshape)
            if value is None:
                raise ArgumentError(where, "must be a number, an array, a Quantity or a Param", "None")
            number = magnitude(where, value, parameter.plain_unit)
            param = Param.init(number * parameter.plain_unit if parameter.carries_unit else number)
        self._check_values(where, parameter, param.value())
        return param

    def _check_form(self, where: str, parameter: Parameter, value: Any) -> None:
        """Refuse a ready-made Param that carries a unit where the equations take a plain number, or lacks one."""
        unit = parameter.plain_unit
        if parameter.carries_unit:
            magnitude(where, value, unit, plain=False)
        elif not u.get_unit(value).is_unitless:
            raise ArgumentError(where, f"must be a Param of a plain number ({unit})", f"one in {u.get_unit(value)}",
                                f"Convert it first: Param(value.to_decimal({unit}), fit=True)")

    def _check_values(self, where: str, parameter: Parameter, value: Any) -> None:
        """Refuse a parameter of the wrong shape, and concrete values that are not finite or out of bounds."""
        shape = u.math.shape(value)
        if not _broadcasts(shape, self.varshape):
            raise ArgumentError(where, f"must be a scalar or have shape {self.varshape}", shape)
        if is_traced(value):
            return
        number = check_finite(where, magnitude(where, value, parameter.plain_unit))
        low, high = parameter.bounds
        if not np.all((number > low) & (number < high)):
            rule = "must be positive" if math.isinf(high) else f"must lie between {low} and {high}"
            raise ArgumentError(where, rule, number.min() if math.isinf(high) else number)

    def _noise(self, entry: Input, noise: Any):
        """Return the noise of one input, refused unless it can be called."""
        if noise is not None and not callable(noise):
            raise ArgumentError(f"{self._title}.{entry.noise}", "must be a noise module", repr(noise),
                                "Use WhiteNoise or OUNoise")
        return noise

    def _with_noise(self, entry: Input, value: Any):
        """Return one input in its unit, plus a sample of its noise."""
        number = 0.0 if value is None else magnitude(f"{self._title}.{entry.name}", value, entry.unit)
        noise = self.noises[entry.name]
        if noise is not None:
            number = number + magnitude(f"{self._title}.{entry.noise}", noise(), entry.unit)
        return number if entry.unit.is_unitless else u.Quantity(number, unit=entry.unit)

    def _initial_value(self, state: StateVariable, shape: tuple[int, ...]):
        """Return the initial value of one state with ``shape`` and in its unit."""
        where = f"{self._title}.{state.argument}"
        value = self.initial[state.name]
        if callable(value):
            value = value(shape)
        number = u.math.asarray(magnitude(where, value, state.unit), dtype=brainstate.environ.dftype())
        if not _broadcasts(number.shape, shape):
            raise ArgumentError(where, f"must have shape {shape} or broadcast to it", number.shape)
        number = u.math.broadcast_to(number, shape)
        return number if state.unit.is_unitless else u.Quantity(number, unit=state.unit)

    def _dt(self):
        """Return the step size in force."""
        dt = brainstate.environ.get("dt", None)
        if dt is None:
            raise ArgumentError(f"{self._title}.update", "needs a step size",
                                cure="Run it in a Simulator, or inside `brainstate.environ.context(dt=0.1 * u.ms)`")
        return dt

    def _keep(self, rates: tuple) -> None:
        """Store the rates at the start of the step, each in the unit of its state per ms."""
        self.slopes = {s.name: per_ms(rate, s.unit, f"{self._title}.derivative") * (s.unit / u.ms)
                       for s, rate in zip(self.STATES, rates, strict=True)}


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether ``shape`` broadcasts to ``target``."""
    try:
        return np.broadcast_shapes(shape, target) == tuple(target)
    except ValueError:
        return False
