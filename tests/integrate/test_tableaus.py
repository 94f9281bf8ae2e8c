"""Order conditions of the pairs and of their continuous extensions."""

import numpy as np
import pytest

from brainmass_delays.integrate.tableaus import METHODS

EXTENSION_ORDER = {"dopri5": 4, "tsit5": 4, "bosh3": 3, "heun21": 2}


def matrix(tableau):
    a = np.zeros((len(tableau.nodes),) * 2)
    for i, row in enumerate(tableau.stages, 1):
        a[i, : len(row)] = row
    return a


@pytest.mark.parametrize("name", METHODS)
def test_order_conditions(name):
    tableau = METHODS[name]
    a, c, e = matrix(tableau), np.array(tableau.nodes), np.array(tableau.error)
    b = a[-1]
    np.testing.assert_allclose(a.sum(1), c, atol=1e-14)
    for k in range(tableau.order):
        assert np.isclose(b @ c**k, 1 / (k + 1), atol=1e-14)
    for k in range(tableau.order - 1):
        np.testing.assert_allclose(e @ c**k, 0, atol=1e-14)
    for k in range(1, tableau.order - 1):  # trees with one branching below the root
        assert np.isclose(b @ a @ c**k, 1 / ((k + 1) * (k + 2)), atol=1e-14)
    assert abs(e @ c ** (tableau.order - 1)) > 1e-4 or abs(e @ a @ c ** (tableau.order - 2)) > 1e-4


@pytest.mark.parametrize("name", METHODS)
def test_extension_joins_values_and_slopes_and_has_its_order(name):
    tableau = METHODS[name]
    dense, c = np.array(tableau.dense), np.array(tableau.nodes)
    power = np.arange(1, tableau.degree + 1)
    np.testing.assert_allclose(dense.sum(1), matrix(tableau)[-1], atol=1e-13)
    np.testing.assert_allclose(dense[:, 0], np.eye(len(c))[0], atol=1e-13)
    np.testing.assert_allclose(dense @ power, np.eye(len(c))[-1], atol=1e-13)
    for k in range(EXTENSION_ORDER[name]):
        np.testing.assert_allclose(c**k @ dense, np.where(power == k + 1, 1 / (k + 1), 0), atol=1e-13)
