"""Recordings, states of runs and maps are files of strangers too."""

import io
import os
import random
import zipfile

import brainstate
import brainunit as u
import numpy as np
import pytest

from brainmass_delays import ArgumentError, FitResult, Fitter, LinearStep, Param, Simulator, read_maps, sweep
from brainmass_delays.observe import Trajectory

DATA = np.ones(4)


def simulator():
    return Simulator(LinearStep(3, init_x=1.0), dt=0.5 * u.ms)


class Level(brainstate.nn.Module):
    """Hold one parameter."""

    def __init__(self):
        super().__init__()
        self.x = Param(0.0)


def a_fit():
    return Fitter(Level(), predict=lambda model: model.x.value() * np.ones(4))


def double(a):
    return 2 * a


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return a good file of every kind, and how to load it."""
    folder = tmp_path_factory.mktemp("good")
    sim = simulator()
    run = sim.run(5 * u.ms, monitors=["x"])
    run.save(folder / "run.npz")
    sim.save(folder / "state.npz")
    a_fit().fit(DATA, n_steps=2).save(folder / "fit.npz")
    (folder / "maps.csv").write_text("region,myelin,genes\nV1,1.5,2\nMT,0.5,1\n")
    return {
        "run.npz": (folder / "run.npz", Trajectory.load),
        "state.npz": (folder / "state.npz", simulator().load),
        "fit.npz": (folder / "fit.npz", FitResult.load),
        "maps.csv": (folder / "maps.csv", lambda path: read_maps(path, ["MT", "V1"])),
    }


NAMES = ("run.npz", "state.npz", "fit.npz", "maps.csv")


@pytest.mark.parametrize("name", NAMES)
def test_only_regular_files_are_read(good, name, tmp_path):
    _, load = good[name]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in ("/dev/zero", tmp_path / "pipe", tmp_path, tmp_path / "loop", tmp_path / "none"):
        with pytest.raises(ArgumentError, match=r"path: .* must (be a|exist)"):
            load(path)


@pytest.mark.parametrize("n_bits", [60, pytest.param(2048, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_wrong_bits_end_in_a_message_or_in_numbers(good, name, n_bits, tmp_path):
    path, load = good[name]
    content, rng, damaged = path.read_bytes(), random.Random(0), tmp_path / name
    n_refused = 0
    for bit in rng.choices(range(8 * len(content)), k=n_bits):
        wrong = bytearray(content)
        wrong[bit // 8] ^= 1 << bit % 8
        damaged.write_bytes(wrong)
        try:
            load(damaged)
        except ArgumentError:
            n_refused += 1
    assert n_refused


def test_wrong_bits_of_a_checkpoint_end_in_a_message_or_in_a_fit(tmp_path):
    path, rng, n_refused = tmp_path / "fit.npz", random.Random(0), 0
    a_fit().fit(DATA, n_steps=2, checkpoint=path, every=1)
    content = path.read_bytes()
    for bit in rng.choices(range(8 * len(content)), k=20):
        wrong = bytearray(content)
        wrong[bit // 8] ^= 1 << bit % 8
        path.write_bytes(wrong)
        try:
            a_fit().fit(DATA, n_steps=2, checkpoint=path)
        except ArgumentError:
            n_refused += 1
    assert n_refused


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_bomb_is_not_unpacked(good, name, tmp_path):
    """What is written is not compressed, so that nothing is larger in memory than in the file."""
    _, load = good[name]
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.zeros(10**6))
    (tmp_path / "compressed.npz").write_bytes(stream.getvalue())
    with pytest.raises(ArgumentError, match="it is compressed"):
        load(tmp_path / "compressed.npz")
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as archive:
        for i in range(10_001):
            archive.writestr(f"{i}.npy", b"")
    with pytest.raises(ArgumentError, match="more than 10000 members"):
        load(tmp_path / "many.npz")


def test_checkpoints_and_chunks_of_sweeps_are_not_unpacked(tmp_path):
    bomb, axes = io.BytesIO(), {"a": np.arange(4.0)}
    np.savez_compressed(bomb, x=np.zeros(10**6))
    (tmp_path / "fit.npz").write_bytes(bomb.getvalue())
    with pytest.raises(ArgumentError, match="it is compressed"):
        a_fit().fit(DATA, n_steps=2, checkpoint=tmp_path / "fit.npz")
    sweep(double, axes, store=tmp_path)
    (chunk,) = tmp_path.glob("*/chunk-*.npz")
    chunk.write_bytes(bomb.getvalue())
    with pytest.raises(ArgumentError, match="it is compressed"):
        sweep(double, axes, store=tmp_path)
    about = next(tmp_path.glob("*/sweep.json"))
    about.unlink()
    os.mkfifo(about)
    with pytest.raises(ArgumentError, match="must be a regular file"):
        sweep(double, axes, store=tmp_path)


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """Entries that all point to one array would be many times the file."""
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros(1000))
    content = stream.getvalue()
    start = content.index(b"PK\x01\x02")
    entry, end = content[start : content.index(b"PK\x05\x06")], content[content.index(b"PK\x05\x06") :]
    many = bytearray(end)
    many[8:12] = (50).to_bytes(2, "little") * 2
    many[12:16] = (50 * len(entry)).to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(content[:start] + 50 * entry + many)
    with pytest.raises(ArgumentError, match="announce more bytes than there are"):
        Trajectory.load(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "text, said",
    [
        ("region,a\nV1,1,2\nMT,2\n", "must have 2 cells in every row; got 3"),
        ("region,a\nV1,x\nMT,2\n", "read_maps.a"),
        ("region,a\nV1,nan\nMT,2\n", "must be finite"),
        ("", "must be a table"),
        ("region,a\nV1,1\n", "no row 'MT'"),
    ],
)
def test_tables_of_maps_that_are_none(text, said, tmp_path):
    (tmp_path / "maps.csv").write_text(text)
    with pytest.raises(ArgumentError, match=said):
        read_maps(tmp_path / "maps.csv", ["V1", "MT"])
