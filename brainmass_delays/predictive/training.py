"""Learning: updates of parameters and whole training steps, predictive and hybrid."""

from typing import Any, NamedTuple

import jax

from .._core.trees import fill
from .arguments import checked
from .descent import apply_updates
from .gradients import compute_hpc_param_grads, compute_pc_param_grads
from .inference import Inference, solve_inference
from .initialization import init_activities_with_amort
from .layers import as_params, with_updates
from .partition import split
from .variants import layer_energies, start_of

PRECISIONS = ("output_energy_scaling", "alpha_forward")


class ParamUpdate(NamedTuple):
    """Hold one step of learning.

    Attributes
    ----------
    params : (model, skip_model)
    grads : (model_grads, skip_grads)
    opt_state : pytree
    """

    params: tuple
    grads: tuple
    opt_state: Any


class PCStep(NamedTuple):
    """Hold one training step of a predictive-coding network.

    Attributes
    ----------
    params : (model, skip_model)
        After the step.
    opt_state : pytree
    loss : array, ()
        Output loss at the initial activities: of the feedforward prediction, if they come from it.
    energies : array, (L,)
        Terms of the energy after inference, as `pc_energy` records them; 2 L for ``variant='bpc'``.
    inference : Inference
    grads : (model_grads, skip_grads)
    """

    params: tuple
    opt_state: Any
    loss: jax.Array
    energies: jax.Array
    inference: Inference
    grads: tuple


class HPCStep(NamedTuple):
    """Hold one training step of a generator and its amortizer.

    Attributes
    ----------
    params : (model, skip_model)
        Generator after the step.
    amortizer : list of callables
        After the step.
    opt_states : (generator state, amortizer state)
    energies : array, (L,)
        Terms of the generator's energy after inference.
    inference : Inference
        Of the generator.
    """

    params: tuple
    amortizer: list
    opt_states: tuple
    energies: jax.Array
    inference: Inference


@checked
def trainable(params):
    """Return the arrays of ``params`` that learning moves: what optax initializes its state on.

    Parameters
    ----------
    params : (model, skip_model) or list of callables

    Returns
    -------
    pytree like ``params``
        For a list alone ``(model arrays, None)``, as `update_params` expects it.

    Examples
    --------
    >>> import jax, optax
    >>> from brainmass_delays.predictive import make_mlp, trainable
    >>> model = make_mlp(jax.random.key(0), [3, 5, 2])
    >>> state = optax.adam(1e-3).init(trainable((model, None)))
    """
    return split(as_params(params))[0]


@checked
def update_params(
    params, activities, optim, opt_state, y, x=None, loss_id="MSE", **energy_options
) -> ParamUpdate:
    """Move the parameters by one optax step down the energy, at fixed activities.

    Parameters
    ----------
    params, activities, y, x, loss_id
        As for `pc_energy`.
    optim : optax.GradientTransformation
    opt_state : pytree
        ``optim.init(trainable(params))``, then what the last step returned.
    **energy_options
        As for `compute_pc_param_grads`.

    Returns
    -------
    ParamUpdate
        The states of layers that are brainstate Modules are written in place.

    Examples
    --------
    >>> import jax, optax
    >>> from brainmass_delays.predictive import init_activities_with_ffwd, make_mlp, trainable, update_params
    >>> params, optim = (make_mlp(jax.random.key(0), [3, 5, 2]), None), optax.adam(1e-3)
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> activities = init_activities_with_ffwd(params, x)
    >>> params = update_params(params, activities, optim, optim.init(trainable(params)), y, x).params
    """
    grads = compute_pc_param_grads(params, activities, y, x, loss_id, **energy_options)
    params, opt_state = _learn(optim, grads, opt_state, params)
    return ParamUpdate(params, grads, opt_state)


