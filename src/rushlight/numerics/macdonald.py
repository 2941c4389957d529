"""The modified Bessel functions K of orders 0 and 1.

Up to 2 a logarithm and a polynomial (DLMF 10.31.1), beyond it a polynomial in 1 / x of what is left without the exponential
and the root.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.numerics.bessel import i0_near, i1_near
from rushlight.numerics.pieces import everywhere, piecewise
from rushlight.numerics.polynomials import on_interval

#: K0(x) + log(x / 2) I0(x), of x^2 on [0, 4]
K0_NEAR = (
    -0.30362077291575545,
    0.3404973210133806,
    0.07177701034240512,
    0.005053392643196092,
    0.00018280555827901256,
    4.054506619949891e-06,
    6.093361934166155e-08,
    6.623013272794453e-10,
    5.452107588016936e-12,
    3.518631515854722e-14,
    1.8282990225962873e-16,
)

#: x (K1(x) - log(x / 2) I1(x)), of x^2 on [0, 4]
K1_NEAR = (
    0.8850882877295894,
    -0.3322409552403131,
    -0.24383852886774365,
    -0.02785423521977184,
    -0.0013831688466153064,
    -3.891869064371633e-05,
    -7.081133770184678e-07,
    -9.032127501740678e-09,
    -8.53273511404978e-11,
    -6.214271617329577e-13,
    -3.5962181014457795e-15,
)

#: sqrt(x) exp(x) K0(x), of 2 / x on [0, 1]
K0_FAR = (
    1.2185953385133905,
    -0.03107146182488956,
    0.003032891810273794,
    -0.00047976905676172516,
    9.956054749305854e-05,
    -2.473520470025926e-05,
    7.002244287487694e-06,
    -2.1911758052676744e-06,
    7.427932208028755e-07,
    -2.6892248671184386e-07,
    1.0287980689458582e-07,
    -4.126078580596855e-08,
    1.731622598181986e-08,
    -7.539817679119423e-09,
    3.170629957994259e-09,
    -1.3806246402870368e-09,
    1.0573777917720047e-09,
    -6.304229346998433e-10,
    -2.426111314423373e-10,
    2.4099061000287124e-10,
    3.883027499295913e-10,
    -2.7839866456683264e-10,
    -1.5750973144552285e-10,
    1.126316337254519e-10,
    4.4463261136368365e-11,
    -2.907778759714522e-11,
)

#: sqrt(x) exp(x) K1(x), of 2 / x on [0, 1]
K1_FAR = (
    1.363151890371342,
    0.10334973775386527,
    -0.005566729880072931,
    0.0007357241549032677,
    -0.00013959021964175084,
    3.2843865708633974e-05,
    -8.961205912549711e-06,
    2.7300392852920254e-06,
    -9.067229884830243e-07,
    3.229983779937386e-07,
    -1.2195093824501613e-07,
    4.837695851929297e-08,
    -2.0109398585523846e-08,
    8.683982534096674e-09,
    -3.639264909950171e-09,
    1.5795148419022103e-09,
    -1.180097808498307e-09,
    6.970364983934073e-10,
    2.560533082941635e-10,
    -2.5722618233906385e-10,
    -4.2190635517826636e-10,
    3.015605420609579e-10,
    1.704297529665342e-10,
    -1.216604821004258e-10,
    -4.829107281627596e-11,
    3.150534991423443e-11,
)


def _near(coefficients: tuple, x: Any) -> Any:
    return on_interval(coefficients, x * x, 0.0, 4.0)


def _far(coefficients: tuple, x: Any) -> Any:
    """exp(x) K(x)."""
    return on_interval(coefficients, 2 / x, 0.0, 1.0) / np.sqrt(x)


def _k0_near(x: Any) -> Any:
    return _near(K0_NEAR, x) - np.log(x / 2) * (i0_near(x) * np.exp(x))


def _k1_near(x: Any) -> Any:
    return _near(K1_NEAR, x) / x + np.log(x / 2) * (i1_near(x) * np.exp(x))


_INF = {0.0: math.inf}
_k0 = piecewise({0.0: _k0_near, 2.0: lambda x: _far(K0_FAR, x) * np.exp(-x)}, at=_INF)
_k1 = piecewise({0.0: _k1_near, 2.0: lambda x: _far(K1_FAR, x) * np.exp(-x)}, at=_INF)
_k0e = piecewise({0.0: lambda x: _k0_near(x) * np.exp(x), 2.0: lambda x: _far(K0_FAR, x)}, at=_INF)
_k1e = piecewise({0.0: lambda x: _k1_near(x) * np.exp(x), 2.0: lambda x: _far(K1_FAR, x)}, at=_INF)


@everywhere
def k0(x: Any) -> Any:
    """K of order 0: inf at 0, nan below."""
    return _k0(x)


@everywhere
def k1(x: Any) -> Any:
    """K of order 1: inf at 0, nan below."""
    return _k1(x)


@everywhere
def k0e(x: Any) -> Any:
    """exp(x) K0(x)."""
    return _k0e(x)


@everywhere
def k1e(x: Any) -> Any:
    """exp(x) K1(x)."""
    return _k1e(x)
