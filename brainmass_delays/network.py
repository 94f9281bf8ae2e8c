"""A network: one population of nodes that drive each other through delayed connections."""

import inspect
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from ._core.checks import ArgumentError, check_choice
from ._core.status import is_traced
from ._core.units import magnitude
from .connectome import Connectome
from .couplings import COUPLINGS
from .delays.edges import ReadPlan, full_edges, packed_edges, plan_reads
from .delays.history import INITIALIZERS
from .delays.interpolation import interpolation as find_interpolation
from .delays.prefetch import CurrentRead, DelayedRead, served_values
from .delays.source import depends_on_time, params_of, refuse_untrainable, value_of
from .delays.tracts import TractDelays, delay_bounds, network_delays
from .integrate import DelayEquation
from .integrate.steps import STEPS, per_ms

STAGES = ("each", "frozen")


class Network(brainstate.nn.Module):
    """Couple a population of nodes through delayed, weighted connections.

    Parameters
    ----------
    node : brainstate.nn.Dynamics
        The nodes, of size N: a model of this library, or any dynamics whose ``update(drive, ...)`` makes a
        step, such as the models of ``brainmass``.
    conn : Connectome, array or Param
        Weights ``(N, N)`` as ``[target, source]``, dimensionless; a `Connectome` brings its lengths. A
        ``Param`` is left as it is and may be trained.
    distance : array or Quantity, optional
        Tract lengths ``(N, N)``; a plain number means mm.
    speed : Quantity, number, Param or callable, optional
        Conduction speed; a plain number means mm/ms. The delays are ``distance / speed``. Without a speed
        there are none.
    delay : Quantity, Param or callable, optional
        Delays given directly, scalar or ``(N, N)``, instead of distance and speed. A callable returns a
        Quantity; Params in its closure, or those of a Module, are trained along.
    coupling : str, Module class or callable, default 'diffusive'
        A name of `COUPLINGS`; or a class or function called as ``coupling(source_read, target_read,
        weights)`` that returns a Module whose call gives the drive ``(..., N)``. If it takes ``k``, it gets
        ``k=``.
    coupled_var : str
        The state that is read, at the source with delay and at the target without.
    k : number, Quantity or Param, default 1.0
        Global coupling strength.
    interpolation : {'nearest', 'linear', 'cubic', 'hermite'}, default 'linear'
        How delayed values are read between steps.
    max_delay, min_delay : Quantity, optional
        Static bounds of the delays. ``max_delay`` sizes the buffer and is required if the delay can change
        without a bound of its own (a ``Param`` with ``SigmoidT`` has one). ``min_delay`` lets more steps be
        read at once.
    delay_init : None, callable, array or initializer, optional
        History before the initial time, as in `prefetch_delay`; by default the initial state.
    self_connection : bool, default False
        Keep the diagonal of an array or Connectome.
    noise : Module, optional
        Called once per step; its value is added to the drive.
    stages : {'each', 'frozen'}, optional
        Evaluate the coupling at every stage of the method, at that stage's own time (``'each'``, the
        default for nodes of this library), or once per step (``'frozen'``, the only way for other nodes,
        and what other simulators do).
    block : int, optional
        Steps per block of prefetched reads; by default chosen by its cost from the shortest delays. Results
        do not depend on it.

    Attributes
    ----------
    node, coupling, noise : Module
        The parts.
    speed : Param or callable or None
        The conduction speed.
    max_delay : Quantity
        The static bound.

    Raises
    ------
    ArgumentError
        For shapes that do not fit, missing or wrong units, speeds that are not positive, delays above the
        bound, a trainable delay behind ``nearest`` reads, and unknown names.

    Notes
    -----
    ``stages='frozen'`` acts like an extra delay of half a step: the result is first order in the step
    whatever the method. With ``'each'`` the order is the smaller of the method's and the interpolation's
    [1]_, for a smooth history; the kink of a constant history at the initial time limits it to about 2. The
    gradient is exact for every ``Param``: speed, delays, weights, strength and node parameters. A
    connection costs the same whatever its delay, up to twenty times as much if that is of a few steps only;
    a sparse array of weights costs by its connections.

    References
    ----------
    .. [1] A. Bellen, M. Zennaro, Numerical Methods for Delay Differential Equations, Oxford University
       Press, 2003.

    Examples
    --------
    >>> import brainunit as u
    >>> from brainmass_delays import Connectome, HopfStep, Network, Simulator
    >>> net = Network(HopfStep(6, a=0.1, init_x=0.1), conn=Connectome.synthetic(6), coupled_var='x',
    ...               speed=5 * u.mm / u.ms, k=0.02)
    >>> result = Simulator(net, dt=0.5 * u.ms).run(20 * u.ms, monitors=lambda m: m.node.x.value)
    >>> result['output'].shape
    (40, 6)
    """

    def __init__(
        self,
        node: brainstate.nn.Dynamics,
        *,
        conn: Any,
        distance: Any = None,
        speed: Any = None,
        delay: Any = None,
        coupling: str | type | Callable = "diffusive",
        coupled_var: str,
        k: Any = 1.0,
        interpolation: str = "linear",
        max_delay: Any = None,
        min_delay: Any = None,
        delay_init: Any = None,
        self_connection: bool = False,
        noise: Any = None,
        stages: str | None = None,
        block: int | None = None,
    ):
        super().__init__()
        if not isinstance(node, brainstate.nn.Dynamics):
            raise ArgumentError("Network.node", "must be a brainstate.nn.Dynamics", type(node).__name__)
        self.node, self.noise, self.coupled_var, self.delay_init = node, noise, coupled_var, delay_init
        self.n_nodes = int(np.prod(node.varshape))
        self._check_coupled_var()
        self.stages = self._choose_stages(stages)
        self.rule = find_interpolation("Network", interpolation)
        self.block = _check_block(block)
        if isinstance(conn, Connectome):
            distance = conn.lengths if distance is None and delay is None else distance
            conn = conn.weights
        weights, active = _weights(conn, self.n_nodes, self_connection)
        source = network_delays(distance, speed, delay, active)
        self.speed = source.speed if isinstance(source, TractDelays) else None
        self.delay_source = source
        self._register(params_of(source))
        is_own = isinstance(coupling, str) or coupling in COUPLINGS.values()
        may_pack = is_own and not isinstance(weights, Param) and not is_traced(weights)
        self.edges = packed_edges(active) if may_pack else full_edges(active)
        weights = weights if isinstance(weights, Param) else self._masked(self.edges.pack(weights))
        self.source_read, self.bounds = self._source_read(
            source, max_delay, min_delay, delay_init, interpolation, active
        )
        self.target_read = CurrentRead(node, coupled_var)
        self.coupling = _make_coupling(
            coupling, self.source_read, self.target_read, Param.init(weights), k
        )
        self.is_linear = type(self.coupling) in COUPLINGS.values() and self.coupling.linear

    def _masked(self, weights):
        """Set the weights of slots without a connection to zero."""
        return (jnp if is_traced(weights) else np).where(self.edges.active, weights, 0)

    def _check_coupled_var(self):
        names = getattr(self.node, "STATE_NAMES", ())
        if names:
            check_choice("Network.coupled_var", self.coupled_var, names)

    def _choose_stages(self, stages):
        own = hasattr(self.node, "derivative") and hasattr(self.node, "step_inputs")
        self.is_own_node = own
        if stages is None:
            return "each" if own else "frozen"
        check_choice("Network.stages", stages, STAGES)
        if stages == "each" and not own:
            raise ArgumentError(
                "Network.stages",
                "'each' needs a node of this library, which shows its derivative",
                type(self.node).__name__,
                "Use stages='frozen'",
            )
        return stages

    def _register(self, params):
        """Make Params behind a delay function part of this module, so that a Fitter finds them by name."""
        if isinstance(self.delay_source, brainstate.graph.Node):
            return
        for name, param in params.items():
            if not hasattr(self, name):
                setattr(self, name, param)

    def _source_read(self, source, max_delay, min_delay, init, interpolation, active):
        """Make the delayed read of all slots and the static bounds of their delays in ms, ``(target,
        slot)``."""
        if source is None:
            source, bounds = 0.0 * u.ms, (np.zeros(self.edges.sources.shape),) * 2
        else:
            refuse_untrainable("Network", getattr(source, "speed", source), interpolation)
            low, high = self._slot_bounds(source, max_delay, min_delay, active)
            if (low > high).any():
                raise ArgumentError(
                    "Network.max_delay",
                    f"must not be below the shortest delay, {low.max():.6g} ms",
                    f"{high.max():.6g} ms",
                )
            bounds = low, high
        read = DelayedRead(
            self.node,
            self.coupled_var,
            (self._slot_delays, self.edges.sources),
            init=init,
            interpolation=interpolation,
            bounds=bounds,
            active=self.edges.active,
        )
        return read, bounds

    @property
    def max_delay(self) -> u.Quantity:
        """The static bound that sizes the buffer."""
        return self.source_read.max_delay

    def delay(self) -> u.Quantity:
        """Return the present delays, ``(N, N)`` as ``[target, source]``; zero for a network without
        delays."""
        source = self.delay_source
        value = (
            0.0 * u.ms
            if source is None
            else source()
            if callable(source) and not isinstance(source, Param)
            else (source.value() if isinstance(source, Param) else source)
        )
        return (
            jnp.broadcast_to(
                magnitude("Network.delay", value, u.ms, plain=False), (self.n_nodes, self.n_nodes)
            )
            * u.ms
        )

    def _slot_delays(self) -> u.Quantity:
        """Return the present delays of the slots, ``(target, slot)``."""
        source = self.delay_source
        return source.take(self.edges)() if self._has_one_speed() else self.edges.pack(self.delay())

    def _slot_bounds(self, source, max_delay, min_delay, active):
        """Return the static bounds of the delays of the slots in ms, without a full matrix where possible."""
        if self._has_one_speed():
            return delay_bounds(source.take(self.edges), max_delay, min_delay, self.edges.active)
        return tuple(map(self.edges.pack, delay_bounds(source, max_delay, min_delay, active)))

    def _has_one_speed(self):
        """Tell whether the delays are lengths over one speed, so that those of the slots alone will do."""
        source = self.delay_source
        return isinstance(source, TractDelays) and np.ndim(u.get_magnitude(value_of(source.speed))) == 0

    def read_plan(self, dt: u.Quantity) -> ReadPlan:
        """Plan how a run with step ``dt`` reads."""
        step = dt.to_decimal(u.ms)
        low, high = (b / step for b in self.bounds)
        return plan_reads(self.edges, low, high, self.rule, max(self.offsets), self.block)

    @property
    def offsets(self) -> tuple[float, ...]:
        """Stage times, in steps, at which the coupling is evaluated."""
        return STEPS[self.node.method].offsets if self.stages == "each" else (0.0,)

    @property
    def delay_varies(self) -> bool:
        """Whether the delays depend on the time, so that they must be read step by step."""
        return depends_on_time(self.delay_source)

    def check_trainable(self) -> None:
        """Raise if a parameter marked ``fit=True`` could only have a gradient of zero."""
        source = self.delay_source
        refuse_untrainable(
            "Network", getattr(source, "speed", source), "linear" if self.rule.differentiable else "nearest"
        )

    def equation(self) -> DelayEquation:
        """Return this network as a delay differential equation in all states of its nodes, for
        `integrate.solve_network`.

        The states must be initialized; they are the initial values, and constant history unless
        ``delay_init`` is a function of time. Noise has no place in an equation that is solved to tolerance.

        Raises
        ------
        ArgumentError
            For nodes of another library, for noise, and for a history that is an array or drawn at random.
        """
        node, names = self.node, getattr(self.node, "STATE_NAMES", ())
        if not self.is_own_node:
            raise ArgumentError(
                "Network.equation", "needs a node that shows its derivative", type(node).__name__
            )
        if self.noise is not None or any(noise is not None for noise in node.noises.values()):
            raise ArgumentError(
                "Network.equation", "cannot hold noise", "a noisy network", "Run it in a Simulator"
            )
        which = names.index(self.coupled_var)

        def rates(t, state, delayed, args):
            values = tuple(state[name] for name in names)
            with self._serving(dict(zip(names, values, strict=True))):
                current = self.drive(self._with_instant(self.edges.pack(delayed)))
            first, *rest = node.step_inputs(())
            found = node.derivative(values, t, (first + self._in_unit(current), *rest))
            return {
                state.name: per_ms(rate, state.unit, "Network.equation") * (state.unit / u.ms)
                for state, rate in zip(node.STATES, found, strict=True)
            }

        return DelayEquation(
            rates,
            self._initial_history(names),
            self.delay(),
            coupled=lambda state: state[names[which]],
            max_delay=self.max_delay,
        )

    def _initial_history(self, names):
        """Return the initial values, or the history of the coupled variable as a function of time."""
        initial = {name: getattr(self.node, name).value for name in names}
        init = self.delay_init
        if init is None:
            return initial
        if not callable(init) or isinstance(init, INITIALIZERS):
            raise ArgumentError(
                "Network.delay_init",
                "must be None or a function of time for an equation",
                type(init).__name__,
            )
        return lambda t: initial | {self.coupled_var: init(t)}

    # ----------------------------------------------------------------------------------------------

    def update(self, *inputs):
        """Advance one step of ``brainstate.environ``'s dt; inputs beyond the coupling go to the node."""
        buffer = self.source_read.buffer

        def current(c):
            if c > 0 and buffer.slopes is not None:
                buffer.store_slope()
            return self.drive(self._with_instant(buffer.read(c)))

        return self.advance(current, inputs)

    def advance(self, current: Callable[[float], Any], inputs: tuple, skip: Any = None):
        """Advance the node one step, driven by ``current(c)``, the coupling at stage ``c``; return the
        node's output.

        Everything else that follows the node's update runs too, except ``skip``.
        """
        noise = 0.0 if self.noise is None else self.noise()
        for hook in (self.node.before_updates or {}).values():
            hook()
        if self.is_own_node:
            result = self._advance_stages(current, noise, inputs)
        else:
            now = current(0.0)
            result = self.node.update(now if self.noise is None else now + noise, *inputs)
        for hook in (self.node.after_updates or {}).values():
            if hook is not skip:
                hook() if hasattr(hook, "_not_receive_update_output") else hook(result)
        return result

    def _advance_stages(self, current, noise, inputs):
        """Advance a node of this library, with the coupling at every stage or held over the step."""
        node, names = self.node, self.node.STATE_NAMES
        first, *rest = node.step_inputs((None, *inputs))
        held = []

        def drive(c, stage):
            if not held or self.stages == "each":
                with self._serving(dict(zip(names, stage, strict=True))):
                    now = current(c)
                held[:] = [first + self._in_unit(now if self.noise is None else now + noise)]
            return (held[0], *rest)

        node.advance(drive)
        return node.output()

    def _in_unit(self, current):
        """Return a coupling current in the unit of the node's first input."""
        unit = self.node.INPUTS[0].unit
        number = magnitude("Network.coupling", current, unit)
        return number if unit.is_unitless else u.Quantity(number, unit=unit)

    def drive(self, source):
        """Evaluate the coupling on given source values ``(..., target, slot)``."""
        self.source_read.served = source
        try:
            return self.coupling()
        finally:
            self.source_read.served = None

    def stage_value(self):
        """Return the coupled variable at the stage that is being evaluated."""
        return self.target_read()

    def _with_instant(self, source):
        """Replace what connections without any delay read by the sources' values at the stage itself."""
        instant = self.edges.active & (self.bounds[1] == 0)
        if not instant.any():
            return source
        return u.math.where(instant, self.stage_value()[..., self.edges.sources], source)

    @contextmanager
    def _serving(self, values: dict):
        """Let the node's reads return stage values."""
        served = served_values(self.node)
        self.node._served = values
        try:
            yield
        finally:
            self.node._served = served


