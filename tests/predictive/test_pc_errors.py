"""Bad input fails with a message that names the entry."""

import jax
import jax.numpy as jnp
import optax
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.predictive import (
    compute_activity_grad,
    compute_hpc_param_grads,
    compute_pc_param_grads,
    hpc_energy,
    init_activities_from_normal,
    init_activities_with_amort,
    init_activities_with_ffwd,
    make_mlp,
    make_pc_step,
    make_skip_model,
    neg_activity_grad,
    pc_energy,
    solve_inference,
    trainable,
)

MODEL = make_mlp(jax.random.key(0), [3, 5, 4, 2], "tanh")
X, Y = jnp.ones((6, 3)), jnp.zeros((6, 2))


def start():
    return init_activities_with_ffwd((MODEL, None), X)


def refused(text, function, *args, **kwargs):
    with pytest.raises(ArgumentError) as error:
        function(*args, **kwargs)
    assert text in str(error.value)


@pytest.mark.parametrize(
    "function",
    [
        pc_energy,
        compute_activity_grad,
        compute_pc_param_grads,
        solve_inference,
        lambda p, z, y, x, *loss: neg_activity_grad(0.0, z, (p, y, x, *(loss or ["MSE"]), None)),
    ],
)
def test_every_entry_point_names_the_entry(function):
    z = start()
    params = MODEL, None
    refused(
        "activities: must hold 3 entries, z_1 to z_L with x, for 3 layers; got 2 entries",
        function,
        params,
        z[1:],
        Y,
        X,
    )
    refused(
        "must hold 4 entries, z_0 to z_L without x, for 3 layers; got 3 entries. Pass x, or add z_0 in front",
        function,
        params,
        z,
        Y,
        None,
    )
    refused("got 4 entries. Drop z_0, or x", function, params, [X, *z], Y, X)
    refused("y: must hold the observation; got None", function, params, z, None, X)
    refused("x: must have the batch size of y, 6; got 5", function, params, z, Y, X[:5])
    refused(
        "activities[1]: must have the batch size of y, 6; got 5",
        function,
        params,
        [z[0], z[1][:5], z[2]],
        Y,
        X,
    )
    refused(
        "y: must have samples of shape (2,), what params[0][2] makes of activities[1]; got (3,)",
        function,
        params,
        z,
        jnp.zeros((6, 3)),
        X,
    )
    refused(
        "activities[0]: must have samples of shape (5,), what params[0][0] makes of x; got (7,)",
        function,
        params,
        [jnp.ones((6, 7)), *z[1:]],
        Y,
        X,
    )
    refused("params[0][0]: must map one sample of x, shape (4,)", function, params, z, Y, jnp.ones((6, 4)))
    refused("loss_id: must be one of 'MSE', 'CE'; got 'MAE'", function, params, z, Y, X, "MAE")
    refused(
        "y: must hold one-hot labels for loss_id='CE'; got [0. 0.] at sample 0. Use jax.nn.one_hot",
        function,
        params,
        z,
        Y,
        X,
        "CE",
    )
    refused(
        "got [0.5 0.5] at sample 2",
        function,
        params,
        z,
        jnp.eye(2)[jnp.zeros(6, int)].at[2].set(0.5),
        X,
        "CE",
    )
    refused(
        "params[1]: must hold one skip or None per layer, 3 entries; got 2 entries",
        function,
        (MODEL, [None, None]),
        z,
        Y,
        X,
    )
    refused("params[0][1]: must be callable", function, ([MODEL[0], 3.0, MODEL[2]], None), z, Y, X)
    refused("params: must be (model, skip_model)", function, MODEL[0], z, Y, X)


def test_choices():
    refused(
        "param_type: must be one of 'sp', 'ntp', 'mupc'; got 'mup'. Did you mean 'mupc'?",
        pc_energy,
        (MODEL, None),
        start(),
        Y,
        X,
        param_type="mup",
    )
    refused("make_mlp.act_fn: must be one of", make_mlp, jax.random.key(0), [3, 2], "tan")
    refused("make_mlp.layer_sizes: must hold an input and an output size", make_mlp, jax.random.key(0), [3])
    refused("make_mlp.layer_sizes: must be a whole number", make_mlp, jax.random.key(0), [3, 0])
    refused("make_skip_model.n_layers", make_skip_model, 0)
    refused(
        "init_activities_from_normal.mode: must be one of",
        init_activities_from_normal,
        jax.random.key(0),
        [3, 2],
        "x",
        4,
    )
    refused(
        "neg_activity_grad.args: must be (params, y, x, loss_id, controller); got 4 entries",
        neg_activity_grad,
        0.0,
        start(),
        (MODEL, Y, X, "MSE"),
    )


def test_nothing_to_train_is_refused():
    layers = [lambda z: jnp.ones(2) * z.sum()]
    refused(
        "compute_pc_param_grads.params: must hold at least one floating-point array; got none. Hand over",
        compute_pc_param_grads,
        (layers, None),
        [Y],
        Y,
        X,
    )


def test_missing_start_is_refused():
    refused("init_activities_with_ffwd.x: must hold the input", init_activities_with_ffwd, MODEL, None)
    optim = optax.sgd(0.1)
    refused(
        "init_activities_with_ffwd.x: must hold the input",
        make_pc_step,
        MODEL,
        optim,
        optim.init(trainable(MODEL)),
        Y,
    )


def test_hybrid_lists():
    generator, amortizer = make_mlp(jax.random.key(0), [2, 4, 3]), make_mlp(jax.random.key(1), [3, 4, 2])
    prior, image = jnp.ones((5, 2)), jnp.ones((5, 3))
    guesses = init_activities_with_amort(amortizer, generator, image)
    hidden = [jnp.zeros((5, 4))]
    for function in (hpc_energy, compute_hpc_param_grads):
        refused(
            "amort_activities: must hold 3 entries; got 2",
            function,
            amortizer,
            hidden,
            guesses[:-1],
            image,
            prior,
        )
        refused("equilib_activities: must hold 2 entries; got 1", function, amortizer, hidden, guesses, image)
        refused(
            "equilib_activities[0]: must have samples of shape (4,), what params[0][0] makes of x; got (5,)",
            function,
            amortizer,
            [jnp.zeros((5, 5))],
            guesses,
            image,
            prior,
        )
        refused(
            "y: must have the batch size of x, 5; got 4",
            function,
            amortizer,
            hidden,
            guesses,
            image,
            prior[:4],
        )
    refused(
        "init_activities_with_amort.amortizer: must have as many layers as the generator, 3; got 2",
        init_activities_with_amort,
        amortizer,
        MODEL,
        image,
    )
