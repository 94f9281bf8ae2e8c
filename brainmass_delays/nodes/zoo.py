"""The table of all node models."""

from .base import NeuralMass
from .fitzhugh_nagumo import FitzHughNagumoStep
from .generic_2d_oscillator import Generic2dOscillatorStep
from .hopf import HopfStep
from .jansen_rit import JansenRitStep
from .kuramoto import KuramotoStep
from .linear import LinearStep
from .montbrio_pazo_roxin import MontbrioPazoRoxinStep
from .reduced_wong_wang import ReducedWongWangStep
from .wilson_cowan import WilsonCowanStep

NODES: dict[str, type[NeuralMass]] = {
    model.__name__: model
    for model in (
        LinearStep,
        HopfStep,
        Generic2dOscillatorStep,
        KuramotoStep,
        FitzHughNagumoStep,
        WilsonCowanStep,
        JansenRitStep,
        MontbrioPazoRoxinStep,
        ReducedWongWangStep,
    )
}

__all__ = ["NODES", *NODES]
