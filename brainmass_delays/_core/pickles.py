"""Let models be pickled: states and Params of brainstate hold locks and traces; only their numbers matter."""

import copyreg
from typing import Any

import brainstate
from brainstate.nn import Const, Param

from .param import Param as BoundedParam
from .states import LOCK

STATES = (
    brainstate.State,
    brainstate.ShortTermState,
    brainstate.LongTermState,
    brainstate.HiddenState,
    brainstate.ParamState,
)


def _reduce_state(state: brainstate.State):
    with LOCK:
        value = state.value
    return _state, (type(state), value, state.name, state.tag)


def _state(kind: type, value: Any, name: str | None, tag: Any) -> brainstate.State:
    return kind(value, name=name, tag=tag)


def _reduce_param(param: Param):
    with LOCK:
        val = param.val.value if isinstance(param.val, brainstate.State) else param.val
        value = param.value()
    return _param, (type(param), value, val, param.t, param.reg, param.precompute, param.fit)


def _param(kind: type, value: Any, val: Any, transform: Any, reg: Any, precompute: Any, fit: bool) -> Param:
    param = kind.__new__(kind)  # its own constructor may refuse a value that training has moved to a bound
    Param.__init__(param, value, t=transform, reg=reg, precompute=precompute, fit=fit)
    if isinstance(param.val, brainstate.State):
        param.val.value = val
    else:
        param.val = val
    return param


def register() -> None:
    """Teach `pickle` the kinds of states and Params that models hold."""
    for kind in STATES:
        copyreg.pickle(kind, _reduce_state)
    for kind in (Param, Const, BoundedParam):
        copyreg.pickle(kind, _reduce_param)
