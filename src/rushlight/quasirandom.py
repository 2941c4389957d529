"""`torch.quasirandom`: points that fill a cube evenly.

Sobol's sequence, in the order of Gray codes: the next point differs from the last by one direction number in each
dimension (I. A. Antonov and V. M. Saleev, 1979, doi:10.1016/0041-5553(79)90085-5). The first direction numbers are those
that S. Joe and F. Y. Kuo give in new-joe-kuo-6.21201 (2008, doi:10.1137/070709359), of which the first dimensions are kept
here, a line for each but the first: the primitive polynomial as a number, and the numbers that begin the recurrence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import rushlight
from rushlight.buffer import Tensor

__all__ = ["SobolEngine"]

#: binary digits of a coordinate
_BITS = 30
#: for how many dimensions PyTorch has direction numbers, and for how many there are some here
_MOST, _HERE = 21201, 1111


class SobolEngine:
    """Draws points of Sobol's sequence in [0, 1)^dimension, scrambled by random matrices and a random shift if asked to.

    Args:
        seed: of the scrambling; without it, the global generator is used.

    Raises:
        ValueError: no such dimension.
        NotImplementedError: more dimensions than there are direction numbers for here.

    Example:
        >>> import rushlight as torch
        >>> torch.quasirandom.SobolEngine(dimension=3).draw(3)
        tensor([[0.0000, 0.0000, 0.0000],
                [0.5000, 0.5000, 0.5000],
                [0.7500, 0.2500, 0.2500]])
    """

    MAXBIT = _BITS
    MAXDIM = _MOST

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if dimension > self.MAXDIM or dimension < 1:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        if dimension > _HERE:
            raise NotImplementedError(
                f"SobolEngine: Rushlight has direction numbers for {_HERE} dimensions, not for {dimension}; torch.rand "
                "draws points of any dimension, less evenly"
            )
        self.seed, self.scramble, self.dimension = seed, scramble, dimension
        self.sobolstate = rushlight.from_numpy(_directions(dimension))
        self.shift = rushlight.zeros(dimension, dtype=rushlight.int64)
        if scramble:
            self._scramble()
        self.quasi = self.shift.clone()
        self._first_point = (self.quasi / 2**_BITS).reshape(1, -1)
        self.num_generated = 0

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next `n` points, (n, dimension)."""
        kind = rushlight.get_default_dtype() if dtype is None else dtype
        points = self._advance(n).to(kind) / 2**_BITS
        return points if out is None else out.resize_as_(points).copy_(points)

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next 2**m points, which complete a power of two.

        Raises:
            ValueError: with those drawn before, they do not.
        """
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: "
                f"n={self.num_generated}+2**{m}={total}. If you still want to do this, please use "
                "'SobolEngine.draw()' instead."
            )
        return self.draw(n, out, dtype)

    def reset(self) -> SobolEngine:
        """Begin again with the first point."""
        self.quasi.copy_(self.shift)
        self.num_generated = 0
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Leave out `n` points."""
        kept = self.quasi
        self._advance(n)
        self.quasi = kept.copy_(self.quasi)
        return self

    def _advance(self, n: int) -> Tensor:
        """The next points as whole numbers; the last is kept."""
        numbers = np.arange(max(self.num_generated - 1, 0), self.num_generated + n - 1)
        steps = self.sobolstate.numpy().T[_lowest_zero(numbers)]
        walked = np.bitwise_xor.accumulate(np.concatenate([self.quasi.numpy()[None], steps]), axis=0)
        self.num_generated += n
        points = rushlight.from_numpy(walked[len(walked) - n :])
        self.quasi = points[-1].clone() if n else self.quasi
        return points

    def _scramble(self) -> None:
        """Multiply the digits of each dimension by a random unit lower triangular matrix, and shift them at random.

        J. Matousek, On the L2-discrepancy for anchored boxes, 1998, doi:10.1006/jcom.1998.0489.
        """
        generator = None if self.seed is None else rushlight.Generator().manual_seed(self.seed)
        drawn = rushlight.randint(2, (self.dimension, _BITS), generator=generator)
        self.shift = rushlight.mv(drawn, 2 ** rushlight.arange(_BITS))
        size = (self.dimension, _BITS, _BITS)
        lower = rushlight.randint(2, size, generator=generator).tril().numpy() | np.eye(_BITS, dtype=np.int64)
        # 1. each row of a matrix as a number, its first element the highest digit
        rows = lower @ (1 << np.arange(_BITS - 1, -1, -1))
        # 2. a digit of the product is the parity of what a row and a direction number share
        shared = rows[:, None, :] & self.sobolstate.numpy()[:, :, None]
        digits = np.bitwise_count(shared).astype(np.int64) & 1
        self.sobolstate = rushlight.from_numpy(digits @ (1 << np.arange(_BITS - 1, -1, -1)))

    def __repr__(self) -> str:
        facts = [f"dimension={self.dimension}"]
        if self.scramble:
            facts.append("scramble=True")
        if self.seed is not None:
            facts.append(f"seed={self.seed}")
        return f"{type(self).__name__}({', '.join(facts)})"


def _lowest_zero(numbers: np.ndarray) -> np.ndarray:
    """The place of the lowest binary digit 0."""
    return np.bitwise_count(numbers & ~(numbers + 1))


def _directions(dimension: int) -> np.ndarray:
    """The direction numbers of each dimension, (dimension, bits), as whole numbers of 30 digits."""
    text = Path(__file__).with_name("sobol_numbers.txt").read_text(encoding="ascii")
    state = np.ones((dimension, _BITS), np.int64)
    for row, line in zip(state[1:], text.splitlines()):
        polynomial, *first = map(int, line.split())
        degree = len(first)
        row[:degree] = first
        for at in range(degree, _BITS):
            made = row[at - degree]
            for k in range(1, degree + 1):
                if polynomial >> (degree - k) & 1:
                    made ^= row[at - k] << k
            row[at] = made
    return state << np.arange(_BITS - 1, -1, -1)
