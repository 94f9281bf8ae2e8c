"""What pyright must find: every line with a comment is a mistake."""

import brainunit as u

from brainmass_delays import (
    Connectome,
    Fitter,
    HopfStep,
    JansenRitStep,
    Network,
    Param,
    Simulator,
    WhiteNoise,
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
