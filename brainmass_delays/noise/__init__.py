"""Noise that drives a node, with a strength that does not depend on the time step."""

from .base import Noise, normals
from .gain import MultiplicativeNoise
from .processes import OUNoise, WhiteNoise
from .spectrum import ColoredNoise

__all__ = ["ColoredNoise", "MultiplicativeNoise", "Noise", "OUNoise", "WhiteNoise", "normals"]
