"""What a Simulator holds: its model, its step size, and how its runs are differentiated."""

import copy
from typing import Any

import brainstate
import brainunit as u

from .._core.arguments import checked, choice
from .._core.arguments import flag as is_flag
from .._core.checks import ArgumentError
from .._core.functions import Portable, copied
from .._core.grid import environment_dt
from .._core.states import LOCK
from .durations import one_time


class Held:
    """Hold the arguments of a `Simulator`, checked also where they are set later."""

    @checked("Simulator", checkpoint=is_flag, gradient=choice("reverse", "forward"))
    def _hold(self, *, model: Any, dt: Any, grad_horizon: Any, gradient: Any, checkpoint: Any) -> None:
        if not isinstance(model, brainstate.nn.Module):
            raise ArgumentError("Simulator.model", "must be a brainstate Module", type(model).__name__)
        if grad_horizon is not None:
            grad_horizon = one_time("Simulator.grad_horizon", grad_horizon)
        held = {"model": model, "checkpoint": checkpoint, "gradient": gradient, "grad_horizon": grad_horizon}
        vars(self).update(held, _dt=None if dt is None else one_time("Simulator.dt", dt))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        elif name in ("gradient", "checkpoint", "grad_horizon"):
            held = {each: getattr(self, each) for each in ("model", "checkpoint", "gradient", "grad_horizon")}
            self._hold(**held | {name: value, "dt": self._dt})
        else:
            cure = "Make another Simulator"
            raise ArgumentError(f"Simulator.{name}", "cannot be set", repr(value), cure)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the plans of runs out of copies: they belong to this model."""
        return vars(self) | {"_layouts": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def __deepcopy__(self, memo: dict) -> Any:
        made = memo[id(self)] = object.__new__(type(self))
        with LOCK:
            model = copy.deepcopy(self.model, memo)
            if not isinstance(self.model, Portable):  # a module of the user's own, which brainstate copies
                memo[id(self.model)] = copied(self.model, model, memo)
            made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return made

    @property
    def dt(self) -> u.Quantity:
        """The step size: as given, or of the environment."""
        dt = self._dt
        if dt is None:
            cure = "Pass Simulator(model, dt=0.1 * brainunit.ms)"
            dt = environment_dt("Simulator.dt", "is needed", cure)
        return one_time("Simulator.dt", dt)
