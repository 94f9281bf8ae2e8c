"""Tables in text: names in any place and order, headers of numbers, quotes, decimal commas, encodings."""

import brainunit as u
import numpy as np
import pytest

from brainmass_delays import ArgumentError
from brainmass_delays.connectome import Connectome

W = np.array([[0.0, 1.5, 0.25], [2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
L = np.array([[0.0, 10.0, 20.0], [30.0, 0.0, 40.0], [50.0, 60.0, 0.0]])
NAMES = ("V1", "MT", "FEF")
ORDER = [2, 0, 1]


def table(matrix, rows=None, columns=None, corner="", sign=","):
    """Write a table with names in the first column, the first row, or both."""
    lines = [sign.join(map(str, row)) for row in matrix]
    if rows is not None:
        lines = [f"{name}{sign}{line}" for name, line in zip(rows, lines, strict=True)]
    if columns is not None:
        head = sign.join(map(str, columns))
        lines = [(f"{corner}{sign}{head}" if rows is not None else head), *lines]
    return "\n".join(lines) + "\n"


def load(folder, weights, lengths=None, **options):
    """Write tables to files and load them."""
    (folder / "w.csv").write_text(weights)
    (folder / "l.csv").write_text(table(L) if lengths is None else lengths)
    return Connectome.load(folder / "w.csv", folder / "l.csv", **options)


def shuffled(matrix, order=ORDER):
    """Return a matrix with its regions in another order."""
    return matrix[np.ix_(order, order)]


def check(c, labels=NAMES):
    """Compare with the original."""
    np.testing.assert_array_equal(c.weights, W)
    np.testing.assert_array_equal(c.lengths.mantissa, L)
    assert c.labels == tuple(labels)


@pytest.mark.parametrize("sign", [",", ";", "\t", "  "])
@pytest.mark.parametrize("place", ["rows", "columns", "both"])
def test_lengths_in_another_order_are_matched_by_name(tmp_path, sign, place):
    def named(matrix, names):
        rows, columns = names if place != "columns" else None, names if place != "rows" else None
        corner = "region" if sign.isspace() and sign != "\t" else ""
        return table(matrix, rows, columns, corner, sign)

    other = [NAMES[i] for i in ORDER]
    check(load(tmp_path, named(W, NAMES), named(shuffled(L), other)))


def test_columns_in_another_order_than_the_rows_are_matched_by_name(tmp_path):
    check(load(tmp_path, table(W[:, ORDER], NAMES, [NAMES[i] for i in ORDER])))


@pytest.mark.parametrize(
    "rows, columns, labels",
    [
        (NAMES, (0, 1, 2), NAMES),
        ((0, 1, 2), NAMES, NAMES),
        ((1, 2, 3), NAMES, NAMES),
        ((0, 1, 2), (0, 1, 2), "012"),
        ((11, 27, 35), (11, 27, 35), ("11", "27", "35")),
        (None, (11, 27, 35), ("11", "27", "35")),
        ((11, 27, 35), None, ("11", "27", "35")),
        (NAMES, None, NAMES),
        (None, NAMES, NAMES),
    ],
)
def test_numbers_may_be_names(tmp_path, rows, columns, labels):
    check(load(tmp_path, table(W, rows, columns)), labels)


@pytest.mark.parametrize("corner", ["", "region", "id"])
def test_a_header_of_numbers_stands_over_names(tmp_path, corner):
    check(load(tmp_path, table(W, NAMES, (11, 27, 35), corner)))


@pytest.mark.parametrize(
    "lengths, said",
    [
        (
            table(L, ("V1", "MT", "V9")),
            r"l\.csv must name the same regions; got the names .* do not match: FEF, V9",
        ),
        (table(L, ("V1", "V1", "MT")), "do not match: FEF"),
        (
            table(L, NAMES, ("a", "b", "c")),
            r"l\.csv must be a readable .* names of its regions do not match: FEF, MT",
        ),
    ],
)
def test_names_that_do_not_match_are_refused(tmp_path, lengths, said):
    with pytest.raises(ArgumentError, match=said):
        load(tmp_path, table(W, NAMES), lengths)


@pytest.mark.parametrize("sign", [",", ";", "\t", " "])
def test_a_separator_inside_quotes_belongs_to_the_name(tmp_path, sign):
    names = ('"V1, left; a b"', '"MT"', "FEF")
    check(load(tmp_path, table(W, names, sign=sign)), ("V1, left; a b", "MT", "FEF"))
    check(load(tmp_path, table(W, None, names, sign=sign)), ("V1, left; a b", "MT", "FEF"))


@pytest.mark.parametrize(
    "text", ["0;0,5\n1,5;0\n", "0\t0,5\n1,5\t0\n", "0,0 0,5\n1,5 0,0\n", "V1;0,0;0,5\nMT;1,5;0,0\n"]
)
def test_decimal_commas_are_refused(tmp_path, text):
    with pytest.raises(ArgumentError, match=r"w\.csv must be a readable .csv file; got .*decimal points"):
        load(tmp_path, text, "0 1\n1 0\n")


@pytest.mark.parametrize(
    "text",
    [
        "0,1\n1,0,2\n",
        "V1,0,1\nMT,1,0,2\n",
        "0,1\n1\n",
        "0,,1\n1,0,2\n2,1,0\n",
        "0,1\n1,0\n2,2\n3,3\n",
        "0,x\n1,0\n",
    ],
)
def test_broken_tables_are_refused(tmp_path, text):
    with pytest.raises(ArgumentError, match=r"Connectome.load: .*w\.csv must"):
        load(tmp_path, text, "0 1\n1 0\n")


def tvb(folder, centres, **options):
    """Write a folder of The Virtual Brain and load it."""
    (folder / "weights.txt").write_text(table(W, sign=" "))
    (folder / "tract_lengths.txt").write_text(table(L, sign=" "))
    (folder / "centres.txt").write_text(centres)
    return Connectome.load(folder, **options)


@pytest.mark.parametrize(
    "lines, labels",
    [
        (["V1 1 2 3", "MT 4.5 5 6", "FEF 7 8 -9"], NAMES),
        (["V1,1,2,3", "MT,4.5,5,6", "FEF,7,8,-9"], NAMES),
        (["label, x, y, z", "V1, 1, 2, 3", "MT, 4.5, 5, 6", "FEF, 7, 8, -9"], NAMES),
        (["11 1 2 3", "27 4.5 5 6", "35 7 8 -9"], ("11", "27", "35")),
        (["1 2 3", "4.5 5 6", "7 8 -9"], "012"),
        (["left V1 1 2 3", "MT 4.5 5 6", "FEF 7 8 -9"], ("left V1", "MT", "FEF")),
        (['"V1, left",1,2,3', '"MT",4.5,5,6', '"FEF",7,8,-9'], ("V1, left", "MT", "FEF")),
    ],
)
def test_centres(tmp_path, lines, labels):
    c = tvb(tmp_path, "\n".join(lines) + "\n")
    np.testing.assert_array_equal(c.centres.mantissa, [[1, 2, 3], [4.5, 5, 6], [7, 8, -9]])
    check(c, labels)


@pytest.mark.parametrize(
    "lines",
    [
        ["V1 1,5 2,5 3,5", "MT 4 5 6", "FEF 7 8 9"],
        ["V1;1,5;2;3", "MT;4;5;6", "FEF;7;8;9"],
        ["1,5 2,5 3,5", "4 5 6", "7 8 9"],
        ["V1 1 2", "MT 4 5", "FEF 7 8"],
        ["V1 1 2 3 4", "MT 4 5 6 7", "FEF 7 8 9 1"],
        ["V1 1 2 3", "4 5 6", "FEF 7 8 9"],
        ["V1 1 2 3", "MT 4 5 x", "FEF 7 8 9"],
        ["V1 1 2 3", "MT 4 5 6"],
    ],
)
def test_broken_centres_are_refused(tmp_path, lines):
    with pytest.raises(ArgumentError, match="Connectome.load: "):
        tvb(tmp_path, "\n".join(lines) + "\n")


def test_centres_are_matched_to_named_weights(tmp_path):
    (tmp_path / "weights.csv").write_text(table(W, NAMES))
    (tmp_path / "lengths.csv").write_text(table(L))
    (tmp_path / "centres.csv").write_text("FEF,7,8,9\nV1,1,2,3\nMT,4,5,6\n")
    c = Connectome.load(tmp_path)
    np.testing.assert_array_equal(c.centres.mantissa, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])


def test_lengths_may_be_straight_lines_between_centres(tmp_path):
    c = tvb(tmp_path, "V1 0 0 0\nMT 3 4 0\nFEF 0 0 9\n", lengths="centres")
    np.testing.assert_allclose(c.lengths.mantissa[0], [0, 5, 9])
    made = Connectome(W, "centres", centres=c.centres)
    np.testing.assert_array_equal(made.lengths.mantissa, c.lengths.mantissa)
    with pytest.raises(
        ArgumentError, match="Connectome.lengths: can be 'centres' only where there are centers"
    ):
        Connectome(W, "centres")
    with pytest.raises(
        ArgumentError, match="must be one of 'centres'; got 'centers'. Did you mean 'centres'"
    ):
        Connectome(W, "centers", centres=c.centres)
    (tmp_path / "tract_lengths.txt").unlink()
    with pytest.raises(ArgumentError, match="or pass lengths='centres' for lines between the centers"):
        Connectome.load(tmp_path)


@pytest.mark.parametrize(
    "encoding, word", [("latin-1", "Pré"), ("cp1252", "Pré"), ("utf-16", "Pré"), ("utf-8", "Pré")]
)
def test_any_encoding_can_be_named(tmp_path, encoding, word):
    text = table(W, (word, "MT", "FEF"))
    (tmp_path / "w.csv").write_text(text, encoding=encoding)
    (tmp_path / "l.csv").write_text(table(L), encoding=encoding)
    check(Connectome.load(tmp_path / "w.csv", tmp_path / "l.csv", encoding=encoding), (word, "MT", "FEF"))
    if encoding != "utf-8":
        with pytest.raises(
            ArgumentError, match=r"w\.csv must be text in utf-8; got .* Pass encoding='latin-1'"
        ):
            Connectome.load(tmp_path / "w.csv", tmp_path / "l.csv")


def test_a_value_can_stand_for_no_connection(tmp_path):
    weights = np.where(W == 0, -1, W)
    check(load(tmp_path, table(weights), missing=-1), "012")
    check(load(tmp_path, table(np.where(W == 0, np.nan, W)), missing=np.nan), "012")
    with pytest.raises(ArgumentError, match=r"must not be negative; got -1\.0"):
        load(tmp_path, table(weights))
    lengths = np.where(W == 0, -1, L)
    loaded = load(tmp_path, table(weights), table(lengths), missing=-1)
    np.testing.assert_array_equal(loaded.delays(2.0).mantissa, np.where(W == 0, 0, L / 2))


HALF = np.array([[0.5, 1.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
FULL = np.array([[0.5, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]])


@pytest.mark.parametrize("turn", [np.asarray, np.transpose])
@pytest.mark.parametrize("lengths", [np.triu, np.asarray])
def test_one_triangle_warns_and_is_mirrored_on_request(tmp_path, turn, lengths):
    both = L + L.T
    files = table(turn(HALF)), table(turn(lengths(both)))
    with pytest.warns(UserWarning, match="fill only one triangle.*symmetric=True"):
        load(tmp_path, *files)
    c = load(tmp_path, *files, symmetric=True)
    np.testing.assert_array_equal(c.weights, FULL)
    assert c.is_symmetric and c.lengths.mantissa[1, 0] == c.lengths.mantissa[0, 1] == both[0, 1]
    np.testing.assert_array_equal(load(tmp_path, *files, symmetric=False).weights, turn(HALF))


def test_weights_said_to_be_symmetric_must_be(tmp_path, recwarn):
    with pytest.raises(ArgumentError, match="Connectome.load.symmetric: must be False or None for weights"):
        load(tmp_path, table(W), symmetric=True)
    np.testing.assert_array_equal(load(tmp_path, table(FULL), symmetric=True).weights, FULL)
    load(tmp_path, "0,0\n2,0", "0,1\n1,0")  # of two regions one may well not answer
    assert not recwarn


def test_numbers_in_another_order_are_names(tmp_path):
    """Labels that count, beside the same ones in another order."""
    weights, lengths = tmp_path / "w.csv", tmp_path / "l.csv"
    weights.write_text(",1,2,3\n1,0,1,2\n2,3,0,4\n3,5,6,0\n")
    lengths.write_text(",3,1,2\n3,0,50,60\n1,20,0,10\n2,40,30,0\n")
    found = Connectome.load(weights, lengths).lengths.to_decimal(u.mm)
    np.testing.assert_array_equal(found, [[0, 10, 20], [30, 0, 40], [50, 60, 0]])