def _weights(conn: Any, n: int, self_connection: bool) -> tuple[Any, np.ndarray]:
    """Return the weights ``(n, n)`` and which connections exist."""
    if isinstance(conn, Param):
        value = conn.value()
        if np.shape(value) not in ((n, n), (n * n,)):
            raise ArgumentError("Network.conn", f"must have shape ({n}, {n})", np.shape(value))
        return conn, np.ones((n, n), bool)
    value = magnitude("Network.conn", conn, u.UNITLESS)
    if not is_traced(value):
        value = np.asarray(value)
        if not np.issubdtype(value.dtype, np.number) and value.dtype != bool:
            raise ArgumentError("Network.conn", "must hold numbers", value.dtype)
    value = value.reshape(n, n) if np.shape(value) == (n * n,) else value
    if np.shape(value) != (n, n):
        raise ArgumentError(
            "Network.conn", f"must have shape ({n}, {n}), the size of the node", np.shape(value)
        )
    if is_traced(value):
        active = np.ones((n, n), bool) if self_connection else ~np.eye(n, dtype=bool)
        return value, active
    if not np.all(np.isfinite(value)):
        raise ArgumentError("Network.conn", "must be finite", f"{value[~np.isfinite(value)][0]}")
    active = value != 0
    if not self_connection:
        active &= ~np.eye(n, dtype=bool)
    return value, active


