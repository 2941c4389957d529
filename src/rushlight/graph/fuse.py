"""Computing what is pending: one loop for an expression and all that it is made of."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight import debug
from rushlight.codegen.kernel import STEPS, Kernel, Operand, Store
from rushlight.codegen.program import Job, Program, program, supported
from rushlight.graph.body import Body, domain, in_order
from rushlight.graph.expr import Pending, computed_by
from rushlight.graph.fragment import CHARS, Untraceable, char
from rushlight.graph.recipes import Made, Recipe, facts, keep, known, signature
from rushlight.graph.trace import trace
from rushlight.lock import LOCK
from rushlight.memory import address

#: bytes of outputs from which on they are written past the caches, which they would only sweep out
STREAM = 1 << 24
#: outputs of one loop
MOST_OUTPUTS = 6


def compute(root: Pending) -> None:
    """Compute a pending array, and those on the way that somebody still holds."""
    if root.outline.quick is not None and _again(root):
        return
    nodes = in_order(root)
    stored = _stored(nodes, root)
    shape, arrays, numbers = signature(nodes)
    key = ("map", stored, shape)
    recipe = known(key)
    if recipe is not None:
        values = recipe.run(arrays, numbers)
    else:
        body, places = _joined(nodes, stored)
        outs = [Made(p.shape, p.dtype, p.strides) for p in [nodes[n] for n in stored]]
        values = [made.memory() for made in outs]
        ran = _run_map(body, places, values, root)
        if ran is not None:
            recipe = Recipe(*ran, (0,) * (len(places) + len(arrays)), tuple(outs))
            keep(key, recipe.ready(arrays, numbers))
            given = root.outline.given
            if len(nodes) == 1 and len(arrays) + len(numbers) == len(root.args) + len(
                given
            ):  # (no array twice)
                root.outline.quick = recipe.function(_known(root.args), given)
    for n, value in zip(stored, values):
        nodes[n].settled(value)


def _again(root: Pending) -> bool:
    """Compute an operation on arrays in memory as the one before that was alike, if there is nothing else to it."""
    if debug.listened():
        return False
    value = root.outline.quick(*_known(root.args))
    if value is None:
        return False
    root.settled(value)
    return True


def _known(args: Sequence[Any]) -> Sequence[Any]:
    """The arguments of an expression, arrays where there are any."""
    if Pending in map(type, args):
        return [arg.value if type(arg) is Pending else arg for arg in args]
    return args


computed_by(compute)


def _run_map(body: Body, places: list[int], outs: list[np.ndarray], like: Any) -> tuple[Program, Job] | None:
    """The instructions over the shape of `like`; where LLVM fails, by the interpreter that says what they mean."""
    ran = run_loop("map", body, places, outs, like.shape, like.strides)
    if ran is not None:
        return ran
    from rushlight.codegen import reference

    shape = like.shape
    dims = "k" * len(shape)
    kernel = _kernel(
        "map", dims, body, places, outs, [STEPS * len(dims)] * (len(body.inputs) + len(outs)), False
    )
    reference.run(kernel, [np.broadcast_to(a, shape) for a in body.inputs], outs, body.numbers)
    return None


def mapped(
    function: Callable, arrays: Sequence[np.ndarray], shape: tuple[int, ...], kind: np.dtype
) -> Callable[..., np.ndarray | None] | None:
    """The loop that computes an elementwise function of arrays like these, whose result is row-major, of this shape and type; None
    if there is none."""
    kinds = tuple([found for a in arrays if (found := char(a.dtype)) is not None])
    if len(kinds) < len(arrays):
        return None
    try:
        fragment = trace(function, kinds, {})
    except Untraceable:
        return None
    with LOCK:
        body = Body()
        (place,) = body.join(fragment, [body.value(a, {}) for a in arrays])
        if body.insts[place][1] != char(kind) or len(body.inputs) < len(arrays):
            return None
        body.names.append(getattr(function, "__name__", "map"))
        made = Made(shape, kind)
        out = made.memory()
        ran = run_loop("map", body, [place], [out], shape, out.strides)
        if ran is None:
            return None
        # (not as recipes are run: whoever has this function may try it on anything)
        facts_of = [facts(a) for a in arrays]
        return ran[0].direct(ran[1], facts_of, (shape, kind), (0,) * (len(arrays) + 1), body.numbers)


def _stored(nodes: list[Pending], root: Pending) -> tuple[int, ...]:
    """Which nodes of an expression are stored by its loop: those that somebody holds, as many as it may have."""
    last = len(nodes) - 1
    if not last:
        return (0,)
    return *[n for n in looked_for(nodes, root) if n != last][-MOST_OUTPUTS + 1 :], last


def _joined(nodes: list[Pending], stored: Sequence[int], body: Body | None = None) -> tuple[Body, list[int]]:
    """The instructions of an expression, and where those of the stored nodes are."""
    body = Body() if body is None else body
    seen: dict[int, int] = {}
    body.value(nodes[-1], seen)
    return body, [seen[id(nodes[n])] for n in stored]


class Planned(Body):
    """Instructions that will be needed; reductions that wait stand for their results."""

    def read(self, arg: Any) -> Any:
        return arg.value if type(arg) is Pending and arg.value is not None else arg


def planned(root: Pending) -> tuple[Kernel, int]:
    """The kernel that would compute an expression now, and the bytes it would move."""
    nodes = in_order(root)
    found = _stored(nodes, root)
    body, places = _joined(nodes, found, Planned())
    return planned_loop("map", body, places, [nodes[n] for n in found], root.shape, root.strides)


def planned_loop(
    form: str,
    body: Body,
    places: list[int],
    outs: list[Any],
    shape: tuple[int, ...],
    lead: tuple[int, ...],
    flags: str = "",
) -> tuple[Kernel, int]:
    """The kernel that `run_loop` would run, and the bytes that it would move."""
    arrays: list[Any] = [*body.inputs, *outs]
    operands = tuple([(a.shape, a.strides, a.itemsize) for a in arrays])
    _, _, walks, dims = domain(shape, lead, operands, flags)
    stream = sum([a.nbytes for a in outs]) >= STREAM
    return _kernel(form, dims, body, places, outs, walks, stream), sum([touched(a) for a in arrays])


def touched(a: Any) -> int:
    """The bytes of an operand, those that are shown at several places once."""
    size = a.itemsize
    for n, step in zip(a.shape, a.strides):
        size *= n if step else 1
    return size


def store(p: Pending, out: np.ndarray) -> None:
    """Compute a pending array into memory that exists, of its shape; elements may be those that the expression reads."""
    nodes = in_order(p)
    shape, arrays, numbers = signature(nodes)
    key = ("store", facts(out), shape)
    recipe = known(key)
    if recipe is not None:
        recipe.into(arrays, [out], numbers)
        return
    body, (place,) = _joined(nodes, [len(nodes) - 1])
    ran = _run_map(body, [body.cast(place, CHARS[out.dtype])], [out], out)
    if ran is not None:
        keep(key, Recipe(*ran, (0,) * len(arrays) + (0,), ()))


def inputs_of(root: Pending) -> list[np.ndarray]:
    """The arrays that an expression reads."""
    return list(signature(in_order(root))[1])


def looked_for(nodes: list[Pending], called_with: Any) -> list[int]:
    """Which nodes, in order, somebody outside of their expressions holds; see `expr`'s Note [Liveness].

    `called_with` is held by the functions that are running, whose number is not known: it is looked for unless it is marked
    as temporary.
    """
    known = _references_to(nodes)
    found = []
    for n in range(len(nodes)):
        if nodes[n] is called_with:
            if not called_with.temporary:
                found.append(n)
        elif sys.getrefcount(nodes[n]) > known[id(nodes[n])]:
            found.append(n)
    return found


def _references_to(nodes: list[Pending]) -> dict[int, int]:
    """What `getrefcount` says of each node that nobody but its list and expressions hold."""
    known = dict.fromkeys(map(id, nodes), _OURS)
    for p in nodes:
        for arg in p.args:
            if type(arg) is Pending and arg.value is None and arg.work is None:
                known[id(arg)] += 1
    return known


def _references() -> int:
    """What `getrefcount` says of an object that one list alone holds."""
    nodes = [object()]
    return sys.getrefcount(nodes[0])


_OURS = _references()


def run_loop(
    form: str,
    body: Body,
    places: list[int],
    outs: list[np.ndarray],
    shape: tuple[int, ...],
    lead: tuple[int, ...],
    flags: str = "",
) -> tuple[Program, Job] | None:
    """Run the instructions over `shape`, storing those at `places` to `outs`; None if there are no loops for that.

    Args:
        lead: strides that say in which order dimensions lie.
        flags: what becomes of each dimension, see `domain`.
    """
    found = made_loop(form, body, places, outs, shape, lead, flags)
    if found is None:
        return None
    made, job, elements = found
    arrays = [*body.inputs, *outs]
    began = time.perf_counter()
    made.do(job, list(map(address, arrays)), body.numbers)
    if debug.listened():
        seconds = time.perf_counter() - began
        moved = sum([touched(a) for a in arrays])
        debug.ran(debug.Run(" ".join(body.names), form, began, seconds, moved, elements))
    return made, job


def made_loop(
    form: str,
    body: Body,
    places: list[int],
    outs: list[np.ndarray],
    shape: tuple[int, ...],
    lead: tuple[int, ...],
    flags: str = "",
) -> tuple[Program, Job, int] | None:
    """The loop that `run_loop` runs, and over how many elements; None if there is none."""
    arrays = [*body.inputs, *outs]
    sizes, steps, walks, dims = domain(
        shape, lead, tuple([(a.shape, a.strides, a.itemsize) for a in arrays]), flags
    )
    stream = sum([a.nbytes for a in outs]) >= STREAM
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
        return None
    try:
        return made, made.job(sizes, tuple(steps)), math.prod(sizes)
    except RuntimeError as error:  # LLVM cannot compile it here
        debug.say(1, f"no loop for {' '.join(body.names)}: {error}")
        _PROGRAMS[key] = None
        return None


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
