"""A network: populations of nodes that drive each other through delayed connections."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import brainstate
import brainunit as u
import numpy as np

from ._core.arguments import checked, flag, mapping, optional
from ._core.checks import MOST, ArgumentError, check_choice
from ._core.choices import CouplingName, InterpolationName, Stages
from ._core.param import ShowsSignature, set_param
from ._core.states import holding
from ._core.units import magnitude
from .delays.context import at_stage
from .delays.delay import step_size
from .delays.interpolation import interpolation as find_interpolation
from .delays.past import Past, forget
from .delays.read import DelayedRead
from .equation import network_equation
from .inputs import InputNames
from .integrate import DelayEquation
from .integrate.steps import STEPS
from .nodes.base import step_time
from .outline import outline
from .projection import Pathway, Projection

STAGES = ("each", "middle", "frozen")
# Arguments that a network keeps under their names.
KEPT = ("populations", "projections", "regions", "stages", "block", "noise")


class Network(ShowsSignature, brainstate.nn.Module):
    """Couple populations of nodes through delayed, weighted connections.

    Parameters
    ----------
    populations : brainstate.nn.Dynamics or dict
        One population, of size N: a model of this library, or any dynamics whose ``update(drive, ...)``
        makes a step, such as the models of ``brainmass``; or several by name.
    projections : Projection, list or dict, optional
        What drives what. For one population, the arguments from ``conn`` to ``self_connection`` describe a
        single projection of ``coupled_var`` onto the first input instead.
    regions : dict, optional
        By population, the indices of its regions in the connectome: projections may then be given as
        matrices over all regions, and what populations have in common is recorded in this order.
    conn, distance, speed, delay, coupling, k, max_delay, min_delay, delay_init, self_connection
        As in `Projection`; ``coupling`` is ``'diffusive'`` by default.
    coupled_var : str or callable, optional
        What is read, at the source with delay and at the target without.
    interpolation : {'nearest', 'linear', 'cubic', 'hermite'}, default 'linear'
        How delayed values are read between steps.
    noise : Module or dict of input to Module, optional
        Called once per step; its value is added to the driven input, or to the inputs named.
    stages : {'each', 'middle', 'frozen'}, optional
        Evaluate couplings at every stage of the method, at that stage's own time (``'each'``, the default
        for nodes of this library); once, in the middle of the step (``'middle'``); or once, at its start
        (``'frozen'``, the only way for other nodes, and what other simulators do).
    block : int, optional
        Steps per block of prefetched reads; by default chosen by its cost from the shortest delays. Results
        do not depend on it.

    Attributes
    ----------
    populations, projections : dict
        The parts by name; a single one is called ``'node'`` and ``'projection'``.
    node, coupling, speed, max_delay, k
        Those of the only population and projection.

    Raises
    ------
    ArgumentError
        For shapes that do not fit, missing or wrong units, speeds that are not positive, delays above the
        bound, a trainable delay behind ``nearest`` reads, and unknown names.

    Notes
    -----
    ``stages='frozen'`` acts like an extra delay of half a step: the result is first order in the step
    whatever the method. With ``'each'`` the order is the smaller of the method's and the interpolation's
    [1]_, for a smooth history; the kink of a constant history at the initial time limits it to about 2.
    ``'middle'`` reads sources half a step ahead, moves what is not known yet along its slope of the step
    before, and is of second order for one evaluation per step. All populations advance together. The
    gradient is exact for every ``Param``: speed, delays, weights, strength and node parameters.

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

    @checked("Network", self_connection=optional(flag), regions=optional(mapping))
    def __init__(
        self,
        populations: brainstate.nn.Dynamics | dict[str, brainstate.nn.Dynamics],
        *,
        projections: Projection | Sequence[Projection] | dict[str, Projection] | None = None,
        regions: dict[str, Any] | None = None,
        conn: Any = None,
        distance: Any = None,
        speed: Any = None,
        delay: Any = None,
        coupling: CouplingName | type | Callable = "diffusive",
        coupled_var: str | Callable | None = None,
        k: Any = 1.0,
        interpolation: InterpolationName = "linear",
        max_delay: Any = None,
        min_delay: Any = None,
        delay_init: Any = None,
        self_connection: bool | None = None,
        noise: Any = None,
        stages: Stages | None = None,
        block: int | None = None,
    ):
        super().__init__()
        self.populations = _populations(populations)
        self.regions = _regions(regions, self.populations)
        self.input_names = InputNames(self.populations)
        self.rule = find_interpolation("Network", interpolation)
        self.stages = self._choose_stages(stages)
        self.block = _block(block)
        single = {
            "conn": conn, "distance": distance, "speed": speed, "delay": delay, "coupling": coupling, "k": k,
            "max_delay": max_delay, "min_delay": min_delay, "delay_init": delay_init,
            "self_connection": self_connection,
        }  # fmt: skip
        specs = _projections(projections, single, coupled_var, self.populations)
        pasts: dict[tuple, Past] = {}
        self.projections = {
            name: self._pathway(name, spec, projections is None, pasts) for name, spec in specs.items()
        }
        self.pasts = [*pasts.values(), *self._adopted(pasts)]
        self.noise = self._noises(noise)
        self._check_methods()
        self._is_built = True

    def __repr__(self) -> str:
        return outline(self)

    def _choose_stages(self, stages):
        foreign = [type(node).__name__ for node in self.populations.values() if not _is_own(node)]
        if stages is None:
            return "frozen" if foreign else "each"
        check_choice("Network.stages", stages, STAGES)
        if stages != "frozen" and foreign:
            raise ArgumentError(
                "Network.stages",
                f"{stages!r} needs nodes of this library, which show their derivative",
                ", ".join(foreign),
                "Use stages='frozen'",
            )
        return stages

    def _pathway(self, name, spec, is_single, pasts):
        where = "Network" if is_single else f"Network.projections[{name!r}]"
        source = _end(where, "source", spec.source, self.populations)
        target = self.input_names.find(f"{where}.target", spec.target)

        def past(signal, init):
            """Return the past of a signal with a history, shared by all projections that read it."""
            key = id(signal.node), signal.item, id(init)
            if key not in pasts:
                pasts[key] = Past(signal, self.rule, init)
            return pasts[key]

        return Pathway(where, spec, source, target, self.populations, self.regions, past)

    def _adopted(self, pasts):
        """Return the pasts that couplings of users read, which the network pushes in the place of the
        node."""
        mine = {id(node) for node in self.populations.values()}
        known = {id(past) for past in pasts.values()}
        found = {}
        for read in self.nodes(DelayedRead).values():
            past = read.past
            if id(past.signal.node) in mine and id(past) not in known:
                forget(past.signal.node, lambda hook, past=past: hook.past is past)
                found[id(past)] = past
        return list(found.values())

    def _noises(self, noise):
        """Return the noises by population and input."""
        if noise is None:
            return {}
        given = noise if isinstance(noise, Mapping) else {self._sole("noise").target: noise}
        found = {self.input_names.find("Network.noise", target): module for target, module in given.items()}
        for module in found.values():
            if not isinstance(module, brainstate.nn.Module):
                raise ArgumentError(
                    "Network.noise", "must be a noise module", repr(module), "Use WhiteNoise or OUNoise"
                )
        if len(set(map(id, found.values()))) < len(found):
            raise ArgumentError("Network.noise", "needs one object per input", "one object for several")
        return {".".join(target): module for target, module in found.items()}

    def _check_methods(self):
        """Refuse what needs the stages of two methods at once."""
        for name, pathway in self.projections.items():
            source, target = (self.populations[end[0]] for end in (pathway.source, pathway.target))
            methods = {node.method for node in (source, target) if _is_own(node)}
            if self.stages == "each" and len(methods) > 1 and pathway.source_read.instant.any():
                raise ArgumentError(
                    f"Network.projections[{name!r}].delay",
                    "must not be zero between populations of different methods",
                    " and ".join(sorted(methods)),
                    "Give both one method, or stages='middle'",
                )

    # ------------------------------------------------------------------------------------- the only part

    def _sole(self, attribute, parts="projections"):
        """Return the only population or projection."""
        found = getattr(self, parts)
        if len(found) != 1:
            raise ArgumentError(
                f"Network.{attribute}", f"is ambiguous with {len(found)} {parts}", ", ".join(found),
                f"Use net.{parts}[name]",
            )  # fmt: skip
        return next(iter(found.values()))

    @property
    def node(self) -> brainstate.nn.Dynamics:
        """The only population."""
        return self._sole("node", "populations")

    @property
    def coupling(self) -> brainstate.nn.Module:
        """The coupling of the only projection."""
        return self._sole("coupling").coupling

    @property
    def speed(self):
        """The conduction speed of the only projection, or None."""
        return self._sole("speed").speed

    @property
    def source_read(self) -> DelayedRead:
        """The delayed read of the only projection."""
        return self._sole("source_read").source_read

    @property
    def target_read(self):
        """The read of the target of the only projection."""
        return self._sole("target_read").target_read

    @property
    def max_delay(self) -> u.Quantity:
        """The static bound that sizes the buffer."""
        return max((p.max_delay for p in self.projections.values()), key=lambda d: d.to_decimal(u.ms))

    @property
    def n_nodes(self) -> int:
        """Number of regions of all populations."""
        return sum(int(np.prod(node.varshape)) for node in self.populations.values())

    n_node = n_nodes

    def __setattr__(self, name, value):
        is_made = "_is_built" in vars(self) and (name in vars(self) or name not in KEPT)
        if is_made and name in inspect.signature(type(self).__init__).parameters:
            self._replace(name, value)
        else:
            super().__setattr__(name, value)

    def _replace(self, name, value):
        """Set what may change after construction; refuse what nothing would read."""
        if name == "k":
            set_param("Network.k", self.coupling.k, value)
        elif name == "speed" and isinstance(self.speed, brainstate.nn.Param):
            if isinstance(value, brainstate.nn.Param):
                self._sole("speed").delay.speed = value
            else:
                set_param("Network.speed", self.speed, value)
        elif name == "block":
            super().__setattr__(name, value)
        elif vars(self).get(name) is not value:
            raise ArgumentError(
                f"Network.{name}", "cannot be changed after construction", None, "Build a new Network"
            )

    def delay(self, projection: str | None = None) -> u.Quantity:
        """Return the present delays of a projection, ``(n_target, n_source)``; 0 where there is no
        connection."""
        pathway = (
            self._sole("delay")
            if projection is None
            else self.projections[check_choice("Network.delay", projection, self.projections)]
        )
        delay = magnitude("Network.delay", pathway.delay(), u.ms)
        return u.math.broadcast_to(u.math.asarray(delay), pathway.edges.shape) * u.ms

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
        return network_equation(self)

    # ----------------------------------------------------------------------------------------- one step

    @brainstate.nn.call_order(3)
    def init_state(self, *args, **kwargs):
        """Find the drift at the initial time, from which ``stages='middle'`` looks half a step ahead."""
        if self.stages != "middle":
            return
        self.drift = {
            name: brainstate.ShortTermState(tuple(u.math.zeros_like(x) / u.ms for x in node.values()))
            for name, node in self.populations.items()
        }
        self._store_drift(self.currents(0.0), step_time(), {})

    def update(self, *inputs):
        """Advance one step of ``brainstate.environ``'s dt.

        Parameters
        ----------
        *inputs
            One dict of further inputs by name, ``'E_inp'`` or ``'population.E_inp'``; or, where that is
            unambiguous, the values themselves.

        Returns
        -------
        array, Quantity or dict
            The output of the only node, or of every population by name.
        """
        given = self.input_names.given(inputs)
        for name, module in self.noise.items():
            key = tuple(name.split(".", 1)) if "." in name else name
            given[key] = given.get(key, 0.0) + module()
        for node in self.populations.values():
            for hook in (node.before_updates or {}).values():
                hook()
        outputs = self._advance(given)
        for name, node in self.populations.items():
            _call_hooks(node, outputs[name])
        for past in self.pasts:
            past.push()
        return outputs[next(iter(outputs))] if len(outputs) == 1 else outputs

    def _advance(self, given):
        """Advance all populations by one step."""
        own = {name: node for name, node in self.populations.items() if _is_own(node)}
        foreign = {name: node for name, node in self.populations.items() if not _is_own(node)}
        held = None if self.stages == "each" else self._held_currents()
        outputs = {}
        for name, node in foreign.items():
            outputs[name] = node.update(*self.input_names.positional(name, given, held))
        base = {name: self.input_names.declared(name, given) for name in own}
        before = {
            name: node.step_inputs(inputs)
            for (name, node), inputs in zip(own.items(), base.values(), strict=True)
        }
        new = {}
        for nodes in self._by_method(own).values():
            new |= self._advance_group(nodes, before, held)
        if self.stages == "middle":
            self._store_drift(held, step_time(), base)
        for name, values in new.items():
            own[name].set_values(values)
            outputs[name] = own[name].output()
        return {name: outputs[name] for name in self.populations}

    @staticmethod
    def _by_method(nodes):
        groups = {}
        for name, node in nodes.items():
            groups.setdefault(node.method, {})[name] = node
            node.start_step()
        return groups

    def _advance_group(self, nodes, inputs, held):
        """Return the new states of populations that share a method, their stages taken together."""
        dt, t = step_size("Network.update"), step_time()
        counts = np.cumsum([len(node.STATE_NAMES) for node in nodes.values()])[:-1]
        method = STEPS[next(iter(nodes.values())).method]

        def split(values):
            parts = np.split(np.arange(len(values)), counts)
            return {name: tuple(values[i] for i in part) for name, part in zip(nodes, parts, strict=True)}

        def drive(c, state):
            if held is not None:
                return self.with_currents(nodes, inputs, held)
            with holding(*_states_and(nodes, split(state))), at_stage(c, slope_known=c > 0):
                return self.with_currents(nodes, inputs, self.currents(c, nodes))

        def rate(c, state, drives):
            parts = split(state)
            return tuple(
                x
                for name, node in nodes.items()
                for x in node.rates(c, parts[name], t + c * dt, drives[name])
            )

        values = tuple(x for node in nodes.values() for x in node.values())
        return split(method.advance(rate, drive, values, dt))

    def currents(self, c, nodes=None):
        """Return what projections bring at a stage, by population and input."""
        currents = {}
        t = step_time() + c * step_size("Network.update") if c else step_time()
        with brainstate.environ.context(t=t):
            for pathway in self.projections.values():
                if nodes is None or pathway.target[0] in nodes:
                    drive = self._in_unit(pathway.target, pathway.drive())
                    known = currents.get(pathway.target)
                    currents[pathway.target] = drive if known is None else known + drive
        return currents

    def _held_currents(self):
        """Return what projections bring in a step, evaluated once."""
        if self.stages == "frozen":
            return self.currents(0.0)
        half = 0.5 * step_size("Network.update")
        ahead = {
            name: tuple(
                x + half * rate for x, rate in zip(node.values(), self.drift[name].value, strict=True)
            )
            for name, node in self.populations.items()
        }
        with holding(*_states_and(self.populations, ahead)), at_stage(0.5, slope_known=False):
            return self.currents(0.5)

    def _store_drift(self, currents, t, base):
        """Keep the rates without noise at the start of this step."""
        for name, node in self.populations.items():
            quiet = node.step_inputs(base.get(name, ()), noise=(0.0,) * len(node.INPUTS))
            drives = self.with_currents({name: node}, {name: quiet}, currents)[name]
            rates = node.derivative(node.values(), t, drives)
            self.drift[name].value = tuple(
                u.math.broadcast_to(_per_ms(rate, s.unit), x.shape) * (s.unit / u.ms)
                for s, rate, x in zip(node.STATES, rates, node.values(), strict=True)
            )

    def with_currents(self, nodes, inputs, currents):
        """Add currents to the inputs of populations."""
        found = {}
        for name, node in nodes.items():
            found[name] = tuple(
                value + currents[name, entry.name] if (name, entry.name) in currents else value
                for entry, value in zip(node.INPUTS, inputs[name], strict=True)
            )
        return found

    def _in_unit(self, target, current):
        """Return a current in the unit of the input that it drives."""
        unit = self.input_names.unit(target)
        if unit is None:
            return current
        number = magnitude("Network.coupling", current, unit)
        return number if unit.is_unitless else u.Quantity(number, unit=unit)


