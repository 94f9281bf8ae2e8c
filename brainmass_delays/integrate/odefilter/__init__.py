"""Probabilistic solvers of ordinary differential equations by Bayesian filtering and smoothing."""

from .gaussian import Gaussian, Kernel
from .grid import solve_filter_on_grid
from .likelihood import log_likelihood_series, log_likelihood_terminal
from .prior import WienerPrior, wiener_prior
from .solution import FilterSolution, Posterior
from .solve import solve_filter
from .taylor import taylor_coefficients
from .triangular import triangularize

__all__ = [
    "FilterSolution",
    "Gaussian",
    "Kernel",
    "Posterior",
    "WienerPrior",
    "log_likelihood_series",
    "log_likelihood_terminal",
    "solve_filter",
    "solve_filter_on_grid",
    "taylor_coefficients",
    "triangularize",
    "wiener_prior",
]
