"""Neural-mass networks whose conduction delays are exact, unit-aware and trainable."""

from brainstate.nn import Param

from . import integrate
from ._core.checks import ArgumentError
from ._core.status import RunError
from .connectome import Connectome
from .couplings import *  # noqa: F403
from .couplings import __all__ as _couplings
from .delays.prefetch import delay_index, prefetch, prefetch_delay
from .network import Network
from .nodes import *  # noqa: F403
from .nodes import __all__ as _nodes
from .simulator import Simulator

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "Connectome",
    "Network",
    "Param",
    "RunError",
    "Simulator",
    "delay_index",
    "integrate",
    "prefetch",
    "prefetch_delay",
    *_couplings,
    *_nodes,
]