def _per_ms(rate, unit):
    return magnitude("Network.drift", rate, unit / u.ms)


def _states_and(nodes, values):
    """List the states of populations beside values for them."""
    states = [getattr(node, name) for node in nodes.values() for name in node.STATE_NAMES]
    return states, [x for name in nodes for x in values[name]]


def _call_hooks(node, result):
    """Run what others asked to follow a node's update."""
    for hook in (node.after_updates or {}).values():
        hook() if hasattr(hook, "_not_receive_update_output") else hook(result)


def _is_own(node):
    """Tell whether a node shows its derivative, so that its stages can be driven."""
    return hasattr(node, "derivative") and hasattr(node, "step_inputs")


def _block(block):
    if block is None or (isinstance(block, str) and block == "auto"):
        return None
    if isinstance(block, bool) or not isinstance(block, int | np.integer) or not 1 <= block <= MOST:
        raise ArgumentError("Network.block", "must be 'auto' or a whole number of at least 1", repr(block))
    return int(block)


def _populations(given):
    """Return the populations by name."""
    named = given if isinstance(given, Mapping) else {"node": given}
    if not named:
        raise ArgumentError("Network.populations", "must hold at least one", given)
    for name, node in named.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ArgumentError("Network.populations", "names must be identifiers", repr(name))
        if not isinstance(node, brainstate.nn.Dynamics):
            where = "Network.populations" if named is not given else f"Network.populations[{name!r}]"
            raise ArgumentError(where, "must be a brainstate.nn.Dynamics", type(node).__name__)
    if len(set(map(id, named.values()))) < len(named):
        raise ArgumentError("Network.populations", "must be different objects", "one node under two names")
    return dict(named)


