"""Projections: from a signal of one population to an input of another, along weights and delays."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.arguments import flag, function_of, optional
from .._core.checks import ArgumentError, check_choice
from .._core.choices import CouplingName
from .._core.functions import Portable
from .._core.param import set_param, value_of
from .._core.status import is_traced
from .._core.units import magnitude
from ..connectome import Connectome
from ..couplings import Coupling
from ..delays.edges import full_edges, packed_edges
from ..delays.plastic import PlasticDelay
from ..delays.read import CurrentRead, DelayedRead
from ..delays.signal import Signal
from ..delays.tracts import as_delay
from ..integrate.steps import STEPS
from .coupling import make_coupling, needs_sums


@dataclass(frozen=True, eq=False)
class Projection:
    """Describe how one population drives another; a `Network` makes it real.

    Parameters
    ----------
    source : str, callable or tuple
        What travels: the name of a state or of an entry of ``SIGNALS``, or ``f(node)``; in a network of
        several populations ``(population, signal)``.
    target : str or tuple
        The input that is driven, such as ``'E_inp'``, or ``(population, input)``.
    conn : Connectome, array or Param, optional
        Weights ``(n_target, n_source)``, dimensionless; a `Connectome` brings its lengths. In a network with
        ``regions``, those of the whole connectome will do.
    weights : array or Param, optional
        Another name of ``conn``.
    lengths : array, Quantity or Param, optional
        Tract lengths ``(n_target, n_source)``; a plain number means mm.
    speed : Quantity, number, Param or callable, optional
        Conduction speed; a plain number means mm/ms. The delays are ``lengths / speed``.
    delay : Quantity, Param, callable or Delay, optional
        Delays given directly, scalar or ``(n_target, n_source)``. Without a delay and without a speed there
        are none.
    coupling : str, Module class or callable, default 'additive'
        A name of `COUPLINGS`; or a class or function called as ``coupling(source_read, target_read,
        weights)`` that returns a Module whose call gives the drive ``(..., n_target)``.
    k : number, Quantity or Param, default 1.0
        Strength, if the coupling takes it.
    compared : str or callable, optional
        The signal of the target population that couplings of differences compare the source with; by default
        the one of the same name.
    max_delay, min_delay : Quantity, optional
        Static bounds, as in `Delay`.
    delay_init : optional
        History before the initial time, as in `prefetch_delay`.
    self_connection : bool, optional
        Whether connections of a region with itself count, in a projection of a population to itself. By
        default they do not, and a warning counts those that are dropped.

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import JansenRitStep, Network, Projection
    >>> net = Network(JansenRitStep(3), projections=[
    ...     Projection('E', 'E_inp', conn=1 - np.eye(3), delay=5.0 * u.ms, k=1.0 * u.Hz / u.mV)])
    >>> net.projections['projection'].max_delay
    Quantity(5., "ms")
    """

    source: str | Callable | tuple
    target: str | tuple
    conn: Any = None
    weights: Any = None
    lengths: Any = None
    speed: Any = None
    delay: Any = None
    coupling: CouplingName | type | Callable = "additive"
    k: Any = 1.0
    compared: str | Callable | None = None
    max_delay: Any = None
    min_delay: Any = None
    delay_init: Any = None
    self_connection: bool | None = None

    def __post_init__(self):
        """Refuse what can be told without the populations."""
        optional(flag)("Projection.self_connection", self.self_connection)
        for name in ("source", "target"):
            end = getattr(self, name)
            is_pair = isinstance(end, tuple) and len(end) == 2
            if name == "source" and callable(end):
                function_of("node")("Projection.source", end)
            elif not (is_pair or isinstance(end, str)):
                rule = "must be a name or a pair (population, name)"
                raise ArgumentError(f"Projection.{name}", rule, repr(end))
        if self.compared is not None and not isinstance(self.compared, str) and not callable(self.compared):
            rule = "must be a name or a function of the node"
            raise ArgumentError("Projection.compared", rule, repr(self.compared))


# arguments that a Pathway has made something else of
SPENT = {each.name for each in fields(Projection)} - {"source", "target", "delay", "coupling"}


class Pathway(Portable, brainstate.nn.Module):
    """A projection inside a network: its delays, its reads and its coupling.

    Attributes
    ----------
    source, target : tuple
        Population and signal, population and input.
    delay : Delay
        The delays.
    coupling : Module
        The coupling.
    source_read, target_read : callable
        The delayed source, ``(..., n_target, slot)``, and the target now.
    edges : Edges
        The connections.
    """

    def __init__(
        self, where: str, spec: Projection, source: tuple, target: tuple, nodes: dict, regions: dict, pasts
    ):
        super().__init__()
        self.source, self.target = source, target
        source_node, target_node = nodes[source[0]], nodes[target[0]]
        shape = _size(where, target_node), _size(where, source_node)
        conn, lengths = _matrices(where, spec, shape, regions.get(target[0]), regions.get(source[0]))
        argument = f"{where}.{'conn' if spec.weights is None else 'weights'}"
        is_local = target[0] == source[0]
        weights, active = _weights(argument, conn, shape, spec.self_connection, is_local)
        if isinstance(weights, Param):
            active = active & ~_without_length(lengths, weights, shape)
        self.delay = as_delay(
            where, active, delay=spec.delay, lengths=lengths, speed=spec.speed, max_delay=spec.max_delay,
            min_delay=spec.min_delay,
        )  # fmt: skip
        may_pack = not isinstance(weights, Param) and not is_traced(weights) and needs_sums(spec.coupling)
        self.edges = packed_edges(active) if may_pack else full_edges(active)
        signal = Signal(where, source_node, source[1], "coupled_var" if where == "Network" else "source")
        signal.check()
        self.source_read = DelayedRead(pasts(signal, spec.delay_init), self.delay, self.edges)
        self.target_read = CurrentRead(Signal(where, target_node, _compared(spec, source, target_node)))
        if isinstance(self.delay, PlasticDelay):
            method = getattr(target_node, "method", "heun")
            self.delay.connect(signal, self.target_read.signal, shape, method)
            check_choice(f"{where}.delay.method", self.delay.method, STEPS)
        if not isinstance(weights, Param):
            packed = self.edges.pack(weights)
            weights = (jnp if is_traced(packed) else np).where(self.edges.active, packed, 0)
        self.coupling = make_coupling(
            where, spec.coupling, self.source_read, self.target_read, weights, spec.k
        )
        self._check_compared(where, spec, target_node)
        self._check_strength(where, shape[0])
        if isinstance(self.coupling, Coupling) and not active.all() and not may_pack:
            self.coupling.connections = active
        self._is_made = True

    def __setattr__(self, name: str, value: Any) -> None:
        is_fixed = "_is_made" in vars(self) and (name in vars(self) or name in SPENT)
        if not is_fixed or vars(self).get(name) is value:
            super().__setattr__(name, value)
            return
        where, now = (
            f"Projection.{name}",
            self.speed if name == "speed" else getattr(self.coupling, name, None),
        )
        if name not in ("speed", "k") or not isinstance(now, Param):
            raise ArgumentError(
                where, "cannot be changed after construction", repr(value), "Build a new Network"
            )
        set_param(where, now, value)

    def _check_compared(self, where, spec, target_node):
        """Refuse a difference between two quantities of which nobody said that they may be compared."""
        known = _known(target_node)
        signal = self.source[1]
        is_named = spec.compared is not None or not known or callable(signal) or signal in known
        if not is_named and any(part is self.target_read for part in vars(self.coupling).values()):
            raise ArgumentError(
                f"{where}.compared",
                f"is needed, since {type(target_node).__name__} has no {signal!r} to compare with",
                None,
                f"Pass compared= one of {', '.join(known)}",
            )

    def _check_strength(self, where, n_targets):
        """Refuse a strength that is neither one number nor one per target."""
        k = getattr(self.coupling, "k", None)
        shape = u.math.shape(k.value()) if isinstance(k, Param) else ()
        if isinstance(self.coupling, Coupling) and shape and shape not in ((1,), (n_targets,)):
            raise ArgumentError(f"{where}.k", f"must be one number or one per target, {n_targets}", shape)

    @property
    def speed(self):
        """The conduction speed, or None."""
        return getattr(self.delay, "speed", None)

    @property
    def max_delay(self) -> u.Quantity:
        """The static bound."""
        return self.source_read.max_delay

    def drive(self):
        """Return what the target input gets at the stage that is being evaluated, ``(..., n_target)``."""
        return self.coupling()


def _size(where, node):
    if len(node.varshape) != 1:
        raise ArgumentError(f"{where}.node", "must have one axis of regions", f"shape {node.varshape}")
    return node.varshape[0]


def _compared(spec, source, target_node):
    """Return the signal of the target that differences are taken from, or any where there is none of that
    name."""
    if spec.compared is not None:
        return spec.compared
    known = _known(target_node)
    if callable(source[1]) or not known or source[1] in known:
        return source[1]
    return known[0]


def _known(node):
    """Return the states and signals that a node declares."""
    return (*getattr(node, "STATE_NAMES", ()), *getattr(node, "SIGNALS", ()))


def _matrices(where, spec, shape, target_regions, source_regions):
    """Return weights and lengths ``(n_target, n_source)`` from what the user gave."""
    if (spec.conn is None) == (spec.weights is None):
        given = "neither" if spec.conn is None else "both"
        raise ArgumentError(f"{where}.conn", "is needed, or weights, and not both", given)
    conn, lengths = spec.conn if spec.weights is None else spec.weights, spec.lengths
    if isinstance(conn, Connectome):
        lengths = (
            conn.lengths if lengths is None and spec.delay is None and spec.speed is not None else lengths
        )
        conn = conn.weights
    return tuple(_of_regions(x, shape, target_regions, source_regions) for x in (conn, lengths))


def _of_regions(matrix, shape, target_regions, source_regions):
    """Take the part of a matrix over all regions that belongs to two populations."""
    if matrix is None or isinstance(matrix, Param) or target_regions is None or source_regions is None:
        return matrix
    if np.shape(u.get_magnitude(matrix)) == shape:
        return matrix
    last = max(target_regions.max(), source_regions.max())
    if last >= min(np.shape(u.get_magnitude(matrix))):
        size = np.shape(u.get_magnitude(matrix))
        raise ArgumentError("Network.regions", f"must be indices of a connectome of {size}", int(last))
    return matrix[np.ix_(target_regions, source_regions)]


def _weights(where, conn, shape, self_connection, is_local) -> tuple[Any, np.ndarray]:
    """Return the weights and which connections exist."""
    value = value_of(conn)
    value = magnitude(where, value, u.UNITLESS)
    if not is_traced(value):
        value = _numbers(where, value)
    if np.shape(value) == (shape[0] * shape[1],):
        if isinstance(conn, Param):
            raise ArgumentError(where, f"must have shape {shape} as a Param", np.shape(value))
        value = value.reshape(shape)
    if np.shape(value) != shape:
        rule = f"must have shape {shape}, [target, source], the sizes of the nodes"
        raise ArgumentError(where, rule, np.shape(value))
    is_known = not (is_traced(value) or isinstance(conn, Param))
    active = value != 0 if is_known else np.ones(shape, bool)
    if is_local and not self_connection:
        diagonal = np.eye(*shape, dtype=bool)
        if self_connection is None and not is_traced(value):
            _warn_of_dropped(where.rpartition(".")[0], np.asarray(value), diagonal)
        active = active & ~diagonal
    return (conn if isinstance(conn, Param) else value), active


def _without_length(lengths, weights, shape):
    """Tell which trainable weights are 0 and have no length, so that they are no connections."""
    known = not (lengths is None or isinstance(lengths, Param) or is_traced((lengths, weights.value())))
    lengths = np.asarray(u.get_magnitude(lengths)) if known else np.zeros(())
    if lengths.shape != shape:
        return np.zeros(shape, bool)
    return np.isnan(lengths) & (np.asarray(weights.value()) == 0)


def _numbers(where, value):
    if hasattr(value, "toarray"):
        raise ArgumentError(where, "must be an array", type(value).__name__, "Write weights.toarray()")
    value = np.asarray(value)
    if not (np.issubdtype(value.dtype, np.number) or value.dtype == bool) or np.iscomplexobj(value):
        raise ArgumentError(where, "must hold real numbers", value.dtype)
    if not np.all(np.isfinite(value)):
        raise ArgumentError(where, "must be finite", f"{value[~np.isfinite(value)][0]}")
    return value


def _warn_of_dropped(where, value, diagonal):
    dropped = int(np.count_nonzero(value[diagonal]))
    if dropped:
        warnings.warn(
            f"{where}.self_connection: {dropped} connections of a region with itself are left out. Pass "
            "self_connection=True to keep them, or False to leave them out without this warning.",
            stacklevel=5,
        )
