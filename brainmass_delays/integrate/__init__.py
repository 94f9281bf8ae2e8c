"""Adaptive solvers of ordinary and delay equations, differentiable through their while loops."""

from .adaptive import solve_ode
from .control import Controller
from .loops import resolve, while_loop
from .solution import Solution, Statistics

__all__ = ["Controller", "Solution", "Statistics", "resolve", "solve_ode", "while_loop"]
