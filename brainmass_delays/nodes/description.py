"""Print what a node model declares: its states, inputs, signals and parameters in one table."""

import inspect
import re

import numpy as np

from .._core.arguments import checked
from .._core.checks import ArgumentError, check_choice
from .base import NeuralMass
from .declaration import Parameter, shown, unit_name
from .zoo import NODES

HEADER = "| symbol | name | meaning | unit | default | bounds |\n|---|---|---|---|---|---|\n"


def short_name(model: type[NeuralMass]) -> str:
    """Return the name of a model as `describe` takes it: ``'jansen_rit'`` for ``JansenRitStep``."""
    name = model.__name__.removesuffix("Step").replace("FitzHugh", "Fitzhugh").replace("2D", "2d")
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9][a-z])(?=[A-Z])", "_", name).lower()


def table(model: type[NeuralMass]) -> str:
    """Return the declaration of ``model`` as a Markdown table, one line per quantity."""
    rows = [("", s.name, "state", unit_name(s.unit), shown(s.default), "") for s in model.STATES]
    rows += [("", i.name, "input", unit_name(i.unit), "0", "") for i in model.INPUTS]
    rows += [("", name, "signal", "", "", "") for name in getattr(model, "SIGNALS", {})]
    rows += [
        (f"${p.symbol}$", p.name, p.meaning, unit_name(p.plain_unit), shown(p.default).split()[0], _bounds(p))
        for p in model.PARAMETERS
    ]
    return HEADER + "".join(_line(*row) for row in rows)


def is_model(where, value):
    """Refuse what is neither a name nor a class of nodes."""
    is_node = inspect.isclass(value) and issubclass(value, NeuralMass)
    if not is_node and not isinstance(value, str):
        raise ArgumentError(where, "must be a name or a class of nodes", repr(value))


@checked(model=is_model)
def describe(model: str | type[NeuralMass]) -> None:
    r"""Print one node model: what it simulates, and its states, inputs, signals and parameters.

    Parameters
    ----------
    model : str or type
        Class, class name or short name: ``'jansen_rit'`` is `JansenRitStep`. Capitals and underscores do not
        matter.

    Raises
    ------
    ArgumentError
        If there is no such model; the nearest name is suggested.

    Examples
    --------
    >>> from brainmass_delays import describe
    >>> describe('linear')
    LinearStep: Simulate a linear node with damping, the baseline of network tests.
    <BLANKLINE>
    | symbol | name | meaning | unit | default | bounds |
    |---|---|---|---|---|---|
    | | `x` | state | dimensionless | 0.01 | |
    | | `x_inp` | input | dimensionless | 0 | |
    | $\gamma$ | `gamma` | damping, negative for a stable node | 1/ms | -10 | |
    """
    if isinstance(model, str):
        names = {short_name(m): m for m in NODES.values()}
        plain = {name.replace("_", ""): name for name in names}
        asked = model.replace("_", "").lower().removesuffix("step")
        model = names[check_choice("describe.model", plain.get(asked, model), names)]
    first = inspect.getdoc(model).splitlines()[0]
    print(f"{model.__name__}: {first}\n\n{table(model)}", end="")


def _line(symbol: str, name: str, *cells: str) -> str:
    """Return one line of the table."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in (symbol, f"`{name}`", *cells)) + "|\n"


def _bounds(parameter: Parameter) -> str:
    """Write the interval that the initial value must lie in; nothing if there is none."""
    low, high = parameter.bounds
    if np.isinf(low) and np.isinf(high):
        return ""
    return f"> {low:g}" if np.isinf(high) else f"< {high:g}" if np.isinf(low) else f"{low:g} to {high:g}"
