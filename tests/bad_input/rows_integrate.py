"""Rows of solvers."""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
from rows_runs import _NET
from table import FLAG, generate, row

from brainmass_delays import integrate

TOLERANCE = "half bool traced"
NUMBER = "zero negative half huge bool traced"


def _decay(t, y, args):
    return jax.tree.map(lambda x: -x, y)


def _delayed(t, y, delayed, args):
    return jax.tree.map(lambda x: -x, y)


def _started_net():
    """Return a network whose states exist."""
    with brainstate.environ.context(dt=0.5 * u.ms):
        brainstate.nn.init_all_states(_NET)
    return _NET


SOLUTION = integrate.solve_filter_on_grid(_decay, 1.0, jnp.linspace(0.0, 1.0, 5), num=1)
GOOD = {
    "f": _decay,
    "y0": 1.0,
    "t0": 0.0,
    "t1": 1.0,
    "history": 1.0,
    "delays": 0.5,
    "grid": jnp.linspace(0.0, 1.0, 5),
    "num": 1,
    "solve_dde.f": _delayed,
    "solve_filter_dde.f": _delayed,
    "solve_filter_dde.covariance": "isotropic",  # joint ones of many components take long to compile
    "solve_filter_dde.window": 16,
    "solution": SOLUTION,
    "data": jnp.zeros(5),
    "obs_std": 0.1,
    "loop": "lax",
    "max_steps": 64,
    "cond": lambda state: sum(jnp.sum(leaf) for leaf in jax.tree.leaves(state)) < 3,
    "body": lambda state: jax.tree.map(lambda leaf: leaf + 1, state),
    "init": 0,
    "coefficients": [0.0, 0.0],
    "length_scale": 1.0,
    "rate": 1.0,
    "where": "here",
    "log_likelihood_terminal.data": jnp.zeros(()),
}
ANY = (
    "type mapping function none shape unit nan inf zero negative half huge empty one bool string bytes complex "
    "objects traced"
)
ACCEPTS = {
    "y0": "mapping zero negative half one bool traced complex shape unit",
    "history": "mapping zero negative half one bool traced complex shape unit",
    **dict.fromkeys(
        ["solve_filter.y0", "solve_filter_on_grid.y0", "solve_filter_dde.history", "taylor_coefficients.y0"],
        "mapping zero negative half one bool traced shape unit",
    ),
    "solve_dde.y0": "none mapping one zero negative half bool traced shape unit complex",
    "args": ANY,
    "rtol": "zero traced",
    "atol": TOLERANCE,
    "dt0": "none half bool traced",
    "t0": "zero negative traced",
    "t1": "half bool traced",
    "delays": "half one bool zero traced shape",
    "max_delay": "none inf half bool traced",
    "min_delay": "none zero negative traced",
    "save_at": "none one",
    "dense": FLAG,
    "breakpoints": "none one",
    "impulses": "none",
    "switches": "none",
    "event": "none",
    "kinks": "none",
    "coupled": "none",
    "correct_underconfidence": FLAG,
    "clip": "none bool",
    "error_per_unit_step": FLAG,
    "average": FLAG,
    "num": "none",
    "output_scale": "none half bool traced",
    "strategy": "none",
    "y0_std": "none zero half bool traced",
    "damp": "zero half bool traced",
    "eps": "traced zero",
    "initial_std": "none zero half bool",
    "diffuse_derivatives": "zero",
    "diffuse_std": "half bool",
    "obs_std": "half one bool traced",
    "length_scale": "half one bool traced shape unit mapping",
    "rate": "half bool zero negative one traced shape unit mapping",
    "where": "string",
    "resolve.loop": "function",
    "resolve.max_steps": "none",
    "resolve.where": "string",
    "taylor_coefficients.num": "",
    "taylor_coefficients.t0": "zero negative half bool traced unit",
    "solve_filter.y0": "mapping zero negative half one bool traced shape unit",
    "solve_filter_on_grid.y0": "mapping zero negative half one bool traced shape unit",
    "solve_dde.delays": "mapping half one bool zero traced shape",
    "solve_dde.kinks": "none zero",
    "solve_filter_dde.history": "mapping zero negative half one bool traced shape unit",
    "solve_filter_dde.delays": "half one bool zero traced",
    "solve_filter_dde.y0": "none zero negative half bool traced",
    "solve_filter_dde.num": "",
    "solve_filter_dde.rtol": "none half bool traced",
    "solve_filter_dde.kinks": "none zero",
    "solve_filter_dde.dt0": "half bool traced",
    "log_likelihood_terminal.data": "zero negative half bool nan inf traced",
    "while_loop.kind": "",
    "solve_filter_on_grid.strategy": "",
    "wiener_prior.output_scale": "mapping shape one half bool traced",
    "wiener_prior.initial_std": "zero half bool traced inf",
    "coefficients": "shape",
    "solve_filter.rtol": "half bool traced",
    "solve_filter.dt0": "half bool traced",
    "solve_filter.num": "none",
    "while_loop.init": "mapping shape unit one complex zero negative half traced inf nan",
    "while_loop.max_steps": "none",
}
FUNCTIONS = {
    name: getattr(integrate, name)
    for name in integrate.__all__
    if name[0].islower() and name != "solve_network"
}
generate("integrate.", FUNCTIONS, GOOD, ACCEPTS, use=lambda made: None)
for _name, _kinds in {"network": "", "t1": "", "t0": ""}.items():
    row(
        f"integrate.solve_network.{_name}",
        lambda v, n=_name: (
            integrate.solve_network(**{"network": _started_net(), "t1": 1 * u.ms} | {n: v}),
            None,
        )[1],
        _kinds,
    )
for _name in ("integral", "proportional", "derivative", "safety", "shortest", "longest", "sudden"):
    _kinds = "half bool" + (" zero" if _name in ("integral", "proportional", "derivative") else "")
    _kinds += " inf" if _name == "sudden" else ""
    row(f"integrate.Controller.{_name}", lambda v, n=_name: integrate.Controller(**{n: v}), _kinds)
_DENSE = integrate.solve_ode(_decay, 1.0, 0.0, 1.0, dense=True)
# Outside of the solution it is NaN, as documented.
row(
    "integrate.Solution.evaluate.t",
    lambda v: _DENSE.evaluate(v) is None,
    "zero half bool one shape traced negative nan inf",
)
