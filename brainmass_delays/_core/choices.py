"""The names that arguments take, for type checkers; a test compares them with the tables."""

from typing import Literal

InterpolationName = Literal["nearest", "linear", "cubic", "hermite"]
Stages = Literal["each", "middle", "frozen"]
Method = Literal["euler", "heun", "rk2", "rk4", "exp_euler"]
CouplingName = Literal[
    "additive", "diffusive", "powerlaw", "sigmoidal", "tanh", "kuramoto", "sigmoidal_jansen_rit", "laplacian"
]
Backend = Literal["grad", "least_squares", "scipy", "nevergrad"]
Differentiation = Literal["reverse", "forward"]
Normalization = Literal["row", "max", "none"]
ConnectomeName = Literal["hcp", "gw", "tvb76"]
RecordingName = Literal["hcp", "gw"]
LaplacianNormalization = Literal["none", "rw", "sym"]
BalloonConstants = Literal["friston2003", "stephan2007", "deco2014", "heinzle2016_3T"]
SolverName = Literal["dopri5", "tsit5", "bosh3", "heun21", "radau5"]
ControllerName = Literal["integral", "pi", "pid"]
LoopName = Literal["lax", "bounded", "checkpointed"]
