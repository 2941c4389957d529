"""The coefficients in `rushlight.codegen.maths`, computed with mpmath: `python benchmarks/maths_coefficients.py [names]`
prints polynomials, and with the one name `table` the text of `erfc_table.py`.

Each is a minimax polynomial by Remez's exchange (E. Ya. Remez, 1934; Cheney, "Introduction to Approximation Theory", 1966,
chapter 3) on a grid of Chebyshev points, at 60 digits: the largest of the weighted errors is as small as it can be.
Coefficients become float64 one after another, from the constant one, and those that follow make good what each rounding
costs. The base-2 logarithm of the error is printed above each.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import mpmath as mp

mp.mp.dps = 60


class Fit(NamedTuple):
    """What is approximated: f on [low, high] by a polynomial of that degree, |weight (f - p)| being what counts."""

    f: Callable
    degree: int
    low: float
    high: float
    weight: Callable = lambda x: 1
    rounded: int = (
        0  # so many coefficients are rounded before the others are found (0 must be outside the interval)
    )
    single: bool = False  # they are rounded to float32


def minimax(fit: Fit, known: Sequence) -> tuple[list, mp.mpf]:
    """The polynomial whose first coefficients are `known`, and the largest weighted error."""
    free = fit.degree + 1 - len(known)
    points = 24 * (free + 1)
    middle, half = (mp.mpf(fit.high) + fit.low) / 2, (mp.mpf(fit.high) - fit.low) / 2
    xs = [middle - half * mp.cos(mp.pi * i / (points - 1)) for i in range(points)]
    weights = [fit.weight(x) for x in xs]
    values = [fit.f(x) for x in xs]
    rest = [v - mp.polyval([*reversed(known), 0][:-1] or [0], x) for v, x in zip(values, xs)]
    chosen = [round(i * (points - 1) / free) for i in range(free + 1)]
    best: tuple[list, mp.mpf] = ([], mp.inf)
    for _ in range(30):
        rows = [
            [xs[i] ** (len(known) + j) for j in range(free)] + [(-1) ** n / weights[i]]
            for n, i in enumerate(chosen)
        ]
        solved = mp.lu_solve(mp.matrix(rows), mp.matrix([rest[i] for i in chosen]))
        found = [*known, *list(solved)[:free]]
        errors = [w * (v - mp.polyval(found[::-1], x)) for w, v, x in zip(weights, values, xs)]
        largest = max(map(abs, errors))
        if largest < best[1]:
            best = found, largest
        extremes = alternating(errors, free + 1)
        if largest < abs(solved[free]) * 1.02 or len(extremes) <= free:
            break
        chosen = extremes
    return best


def alternating(errors: Sequence, count: int) -> list[int]:
    """Where the errors are largest, with signs in turn; the least of them are left out until `count` remain."""
    found = [0]
    for i in range(1, len(errors)):
        if mp.sign(errors[i]) != mp.sign(errors[found[-1]]):
            found.append(i)
        elif abs(errors[i]) > abs(errors[found[-1]]):
            found[-1] = i
    while len(found) > count:
        if len(found) == count + 1:
            found.pop(0 if abs(errors[found[0]]) < abs(errors[found[-1]]) else -1)
            continue
        least = min(range(len(found)), key=lambda n: abs(errors[found[n]]))
        if 0 < least < len(found) - 1:  # its neighbours have one sign: the smaller goes too
            lesser = min(least - 1, least + 1, key=lambda n: abs(errors[found[n]]))
            found = [at for n, at in enumerate(found) if n not in (least, lesser)]
        else:
            found.pop(least)
    return found


def coefficients(fit: Fit) -> tuple[list[float], float]:
    """As float64, and the base-2 logarithm of the error before the last were rounded."""
    known: list = []
    for n in range(fit.rounded):
        constant = float(minimax(fit, known)[0][n])
        known.append(mp.mpf(struct.unpack("f", struct.pack("f", constant))[0] if fit.single else constant))
    found, error = minimax(fit, known)
    return [float(c) for c in found], float(mp.log(error, 2))


# ---- the functions, with the limits of what cancels ----

#: stands for 0 where a quotient has its limit
TINY = mp.mpf(10) ** -20


def in_square(f: Callable) -> Callable:
    """f as a function of the square of its argument."""
    return lambda z: f(mp.sqrt(z))


def second_rest_of_exp(r):
    """exp(r) less its first two terms, over r^2."""
    return (mp.exp(r) - 1 - r) / r**2


def rest_of_exp(r):
    """exp(r) less its first three terms, over r^3."""
    return (mp.exp(r) - 1 - r - r**2 / 2) / r**3


def log_of_quotient(s):
    """log((1 + s) / (1 - s)) less its first term, over s^3."""
    return (mp.log((1 + s) / (1 - s)) - 2 * s) / s**3


def rest_of_log(s):
    """log((1 + s) / (1 - s)) less its first three terms, over s^7."""
    return (mp.log((1 + s) / (1 - s)) - 2 * s - 2 * s**3 / 3 - 2 * s**5 / 5) / s**7


def rest_of_erf(x):
    """erf(x) / x less its limit, over x^2."""
    return (mp.erf(x) / x - 2 / mp.sqrt(mp.pi)) / x**2


def scaled_erfc(t):
    """exp(x^2) erfc(x) / t, where t = 3 / (3 + x)."""
    x = 3 / t - 3
    return mp.exp(x * x) * mp.erfc(x) / t


def mills(a):
    """exp(a^2 / 2) (1 - ndtr(a))."""
    return mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2


def of_inverse(f: Callable, shift, middle) -> Callable:
    """f as a function of v, where 1 / (a + shift) = middle + v."""
    return lambda v: f(1 / (middle + v) - shift)


def near_gelu(z):
    """(ndtr(x) - 1/2) / x, z = x^2."""
    return mp.erf(mp.sqrt(z / 2)) / 2 / mp.sqrt(z)


def beside_gelu(z):
    """How much an error of the above is of gelu(x), between -0.46 and 0.7."""
    half = mp.sqrt(z) / 2
    return z / (half + (z * near_gelu(z) if z > 0.18 else -z * near_gelu(z)))


#: where gelu is computed from exp(-a^2 / 2), and 1 / (a + shift) at its ends
GELU_FIRST, GELU_LAST = mp.mpf("0.455"), mp.mpf("14.5")
FAR_SHIFT, FAR_MIDDLE = mp.mpf("3.5625"), mp.mpf("0.15625")
FAR_GELU = of_inverse(lambda a: a * mills(a), FAR_SHIFT, FAR_MIDDLE)
MILLS_SHIFT, MILLS_MIDDLE = mp.mpf("2.5"), mp.mpf(0.22941176593303680)
SLOW_MILLS = of_inverse(lambda a: (a + MILLS_SHIFT) * mills(a), MILLS_SHIFT, MILLS_MIDDLE)

LN2_HALF = mp.log(2) / 2 * (1 + mp.mpf(2) ** -12)
LOW, HIGH = mp.sqrt(0.5) - 1, mp.sqrt(2) - 1  # of f where 1 + f is between sqrt(1/2) and sqrt(2)
S_HIGH = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)
QUARTER, HALF = mp.pi / 4 * (1 + mp.mpf(2) ** -12), mp.pi / 2 * (1 + mp.mpf(2) ** -12)

FITS = {
    # float32
    "SINGLE_EXP": Fit(second_rest_of_exp, 4, -LN2_HALF, LN2_HALF, lambda r: r**2),
    "SINGLE_NEAR": Fit(near_gelu, 4, TINY, mp.mpf("0.71") ** 2, beside_gelu, 1, True),
    "SINGLE_FAR": Fit(
        FAR_GELU,
        9,
        1 / (GELU_LAST + FAR_SHIFT) - FAR_MIDDLE,
        1 / (GELU_FIRST + FAR_SHIFT) - FAR_MIDDLE,
        lambda v: 1 / FAR_GELU(v),
    ),
    "SINGLE_MILLS": Fit(
        SLOW_MILLS,
        9,
        1 / (GELU_LAST + MILLS_SHIFT) - MILLS_MIDDLE,
        1 / MILLS_SHIFT - MILLS_MIDDLE,
        lambda v: 1 / SLOW_MILLS(v),
    ),
    "SINGLE_LOG": Fit(in_square(log_of_quotient), 4, TINY, mp.mpf(1) / 9, lambda z: z),
    # float32, computed in float64
    "WIDE_EXPM1": Fit(lambda r: mp.expm1(r) / r, 6, -LN2_HALF, LN2_HALF),
    "WIDE_EXP2M1": Fit(lambda r: (2**r - 1) / r, 6, -0.5, 0.5),
    "WIDE_LOG": Fit(lambda f: mp.log1p(f) / f, 11, LOW, HIGH, lambda f: f / mp.log1p(f)),
    "WIDE_LOG_POWER": Fit(lambda f: mp.log1p(f) / f, 14, LOW, HIGH, lambda f: f / mp.log1p(f)),
    "WIDE_SIN": Fit(in_square(lambda r: (mp.sin(r) / r - 1) / r**2), 4, TINY, HALF**2, lambda z: z),
    "WIDE_TAN": Fit(in_square(lambda r: (mp.tan(r) / r - 1) / r**2), 7, TINY, QUARTER**2, lambda z: z),
    "WIDE_ATAN": Fit(in_square(lambda x: (mp.atan(x) / x - 1) / x**2), 10, TINY, 1, lambda z: z),
    "WIDE_ASIN": Fit(in_square(lambda x: (mp.asin(x) / x - 1) / x**2), 5, TINY, 0.25, lambda z: z),
    "WIDE_SINH": Fit(in_square(lambda r: (mp.sinh(r) / r - 1) / r**2), 2, TINY, LN2_HALF**2, lambda z: z),
    "WIDE_COSH": Fit(in_square(lambda r: (mp.cosh(r) - 1) / r**2), 2, TINY, LN2_HALF**2, lambda z: z),
    "WIDE_ERF": Fit(in_square(lambda x: mp.erf(x) / x), 7, TINY, 1),
    "WIDE_ERF_TAIL": Fit(lambda x: -mp.log(mp.erfc(x), 2), 7, 1, 4, mp.erfc),
    "WIDE_ERFC": Fit(scaled_erfc, 11, 3 / (3 + mp.mpf("10.2")), 1, lambda t: 1 / scaled_erfc(t)),
    # float64
    "EXP": Fit(rest_of_exp, 9, -LN2_HALF, LN2_HALF, lambda r: abs(r) ** 3),
    "ERF": Fit(in_square(rest_of_erf), 10, TINY, 0.75, lambda z: z, 1),
    "ERF_TAIL": Fit(lambda t: -mp.log(mp.erfc(1 + t)), 19, -0.15, 5, lambda t: mp.erfc(1 + t)),
    "LOG": Fit(in_square(log_of_quotient), 7, TINY, S_HIGH**2, lambda z: z, 2),
    "LOG_POWER": Fit(in_square(rest_of_log), 6, S_HIGH**2 / 1000, S_HIGH**2, lambda z: z**3),
    "SIN": Fit(in_square(lambda r: (mp.sin(r) / r - 1) / r**2), 5, TINY, QUARTER**2, lambda z: z, 2),
    "COS": Fit(
        in_square(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4), 5, TINY, QUARTER**2, lambda z: z**2, 2
    ),
    "ATAN": Fit(in_square(lambda x: (mp.atan(x) / x - 1) / x**2), 10, TINY, HIGH**2, lambda z: z, 2),
    "ASIN": Fit(in_square(lambda x: (mp.asin(x) / x - 1) / x**2), 12, TINY, 0.25, lambda z: z, 2),
    "SINH": Fit(in_square(lambda r: (mp.sinh(r) / r - 1) / r**2), 4, TINY, LN2_HALF**2, lambda z: z, 2),
    "COSH": Fit(in_square(lambda r: (mp.cosh(r) - 1) / r**2), 4, TINY, LN2_HALF**2, lambda z: z, 2),
}

# ---- a table: a polynomial around the middle of each interval ----


def around(f: Callable, middle: mp.mpf, radius: mp.mpf, degree: int) -> list[float]:
    """The interpolant of f(middle + d) in Chebyshev's points as a polynomial in d; its constant in two parts."""
    nodes = [radius * mp.cos(mp.pi * (2 * i + 1) / (2 * degree + 2)) for i in range(degree + 1)]
    powers = mp.matrix([[d**j for j in range(degree + 1)] for d in nodes])
    found = list(mp.lu_solve(powers, mp.matrix([f(middle + d) for d in nodes])))
    return [float(found[0]), float(found[0] - float(found[0])), *map(float, found[1:])]


