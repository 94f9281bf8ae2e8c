"""Predictive coding: energies, gradients, inference, learning, theory, and networks with delays."""

from . import modules as _modules  # noqa: F401 - registers brainstate Modules as layers
from .coupling import LocalGrads, PredictiveCoupling
from .delayed_layer import PCLayer
from .energies import hpc_energy, pc_energy
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
from .theory import (
    critical_delay,
    critical_frequency,
    linear_activity_hessian,
    linear_energy_rescaling,
    linear_equilibrium_activities,
    linear_equilibrium_energy,
)
from .training import (
    ActivityUpdate,
    HPCStep,
    ParamUpdate,
    PCStep,
    make_hpc_step,
    make_pc_step,
    trainable,
    update_activities,
    update_params,
)

__all__ = [
    "ActivityUpdate",
    "Dense",
    "HPCStep",
    "Inference",
    "LocalGrads",
    "PCLayer",
    "PCNetwork",
    "PCStep",
    "ParamUpdate",
    "PredictiveCoupling",
    "compute_activity_grad",
    "compute_hpc_param_grads",
    "compute_pc_param_grads",
    "critical_delay",
    "critical_frequency",
    "hpc_energy",
    "init_activities_from_normal",
    "init_activities_with_amort",
    "init_activities_with_ffwd",
    "linear_activity_hessian",
    "linear_energy_rescaling",
    "linear_equilibrium_activities",
    "linear_equilibrium_energy",
    "make_hpc_step",
    "make_mlp",
    "make_pc_step",
    "make_skip_model",
    "neg_activity_grad",
    "pc_energy",
    "solve_inference",
    "trainable",
    "update_activities",
    "update_params",
]
