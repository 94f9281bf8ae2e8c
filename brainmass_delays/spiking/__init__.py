"""Spiking networks with trainable conduction delays."""

from . import localization, tasks
from .classifier import Activity, SpikingClassifier
from .conv_layer import ConvDelayLayer
from .delay_layer import DelayLayer
from .freezing import FrozenDelays, Saturation, freeze_delays, saturation
from .lif import LIF, AdaptiveLIF, LeakyIntegrator
from .nir_export import to_nir
from .nir_import import from_nir, run_layers
from .optimizers import anneal_width, parameter_groups, project_delays, project_to_grid
from .recurrent_layer import RecurrentLIF
from .sparse_layer import SparseDelayLayer, random_connections
from .summary import summarize
from .training import TrainingRecord, default_optimizer, predict, train

__all__ = [
    "LIF",
    "Activity",
    "AdaptiveLIF",
    "ConvDelayLayer",
    "DelayLayer",
    "FrozenDelays",
    "LeakyIntegrator",
    "RecurrentLIF",
    "Saturation",
    "SparseDelayLayer",
    "SpikingClassifier",
    "TrainingRecord",
    "anneal_width",
    "default_optimizer",
    "freeze_delays",
    "from_nir",
    "localization",
    "parameter_groups",
    "predict",
    "project_delays",
    "project_to_grid",
    "random_connections",
    "run_layers",
    "saturation",
    "summarize",
    "tasks",
    "to_nir",
    "train",
]
