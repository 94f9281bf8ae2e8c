"""The table of all node models."""

from .aln import ALNStep
from .base import NeuralMass
from .coombes_byrne import CoombesByrne4DStep, CoombesByrneStep
from .dumont_gutkin import DumontGutkinStep
from .epileptor import Epileptor2DStep, EpileptorStep
from .fitzhugh_nagumo import FitzHughNagumoStep
from .gast_schmidt_knosche import GastSchmidtKnoscheSDStep, GastSchmidtKnoscheSFStep
from .generic_2d_oscillator import Generic2dOscillatorStep
from .hopf import HopfStep
from .jansen_rit import JansenRitStep
from .kuramoto import KuramotoStep
from .larter_breakspear import LarterBreakspearStep
from .linear import LinearStep
from .montbrio_pazo_roxin import MontbrioPazoRoxinStep
from .reduced_wong_wang import ReducedWongWangStep
from .stuart_landau import StuartLandauStep
from .thalamus import ThalamusStep
from .wilson_cowan import WilsonCowanStep
from .wong_wang_exc_inh import WongWangExcInhStep
from .zerlaut import ZerlautStep

NODES: dict[str, type[NeuralMass]] = {
    model.__name__: model
    for model in (
        LinearStep,
        HopfStep,
        StuartLandauStep,
        Generic2dOscillatorStep,
        KuramotoStep,
        FitzHughNagumoStep,
        WilsonCowanStep,
        JansenRitStep,
        MontbrioPazoRoxinStep,
        CoombesByrneStep,
        CoombesByrne4DStep,
        GastSchmidtKnoscheSDStep,
        GastSchmidtKnoscheSFStep,
        DumontGutkinStep,
        ReducedWongWangStep,
        WongWangExcInhStep,
        EpileptorStep,
        Epileptor2DStep,
        LarterBreakspearStep,
        ThalamusStep,
        ZerlautStep,
        ALNStep,
    )
}

__all__ = ["NODES", *NODES]
