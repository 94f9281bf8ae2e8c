"""Initial activities of predictive-coding networks."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from brainmass_delays._core.checks import ArgumentError, check_choice, check_count

from .arguments import BATCH, checked
from .layers import as_params
from .partition import compile_over_arrays
from .prediction import layer_scalings, predict

MODES = ("supervised", "unsupervised")


@checked
def init_activities_with_ffwd(params, x, *, param_type="sp", gamma=None) -> list[jax.Array]:
    """Initialize the activities with a feedforward pass, so that all hidden energies are zero.

    Parameters
    ----------
    params : (model, skip_model)
        As for `pc_energy`.
    x : array, (batch, ...)
        Input of the network.
    param_type, gamma
        As for `pc_energy`.

    Returns
    -------
    list of L arrays, each (batch, ...)
        ``[z_1, ..., z_L]``; the last entry is the prediction of the output.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import init_activities_with_ffwd, make_mlp
    >>> model = make_mlp(jax.random.key(0), [3, 5, 2])
    >>> [z.shape for z in init_activities_with_ffwd((model, None), jax.numpy.ones((4, 3)))]
    [(4, 5), (4, 2)]
    """
    if x is None:
        raise ArgumentError(
            "init_activities_with_ffwd.x",
            "must hold the input",
            "None",
            "Use init_activities_from_normal with mode='unsupervised' for a free input",
        )
    return _feedforward(as_params(params), jnp.asarray(x), param_type, gamma)


@checked
def init_activities_from_normal(
    key, layer_sizes: Sequence[int], mode: str, batch_size: int, sigma: float = 0.05
) -> list[jax.Array]:
    """Draw the activities from a normal distribution of mean zero.

    Parameters
    ----------
    key : jax.Array
        Random key.
    layer_sizes : sequence of int, length L + 1
        Sizes of the input, the hidden layers and the output.
    mode : {'supervised', 'unsupervised'}
        Layers 1 to L, or layers 0 to L.
    batch_size : int
        Number of samples.
    sigma : float, default 0.05
        Standard deviation, dimensionless.

    Returns
    -------
    list of arrays, each (batch, size)

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import init_activities_from_normal
    >>> [z.shape for z in init_activities_from_normal(jax.random.key(0), [3, 5, 2], 'unsupervised', 4)]
    [(4, 3), (4, 5), (4, 2)]
    """
    check_choice("init_activities_from_normal.mode", mode, MODES)
    check_count("init_activities_from_normal.batch_size", batch_size)
    sizes = [check_count("init_activities_from_normal.layer_sizes", size) for size in layer_sizes]
    sizes = sizes[mode == "supervised" :]
    return [
        sigma * jax.random.normal(k, (batch_size, size))
        for k, size in zip(jax.random.split(key, len(sizes)), sizes, strict=True)
    ]


@checked
def init_activities_with_amort(amortizer, generator, y, *, param_type="sp", gamma=None) -> list[jax.Array]:
    """Initialize the activities of a generator with an amortizer that maps its observation to its prior.

    Parameters
    ----------
    amortizer : list of K callables
        Layers on one sample; the output of layer k is the guess of the k-th hidden layer of the generator
        from the output.
    generator : list of callables, or (model, skip_model)
        The generator.
    y : array, (batch, ...)
        Observation of the generator.
    param_type, gamma
        As for `pc_energy`, of the generator.

    Returns
    -------
    list of K + 1 arrays, each (batch, ...)
        ``[a_K, ..., a_1]`` and the inert prediction of ``y`` by the last layer of the generator. An
        unsupervised generator takes the list as it is, one with a prior takes ``[1:]``.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import init_activities_with_amort, make_mlp
    >>> generator, amortizer = (make_mlp(jax.random.key(0), sizes) for sizes in ([2, 4, 3], [3, 4, 2]))
    >>> [z.shape for z in init_activities_with_amort(amortizer, generator, jax.numpy.ones((5, 3)))]
    [(5, 2), (5, 4), (5, 3)]
    """
    BATCH("init_activities_with_amort.y", y)
    amortizer = as_params((amortizer, None), "amortizer")
    generator = as_params(generator, "generator")
    if len(amortizer[0]) != len(generator[0]):
        raise ArgumentError(
            "init_activities_with_amort.amortizer",
            f"must have as many layers as the generator, {len(generator[0])}",
            len(amortizer[0]),
        )
    return _amortized(amortizer, generator, jnp.asarray(y), param_type, gamma)


@compile_over_arrays
def _feedforward(params, x, param_type, gamma):
    """Return the outputs of all layers."""
    width = jax.eval_shape(lambda h: predict(params, 0, h), x[0]).size
    scalings = layer_scalings(params, x[0].size, width, param_type, gamma)
    activities = []
    for l, scaling in enumerate(scalings):
        x = jax.vmap(lambda h, l=l, scaling=scaling: predict(params, l, h, scaling))(x)
        activities.append(x)
    return activities


@compile_over_arrays
def _amortized(amortizer, generator, y, param_type, gamma):
    """Return the guesses of the amortizer, deepest first, and the inert entry."""
    guesses = _feedforward(amortizer, y, "sp", None)[::-1]
    width = guesses[min(1, len(guesses) - 1)][0].size
    scalings = layer_scalings(generator, guesses[0][0].size, width, param_type, gamma)
    last = len(scalings) - 1
    return [*guesses, jax.vmap(lambda h: predict(generator, last, h, scalings[last]))(guesses[-1])]
