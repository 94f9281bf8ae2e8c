"""Value units and error units, the populations whose states travel with delays."""

import brainstate
import jax
import jax.numpy as jnp


class ValueUnits(brainstate.nn.Dynamics):
    """Hold the values z of one level of a predictive-coding network.

    Parameters
    ----------
    initial : array, (..., n)
        Values at the initial time.

    Examples
    --------
    >>> import brainstate, jax.numpy as jnp
    >>> from brainmass_delays.predictive.populations import ValueUnits
    >>> units = ValueUnits(jnp.ones(3))
    >>> _ = brainstate.nn.init_all_states(units)
    >>> units(jnp.zeros(3)).tolist()
    [0.0, 0.0, 0.0]
    """

    def __init__(self, initial: jax.Array):
        super().__init__(initial.shape[-1])
        self.initial = initial

    def init_state(self, *args, **kwargs):
        """Set the values to the initial ones."""
        self.z = brainstate.HiddenState(self.initial)

    def update(self, values: jax.Array) -> jax.Array:
        """Take new values, ``(..., n)``."""
        self.z.value = values
        return values


class ErrorUnits(brainstate.nn.Dynamics):
    """Hold the prediction errors e of one level, the prediction, and the signal that is sent back.

    Parameters
    ----------
    shape : tuple of int
        ``(..., n)``.

    Examples
    --------
    >>> import brainstate, jax.numpy as jnp
    >>> from brainmass_delays.predictive.populations import ErrorUnits
    >>> units = ErrorUnits((3,))
    >>> _ = brainstate.nn.init_all_states(units)
    >>> units(jnp.zeros(3), jnp.ones(3), jnp.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__(shape[-1])
        self.shape = shape

    def init_state(self, *args, **kwargs):
        """Set everything to zero, until the values below are known."""
        self.prediction = brainstate.HiddenState(jnp.zeros(self.shape))
        self.e = brainstate.HiddenState(jnp.zeros(self.shape))
        self.signal = brainstate.HiddenState(jnp.zeros(self.shape))

    def update(self, prediction: jax.Array, error: jax.Array, signal: jax.Array) -> jax.Array:
        """Take a new prediction, its error and the signal to send back, ``(..., n)``; return the error."""
        self.prediction.value, self.e.value, self.signal.value = prediction, error, signal
        return error
