"""Kernels that are written by hand compile, for vectors of every width."""

import itertools

import pytest

from rushlight.codegen.bags import bags
from rushlight.codegen.channel_pooling import ChannelPooling, channel_spreading
from rushlight.codegen.narrow import Along, Down, adding_up
from rushlight.codegen.placing import adding, placing
from rushlight.codegen.point_sampling import point_sampling
from rushlight.codegen.pooling import Pooling, spreading
from rushlight.codegen.resampling import Resampling
from rushlight.codegen.reversing import reversing
from rushlight.codegen.running_extremes import running_extremes
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
        f"channel pooling {kind} {largest} {edges} {width}": (
            lambda k, g, e, w: ChannelPooling(k, g, e, w).text(),
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
    **{f"channel spreading {kind}": (channel_spreading, kind) for kind in "fd"},
    **{
        f"bags {kind} {mean} {width}": (bags, kind, mean, width)
        for kind, mean, width in itertools.product("fd", (True, False), (16, 32, 64))
    },
    **{
        f"running extremes {kind} {largest} {across} {width}": (
            running_extremes,
            kind,
            largest,
            across,
            width,
        )
        for kind, largest, across, width in itertools.product(
            "fdiq", (True, False), (True, False), (16, 32, 64)
        )
    },
    **{
        f"point sampling {what} {kind} {width}": (point_sampling, what, kind, width)
        for what, kind, width in itertools.product(("read", "put", "weigh"), "fd", (16, 32, 64))
    },
    **{
        f"narrow {form.__name__} {kind} {lines} {width}": (
            lambda f, k, n, w: f(k, n, w).text(),
            form,
            kind,
            lines,
            width,
        )
        for form, kind, lines, width in itertools.product((Along, Down), "fdiq", (1, 3, 7), (32, 64))
    },
    **{
        f"adding up {kind} {width}": (adding_up, kind, width)
        for kind, width in itertools.product("fdiq", (32, 64))
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
        f"placing {what} {kind} {width}": (placing, what, kind, width)
        for what, kinds in {"read": "BHIQ", "write": "BHIQ", "add": "fdiq"}.items()
        for kind in kinds
        for width in (16, 32, 64)
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
