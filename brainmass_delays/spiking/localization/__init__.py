"""Sound localization with learned delays: task, network, training, metrics and their bound."""

from .conditions import CONDITIONS, Condition, Result, run_condition
from .metrics import Evaluation, ideal_observer, score
from .network import Activity, LocalizationNetwork
from .task import LocalizationTask, Trials
from .training import TrainingRecord, default_optimizer, evaluate, train

__all__ = [
    "CONDITIONS",
    "Activity",
    "Condition",
    "Evaluation",
    "LocalizationNetwork",
    "LocalizationTask",
    "Result",
    "TrainingRecord",
    "Trials",
    "default_optimizer",
    "evaluate",
    "ideal_observer",
    "run_condition",
    "score",
    "train",
]
