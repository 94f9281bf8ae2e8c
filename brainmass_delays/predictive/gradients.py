"""The gradients of predictive coding: in activities (or errors), and in parameters."""

import jax

from brainmass_delays._core.checks import ArgumentError

from .._core.trees import fill
from .arguments import checked
from .energies import hybrid_energy_of_batch
from .layers import as_params
from .partition import as_variables, compile_over_arrays, split
from .validation import check_labels
from .variants import energy_of


@checked
def neg_activity_grad(t, activities, args, **energy_options):
    """Compute the right-hand side of the gradient flow, ``-dF/dz``.

    Parameters
    ----------
    t : float
        Time; unused, the flow is autonomous.
    activities : list of arrays, each (batch, ...)
        As for `pc_energy`.
    args : tuple
        ``(params, y, x, loss_id, controller)``: ``x`` may be None; ``controller`` is unused.
    **energy_options
        ``variant`` ('pc', 'epc' or 'bpc') and the options of `pc_energy`, `epc_energy` or `bpc_energy`.

    Returns
    -------
    list of arrays like ``activities``
        The inert last entry is exactly zero, unless ``activity_decay`` is set.

    Raises
    ------
    ArgumentError
        As `pc_energy`; and if ``args`` has not five entries.

    Notes
    -----
    F is a batch mean, so one sample moves N times slower in this flow than alone. `solve_inference`
    multiplies by N.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import init_activities_with_ffwd, make_mlp, neg_activity_grad
    >>> params = make_mlp(jax.random.key(0), [3, 5, 2], 'tanh'), None
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> flow = neg_activity_grad(0.0, init_activities_with_ffwd(params, x), (params, y, x, 'MSE', None))
    >>> [dz.shape for dz in flow]
    [(4, 5), (4, 2)]
    """
    if not isinstance(args, tuple | list) or len(args) != 5:
        raise ArgumentError(
            "neg_activity_grad.args", "must be (params, y, x, loss_id, controller)", type(args).__name__
        )
    params, y, x, loss_id, _ = args
    check_labels("neg_activity_grad", y, loss_id)
    return _flow(as_params(params), as_variables(activities), y, x, loss_id, **energy_options)


@checked
def compute_activity_grad(params, activities, y, x, loss_id="MSE", **energy_options):
    """Compute the energy and its gradient in the activities, ``dF/dz``.

    Parameters
    ----------
    params, activities, y, x, loss_id
        As for `pc_energy`, or what takes its place in another variant; pass ``x=None`` for a free input.
    **energy_options
        ``variant`` ('pc', 'epc' or 'bpc') and the options of `pc_energy`, `epc_energy` or `bpc_energy`.

    Returns
    -------
    energy : array, ()
    grads : list of arrays like ``activities``
        Positive sign, for a descending optimizer; the inert last entry is exactly zero without
        ``activity_decay``.

    Raises
    ------
    ArgumentError
        As `pc_energy`.

    Notes
    -----
    One forward and one backward pass. For squared errors the entry of a hidden layer is
    ``(e_l - J_{l+1}^T e_{l+1}) / N`` with ``e_l = z_l - f_l(z_{l-1})`` and J the Jacobian of the layer above.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import compute_activity_grad, init_activities_with_ffwd, make_mlp
    >>> params = make_mlp(jax.random.key(0), [3, 5, 2], 'tanh'), None
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> energy, grads = compute_activity_grad(params, init_activities_with_ffwd(params, x), y, x)
    >>> bool((grads[-1] == 0).all())
    True
    """
    check_labels("compute_activity_grad", y, loss_id)
    return _activity_grad(as_params(params), as_variables(activities), y, x, loss_id, **energy_options)


