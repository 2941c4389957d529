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


def main() -> None:
    root = mp.findroot(mp.digamma, 1.4616321449683623)
    show("ERF_SMALL", interpolant(erf_over_x, 0, 1, 24))
    show("ERFCX", interpolant(scaled_erfc, TINY, 1, 48))
    show("LGAMMA_NEAR", interpolant(lgamma_without_roots, 1, 3, 40))
    show("LGAMMA_LOW", interpolant(lgamma_without_roots, 0.5, 1, 40))
    show("LGAMMA_MIDDLE", interpolant(mp.loggamma, 3, 8, 40))
    show("I0_SMALL", interpolant(lambda x: mp.exp(-x) * mp.besseli(0, x), 0, 8, 48))
    show(
        "I1_SMALL", interpolant(lambda x: mp.exp(-x) * mp.besseli(1, x) / x if x else mp.mpf(1) / 2, 0, 8, 48)
    )
    show("I0_LARGE", interpolant(scaled_bessel(0), TINY, 1, 40))
    show("I1_LARGE", interpolant(scaled_bessel(1), TINY, 1, 40))
    print(f"ROOT, ROOT_TAIL = {float(root)!r}, {float(root - mp.mpf(float(root)))!r}")
    show("DIGAMMA_NEAR", interpolant(lambda x: mp.digamma(x) / (x - root), 1, 2, 40))
    show("STIRLING", [float(mp.bernoulli(2 * k) / (2 * k * (2 * k - 1))) for k in range(1, 11)])
    show("DIGAMMA_FAR", [float(mp.bernoulli(2 * k) / (2 * k)) for k in range(1, 11)])
    show("ZETA_B", [float(mp.bernoulli(2 * k) / mp.factorial(2 * k)) for k in range(1, 13)])


if __name__ == "__main__":
    main()
