"""The coupling of a projection, from what a user may give for it."""

import functools
import inspect

import brainstate
import numpy as np

from .._core.checks import ArgumentError, check_choice
from .._core.param import constant
from ..couplings import COUPLINGS


def needs_sums(coupling):
    """Tell whether a coupling can do with padded lists of connections instead of whole matrices."""
    return isinstance(coupling, str) or (
        inspect.isclass(coupling) and issubclass(coupling, tuple(COUPLINGS.values()))
    )


def make_coupling(where, coupling, source, target, weights, k):
    """Build the coupling Module from a name, a class or a function."""
    if isinstance(coupling, str):
        coupling = COUPLINGS[check_choice(f"{where}.coupling", coupling, COUPLINGS)]
    if not callable(coupling):
        raise ArgumentError(
            f"{where}.coupling",
            "must be a name, a Module class or a callable",
            repr(coupling),
            f"Names are {', '.join(COUPLINGS)}",
        )
    own = coupling if isinstance(coupling, functools.partial) else functools.partial(coupling)
    build = functools.partial(getattr(own.func, "between", own.func), *own.args, **own.keywords)
    arguments = inspect.signature(own.func.__init__ if inspect.isclass(own.func) else own.func).parameters
    takes_k = "k" in arguments and "k" not in own.keywords
    if not takes_k and not (np.isscalar(k) and k == 1.0):
        cure = "Let the coupling take k, or set it there"
        raise ArgumentError(f"{where}.k", "is not an argument of the coupling given", k, cure)
    module = build(source, target, constant(weights), **({"k": k} if takes_k else {}))
    if not isinstance(module, brainstate.nn.Module):
        raise ArgumentError(f"{where}.coupling", "must return a brainstate Module", type(module).__name__)
    return module
