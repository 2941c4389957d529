"""How samples move with the parameters they were drawn for: the implicit derivatives of gamma and Dirichlet samples.

Of x with distribution function F(x; a) it is -(dF/da) / (dF/dx): M. Figurnov, S. Mohamed and A. Mnih, "Implicit
reparameterization gradients", NeurIPS 31 (2018). The approximations, each for its region, and their fitted coefficients
are those that PyTorch uses, so that gradients agree; all is float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.numerics.gamma import digamma

Array = np.ndarray


def _by_region(regions: list, *operands: Any) -> Array:
    """The value of the first region that an element lies in; each is a pair (mask, function of the operands)."""
    arrays = np.broadcast_arrays(*operands)
    out = np.empty(arrays[0].shape)
    left = np.ones(out.shape, bool)
    for mask, f in regions:
        here = left & mask
        if here.any():
            out[here] = f(*[a[here] for a in arrays])
        left &= ~mask
    return out


# ---- gamma ----


def gamma_slope(alpha: Any, x: Any) -> Array:
    """d x / d alpha for a sample x of the gamma distribution of shape alpha."""
    alpha, x = np.broadcast_arrays(np.asarray(alpha, np.float64), np.asarray(x, np.float64))
    with np.errstate(all="ignore"):
        near = (0.9 * alpha <= x) & (x <= 1.1 * alpha)
        return _by_region(
            [
                (x < 0.8, _gamma_small),
                ((alpha > 8) & near, _gamma_middle),
                (alpha > 8, _gamma_large),
                (np.True_, _gamma_rational),
            ],
            alpha,
            x,
        )


def _gamma_small(alpha: Array, x: Array) -> Array:
    """Taylor's series of the distribution function and of its derivative by alpha."""
    numer, denom = np.ones_like(x), alpha.copy()
    series1, series2 = numer / denom, numer / (denom * denom)
    for i in range(1, 6):
        numer = numer * (-x / i)
        denom = denom + 1
        series1 = series1 + numer / denom
        series2 = series2 + numer / (denom * denom)
    power = x**alpha
    density = x ** (alpha - 1) * np.exp(-x)
    slope = (np.log(x) - digamma(alpha)) * power * series1 - power * series2
    result = -slope / density
    return np.where(np.isnan(result), 0.0, result)


def _gamma_middle(alpha: Array, x: Array) -> Array:
    """Rice's saddle point expansion at its removable singularity, x = alpha."""
    numer1 = 1 + 24 * alpha * (1 + 12 * alpha)
    numer2 = 1440 * alpha**2 + 6 * x * (53 - 120 * x) - 65 * x * x / alpha + alpha * (107 + 3600 * x)
    return numer1 * numer2 / (1244160 * (alpha * alpha) * (alpha * alpha))


def _gamma_large(alpha: Array, x: Array) -> Array:
    """Rice's saddle point expansion."""
    denom = np.sqrt(8 * alpha)
    term2 = denom / (alpha - x)
    term3 = (x - alpha - alpha * np.log(x / alpha)) ** -1.5
    term23 = np.where(x < alpha, term2 - term3, term2 + term3)
    term1 = np.log(x / alpha) * term23 - np.sqrt(2 / alpha) * (alpha + x) / (alpha - x) ** 2
    stirling = 1 + 1 / (12 * alpha) * (1 + 1 / (24 * alpha))
    return -stirling * x * term1 / denom


#: coefficients by power of log(x / alpha) and, along a row, of log(alpha): four of the numerator, four of the denominator
_GAMMA = np.array(
    [
        [0.16009398, -0.094634809, 0.025146376, -0.0030648343, 1, 0.32668115, 0.10406089, 0.0014179084],
        [0.53487893, 0.1298071, 0.065735949, -0.0015649758, 0.16639465, 0.020070113, -0.0035938915, -0.00058392623],
        [0.040121004, -0.0065914022, -0.0026286047, -0.0013441777, 0.017050642, -0.0021309326, 0.00085092367, -1.5247877e-07],
    ]
)  # fmt: skip


def _gamma_rational(alpha: Array, x: Array) -> Array:
    u, v = np.log(x / alpha), np.log(alpha)
    c = [low + u * (middle + u * high) for low, middle, high in _GAMMA.T]
    p = c[0] + v * (c[1] + v * (c[2] + v * c[3]))
    q = c[4] + v * (c[5] + v * (c[6] + v * c[7]))
    return np.exp(p / q)


# ---- Dirichlet ----


def dirichlet_slope(x: Any, alpha: Any, total: Any) -> Array:
    """d x / d alpha, over 1 - x, for a coordinate x of a Dirichlet sample whose concentrations sum to `total`."""
    x, alpha, total = np.broadcast_arrays(*[np.asarray(v, np.float64) for v in (x, alpha, total)])
    with np.errstate(all="ignore"):
        beta = total - alpha
        boundary = total * x * (1 - x)
        mean = alpha / total
        spread = np.sqrt(alpha * beta / (total + 1)) / total
        large = (alpha > 6) & (beta > 6)
        near = (mean - 0.1 * spread <= x) & (x <= mean + 0.1 * spread)
        return _by_region(
            [
                ((x <= 0.5) & (boundary < 2.5), _beta_small),
                ((x >= 0.5) & (boundary < 0.75), lambda x, a, b: -_beta_other_small(1 - x, b, a)),
                (large & near, _beta_middle),
                (large, _beta_large),
                (np.True_, _beta_rational),
            ],
            x,
            alpha,
            beta,
        )


