"""Rows of predictive coding."""

import inspect

import brainunit as u
import jax
import jax.numpy as jnp
import optax
from table import ANYTHING, FLAG, generate, row

from brainmass_delays import predictive as pc

NUMBER = "zero negative half bool traced"
KEY = jax.random.key(0)
SIZES = (3, 4, 2)
PARAMS = (pc.make_mlp(KEY, SIZES, "identity"), None)
BACK = (pc.make_mlp(KEY, SIZES[::-1], "identity"), None)
X, Y = jnp.ones((5, 3)), jax.nn.one_hot(jnp.arange(5) % 2, 2)
ACTIVITIES = pc.init_activities_with_ffwd(PARAMS, X)
ADAM = optax.sgd(0.1)
STATE = ADAM.init(pc.trainable(PARAMS))
AMORTIZER = pc.make_mlp(KEY, (2, 4, 3), "identity")
FOUND = pc.solve_inference(PARAMS, ACTIVITIES, Y, X)
GOOD = {
    "params": PARAMS,
    "activities": ACTIVITIES,
    "y": Y,
    "x": X,
    "errors": pc.init_errors(PARAMS, X),
    "optim": ADAM,
    "opt_state": STATE,
    "update_activities.opt_state": ADAM.init(ACTIVITIES),
    "n_steps": 2,
    "predicted": Y,
    "labels": Y,
    "weight": 2.0,
    "key": KEY,
    "layer_sizes": SIZES,
    "mode": "supervised",
    "batch_size": 5,
    "n_layers": 3,
    "t": 0.0,
    "found": FOUND,
    "amortizer": AMORTIZER,
    "generator": PARAMS,
    "model": PARAMS[0],
    "amort_activities": pc.init_activities_with_amort(AMORTIZER, PARAMS, Y),
    "equilib_activities": ACTIVITIES[:-1][::-1],
    "optims": (ADAM, ADAM),
    "opt_states": (STATE, ADAM.init(pc.trainable((AMORTIZER, None))[0])),
    "neg_activity_grad.args": (PARAMS, Y, X, "MSE", None),
    "bpc_energy.params": (
        PARAMS[0],
        [pc.make_mlp(KEY, (4, 3), "identity")[0], pc.make_mlp(KEY, (2, 4), "identity")[0]],
    ),
    **dict.fromkeys(
        (
            "activities_of_errors.x",
            "bpc_energy.x",
            "descend_inference.x",
            "epc_energy.x",
            "pc_energy.x",
            "solve_inference.x",
            "compute_pc_param_grads.x",
            "inference_energies.x",
            "make_pc_step.x",
            "make_hpc_step.x",
            "update_params.x",
            "update_activities.x",
        ),
        X,
    ),
    "inference_energies.found": pc.descend_inference(PARAMS, ACTIVITIES, ADAM, 2, Y, X, record=True),
    "evaluate_generative.params": BACK,
    "evaluate_generative.y": X,
    "evaluate_generative.start": [Y, ACTIVITIES[0], X],
    "evaluate_hybrid.params": BACK,
    "evaluate_hybrid.amortizer": pc.make_mlp(KEY, SIZES, "identity"),
    "evaluate_hybrid.y": X,
    "hpc_energy.model": AMORTIZER,
    "hpc_energy.x": Y,
    "hpc_energy.y": X,
    "hpc_energy.equilib_activities": [jnp.ones((5, 4))],
    "compute_hpc_param_grads.model": AMORTIZER,
    "compute_hpc_param_grads.x": Y,
    "compute_hpc_param_grads.y": X,
    "compute_hpc_param_grads.equilib_activities": [jnp.ones((5, 4))],
}
ACCEPTS = {
    "record_layers": FLAG,
    "record": FLAG,
    "activation_first": FLAG,
    "use_bias": FLAG,
    "gamma": "none half bool",
    "sigma": "zero half bool traced",
    "inference_options": "none",
    "record_steps": "none",
    "activities": "",
    "make_pc_step.activities": "none",
    "start": "none",
    "weight": "zero negative half one bool traced shape",
    "tau": "half bool unit",
    "neg_activity_grad.t": ANYTHING,
    "solve_inference.rtol": "zero half bool traced",
    "solve_inference.record_at": "none one",
    "layer_sizes": "",
    "init_activities_from_normal.layer_sizes": "one",
    "make_hpc_step.x": "none",
    "make_mlp.act_fn": "function",
    "stop_rtol": "zero half bool traced",
    "stop_atol": "zero half bool traced",
    "max_t1": "half bool",
    "dt0": "none half bool traced",
    "rtol": "half bool traced",
    "atol": "half bool traced",
    "evaluate_generative.key": "none",
}
for _name in ("output_energy_scaling", "alpha_forward", "alpha_backward"):
    ACCEPTS[_name] = "zero half bool traced"
for _name in ("weight_decay", "spectral_penalty", "activity_decay"):
    ACCEPTS[_name] = "zero half bool"
RECORDS = {name for name in pc.__all__ if inspect.isclass(getattr(pc, name))}
FUNCTIONS = {name: getattr(pc, name) for name in pc.__all__ if name not in RECORDS}
generate("predictive.", FUNCTIONS, GOOD, ACCEPTS, use=lambda made: None)

DENSE = {"weight": jnp.ones((2, 3)), "bias": jnp.zeros(2)}
row("predictive.Dense.weight", lambda v: pc.Dense(**DENSE | {"weight": v})(jnp.ones(3)))
row("predictive.Dense.bias", lambda v: pc.Dense(**DENSE | {"bias": v})(jnp.ones(3)), "none")
row("predictive.Dense.activation", lambda v: pc.Dense(**DENSE, activation=v)(jnp.ones(3)), "function")
row("predictive.Dense.activation_first", lambda v: pc.Dense(**DENSE, activation_first=v)(jnp.ones(3)), FLAG)


def _network(**options):
    net = pc.PCNetwork(**{"params": PARAMS, "y": Y, "x": X} | options)
    import brainstate

    with brainstate.environ.context(dt=0.1 * u.ms):
        brainstate.nn.init_all_states(net)
        net.update()


for _name, _kinds in {
    "params": "",
    "y": "",
    "x": "",  # None needs activities too
    "activities": "none",
    "tau": "",
    "forward_delay": "none",
    "backward_delay": "none",
    "max_delay": "none",
    "interpolation": "",
    "method": "",
    "loss_id": "",
    "param_type": "",
    "gamma": "none half bool",
}.items():
    row(f"predictive.PCNetwork.{_name}", lambda v, n=_name: _network(**{n: v}), _kinds)
for _name in ("x", "y", "conn", "k"):
    _good = {"x": lambda: jnp.ones((2, 3)), "y": lambda: jnp.ones(2), "conn": jnp.ones((2, 3))}
    row(
        f"predictive.PredictiveCoupling.{_name}",
        lambda v, n=_name, good=_good: (pc.PredictiveCoupling(**good | {n: v})(), None)[1],
        "unit zero negative half one bool traced" if _name == "k" else "",
    )
