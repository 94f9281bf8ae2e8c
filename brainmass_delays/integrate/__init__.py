"""Adaptive solvers of ordinary and delay equations, differentiable through their while loops."""

from .control import Controller
from .dde import DelayEquation, solve_dde, solve_network
from .loops import resolve, while_loop
from .ode import solve_ode
from .odefilter import (
    FilterSolution,
    Prior,
    log_likelihood_series,
    log_likelihood_terminal,
    matern_prior,
    ornstein_uhlenbeck_prior,
    solve_filter,
    solve_filter_dde,
    solve_filter_on_grid,
    taylor_coefficients,
    wiener_prior,
)
from .solution import Solution, Statistics

__all__ = [
    "Controller",
    "DelayEquation",
    "FilterSolution",
    "Prior",
    "Solution",
    "Statistics",
    "log_likelihood_series",
    "log_likelihood_terminal",
    "matern_prior",
    "ornstein_uhlenbeck_prior",
    "resolve",
    "solve_dde",
    "solve_filter",
    "solve_filter_dde",
    "solve_filter_on_grid",
    "solve_network",
    "solve_ode",
    "taylor_coefficients",
    "while_loop",
    "wiener_prior",
]
