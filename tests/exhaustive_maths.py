"""Compare float32 functions with their oracles at every float32.

    python tests/exhaustive_maths.py [names]

prints, for each function, the largest error in units in the last place, and where it is. A minute for each function.
"""

from __future__ import annotations

import sys

import numpy as np
from vector_maths import ORACLES, compiled, errors_of_float32

from rushlight.codegen.maths import BINARY

CHUNK = 1 << 18


def largest_error(name: str) -> tuple[float, np.float32]:
    """Over all 2**32 bit patterns."""
    f, oracle = compiled(name, "f"), ORACLES[name]
    worst, where = 0.0, np.float32(0)
    with np.errstate(all="ignore"):
        for start in range(0, 1 << 32, CHUNK):
            x = np.arange(start, start + CHUNK, dtype=np.int64).astype(np.uint32).view(np.float32)
            error = errors_of_float32(f(x), oracle(x.astype(np.float64)))
            place = error.argmax()
            if error[place] > worst:
                worst, where = error[place], x[place]
    return worst, where


if __name__ == "__main__":
    for name in sys.argv[1:] or [name for name in ORACLES if name not in BINARY]:
        worst, where = largest_error(name)
        print(f"{name:8} {worst:.4f} at {where!r} ({float(where).hex()})", flush=True)