def erfc_rows() -> list[list[float]]:
    """exp(x^2) erfc(x) where x + 1/2 is between 2**e (1 + j/8) and 2**e (1 + (j+1)/8), from 1/2 to 28."""
    rows = []
    for octave in range(-1, 5):
        for j in range(8 if octave < 4 else 6):
            middle, radius = mp.mpf(2) ** octave * (1 + mp.mpf(2 * j + 1) / 16), mp.mpf(2) ** octave / 16
            rows.append(around(lambda x: mp.exp(x * x) * mp.erfc(x), middle - 0.5, radius, 11))
    return rows


def show_table() -> None:
    print(
        '"""Polynomials for erfc: a row for each interval, the constant in two parts, then the powers of the distance'
    )
    print(
        'from its middle. Written by `benchmarks/maths_coefficients.py table`, which says what they are.\n"""\n'
    )
    print("from __future__ import annotations\n\n# fmt: off")
    print("ERFC_ROWS = (\n" + "".join(f"    ({', '.join(map(repr, row))}),\n" for row in erfc_rows()) + ")")


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        show_table()
        sys.exit()
    for name in sys.argv[1:] or FITS:
        found, error = coefficients(FITS[name])
        print(
            f"# error 2**{error:.1f}\n{name} = (\n" + "".join(f"    {c!r},\n" for c in found) + ")",
            flush=True,
        )
