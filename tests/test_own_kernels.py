"""Kernels that are written by hand compile, for vectors of every width."""

import itertools

import pytest

from rushlight.codegen.placing import adding, placing
from rushlight.codegen.pooling import Pooling, spreading
from rushlight.codegen.resampling import Resampling
from rushlight.codegen.reversing import reversing
from rushlight.codegen.triangles import triangles
from rushlight.native import jit, llvm

pytestmark = pytest.mark.skipif(not jit.available(), reason="no compiler here")

TEXTS = {
    **{
        f"pooling {kind} {largest} {edges} {width}": (
            lambda k, g, e, w: Pooling(k, g, e, w).text(),
            kind,
            largest,
            edges,
            width,
        )
        for kind, largest, edges, width in itertools.product(
            "fdiq", (True, False), (True, False), (16, 32, 64)
        )
        if largest or kind in "fd"
    },
    **{
        f"triangles {size} {width}": (triangles, size, width)
        for size in (1, 2, 4, 8)
        for width in (16, 32, 64)
    },
    **{
        f"reversing {size} {width}": (reversing, size, width)
        for size in (1, 2, 4, 8)
        for width in (16, 32, 64)
    },
    **{f"spreading {kind}": (spreading, kind) for kind in "fd"},
    **{
        f"placing {what} {kind}": (placing, what, kind)
        for what, kinds in {"read": "BHIQ", "write": "BHIQ", "add": "fdiq"}.items()
        for kind in kinds
    },
    **{
        f"adding {kind} {wide} {width}": (adding, kind, wide, width)
        for kind, wide in ("ff", "dd", "ii", "qq", "fd")
        for width in (16, 32, 64)
    },
    **{
        f"resampling {kind} {made} {straight} {width}": (
            lambda k, m, s, w: Resampling(k, m, s, w).text(),
            kind,
            made,
            straight,
            width,
        )
        for kind, made, straight, width in itertools.product("fd", "fd", (True, False), (16, 32, 64))
    },
}


@pytest.mark.parametrize("name", TEXTS)
def test_compiles(name):
    write, *facts = TEXTS[name]
    assert llvm.compiled(write(*facts))
