"""Embedded explicit Runge-Kutta pairs whose last stage is the first of the next step.

References
----------
.. [1] J. R. Dormand, P. J. Prince. A family of embedded Runge-Kutta formulae.
   J. Comput. Appl. Math. 6 (1980) 19-26.
.. [2] L. F. Shampine. Some practical Runge-Kutta formulas. Math. Comput. 46 (1986) 135-150.
.. [3] P. Bogacki, L. F. Shampine. A 3(2) pair of Runge-Kutta formulas. Appl. Math. Lett. 2 (1989) 321-325.
.. [4] Ch. Tsitouras. Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption.
   Comput. Math. Appl. 62 (2011) 770-775.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tableau:
    """Hold the coefficients of an embedded pair and of its continuous extension.

    Parameters
    ----------
    order : int
        Order of the solution that is propagated.
    nodes : tuple of float
        Stage times ``c``, in units of the step; the last is 1.
    stages : tuple of tuple of float
        Strictly lower triangle ``a``, one row per stage after the first; the last row holds the weights.
    error : tuple of float
        Weights of the solution minus those of the embedded one, of order ``order - 1``.
    dense : tuple of tuple of float
        ``dense[i][j]`` multiplies ``theta**(j + 1)`` in the weight of stage i at ``t + theta h``.
    """

    order: int
    nodes: tuple
    stages: tuple
    error: tuple
    dense: tuple

    @property
    def degree(self) -> int:
        """Degree of the continuous extension."""
        return len(self.dense[0])


DOPRI5 = Tableau(
    order=5,
    nodes=(0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    stages=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    error=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    dense=(
        (1.0, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799),
        (0.0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072),
        (0.0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632),
        (0.0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844),
        (0.0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423),
    ),
)


def _tsit5_dense():
    """Expand the factored weights of [4] into powers of theta."""
    factored = (  # a constant, a polynomial, and the power of theta that multiplies them
        (
            -1.0530884977290216,
            np.polymul([1, -1.3299890189751412], [1, -1.4364028541716351, 0.7139816917074209]),
            1,
        ),
        (0.1017, [1, -2.1966568338249754, 1.2949852507374631], 2),
        (2.490627285651252793, [1, -2.38535645472061657, 1.57803468208092486], 2),
        (-16.54810288924490272, np.poly([1.21712927295533244, 0.61620406037800089]), 2),
        (47.37952196281928122, np.poly([1.203071208372362603, 0.658047292653547382]), 2),
        (-34.87065786149660974, np.poly([1.2, 2 / 3]), 2),
        (2.5, np.poly([1.0, 0.6]), 2),
    )
    rows = []
    for constant, polynomial, power in factored:
        ascending = np.concatenate([np.zeros(power), constant * np.asarray(polynomial)[::-1]])
        rows.append(tuple(float(x) for x in ascending[1:]))
    return tuple(rows)


TSIT5 = Tableau(
    order=5,
    nodes=(0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    stages=(
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
        ),
    ),
    error=(
        0.001780011052226,
        0.000816434459657,
        -0.007880878010262,
        0.144711007173263,
        -0.582357165452555,
        0.458082105929187,
        -1 / 66,
    ),
    dense=_tsit5_dense(),
)

BOSH3 = Tableau(
    order=3,
    nodes=(0.0, 1 / 2, 3 / 4, 1.0),
    stages=((1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    error=(-5 / 72, 1 / 12, 1 / 9, -1 / 8),
    dense=((1.0, -4 / 3, 5 / 9), (0.0, 1.0, -2 / 3), (0.0, 4 / 3, -8 / 9), (0.0, -1.0, 1.0)),
)

HEUN21 = Tableau(  # the third stage serves the cubic Hermite extension and is the first of the next step
    order=2,
    nodes=(0.0, 1.0, 1.0),
    stages=((1.0,), (1 / 2, 1 / 2)),
    error=(-1 / 2, 1 / 2, 0.0),
    dense=((1.0, -1 / 2, 0.0), (0.0, 3 / 2, -1.0), (0.0, -1.0, 1.0)),
)

METHODS = {"dopri5": DOPRI5, "tsit5": TSIT5, "bosh3": BOSH3, "heun21": HEUN21}
