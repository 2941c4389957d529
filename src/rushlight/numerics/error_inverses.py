"""The inverse of the error function, and the quantiles of the normal distribution.

Up to 3/4 a polynomial in y^2. Beyond it the equation is erfc(x) = 1 - |y| = q, whose right side is exact, and the solution
nearly r = sqrt(-log q), times a polynomial in r (as J. M. Blair, C. A. Edwards and J. H. Johnson, "Rational Chebyshev
approximations for the inverse of the error function", Mathematics of Computation 30, 1976, cut it up).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.numerics.pieces import everywhere, piecewise
from rushlight.numerics.polynomials import on_interval

#: erfinv(y) / y, of y^2 on [0, 9/16]
INVERSE_NEAR = (
    0.9640216376238271,
    0.09346781082872306,
    0.01969115624149996,
    0.005173013414372171,
    0.0015097228866488097,
    0.00046854907963163626,
    0.00015139579317223367,
    5.032914061183625e-05,
    1.708827086911536e-05,
    5.89735891326536e-06,
    2.061807634088785e-06,
    7.28484969123913e-07,
    2.596288868961427e-07,
    9.322001147883449e-08,
    3.374168207932262e-08,
    1.2266623863516067e-08,
    4.386566807482245e-09,
    1.599223464944999e-09,
    6.838709701559696e-10,
    2.5861615718351835e-10,
    3.245116842299275e-11,
    9.583488994134202e-12,
    2.768219840342242e-11,
    1.0753802925519325e-11,
)

#: x / r on [1.125, 2.5]
INVERSE_TAIL = (
    0.811852581710228,
    0.08968998955537072,
    -0.032399433980958244,
    0.010103827607290183,
    -0.0027754694958419487,
    0.00065397249235532,
    -0.00011801334653614002,
    7.4034465383401966e-06,
    6.437939091762321e-06,
    -4.230465158295596e-06,
    1.7572284766277762e-06,
    -5.848649633797751e-07,
    1.608847736674279e-07,
    -3.413279221889212e-08,
    3.496191448150348e-09,
    1.4656797265407537e-09,
    -1.2117628502013495e-09,
    5.364452857601487e-10,
    -1.9186917700629713e-10,
    7.149052525197303e-11,
    -1.9306561165335275e-11,
    -2.0851635454958873e-12,
    2.107522758666678e-12,
)

#: x / r on [2.5, 6.5]
INVERSE_FAR = (
    0.9480609104437537,
    0.035492776748909875,
    -0.0189742553071124,
    0.00918700172827198,
    -0.004203731637497816,
    0.0018498992957831195,
    -0.0007894768306859864,
    0.0003280786457177282,
    -0.00013297369112041303,
    5.2557637388842456e-05,
    -2.0221044446628315e-05,
    7.5442975321324834e-06,
    -2.7110266959062858e-06,
    9.269668436469175e-07,
    -2.9470723856559943e-07,
    8.289503860832924e-08,
    -1.741486065934733e-08,
    -3.147817261843094e-10,
    3.030242439350853e-09,
    -1.8328220097405206e-09,
    1.2025123965963387e-09,
    -1.1673131099073967e-09,
    5.33143703529524e-10,
    5.196687394285313e-11,
    -8.457152806237443e-12,
    -9.77252334545905e-11,
    3.80391720559298e-11,
)

#: x / r, of 6.5 / r on [0.2, 1]
INVERSE_OUT = (
    0.9873666273555384,
    -0.014039462909413998,
    -0.002821591789842651,
    0.00040588591031907135,
    -6.945753259071854e-05,
    1.8673357187391964e-05,
    -6.27273142860018e-06,
    2.38836303653299e-06,
    -9.937261266145847e-07,
    4.412060810254766e-07,
    -2.0574730619313224e-07,
    9.978085966944659e-08,
    -4.991725341445006e-08,
    2.5251636948978785e-08,
    -1.3065763113279956e-08,
    8.054745344787977e-09,
    -4.750545460398858e-09,
    1.44915323403401e-10,
    5.892404475719062e-10,
    3.644500640829715e-09,
    -2.875804966534169e-09,
    -2.8999591136504245e-09,
    2.3434311224636703e-09,
    2.2330023261136378e-09,
    -1.668749363226137e-09,
    -8.885916754273261e-10,
    6.412132593390078e-10,
    1.946657888368134e-10,
    -1.326107455397725e-10,
)


def _near(y: Any) -> Any:
    return y * on_interval(INVERSE_NEAR, y * y, 0.0, 0.5625)


#: x, of r
_falling = piecewise(
    {
        1.125: lambda r: r * on_interval(INVERSE_TAIL, r, 1.125, 2.5),
        2.5: lambda r: r * on_interval(INVERSE_FAR, r, 2.5, 6.5),
        6.5: lambda r: r * on_interval(INVERSE_OUT, 6.5 / r, 0.2, 1.0),
    },
    at={math.inf: math.inf},
)


def _tail(q: Any) -> Any:
    """The x with erfc(x) = q, for q up to 1/4; infinite at 0."""
    return _falling(np.sqrt(-np.log(q)))


_positive = piecewise({0.0: _near, 0.75: lambda y: _tail(1 - y)})


@everywhere
def erfinv(y: Any) -> Any:
    """The x with erf(x) = y; infinite at -1 and 1, nan beyond."""
    return np.copysign(_positive(np.abs(y)), y)


_quantile = piecewise(
    {
        0.0: lambda p: -math.sqrt(2) * _tail(2 * p),
        0.125: lambda p: math.sqrt(2) * _near(2 * p - 1),
        0.875: lambda p: math.sqrt(2) * _tail(2 * (1 - p)),
    }
)


@everywhere
def ndtri(p: Any) -> Any:
    """The quantile of the normal distribution: the x with P(X <= x) = p; infinite at 0 and 1, nan beyond."""
    return _quantile(p)
