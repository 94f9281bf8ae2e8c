r"""Coupling kernels: pure functions from a delayed source, a target and weights to the input of every region.

All share one contract. With N targets and K source slots per target (K = N for a full matrix; less for padded
neighbor lists, whose unused slots have weight 0):

* ``delayed_x``: source, shape (..., N, K) or flattened (..., N * K), ``x[..., i, k]`` as seen by target i;
* ``y``: target, shape (..., N); ``conn``: weights, shape (N, K) or flattened (N * K,), ``[target, source]``;
* source and target may be arrays, Quantities or zero-argument reads; leading axes are batch axes;
* the result has shape (..., N). Strengths and shape parameters broadcast against it.

Linear kernels keep units. Where a nonlinearity needs a plain number (sigmoids, tanh), the magnitude in the
unit of the source enters it. A slot of weight 0 whose source is not finite counts as 0, so it poisons neither
the value nor a gradient; a finite source behind a weight of 0 still gives that weight its gradient.

The gradient is exact in every argument; each kernel costs one pass over the (..., N, K) source.
"""

from .arguments import NORMALIZATIONS, is_plain, is_plain_array, is_strength
from .linear import (
    additive_combine,
    additive_coupling,
    diffusive_coupling,
    laplacian_combine,
    laplacian_coupling,
    laplacian_degree,
    laplacian_weights,
)
from .phase import kuramoto_combine, kuramoto_coupling, phase_features
from .power import powerlaw_coupling, signed_power
from .sigmoid import (
    firing_rate,
    hyperbolic_tangent_coupling,
    sigmoidal_combine,
    sigmoidal_coupling,
    sigmoidal_jansen_rit_coupling,
    tangent_combine,
)

__all__ = [
    "NORMALIZATIONS",
    "additive_combine",
    "additive_coupling",
    "diffusive_coupling",
    "firing_rate",
    "hyperbolic_tangent_coupling",
    "is_plain",
    "is_plain_array",
    "is_strength",
    "kuramoto_combine",
    "kuramoto_coupling",
    "laplacian_combine",
    "laplacian_coupling",
    "laplacian_degree",
    "laplacian_weights",
    "phase_features",
    "powerlaw_coupling",
    "sigmoidal_combine",
    "sigmoidal_coupling",
    "sigmoidal_jansen_rit_coupling",
    "signed_power",
    "tangent_combine",
]
