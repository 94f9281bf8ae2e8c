"""Learning: optax updates, whole steps, hybrid steps, and the digits of scikit-learn."""

import importlib.util
import runpy
import sys
from pathlib import Path

import brainstate
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from brainmass_delays.predictive import (
    compute_hpc_param_grads,
    compute_pc_param_grads,
    hpc_energy,
    init_activities_with_amort,
    init_activities_with_ffwd,
    make_hpc_step,
    make_mlp,
    make_pc_step,
    pc_energy,
    trainable,
    update_params,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


def data():
    return jax.random.normal(jax.random.key(2), (8, 2)), jax.random.normal(jax.random.key(1), (8, 3))


def test_update_params_is_gradient_descent():
    y, x = data()
    params, optim = (make_mlp(jax.random.key(0), [3, 5, 2], "tanh"), None), optax.sgd(0.1)
    start = [z + 0.1 for z in init_activities_with_ffwd(params, x)]
    update = update_params(params, start, optim, optim.init(trainable(params)), y, x)
    grads = compute_pc_param_grads(params, start, y, x)
    for old, new, slope in zip(*map(jax.tree.leaves, (params, update.params, grads)), strict=True):
        np.testing.assert_allclose(new, old - 0.1 * slope, atol=1e-15)
    assert jax.tree.structure(update.params) == jax.tree.structure(params)


def test_brainstate_modules_learn_in_place():
    y, x = data()
    model = [brainstate.nn.Sequential(brainstate.nn.Linear(3, 5), jnp.tanh), brainstate.nn.Linear(5, 2)]
    optim = optax.adam(1e-2)
    state, before = optim.init(trainable(model)), model[1].weight.value["weight"]
    losses = []
    for _ in range(30):
        step = make_pc_step((model, None), optim, state, y, x)
        assert step.params[0][0] is model[0]
        state = step.opt_state
        losses.append(float(step.loss))
    assert losses[-1] < 0.8 * losses[0]
    assert float(jnp.abs(model[1].weight.value["weight"] - before).max()) > 1e-2


def test_pc_step_reports_what_it_does():
    y, x = data()
    params, optim = (make_mlp(jax.random.key(0), [3, 5, 2], "tanh"), None), optax.sgd(0.05)
    step = make_pc_step(
        params,
        optim,
        optim.init(trainable(params)),
        y,
        x,
        output_energy_scaling=2.0,
        inference_options={"max_t1": 3.0},
    )
    start = init_activities_with_ffwd(params, x)
    np.testing.assert_allclose(step.loss, 0.5 * ((y - start[-1]) ** 2).sum(1).mean(), rtol=1e-6)
    recorded = pc_energy(
        params, step.inference.activities, y, x, output_energy_scaling=2.0, record_layers=True
    )
    np.testing.assert_allclose(step.energies, recorded)
    assert step.energies.sum() < 2 * step.loss
    assert step.inference.t.max() <= 3.0


@pytest.mark.parametrize("prior", [True, False])
def test_hybrid_step(prior):
    image, label = jax.random.normal(jax.random.key(1), (8, 3)), jax.random.normal(jax.random.key(2), (8, 2))
    generator, amortizer = (
        make_mlp(jax.random.key(3), [2, 4, 3], "tanh"),
        make_mlp(jax.random.key(4), [3, 4, 2], "tanh"),
    )
    optim, x = optax.sgd(0.1), label if prior else None
    states = optim.init(trainable(generator)), optim.init(trainable(amortizer))
    step = make_hpc_step(generator, amortizer, (optim, optim), states, image, x)
    guesses = init_activities_with_amort(amortizer, generator, image)
    targets = step.inference.activities[-2::-1]
    slopes = compute_hpc_param_grads(amortizer, targets, guesses, image, x)
    for old, new, slope in zip(*map(jax.tree.leaves, (amortizer, step.amortizer, slopes)), strict=True):
        np.testing.assert_allclose(new, old - 0.1 * slope, atol=1e-12)
    assert hpc_energy(step.amortizer, targets, guesses, image, x) < hpc_energy(
        amortizer, targets, guesses, image, x
    )
    assert step.inference.activities[0].shape == ((8, 4) if prior else (8, 2))


def example(name):
    """Return an example as a module."""
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_digits_discriminative(single_precision):
    accuracies = [example("08_predictive_coding").discriminative(seed)[0][-1][1] for seed in range(3)]
    print(accuracies)
    assert np.mean(accuracies) >= 99


@pytest.mark.slow
def test_digits_generative_label_inference(single_precision):
    accuracies = [example("08_predictive_coding").generative(seed)[2][-1] for seed in range(3)]
    print(accuracies)
    assert np.mean(accuracies) >= 90


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_figures"), [("08_predictive_coding", 2), ("09_delayed_predictive_coding", 3)]
)
def test_examples_run(name, n_figures, tmp_path, monkeypatch, single_precision):
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--out", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert len(list(tmp_path.glob("*.png"))) == n_figures


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learned_delays_predict_a_moving_stimulus(single_precision, seed):
    """Learned < frozen < none in what they miss, and the delays that carry weight are distance over speed."""
    motion = example("09_delayed_predictive_coding")
    missed = {}
    for delays in motion.DELAYS:
        missed[delays], net, _ = motion.learn_motion(delays, seed)
    print(seed, missed)
    assert missed["learned"] < 1e-5 < 5e-3 < missed["frozen"] < 0.5 * missed["none"]
    delay, weight = motion.learned_delays(net)
    error = (np.abs(weight) * np.abs(delay - motion.TRUE_DELAYS)).sum() / np.abs(weight).sum()
    assert error < 1.0 and ((delay > 0.5) & (delay < 29.5)).all()


def test_local_learning_finds_the_delay_of_a_moving_stimulus(single_precision):
    """The quick representative: 600 steps from random delays leave less than delays that stay."""
    motion = example("09_delayed_predictive_coding")
    found = {delays: motion.learn_motion(delays, 0, n_steps=600) for delays in ("frozen", "learned")}
    assert found["learned"][0] < 0.8 * found["frozen"][0]
    delay, weight = motion.learned_delays(found["learned"][1])
    assert delay.shape == weight.shape == motion.TRUE_DELAYS.shape and delay.max() <= 30
