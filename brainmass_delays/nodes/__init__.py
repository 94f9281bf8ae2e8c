"""Node models: the local dynamics of a region."""

from .base import NeuralMass
from .cascade_table import CascadeTable
from .declaration import Input, Parameter, StateVariable
from .description import describe
from .inhibition import Inhibition, feedback_inhibition, tune_inhibition
from .zoo import *  # noqa: F403
from .zoo import __all__ as _models

__all__ = [
    "CascadeTable",
    "Inhibition",
    "Input",
    "NeuralMass",
    "Parameter",
    "StateVariable",
    "describe",
    "feedback_inhibition",
    "tune_inhibition",
    *_models,
]
