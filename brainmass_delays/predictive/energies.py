"""Energies of predictive-coding networks, as pure functions of arrays and callables."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from brainmass_delays._core.checks import check_choice

from .arguments import checked
from .layers import as_params
from .partition import as_variables, compile_over_arrays, is_trainable
from .prediction import layer_scalings, predict, sample_size
from .validation import check_labels, check_network, hybrid_inputs_and_targets, inputs_and_targets


def half_squared_error(y, prediction):
    """Return half the squared distance of one sample."""
    return 0.5 * jnp.sum((y - prediction) ** 2)


def cross_entropy(y, prediction):
    """Return the cross-entropy of one sample; ``prediction`` holds logits."""
    return -jnp.sum(y * jax.nn.log_softmax(prediction))


LOSSES: dict[str, Callable] = {"MSE": half_squared_error, "CE": cross_entropy}


def check_loss(where: str, loss_id: str) -> str:
    """Return ``loss_id`` if it names a loss; else raise with the nearest one."""
    return check_choice(f"{where}.loss_id", loss_id, LOSSES)


@checked
def pc_energy(
    params,
    activities,
    y,
    x=None,
    loss_id="MSE",
    *,
    param_type="sp",
    output_energy_scaling=1.0,
    gamma=None,
    weight_decay=0.0,
    spectral_penalty=0.0,
    activity_decay=0.0,
    record_layers=False,
):
    r"""Compute the energy of a predictive-coding network.

    .. math::

        F = \frac1N \sum_{i=1}^N \Big[ \sum_{l=1}^{L-1} \tfrac12 \| z_l - a_l f_l(z_{l-1}) - s_l(z_{l-1}) \|^2
            + \lambda\, \ell\big(y,\, a_L f_L(z_{L-1}) + s_L(z_{L-1})\big) \Big] + \text{regularizers}

    where :math:`z_0` is ``x``, or the first activity if there is no ``x``.

    Parameters
    ----------
    params : (model, skip_model)
        ``model`` is a list of L callables on one sample, ``skip_model`` None or a list of L callables or
        None. A list alone is a model without skips. Layers may be functions, pytrees, brainstate or equinox
        modules.
    activities : list of arrays, each (batch, ...)
        ``[z_1, ..., z_L]`` with ``x``, ``[z_0, z_1, ..., z_L]`` without. The last entry is inert: it is
        a place for the prediction of ``y`` and does not enter the energy (only ``activity_decay`` sees it).
    y : array, (batch, ...)
        Observation, clamped as the output; one-hot labels for 'CE'.
    x : array, (batch, ...), optional
        Prior, clamped as the input. None leaves the input free, without a prior on it.
    loss_id : {'MSE', 'CE'}, default 'MSE'
        Output loss: half the squared error, or the cross-entropy of logits.
    param_type : {'sp', 'ntp', 'mupc'}, default 'sp'
        Scalings a_l, with D inputs and W units in the first layer. 'sp': 1. 'ntp': ``1/sqrt(D)`` on the first
        layer, ``1/sqrt(W)`` on the others (with skips ``1/sqrt(W L)`` on the hidden ones). 'mupc': the same,
        but ``1/W`` on the last.
    output_energy_scaling : float, default 1.0
        Precision lambda of the output.
    gamma : float, optional
        Divide the scaling of the last layer by it.
    weight_decay, spectral_penalty, activity_decay : float, default 0.0
        Add ``1/2 sum ||W||^2`` and ``1/2 sum ||W^T W - I||^2`` over all weight matrices, and
        ``1/2 sum_l mean_i ||z_l||^2`` over all entries, times these factors. A weight is an array with at
        least two axes that is not called bias; further axes are joined.
    record_layers : bool, default False
        Return the terms ``[E_L, E_2, ..., E_{L-1}, E_1] / N``, without regularizers, instead of their sum.

    Returns
    -------
    array, () or (L,)
        Dimensionless.

    Raises
    ------
    ArgumentError
        For a wrong number of entries, shapes that do not fit, labels that are not one-hot, unknown choices.

    Notes
    -----
    One forward pass. The energy is compiled over the arrays of its arguments, so functions used as layers
    must be pure. Its gradient is exact in activities and parameters; label values are not checked inside
    ``jax.jit``.

    References
    ----------
    Whittington and Bogacz (2017), Neural Computation 29(5); Innocenti et al. (2025), arXiv:2505.13124
    (scalings).

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import init_activities_with_ffwd, make_mlp, pc_energy
    >>> model = make_mlp(jax.random.key(0), [3, 5, 2], 'tanh')
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> activities = init_activities_with_ffwd((model, None), x)
    >>> pc_energy((model, None), activities, y, x, record_layers=True).shape
    (2,)
    """
    check_labels("pc_energy", y, loss_id)
    return _energy(
        as_params(params),
        as_variables(activities),
        y,
        x,
        loss_id,
        param_type=param_type,
        output_energy_scaling=output_energy_scaling,
        gamma=gamma,
        weight_decay=weight_decay,
        spectral_penalty=spectral_penalty,
        activity_decay=activity_decay,
        record_layers=record_layers,
    )


@checked
def hpc_energy(model, equilib_activities, amort_activities, x, y=None, *, record_layers=False):
    r"""Compute the hybrid energy: the squared errors of an amortizer against the equilibrium of a generator.

    .. math::

        F_h = \frac1N \sum_i \Big[ \| T - g_K(a_{K-1}) \|^2 + \sum_{l=2}^{K-1} \| z^*_l - g_l(a_{l-1}) \|^2
              + \| z^*_1 - g_1(x) \|^2 \Big]

    Parameters
    ----------
    model : list of K callables
        Layers g_l of the amortizer, which maps the observation of the generator to its prior.
    equilib_activities : list of K - 1 or K arrays, each (batch, ...)
        Equilibrium of the generator, last hidden layer first, without the inert entry.
    amort_activities : list of K + 1 arrays, each (batch, ...)
        What `init_activities_with_amort` returns: ``[a_K, ..., a_1, inert]``.
    x : array, (batch, ...)
        Input of the amortizer: the observation of the generator.
    y : array, (batch, ...), optional
        Target T of the last layer. None: the last entry of ``equilib_activities``, the free latent of the
        generator.
    record_layers : bool, default False
        Return the terms ``[E_K, E_2, ..., E_{K-1}, E_1] / N`` instead of their sum.

    Returns
    -------
    array, () or (K,)

    Raises
    ------
    ArgumentError
        For a wrong number of entries or shapes that do not fit.

    Notes
    -----
    There is no factor 1/2. The inputs of each layer are the guesses of the amortizer and are held fixed, so
    that the rule is local.

    References
    ----------
    Tschantz et al. (2023), PLOS Computational Biology 19(8), e1011280.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import hpc_energy, init_activities_with_amort, make_mlp
    >>> generator = make_mlp(jax.random.key(0), [2, 4, 3])
    >>> amortizer = make_mlp(jax.random.key(1), [3, 4, 2])
    >>> prior, image = jax.numpy.ones((5, 2)), jax.numpy.ones((5, 3))
    >>> guess = init_activities_with_amort(amortizer, generator, image)
    >>> hpc_energy(amortizer, [jax.numpy.zeros((5, 4))], guess, image, prior).shape
    ()
    """
    model = as_params((model, None), "model")[0]
    return _hybrid_energy(
        model, as_variables(equilib_activities), as_variables(amort_activities), x, y, record_layers
    )


def energy_of_batch(
    params,
    activities,
    y,
    x,
    loss_id,
    *,
    param_type="sp",
    output_energy_scaling=1.0,
    gamma=None,
    weight_decay=0.0,
    spectral_penalty=0.0,
    activity_decay=0.0,
    record_layers=False,
):
    """Return the energy of `pc_energy` without compiling it."""
    check_loss("pc_energy", loss_id)
    inputs, targets = inputs_and_targets(activities, y, x, len(params[0]))
    check_network(params, activities, y, x)
    scalings = layer_scalings(params, sample_size(inputs[0]), sample_size(targets[0]), param_type, gamma)

    def of_sample(inputs, targets):
        predictions = [predict(params, l, h, scalings[l]) for l, h in enumerate(inputs)]
        hidden = [half_squared_error(*pair) for pair in zip(targets[:-1], predictions[:-1], strict=True)]
        return [*hidden, output_energy_scaling * LOSSES[loss_id](targets[-1], predictions[-1])]

    energies = [jnp.mean(energy) for energy in jax.vmap(of_sample)(inputs, targets)]
    if record_layers:
        return output_first(energies)
    penalty = 0.0
    if weight_decay:
        penalty += weight_decay / 2 * sum(jnp.sum(w**2) for w in _weights(params))
    if spectral_penalty:
        penalty += spectral_penalty / 2 * sum(_distance_from_orthogonal(w) for w in _weights(params))
    if activity_decay:
        penalty += activity_decay / 2 * sum(jnp.sum(z**2) for z in activities) / y.shape[0]
    return sum(energies) + penalty


def hybrid_energy_of_batch(model, equilib_activities, amort_activities, x, y, record_layers=False):
    """Return the energy of `hpc_energy` without compiling it."""
    inputs, targets = hybrid_inputs_and_targets(model, equilib_activities, amort_activities, x, y)

    def of_sample(inputs, targets):
        return [2 * half_squared_error(z, g(h)) for g, h, z in zip(model, inputs, targets, strict=True)]

    energies = [jnp.mean(energy) for energy in jax.vmap(of_sample)(inputs, targets)]
    return output_first(energies) if record_layers else sum(energies)


_energy = compile_over_arrays(energy_of_batch)
_hybrid_energy = compile_over_arrays(hybrid_energy_of_batch)


def output_first(energies):
    """Return the layer energies in the order in which they are reported: output, hidden ones, first."""
    first, *hidden = energies
    return jnp.stack([*hidden[-1:], *hidden[:-1], first])


def _weights(params):
    """Return the weights of layers and skips as matrices (n_out, -1): arrays with two axes, but biases."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    names = [jax.tree_util.keystr(path[-1:], simple=True) for path, _ in leaves]
    return [
        w.reshape(w.shape[0], -1)
        for name, (_, w) in zip(names, leaves, strict=True)
        if is_trainable(w) and w.ndim > 1 and name != "bias"
    ]


def _distance_from_orthogonal(w):
    """Return the squared Frobenius norm of ``w^T w - I``."""
    return jnp.sum((w.T @ w - jnp.eye(w.shape[1], dtype=w.dtype)) ** 2)
