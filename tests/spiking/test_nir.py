"""NIR: an independent interpreter of the graph spikes like the network; what the format lacks is refused."""

import brainstate
import brainunit as u
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.spiking import (
    LIF,
    AdaptiveLIF,
    ConvDelayLayer,
    DelayLayer,
    LeakyIntegrator,
    RecurrentLIF,
    SparseDelayLayer,
    SpikingClassifier,
    from_nir,
    run_layers,
    to_nir,
)

nir = pytest.importorskip("nir")
DT = 1e-3  # s


def interpret(graph, x):
    """Run a graph by the equations of NIR, solved exactly over steps of constant input; shares no code with the package.

    ``x`` (time, channel). What comes around a loop arrives through its delay, at the earliest in the next step.
    """
    names, before = list(graph.nodes), {}
    for _, target in graph.edges:
        before.setdefault(target, [])
    for source, target in graph.edges:
        before[target].append(source)
    out = {name: [] for name in names}
    v = dict.fromkeys(names, 0.0)

    def value(name, t):
        """Return the output of a node at step t, computing what it needs first."""
        if t < 0:
            return 0.0
        if len(out[name]) > t:
            return out[name][t]
        node = graph.nodes[name]
        if isinstance(node, nir.Input):
            result = x[t]
        elif isinstance(node, nir.Delay):
            steps = np.rint(node.delay / DT).astype(int)
            result = np.array(
                [np.broadcast_to(value(before[name][0], t - d), len(steps))[c] for c, d in enumerate(steps)]
            )
        else:
            total = sum(value(source, t) for source in before[name])
            if isinstance(node, nir.Linear):
                result = node.weight @ total
            elif isinstance(node, nir.Affine):
                result = node.weight @ total + node.bias
            elif isinstance(node, nir.LI | nir.LIF):
                a = np.exp(-DT / node.tau)
                v[name] = a * v[name] + (1 - a) * node.r * total
                result = v[name]
                if isinstance(node, nir.LIF):
                    result = (v[name] >= node.v_threshold).astype(float)
                    v[name] = np.where(result > 0, node.v_reset, v[name])
            else:
                result = total
        out[name].append(result)
        return result

    return np.stack([value("output", t) for t in range(len(x))])


def feedback(n, rng):
    return DelayLayer(
        n,
        n,
        min_delay=1 * u.ms,
        max_delay=6 * u.ms,
        delay=rng.integers(1, 7, n) * 1.0 * u.ms,
        weight=0.5 * rng.normal(size=(n, n)),
    )


def network(rng, recurrent):
    brainstate.random.seed(0)
    delays = DelayLayer(6, max_delay=9 * u.ms, delay=rng.integers(0, 10, 6) * 1.0 * u.ms)
    return SpikingClassifier(delays, 5, 3, tau=7 * u.ms, feedback=feedback(5, rng) if recurrent else None)


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_graph_spikes_like_the_network_and_comes_back(rng, tmp_path, recurrent):
    net = network(rng, recurrent)
    net.input.weight.value = {"weight": 4 * net.input.weight.value["weight"]}
    x = (rng.random((2, 40, 6)) < 0.3).astype(float)
    expected = net.activity(jnp.asarray(x))
    assert 10 < expected.hidden.sum() < 390
    nir.write(tmp_path / "net.nir", to_nir(net))
    graph = nir.read(tmp_path / "net.nir")
    for trial in range(2):
        np.testing.assert_allclose(interpret(graph, x[trial]), expected.potential[trial], atol=1e-9)
    layers = from_nir(graph)
    np.testing.assert_allclose(run_layers(layers, jnp.asarray(x)), expected.potential, atol=1e-9)
    kinds = [type(layer) for layer in layers]
    hidden = RecurrentLIF if recurrent else LIF
    assert kinds == [DelayLayer, brainstate.nn.Linear, hidden, brainstate.nn.Linear, LeakyIntegrator]
    assert layers[0].delay.fit


def test_delays_with_weights_become_two_nodes(rng):
    graph = to_nir([feedback(3, rng), LIF(3)])
    assert [type(n).__name__ for n in graph.nodes.values()] == ["Input", "Delay", "Linear", "LIF", "Output"]
    np.testing.assert_allclose(graph.nodes["lif"].r, 1 / (1 - np.exp(-1 / 5)))


def test_fractional_delays_are_rounded():
    graph = to_nir(
        [DelayLayer(2, max_delay=9 * u.ms, interpolation="linear", delay=jnp.array([1.4, 2.6]) * u.ms)]
    )
    np.testing.assert_allclose(graph.nodes["delay"].delay, [1e-3, 3e-3])


MAX = {"max_delay": 5 * u.ms}


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: [DelayLayer(2, 2, **MAX)], "to_nir.DelayLayer: NIR has no place for a delay per synapse"),
        (lambda: [SparseDelayLayer(2, 2, [[0, 1]], **MAX)], "to_nir.SparseDelayLayer: NIR has no place for the delays of a SparseDelayLayer"),
        (lambda: [ConvDelayLayer((4, 1), 2, 3, **MAX)], "to_nir.ConvDelayLayer: NIR has no place"),
        (lambda: [AdaptiveLIF(2)], "to_nir.AdaptiveLIF: NIR has no place for neurons whose threshold adapts"),
        (lambda: [LIF(2, reset="subtract")], "to_nir.LIF: NIR has no place for a reset by subtraction"),
        (lambda: [brainstate.nn.LayerNorm((2,))], "to_nir.LayerNorm: NIR has no place for a LayerNorm"),
        (lambda: [RecurrentLIF(LIF(2), DelayLayer(2, 2, min_delay=1 * u.ms, **MAX))], "to_nir.DelayLayer: NIR has no place for a delay per synapse"),
        (lambda: [RecurrentLIF(AdaptiveLIF(2), DelayLayer(2, 2, delay=jnp.ones(2) * u.ms, min_delay=1 * u.ms, **MAX))], "to_nir.AdaptiveLIF: NIR has no place"),
        (lambda: [RecurrentLIF(LIF(2), SparseDelayLayer(2, 2, [[0, 1]], min_delay=1 * u.ms, **MAX))], "to_nir.SparseDelayLayer: NIR has no place"),
        (lambda: [], "to_nir.network: must hold at least one layer"),
        (lambda: [LIF(2), LIF(3)], "to_nir.network: must hold layers that fit each other; got .* mismatch"),
    ],
)  # fmt: skip
def test_what_nir_lacks_is_refused_by_name(make, message):
    with pytest.raises(ArgumentError, match=message):
        to_nir(make())


