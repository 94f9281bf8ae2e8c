"""What a user writes in the first hour. Pyright finds no mistake in it."""

import braintools
import brainunit as u
import numpy as np

import brainmass_delays as bd
from brainmass_delays import (
    Connectome,
    Fitter,
    HopfStep,
    JansenRitStep,
    Network,
    OUNoise,
    Param,
    Projection,
    SeparableCoupling,
    Simulator,
    WhiteNoise,
    get_params,
    objectives,
    observe,
    set_params,
    sweep,
)

brain = Connectome.synthetic(12).threshold(density=0.3).normalize("row")
speed = Param(4.0 * (u.mm / u.ms))
node = HopfStep(brain.n_regions, a=0.05, w=0.3, init_x=0.1, noise_x=WhiteNoise(12, 0.01), method="rk4")
net = Network(
    node,
    conn=brain,
    speed=speed,
    max_delay=u.Quantity(60.0, unit=u.ms),
    coupled_var="x",
    k=0.2,
    interpolation="linear",
    stages="middle",
)
simulator = Simulator(net, dt=u.Quantity(0.5, unit=u.ms))
result = simulator.run(u.Quantity(50.0, unit=u.ms), monitors=["x"], sample_every=2)
mean = np.asarray(result["x"]).mean(axis=0)


class Cubic(SeparableCoupling):
    """Sum the cubes of the sources."""

    def __init__(self, x, conn, k=1.0):
        super().__init__({"x": x}, conn, k=k)

    def features(self, x):
        return (x**3,)

    def combine(self, sums, y=None):
        return sums[0]


cortex = JansenRitStep(12, C=135.0, noise_E=OUNoise(12, u.Quantity(10.0, unit=u.Hz)))
two = Network(
    {"cortex": cortex, "rhythm": HopfStep(4)},
    projections={
        "out": Projection(("cortex", "psp"), ("rhythm", "x_inp"), weights=np.ones((4, 12)), coupling=Cubic),
    },
)
names = list(two.projections)

bold = simulator.run(u.Quantity(50.0, unit=u.ms), monitors={"bold": observe.Balloon("x")})
fc = objectives.fc_rmse(result["x"], result["x"])

fitter = Fitter(
    net, braintools.optim.Adam(lr=0.05), predict=lambda model: simulator.run(5 * u.ms), backend="grad"
)
fit = fitter.fit(result["x"], n_steps=10)
print(fit.best_loss, fit.best_params["speed"], fit.history[-1])
set_params(net, {"speed": 5.0})
values = get_params(net, fixed=False)
table = sweep(lambda k: k**2, {"k": np.linspace(0, 1, 5)})
solution = bd.integrate.solve_ode(lambda t, y, args: -y, np.ones(2), 0.0, 1.0, method="dopri5")
fibres = bd.Delay(u.Quantity(np.ones((3, 3)), unit=u.ms))
