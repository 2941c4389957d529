"""The Bessel functions J and Y of orders 0 and 1.

Up to 5 they are power series (DLMF 10.2.2 and 10.8.1) made polynomials, beyond it waves whose amplitude and phase are
such (DLMF 10.17.3 and 10.17.4). The sines are those of x itself, so that x may be as large as it likes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.numerics.pieces import everywhere, piecewise
from rushlight.numerics.polynomials import on_interval

#: the zero of J0 below 5, to twice float64's digits
J0_ROOT, J0_TAIL = 2.404825557695773, -1.176691651530894e-16

#: J0(x) / (x^2 - root^2), of x^2 on [0, 25]
J0_NEAR = (
    -0.05728080421634534,
    0.07436630462755323,
    -0.03277786210789048,
    0.0073758943041960226,
    -0.001013405346985002,
    9.414473580694953e-05,
    -6.3193186183226215e-06,
    3.211562353433063e-07,
    -1.2795360168830179e-08,
    4.105688303721103e-10,
    -1.0840781056083564e-11,
    2.399602248240359e-13,
    -4.50857521753263e-15,
)

#: Y0(x) - 2 / pi log(x) J0(x), of x^2 on [0, 25]
Y0_NEAR = (
    0.4837248578102995,
    -0.4326558222855125,
    -0.4705763655297288,
    0.38851639956570944,
    -0.11151682184328618,
    0.01763534538933876,
    -0.0018028096665526022,
    0.0001299462909208217,
    -6.9855043677424995e-06,
    2.9142206889637085e-07,
    -9.720964498735147e-09,
    2.6539975248625817e-10,
    -6.0431800819704165e-12,
    1.166603953074689e-13,
    -1.9305329340667354e-15,
)

#: how J0 swings with cos(x - pi / 4), of (5 / x)^2 on [0, 1]
P0 = (
    0.9986347659091991,
    -0.0013274931272003313,
    3.491730581229512e-05,
    -2.4599633256229834e-06,
    2.975900629430181e-07,
    -5.086425025341196e-08,
    1.1058682219000378e-08,
    -2.8711262583427698e-09,
    8.544152887023166e-10,
    -2.8265466982174973e-10,
    1.0191508497211766e-10,
    -4.181336270479956e-11,
    1.8373810451456744e-11,
    -3.750025643929089e-12,
    2.1931201402196116e-13,
    -5.624489390465273e-12,
    4.0779588334052074e-12,
    2.2845093116070298e-12,
    -1.821097317306846e-12,
    -9.515579929513839e-13,
    6.51062353155722e-13,
)

#: and with the sine, times x
Q0 = (
    -0.12361496352611864,
    0.0013142139729102344,
    -6.338715442540051e-05,
    6.2391131708423525e-06,
    -9.40987520803132e-07,
    1.8870294715711904e-07,
    -4.639797715844827e-08,
    1.3296943358640503e-08,
    -4.294368348360579e-09,
    1.5258161041817371e-09,
    -5.862170579421123e-10,
    2.440998816068159e-10,
    -1.0837651076352932e-10,
    3.896749450754265e-11,
    -1.2965859020391605e-11,
    2.9014277796301507e-11,
    -2.37864975966667e-11,
    -2.0612155695717325e-11,
    2.0657575888936995e-11,
    2.0992212280542057e-11,
    -1.8267787260921326e-11,
    -9.774408113743012e-12,
    8.20847311420223e-12,
    2.459103337306835e-12,
    -1.907874992177123e-12,
)

#: the zero of J1 below 5, to twice float64's digits
J1_ROOT, J1_TAIL = 3.8317059702075125, -1.5269184090088067e-16

#: J1(x) / x / (x^2 - root^2), of x^2 on [0, 25]
J1_NEAR = (
    -0.01587595431164548,
    0.013090777521810029,
    -0.004240225993395717,
    0.0007552540432951287,
    -8.592956232073762e-05,
    6.814683895176615e-06,
    -3.991381169521328e-07,
    1.799515992541992e-08,
    -6.44313098846173e-10,
    1.8773810470060388e-11,
    -4.540044272545434e-13,
    9.268689637917528e-15,
    -1.6162359403482695e-16,
)

#: (Y1(x) - 2 / pi log(x) J1(x) + 2 / (pi x)) / x, of x^2 on [0, 25]
Y1_NEAR = (
    0.13974939033568806,
    0.09108650838448444,
    -0.16312020358118715,
    0.06634695354779108,
    -0.013433433740818165,
    0.0016688031328635942,
    -0.00014141835794484212,
    8.733098304848775e-06,
    -4.1137780795312436e-07,
    1.528890182573714e-08,
    -4.6013010745475043e-10,
    1.1448943838049981e-11,
    -2.397782341669183e-13,
    4.277907601247645e-15,
)

#: how J1 swings with cos(x - 3 pi / 4), of (5 / x)^2 on [0, 1]
P1 = (
    1.0022906462560661,
    0.0022414632139171184,
    -4.5782806531003885e-05,
    2.9786211095131944e-06,
    -3.4667187378144574e-07,
    5.791660152738369e-08,
    -1.2403104628317827e-08,
    3.1855729167256642e-09,
    -9.402939817177409e-10,
    3.091080225198094e-10,
    -1.108927614603866e-10,
    4.5237272906430027e-11,
    -1.9781279965851597e-11,
    4.1125471271175075e-12,
    -2.995763593914682e-13,
    5.953596538108049e-12,
    -4.304154903506887e-12,
    -2.4036126609094323e-12,
    1.9148548730825207e-12,
    1.004660039809726e-12,
    -6.863333451388602e-13,
)

#: and with the sine, times x
Q1 = (
    0.3730474331740802,
    -0.0018648496218412985,
    7.898094177982479e-05,
    -7.369927949050079e-06,
    1.0798853785133426e-06,
    -2.126673766725152e-07,
    5.164166764909547e-08,
    -1.4664617531347692e-08,
    4.702183018262095e-09,
    -1.6615826638063775e-09,
    6.388160722754042e-10,
    -2.6348003262529847e-10,
    1.0445383228062433e-10,
    -4.2048913732931504e-11,
    4.278589278661025e-11,
    -3.062067060921255e-11,
    -2.039013453968585e-11,
    2.1539415616397517e-11,
    2.5877109291721645e-11,
    -2.2003713333036773e-11,
    -1.2352892615960864e-11,
    1.023949945092237e-11,
    3.4004153675454155e-12,
    -2.5788653601169836e-12,
)


#: up to here the third term of the series, x^4 / 64, is nothing beside 1
_TINY = 1e-4


def _near(coefficients: tuple, x: Any) -> Any:
    return on_interval(coefficients, x * x, 0.0, 25.0)


def _j0_near(x: Any) -> Any:
    return ((x - J0_ROOT) - J0_TAIL) * (x + J0_ROOT) * _near(J0_NEAR, x)


def _j1_near(x: Any) -> Any:
    return x * (((x - J1_ROOT) - J1_TAIL) * (x + J1_ROOT) * _near(J1_NEAR, x))


def _y0_near(x: Any) -> Any:
    return 2 / math.pi * np.log(x) * _j0_near(x) + _near(Y0_NEAR, x)


def _y1_near(x: Any) -> Any:
    return 2 / math.pi * (np.log(x) * _j1_near(x) - 1 / x) + x * _near(Y1_NEAR, x)


def _wave(p: tuple, q: tuple, x: Any, rising: Any, falling: Any) -> Any:
    """P times one of the two waves and Q times the other, by the amplitude."""
    t = (5 / x) ** 2
    swing = on_interval(p, t, 0.0, 1.0) * rising + on_interval(q, t, 0.0, 1.0) / x * falling
    return swing / np.sqrt(math.pi * x)


# cos(x - pi / 4) and sin(x - pi / 4), times the root of 2, are sin x + cos x and sin x - cos x


def _j0_far(x: Any) -> Any:
    sin, cos = np.sin(x), np.cos(x)
    return _wave(P0, Q0, x, sin + cos, cos - sin)


def _j1_far(x: Any) -> Any:
    sin, cos = np.sin(x), np.cos(x)
    return _wave(P1, Q1, x, sin - cos, sin + cos)


def _y0_far(x: Any) -> Any:
    sin, cos = np.sin(x), np.cos(x)
    return _wave(P0, Q0, x, sin - cos, sin + cos)


def _y1_far(x: Any) -> Any:
    sin, cos = np.sin(x), np.cos(x)
    return _wave(P1, Q1, x, -(sin + cos), sin - cos)


_j0 = piecewise({0.0: lambda x: 1 - x * x / 4, _TINY: _j0_near, 5.0: _j0_far})
_j1 = piecewise({0.0: _j1_near, 5.0: _j1_far})
_y0 = piecewise({0.0: _y0_near, 5.0: _y0_far}, at={0.0: -math.inf})
_y1 = piecewise({0.0: _y1_near, 5.0: _y1_far}, at={0.0: -math.inf})


@everywhere
def j0(x: Any) -> Any:
    """The Bessel function of the first kind, of order 0; nan at infinity, as PyTorch's."""
    return _j0(np.abs(x))


@everywhere
def j1(x: Any) -> Any:
    """The Bessel function of the first kind, of order 1, which is odd."""
    return _j1(np.abs(x)) * np.copysign(1.0, x)


@everywhere
def y0(x: Any) -> Any:
    """The Bessel function of the second kind, of order 0: -inf at 0, nan below."""
    return _y0(x)


@everywhere
def y1(x: Any) -> Any:
    """The Bessel function of the second kind, of order 1: -inf at 0, nan below."""
    return _y1(x)


def spherical_j0(x: Any) -> Any:
    """sin(x) / x, 1 at 0 (DLMF 10.49.3), and 0 at infinity."""
    out = np.sin(x) / np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, np.where(np.isinf(x), 0.0, out))
