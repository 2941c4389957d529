"""The coefficients in `rushlight.numerics`, computed with mpmath: `python benchmarks/special_coefficients.py`.

Each is the Chebyshev interpolant of a smooth function on an interval, at 45 digits, cut where its
terms fall below 1e-18 of the first and rewritten in powers of u, the interval mapped to [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath as mp

mp.mp.dps = 45
#: stands for 0 in intervals that begin at infinity
TINY = mp.mpf(10) ** -25


def interpolant(f: Callable, low: float, high: float, nodes: int) -> list[float]:
    """The interpolant's coefficients, in powers of u."""
    low, high = mp.mpf(low), mp.mpf(high)
    angles = [mp.pi * (k + mp.mpf(1) / 2) / nodes for k in range(nodes)]
    values = [f((high - low) / 2 * mp.cos(angle) + (low + high) / 2) for angle in angles]
    series = [
        2 / mp.mpf(nodes) * sum(v * mp.cos(j * a) for v, a in zip(values, angles)) for j in range(nodes)
    ]
    series[0] /= 2
    last = max(j for j in range(nodes) if abs(series[j]) > mp.mpf(10) ** -18 * abs(series[0]))
    return [float(c) for c in in_powers(series[: last + 1])]


def in_powers(series: Sequence) -> list:
    """A Chebyshev series as a polynomial: T(n+1) = 2 u T(n) - T(n-1)."""
    total = [mp.mpf(0)] * len(series)
    before, now = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]
    for j, c in enumerate(series):
        for i, power in enumerate(before if j == 0 else now):
            total[i] += c * power
        if j:
            after = [mp.mpf(0)] + [2 * power for power in now]
            for i, power in enumerate(before):
                after[i] -= power
            before, now = now, after
    return total


def show(name: str, coefficients: Sequence[float]) -> None:
    print(f"{name} = (\n" + "".join(f"    {c!r},\n" for c in coefficients) + ")")


# ---- the functions ----


def erf_over_x(square):
    return mp.erf(mp.sqrt(square)) / mp.sqrt(square) if square else 2 / mp.sqrt(mp.pi)


def scaled_erfc(t):
    """exp(x^2) erfc(x) (1 + 2 x), where t = 4 / (4 + x); its asymptotic series for large x."""
    x = 4 / t - 4
    if x <= 60:
        return mp.exp(x * x) * mp.erfc(x) * (1 + 2 * x)
    total, term = mp.mpf(0), mp.mpf(1)
    for k in range(30):
        total += term
        term *= -(2 * k + 1) / (2 * x * x)
    return total / (x * mp.sqrt(mp.pi)) * (1 + 2 * x)


def inverse_over_y(square):
    y = mp.sqrt(square)
    return mp.erfinv(y) / y


def inverse_over_r(r):
    """x / r, where erfc(x) = exp(-r^2)."""

    def missing(x):
        return mp.log(mp.erfc(x)) + r * r

    # log erfc(x) is about -x^2 - log(x sqrt(pi)): DLMF 7.12.1
    guess = mp.sqrt(max(r * r - mp.log(r * mp.sqrt(mp.pi)), mp.mpf("0.2")))
    return mp.findroot(missing, guess, tol=mp.mpf(10) ** -80) / r


def lgamma_without_roots(x):
    if x in (1, 2):
        return mp.digamma(x) * (-1 if x == 1 else 1)
    return mp.loggamma(x) / ((x - 1) * (x - 2))


def scaled_bessel(order: int) -> Callable:
    """sqrt(x) exp(-x) I(x), where u = 8 / x; its asymptotic series for large x."""

    def f(u):
        x = 8 / u
        if x <= 5000:
            return mp.sqrt(x) * mp.exp(-x) * mp.besseli(order, x)
        total, term = mp.mpf(0), mp.mpf(1)
        for k in range(1, 12):
            total += term
            term *= -(4 * order * order - (2 * k - 1) ** 2) / (k * 8 * x)
        return total / mp.sqrt(2 * mp.pi)

    return f


