"""Delays that learn: every connection's delay obeys a differential equation of its own."""

from collections.abc import Callable
from typing import Any

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np

from .._core.arguments import numbers, optional, takes, text
from .._core.checks import ArgumentError
from .._core.param import constant, value_of
from .._core.parameters import params_behind
from .._core.status import is_traced
from .._core.units import magnitude
from .delay import Delay, broadcast_delay, check_delay


class PlasticDelay(Delay):
    """Let the delays of a projection change with what its regions do.

    Parameters
    ----------
    initial : Quantity or Param
        Delays at the initial time, a scalar or ``[target, source]``; a ``Param`` may be trained.
    rule : callable
        ``rule(delay, source, target)`` returns the rate of change of every delay, in ms per ms: a plain
        number, or a Quantity without dimension. ``delay`` is a Quantity ``(n_target, n_source)``; ``source``
        ``(1, n_source)`` and ``target`` ``(n_target, 1)`` are present values of what the projection reads.
    max_delay : Quantity
        Bound that sizes the buffer. A delay that leaves it, or becomes negative, is flagged as any other.
    min_delay : Quantity, optional
        Lets more steps be read at once.
    method : str, optional
        How the delays are integrated, as in a node; by default as the target of the projection is, at the
        same stages.
    where : str
        Whose argument this is, for messages.

    Raises
    ------
    ArgumentError
        For a missing unit, an initial delay that is negative or above ``max_delay``, a ``max_delay`` that is
        missing, a rule of other arguments, and a run with a batch.

    Notes
    -----
    The delays are a state of the network, ``delay.tau`` in ms: they are seen by every stage of every step,
    saved and continued like any other, and recorded by ``monitors={'tau': lambda net: net.delay()}``. The
    gradient runs through their whole course, into ``initial`` and into every ``Param`` that the rule uses.

    Activity-dependent myelination as relaxation to a baseline that phase differences disturb, of the form of
    [1]_: ``rule = lambda tau, x, y: rate * (baseline - tau + kappa * jnp.sin(x - y))``.

    References
    ----------
    .. [1] S. H. Park, J. Lefebvre, Synchronization and resilience in the Kuramoto white matter network model
       with adaptive state-dependent delays, J. Math. Neurosci. 10, 16 (2020).

    Examples
    --------
    >>> import brainunit as u, numpy as np
    >>> from brainmass_delays import KuramotoStep, Network, PlasticDelay, Simulator
    >>> def rule(tau, source, target):
    ...     return 0.1 / u.ms * (5.0 * u.ms - tau)
    >>> delay = PlasticDelay(2.0 * u.ms, rule, max_delay=10 * u.ms)
    >>> net = Network(KuramotoStep(2, omega=0.2), conn=1 - np.eye(2), delay=delay, coupled_var='theta', k=0.1)
    >>> run = Simulator(net, dt=0.1 * u.ms).run(30 * u.ms, monitors={'tau': lambda net: net.delay()})
    >>> print(round(float(run['tau'][-1, 0, 1] / u.ms), 3))
    4.851
    """

    # What a network advances with its populations has states, a method, and rates at every stage.
    STATE_NAMES = ("tau",)

    def __init__(
        self, initial: Any, rule: Callable, *, max_delay: Any = None, min_delay: Any = None,
        method: str | None = None, where: str = "PlasticDelay",
    ):  # fmt: skip
        self._start(where, max_delay, min_delay)
        if self.max_delay is None:
            cure = "Pass max_delay=, the longest delay that the rule may reach"
            raise ArgumentError(f"{where}.max_delay", "is required to size the buffer", "None", cure)
        given = value_of(initial)
        value = magnitude(f"{where}.initial", given, u.ms, plain=False)
        if not is_traced(value):
            numbers(unit=u.UNITLESS, traced=False)(f"{where}.initial", value)
            check_delay(f"{where}.initial", value)
            self._check_given_bounds(np.asarray(value))
        self.initial, self.rule, self.method = constant(initial), rule, method
        optional(text)(f"{where}.method", method)
        if not callable(rule) or not takes(rule, 3):
            raise ArgumentError(f"{where}.rule", "must be a function of (delay, source, target)", repr(rule))
        self.params = params_behind(rule)

    def connect(self, source: Any, target: Any, shape: tuple[int, int], method: str) -> None:
        """Take the signals of the projection that these are the delays of, and a method if none was given."""
        if hasattr(self, "ends"):
            raise ArgumentError(
                self.where, "must belong to one projection", "a second one", "Make one for each"
            )
        broadcast_delay(f"{self.where}.initial", np, np.zeros(np.shape(self._start_value())), shape)
        self.ends, self.size = (source, target), shape
        self.method = method if self.method is None else self.method

    @brainstate.nn.call_order(0)
    def init_state(self, batch_size: int | None = None, **kwargs: Any) -> None:
        """Begin with the initial delays."""
        if batch_size is not None:
            rule, cure = "must be None for delays that learn", "Use jax.vmap over Simulator.function"
            raise ArgumentError(f"{self.where}.batch_size", rule, batch_size, cure)
        start = jnp.asarray(self._start_value(), float)
        self.tau = brainstate.HiddenState(jnp.broadcast_to(start, self.size))

    def _start_value(self):
        """Return the initial delays, a number of ms."""
        return magnitude(f"{self.where}.initial", self.initial.value(), u.ms, plain=False)

    def __call__(self) -> u.Quantity:
        """Return the delays as they are now."""
        return (self.tau.value if hasattr(self, "tau") else self._start_value()) * u.ms

    @property
    def changes(self) -> bool:
        return True

    def varies(self) -> bool:
        """Tell that the delays change during a run."""
        return True

    def shape(self) -> tuple[int, ...]:
        """Return the shape of the delays."""
        return getattr(self, "size", np.shape(self._start_value()))

    def _own_bounds(self, edges):
        return None, None, None

    def seen(self) -> tuple:
        """Return what the rule sees of the source and of the target now."""
        source, target = (signal() for signal in self.ends)
        return source[..., None, :], target[..., :, None]

    def values(self) -> tuple:
        """Return the delays as the method advances them, in ms."""
        return (self.tau.value,)

    def set_values(self, values: tuple) -> None:
        """Set the delays."""
        (self.tau.value,) = values

    def start_step(self) -> None:
        """Begin a step: there is nothing to forget."""

    def rates(self, c: float, state: tuple, t: Any, inputs: tuple) -> tuple:
        """Return the rate of change of the delays at a stage."""
        with brainstate.environ.context(t=t):
            rate = self.rule(state[0] * u.ms, *inputs)
        rate = magnitude(f"{self.where}.rule", rate, u.UNITLESS)
        return (broadcast_delay(f"{self.where}.rule", jnp, rate, self.size),)
