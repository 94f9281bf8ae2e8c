"""Named entries of .mat, .npz and HDF5 files; SciPy and MATLAB's own layouts are the judges."""

import io

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmass_delays import ArgumentError
from brainmass_delays.connectome import Connectome, matlab
from brainmass_delays.connectome.budget import Budget

W = np.array([[0.0, 1.5, 0.25], [2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
L = np.array([[0.0, 10.0, 20.0], [30.0, 0.0, 40.0], [50.0, 60.0, 0.0]])
NAMES = ("V1", "MT", "Pré")
DTYPES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


def saved(variables, **options):
    """Return the bytes of a .mat file."""
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables, **options)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:The default value for .spmatrix:DeprecationWarning")  # of newer SciPy
@given(
    shape=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    dtype=st.sampled_from(DTYPES),
    version=st.sampled_from(["4", "5"]),
    compressed=st.booleans(),
    sparse=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_matrices_are_read_as_scipy_reads_them(shape, dtype, version, compressed, sparse, seed):
    if version == "4" and dtype in ("i1", "u4", "i8", "u8"):
        dtype = "f8"
    matrix = (np.random.default_rng(seed).random(shape) * 100 * (seed % 3 > 0)).astype(dtype)
    if sparse and min(shape):
        matrix = scipy.sparse.csc_array(matrix.astype(float))
    content = saved(
        {"before": "x", "m": matrix, "after": np.eye(2)},
        format=version,
        do_compression=compressed and version == "5",
    )
    theirs = scipy.io.loadmat(io.BytesIO(content))["m"]
    theirs = theirs.toarray() if scipy.sparse.issparse(theirs) else theirs
    ours = matlab.variables(content)["m"](Budget("m"))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.shape == theirs.shape and (version == "4" or ours.dtype == theirs.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_file_of_the_other_byte_order_is_read(dtype):
    """Built by hand: no writer here makes one."""
    flags = np.array([6, 0], ">u4").tobytes()
    kinds = {"f8": 9, "f4": 7, "i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "i8": 12, "u8": 13}
    numbers = np.arange(1, 5).astype(">" + dtype)

    def element(kind, data):
        return np.array([kind, len(data)], ">u4").tobytes() + data + bytes(-len(data) % 8)

    shape = np.array([2, 2], ">i4").tobytes()
    body = (
        element(6, flags) + element(5, shape) + element(1, b"sc") + element(kinds[dtype], numbers.tobytes())
    )
    content = b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI" + element(14, body)
    np.testing.assert_array_equal(matlab.variables(content)["sc"](Budget("m")), [[1, 3], [2, 4]])
    np.testing.assert_array_equal(scipy.io.loadmat(io.BytesIO(content))["sc"], [[1, 3], [2, 4]])


@pytest.mark.parametrize(
    "labels", [np.array(NAMES, dtype=object), list(NAMES), np.array([list(NAMES)], dtype=object).T]
)
@pytest.mark.parametrize("compressed", [False, True])
def test_labels_of_a_mat_file(tmp_path, labels, compressed):
    (tmp_path / "c.mat").write_bytes(saved({"sc": W, "len": L, "labels": labels}, do_compression=compressed))
    assert Connectome.load(tmp_path / "c.mat").labels == NAMES


def test_labels_of_level_4_and_labels_that_are_numbers(tmp_path):
    (tmp_path / "c.mat").write_bytes(saved({"sc": W, "len": L, "labels": ["a", "bc", "d"]}, format="4"))
    assert Connectome.load(tmp_path / "c.mat").labels == ("a", "bc", "d")
    (tmp_path / "c.mat").write_bytes(saved({"sc": W, "len": L, "labels": [11.0, 27.0, 35.0]}))
    assert Connectome.load(tmp_path / "c.mat").labels == ("11", "27", "35")


def write(path, entries):
    """Write named entries in the format of a suffix."""
    if path.suffix == ".mat":
        scipy.io.savemat(path, entries)
    elif path.suffix == ".npz":
        np.savez(path, **entries)
    else:
        with h5py.File(path, "w") as file:
            for name, value in entries.items():
                file[name] = value


@pytest.mark.parametrize("suffix", [".mat", ".npz", ".h5", ".hdf5"])
def test_entries_can_be_named(tmp_path, suffix):
    path, other = tmp_path / f"c{suffix}", tmp_path / f"l{suffix}"
    write(path, {"fiber_count": W, "weights": W + 1, "fiber_mm": L, "other": L + 1})
    c = Connectome.load(path, entries={"weights": "fiber_count", "lengths": "fiber_mm"})
    np.testing.assert_array_equal(c.weights, W)
    np.testing.assert_array_equal(c.lengths.mantissa, L)
    write(other, {"first": L, "second": L + 1})
    pair = Connectome.load(path, other, entries={"weights": "fiber_count", "lengths": "second"})
    np.testing.assert_array_equal(pair.lengths.mantissa, L + 1)
    with pytest.raises(
        ArgumentError, match="Connectome.load.entries: must be one of .*; got 'fiber_cnt'. Did you mean"
    ):
        Connectome.load(path, entries={"weights": "fiber_cnt", "lengths": "fiber_mm"})


@pytest.mark.parametrize("suffix", [".mat", ".npz", ".h5"])
def test_labels_that_name_both_files_are_matched(tmp_path, suffix):
    order = [2, 0, 1]
    labels = list(NAMES) if suffix != ".npz" else np.array(NAMES)
    write(tmp_path / f"w{suffix}", {"weights": W, "labels": labels})
    moved = [NAMES[i] for i in order]
    write(tmp_path / f"l{suffix}", {"lengths": L[np.ix_(order, order)], "labels": moved})
    c = Connectome.load(tmp_path / f"w{suffix}", tmp_path / f"l{suffix}")
    np.testing.assert_array_equal(c.lengths.mantissa, L)


def test_a_file_in_the_layout_of_the_virtual_brain(tmp_path):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["weights"], file["tract_lengths"] = W, L
        file["centres"], file["region_labels"] = np.eye(3), np.array(NAMES, dtype=h5py.string_dtype())
    c = Connectome.load(tmp_path / "c.h5")
    np.testing.assert_array_equal(c.weights, W)
    assert c.labels == NAMES and c.centres.shape == (3, 3)


def test_matlab_7_3_stores_columns_and_refers_to_names(tmp_path):
    path = tmp_path / "c.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["sc"], file["len"] = W.T, L.T
        cells = file.create_dataset("labels", (1, 3), h5py.ref_dtype)
        for i, name in enumerate(NAMES):
            file[f"#refs#/{i}"] = np.array([[ord(sign)] for sign in name], "u2")
            cells[0, i] = file[f"#refs#/{i}"].ref
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
    path.write_bytes(bytes(content))
    c = Connectome.load(path)
    np.testing.assert_array_equal(c.weights, W)
    np.testing.assert_array_equal(c.lengths.mantissa, L)
    assert c.labels == NAMES


@pytest.mark.parametrize(
    "value, meaning", [(True, True), (False, False), (1, True), (0.0, False), (np.bool_(1), True)]
)
def test_a_file_remembers_its_sign(tmp_path, value, meaning):
    np.savez(tmp_path / "c.npz", weights=W, lengths=L, signed=value)
    assert Connectome.load(tmp_path / "c.npz").signed is meaning


@pytest.mark.parametrize("value", ["False", "True", 2, np.nan, [True, False], 1j])
def test_what_is_no_sign_is_refused(tmp_path, value):
    np.savez(tmp_path / "c.npz", weights=W, lengths=L, signed=value)
    with pytest.raises(ArgumentError, match=r"c\.npz must hold true or false as signed; got"):
        Connectome.load(tmp_path / "c.npz")


@pytest.mark.parametrize("kind", ["S3", "U3"])
def test_labels_in_bytes_are_text(tmp_path, kind):
    np.savez(tmp_path / "c.npz", weights=W, lengths=L, labels=np.array(["V1", "MT", "FEF"], kind))
    assert Connectome.load(tmp_path / "c.npz").labels == ("V1", "MT", "FEF")
    assert Connectome(W, L, np.array(["V1", "MT", "FEF"], kind)).labels == ("V1", "MT", "FEF")
