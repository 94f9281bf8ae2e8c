"""Progress bars: those of a notebook where it can show them, else text, without a warning that it cannot."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmWarning)  # ipywidgets, which no user of a script needs
    from tqdm.auto import tqdm, trange

__all__ = ["tqdm", "trange"]
