"""What predictive coding refuses, by name: silent wrong numbers and foreign exceptions of before."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from brainmass_delays import ArgumentError, RunError
from brainmass_delays import predictive as pc

PARAMS = pc.make_mlp(jax.random.key(0), [3, 5, 2], "tanh"), None
X, Y = jnp.ones((4, 3)), jnp.zeros((4, 2))
START = pc.init_activities_with_ffwd(PARAMS, X)
ADAM = optax.adam(1e-3)
EMPTY = optax.sgd(0.1).init(pc.trainable(PARAMS))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: pc.accuracy(jnp.full((4, 2), jnp.nan), jnp.zeros(4, int)), "accuracy.predicted: must be finite; got nan"),
        (lambda: pc.accuracy(jnp.zeros(4), jnp.zeros(4)), r"accuracy.predicted: must have the shape \(batch, class\); got \(4,\)"),
        (lambda: pc.accuracy(Y, jnp.full(4, 2)), "accuracy.labels: must hold classes from 0 to 1; got 2"),
        (lambda: pc.accuracy(Y, jnp.full(4, 0.5)), "accuracy.labels: must hold classes from 0 to 1; got 0.5"),
        (lambda: pc.activities_of_errors(PARAMS, [START[0]], X), "activities_of_errors.errors: must hold 2 entries with x; got 1"),
        (lambda: pc.epc_energy(PARAMS, [START[0]], Y, X), "epc_energy.errors: must hold 2 entries"),
        (lambda: pc.init_errors(PARAMS, None), "init_errors.x: must hold the input; got None"),
        (lambda: pc.pc_energy(PARAMS, START, Y, X, output_energy_scaling=-1.0), "output_energy_scaling: must be at least 0"),
        (lambda: pc.pc_energy(PARAMS, START, Y, X, weight_decay=-1.0), "weight_decay: must be at least 0"),
        (lambda: pc.init_activities_from_normal(jax.random.key(0), [3, 2], "supervised", 4, -1.0), "sigma: must be at least 0"),
        (lambda: pc.update_activities(PARAMS, START, ADAM, EMPTY, Y, X), "update_activities.opt_state: must be the state of this optimizer .* optim.init.activities"),
        (lambda: pc.update_params(PARAMS, START, ADAM, EMPTY, Y, X), "update_params.opt_state: must be the state of this optimizer .* optim.init.trainable"),
        (lambda: pc.make_pc_step(PARAMS, ADAM, ADAM.init(PARAMS[0]), Y, X), "opt_state: must be the state of this optimizer for these values"),
        (lambda: pc.PCNetwork(PARAMS, Y[0] + jnp.nan, X[0]), "PCNetwork.y: must be finite; got nan"),
        (lambda: pc.PCNetwork(PARAMS, Y[0] * u.mV, X[0]), "PCNetwork.y: must be plain numbers without a unit; got mV"),
        (lambda: pc.PCNetwork(PARAMS, Y[0], X[0]).local_grads(), "PCNetwork.local_grads: needs the states .* Call brainstate.nn.init_all_states"),
        (lambda: pc.evaluate_discriminative(PARAMS, Y, X, inference_options={"max_t": 3}), "must be one of 'max_t1', 'method', 'rtol', .* Did you mean 'max_t1'"),
    ],
)  # fmt: skip
def test_it_is_refused_by_name(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("y, rate", [(Y + jnp.nan, 0.1), (Y, 1e9)])
def test_a_descent_that_diverges_raises_as_inference_does(y, rate):
    with pytest.raises(RunError, match="descend_inference: a value became NaN or infinite. Lower the rate"):
        pc.descend_inference(PARAMS, START, optax.sgd(rate), 20, y + 1, X)


def test_arguments_by_name_only_are_spelled_out():
    """jpc takes x before y, this library y before x: neither order is guessed."""
    linear = pc.make_mlp(jax.random.key(0), [3, 5, 2], "identity")
    with pytest.raises(
        TypeError, match=r"linear_equilibrium_energy\(params, \*, y, x, .*too many positional"
    ):
        pc.linear_equilibrium_energy(linear, X, Y)
    with pytest.raises(TypeError, match=r"pc_energy\(params, .*unexpected keyword argument 'weightdecay'"):
        pc.pc_energy(PARAMS, START, Y, X, weightdecay=1.0)


def test_the_loss_of_a_step_does_not_depend_on_precisions():
    """With a precision of zero it was 0 / 0."""
    losses = [
        pc.make_pc_step(
            PARAMS, ADAM, ADAM.init(pc.trainable(PARAMS)), Y + 1, X, output_energy_scaling=scaling
        ).loss
        for scaling in (0.0, 1.0, 3.0)
    ]
    np.testing.assert_allclose(losses, losses[1], rtol=1e-6)
    assert np.isfinite(losses[1]) and losses[1] > 0