@checked
def compute_pc_param_grads(params, activities, y, x=None, loss_id="MSE", **energy_options):
    """Compute the gradient of the energy in the parameters, at fixed activities.

    Parameters
    ----------
    params, activities, y, x, loss_id
        As for `pc_energy`.
    **energy_options
        ``variant`` ('pc', 'epc' or 'bpc') and the options of `pc_energy`, `epc_energy` or `bpc_energy`.

    Returns
    -------
    model_grads, skip_grads
        Like ``params``; None in place of what is no floating-point array, ``skip_grads`` None without skips.
        The entry of a brainstate Module is a callable whose ``parameters`` hold the gradients by name.

    Raises
    ------
    ArgumentError
        As `pc_energy`; and if no layer holds an array.

    Notes
    -----
    One forward and one backward pass, in which no error crosses a layer: the gradient in ``W_l`` of a layer
    ``act(W z + b)`` is ``-1/N sum_i (e_l * act')_i z_{l-1,i}^T``, local in error and presynaptic activity.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import compute_pc_param_grads, init_activities_with_ffwd, make_mlp
    >>> params = make_mlp(jax.random.key(0), [3, 5, 2], 'tanh'), None
    >>> x, y = jax.numpy.ones((4, 3)), jax.numpy.zeros((4, 2))
    >>> model_grads, skip_grads = compute_pc_param_grads(params, init_activities_with_ffwd(params, x), y, x)
    >>> model_grads[1].weight.shape, skip_grads
    ((2, 5), None)
    """
    check_labels("compute_pc_param_grads", y, loss_id)
    return _param_grads(as_params(params), as_variables(activities), y, x, loss_id, **energy_options)


@checked
def compute_hpc_param_grads(model, equilib_activities, amort_activities, x, y=None):
    """Compute the gradient of the hybrid energy in the parameters of the amortizer.

    Parameters
    ----------
    model, equilib_activities, amort_activities, x, y
        As for `hpc_energy`.

    Returns
    -------
    list like ``model``
        None in place of what is no floating-point array.

    Raises
    ------
    ArgumentError
        As `hpc_energy`; and if no layer holds an array.

    Notes
    -----
    The guesses that the layers read are held fixed, so the gradient of each layer is local.

    Examples
    --------
    >>> import jax
    >>> from brainmass_delays.predictive import compute_hpc_param_grads, init_activities_with_amort, make_mlp
    >>> generator, amortizer = (make_mlp(jax.random.key(0), sizes) for sizes in ([2, 4, 3], [3, 4, 2]))
    >>> prior, image = jax.numpy.ones((5, 2)), jax.numpy.ones((5, 3))
    >>> guess = init_activities_with_amort(amortizer, generator, image)
    >>> grads = compute_hpc_param_grads(amortizer, [jax.numpy.zeros((5, 4))], guess, image, prior)
    >>> grads[0].weight.shape
    (4, 3)
    """
    model = as_params((model, None), "model")[0]
    return _hybrid_param_grads(model, as_variables(equilib_activities), as_variables(amort_activities), x, y)


@compile_over_arrays
def _activity_grad(params, activities, y, x, loss_id, **options):
    """Return energy and ``dF/dz``."""
    return jax.value_and_grad(lambda z: energy_of(params, z, y, x, loss_id, **options))(activities)


@compile_over_arrays
def _flow(params, activities, y, x, loss_id, **options):
    """Return ``-dF/dz``."""
    return jax.grad(lambda z: -energy_of(params, z, y, x, loss_id, **options))(activities)


@compile_over_arrays
def _param_grads(params, activities, y, x, loss_id, **options):
    """Return ``dF/dtheta``."""
    trainable, rest = _split_to_train("compute_pc_param_grads.params", params)
    return jax.grad(lambda t: energy_of(fill(t, rest), activities, y, x, loss_id, **options))(trainable)


@compile_over_arrays
def _hybrid_param_grads(model, equilib_activities, amort_activities, x, y):
    """Return the gradient of the hybrid energy."""
    trainable, rest = _split_to_train("compute_hpc_param_grads.model", model)
    return jax.grad(
        lambda t: hybrid_energy_of_batch(fill(t, rest), equilib_activities, amort_activities, x, y)
    )(trainable)


def _split_to_train(where, layers):
    """Split the layers into what is trained and the rest; refuse layers without a single array to train."""
    trainable, rest = split(layers)
    if not jax.tree.leaves(trainable):
        raise ArgumentError(
            where,
            "must hold at least one floating-point array",
            "none",
            "Hand over plain functions as jax.tree_util.Partial(function, weight)",
        )
    return trainable, rest
