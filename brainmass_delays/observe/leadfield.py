"""EEG, MEG and iEEG: sensors see a weighted sum of the dipoles of all regions."""

from collections.abc import Callable, Sequence
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
from brainstate.nn import Param

from .._core.arguments import names
from .._core.checks import ArgumentError, check_choice, check_count
from .._core.param import value_of
from .._core.status import is_traced
from .._core.units import magnitude
from .average import EVERY_VALUE, SubSample, zeros_like
from .forward import from_mne, sphere
from .monitor import Monitor
from .parameters import to_param

CURRENT_DIPOLE = u.amp * u.meter
EEG_UNIT, MEG_UNIT = u.volt / CURRENT_DIPOLE, u.tesla / CURRENT_DIPOLE


class LeadField(SubSample):
    """Project the dipole moments of regions on sensors: ``sensors = matrix @ moments``.

    Parameters
    ----------
    source : str or callable, optional
        Activity of every region, see `Monitor`.
    matrix : array_like, Quantity or Param, shape (n_sensors, n_nodes)
        Gain: what a sensor shows per dipole moment of a region. A Param may be trained.
    period : Quantity, default 0 ms
        Time between emissions; 0: every value. The projection is linear: average first, project then.
    unit : Unit, optional
        Unit of a plain ``matrix``: ``volt / (ampere * meter)`` for EEG, ``tesla / (ampere * meter)`` for MEG.
    moment : Quantity, float or Param, optional
        Dipole moment of a region per unit of its activity, scalar or one per region, e.g.
        ``10 * brainunit.nA * brainunit.meter``. By default the activity is a dipole moment itself, or a plain
        number in the units of the matrix.
    sensors : sequence of str, optional
        Names of the sensors. Default: their numbers.
    reference : None, 'average' or str
        EEG: subtract the mean over sensors, or what one sensor shows. By default nothing.

    Raises
    ------
    ArgumentError
        If the matrix is not one, is not finite, or does not match the sensors or the regions; if the
        reference is no sensor, or the matrix has a unit and ``unit`` another dimension.

    Notes
    -----
    Exact and linear, so is the gradient, also in ``matrix`` and ``moment``.

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import LeadField, apply
    >>> gain = jnp.array([[1.0, 2.0], [3.0, 5.0]]) * u.volt / (u.amp * u.meter)
    >>> eeg = LeadField(matrix=gain, moment=10e-9 * u.amp * u.meter, reference='average')
    >>> ts, potential = apply(eeg, jnp.array([[1.0, 1.0]]), dt=1 * u.ms)
    >>> [round(float(v), 6) for v in potential[0].to_decimal(u.nvolt)]
    [-25.0, 25.0]
    """

    def __init__(
        self,
        source: str | Callable | None = None,
        matrix: Any = None,
        period: Any = EVERY_VALUE,
        *,
        unit: Any = None,
        moment: Any = None,
        sensors: Sequence[str] | None = None,
        reference: str | None = None,
    ):
        super().__init__(source, period)
        if unit is not None and not isinstance(unit, u.Unit):
            raise ArgumentError("LeadField.unit", "must be a unit, e.g. brainunit.uV", repr(unit))
        if sensors is not None:
            names("LeadField.sensors", list(sensors) if isinstance(sensors, tuple) else sensors)
        if reference is not None and not isinstance(reference, str):
            raise ArgumentError("LeadField.reference", "must be a name", repr(reference))
        self.matrix = _to_gain(matrix, unit)
        n_sensors = self.matrix.value().shape[0]
        self.sensors = tuple(map(str, range(n_sensors) if sensors is None else sensors))
        if len(self.sensors) != n_sensors or len(set(self.sensors)) != n_sensors:
            raise ArgumentError(
                "LeadField.sensors", f"must be {n_sensors} different names", len(self.sensors)
            )
        if reference not in (None, "average"):
            check_choice("LeadField.reference", reference, ("average", *self.sensors))
        self.reference = reference
        self.moment = (
            None if moment is None else to_param("LeadField.moment", moment, u.get_unit(value_of(moment)))
        )
        n_regions = self.matrix.value().shape[1]
        if moment is not None and self.moment.value().shape not in ((), (1,), (n_regions,)):
            rule = f"must be one number, or one per region, ({n_regions},)"
            raise ArgumentError("LeadField.moment", rule, f"shape {self.moment.value().shape}")

    def gain(self) -> Any:
        """Return the matrix with the reference subtracted, (n_sensors, n_nodes)."""
        matrix = self.matrix.value()
        if self.reference is None:
            return matrix
        if self.reference == "average":
            return matrix - u.math.mean(matrix, axis=0)
        return matrix - matrix[self.sensors.index(self.reference)]

    def transform(self, values):
        """Return what the sensors show, (..., n_sensors)."""
        gain = self.gain()
        if values.shape[-1] != gain.shape[1]:
            raise ArgumentError(
                "LeadField.matrix",
                f"must have one column per region, {values.shape[-1]}",
                gain.shape,
                "It is (sensor, region)",
            )
        moments = values if self.moment is None else values * self.moment.value()
        return u.math.matmul(moments, u.math.transpose(gain))

    from_mne = classmethod(from_mne)
    sphere = classmethod(sphere)


