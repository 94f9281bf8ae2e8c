"""The table of bad inputs: how to reach every public argument, and which strange values it takes on purpose.

A row is ``owner.argument: (call, accepted)``. ``call(value)`` passes the value to that argument and good ones to all
others, far enough that the value is used; ``accepted`` names the kinds of `values.KINDS` that are no mistake there.
To add a function, add it to one of the ``rows*.py``.
"""

import inspect

import numpy as np
import surface

from brainmass_delays import Connectome

W = np.array([[0.0, 1.0, 0.5], [2.0, 0.0, 1.0], [0.5, 1.0, 0.0]])
L = np.array([[0.0, 10.0, 20.0], [10.0, 0.0, 30.0], [20.0, 30.0, 0.0]])
C = Connectome(W, L)
SERIES = np.random.default_rng(0).normal(size=(40, 3))
NUMBER = "zero negative half huge bool traced"  # any one number
POSITIVE = "half huge bool traced"
FLAG = "bool"
ANYTHING = (
    "type mapping function none shape unit nan inf zero negative half huge empty one bool string bytes complex "
    "objects traced"
)

ROWS = {}


def row(argument, call, accepted=""):
    """Add a row to the table."""
    assert argument not in ROWS, argument
    ROWS[argument] = call, frozenset(accepted.split())


def rows(owner, function, good, accepted):
    """Add a row for every argument in ``accepted``, the others taken from ``good``."""
    for name, kinds in accepted.items():
        row(f"{owner}.{name}", lambda value, name=name: function(**good | {name: value}), kinds)


def generate(prefix, parts, good, accepts, use=lambda made: made):
    """Add a row for every argument of some functions or classes.

    ``good`` and ``accepts`` hold values and kinds by ``function.argument`` or, for all functions, by ``argument``;
    needed arguments are taken from ``good``. ``use`` is called with what is returned.
    """
    for name, part in parts.items():

        def known(table, argument, name=name):
            return table.get(f"{name}.{argument}", table.get(argument))

        needed = {
            p.name: known(good, p.name)
            for p in inspect.signature(part).parameters.values()
            if f"{name}.{p.name}" in good or (p.default is p.empty and p.name in good)
        }
        for argument in surface.names(part):
            row(
                f"{prefix}{name}.{argument}",
                lambda v, part=part, needed=needed, argument=argument: use(part(**needed | {argument: v})),
                known(accepts, argument) or "",
            )