@checked
def make_pc_step(
    params,
    optim,
    opt_state,
    y,
    x=None,
    loss_id="MSE",
    *,
    activities=None,
    inference_options=None,
    **energy_options,
) -> PCStep:
    """Train a predictive-coding network on one batch: initialize, infer, learn.

    Parameters
    ----------
    params, y, x, loss_id
        As for `pc_energy`.
    optim, opt_state
        As for `update_params`.
    activities : list of arrays, optional
        Start of inference (errors for ``variant='epc'``). Default: the feedforward pass; required without
        ``x``.
    inference_options : dict, optional
        Keyword arguments of `solve_inference`, e.g. ``{'max_t1': 5.0}``.
    **energy_options
        As for `compute_pc_param_grads`; used by inference and learning alike.

    Returns
    -------
    PCStep

    Raises
    ------
    ArgumentError
        If there is neither ``x`` nor ``activities``; else as `pc_energy` and `solve_inference`.

    Notes
    -----
    Everything is compiled once per set of shapes.

    Examples
    --------
    >>> import jax, optax
    >>> from brainmass_delays.predictive import make_mlp, make_pc_step, trainable
    >>> params, optim = (make_mlp(jax.random.key(0), [3, 5, 2]), None), optax.adam(1e-3)
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> step = make_pc_step(params, optim, optim.init(trainable(params)), y, x)
    >>> step.energies.shape
    (2,)
    """
    if activities is None:
        activities = start_of(params, x, **energy_options)
    unweighted = {name: value for name, value in energy_options.items() if name not in PRECISIONS}
    loss = layer_energies(params, activities, y, x, loss_id, **unweighted)[0]
    inference = solve_inference(
        params, activities, y, x, loss_id, **(inference_options or {}), **energy_options
    )
    energies = layer_energies(params, inference.activities, y, x, loss_id, **energy_options)
    update = update_params(params, inference.activities, optim, opt_state, y, x, loss_id, **energy_options)
    return PCStep(update.params, update.opt_state, loss, energies, inference, update.grads)


@checked
def make_hpc_step(
    params,
    amortizer,
    optims,
    opt_states,
    y,
    x=None,
    loss_id="MSE",
    *,
    inference_options=None,
    **energy_options,
) -> HPCStep:
    """Train a generator by predictive coding, and its amortizer to guess the generator's equilibrium.

    Parameters
    ----------
    params : (model, skip_model)
        The generator.
    amortizer : list of callables
        Maps the observation to the prior, with as many layers as the generator.
    optims, opt_states : pairs
        Optimizer and its state, of generator and amortizer. The states are initialized on
        ``trainable(params)`` and ``trainable(amortizer)``.
    y : array, (batch, ...)
        Observation of the generator, input of the amortizer.
    x : array, (batch, ...), optional
        Prior of the generator, target of the amortizer.
    loss_id : {'MSE', 'CE'}, default 'MSE'
        Output loss of the generator.
    inference_options : dict, optional
        Keyword arguments of `solve_inference`.
    **energy_options
        As for `compute_pc_param_grads`, of the generator.

    Returns
    -------
    HPCStep

    References
    ----------
    Tschantz et al. (2023), PLOS Computational Biology 19(8), e1011280.

    Examples
    --------
    >>> import jax, optax
    >>> from brainmass_delays.predictive import make_hpc_step, make_mlp, trainable
    >>> generator, amortizer = (make_mlp(jax.random.key(0), sizes) for sizes in ([2, 4, 3], [3, 4, 2]))
    >>> optim = optax.adam(1e-3)
    >>> states = optim.init(trainable(generator)), optim.init(trainable(amortizer))
    >>> prior, image = jax.numpy.ones((5, 2)), jax.numpy.ones((5, 3))
    >>> step = make_hpc_step(generator, amortizer, (optim, optim), states, image, prior)
    >>> step.energies.shape
    (2,)
    """
    guesses = init_activities_with_amort(amortizer, params, y, **_scalings(energy_options))
    start = guesses if x is None else guesses[1:]
    inference = solve_inference(params, start, y, x, loss_id, **(inference_options or {}), **energy_options)
    energies = layer_energies(params, inference.activities, y, x, loss_id, **energy_options)
    update = update_params(
        params, inference.activities, optims[0], opt_states[0], y, x, loss_id, **energy_options
    )
    grads = compute_hpc_param_grads(amortizer, inference.activities[-2::-1], guesses, y, x)
    (amortizer, _), amort_state = _learn(
        optims[1], (grads, None), opt_states[1], amortizer, "make_hpc_step.opt_states[1]"
    )
    return HPCStep(update.params, amortizer, (update.opt_state, amort_state), energies, inference)


def _scalings(energy_options):
    """Return the options that a feedforward pass shares with the energy."""
    return {name: energy_options[name] for name in ("param_type", "gamma") if name in energy_options}


def _learn(optim, grads, opt_state, params, where="update_params.opt_state"):
    """Return ``params`` one optax step further, and the new optimizer state."""
    arrays, rest = split(as_params(params))
    cure = "Make it by optim.init(trainable(params))"
    arrays, opt_state = apply_updates(where, optim, grads, opt_state, arrays, cure)
    model, skips = fill(arrays, rest)
    old_model, old_skips = params if isinstance(params, tuple) else (params, None)
    return (_written(old_model, model), old_skips and _written(old_skips, skips)), opt_state


def _written(layers, updated):
    """Return the updated layers, written into those that keep their own state."""
    return type(layers)(with_updates(layer, new) for layer, new in zip(layers, updated, strict=True))
