"""Connectomes: weights and tract lengths between brain regions, loaded, fetched or synthesized."""

from .connectome import Connectome

__all__ = ["Connectome"]
