"""Probabilistic solvers of ordinary and delay equations by Bayesian filtering and smoothing."""

from .delay_solve import solve_filter_dde
from .filter_solution import FilterSolution
from .gaussian import Gaussian, Kernel
from .grid import solve_filter_on_grid
from .likelihood import log_likelihood_series, log_likelihood_terminal
from .posterior import Posterior, Track
from .prior import Prior, matern_prior, ornstein_uhlenbeck_prior, wiener_prior
from .solve import solve_filter
from .taylor import taylor_coefficients
from .triangular import triangularize

__all__ = [
    "FilterSolution",
    "Gaussian",
    "Kernel",
    "Posterior",
    "Prior",
    "Track",
    "log_likelihood_series",
    "log_likelihood_terminal",
    "matern_prior",
    "ornstein_uhlenbeck_prior",
    "solve_filter",
    "solve_filter_dde",
    "solve_filter_on_grid",
    "taylor_coefficients",
    "triangularize",
    "wiener_prior",
]
