"""Files that hold no connectome are refused with their name and the place in them."""

import re

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from test_bad_input import L, W

from brainmass_delays import ArgumentError
from brainmass_delays.connectome import Connectome


def text(name, content):
    """Return a function that writes a text file into a folder."""
    return lambda folder: (folder / name).write_text(content)


def mat(name, **variables):
    """Return a function that writes a .mat file into a folder."""
    return lambda folder: scipy.io.savemat(folder / name, variables)


def npz(name, **arrays):
    """Return a function that writes a .npz file into a folder."""
    return lambda folder: np.savez(folder / name, **arrays)


V73 = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM" + b"\x89HDF\r\n\x1a\n" + bytes(600)

FILES = [
    # name, what writes the file, file, fragment of the message after "Connectome.load: FOLDER/"
    ("missing", lambda folder: None, "w.npz", "w.npz must exist; got no such file."),
    ("name too long", lambda folder: None, 300 * "w" + ".npz", "w.npz must exist; got no such file."),
    (
        "unknown kind",
        text("w.nii", "x"),
        "w.nii",
        "w.nii must be one of .npz, .zip, folder, .mat, .h5, .hdf5, .csv, .tsv, .txt, .npy; got '.nii'.",
    ),
    (
        "weights alone",
        text("w.csv", "0,1\n1,0"),
        "w.csv",
        "w.csv must hold lengths too; got only weights. Name their file with lengths=, or pass lengths='centres'",
    ),
    (
        "words in a csv",
        text("w.csv", "0,1\nx,oops\n1,0"),
        "w.csv",
        "w.csv must be a readable .csv file; got could not convert",
    ),
    (
        "rows of unequal length",
        text("w.csv", "0,1\n1,0,2\n1,2"),
        "w.csv",
        "w.csv must be a readable .csv file; got",
    ),
    ("names alone", text("w.csv", "V1,V2\n"), "w.csv", "w.csv must be a readable .csv file; got it holds no"),
    (
        "empty text",
        text("w.txt", "\n"),
        "w.txt",
        "w.txt must be a readable .txt file; got it holds no numbers.",
    ),
    (
        "broken npz",
        text("w.npz", "no zip"),
        "w.npz",
        "w.npz must be a readable .npz file; got File is not a zip file.",
    ),
    (
        "broken zip",
        text("w.zip", "no zip"),
        "w.zip",
        "w.zip must be a readable .zip file; got File is not a zip file.",
    ),
    (
        "broken mat",
        text("w.mat", "no mat file at all" * 20),
        "w.mat",
        "w.mat must be a readable .mat file; got",
    ),
    ("broken npy", text("w.npy", "no array"), "w.npy", "w.npy must be a readable .npy file; got"),
    (
        "MATLAB v7.3",
        lambda folder: (folder / "w.mat").write_bytes(V73),
        "w.mat",
        "w.mat must be a readable .mat file; got",
    ),
    (
        "npz of other names",
        npz("w.npz", a=W, b=L),
        "w.npz",
        "w.npz must hold weights; got only other names. Name the matrix one of weights, weight, sc",
    ),
    ("mat of other names", mat("w.mat", a=W, b=L), "w.mat", "w.mat must hold weights; got only other names."),
    (
        "two names for one matrix",
        mat("w.mat", sc=W, weights=W, len=L),
        "w.mat",
        "w.mat must hold weights once; got sc and weights.",
    ),
    ("folder without weights", text("notes.txt", "hello"), ".", " must hold weights; got only other names."),
    (
        "lengths of another shape",
        npz("w.npz", weights=W, lengths=np.ones((3, 3))),
        "w.npz",
        "w.npz must hold a valid connectome; got Connectome.lengths: must have the shape of weights, (2, 2)",
    ),
    (
        "weights not square",
        npz("w.npz", weights=np.ones((2, 3)), lengths=L),
        "w.npz",
        "w.npz must hold a valid connectome; got Connectome.weights: must be a square matrix",
    ),
    ("negative weights", npz("w.npz", weights=-W, lengths=L), "w.npz", "Pass signed=True"),
    (
        "labels that do not fit",
        npz("w.npz", weights=W, lengths=L, labels=np.array(["a"])),
        "w.npz",
        "w.npz must hold a valid connectome; got Connectome.labels: must be one per region, 2; got 1.",
    ),
]


@pytest.mark.parametrize(
    "write, file, message", [case[1:] for case in FILES], ids=[case[0] for case in FILES]
)
def test_file_message(tmp_path, write, file, message):
    write(tmp_path)
    with pytest.raises(ArgumentError, match=re.escape(message)) as caught:
        Connectome.load(tmp_path / file)
    assert re.match(rf"Connectome\.load(\.path)?: {tmp_path}", str(caught.value))
