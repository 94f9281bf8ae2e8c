"""Neural-mass networks whose conduction delays are exact, unit-aware and trainable."""

import importlib

from . import couplings, integrate, nodes, objectives, stimuli
from ._core import pickles
from ._core.checks import ArgumentError
from ._core.cores import use_cores
from ._core.param import Param
from ._core.parameters import get_params, set_params
from ._core.status import RunError
from .cohort import CohortResult, fit_many
from .connectome import Connectome
from .couplings import (
    AdditiveCoupling,
    Coupling,
    DiffusiveCoupling,
    HyperbolicTangentCoupling,
    KuramotoCoupling,
    LaplacianCoupling,
    PowerLawCoupling,
    SeparableCoupling,
    SigmoidalCoupling,
    SigmoidalJansenRitCoupling,
)
from .delays.delay import Delay
from .delays.plastic import PlasticDelay
from .delays.read import delay_index, prefetch, prefetch_delay
from .fit import FitResult, Fitter, priors
from .heterogeneity import Grouped, Heterogeneous, read_maps
from .network import Network, Projection
from .nodes import (
    ALNStep,
    CoombesByrne4DStep,
    CoombesByrneStep,
    DumontGutkinStep,
    Epileptor2DStep,
    EpileptorStep,
    FitzHughNagumoStep,
    GastSchmidtKnoscheSDStep,
    GastSchmidtKnoscheSFStep,
    Generic2dOscillatorStep,
    HopfStep,
    JansenRitStep,
    KuramotoStep,
    LarterBreakspearStep,
    LinearStep,
    MontbrioPazoRoxinStep,
    NeuralMass,
    ReducedWongWangStep,
    StuartLandauStep,
    ThalamusStep,
    WilsonCowanStep,
    WongWangExcInhStep,
    ZerlautStep,
    describe,
)
from .noise import ColoredNoise, MultiplicativeNoise, OUNoise, WhiteNoise
from .simulation import Simulator
from .sweeps import SweepResult, sweep

__version__ = "0.1.0"

pickles.register()

# Imported when first used: they are large, and viz brings matplotlib.
_LAZY = ("datasets", "observe", "predictive", "spiking", "viz")

__all__ = [
    "ArgumentError",
    "CohortResult",
    "ColoredNoise",
    "Connectome",
    "Delay",
    "FitResult",
    "Fitter",
    "Grouped",
    "Heterogeneous",
    "MultiplicativeNoise",
    "Network",
    "OUNoise",
    "Param",
    "PlasticDelay",
    "Projection",
    "RunError",
    "Simulator",
    "SweepResult",
    "WhiteNoise",
    "delay_index",
    "fit_many",
    "get_params",
    "integrate",
    "objectives",
    "prefetch",
    "prefetch_delay",
    "priors",
    "read_maps",
    "set_params",
    "stimuli",
    "sweep",
    "use_cores",
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
    "NeuralMass",
    "describe",
    "LinearStep",
    "HopfStep",
    "StuartLandauStep",
    "Generic2dOscillatorStep",
    "KuramotoStep",
    "FitzHughNagumoStep",
    "WilsonCowanStep",
    "JansenRitStep",
    "MontbrioPazoRoxinStep",
    "CoombesByrneStep",
    "CoombesByrne4DStep",
    "GastSchmidtKnoscheSDStep",
    "GastSchmidtKnoscheSFStep",
    "DumontGutkinStep",
    "ReducedWongWangStep",
    "WongWangExcInhStep",
    "EpileptorStep",
    "Epileptor2DStep",
    "LarterBreakspearStep",
    "ThalamusStep",
    "ZerlautStep",
    "ALNStep",
    "couplings",
    "nodes",
    *_LAZY,
]


# Names of brainmass whose numbers mean something else here, and the conversion.
_CONVERTED = {
    "OUProcess": "Its sigma is sqrt(2) times the standard deviation: write OUNoise(n, sigma / 2**0.5, tau)",
    "GaussianNoise": "Its strength depends on the step: write WhiteNoise(n, sigma * dt**0.5)",
    "BrownianNoise": "It is a random walk, WhiteNoise into a node of its own: LinearStep(n, gamma=0)",
    "PinkNoise": "It shapes samples over regions, not time: write ColoredNoise(n, f, 1 / f, sigma)",
}


def __getattr__(name: str):
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _CONVERTED:

        def refuse(*args, **kwargs):
            raise ArgumentError(name, "means something else in brainmass", cure=_CONVERTED[name])

        return refuse
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