def _make_coupling(coupling, source, target, weights, k):
    """Build the coupling Module from a name, a class or a function."""
    if isinstance(coupling, str):
        coupling = COUPLINGS[check_choice("Network.coupling", coupling, COUPLINGS)]
    if coupling in COUPLINGS.values():
        return coupling.between(source, target, weights, k)
    if not callable(coupling):
        raise ArgumentError(
            "Network.coupling",
            "must be a name, a Module class or a callable",
            repr(coupling),
            f"Names are {', '.join(COUPLINGS)}",
        )
    takes_k = (
        "k" in inspect.signature(coupling.__init__ if inspect.isclass(coupling) else coupling).parameters
    )
    if not takes_k and not (np.isscalar(k) and k == 1.0):
        raise ArgumentError(
            "Network.k", "is not an argument of the coupling given", k, "Let the coupling take k"
        )
    module = coupling(source, target, weights, **({"k": k} if takes_k else {}))
    if not isinstance(module, brainstate.nn.Module):
        raise ArgumentError("Network.coupling", "must return a brainstate Module", type(module).__name__)
    return module


def _check_block(block):
    if block is None or block == "auto":
        return None
    if isinstance(block, bool) or not isinstance(block, int | np.integer) or block < 1:
        raise ArgumentError("Network.block", "must be 'auto' or a whole number of at least 1", repr(block))
    return int(block)
