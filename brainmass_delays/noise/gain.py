"""Noise whose strength depends on states."""

from collections.abc import Callable

from .._core.checks import ArgumentError
from .._core.parameters import params_behind
from .base import Noise


class MultiplicativeNoise(Noise):
    r"""Drive a state with noise whose strength follows the state: :math:`dx = \dots + g(x) \, dW`, after Ito.

    Parameters
    ----------
    noise : Noise
        The noise of strength 1, usually ``WhiteNoise(n, 1.0)``.
    gain : callable
        ``gain(*values)`` returns g, given what the reads return; shape ``(..., *in_size)``.
    *reads : callable
        Reads without arguments, such as ``node.prefetch('x')``.

    Notes
    -----
    The gain is that of the state at the beginning of the step and is held over the step, whatever the method:
    the solution is that of Ito, with strong order 1/2. For Stratonovich's, add :math:`g g' / 2` to the rate.
    As the node is made before its reads, set the noise afterwards: ``node.noise_x =
    MultiplicativeNoise(...)``. The gradient flows through gain and reads.

    References
    ----------
    Kloeden, P. E., Platen, E. (1992). Numerical Solution of Stochastic Differential Equations. Springer.

    Examples
    --------
    >>> import brainstate
    >>> import brainunit as u
    >>> from brainmass_delays import LinearStep
    >>> from brainmass_delays.noise import MultiplicativeNoise, WhiteNoise
    >>> node = LinearStep(3, gamma=-0.1, init_x=1.0)
    >>> node.noise_x = MultiplicativeNoise(WhiteNoise(3, 1.0), lambda x: 0.2 * x, node.prefetch('x'))
    >>> _ = brainstate.nn.init_all_states(node)
    >>> with brainstate.environ.context(dt=0.1 * u.ms):
    ...     node.update().shape
    (3,)
    """

    def __init__(self, noise: Noise, gain: Callable, *reads: Callable):
        if not isinstance(noise, Noise):
            raise ArgumentError("MultiplicativeNoise.noise", "must be a noise", repr(noise))
        super().__init__(noise.varshape)
        if not callable(gain) or not reads or not all(map(callable, reads)):
            rule = "needs a gain and at least one read, all callable"
            raise ArgumentError(
                self._where("gain"), rule, (gain, *reads), "Read a state with node.prefetch('x')"
            )
        self.noise, self.gain, self.reads = noise, gain, reads
        self.params = params_behind(gain)

    def update(self):
        """Return the drive of the coming step, shape ``(..., *in_size)``."""
        return self.gain(*(read() for read in self.reads)) * self.noise()
