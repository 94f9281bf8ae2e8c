"""Rows of couplings: formulas of arrays, and the modules around them."""

import inspect

import jax.numpy as jnp
import numpy as np
from table import W, generate, row

import brainmass_delays as bd

X, Y = np.arange(9.0).reshape(3, 3), np.arange(3.0)
NUMBERS = "zero negative half bool traced nan inf"
KERNELS = {name: getattr(bd.couplings, name) for name in bd.couplings.__all__ if name.endswith("_coupling")}
GOOD = {"delayed_x": X, "y": Y, "conn": W, "x": lambda: jnp.asarray(X), "d": X, "p": 2.0}
ACCEPTS = dict.fromkeys(
    ("k", "b", "alpha", "scale", "a", "slope", "midpoint", "r", "cmin", "cmax", "p"), NUMBERS
)
# A formula passes NaN on, as NumPy does.
ACCEPTS["k"] = NUMBERS + " unit"
generate("couplings.", KERNELS, GOOD, ACCEPTS, use=lambda made: None)
# A module holds parameters, which are finite.
ACCEPTS = {name: kinds.replace(" nan inf", "") + " one" for name, kinds in ACCEPTS.items()}
row(
    "couplings.signed_power.d",
    lambda v: bd.couplings.signed_power(v, 2.0) is None,
    "zero negative half inf nan bool shape traced",
)
row(
    "couplings.signed_power.p",
    lambda v: bd.couplings.signed_power(X, v) is None,
    "zero negative half inf nan bool traced",
)
row("delay_index.n", bd.delay_index)


def _coupling(part):
    """Return a function that makes a coupling and evaluates it."""

    def made(*args, **kwargs):
        part(*args, **kwargs)()

    made.__signature__ = inspect.signature(part.__init__).replace(
        parameters=list(inspect.signature(part.__init__).parameters.values())[1:]
    )
    return made


MODULES = {
    name: _coupling(getattr(bd, name))
    for name in bd.__all__
    if name.endswith("Coupling") and name not in ("Coupling", "SeparableCoupling")
}
GOOD |= {f"{name}.y": lambda: jnp.asarray(Y) for name in MODULES}
generate("", MODULES, GOOD, ACCEPTS)


class _Mean(bd.Coupling):
    """Sum the source."""

    def update(self):
        return self.x().sum(-1)


def _with_reads(reads):
    return _Mean(reads, W)() and None


row("Coupling.reads", _with_reads)
row("Coupling.conn", lambda v: _Mean({"x": lambda: jnp.asarray(X)}, v), "one")
row("SeparableCoupling.reads", lambda v: bd.SeparableCoupling(v, W))
row("SeparableCoupling.conn", lambda v: bd.SeparableCoupling({"x": lambda: jnp.asarray(X)}, v), "one")
