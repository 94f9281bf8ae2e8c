"""What a user writes in the first hour. Pyright finds no mistake in it."""

import braintools
import brainunit as u
import jax.numpy as jnp
import numpy as np

import brainmass_delays as bd
from brainmass_delays import (
    Connectome,
    DiffusiveCoupling,
    Fitter,
    HopfStep,
    JansenRitStep,
    Network,
    NeuralMass,
    OUNoise,
    Param,
    Projection,
    SeparableCoupling,
    Simulator,
    WhiteNoise,
    WongWangExcInhStep,
    datasets,
    get_params,
    objectives,
    observe,
    set_params,
    spiking,
    sweep,
    viz,
)
from brainmass_delays.nodes import Parameter, StateVariable, feedback_inhibition

brain = Connectome.synthetic(12).threshold(density=0.3).normalize("row")
speed = Param(4.0 * (u.mm / u.ms))
node = HopfStep(brain.n_regions, a=0.05, w=0.3, init_x=0.1, noise_x=WhiteNoise(12, 0.01), method="rk4")
net = Network(
    node,
    conn=brain,
    speed=speed,
    max_delay=60 * u.ms,
    coupled_var="x",
    k=0.2,
    interpolation="linear",
    stages="middle",
)
simulator = Simulator(net, dt=0.5 * u.ms)
result = simulator.run(50 * u.ms, monitors=["x"], sample_every=2)
mean = np.asarray(result["x"]).mean(axis=0)


class Cubic(SeparableCoupling):
    """Sum the cubes of the sources."""

    def __init__(self, x, conn, k=1.0):
        super().__init__({"x": x}, conn, k=k)

    def features(self, x):
        return (x**3,)

    def combine(self, sums, y=None):
        return self.k.value() * sums[0]


class Leak(NeuralMass):
    """Decay to the input."""

    STATES = (StateVariable("x", 1.0),)
    PARAMETERS = (Parameter("tau", 10 * u.ms, "tau", "time constant"),)

    def derivative(self, state, t, drive):
        return ((drive[0] - state[0]) / self.tau.value(),)


leak = Leak(3, tau=Param(5 * u.ms), init_x=0.5)
print(leak.tau.value(), leak.x.value, node.a.value(), node.noise_x)
coupling = DiffusiveCoupling(node.prefetch("x"), node.prefetch("x"), np.eye(12), k=Param(0.2))


cortex = JansenRitStep(12, C=135.0, noise_E=OUNoise(12, 10 * u.Hz))
two = Network(
    {"cortex": cortex, "rhythm": HopfStep(4)},
    projections={
        "out": Projection(("cortex", "psp"), ("rhythm", "x_inp"), weights=np.ones((4, 12)), coupling=Cubic),
    },
)
names = list(two.projections)

bold = simulator.run(50 * u.ms, monitors={"bold": observe.Balloon("x")})
x = observe.apply(observe.SubSample(period=5 * u.ms), np.ones((9, 3)), 0.5 * u.ms)
fc = objectives.fc_rmse(result["x"], result["x"], fisher=True)
fc = objectives.fc_rmse(prediction=result["x"], target=result["x"])
fc = objectives.fc_rmse(fisher=True)(result["x"], result["x"])

fitter = Fitter(
    net, braintools.optim.Adam(lr=0.05), predict=lambda model: simulator.run(5 * u.ms), backend="grad"
)
fit = fitter.fit(result["x"], n_steps=10)
print(fit.best_loss, fit.best_params["speed"], fit.history[-1])
set_params(net, {"speed": 5.0})
values = get_params(net, fixed=False)
speeds = np.linspace(2.0, 8.0, 5)
losses = fitter.sweep("k", np.linspace(0.1, 0.3, 5)) + fitter.sweep("speed", speeds * (u.mm / u.ms))
valley = fitter.profile("speed", [3.0, 4.0, 5.0] * (u.mm / u.ms))
table = sweep(lambda k: k**2, {"k": np.linspace(0, 1, 5)})
solution = bd.integrate.solve_ode(lambda t, y, args: -y, np.ones(2), 0.0, 1.0, method="dopri5")
fibres = bd.Delay(np.ones((3, 3)) * u.ms)
delayed = bd.integrate.solve_filter_dde(
    lambda t, y, z, args: -z, lambda t: np.ones(2), 0 * u.ms, 9 * u.ms, 1 * u.ms, rtol=None, dt0=1 * u.ms
)
layer = spiking.DelayLayer(2, max_delay=20 * u.ms, delay=jnp.ones(2) * u.ms)
tuned = spiking.ConvDelayLayer((8, 2), 4, 3, max_delay=20 * u.ms, weight=np.ones((4, 3, 2)))
delayed_spikes = layer(np.zeros((1, 30, 2)))
axes = viz.plot_raster(jnp.zeros((30, 2)))
inside = spiking.project_delays(0 * u.ms, 20 * u.ms)
balance = feedback_inhibition(WongWangExcInhStep(3), np.ones((3, 3)), 3 * u.Hz).J_i
recording = datasets.fetch("hcp")
