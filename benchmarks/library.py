"""This library's programs for a network of `cases`, and what runs each for a given speed.

``own_forward`` returns ``run(speed) -> trajectory of x, (steps, n_nodes)``, ``own_gradient``
``run(speed) -> (loss, d loss / d speed)``, where the loss is the mean of x squared.
"""

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
from cases import DT, EXPONENT, FASTEST, FREQUENCY, GAIN, GROWTH, SPEED, Case

import brainmass_delays as bd


class UserPowerLaw(brainstate.nn.Module):
    """Couple by signed powers of differences, as a user would write it."""

    def __init__(self, source, target, weights):
        super().__init__()
        self.source, self.target, self.weights = source, target, weights

    def power(self, difference):
        """Return the signed power."""
        return jnp.sign(difference) * jnp.abs(difference) ** EXPONENT

    def update(self):
        """Return the drive ``(..., n_nodes)``."""
        difference = self.source() - self.target()[..., None]
        return GAIN * (self.weights.value() * self.power(difference)).sum(-1)


class SignedPowerLaw(UserPowerLaw):
    """Do the same by the function that this library has for it."""

    def power(self, difference):
        """Return the signed power."""
        return bd.couplings.signed_power(difference, EXPONENT)


OWN_KERNELS = {"powerlaw": UserPowerLaw, "signed_power": SignedPowerLaw}


def network(
    case: Case, speed=None, full: bool = False, noise: float = 0.0, fastest: float = FASTEST, **options
) -> bd.Network:
    """Build a case in this library; its speed is a trainable Param between bounds, unless given.

    ``full`` keeps the whole matrix of a sparse network; ``noise`` is that of both states.
    """
    if speed is None:
        bounds = brainstate.nn.SigmoidT(case.slowest * u.mm / u.ms, fastest * u.mm / u.ms)
        speed = bd.Param(SPEED * u.mm / u.ms, fit=True, t=bounds)
    x, y = case.start
    noises = {name: bd.WhiteNoise(case.n_nodes, noise) for name in ("noise_x", "noise_y") if noise}
    node = bd.HopfStep(
        case.n_nodes, a=GROWTH, w=FREQUENCY, beta=1.0, init_x=x, init_y=y, method="heun", **noises
    )
    own = OWN_KERNELS.get(case.coupling)
    coupling, k = (own, 1.0) if own else (case.coupling, GAIN)
    weights = bd.Param(case.weights, fit=False) if full else case.weights
    return bd.Network(
        node,
        conn=weights,
        lengths=case.lengths,
        coupling=coupling,
        coupled_var="x",
        k=k,
        speed=speed,
        **options,
    )


def own_forward(case: Case, n_steps: int, **options):
    """Run `Simulator.run`, compiled; the speed is an argument, as it is for the peers and in a fit."""
    return _of_speed(*_own(case, n_steps, options))


def own_fixed(case: Case, n_steps: int, speed: float):
    """Run `Simulator.run` at a speed that does not change, as who only simulates does."""
    simulator = bd.Simulator(network(case, speed * u.mm / u.ms), dt=DT * u.ms)

    @brainstate.transform.jit
    def run():
        return simulator.run(n_steps * DT * u.ms, monitors=lambda m: m.node.x.value)["output"]

    return run


def own_function(case: Case, n_steps: int):
    """Return a pure function of a traced speed, which builds the network inside the trace, to be mapped."""
    bounds = {"max_delay": case.max_delay * u.ms, "min_delay": case.min_delay * u.ms}

    def run(speed):
        simulator = bd.Simulator(network(case, speed * u.mm / u.ms, **bounds), dt=DT * u.ms)
        return simulator.run(n_steps * DT * u.ms, monitors=lambda m: m.node.x.value)["output"]

    return run


def own_gradient(case: Case, n_steps: int, **options):
    """Differentiate `Simulator.run` through brainstate, compiled."""
    simulate, set_speed = _own(case, n_steps, options)
    return _of_speed(_own_value_and_gradient(simulate, set_speed.net), set_speed)


def _of_speed(function, set_speed):
    """Compile a function of the state of a network into one of its speed."""

    @brainstate.transform.jit
    def run(speed):
        set_speed(speed)
        return function()

    return lambda speed: run(jnp.float32(speed))


def _own_value_and_gradient(simulate, net):
    states = net.states(brainstate.ParamState)

    def value_and_gradient():
        slopes, value = brainstate.transform.grad(
            lambda: jnp.mean(simulate() ** 2), states, return_value=True
        )()
        (slope,) = slopes.values()
        raw = net.speed.val.value
        return value, u.get_magnitude(slope) / jax.jacfwd(lambda r: u.get_magnitude(net.speed.t.forward(r)))(
            raw
        )

    return value_and_gradient


def _own(case, n_steps, options):
    options = dict(options)
    dt = options.pop("dt", DT) * u.ms
    net = network(case, **options)
    simulator = bd.Simulator(net, dt=dt)

    def simulate():
        return simulator.run(n_steps * dt, monitors=lambda m: m.node.x.value)["output"]

    def set_speed(speed):
        net.speed.set_value(jnp.float32(speed) * u.mm / u.ms)

    set_speed.net = net
    return simulate, set_speed
