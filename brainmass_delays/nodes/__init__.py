"""Node models: the local dynamics of a region."""

from .aln import ALNStep, CascadeTable
from .base import NeuralMass
from .declaration import Input, Parameter, StateVariable
from .describe import describe
from .inhibition import Inhibition, feedback_inhibition, tune_inhibition
from .zoo import *  # noqa: F403
from .zoo import __all__ as _models

__all__ = [
    "ALNStep",
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
