"""Computing what is pending: one loop for an expression and all that it is made of."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import debug, memory
from rushlight.codegen.kernel import STEPS, Kernel, Operand, Store
from rushlight.codegen.program import Program, program, supported
from rushlight.graph.body import Body, domain, in_order
from rushlight.graph.expr import Pending
from rushlight.graph.trace import CHARS

#: bytes of outputs from which on they are written past the caches, which they would only sweep out
STREAM = 1 << 24
#: outputs of one loop
MOST_OUTPUTS = 6


def compute(root: Pending) -> None:
    """Compute a pending array, and those on the way that somebody still holds."""
    body, stored, places = _joined(root)
    values = [memory_of(p) for p in stored]
    _run_map(body, places, values, root)
    for p, value in zip(stored, values):
        p.settled(value)


def _run_map(body: Body, places: list[int], outs: list[np.ndarray], like: Any) -> None:
    """The instructions over the shape of `like`; where LLVM fails, by the interpreter that says what they mean."""
    if run_loop("map", body, places, outs, like.shape, like.strides):
        return
    from rushlight.codegen import reference

    shape = like.shape
    dims = "k" * len(shape)
    kernel = _kernel(
        "map", dims, body, places, outs, [STEPS * len(dims)] * (len(body.inputs) + len(outs)), False
    )
    reference.run(kernel, [np.broadcast_to(a, shape) for a in body.inputs], outs, body.numbers)


def _joined(root: Pending) -> tuple[Body, list[Pending], list[int]]:
    """The instructions of an expression, the arrays that they give, and where."""
    nodes = in_order(root)
    body = Body()
    seen: dict[int, int] = {}
    body.value(root, seen)
    stored = [p for p in looked_for(nodes, root) if p is not root][-MOST_OUTPUTS + 1 :] + [root]
    return body, stored, [seen[id(p)] for p in stored]


def planned(root: Pending) -> tuple[Kernel, int]:
    """The kernel that would compute a pending array now, and the bytes it would move."""
    body, stored, places = _joined(root)
    arrays: list[Any] = [*body.inputs, *stored]
    operands = tuple([(a.shape, a.strides, a.itemsize) for a in arrays])
    _, _, walks, dims = domain(root.shape, root.strides, operands)
    stream = sum([p.nbytes for p in stored]) >= STREAM
    return _kernel("map", dims, body, places, stored, walks, stream), sum([touched(a) for a in arrays])


def touched(a: Any) -> int:
    """The bytes of an operand, those that are shown at several places once."""
    size = a.itemsize
    for n, step in zip(a.shape, a.strides):
        size *= n if step else 1
    return size


def store(p: Pending, out: np.ndarray) -> None:
    """Compute a pending array into memory that exists, of its shape; elements may be those that the expression reads."""
    body = Body()
    seen: dict[int, int] = {}
    body.value(p, seen)
    place = body.cast(seen[id(p)], CHARS[out.dtype])
    _run_map(body, [place], [out], out)


def inputs_of(root: Pending) -> list[np.ndarray]:
    """The arrays that an expression reads."""
    found: dict[int, np.ndarray] = {}
    for p in in_order(root):
        for arg in p.args:
            a = arg.value if type(arg) is Pending else arg
            if type(a) is np.ndarray:
                found[id(a)] = a
    return list(found.values())


def looked_for(nodes: list[Pending], called_with: Any) -> list[Pending]:
    """Those among nodes, in order, that somebody outside of their expressions holds; see `expr`'s Note [Liveness].

    `called_with` is held by the functions that are running, whose number is not known: it is looked for unless it is marked
    as temporary.
    """
    inside = Counter([id(arg) for p in nodes for arg in p.args if type(arg) is Pending])
    found = []
    for n in range(len(nodes)):
        if nodes[n] is called_with:
            if not called_with.temporary:
                found.append(called_with)
        elif sys.getrefcount(nodes[n]) > inside[id(nodes[n])] + _OURS:
            found.append(nodes[n])
    return found


def _references() -> int:
    """What `getrefcount` says of an object that one list alone holds."""
    nodes = [object()]
    return sys.getrefcount(nodes[0])


_OURS = _references()


def memory_of(p: Pending) -> np.ndarray:
    """Memory for the result, of the strides that were promised."""
    return memory.array(p.shape, p.dtype, p.strides)


def run_loop(
    form: str,
    body: Body,
    places: list[int],
    outs: list[np.ndarray],
    shape: tuple[int, ...],
    lead: tuple[int, ...],
    flags: str = "",
) -> bool:
    """Run the instructions over `shape`, storing those at `places` to `outs`; False if there are no loops for that.

    Args:
        lead: strides that say in which order dimensions lie.
        flags: what becomes of each dimension, see `domain`.
    """
    arrays = [*body.inputs, *outs]
    sizes, steps, walks, dims = domain(
        shape, lead, tuple([(a.shape, a.strides, a.itemsize) for a in arrays]), flags
    )
    # (a reduction that stores elements on its way must not start where memory happens to be aligned)
    stream = form != "reduce" and sum([a.nbytes for a in outs]) >= STREAM
    key = (form, dims, tuple(body.known), tuple(places), tuple(walks), tuple(body.params), stream)
    made = _PROGRAMS.get(key, _NEW)
    if made is _NEW:
        kernel = _kernel(form, dims, body, places, outs, walks, stream)
        reason = supported(kernel)
        debug.say(3, lambda: f"new kernel\n{kernel.text()}")
        if reason:
            debug.say(2, f"no loop for {' '.join(body.names)}: {reason}")
        made = _PROGRAMS[key] = None if reason else program(kernel)
    if made is None:
        return False
    ins = len(body.inputs)
    addresses = [a.__array_interface__["data"][0] for a in arrays]
    began = time.perf_counter()
    try:
        made.run(addresses[:ins], addresses[ins:], sizes, steps, body.numbers)
    except RuntimeError as error:  # LLVM cannot compile it here
        debug.say(1, f"no loop for {' '.join(body.names)}: {error}")
        _PROGRAMS[key] = None
        return False
    if not debug.listened():
        return True
    seconds = time.perf_counter() - began
    moved = sum([touched(a) for a in arrays])
    debug.ran(debug.Run(" ".join(body.names), form, began, seconds, moved, math.prod(sizes)))
    return True


#: programs by what they are made of; None for what has no loops
_PROGRAMS: dict[tuple, Program | None] = {}
_NEW: Any = object()


def _kernel(
    form: str,
    dims: str,
    body: Body,
    places: list[int],
    outs: Sequence[Any],
    walks: list[str],
    stream: bool,
) -> Kernel:
    inputs = tuple([Operand(CHARS[a.dtype], walk) for a, walk in zip(body.inputs, walks)])
    stores = tuple(
        [Store(Operand(CHARS[a.dtype], walk), n) for a, walk, n in zip(outs, walks[len(inputs) :], places)]
    )
    return Kernel(form, dims, inputs, "".join(body.params), body.instructions(), stores, stream)