def _beta_small(x: Array, alpha: Array, beta: Array) -> Array:
    """Taylor's series at x = 0 of the derivative by alpha."""
    factor = digamma(alpha) - digamma(alpha + beta) - np.log(x)
    numer = np.ones_like(x)
    series = numer / alpha * (factor + 1 / alpha)
    for i in range(1, 11):
        numer = numer * ((i - beta) * x / i)
        denom = alpha + i
        series = series + numer / denom * (factor + 1 / denom)
    result = x * (1 - x) ** -beta * series
    return np.where(np.isnan(result), 0.0, result)


def _beta_other_small(x: Array, alpha: Array, beta: Array) -> Array:
    """Taylor's series at x = 0 of the derivative by beta."""
    factor = digamma(alpha + beta) - digamma(beta)
    numer, betas, slopes = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    series = factor / alpha
    for i in range(1, 9):
        numer = numer * (-x / i)
        slopes = slopes * (beta - i) + betas
        betas = betas * (beta - i)
        series = series + numer / (alpha + i) * (slopes + factor * betas)
    result = -((1 - x) ** (1 - beta)) * series
    return np.where(np.isnan(result), 0.0, result)


def _beta_middle(x: Array, alpha: Array, beta: Array) -> Array:
    """Rice's saddle point expansion at its removable singularity, the mean."""
    total = alpha + beta
    poly = 47 * x * beta**4 + alpha * (
        (43 + 20 * (16 + 27 * beta) * x) * beta**3
        + alpha
        * (
            3 * (59 + 180 * beta - 90 * x) * beta**2
            + alpha
            * ((453 + 1620 * beta * (1 - x) - 455 * x) * beta + alpha * (8 * (1 - x) * (135 * beta - 11)))
        )
    )
    numer = (1 + 12 * alpha) * (1 + 12 * beta) / (total * total)
    denom = 12960 * alpha**3 * beta**2 * (1 + 12 * total)
    return numer / (1 - x) * poly / denom


def _beta_large(x: Array, alpha: Array, beta: Array) -> Array:
    """Rice's saddle point expansion."""
    total = alpha + beta
    scale = -x / np.sqrt(2 * alpha * beta / total)
    stirling = _stirling(alpha) * _stirling(beta) / _stirling(total)
    away = alpha * (x - 1) + beta * x
    term1 = (2 * alpha**2 * (x - 1) + alpha * beta * (x - 1) - x * beta**2) / (
        np.sqrt(2 * alpha / beta) * total**1.5 * away**2
    )
    term2 = 0.5 * np.log(alpha / (total * x))
    term3 = np.sqrt(8 * alpha * beta / total) / away
    term4 = (beta * np.log(beta / (total * (1 - x))) + alpha * np.log(alpha / (total * x))) ** -1.5
    return stirling * scale * (term1 + term2 * (term3 + np.where(x < alpha / total, term4, -term4)))


def _stirling(a: Array) -> Array:
    return 1 + 1 / (12 * a) + 1 / (288 * a * a)


#: numerator and denominator, by power of log(x), of log(alpha) - log(x), and of the rest
_DIRICHLET = np.array(
    [
        [
            [[1.003668233, -0.01061107488, -0.0657888334, 0.01201642863],
             [0.6336835991, -0.3557432599, 0.05486251648, -0.001465281033],
             [-0.03276231906, 0.004474107445, 0.002429354597, -0.0001557569013]],
            [[0.221950385, -0.3187676331, 0.01799915743, 0.01074823814],
             [-0.2951249643, 0.06219954479, 0.01535556598, 0.001550077057],
             [0.02155310298, 0.004170831599, 0.001292462449, 6.976601077e-05]],
            [[-0.05980841433, 0.008441916499, 0.01085618172, 0.002319392565],
             [0.02911413504, 0.01400243777, -0.002721828457, 0.000751041181],
             [0.005900514878, -0.001936558688, -9.495446725e-06, 5.385558597e-05]],
        ],
        [
            [[1, -0.02924021934, -0.04438342661, 0.007285809825],
             [0.6357567472, -0.3473456711, 0.05454656494, -0.002407477521],
             [-0.03301322327, 0.004845219414, 0.00231480583, -0.0002307248149]],
            [[0.5925320577, -0.1757678135, 0.01505928619, 0.000564515273],
             [0.1014815858, -0.06589186703, 0.01272886114, -0.0007316646956],
             [-0.007258481865, 0.001096195486, 0.0003934994223, -4.12701925e-05]],
            [[0.06469649321, -0.0236701437, 0.002902096474, -5.896963079e-05],
             [0.001925008108, -0.002869809258, 0.0008000589141, -6.063713228e-05],
             [-0.0003477407336, 6.959756487e-05, 1.097287507e-05, -1.650964693e-06]],
        ],
    ]
)  # fmt: skip


def _beta_rational(x: Array, alpha: Array, beta: Array) -> Array:
    """A rational correction, fitted, of an analytic approximation."""
    total = alpha + beta
    u = np.log(x)
    a = np.log(alpha) - u
    b = np.log(total) - a
    powers = [
        [sum(c * (u**i * a**j) * b**k for i, rows in enumerate(half) for j, row in enumerate(rows) for k, c in enumerate(row))]
        for half in _DIRICHLET
    ]  # fmt: skip
    rough = x * (digamma(total) - digamma(alpha)) / beta
    return powers[0][0] / powers[1][0] * rough
