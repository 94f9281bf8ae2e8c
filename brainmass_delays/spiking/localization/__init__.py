"""Sound localization with learned delays: task, conditions to compare, metrics and their bound."""

from .conditions import CONDITIONS, Condition, Result, run_condition
from .metrics import Evaluation, ideal_observer, score
from .task import LocalizationTask, Trials

__all__ = [
    "CONDITIONS",
    "Condition",
    "Evaluation",
    "LocalizationTask",
    "Result",
    "Trials",
    "ideal_observer",
    "run_condition",
    "score",
]