def test_delays_of_outputs_follow_their_weights(rng):
    """One delay per target: the weights come first, in a chain and in a loop."""
    bounds = {"max_delay": 6 * u.ms, "delay": jnp.array([[2.0], [5.0], [3.0]]) * u.ms}
    back = DelayLayer(3, 3, min_delay=1 * u.ms, **bounds)
    layers = [DelayLayer(4, 3, weight=rng.normal(size=(3, 4)), **bounds), RecurrentLIF(LIF(3), back)]
    graph = to_nir(brainstate.nn.Sequential(*layers))
    assert [name for _, name in graph.edges][:5] == [
        "linear",
        "delay",
        "lif",
        "feedback_linear",
        "feedback_delay",
    ]
    x = (rng.random((1, 30, 4)) < 0.4).astype(float)
    expected = run_layers(layers, jnp.asarray(x))
    assert 5 < expected.sum() < 85
    np.testing.assert_array_equal(interpret(graph, x[0]), expected[0])
    np.testing.assert_array_equal(run_layers(from_nir(graph), jnp.asarray(x)), expected)


def test_masked_weights_stay_masked(rng):
    linear = brainstate.nn.Linear(3, 2, w_mask=jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), b_init=None)
    x = jnp.asarray(rng.normal(size=(1, 4, 3)))
    np.testing.assert_allclose(run_layers(from_nir(to_nir([linear])), x), linear(x), atol=1e-14)


def lif(**changes):
    tau = np.full(2, 5e-3)
    values = {
        "tau": tau,
        "r": 1 / (1 - np.exp(-DT / tau)),
        "v_leak": np.zeros(2),
        "v_threshold": np.ones(2),
        "v_reset": np.zeros(2),
    }
    return nir.LIF(**values | changes)


@pytest.mark.parametrize(
    "nodes, message",
    [
        ([lif(r=np.ones(2))], "from_nir.lif.r: must be 1 / .1 - exp.-dt / tau.., 5.51666"),
        ([lif(v_reset=np.full(2, 0.1))], "from_nir.lif: must rest at zero and reset to zero"),
        ([lif(v_threshold=np.array([1.0, 2.0]))], "from_nir.lif.v_threshold: must be the same"),
        ([nir.Delay(np.array([1e-3, 1.5e-3]))], "from_nir.delay.delay: must be whole steps of dt"),
        ([nir.Threshold(np.ones(2))], "from_nir.threshold: must be a Delay, Linear, Affine, LIF or LI node; got Threshold"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_here_is_refused_by_name(nodes, message):
    with pytest.raises(ArgumentError, match=message):
        from_nir(nir.NIRGraph.from_list(*nodes))


DELAY, LINEAR = nir.Delay(np.full(2, 1e-3)), nir.Linear(np.eye(2))
CHAIN = [("input", "lif"), ("lif", "output")]


@pytest.mark.parametrize(
    "nodes, edges, message",
    [
        ({"a": LINEAR}, [*CHAIN, ("lif", "a"), ("a", "lif")], r"from_nir.lif: must feed back through one Delay and one Linear node; got \['Linear'\]"),
        ({"a": DELAY}, [*CHAIN, ("lif", "a"), ("a", "lif")], r"from_nir.lif: must feed back .* got \['Delay'\]"),
        ({}, [*CHAIN, ("lif", "lif")], r"from_nir.lif: must feed back .* got \['LIF'\]"),
        ({"a": DELAY, "b": LINEAR}, [*CHAIN, ("lif", "a"), ("a", "b"), ("b", "a"), ("b", "lif")], "from_nir.b: must lead back to lif alone"),
        ({"a": DELAY, "b": DELAY}, [*CHAIN, ("lif", "a"), ("lif", "b"), ("a", "lif"), ("b", "lif")], "from_nir.lif: must feed back"),
        ({"a": LINEAR, "b": LINEAR}, [("input", "a"), ("a", "b"), ("b", "a"), ("a", "lif"), ("lif", "output")], "from_nir.a: must be a LIF node to feed back to itself; got Linear"),
        ({"a": LINEAR}, [*CHAIN, ("lif", "a")], "from_nir.lif: must lead to one node; got 2 nodes"),
        ({"other": nir.Input({"input": np.array([2])})}, [*CHAIN, ("other", "lif")], "from_nir.graph: must have one Input node; got"),
    ],
)  # fmt: skip
def test_graphs_that_are_no_chain_are_refused_by_name(nodes, edges, message):
    ends = {"input": nir.Input({"input": np.array([2])}), "output": nir.Output({"output": np.array([2])})}
    with pytest.raises(ArgumentError, match=message):
        from_nir(nir.NIRGraph({**ends, "lif": lif(), **nodes}, edges))
