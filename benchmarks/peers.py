"""One function per program: build a network of `cases` in it and return what runs it for a given speed.

Every ``*_forward`` returns ``run(speed) -> trajectory of x, (steps, n_nodes)``; every ``*_gradient`` returns
``run(speed) -> (loss, d loss / d speed)``, where the loss is the mean of x squared. What can be compiled is.
"""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from cases import DT, EXPONENT, FREQUENCY, GAIN, GROWTH, SPEED, Case

STRATEGIES = ("roll", "circular", "preallocated")  # tvboptim's history buffers


def strategies(quick: bool) -> tuple[str, ...]:
    """Return which buffers of tvboptim to try: the fastest of all counts, a short look takes one."""
    return STRATEGIES[:1] if quick else STRATEGIES


class Absent(Exception):
    """Say that a program is not installed."""


def installed(package: str) -> str:
    """Return the version of a package, or raise `Absent`."""
    try:
        return version(package)
    except PackageNotFoundError:
        raise Absent(f"{package} is not installed") from None


@cache
def load_tvboptim():
    installed("tvboptim")
    from tvboptim.experimental.network_dynamics import Bunch, DenseLengthGraph, Network, prepare
    from tvboptim.experimental.network_dynamics.coupling import base, linear
    from tvboptim.experimental.network_dynamics.dynamics.base import AbstractDynamics
    from tvboptim.experimental.network_dynamics.solvers import native

    class Hopf(AbstractDynamics):
        """The normal form with one delayed input, at x; tvboptim's own takes one at y too."""

        STATE_NAMES = ("x", "y")
        INITIAL_STATE = (0.1, 0.0)
        DEFAULT_PARAMS = Bunch(a=GROWTH, omega=FREQUENCY, beta=1.0)
        COUPLING_INPUTS = {"delayed": 1}

        def dynamics(self, t, state, params, coupling, external):
            x, y = state
            rate = params.a - params.beta * (x**2 + y**2)
            return jnp.array([rate * x - params.omega * y + coupling.delayed[0], rate * y + params.omega * x])

    class PowerLaw(base.DelayedCoupling):
        """Signed powers of differences, as a user would write it."""

        N_OUTPUT_STATES = 1
        DEFAULT_PARAMS = Bunch(G=1.0)
        PRE_USES_LOCAL = True

        def pre(self, delayed_states, local_states, params):
            difference = delayed_states - local_states
            return jnp.sign(difference) * jnp.abs(difference) ** EXPONENT

        def post(self, summed_inputs, local_states, params):
            return params.G * summed_inputs

    class Kuramoto(PowerLaw):
        """Sines of phase differences, as a user would write them."""

        def pre(self, delayed_states, local_states, params):
            return jnp.sin(delayed_states - local_states)

    couplings = {
        "kuramoto": Kuramoto,
        "additive": linear.DelayedLinearCoupling,
        "diffusive": linear.DelayedDifferenceCoupling,
        "powerlaw": PowerLaw,
    }
    return Hopf, couplings, DenseLengthGraph, Network, prepare, native


def tvboptim_model(case: Case, n_steps: int, strategy: str, noise: float = 0.0, **options):
    """Return ``(simulate(speed) -> trajectory of x)``, pure, with linear reads and a live speed."""
    installed("tvboptim")
    from tvboptim.experimental.network_dynamics.noise import AdditiveNoise

    Hopf, couplings, DenseLengthGraph, Network, prepare, native = load_tvboptim()
    reads = {
        "incoming_states": "x",
        "buffer_strategy": strategy,
        "history_interpolation": "linear",
        "G": GAIN,
    }
    if case.coupling != "additive":
        reads["local_states"] = "x"
    graph = DenseLengthGraph(case.weights, case.lengths, SPEED, max_delay_bound=case.max_delay)
    noises = {"noise": AdditiveNoise(sigma=noise)} if noise else {}
    network = Network(Hopf(), {"delayed": couplings[case.coupling](**reads)}, graph, **noises)
    model, config = prepare(network, native.Heun(**options), t0=0.0, t1=n_steps * DT, dt=DT)
    start = jnp.asarray(case.start)
    history = config.initial_state.coupling.delayed.history
    config.initial_state.dynamics = start
    config.initial_state.coupling.delayed.history = jnp.broadcast_to(start[0], history.shape)

    def simulate(speed):
        config.graph.speed = speed
        return model(config).ys[:, 0]

    return simulate


def tvboptim_forward(case: Case, n_steps: int, strategy: str, **options):
    """Compile tvboptim's prepared function."""
    simulate = jax.jit(tvboptim_model(case, n_steps, strategy, **options))
    return lambda speed: simulate(jnp.float32(speed))


