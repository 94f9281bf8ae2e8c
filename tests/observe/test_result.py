"""What a run returns: a mapping that saves, loads, converts, travels through JAX, and prints on a screen."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.observe import Trajectory


def result():
    return Trajectory(
        {"x": np.arange(12.0).reshape(4, 3) * u.mV, "bold": np.ones((2, 3)), "fc": np.eye(3), "psd": np.ones((5, 3)) * (u.mV**2 / u.Hz)},
        ts=np.arange(1, 5) * u.ms,
        times={"bold": np.array([2.0, 4.0]) * u.ms, "fc": np.array(4.0) * u.ms, "psd": np.array(4.0) * u.ms},
    )  # fmt: skip


def test_it_is_a_mapping():
    r = result()
    assert list(r) == ["x", "bold", "fc", "psd", "ts", "status"] and len(r) == 6 and "x" in r
    assert {**r}["x"] is r["x"] and r.get("y") is None
    with pytest.raises(KeyError, match="'y'; recorded are x, bold"):
        r["y"]


def test_values_have_their_own_times():
    r = result()
    assert r.times("x").shape == (4,) and r.times("bold").shape == (2,) and r.times("fc").shape == ()
    with pytest.raises(ArgumentError, match="must be one of 'x'"):
        r.times("y")


def test_saving_and_loading(tmp_path):
    path = tmp_path / "run.npz"
    result().save(path)
    loaded, original = Trajectory.load(path), result()
    assert list(loaded) == list(original)
    for name in original:
        assert u.get_unit(loaded[name]) == u.get_unit(original[name])
        np.testing.assert_array_equal(u.get_magnitude(loaded[name]), u.get_magnitude(original[name]))
        np.testing.assert_array_equal(loaded.times(name) / u.ms, original.times(name) / u.ms)
    with np.load(path) as file:
        assert str(file["x.unit"]) == "mV"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 nonsense"])
def test_files_of_other_kinds_are_refused(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(
        ArgumentError, match=r"Trajectory.load.path: .*other.npz must be a file that Trajectory.save"
    ):
        Trajectory.load(path)
    with pytest.raises(ArgumentError, match="must end in .npz"):
        result().save(tmp_path / "run.mat")
    with pytest.raises(ArgumentError, match="no such file"):
        Trajectory.load(tmp_path / "missing.npz")


def test_numpy_can_save_the_plain_form(tmp_path):
    np.savez(tmp_path / "plain.npz", **result().to_numpy())
    plain = result().to_numpy()
    assert all(type(value) is np.ndarray for value in plain.values())
    assert str(plain["psd.unit"]) == "mV^2 / Hz" and "bold.unit" not in plain
    np.testing.assert_array_equal(plain["bold.ts"], [2, 4])


def test_xarray_has_dimensions_and_units():
    pytest.importorskip("xarray")
    dataset = result().to_xarray()
    assert dataset["x"].dims == ("time", "region") and dataset["bold"].dims == ("time_bold", "region")
    assert dataset["fc"].dims == ("fc_0", "region") and dataset["x"].attrs["units"] == "mV"
    assert dataset["time_bold"].attrs["units"] == "ms"
    np.testing.assert_array_equal(dataset["x"].sel(time=3), [6, 7, 8])


def test_it_travels_through_jax():
    r = jax.jit(lambda r: jax.tree.map(lambda x: 2 * x, r))(result())
    assert isinstance(r, Trajectory)
    np.testing.assert_array_equal(r["x"] / u.mV, 2 * (result()["x"] / u.mV))
    np.testing.assert_array_equal(r.times("bold") / u.ms, [4, 8])
    batch = jax.vmap(lambda k: Trajectory({"x": k * jnp.ones((4, 3))}, ts=jnp.arange(4) * u.ms))(
        jnp.arange(5.0)
    )
    assert batch["x"].shape == (5, 4, 3)
    gradient = jax.grad(lambda r: jnp.sum(r["x"] ** 2), allow_int=True)(
        Trajectory({"x": jnp.ones(3)}, ts=jnp.ones(3) * u.ms)
    )
    np.testing.assert_array_equal(gradient["x"], 2 * np.ones(3))


def test_repr_fits_a_screen():
    assert repr(result()).splitlines() == [
        "Trajectory, 1 to 4 ms, ok",
        "  x     (4, 3) float64, mV",
        "  bold  (2, 3) float64, every 2 ms",
        "  fc    (3, 3) float64, at 4 ms",
        "  psd   (5, 3) float64, mV^2 / Hz, at 4 ms",
    ]
    uneven = Trajectory({"x": np.ones(4)}, ts=np.ones(1), times={"x": np.array([0.5, 1.5, 2.0, 3.0]) * u.ms})
    assert repr(uneven).endswith(", every 0.833333 ms on average")
    many = Trajectory({f"x{i}": np.ones(3) for i in range(100)}, ts=np.arange(3) * u.ms, status=2)
    assert len(repr(many).splitlines()) == 22 and "NaN or infinite" in repr(many)
    jax.jit(lambda r: [repr(r), r][1])(result())


def test_names_that_cannot_be_are_refused():
    with pytest.raises(ArgumentError, match="must not be called 'ts'"):
        Trajectory({"ts": np.ones(3)}, ts=np.ones(3) * u.ms)
    with pytest.raises(ArgumentError, match=r"Trajectory.times: must be of values, \['x'\]; got 'y'"):
        Trajectory({"x": np.ones(3)}, ts=np.ones(3) * u.ms, times={"y": np.ones(3) * u.ms})


def test_what_is_recorded_by_population_prints_saves_and_converts(tmp_path):
    parts = {"a": np.arange(6.0).reshape(2, 3), "b": np.ones((2, 2)) * u.mV}
    both = Trajectory({"output": parts}, ts=np.arange(2) * u.ms)
    assert "output  a (2, 3) float64; b (2, 2) float64, mV" in repr(both)
    both.save(tmp_path / "run.npz")
    again = Trajectory.load(tmp_path / "run.npz")
    np.testing.assert_array_equal(again["output.a"], parts["a"])
    assert u.get_unit(again["output.b"]) == u.mV
    assert both.to_numpy()["output.b"].shape == (2, 2)
    found = pytest.importorskip("xarray") and both.to_xarray()
    assert found["output.a"].dims[0] == "time" and found["output.b"].attrs["units"] == "mV"
