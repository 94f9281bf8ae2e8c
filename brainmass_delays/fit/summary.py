"""A fit as a table that can be read."""

from typing import Any

import brainunit as u
import numpy as np

from .profile import Profile


def summary(result: Any) -> str:
    """Return one line per parameter: start, best value, interval, and doubts."""
    rows = [("parameter", "start", "best", _head(result), "")]
    rows += [_row(result, name, value) for name, value in result.best_params.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    lines = [line.rstrip() for line in lines]
    end = f"loss {result.best_loss:.6g} after {result.n_steps} steps ({result.backend})"
    if result.starts:
        end += f", the best of {len(result.starts)} starts, {len(result.failures)} more failed"
    if (floor := result.found.get("noise_floor")) is not None:
        end += f"; other random numbers change it by {floor.spread:.3g}"
    return "\n".join([*lines, end])


def _head(result) -> str:
    found = result.found.get("uncertainty")
    return "interval" if found is None else f"{found.level:.0%} interval"


def _row(result, name, value) -> tuple[str, ...]:
    unit = u.get_unit(value)
    history = result.param_history.get(name)
    start = "" if history is None or not np.size(u.get_magnitude(history)) else _number(history[0], unit)
    text = "" if unit.is_unitless else f" {unit}"
    return name, start, _number(value, unit) + text, _interval(result, name, unit), _doubt(result, name)


def _interval(result, name, unit) -> str:
    known, profile = result.found.get("uncertainty"), result.found.get(name)
    if isinstance(profile, Profile) and profile.interval is not None:
        ends = profile.interval
    elif known is not None and name in known.intervals:
        ends = known.intervals[name]
    else:
        return ""
    return " to ".join(_number(end, unit) for end in ends)


def _doubt(result, name) -> str:
    known, profile = result.found.get("uncertainty"), result.found.get(name)
    if isinstance(profile, Profile) and profile.identified is not None:
        return "" if profile.identified else "not identified"
    if known is not None and not known.identified.get(name, True):
        return "not identified"
    return ""


def _number(value: Any, unit: u.Unit) -> str:
    number = np.asarray(u.Quantity(value).to_decimal(unit))
    return f"{number.item():.5g}" if number.size == 1 else f"{number.min():.4g} .. {number.max():.4g}"
