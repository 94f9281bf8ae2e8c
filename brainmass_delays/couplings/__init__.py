"""Couplings between regions, as pure functions and as Modules."""

from .coupling import Coupling, SeparableCoupling
from .kernels import (
    additive_coupling,
    diffusive_coupling,
    hyperbolic_tangent_coupling,
    kuramoto_coupling,
    laplacian_coupling,
    powerlaw_coupling,
    sigmoidal_coupling,
    sigmoidal_jansen_rit_coupling,
    signed_power,
)
from .modules import (
    COUPLINGS,
    AdditiveCoupling,
    DiffusiveCoupling,
    HyperbolicTangentCoupling,
    KuramotoCoupling,
    LaplacianCoupling,
    PowerLawCoupling,
    SigmoidalCoupling,
    SigmoidalJansenRitCoupling,
)

__all__ = [
    "COUPLINGS",
    "AdditiveCoupling",
    "Coupling",
    "DiffusiveCoupling",
    "HyperbolicTangentCoupling",
    "KuramotoCoupling",
    "LaplacianCoupling",
    "PowerLawCoupling",
    "SeparableCoupling",
    "SigmoidalCoupling",
    "SigmoidalJansenRitCoupling",
    "additive_coupling",
    "diffusive_coupling",
    "hyperbolic_tangent_coupling",
    "kuramoto_coupling",
    "laplacian_coupling",
    "powerlaw_coupling",
    "sigmoidal_coupling",
    "sigmoidal_jansen_rit_coupling",
    "signed_power",
]
