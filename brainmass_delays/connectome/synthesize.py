"""A connectome out of nothing but geometry: two hemispheres and a distance rule."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import cdist

from .._core.checks import check_count, check_flag
from .._core.memory import check_memory
from .validate import check_share

if TYPE_CHECKING:
    from .connectome import Connectome

SEMI_AXES = np.array([62.0, 82.0, 55.0])  # mm, right-left, back-front, down-up: about a human cerebrum
MIDLINE_GAP = 4.0  # mm, between the midline and the nearest region
DEPTH = 0.75  # regions lie between this share of the semi-axes and the surface
JITTER = 1.5  # mm, standard deviation of each coordinate
CALLOSUM_REACH = 0.4  # share of the mean back-front position at which a tract crosses the midline
CALLOSUM_HEIGHT = 10.0  # mm
SHORTEST = 5.0  # mm, what even the shortest U-fiber needs
TORTUOSITY = (1.1, 0.1)  # median ratio of tract to straight line, and the spread of its logarithm
DECAY = 40.0  # mm, the length constant of the distance rule
N_MATRICES = 12  # between regions, that are held at once
WEIGHT_SPREAD = 1.0  # standard deviation of the log weight at a given length


def synthetic(
    cls, n_regions: int = 84, seed: int = 0, *, asymmetric: bool = False, density: float = 0.3
) -> "Connectome":
    """Draw a connectome with the geometry and statistics of a human one.

    Two hemispheres of regions in space; tracts between them pass the midline. Pairs connect, and weights
    decay, exponentially with tract length; weights of equal length are log-normal; mirror regions are
    always connected.

    Parameters
    ----------
    n_regions : int, optional
        Number of regions, at least 2. Default 84.
    seed : int, optional
        Seed of the random generator; the same seed gives the same connectome on every machine. Default 0.
    asymmetric : bool, optional
        Draw both directions of a connection on their own. Lengths stay symmetric. Default False.
    density : float, optional
        Share of the ordered pairs of different regions that are connected, from 0 to 1. Default 0.3.

    Returns
    -------
    Connectome
        With labels ``L01, ..., R01, ...``, centers, and a largest weight of 1.

    References
    ----------
    .. [1] Ercsey-Ravasz M et al. (2013). A predictive network model of cerebral cortical connectivity
           based on a distance rule. Neuron 80:184-197.
    .. [2] Markov NT et al. (2014). A weighted and directed interareal connectivity matrix for macaque
           cerebral cortex. Cerebral Cortex 24:17-36.
    .. [3] Roberts JA et al. (2016). The contribution of geometry to the human connectome.
           NeuroImage 124:379-393.

    Examples
    --------
    >>> from brainmass_delays.connectome import Connectome
    >>> Connectome.synthetic(84, seed=0)
    Connectome(84 regions, density 0.300, symmetric, lengths 21.2 to 201 mm, mean 82 mm)
    """
    n_regions = check_count("Connectome.synthetic.n_regions", n_regions, minimum=2)
    check_share("Connectome.synthetic.density", density)
    check_flag("Connectome.synthetic.asymmetric", asymmetric)
    size = {"matrices": N_MATRICES * 8.0 * n_regions**2}
    check_memory("Connectome.synthetic.n_regions", size, f"{n_regions:.3g} regions are too many")
    rng = np.random.default_rng(check_count("Connectome.synthetic.seed", seed, minimum=0))
    n_left = n_regions - n_regions // 2
    centres = _centres(n_regions, n_left, rng)
    lengths = _lengths(centres, n_left, rng)
    edges = _edges(lengths, n_left, density, asymmetric, rng)
    noise = _pairwise(rng.standard_normal, n_regions, asymmetric)
    weights = np.where(edges, np.exp(WEIGHT_SPREAD * noise - lengths / DECAY), 0.0)
    labels = [f"{'L' if i < n_left else 'R'}{i % n_left + 1:02d}" for i in range(n_regions)]
    return cls(weights / weights.max(), lengths, labels, centres)


def _centres(n_regions: int, n_left: int, rng: np.random.Generator) -> np.ndarray:
    """Spread regions evenly below the surface of a half ellipsoid, and mirror it."""
    i = np.arange(n_left) + 0.5
    x, angle = i / n_left, i * np.pi * (3 - np.sqrt(5))  # golden-angle spiral: equal areas
    ring = np.sqrt(1 - x**2)
    sphere = np.stack([-x, ring * np.cos(angle), ring * np.sin(angle)], axis=1)
    left = sphere * SEMI_AXES * rng.uniform(DEPTH, 1, (n_left, 1)) - [MIDLINE_GAP, 0, 0]
    right = left[: n_regions - n_left] * [-1, 1, 1]
    return np.concatenate([left, right]) + JITTER * rng.standard_normal((n_regions, 3))


def _lengths(centres: np.ndarray, n_left: int, rng: np.random.Generator) -> np.ndarray:
    """Lay tracts along straight lines, through the midline if they cross it, and bend them."""
    left = np.arange(len(centres)) < n_left
    x, y, z = centres.T
    crossing = CALLOSUM_REACH * (y[:, None] + y) / 2
    to_midline = np.sqrt((x**2 + (z - CALLOSUM_HEIGHT) ** 2)[:, None] + (y[:, None] - crossing) ** 2)
    straight = np.where(left[:, None] == left, cdist(centres, centres), to_midline + to_midline.T)
    median, spread = TORTUOSITY
    bend = _pairwise(rng.standard_normal, len(centres))
    lengths = SHORTEST + straight * median * np.exp(spread * bend)
    np.fill_diagonal(lengths, 0)
    return lengths


def _edges(
    lengths: np.ndarray, n_left: int, density: float, asymmetric: bool, rng: np.random.Generator
) -> np.ndarray:
    """Draw mirror regions, then pairs with a chance proportional to exp(-length / DECAY), as a mask."""
    n_regions = len(lengths)
    # the shortest waiting times are a weighted sample without replacement (Efraimidis & Spirakis 2006)
    waiting = _pairwise(rng.standard_exponential, n_regions, asymmetric) * np.exp(lengths / DECAY)
    left = np.arange(n_left)
    mirror = np.minimum(left + n_left, n_regions - 1)
    waiting[left, mirror] = waiting[mirror, left] = 0
    pairs = np.tril_indices(n_regions, -1) if not asymmetric else np.nonzero(~np.eye(n_regions, dtype=bool))
    first = np.argsort(waiting[pairs], kind="stable")
    n_edges = max(round(density * len(first)), np.count_nonzero(waiting[pairs] == 0))
    edges = np.zeros((n_regions, n_regions), bool)
    edges[pairs[0][first[:n_edges]], pairs[1][first[:n_edges]]] = True
    return edges if asymmetric else edges | edges.T


def _pairwise(draw, n_regions: int, asymmetric: bool = False) -> np.ndarray:
    """Draw one number per ordered pair, or per unordered pair unless ``asymmetric``."""
    numbers = draw((n_regions, n_regions))
    return numbers if asymmetric else np.tril(numbers, -1) + np.tril(numbers, -1).T
