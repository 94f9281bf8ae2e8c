"""Draws from the posterior by NUTS, with units, and as ArviZ reads them."""

import importlib.util
from dataclasses import dataclass
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np

from .._core.checks import ArgumentError
from .density import LogDensity

# Parameters up to which a tangent per parameter costs less than a way back that keeps every step.
FORWARD_UP_TO = 4
# Spread of the starts of chains around where the model stands, in the unconstrained parameters.
JITTER = 0.05
# Draws of a chain whose halves have a variance.
MIN_DRAWS = 4


@dataclass(frozen=True)
class Samples:
    """Hold draws from a posterior; what `Fitter.sample` returns.

    Parameters
    ----------
    draws : dict of str to Quantity or numpy.ndarray, shape (chain, draw, ...)
        Constrained values by name.
    stats : dict of str to numpy.ndarray, shape (chain, draw)
        ``'diverging'``, ``'acceptance_rate'``, ``'n_steps'`` and ``'lp'``, the log density of the
        unconstrained values.
    """

    draws: dict[str, Any]
    stats: dict[str, np.ndarray]

    def interval(self, name: str, level: float = 0.9) -> tuple[Any, Any]:
        """Return the quantiles between which the middle share of the draws of a parameter lies."""
        unit, values = u.get_unit(self.draws[name]), np.asarray(u.get_magnitude(self.draws[name]))
        low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2], axis=(0, 1))
        return u.maybe_decimal(low * unit), u.maybe_decimal(high * unit)

    def r_hat(self) -> dict[str, np.ndarray]:
        """Return how much chains differ (split R-hat of Gelman and others, 2013); 1 is none."""
        if (n_draws := self.stats["lp"].shape[1]) < MIN_DRAWS:
            raise ArgumentError("Samples.r_hat", f"needs at least {MIN_DRAWS} draws per chain", n_draws)
        return {name: _r_hat(np.asarray(u.get_magnitude(value))) for name, value in self.draws.items()}

    def groups(self) -> dict[str, dict[str, np.ndarray]]:
        """Return plain arrays by group, as ``arviz.from_dict`` takes them."""
        plain = {name: np.asarray(u.get_magnitude(value)) for name, value in self.draws.items()}
        return {"posterior": plain, "sample_stats": dict(self.stats)}

    def to_arviz(self) -> Any:
        """Return the draws as ArviZ holds them: InferenceData before its version 1, a DataTree since."""
        package = next((n for n in ("arviz", "arviz_base") if importlib.util.find_spec(n)), None)
        if package is None:
            raise ArgumentError("Samples.to_arviz", "needs the arviz package", None, "Run pip install arviz")
        module = importlib.import_module(package)
        if package == "arviz" and int(module.__version__.split(".")[0]) < 1:
            return module.from_dict(**self.groups())
        return module.from_dict(self.groups())


def sample(
    density: LogDensity, n_draws: int, n_chains: int, n_warmup: int, seed: int, progress: bool
) -> Samples:
    """Draw from a density by NUTS of numpyro, all chains at once."""
    if importlib.util.find_spec("numpyro") is None:
        raise ArgumentError(
            "Fitter.sample", "needs the numpyro package", None,
            "Run pip install brainmass_delays[bayes], or give Fitter.log_density to another sampler",
        )  # fmt: skip
    from numpyro.infer import MCMC, NUTS

    size = sum(np.size(value) for value in density.start.values())
    kernel = NUTS(
        potential_fn=lambda free: -density(free),
        forward_mode_differentiation=size <= FORWARD_UP_TO,
        dense_mass=True,
    )
    chains = MCMC(
        kernel, num_warmup=n_warmup, num_samples=n_draws, num_chains=n_chains, chain_method="vectorized",
        progress_bar=progress,
    )  # fmt: skip
    key, *keys = jax.random.split(jax.random.PRNGKey(seed), 1 + len(density.start))
    starts = {
        name: value + JITTER * jax.random.normal(k, (n_chains, *jnp.shape(value)), jnp.result_type(value))
        for k, (name, value) in zip(keys, density.start.items(), strict=True)
    }
    one = {name: value[0] for name, value in starts.items()}
    fields = ("diverging", "accept_prob", "num_steps", "potential_energy")
    chains.run(key, extra_fields=fields, init_params=one if n_chains == 1 else starts)
    free, extra = chains.get_samples(group_by_chain=True), chains.get_extra_fields(group_by_chain=True)
    constrain = jax.vmap(jax.vmap(density.constrain))
    stats = {
        "diverging": extra["diverging"], "acceptance_rate": extra["accept_prob"],
        "n_steps": extra["num_steps"], "lp": -extra["potential_energy"],
    }  # fmt: skip
    return Samples(
        jax.tree.map(np.asarray, constrain(free)), {name: np.asarray(value) for name, value in stats.items()}
    )


def _r_hat(values: np.ndarray) -> np.ndarray:
    half = values.shape[1] // 2
    parts = np.concatenate([values[:, :half], values[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = parts.mean(axis=1).var(axis=0, ddof=1)
    return np.sqrt((half - 1) / half + between / within)
