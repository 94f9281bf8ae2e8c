"""Tasks that need memory in time, and networks to compare on them: no delays, fixed, learned, recurrent."""

from .comparison import ROWS, Row, Score, compare, run_row, table
from .delayed_match import DelayedMatchTask
from .latency_digits import LatencyDigitsTask
from .trials import Trials

__all__ = [
    "ROWS",
    "DelayedMatchTask",
    "LatencyDigitsTask",
    "Row",
    "Score",
    "Trials",
    "compare",
    "run_row",
    "table",
]
