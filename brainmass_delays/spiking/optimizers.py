"""Optimizer transforms for delays: bounds, whole steps, groups and kernel width.

All are `optax.GradientTransformation` and go behind any optax optimizer: in `optax.chain`, in
`braintools.optim.OptaxOptimizer(tx=...)`, and through it in a `Fitter`. Parameters may be arrays or
Quantities; bounds may carry units. Learning rates count in the unit a parameter is stored in.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .._core.arguments import checked, function, numbers, optional
from .._core.checks import ArgumentError
from .._core.learners import is_optimizer
from .._core.trees import is_quantity
from .._core.units import magnitude
from .arguments import (
    TIMES,
    groups_of_optimizers,
    is_module,
)

# Of a kernel, where it is known; 0 means whole steps.
WIDTH = numbers(scalar=True, finite=True, low=0.0)


@checked(lower=TIMES, upper=TIMES)
def project_delays(lower: Any, upper: Any) -> optax.GradientTransformation:
    """Keep updated delays between ``lower`` and ``upper``.

    Parameters
    ----------
    lower, upper : Quantity[time]
        Bounds, inclusive; scalars or of the shape of the delays.

    Returns
    -------
    optax.GradientTransformation
        Goes last in a chain. It shortens the update, so that the parameter itself stays inside: nothing
        winds up beyond a bound, and the first gradient that points inward moves the delay.

    Raises
    ------
    ArgumentError
        When ``lower`` is above ``upper``, or ``update`` is called without the parameters.

    Examples
    --------
    >>> import brainunit as u, jax.numpy as jnp, optax
    >>> from brainmass_delays.spiking import project_delays
    >>> tx = optax.chain(optax.sgd(1.0), project_delays(0 * u.ms, 10 * u.ms))
    >>> delay = jnp.array([9.5, 3.0]) * u.ms
    >>> updates, _ = tx.update(jnp.array([-2.0, -2.0]) * u.ms, tx.init(delay), delay)
    >>> print(optax.apply_updates(delay, updates))
    [10.  5.] ms
    """
    _check_order("project_delays", lower, upper)

    def update(updates, state, params=None):
        _check_params("project_delays", params)
        return _map(
            lambda d, p, unit: _step_within(p, d, _in(unit, lower), _in(unit, upper)), updates, params
        ), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


class GridState(NamedTuple):
    """Hold what rounding has withheld from each parameter so far; at most half a step."""

    residue: Any


@checked(lower=optional(TIMES), upper=optional(TIMES))
def project_to_grid(dt: Any, lower: Any = None, upper: Any = None) -> optax.GradientTransformation:
    """Move delays by whole steps only; what rounding withholds is kept and added to the next update.

    Parameters
    ----------
    dt : Quantity[time]
        The grid. Parameters must start on it, or are moved there by the first update.
    lower, upper : Quantity[time], optional
        Bounds on the grid. They apply before rounding, so that the residue does not wind up either.

    Returns
    -------
    optax.GradientTransformation
        Goes last in a chain. Every visible parameter is a multiple of ``dt``; the sum of applied updates is
        the rounded sum of the updates asked for, up to the bounds.

    Examples
    --------
    >>> import brainunit as u, jax.numpy as jnp, optax
    >>> from brainmass_delays.spiking import project_to_grid
    >>> tx = optax.chain(optax.sgd(1.0), project_to_grid(1 * u.ms))
    >>> delay = jnp.array([3.0]) * u.ms
    >>> state, seen = tx.init(delay), []
    >>> for _ in range(5):
    ...     updates, state = tx.update(jnp.array([-0.4]) * u.ms, state, delay)
    ...     delay = optax.apply_updates(delay, updates)
    ...     seen.append(float(delay[0] / u.ms))
    >>> seen
    [3.0, 4.0, 4.0, 5.0, 5.0]
    """
    if isinstance(dt, bool):
        raise ArgumentError("project_to_grid.dt", "must be one positive time", dt)
    numbers(unit=u.ms, scalar=True, finite=True, above=0, traced=False)("project_to_grid.dt", dt)
    if lower is not None and upper is not None:
        _check_order("project_to_grid", lower, upper)
    for name, bound in (("lower", lower), ("upper", upper)):
        _check_on_grid(name, bound, dt)

    def init(params):
        return GridState(jax.tree.map(jnp.zeros_like, params))

    def masters(updates, state, params):
        def master(d, p, unit, r):
            low = -jnp.inf if lower is None else _in(unit, lower)
            high = jnp.inf if upper is None else _in(unit, upper)
            return jnp.clip(p + r + d, low, high)

        return _map(master, updates, params, state.residue)

    def update(updates, state, params=None):
        _check_params("project_to_grid", params)
        master = masters(updates, state, params)
        visible = _map(lambda m, p, unit: jnp.round(m / _in(unit, dt)) * _in(unit, dt), master, params)
        residue = jax.tree.map(jnp.subtract, master, visible)
        return jax.tree.map(jnp.subtract, visible, params), GridState(residue)

    return optax.GradientTransformation(init, update)


@checked(groups=groups_of_optimizers, default=is_optimizer)
def parameter_groups(
    groups: Mapping[str, optax.GradientTransformation], default: optax.GradientTransformation
) -> optax.GradientTransformation:
    """Give each group of parameters its own optimizer, learning rate and schedule.

    Parameters
    ----------
    groups : mapping from str to optax.GradientTransformation
        An entry applies to the parameters whose path in the parameter tree contains its name, e.g.
        ``'delay'`` to ``('layer', 'delay', 'val')``. If several names occur in a path, the last one
        decides.
    default : optax.GradientTransformation
        For all others.

    Returns
    -------
    optax.GradientTransformation

    Raises
    ------
    ArgumentError
        At ``init``, when a name occurs in no path.

    Examples
    --------
    >>> import jax.numpy as jnp, optax
    >>> from brainmass_delays.spiking import parameter_groups
    >>> tx = parameter_groups({'delay': optax.sgd(10.)}, default=optax.sgd(1.))
    >>> params = {'delay': jnp.zeros(()), 'weight': jnp.zeros(())}
    >>> updates, _ = tx.update({'delay': jnp.ones(()), 'weight': jnp.ones(())}, tx.init(params))
    >>> {name: float(x) for name, x in updates.items()}
    {'delay': -10.0, 'weight': -1.0}
    """
    rest = "(default)"

    def label(path, _):
        names = [name for name in _names(path) if name in groups]
        return names[-1] if names else rest

    def labels(params):
        found = jax.tree_util.tree_map_with_path(label, params, is_leaf=is_quantity)
        missing = set(groups) - set(jax.tree.leaves(found))
        if missing:
            paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
            raise ArgumentError(
                "parameter_groups.groups",
                f"must name parameters among {', '.join(paths)}",
                ", ".join(sorted(missing)),
            )
        return found

    return optax.multi_transform({**groups, rest: default}, labels)


@checked(layer=is_module, schedule=function)
def anneal_width(layer, schedule: Callable[[jax.Array], Any]) -> optax.GradientTransformation:
    """Set the kernel width of ``layer`` from the step counter of the optimizer.

    Parameters
    ----------
    layer : DelayLayer
        With interpolation ``gaussian`` or ``triangular``.
    schedule : callable
        Width after ``count`` updates, a Quantity or a number of ms: any optax schedule.

    Returns
    -------
    optax.GradientTransformation
        Goes anywhere in a chain and leaves the updates alone. Each update writes ``layer.width``, so the
        loop must be compiled by ``brainstate.transform``, not by bare JAX.

    Examples
    --------
    >>> import brainunit as u, jax.numpy as jnp, optax
    >>> from brainmass_delays.spiking import DelayLayer, anneal_width
    >>> layer = DelayLayer(2, max_delay=20 * u.ms, interpolation='gaussian', width=8 * u.ms)
    >>> tx = anneal_width(layer, optax.exponential_decay(8., transition_steps=1, decay_rate=0.5))
    >>> delay = layer.delay.value()
    >>> _ = tx.update(delay, tx.init(delay))
    >>> print(layer.width.value)
    4. ms
    """
    if layer.width is None:
        raise ArgumentError(
            "anneal_width.layer", "must have a kernel width", f"interpolation={layer.interpolation!r}"
        )

    def update(updates, state, params=None):
        count = optax.safe_increment(state.count)
        width = magnitude("anneal_width.schedule", schedule(count), u.ms)
        WIDTH("anneal_width.schedule", width)
        old = layer.width.value
        layer.width.value = (jnp.asarray(width, brainstate.environ.dftype()) * u.ms).in_unit(u.get_unit(old))
        return updates, optax.ScaleByScheduleState(count)

    return optax.GradientTransformation(
        lambda params: optax.ScaleByScheduleState(jnp.zeros((), jnp.int32)), update
    )


def _step_within(value, step, lower, upper):
    """Shorten ``step`` so that ``value + step``, as the floating-point sum, lies within the bounds."""
    step = jnp.clip(value + step, lower, upper) - value
    for _ in range(2):
        step = jnp.where(value + step > upper, jnp.nextafter(step, -jnp.inf), step)
        step = jnp.where(value + step < lower, jnp.nextafter(step, jnp.inf), step)
    return step


def _map(function, updates, params, *rest):
    """Apply ``function(update, param, unit, *rest)`` to the magnitudes of every parameter."""

    def apply(update, param, *others):
        unit = u.get_unit(param)
        result = function(*(u.get_magnitude(x) for x in (update, param)), unit, *map(u.get_magnitude, others))
        return (
            u.maybe_decimal(u.Quantity(result, unit=unit))
            if not is_quantity(param)
            else u.Quantity(result, unit=unit)
        )

    return jax.tree.map(apply, updates, params, *rest, is_leaf=is_quantity)


def _in(unit, value):
    """Return a time as a number of ``unit``; for a parameter without unit it must be a plain number."""
    return magnitude("project", value, unit)


def _names(path):
    """Flatten the keys of a path; brainstate names a state by a tuple."""
    for key in path:
        key = getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))
        yield from key if isinstance(key, tuple) else (key,)


def _check_order(where, lower, upper):
    if not u.have_same_dim(lower, upper):
        raise ArgumentError(f"{where}.lower", "must have the unit of upper", f"{lower} and {upper}")
    if not bool(jnp.all(u.get_magnitude(upper - lower) >= 0)):
        raise ArgumentError(f"{where}.lower", "must not exceed upper", f"{lower} and {upper}")


def _check_on_grid(name, bound, dt):
    """Refuse a bound of `project_to_grid` between two steps: rounding would pass it."""
    if bound is None or not u.have_same_dim(bound, dt):
        return
    steps = np.asarray(u.get_magnitude(bound / dt))
    if np.any(np.abs(steps - np.rint(steps)) > 1e-4):
        raise ArgumentError(f"project_to_grid.{name}", f"must be whole steps of dt = {dt}", bound)


def _check_params(where, params):
    if params is None:
        raise ArgumentError(f"{where}.params", "must be passed to update(updates, state, params)", "None")
