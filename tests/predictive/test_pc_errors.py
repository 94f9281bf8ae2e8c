"""Bad input fails with a message that names the entry."""

import jax
import jax.numpy as jnp
import optax
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.predictive import (
    activity_norms,
    bpc_energy,
    compute_activity_grad,
    compute_hpc_param_grads,
    compute_pc_param_grads,
    descend_inference,
    evaluate_discriminative,
    evaluate_generative,
    hpc_energy,
    init_activities_from_normal,
    init_activities_with_amort,
    init_activities_with_ffwd,
    linear_equilibrium_activities,
    linear_equilibrium_energy,
    make_mlp,
    make_pc_step,
    make_skip_model,
    neg_activity_grad,
    pc_energy,
    solve_inference,
    trainable,
)

MODEL = make_mlp(jax.random.key(0), [3, 5, 4, 2], "tanh")
LINEAR = make_mlp(jax.random.key(0), [3, 5, 2], "identity")
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
    z, params = start(), (MODEL, None)
    half = jnp.eye(2)[jnp.zeros(6, int)].at[2].set(0.5)
    wrong = [
        ("activities: must hold 3 entries, z_1 to z_L with x, for 3 layers; got 2 entries", params, z[1:], Y, X),
        ("must hold 4 entries, z_0 to z_L without x, for 3 layers; got 3 entries. Pass x, or add z_0 in front", params, z, Y, None),
        ("got 4 entries. Drop z_0, or x", params, [X, *z], Y, X),
        ("y: must hold the observation; got None", params, z, None, X),
        ("x: must have the batch size of y, 6; got 5", params, z, Y, X[:5]),
        ("activities[1]: must have the batch size of y, 6; got 5", params, [z[0], z[1][:5], z[2]], Y, X),
        ("y: must have samples of shape (2,), what params[0][2] makes of activities[1]; got (3,)", params, z, jnp.zeros((6, 3)), X),
        ("activities[0]: must have samples of shape (5,), what params[0][0] makes of x; got (7,)", params, [jnp.ones((6, 7)), *z[1:]], Y, X),
        ("params[0][0]: must map one sample of x, shape (4,)", params, z, Y, jnp.ones((6, 4))),
        ("loss_id: must be one of 'MSE', 'CE'; got 'MAE'", params, z, Y, X, "MAE"),
        ("y: must hold one-hot labels for loss_id='CE'; got [0. 0.] at sample 0. Use jax.nn.one_hot", params, z, Y, X, "CE"),
        ("got [0.5 0.5] at sample 2", params, z, half, X, "CE"),
        ("params[1]: must hold one skip or None per layer, 3 entries; got 2 entries", (MODEL, [None, None]), z, Y, X),
        ("call", ([MODEL[0], 3.0, MODEL[2]], None), z, Y, X),
        ("params: must be", MODEL[0], z, Y, X),
    ]  # fmt: skip
    for text, *args in wrong:
        refused(text, function, *args)


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
    refused("make_mlp.layer_sizes[1]: must be a whole number", make_mlp, jax.random.key(0), [3, 0])
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
        "neg_activity_grad.args: must be (params, y, x, loss_id, controller); got",
        neg_activity_grad,
        0.0,
        start(),
        (MODEL, Y, X, "MSE"),
    )


@pytest.mark.parametrize(
    "text, call",
    [
        ("energy options of variant='pc': must be one of 'param_type', 'output_energy_scaling', 'gamma', 'weight_decay', 'spectral_penalty', 'activity_decay', 'record_layers'; got 'weight_decy'. Did you mean 'weight_decay'?", lambda: solve_inference(MODEL, start(), Y, X, weight_decy=1.0)),
        ("energy options of variant='epc': must be one of 'param_type', 'output_energy_scaling', 'gamma', 'record_layers'; got 'weight_decay'", lambda: compute_pc_param_grads(MODEL, start(), Y, X, variant="epc", weight_decay=1.0)),
        ("got 'param_type'", lambda: compute_activity_grad((MODEL, MODEL[::-1]), start(), Y, X, variant="bpc", param_type="mupc")),
        ("loss_id: must be one of 'MSE', 'CE'; got 'mes'. Did you mean 'MSE'?", lambda: evaluate_discriminative(MODEL, Y, X, "mes")),
        ("evaluate_generative.loss_id: must be left out", lambda: evaluate_generative(MODEL, Y, X, loss_id="CE")),
        ("y: must hold one-hot labels (batch, class) for loss_id='CE'; got the shape (6,)", lambda: pc_energy(MODEL, start(), jnp.zeros(6, int), X, "CE")),
        ("pc_energy.gamma: must be positive; got 0.0", lambda: pc_energy(MODEL, start(), Y, X, gamma=0.0)),
        ("descend_inference.optim: must be an optimizer of optax; got str", lambda: descend_inference(MODEL, start(), "adam", 2, Y, X)),
        ("params: must be (forward, backward)", lambda: bpc_energy((MODEL, None), start(), Y, X)),
        ("activity_norms.activities: must be a sequence that is not empty; got []", lambda: activity_norms([])),
        ("linear theory.x: must hold samples that params[0][0] reads; got samples of shape (2,)", lambda: linear_equilibrium_energy(LINEAR, x=Y, y=X)),
        ("linear_equilibrium_energy.y: must have the shape (batch, n_out) = (6, 2); got (5, 2)", lambda: linear_equilibrium_energy(LINEAR, x=X, y=Y[:5])),
        ("linear_equilibrium_activities.y: must have the shape (batch, n_out) = (6, 2); got None", lambda: linear_equilibrium_activities(LINEAR, x=X, y=None)),
    ],
)  # fmt: skip
def test_what_has_no_place_is_named(text, call):
    refused(text, call)


def test_the_order_of_observation_and_prior_cannot_be_mistaken():
    for function in (linear_equilibrium_energy, linear_equilibrium_activities):
        with pytest.raises(TypeError, match="too many positional arguments"):
            function(LINEAR, X, Y)


def test_whole_numbers_are_taken_as_real_ones():
    whole = [jnp.ones(z.shape, int) for z in start()]
    real = [z.astype(float) for z in whole]
    energy, grads = compute_activity_grad(MODEL, whole, Y, X)
    assert energy == pc_energy(MODEL, real, Y, X) and grads[0].dtype == real[0].dtype


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
