"""One step of a network: stages, currents of projections, and the drift that looks half a step ahead."""

import brainstate
import brainunit as u
import numpy as np

from .._core.states import holding
from .._core.units import magnitude
from ..delays.context import at_stage
from ..delays.delay import step_size
from ..delays.plastic import PlasticDelay
from ..integrate.steps import STEPS
from ..nodes.base import step_time
from ..nodes.overrides import refuse_ignored


class Stepping:
    """Advance the populations of a network together."""

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
        for key, value in self.stimulated(step_time()).items():
            given[key] = given.get(key, 0.0) + value
        for node in self.populations.values():
            for hook in (node.before_updates or {}).values():
                hook()
        outputs = self._advance(given)
        for name, node in self.populations.items():
            _call_hooks(node, outputs[name])
        for past in self.pasts:
            past.push()
        return outputs[next(iter(outputs))] if len(outputs) == 1 else outputs

    def stimulated(self, t) -> dict:
        """Return the values of the stimuli at a time, by population and input."""
        return {tuple(name.split(".", 1)): stimulus(t) for name, stimulus in self.stimulus.items()}

    @property
    def plastic(self) -> dict:
        """Delays that are states of the network, by a name that no population has."""
        found = {f"{name}.delay": pathway.delay for name, pathway in self.projections.items()}
        return {name: delay for name, delay in found.items() if isinstance(delay, PlasticDelay)}

    def _advance(self, given):
        """Advance all populations by one step."""
        own = {name: node for name, node in self.populations.items() if is_own(node)}
        foreign = {name: node for name, node in self.populations.items() if not is_own(node)}
        held = None if self.stages == "each" else self._held_currents()
        outputs = {}
        for name, node in foreign.items():
            outputs[name] = node.update(*self.input_names.positional(name, given, held))
        base = {name: self.input_names.declared(name, given) for name in own}
        before = {
            name: node.step_inputs(inputs)
            for (name, node), inputs in zip(own.items(), base.values(), strict=True)
        }
        targets = {pathway.target for pathway in self.projections.values()}
        for name, node in own.items():
            refuse_ignored(node, [entry for population, entry in targets if population == name])
        learning = self.plastic
        new = {}
        for nodes in self._by_method(own | learning).values():
            new |= self._advance_group(nodes, before, held)
        if self.stages == "middle":
            self._store_drift(held, step_time(), base)
        for name, values in new.items():
            (own | learning)[name].set_values(values)
        outputs |= {name: node.output() for name, node in own.items()}
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
            for name, delay in self.plastic.items():
                currents[name, "seen"] = delay.seen()
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
            if isinstance(node, PlasticDelay):
                found[name] = currents[name, "seen"]
                continue
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


def is_own(node):
    """Tell whether a node shows its derivative, so that its stages can be driven."""
    return hasattr(node, "derivative") and hasattr(node, "step_inputs")
