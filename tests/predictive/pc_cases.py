"""The networks of the golden file, built from its arrays."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from brainmass_delays.predictive import Dense, make_skip_model

GOLDEN = Path(__file__).parents[1] / "golden"
ARRAYS = dict(np.load(GOLDEN / "predictive_coding.npz"))
PROVENANCE = json.loads((GOLDEN / "predictive_coding.json").read_text())


def entries(prefix):
    """Return the numbered arrays below ``prefix`` as a list."""
    n = sum(name.startswith(prefix + "/") and name[len(prefix) + 1 :].isdigit() for name in ARRAYS)
    return [jnp.asarray(ARRAYS[f"{prefix}/{l}"]) for l in range(n)]


def mlp(prefix):
    """Return the layers ``tanh(W z + b)`` of a case, the last one linear."""
    n = sum(name.startswith(f"{prefix}/W") for name in ARRAYS)
    activations = [jnp.tanh] * (n - 1) + [lambda z: z]
    return [
        Dense(jnp.asarray(ARRAYS[f"{prefix}/W{l + 1}"]), jnp.asarray(ARRAYS[f"{prefix}/b{l + 1}"]), act)
        for l, act in enumerate(activations)
    ]


def preactivation_mlp(act=jnp.tanh):
    """Return the layers ``W act(z)`` of case G, the first one linear."""
    return [
        Dense(jnp.asarray(ARRAYS[f"head/G/W{l}"]), None, act if l > 1 else lambda z: z, activation_first=True)
        for l in (1, 2, 3, 4)
    ]


def case(name):
    """Return params, y, x and the loss of case A, B or E."""
    model = mlp(f"head/{name}")
    skips = make_skip_model(3) if name == "E" else None
    return (
        (model, skips),
        jnp.asarray(ARRAYS[f"head/{name}/y"]),
        jnp.asarray(ARRAYS[f"head/{name}/x"]),
        "CE" if name == "B" else "MSE",
    )


def parameter_gradients(prefix, n_layers):
    """Return the golden gradients as ``[(dW, db or None), ...]``."""
    return [(ARRAYS[f"{prefix}/dW{l}"], ARRAYS.get(f"{prefix}/db{l}")) for l in range(1, n_layers + 1)]