def asymptotic(order: int, x, powers: Sequence[int]):
    """The sum of a_k / x^k over some powers, a_k = prod (4 order^2 - (2 j - 1)^2) / (8 j): DLMF 10.17.1."""
    total, term = mp.mpf(0), mp.mpf(1)
    for k in range(max(powers) + 1):
        if k in powers:
            total += term
        term *= mp.mpf(4 * order * order - (2 * k + 1) ** 2) / ((k + 1) * 8 * x)
    return total


# ---- Bessel functions of the first and the second kind, of the square of x up to 25 ----


def bessel_root(order: int):
    """The zero of J between 0 and 5."""
    return mp.besseljzero(order, 1)


def bessel_without_roots(order: int) -> Callable:
    root = bessel_root(order)

    def f(square):
        x = mp.sqrt(square)
        return mp.besselj(order, x) / x**order / (square - root * root)

    return f


def bessel_second_regular(order: int) -> Callable:
    """Y less its logarithm and its pole: DLMF 10.8.1."""

    def f(square):
        x = mp.sqrt(max(square, TINY))
        rest = mp.bessely(order, x) - 2 / mp.pi * mp.log(x) * mp.besselj(order, x)
        return (rest + 2 / (mp.pi * x)) / x if order else rest

    return f


def bessel_waves(order: int, which: int) -> Callable:
    """P and x Q of J = sqrt(2 / (pi x)) (P cos - Q sin), Y = ... (P sin + Q cos), where t = (5 / x)^2: DLMF 10.17."""

    def f(t):
        x = 5 / mp.sqrt(t)
        if x > 60:
            even, odd = range(which, 50, 4), range(which + 2, 50, 4)
            return (asymptotic(order, x, even) - asymptotic(order, x, odd)) * x**which
        angle = x - (2 * order + 1) * mp.pi / 4
        j, y, sin, cos = mp.besselj(order, x), mp.bessely(order, x), mp.sin(angle), mp.cos(angle)
        return mp.sqrt(mp.pi * x / 2) * (x * (y * cos - j * sin) if which else j * cos + y * sin)

    return f


# ---- modified Bessel functions of the second kind ----


def modified_second_regular(order: int) -> Callable:
    """K less its logarithm, of the square of x; times x for order 1: DLMF 10.31.1."""

    def f(square):
        x = mp.sqrt(max(square, TINY))
        return (mp.besselk(order, x) - (-1) ** (order + 1) * mp.log(x / 2) * mp.besseli(order, x)) * x**order

    return f


def modified_second_scaled(order: int) -> Callable:
    """sqrt(x) exp(x) K(x), where u = 2 / x; its asymptotic series for large x."""

    def f(u):
        x = 2 / u
        if x > 300:
            return asymptotic(order, x, range(40)) * mp.sqrt(mp.pi / 2)
        return mp.sqrt(x) * mp.exp(x) * mp.besselk(order, x)

    return f


# ---- Airy's function ----


def airy_scaled(x):
    """exp(2/3 x^(3/2)) Ai(x)."""
    return mp.exp(2 * x * mp.sqrt(x) / 3) * mp.airyai(x)


def airy_terms(z, count: int) -> list:
    """u_k / z^k: DLMF 9.7.2."""
    terms = [mp.mpf(1)]
    for k in range(1, count):
        terms.append(
            terms[-1] * mp.mpf((6 * k - 5) * (6 * k - 3) * (6 * k - 1)) / ((2 * k - 1) * 216 * k * z)
        )
    return terms


def airy_falling(u):
    """2 sqrt(pi) x^(1/4) exp(z) Ai(x), z = 2/3 x^(3/2) = 8 / u; its asymptotic series for large z."""
    z = 8 / u
    if z > 300:
        return sum((-1) ** k * term for k, term in enumerate(airy_terms(z, 40)))
    x = (3 * z / 2) ** (mp.mpf(2) / 3)
    return 2 * mp.sqrt(mp.pi) * mp.root(x, 4) * mp.exp(z) * mp.airyai(x)