class SensorNoise(Monitor):
    """Add Gaussian noise to every value that comes in, for the end of a chain of sensors.

    Parameters
    ----------
    covariance : array_like, Quantity or Param
        Of one value: a variance, one variance per sensor ``(n_sensors,)``, or a covariance matrix
        ``(n_sensors, n_sensors)``, in the squared unit of what comes in.
    seed : int, default 0
        The same seed gives the same noise at the same step number.

    Raises
    ------
    ArgumentError
        If the covariance has another shape or unit, or is not positive definite.

    Notes
    -----
    The noise of a value depends on its number alone, so a run in parts and a stored trajectory get the same.
    The gradient in the covariance goes through the same samples (the reparametrization gradient).

    Examples
    --------
    >>> import brainunit as u
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.observe import SensorNoise, apply
    >>> ts, noisy = apply(SensorNoise(4.0), jnp.zeros((4000, 2)), dt=1 * u.ms)
    >>> round(float(noisy.std()), 1)
    2.0
    """

    def __init__(self, covariance: Any, seed: int = 0):
        super().__init__(None, EVERY_VALUE)
        where = "SensorNoise.covariance"
        self.covariance = to_param(where, covariance, u.get_unit(value_of(covariance)))
        self.seed = check_count("SensorNoise.seed", seed, minimum=0)
        number = u.get_magnitude(self.covariance.value())
        if not is_traced(number):
            matrix = np.diag(np.atleast_1d(number)) if np.ndim(number) < 2 else np.asarray(number)
            if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.allclose(matrix, matrix.T):
                raise ArgumentError(where, "must be a variance or a symmetric matrix", np.shape(number))
            if np.linalg.eigvalsh(matrix)[0] <= 0:
                raise ArgumentError(
                    where, "must be positive definite", f"eigenvalue {np.linalg.eigvalsh(matrix)[0]}"
                )

    def init(self, value, dt):
        """Return a value of zeros."""
        return zeros_like(value)

    def update(self, state, value, i, dt):
        """Return the value with the noise of its number."""
        shape, unit = value.shape, u.get_unit(value)
        covariance = magnitude("SensorNoise.covariance", self.covariance.value(), unit * unit, plain=False)
        if covariance.ndim and covariance.shape[-1] != shape[-1]:
            raise ArgumentError("SensorNoise.covariance", f"must be of {shape[-1]} sensors", covariance.shape)
        normal = jax.random.normal(jax.random.fold_in(jax.random.key(self.seed), i), shape, covariance.dtype)
        if covariance.ndim == 2:
            noise = normal @ jnp.linalg.cholesky(covariance).T
        else:
            noise = normal * jnp.sqrt(covariance)
        noise = noise.astype(u.get_magnitude(value).dtype)
        return value + (noise if unit.is_unitless else noise * unit)

    def sample(self, state):
        """Return the last value with its noise."""
        return state


def _to_gain(matrix: Any, unit: Any) -> Param:
    """Return the matrix as a Param with its unit."""
    where = "LeadField.matrix"
    if matrix is None:
        raise ArgumentError(
            where, "is needed", "None", "Pass LeadField(source, matrix) or LeadField.sphere(...)"
        )
    own = u.get_unit(value_of(matrix))
    if unit is not None and not own.is_unitless and not u.have_same_dim(own, unit):
        raise ArgumentError("LeadField.unit", "must be of the dimension of matrix", f"{unit} and {own}")
    gain = to_param(where, matrix, own if unit is None or isinstance(matrix, Param) else unit)
    if gain.value().ndim != 2:
        raise ArgumentError(where, "must have shape (n_sensors, n_nodes)", gain.value().shape)
    return gain
