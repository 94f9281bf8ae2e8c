"""Node models: the local dynamics of a region."""

from .base import NeuralMass
from .declaration import Input, Parameter, StateVariable
from .describe import describe
from .zoo import *  # noqa: F403
from .zoo import __all__ as _models

__all__ = ["Input", "NeuralMass", "Parameter", "StateVariable", "describe", *_models]