def airy_waves(which: int) -> Callable:
    """P and z Q of Ai(-x) = (P cos + Q sin) / (sqrt(pi) x^(1/4)), where t = (8 / z)^2: DLMF 9.7.9 and 9.7.11."""

    def f(t):
        z = 8 / mp.sqrt(t)
        if z > 100:
            terms = airy_terms(z, 40)[which::2]
            return sum((-1) ** k * term for k, term in enumerate(terms)) * z**which
        x = (3 * z / 2) ** (mp.mpf(2) / 3)
        angle = z - mp.pi / 4
        a, b, sin, cos = mp.airyai(-x), mp.airybi(-x), mp.sin(angle), mp.cos(angle)
        return mp.sqrt(mp.pi) * mp.root(x, 4) * (z * (a * sin + b * cos) if which else a * cos - b * sin)

    return f


def cylinder() -> None:
    """The coefficients of `cylinder`, `macdonald` and `airy`."""
    for n in (0, 1):
        root = bessel_root(n)
        print(f"J{n}_ROOT, J{n}_TAIL = {float(root)!r}, {float(root - float(root))!r}")
        show(f"J{n}_NEAR", interpolant(bessel_without_roots(n), 0, 25, 40))
        show(f"Y{n}_NEAR", interpolant(bessel_second_regular(n), 0, 25, 40))
        show(f"P{n}", interpolant(bessel_waves(n, 0), TINY, 1, 40))
        show(f"Q{n}", interpolant(bessel_waves(n, 1), TINY, 1, 40))
    for n in (0, 1):
        show(f"K{n}_NEAR", interpolant(modified_second_regular(n), 0, 4, 40))
        show(f"K{n}_FAR", interpolant(modified_second_scaled(n), TINY, 1, 70))
    show("BELOW", interpolant(mp.airyai, -6, -3, 60))
    show("NEAR_BELOW", interpolant(mp.airyai, -3, 0, 60))
    show("NEAR", interpolant(mp.airyai, 0, 1, 60))
    show("ABOVE", interpolant(airy_scaled, 1, 6, 80))
    show("FALLING", interpolant(airy_falling, TINY, 1, 60))
    show("COSINES", interpolant(airy_waves(0), TINY, 1, 60))
    show("SINES", interpolant(airy_waves(1), TINY, 1, 60))


def main() -> None:
    root = mp.findroot(mp.digamma, 1.4616321449683623)
    show("ERF_SMALL", interpolant(erf_over_x, 0, 1, 24))
    show("ERFCX", interpolant(scaled_erfc, TINY, 1, 48))
    show("INVERSE_NEAR", interpolant(inverse_over_y, 0, 0.5625, 40))
    show("INVERSE_TAIL", interpolant(inverse_over_r, 1.125, 2.5, 50))
    show("INVERSE_FAR", interpolant(inverse_over_r, 2.5, 6.5, 50))
    show("INVERSE_OUT", interpolant(lambda t: inverse_over_r(6.5 / t), 0.2, 1, 50))
    show("LGAMMA_NEAR", interpolant(lgamma_without_roots, 1, 3, 40))
    show("LGAMMA_LOW", interpolant(lgamma_without_roots, 0.5, 1, 40))
    show("LGAMMA_MIDDLE", interpolant(mp.loggamma, 3, 8, 40))
    show("I0_SMALL", interpolant(lambda x: mp.exp(-x) * mp.besseli(0, x), 0, 8, 48))
    show(
        "I1_SMALL", interpolant(lambda x: mp.exp(-x) * mp.besseli(1, x) / x if x else mp.mpf(1) / 2, 0, 8, 48)
    )
    show("I0_LARGE", interpolant(scaled_bessel(0), TINY, 1, 40))
    show("I1_LARGE", interpolant(scaled_bessel(1), TINY, 1, 40))
    print(f"ROOT, ROOT_TAIL = {float(root)!r}, {float(root - float(root))!r}")
    show("DIGAMMA_NEAR", interpolant(lambda x: mp.digamma(x) / (x - root), 1, 2, 40))
    show("STIRLING", [float(mp.bernoulli(2 * k) / (2 * k * (2 * k - 1))) for k in range(1, 11)])
    show("DIGAMMA_FAR", [float(mp.bernoulli(2 * k) / (2 * k)) for k in range(1, 11)])
    show("TRIGAMMA_FAR", [float(mp.bernoulli(2 * k)) for k in range(1, 11)])
    cylinder()
    show("ZETA_B", [float(mp.bernoulli(2 * k) / mp.factorial(2 * k)) for k in range(1, 13)])


if __name__ == "__main__":
    main()