def _regions(regions, populations):
    """Return the indices of the regions of every population."""
    if regions is None:
        return {}
    found = {}
    for name, index in regions.items():
        check_choice("Network.regions", name, populations)
        index = np.asarray(index)
        n = int(np.prod(populations[name].varshape))
        if index.shape != (n,) or not np.issubdtype(index.dtype, np.integer):
            raise ArgumentError(
                f"Network.regions[{name!r}]", f"must hold {n} indices", f"{index.dtype} {index.shape}"
            )
        found[name] = index
    every = np.concatenate(list(found.values()))
    if len(set(every.tolist())) < len(every):
        raise ArgumentError("Network.regions", "must not overlap", "a region in two populations")
    return found


def _projections(projections, single, coupled_var, populations):
    """Return the projections by name."""
    if projections is None:
        if len(populations) != 1:
            raise ArgumentError("Network.projections", "are needed for several populations", "None")
        if coupled_var is None or single["conn"] is None:
            missing = "coupled_var" if coupled_var is None else "conn"
            raise ArgumentError(f"Network.{missing}", "is needed, or projections", "None")
        ((name, node),) = populations.items()
        return {"projection": Projection((name, coupled_var), (name, None), **single)}
    if coupled_var is not None or single["conn"] is not None:
        raise ArgumentError("Network.projections", "cannot be combined with conn or coupled_var", "both")
    if isinstance(projections, Projection):
        projections = [projections]
    if not isinstance(projections, Mapping):
        one = len(projections) == 1
        projections = {"projection" if one else f"projection{i}": p for i, p in enumerate(projections)}
    for name, spec in projections.items():
        if not isinstance(spec, Projection):
            raise ArgumentError(f"Network.projections[{name!r}]", "must be a Projection", type(spec).__name__)
    return dict(projections)


def _end(where, name, end, populations):
    """Return population and signal of the source of a projection."""
    if isinstance(end, str) and "." in end:
        end = tuple(end.split(".", 1))
    if not isinstance(end, tuple):
        if len(populations) != 1:
            raise ArgumentError(
                f"{where}.{name}",
                "must name a population",
                repr(end),
                f"Write ({next(iter(populations))!r}, {end!r})",
            )
        end = next(iter(populations)), end
    check_choice(f"{where}.{name}", end[0], populations)
    return end
