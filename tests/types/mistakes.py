"""What pyright must find: every line with a comment is a mistake."""

import brainunit as u
import numpy as np

from brainmass_delays import (
    Connectome,
    DiffusiveCoupling,
    Fitter,
    HopfStep,
    JansenRitStep,
    LaplacianCoupling,
    Network,
    Param,
    Projection,
    SeparableCoupling,
    Simulator,
    WhiteNoise,
    datasets,
    objectives,
    observe,
    priors,
    spiking,
    stimuli,
)
from brainmass_delays.integrate import solve_ode

node = HopfStep(3)
net = Network(node, con=None)  # wrong keyword
net = Network(node, stages="midle")  # wrong choice
net = Network(node, interpolation="hermit")  # wrong choice
node = HopfStep(3, aa=1.0)  # wrong parameter
node = JansenRitStep(3, method="rk5")  # wrong choice
node = JansenRitStep()  # missing argument
noise = WhiteNoise(3)  # missing argument
simulator = Simulator(net, dtt=u.ms)  # wrong keyword
simulator = Simulator(net, gradient="backward")  # wrong choice
simulator.run()  # missing argument
simulator.rum(u.ms)  # wrong method
speed = Param(1.0, bounds=(0.0, 1.0), fit=True)  # wrong keyword
speed.vale()  # wrong method
brain = Connectome.synthetic(3).normalize("rows")  # wrong choice
solve_ode(lambda t, y, args: y, 1.0, 0.0, 1.0, method="rk45")  # wrong choice
fitter = Fitter(node, back_end="grad")  # wrong keyword
node = HopfStep(3).aa  # wrong attribute
brain = Connectome.fetch("hpc")  # wrong choice
recording = datasets.fetch("tvb76")  # wrong choice
names = datasets.subjects("hpc")  # wrong choice


class Own(SeparableCoupling):
    def __init__(self, x, conn, k=1.0):
        super().__init__({"x": x}, conn, k=k)


source = HopfStep(3).prefetch("x")
coupling = Own(source, np.eye(3), kk=1.0)  # wrong keyword
coupling = DiffusiveCoupling(source, source, np.eye(3), strength=1.0)  # wrong keyword
coupling = DiffusiveCoupling(source, np.eye(3))  # missing argument
coupling = LaplacianCoupling(source, source, np.eye(3), normalize="row")  # wrong choice
projection = Projection("a", "b", weigths=np.eye(3))  # wrong keyword
projection = Projection("a", "b", coupling="kuramotto")  # wrong choice
projection = Projection("a", "b", conn=brain, interpolation="quadratic")  # wrong choice
projection = Projection("a")  # missing argument
monitor = observe.Balloon("x", tr=720 * u.ms)  # wrong keyword
monitor = observe.Balloon("x", constants="friston")  # wrong choice
monitor = observe.TemporalAverage(3)  # wrong source
times, values = observe.apply(observe.SubSample(), np.ones((9, 3)))  # missing argument
pulse = stimuli.Pulse(1.0, 5 * u.ms, duration=2 * u.ms)  # wrong keyword
pulse = stimuli.Sine()  # missing argument
loss = objectives.fc_rmse(1.0)  # missing argument
loss = objectives.fc_rmse(fishr=True)  # wrong keyword
loss = objectives.timeseries_rmse(1.0, 1.0, foo=1)  # wrong keyword
loss = objectives.gaussian_nll()  # missing argument
prior = priors.Normal(1.0, std=2.0)  # wrong keyword
prior = priors.Uniform(1.0)  # missing argument
layer = spiking.DelayLayer(2, maximum=20 * u.ms)  # wrong keyword
