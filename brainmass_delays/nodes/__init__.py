"""Node models: the local dynamics of a region."""

from .base import NeuralMass
from .declaration import Input, Parameter, StateVariable
from .generic_2d_oscillator import Generic2dOscillatorStep
from .hopf import HopfStep
from .linear import LinearStep

NODES: dict[str, type[NeuralMass]] = {
    model.__name__: model for model in (LinearStep, HopfStep, Generic2dOscillatorStep)
}

__all__ = ["NODES", "Input", "NeuralMass", "Parameter", "StateVariable", *NODES]
