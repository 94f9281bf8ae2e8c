"""Predictive coding: energies, gradients, inference, learning, theory, and networks with delays."""

from . import modules as _modules  # noqa: F401 - registers brainstate Modules as layers
from .bidirectional_coding import bpc_energy
from .coupling import LocalGrads, PredictiveCoupling
from .delayed_layer import PCLayer
from .descent import ActivityUpdate, Descent, descend_inference, update_activities
from .energies import hpc_energy, pc_energy
from .error_coding import activities_of_errors, epc_energy, init_errors
from .evaluation import (
    Evaluation,
    HybridEvaluation,
    accuracy,
    evaluate_discriminative,
    evaluate_generative,
    evaluate_hybrid,
    inference_energies,
)
from .gradients import (
    compute_activity_grad,
    compute_hpc_param_grads,
    compute_pc_param_grads,
    neg_activity_grad,
)
from .inference import Inference, solve_inference
from .initialization import init_activities_from_normal, init_activities_with_amort, init_activities_with_ffwd
from .layers import Dense, make_mlp, make_skip_model
from .networks import PCNetwork
from .norms import activity_norms, parameter_norms
from .theory import (
    critical_delay,
    critical_frequency,
    linear_activity_hessian,
    linear_energy_rescaling,
    linear_equilibrium_activities,
    linear_equilibrium_energy,
)
from .training import (
    HPCStep,
    ParamUpdate,
    PCStep,
    make_hpc_step,
    make_pc_step,
    trainable,
    update_params,
)

__all__ = [
    "ActivityUpdate",
    "Dense",
    "Descent",
    "Evaluation",
    "HPCStep",
    "HybridEvaluation",
    "Inference",
    "LocalGrads",
    "PCLayer",
    "PCNetwork",
    "PCStep",
    "ParamUpdate",
    "PredictiveCoupling",
    "accuracy",
    "activities_of_errors",
    "activity_norms",
    "bpc_energy",
    "compute_activity_grad",
    "compute_hpc_param_grads",
    "compute_pc_param_grads",
    "critical_delay",
    "critical_frequency",
    "descend_inference",
    "epc_energy",
    "evaluate_discriminative",
    "evaluate_generative",
    "evaluate_hybrid",
    "hpc_energy",
    "inference_energies",
    "init_activities_from_normal",
    "init_activities_with_amort",
    "init_activities_with_ffwd",
    "init_errors",
    "linear_activity_hessian",
    "linear_energy_rescaling",
    "linear_equilibrium_activities",
    "linear_equilibrium_energy",
    "make_hpc_step",
    "make_mlp",
    "make_pc_step",
    "make_skip_model",
    "neg_activity_grad",
    "parameter_norms",
    "pc_energy",
    "solve_inference",
    "trainable",
    "update_activities",
    "update_params",
]
