"""A network as a delay differential equation, for solvers that step to a tolerance."""

from typing import Any

import brainunit as u
import jax.numpy as jnp

from .._core.checks import ArgumentError
from .._core.states import holding
from ..delays.context import served_by
from ..delays.history import INITIALIZERS
from ..delays.signal import not_started
from ..integrate import DelayEquation
from ..integrate.steps import per_ms


class _Delayed:
    """Serve delayed values that a solver has looked up, by read."""

    def __init__(self, values: dict):
        self.values = values

    def read(self, read):
        """Return single values, ``(target, slot)``."""
        return self.values[id(read)]

    def sums(self, read, coupling):
        """Return the sums of features."""
        found = read.with_instant(self.values[id(read)])
        return [
            (read.active_weights(coupling) * f).sum(-1) for f in coupling.features_of(found, read.past.unit)
        ]


class _Equation:
    """Translate between the states of a network and what a solver sees: ``{state: value}`` for one
    population, ``{population: {state: value}}`` for several; and by projection what is delayed."""

    def __init__(self, net: Any):
        self.net, self.nodes = net, net.populations
        self.reads = {name: pathway.source_read for name, pathway in net.projections.items()}
        _check(net)
        if not all(hasattr(node, s) for node in self.nodes.values() for s in node.STATE_NAMES):
            raise not_started("Network.equation")

    def inside(self, state):
        """Return states by population."""
        return state if len(self.nodes) > 1 else {next(iter(self.nodes)): state}

    def outside(self, parts):
        """Return states as the solver sees them."""
        return parts if len(self.nodes) > 1 else next(iter(parts.values()))

    def initial(self):
        """Return the present states."""
        return self.outside(
            {p: dict(zip(node.STATE_NAMES, node.values(), strict=True)) for p, node in self.nodes.items()}
        )

    def holding(self, state):
        """Let the nodes have the states of the solver."""
        parts = self.inside(state)
        pairs = [(getattr(node, s), parts[p][s]) for p, node in self.nodes.items() for s in node.STATE_NAMES]
        return holding(*zip(*pairs, strict=True))

    def names(self, read):
        """Return the population that a read looks at, and its states that travel."""
        signal = read.past.signal
        population = next(p for p, node in self.nodes.items() if node is signal.node)
        is_state = isinstance(signal.item, str) and signal.item in signal.node.STATE_NAMES
        return population, (signal.item,) if is_state else signal.node.STATE_NAMES

    def coupled(self, state):
        """Select what the connections of every projection read."""
        parts = self.inside(state)
        found = {}
        for name, read in self.reads.items():
            population, states = self.names(read)
            found[name] = {s: parts[population][s][read.edges.sources] for s in states}
        return found

    def delays(self):
        """Return the delays of the connections of every projection, 0 where there is none."""
        found = {}
        for name, read in self.reads.items():
            delay = (
                jnp.where(read.edges.active, jnp.asarray(read.delay.at(read.edges).to_decimal(u.ms)), 0.0)
                * u.ms
            )
            found[name] = dict.fromkeys(self.names(read)[1], delay)
        return found

    def delayed_signal(self, read, values):
        """Return the signal of delayed states, ``(target, slot)``, as a plain number."""
        population, states = self.names(read)
        node = self.nodes[population]
        with holding([getattr(node, s) for s in states], [values[s] for s in states]):
            return read.past.value()

    def rates(self, t, state, delayed, args):
        """Return the rates of all states."""
        values = {id(read): self.delayed_signal(read, delayed[name]) for name, read in self.reads.items()}
        with self.holding(state), served_by(_Delayed(values)):
            currents, given, found = self.net.currents(0.0), self.net.stimulated(t), {}
            for p, node in self.nodes.items():
                inputs = self.net.input_names.declared(p, given)
                quiet = node.step_inputs(inputs, noise=(0.0,) * len(node.INPUTS))
                drive = self.net.with_currents({p: node}, {p: quiet}, currents)[p]
                rates = node.derivative(node.values(), t, drive)
                found[p] = {
                    s.name: per_ms(rate, s.unit, "Network.equation") * (s.unit / u.ms)
                    for s, rate in zip(node.STATES, rates, strict=True)
                }
        return self.outside(found)

    def history(self):
        """Return the initial states, or the history of what travels as a function of time."""
        initial, functions = self.initial(), {}
        for read in self.reads.values():
            init = read.past.init
            if init is None:
                continue
            population, states = self.names(read)
            if not callable(init) or isinstance(init, INITIALIZERS) or len(states) > 1:
                raise ArgumentError(
                    "Network.delay_init",
                    "must be None, or a function of time for a state that travels, for an equation",
                    type(init).__name__,
                )
            functions[population, states[0]] = init
        if not functions:
            return initial

        def at(t):
            parts = {p: dict(of_one) for p, of_one in self.inside(initial).items()}
            for (population, name), init in functions.items():
                parts[population][name] = init(t)
            return self.outside(parts)

        return at


def _check(net):
    """Refuse networks that no equation describes."""
    for node in net.populations.values():
        if not hasattr(node, "derivative"):
            raise ArgumentError(
                "Network.equation", "needs nodes that show their derivative", type(node).__name__
            )
        if any(noise is not None for noise in node.noises.values()):
            raise ArgumentError(
                "Network.equation", "cannot hold noise", "a noisy network", "Run it in a Simulator"
            )
    if net.noise:
        raise ArgumentError(
            "Network.equation", "cannot hold noise", "a noisy network", "Run it in a Simulator"
        )
    for name, pathway in net.projections.items():
        if pathway.delay.varies():
            raise ArgumentError(
                f"Network.projections[{name!r}].delay", "must not change in time for an equation", None
            )
    if len(net.pasts) > len({id(p.source_read.past) for p in net.projections.values()}):
        raise ArgumentError("Network.equation", "cannot hold reads that couplings make themselves", None)


def network_equation(net: Any) -> DelayEquation:
    """Return a network as a `DelayEquation` in all states of its nodes; see `Network.equation`."""
    equation = _Equation(net)
    return DelayEquation(
        equation.rates,
        equation.history(),
        equation.delays(),
        coupled=equation.coupled,
        max_delay=net.max_delay,
    )
