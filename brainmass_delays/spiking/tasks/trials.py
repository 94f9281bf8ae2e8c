"""Labeled spike trains."""

from typing import NamedTuple

import numpy as np


class Trials(NamedTuple):
    """Hold ``spikes`` ``(trial, time, channel)``, bool, and ``label`` ``(trial,)``, int."""

    spikes: np.ndarray
    label: np.ndarray
