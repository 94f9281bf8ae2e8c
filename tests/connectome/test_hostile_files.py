"""No file can end the process, run code, hang, or take more memory and time than allowed."""

import bz2
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainmass_delays import ArgumentError
from brainmass_delays.connectome import Connectome
from brainmass_delays.connectome.budget import DEFAULT

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("loading.py")
SECONDS = 10
W = np.array([[0.0, 1.5, 0.25], [2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
L = np.array([[0.0, 10.0, 20.0], [20.0, 0.0, 5.5], [7.0, 8.0, 0.0]])

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured through /proc")


def load_apart(files):
    """Load files in another process, in a new one after a crash, and return what became of each."""
    files, reports = [str(file) for file in files], []
    while len(reports) < len(files):
        command = [sys.executable, PROGRAM, str(SECONDS), *files[len(reports) :]]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        ready, *lines = done.stdout.splitlines() or [""]
        assert ready == "ready", done.stderr
        reports += map(json.loads, lines)
        if done.returncode:
            said = f"crashed with {done.returncode}: {done.stderr[-400:]}"
            reports.append({"file": files[len(reports)], "said": said, "seconds": 0.0, "bytes": 0})
    return reports


def check(report, expected):
    """Assert that a file was refused as expected, in time and within the memory allowed."""
    assert report["said"].startswith("refused: Connectome.load"), report
    assert expected in report["said"], report
    assert report["seconds"] < SECONDS and report["bytes"] < 1.2 * DEFAULT, report


def npy(shape, descr="<f8", data=b""):
    """Return a .npy file that claims a shape, with any data."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": descr})
    return stream.getvalue() + data


def zipped(path, members):
    """Write a zip of contents, or of zeros where a content is a number of bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as stream:
                head, zeros = content if isinstance(content, tuple) else (content, 0)
                stream.write(head)
                for _ in range(zeros // 2**24):
                    stream.write(bytes(2**24))


def matlab_elements(n):
    """Return a .mat file of many empty elements."""
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + bytes(8 * n)


def many_entries(path):
    """Write a zip whose table has many entries."""
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(20_000):
            archive.writestr(f"{i}.npy", b"")


def unfilled(path):
    """Write an HDF5 file that claims ten billion numbers and holds none."""
    with h5py.File(path, "w") as file:
        file.create_dataset("weights", (100_000, 100_000), "f8", chunks=(1000, 1000))
        file["lengths"] = L


def outside(path):
    """Write an HDF5 file whose numbers are the bytes of another file."""
    with h5py.File(path, "w") as file:
        file.create_dataset("weights", (3, 3), "f8", external=[("/etc/hostname", 0, 72)])
        file["lengths"] = L


MB = 2**20
BOMBS = {  # file: what writes it, and what the message must hold
    "members.npz": (
        lambda p: zipped(p, {f"{n}.npy": (npy((11_000, 11_000)), 968 * MB) for n in ("weights", "lengths")}),
        "between 11000 regions, 968 MB per matrix",
    ),
    "wide_labels.npz": (
        lambda p: zipped(
            p,
            {"weights.npy": npy((3, 3), data=W.tobytes()), "lengths.npy": npy((3, 3), data=L.tobytes())}
            | {"labels.npy": (npy((3,), "<U90000000"), 1040 * MB)},
        ),
        "labels.npy",
    ),
    "claims.npy": (lambda p: p.write_bytes(npy((2**40, 2**40))), "announces"),
    "many.npz": (many_entries, "more than 10000 members"),
    "text.zip": (lambda p: zipped(p, {"weights.txt": b"0 " * (50 * MB)}), "a line of it is longer"),
    "rows.zip": (lambda p: zipped(p, {"weights.txt": b"0 0\n" * (10 * MB)}), "more rows than its 2 columns"),
    "blank.bz2.zip": (
        lambda p: zipped(p, {"weights.txt.bz2": bz2.compress(b"\n" * (20 * MB))}),
        "more than 1000 blank lines",
    ),
    "comment.zip": (lambda p: zipped(p, {"weights.txt": b"#" * (100 * MB)}), "a line of it is longer"),
    "centres.zip": (
        lambda p: zipped(p, {"weights.txt": b"0 1\n1 0\n", "centres.txt": b"0 0 0\n" * (4 * MB)}),
        "too many lines",
    ),
    "claim.csv": (lambda p: p.write_bytes(2 * (b"0," * 9_999 + b"0\n")), "between 10000 regions, 800 MB"),
    "zeros.mat": (
        lambda p: scipy.io.savemat(p, {"weights": np.zeros((9_500, 9_500)), "len": L}, do_compression=True),
        "max_memory: must be at least 1.44e+09 bytes for unpacking weights",
    ),
    "elements.mat": (lambda p: p.write_bytes(matlab_elements(4 * MB)), "readable .mat file"),
    "cells.mat": (
        lambda p: scipy.io.savemat(p, {"sc": W, "len": L, "labels": np.array([""] * 10_000, dtype=object)}),
        "labels announces 10000 cells",
    ),
    "unfilled.h5": (unfilled, "between 100000 regions, 80 GB"),
    "outside.h5": (outside, "weights lies in another file"),
    "endless.csv": (lambda p: p.symlink_to("/dev/zero"), "must be a regular file; got a device"),
    "random.npz": (lambda p: p.symlink_to("/dev/urandom"), "must be a regular file; got a device"),
    "pipe.csv": (os.mkfifo, "must be a regular file; got a pipe"),
    "memory.mat": (lambda p: p.symlink_to("/proc/self/mem"), "Connectome.load"),
    "loop.csv": (lambda p: p.symlink_to(p), "Connectome.load"),
}
QUICK = ("claims.npy", "rows.zip", "blank.bz2.zip", "claim.csv", "cells.mat", "unfilled.h5", "outside.h5",
         "endless.csv", "pipe.csv", "memory.mat", "loop.csv")  # fmt: skip


@pytest.fixture(scope="module")
def quick_reports(tmp_path_factory):
    """Load the bombs that are cheap to make, and some damaged files, all in one other process."""
    folder = tmp_path_factory.mktemp("bombs")
    for name in QUICK:
        BOMBS[name][0](folder / name)
    bits = np.random.default_rng(0).choice(2048, 100, replace=False)
    files = [folder / name for name in QUICK] + write_flipped(folder, "five.mat", bits)
    return {Path(report["file"]).name: report for report in load_apart(files)}


@pytest.mark.parametrize("name", QUICK)
def test_a_bomb_is_refused_in_time(quick_reports, name):
    check(quick_reports[name], BOMBS[name][1])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(BOMBS) - set(QUICK)))
def test_a_large_bomb_is_refused_in_time(tmp_path, name):
    BOMBS[name][0](tmp_path / name)
    assert (tmp_path / name).lstat().st_size < 40 * MB
    (report,) = load_apart([tmp_path / name])
    check(report, BOMBS[name][1])


def test_a_folder_with_a_pipe_in_it_and_a_socket_are_refused(tmp_path):
    os.mkfifo(tmp_path / "weights.txt")
    with pytest.raises(ArgumentError, match=r"weights\.txt must be a regular file; got a pipe"):
        Connectome.load(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener, tempfile.TemporaryDirectory() as folder:
        listener.bind(f"{folder}/w.csv")
        with pytest.raises(ArgumentError, match=r"Connectome.load: .*w\.csv must be"):
            Connectome.load(f"{folder}/w.csv")


def test_what_a_load_may_take_can_be_raised_and_is_named(tmp_path):
    n = 200
    np.savez(tmp_path / "c.npz", weights=np.ones((n, n)), lengths=np.ones((n, n)))
    with pytest.raises(
        ArgumentError,
        match=r"max_memory: must be at least 1\.12e\+06 bytes for weights\.npy between 200 regions, 320 kB per "
        r"matrix, of .*c\.npz; got 1e\+06\. Allow more",
    ):
        Connectome.load(tmp_path / "c.npz", max_memory=1e6)
    assert Connectome.load(tmp_path / "c.npz", max_memory=2e6).n_regions == n


# ------------------------------------------------------------------------------------------- damaged files


def samples():
    """Return a valid file of every kind by name."""
    stream, other, packed, zipped_text, hdf = (io.BytesIO() for _ in range(5))
    labels = np.array(["a", "b", "c"], dtype=object)
    scipy.io.savemat(stream, {"weights": W, "lengths": L, "labels": labels})
    scipy.io.savemat(other, {"weights": W, "lengths": L}, format="4")
    np.savez(packed, weights=W, lengths=L, labels=labels.astype(str))
    with zipfile.ZipFile(zipped_text, "w") as archive:
        archive.writestr("weights.txt", "0 1 0\n2 0 1\n0 3 0\n")
        archive.writestr("tract_lengths.txt", "0 1 0\n2 0 1\n0 3 0\n")
        archive.writestr("centres.txt", "a 1 2 3\nb 3 4 5\nc 6 7 8\n")
    with h5py.File(hdf, "w") as file:
        file["weights"], file["lengths"] = W, L
    named = {"five.mat": stream, "four.mat": other, "c.npz": packed, "c.zip": zipped_text, "c.h5": hdf}
    return {name: content.getvalue() for name, content in named.items()}


def flipped(content, bits):
    """Return a content with single bits turned over, one copy per bit."""
    for bit in bits:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(damaged)


def write_flipped(folder, name, bits):
    """Write copies of a file with one wrong bit each."""
    files = []
    for bit, damaged in flipped(samples()[name], bits):
        files.append(folder / f"flip{bit}{Path(name).suffix}")
        files[-1].write_bytes(damaged)
    return files


def check_flips(reports):
    """Assert that damaged files were loaded or refused, and nothing else."""
    wrong = [report for report in reports if not report["said"].startswith(("loaded", "refused: Connectome"))]
    assert not wrong, wrong[:3]
    assert {report["said"] == "loaded" for report in reports} == {True, False}


def test_a_wrong_bit_in_an_uncompressed_mat_never_ends_the_process(quick_reports):
    check_flips([report for name, report in quick_reports.items() if name.startswith("flip")])


@pytest.mark.slow
@pytest.mark.parametrize("name", samples())
def test_every_wrong_bit_ends_in_a_message_or_a_connectome(tmp_path, name):
    n_bits = 8 * len(samples()[name])
    bits = np.arange(0, n_bits, -(-n_bits // 5_000))  # every one of a .mat file, some of a larger one
    check_flips(
        [r for part in np.array_split(bits, 5) for r in load_apart(write_flipped(tmp_path, name, part))]
    )


@given(
    name=st.sampled_from(sorted(samples())),
    edits=st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=8)), max_size=4),
    end=st.integers(0, 20_000),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files_end_in_a_message_or_a_connectome(name, edits, end):
    content = samples()[name][:end]
    for place, new in edits:
        place %= len(content) + 1
        content = content[:place] + new + content[place + len(new) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            Connectome.load(path)
        except ArgumentError as error:
            assert str(error).startswith("Connectome.load")


@given(
    text=st.lists(
        st.sampled_from(["0", "1", "2.5", "-1", "nan", "V1", '"', "'", ",", ";", "\t", " ", "\n", "#", "é", "\0", "1e999", "label"])
    ).map("".join),
    kind=st.sampled_from([".csv", ".tsv", ".txt"]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_text_ends_in_a_message_or_a_connectome(text, kind):
    with tempfile.TemporaryDirectory() as folder:
        path, lengths = Path(folder, f"w{kind}"), Path(folder, "l.csv")
        path.write_text(text, encoding="utf-8")
        lengths.write_text("0,1\n1,0")
        try:
            Connectome.load(path, lengths)
        except ArgumentError as error:
            assert str(error).startswith("Connectome.load")
