"""A network: populations of nodes that drive each other through delayed connections."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import brainstate
import brainunit as u
import numpy as np

from .._core.arguments import checked, flag, mapping, optional
from .._core.checks import ArgumentError, check_choice
from .._core.choices import CouplingName, InterpolationName, Stages
from .._core.functions import Portable
from .._core.param import ShowsSignature, set_param
from .._core.units import magnitude
from ..delays.interpolation import interpolation as find_interpolation
from ..delays.past import Past, forget
from ..delays.read import DelayedRead
from ..integrate import DelayEquation
from ..nodes.arguments import noise_sources
from ..outline import outline
from ..stimuli import Stimulus
from . import arguments
from .equation import network_equation
from .inputs import InputNames
from .projection import Pathway, Projection
from .stepping import Stepping, is_own

STAGES = ("each", "middle", "frozen")
# Arguments that a network keeps under their names.
KEPT = ("populations", "projections", "regions", "stages", "block", "noise", "stimulus")


class Network(Stepping, Portable, ShowsSignature, brainstate.nn.Module):
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
    conn, lengths, speed, delay, coupling, k, max_delay, min_delay, delay_init, self_connection
        As in `Projection`; ``coupling`` is ``'diffusive'`` by default.
    coupled_var : str or callable, optional
        What is read, at the source with delay and at the target without.
    interpolation : {'nearest', 'linear', 'cubic', 'hermite'}, default 'linear'
        How delayed values are read between steps.
    noise : Module or dict of input to Module, optional
        Called once per step; its value is added to the driven input, or to the inputs named.
    stimulus : Stimulus or dict of input to Stimulus, optional
        Its value at the start of every step is added to the input of the only projection, or to those named;
        parameters of it are parameters of the network.
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
        lengths: Any = None,
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
        stimulus: Any = None,
        stages: Stages | None = None,
        block: int | None = None,
    ):
        super().__init__()
        self.populations = arguments.populations(populations)
        self.regions = arguments.regions(regions, self.populations)
        self.input_names = InputNames(self.populations)
        self.rule = find_interpolation("Network", interpolation)
        self.stages = self._choose_stages(stages)
        self.block = arguments.block(block)
        single = {
            "conn": conn, "lengths": lengths, "speed": speed, "delay": delay, "coupling": coupling, "k": k,
            "max_delay": max_delay, "min_delay": min_delay, "delay_init": delay_init,
            "self_connection": self_connection,
        }  # fmt: skip
        specs = arguments.projections(projections, single, coupled_var, self.populations)
        pasts: dict[tuple, Past] = {}
        self.projections = {
            name: self._pathway(name, spec, projections is None, pasts) for name, spec in specs.items()
        }
        self.pasts = [*pasts.values(), *self._adopted(pasts)]
        self.noise = self._noises(noise)
        self.stimulus = self._stimuli(stimulus)
        self._check_methods()
        if self.stages == "middle" and self.plastic:
            rule = "must not be 'middle' for delays that learn"
            raise ArgumentError("Network.stages", rule, "'middle'", "Use stages='each'")
        self._is_built = True

    def __repr__(self) -> str:
        return outline(self)

    def _choose_stages(self, stages):
        foreign = [type(node).__name__ for node in self.populations.values() if not is_own(node)]
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
        source = arguments.end(where, "source", spec.source, self.populations)
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

    def _by_input(self, argument, given):
        """Return what was given by population and input, by default the input of the only projection."""
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            given = {self._sole(argument).target: given}
        return {self.input_names.find(f"Network.{argument}", target): each for target, each in given.items()}

    def _stimuli(self, stimulus):
        """Return the stimuli by the full name of their input."""
        found = self._by_input("stimulus", stimulus)
        for each in found.values():
            if not isinstance(each, Stimulus):
                cure = "Use those of brainmass_delays.stimuli, or Simulator.run(inputs=...)"
                raise ArgumentError("Network.stimulus", "must be a Stimulus", type(each).__name__, cure)
        return {".".join(target): each for target, each in found.items()}

    def _noises(self, noise):
        """Return the noises by the full name of their input."""
        found = self._by_input("noise", noise)
        for module in found.values():
            if not isinstance(module, brainstate.nn.Module):
                raise ArgumentError(
                    "Network.noise", "must be a noise module", repr(module), "Use WhiteNoise or OUNoise"
                )
        if len(set(map(id, found.values()))) < len(found):
            raise ArgumentError("Network.noise", "needs one object per input", "one object for several")
        for (population, entry), module in found.items():
            where, shape = f"Network.noise[{entry!r}]", self.populations[population].varshape
            noise_sources(where, {population: module}, shape)
        return {".".join(target): module for target, module in found.items()}

    def _check_methods(self):
        """Refuse what needs the stages of two methods at once."""
        for name, pathway in self.projections.items():
            source, target = (self.populations[end[0]] for end in (pathway.source, pathway.target))
            methods = {node.method for node in (source, target) if is_own(node)}
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

    @property
    def k(self):
        """The strength of the only projection."""
        coupling = self._sole("k").coupling
        if not hasattr(coupling, "k"):
            raise ArgumentError("Network.k", "is not known to this coupling", type(coupling).__name__)
        return coupling.k

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
