"""Layers: callables on one sample, whose arrays are their parameters."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import brainunit as u
import jax
import jax.numpy as jnp

from brainmass_delays._core.arguments import function as is_function
from brainmass_delays._core.arguments import numbers
from brainmass_delays._core.checks import ArgumentError, check_choice, check_count, check_flag

from .arguments import checked

ACTIVATIONS = {
    "identity": lambda z: z,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
}
PARAM_TYPES = ("sp", "ntp", "mupc")


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["weight", "bias"],
    meta_fields=["activation", "activation_first"],
)
@dataclass(frozen=True)
class Dense:
    """Map one sample by ``activation(weight @ z + bias)``, or by ``weight @ activation(z) + bias``.

    Parameters
    ----------
    weight : array, shape (n_out, n_in)
        Dimensionless.
    bias : array, shape (n_out,), optional
        Dimensionless; None for no bias.
    activation : callable, default identity
        Elementwise function.
    activation_first : bool, default False
        Apply the activation to the input instead of the output.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from brainmass_delays.predictive import Dense
    >>> Dense(jnp.eye(2), jnp.ones(2), jnp.tanh)(jnp.zeros(2)).shape
    (2,)
    """

    weight: Any
    bias: Any = None
    activation: Callable = ACTIVATIONS["identity"]
    activation_first: bool = False

    def __call__(self, z):
        self._check()
        before, after = (
            (self.activation, _identity) if self.activation_first else (_identity, self.activation)
        )
        out = before(z) @ self.weight.T
        return after(out if self.bias is None else out + self.bias)

    def _check(self):
        """Refuse what is no layer; not when it is made, since JAX makes layers of anything."""
        numbers(unit=u.UNITLESS, ndim=2)("Dense.weight", self.weight)
        shape = jnp.shape(self.weight)[:1]
        if self.bias is not None:
            numbers(unit=u.UNITLESS)("Dense.bias", self.bias)
            if jnp.shape(self.bias) != shape:
                raise ArgumentError("Dense.bias", f"must have the shape {shape}", jnp.shape(self.bias))
        is_function("Dense.activation", self.activation)
        check_flag("Dense.activation_first", self.activation_first)


@checked
def make_mlp(
    key,
    layer_sizes: Sequence[int],
    act_fn: str | Callable = "relu",
    *,
    activation_first: bool = False,
    use_bias: bool = True,
    param_type: str = "sp",
) -> list[Dense]:
    """Make the layers of a multilayer perceptron.

    Parameters
    ----------
    key : jax.Array
        Random key, e.g. ``jax.random.key(0)``.
    layer_sizes : sequence of int, length L + 1
        Sizes of the input, the L - 1 hidden layers and the output.
    act_fn : str or callable, default 'relu'
        'identity', 'tanh', 'relu', 'leaky_relu', 'sigmoid', 'silu', 'gelu', or an elementwise function.
    activation_first : bool, default False
        False: ``act(W z + b)``, linear last layer. True: ``W act(z) + b``, linear first layer.
    use_bias : bool, default True
        Give every layer a bias.
    param_type : {'sp', 'ntp', 'mupc'}, default 'sp'
        Weights are uniform in ``+-1/sqrt(n_in)`` for 'sp' and standard normal for 'ntp' and 'mupc', whose
        scaling belongs to the energy (see `pc_energy`). Biases are drawn like the weights for 'sp' and are
        zero otherwise.

    Returns
    -------
    list of Dense, length L

    Raises
    ------
    ArgumentError
        For fewer than two sizes, a size below one, an unknown activation or parameterization.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import make_mlp
    >>> [layer.weight.shape for layer in make_mlp(jax.random.key(0), [3, 5, 2], 'tanh')]
    [(5, 3), (2, 5)]
    """
    check_choice("make_mlp.param_type", param_type, PARAM_TYPES)
    if isinstance(act_fn, str):
        act_fn = ACTIVATIONS[check_choice("make_mlp.act_fn", act_fn, ACTIVATIONS)]
    sizes = [check_count("make_mlp.layer_sizes", size) for size in layer_sizes]
    if len(sizes) < 2:
        raise ArgumentError("make_mlp.layer_sizes", "must hold an input and an output size", sizes)
    n_layers = len(sizes) - 1
    linear = 0 if activation_first else n_layers - 1
    keys = jax.random.split(key, n_layers)
    return [
        Dense(
            *_initial_weights(keys[l], sizes[l], sizes[l + 1], use_bias, param_type),
            ACTIVATIONS["identity"] if l == linear else act_fn,
            activation_first,
        )
        for l in range(n_layers)
    ]


@checked
def make_skip_model(n_layers: int) -> list[Callable | None]:
    """Make identity skips on the hidden layers 2 to L - 1, none on the first and the last layer.

    Parameters
    ----------
    n_layers : int
        Number L of layers of the model.

    Returns
    -------
    list of callable or None, length L

    Examples
    --------
    >>> from brainmass_delays.predictive import make_skip_model
    >>> [skip is not None for skip in make_skip_model(4)]
    [False, True, True, False]
    """
    check_count("make_skip_model.n_layers", n_layers)
    return [_identity if 0 < l < n_layers - 1 else None for l in range(n_layers)]


@functools.singledispatch
def as_layer(layer: Any) -> Any:
    """Return ``layer`` as a pytree that can be called on one sample."""
    return layer


@functools.singledispatch
def with_updates(layer: Any, updated: Any) -> Any:
    """Return what stands for ``layer`` once its parameters are those of ``updated``, made by `as_layer`."""
    return updated


def as_params(params: Any, where: str = "params") -> tuple[Any, Any]:
    """Return ``(model, skip_model)`` with every layer made a pytree; a list alone has no skips."""
    model, skips = params if isinstance(params, tuple) and len(params) == 2 else (params, None)
    if not isinstance(model, list | tuple) or not model:
        raise ArgumentError(
            where, "must be (model, skip_model), model a list of layers", type(model).__name__
        )
    if skips is not None and len(skips) != len(model):
        raise ArgumentError(
            f"{where}[1]",
            f"must hold one skip or None per layer, {len(model)} entries",
            f"{len(skips)} entries",
        )
    for l, layer in enumerate(model):
        if not callable(layer):
            raise ArgumentError(f"{where}[0][{l}]", "must be callable on one sample", type(layer).__name__)
    for l, skip in enumerate(skips or ()):
        if skip is not None and not callable(skip):
            raise ArgumentError(
                f"{where}[1][{l}]", "must be None or callable on one sample", type(skip).__name__
            )
    return type(model)(map(as_layer, model)), skips and type(skips)(map(as_layer, skips))


def _identity(z):
    """Return the argument."""
    return z


def _initial_weights(key, n_in, n_out, use_bias, param_type):
    """Draw weight (n_out, n_in) and bias (n_out,) or None."""
    weight_key, bias_key = jax.random.split(key)
    if param_type != "sp":
        return jax.random.normal(weight_key, (n_out, n_in)), jnp.zeros(n_out) if use_bias else None
    bound = 1 / n_in**0.5
    weight = jax.random.uniform(weight_key, (n_out, n_in), minval=-bound, maxval=bound)
    bias = jax.random.uniform(bias_key, (n_out,), minval=-bound, maxval=bound) if use_bias else None
    return weight, bias
