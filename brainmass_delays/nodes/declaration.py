"""The words in which a node model is declared, and the signature and documentation that follow from them."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

import brainunit as u


class StateVariable(NamedTuple):
    """Declare one state variable.

    Parameters
    ----------
    name : str
        Attribute under which the `brainstate.HiddenState` is found.
    default : float, Quantity or Callable
        Initial value, or an initializer called with the shape. A plain number is in `unit`.
    unit : Unit, default dimensionless
        Unit of the state; its rate is in this unit per ms.
    init : str, optional
        Name of the constructor argument that replaces the default; ``init_<name>`` if not given.
    """

    name: str
    default: Any = 0.0
    unit: u.Unit = u.UNITLESS
    init: str = ""

    @property
    def argument(self) -> str:
        """Return the constructor argument of the initial value."""
        return self.init or f"init_{self.name}"


class Parameter(NamedTuple):
    """Declare one parameter.

    Parameters
    ----------
    name : str
        Constructor argument and attribute of the `brainstate.nn.Param`.
    default : float or Quantity
        A Quantity: the parameter carries that unit in the equations. A plain number: it enters the equations
        as the plain number of `unit`.
    symbol, meaning : str
        LaTeX symbol without dollar signs, and one phrase, for the documentation.
    unit : Unit, optional
        Unit in which plain numbers are understood; the unit of `default` if not given.
    bounds : tuple of float, default (-inf, inf)
        Open interval, in `unit`, that the initial value must lie in.
    plain : bool, default True
        Whether users may pass a plain number, understood in `unit`.
    """

    name: str
    default: Any
    symbol: str
    meaning: str
    unit: u.Unit | None = None
    bounds: tuple[float, float] = (-float("inf"), float("inf"))
    plain: bool = True

    @property
    def carries_unit(self) -> bool:
        """Tell whether the equations see a Quantity."""
        return isinstance(self.default, u.Quantity)

    @property
    def plain_unit(self) -> u.Unit:
        """Return the unit in which a plain number is understood."""
        return u.get_unit(self.default) if self.unit is None else self.unit


class Input(NamedTuple):
    """Declare one input of ``update`` and the noise that is added to it.

    Parameters
    ----------
    name : str
        Name of the input, as in ``x_inp``.
    unit : Unit, default dimensionless
        Unit in which plain numbers are understood.
    noise : str, optional
        Constructor argument of the noise added to this input.
    """

    name: str
    unit: u.Unit = u.UNITLESS
    noise: str = ""


POSITIVE = (0.0, float("inf"))
PER_MS = u.ms**-1


def inputs_of_states(states: tuple[StateVariable, ...]) -> tuple[Input, ...]:
    """Return the usual inputs: one additive input with noise per state."""
    return tuple(Input(f"{s.name}_inp", s.unit, f"noise_{s.name}") for s in states)


def signature(model: type, default_method: str) -> inspect.Signature:
    """Return the constructor signature that the declaration of ``model`` implies."""
    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    arguments = [inspect.Parameter("in_size", positional)]
    arguments += [inspect.Parameter(p.name, positional, default=p.default) for p in model.PARAMETERS]
    arguments += [inspect.Parameter(s.argument, keyword, default=s.default) for s in model.STATES]
    arguments += [inspect.Parameter(i.noise, keyword, default=None) for i in model.INPUTS if i.noise]
    arguments += [inspect.Parameter("method", keyword, default=default_method)]
    own = inspect.signature(model.__init__).parameters.values()
    arguments += [p.replace(annotation=p.empty) for p in own if p.kind is keyword]
    return inspect.Signature(arguments)


def documentation(model: type, doc: str, method: inspect.Parameter) -> str:
    """Return ``doc`` with the line ``{parameters}`` replaced by the numpydoc section of the declaration."""
    entries = [_entry("in_size", "int or tuple of int", "Number of regions, or the shape of the population.")]
    entries += [
        _entry(
            p.name,
            f"float, array_like, Quantity or Param, default {shown(p.default)}",
            f":math:`{p.symbol}`, {p.meaning}. Unit: {unit_name(p.plain_unit)}. Scalar or per region.",
        )
        for p in model.PARAMETERS
    ]
    entries += [
        _entry(
            s.argument,
            f"float, array_like, Quantity, Param or Callable, default {shown(s.default)}",
            f"Initial value of ``{s.name}``, or an initializer of the shape. Unit: {unit_name(s.unit)}.",
        )
        for s in model.STATES
    ]
    entries += [
        _entry(
            i.noise, "Module, optional", f"Noise added to the input ``{i.name}``. Unit: {unit_name(i.unit)}."
        )
        for i in model.INPUTS
        if i.noise
    ]
    entries.append(
        _entry(
            "method",
            f"{{'euler', 'heun', 'rk4', 'exp_euler'}}, default {method.default!r}",
            "Fixed-step method, see `brainmass_delays.integrate.steps`.",
        )
    )
    section = "Parameters\n----------\n" + "\n".join(entries)
    return inspect.cleandoc(doc).replace("{parameters}", section)


def _entry(name: str, kind: str, text: str) -> str:
    """Return one numpydoc entry."""
    return f"{name} : {kind}\n" + textwrap.indent(text, "    ")


def shown(default: Any) -> str:
    """Write a default value as users would."""
    if isinstance(default, Callable) and not isinstance(default, u.Quantity):
        # not by its repr, which lets JAX compute: an import would settle how many devices there are
        numbers = {n: v for n, v in vars(default).items() if isinstance(v, int | float | u.Quantity)}
        return f"{type(default).__name__}({', '.join(f'{n}={shown(v)}' for n, v in numbers.items())})"
    if isinstance(default, u.Quantity):
        return f"{float(default.mantissa):g} {u.get_unit(default)}"
    return f"{default:g}"


def unit_name(unit: u.Unit) -> str:
    """Write a unit as users would."""
    if unit.is_unitless:
        return "dimensionless"
    return "1/ms" if unit == PER_MS else str(unit)
