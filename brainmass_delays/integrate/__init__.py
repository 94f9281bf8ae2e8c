"""Adaptive solvers for ordinary and delay differential equations, differentiable through their while loops."""

from .loops import resolve, while_loop

__all__ = ["resolve", "while_loop"]