def tvboptim_gradient(case: Case, n_steps: int, strategy: str, **options):
    """Differentiate tvboptim's prepared function."""
    simulate = tvboptim_model(case, n_steps, strategy, **options)
    compiled = jax.jit(jax.value_and_grad(lambda speed: jnp.mean(simulate(speed) ** 2)))
    return lambda speed: compiled(jnp.float32(speed))


def brainmass_forward(case: Case, n_steps: int):
    """Run brainmass with fixed delays (it has no live speed), compiled once."""
    installed("brainmass")
    import brainmass

    x, y = case.start
    node = brainmass.HopfStep(
        case.n_nodes,
        a=GROWTH,
        w=FREQUENCY,
        beta=1.0,
        method="rk2",  # its "heun" has three stages
        init_x=lambda *_: jnp.asarray(x),
        init_y=lambda *_: jnp.asarray(y),
    )
    with brainstate.environ.context(dt=DT * u.ms):
        net = brainmass.Network(
            node,
            conn=case.weights,
            distance=case.lengths * u.mm,
            speed=SPEED * u.mm / u.ms,
            coupling=case.coupling,
            coupled_var="x",
            k=GAIN,
            delay_init=lambda size, **_: jnp.broadcast_to(x, size),
        )

    @brainstate.transform.jit
    def compiled():
        with brainstate.environ.context(dt=DT * u.ms):
            brainstate.nn.init_all_states(net)

            def step(i):
                with brainstate.environ.context(i=i, t=i * DT * u.ms):
                    net.update()
                return node.x.value

            return brainstate.transform.for_loop(step, np.arange(n_steps))

    return lambda speed: compiled()


def neurolib_forward(case: Case, n_steps: int):
    """Run neurolib's numba loop alone (Euler, nearest reads, float64), without its drawing of noise."""
    installed("neurolib")
    from neurolib.models.hopf.timeIntegration import timeIntegration_njit_elementwise as loop

    n = case.n_nodes
    weights, lengths = case.weights.astype(float), case.lengths.astype(float)
    coupling = {"diffusive": 0, "additive": 1}[case.coupling]
    times = np.arange(1, n_steps + 1) * DT
    zeros = np.zeros(n)

    def run(speed):
        delays = np.where(weights != 0, lengths / speed, 0.0)
        steps = np.around(delays / DT).astype(int)
        first = int(steps.max()) + 1
        xs, ys, outside = (np.zeros((n, first + n_steps)) for _ in range(3))
        xs[:, :first], ys[:, :first] = (s[:, None] for s in case.start)
        loop(
            first,
            times,
            DT,
            np.sqrt(DT),
            n_steps * DT,
            n,
            weights,
            delays,
            GAIN,
            speed,
            coupling,
            steps,
            xs,
            ys,
            zeros.copy(),
            zeros.copy(),
            outside,
            outside,
            GROWTH,
            FREQUENCY,
            zeros.copy(),
            zeros.copy(),
            zeros.copy(),
            zeros.copy(),
            0.0,
            0.0,
            5.0,
            0.0,
        )
        return xs[:, first:].T

    return run


@cache
def _compiled_loop(block):
    compiler = shutil.which("cc")
    if compiler is None:
        raise Absent("no C compiler")
    library = Path(tempfile.mkdtemp()) / "delay_loop.so"
    source = Path(__file__).with_name("delay_loop.c")
    subprocess.run(
        [compiler, "-O3", "-march=native", f"-DBLOCK={block}", "-shared", "-fPIC", "-o", library, source],
        check=True,
    )
    return ctypes.CDLL(str(library))


def c_forward(case: Case, n_steps: int, block: int):
    """Run the C loop, on one core, with blocks as long as this library's."""
    loop, n = _compiled_loop(block), case.n_nodes
    n_blocks = -(-n_steps // block)
    gain_weights = (GAIN * case.weights).astype(np.float32)
    degree = gain_weights.sum(1) if case.coupling == "diffusive" else None
    n_past = int(case.max_delay / DT) + 3
    history = np.zeros((n, n_past + n_blocks * block), np.float32)
    drives = np.empty((block + 1, n), np.float32)

    def run(speed):
        lag = np.where(case.weights != 0, case.lengths / speed / DT, block + 1)
        whole = np.floor(lag).astype(np.int32)
        early = (gain_weights * (lag - whole)).astype(np.float32)
        late = gain_weights - early
        x, y = case.start
        x, y = x.copy(), y.copy()
        history[:, :n_past] = x[:, None]
        loop.run(
            _pointer(history),
            ctypes.c_long(history.shape[1]),
            ctypes.c_long(n_past),
            _pointer(whole),
            _pointer(late),
            _pointer(early),
            _pointer(degree),
            _pointer(x),
            _pointer(y),
            _pointer(drives),
            n,
            ctypes.c_long(n_blocks),
            ctypes.c_float(DT),
            ctypes.c_float(GROWTH),
            ctypes.c_float(FREQUENCY),
        )
        return history[:, n_past : n_past + n_steps].T

    return run


def _pointer(array):
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)
