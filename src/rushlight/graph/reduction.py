"""Reductions and row programs: computed when they are called, in one loop with what is pending on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.codegen.kernel import STEPS
from rushlight.graph.body import Body, domain, in_order
from rushlight.graph.expr import Pending, array_of
from rushlight.graph.fuse import looked_for, run_loop
from rushlight.graph.recipes import Made, Recipe, keep, known
from rushlight.graph.trace import CHARS, DTYPES, Untraceable, char, identity, trace
from rushlight.lock import LOCK

#: elements along a dimension that is not the innermost, of which a cache holds a few columns side by side
MOST_LINES = 1 << 13
#: half types are seen as float32 by what computes with them
_SEEN = {"e": "f", "E": "f"}


def reduced(
    function: Callable,
    arrays: tuple,
    dims: tuple[int, ...],
    keepdim: bool,
    attrs: dict | None = None,
    to: np.dtype | None = None,
) -> tuple[np.ndarray, ...] | None:
    """What `function(*arrays, **attrs)` gives, in one loop; None if it cannot be one.

    The function is NumPy's on arrays, and reduces over `dims`, keeping them at size one. Results that do not depend on the
    reduced dimensions have the kept shape; others (of a row program: the reduced dimension must be one) that of the first array,
    which must be that of all together.

    Args:
        keepdim: whether reduced results keep the reduced dimensions at size one.
        to: the type of the results, if not the one they are computed in.
    """
    key = _key(function, arrays, dims, keepdim, attrs, to)
    recipe = known(key)
    if recipe is not None:
        return tuple(recipe.run(arrays))
    if all(arrays[0].shape[d] == 1 for d in dims):  # nothing is combined
        return None
    kinds = [kind for a in arrays if (kind := char(a.dtype)) is not None]
    if len(kinds) < len(arrays):
        return None
    try:
        fragment = trace(function, tuple([_SEEN.get(kind, kind) for kind in kinds]), attrs or {})
    except Untraceable:
        return None
    with LOCK:
        return _run(fragment, arrays, dims, keepdim, to, key)


def ready(
    function: Callable, a: np.ndarray, dims: tuple[int, ...], keepdim: bool, attrs: dict | None, to: Any
) -> Callable[[np.ndarray], Sequence[np.ndarray]] | None:
    """The loop that `reduced` ran for a call like this one, as a function of the array; None if there was none, or it is large."""
    recipe = known(_key(function, (a,), dims, keepdim, attrs, to))
    return None if recipe is None else recipe.quick


def _key(
    function: Callable, arrays: tuple, dims: tuple[int, ...], keepdim: bool, attrs: dict | None, to: Any
) -> tuple | None:
    """What a call with these arrays is known by; None if one is pending or comes twice, or an attribute is like no other."""
    key = [function, dims, keepdim, to]
    for name, value in attrs.items() if attrs else ():
        fact = identity(value)
        if fact is None:
            return None
        key += name, fact
    for a in arrays:
        if type(a) is not np.ndarray:
            return None
        key += a.shape, a.strides, a.dtype
    return tuple(key) if len(arrays) == 1 or len(set(map(id, arrays))) == len(arrays) else None


def _run(
    fragment: Any,
    arrays: tuple,
    dims: tuple[int, ...],
    keepdim: bool,
    to: np.dtype | None,
    key: tuple | None = None,
) -> tuple[np.ndarray, ...] | None:
    body = Body()
    seen: dict[int, int] = {}
    places = []
    first = arrays[0]
    pending: list[Pending] = []
    for a in arrays:
        if type(a) is Pending and a.value is None:
            if a.shape != first.shape:
                a = a.look()
            else:
                pending += [p for p in in_order(a) if id(p) not in seen]
        place = body.value(a, seen)
        places.append(body.cast(place, _SEEN.get(body.insts[place][1], body.insts[place][1])))
    results = body.join(fragment, places)
    body.names += [inst[3] for inst in body.insts if inst[0] == "reduce"]
    if to is not None:
        results = [body.cast(place, CHARS[to]) for place in results]
    uniform, nested = _standing(body.insts)
    spread = [place for place in results if not uniform[place]]
    form = "rows" if spread or nested else "reduce"
    if form == "rows" and (len(dims) != 1 or not _is_row(first, dims[0])):
        return None
    live = [pending[n] for n in looked_for(pending, first)]
    made = [Made(p.shape, p.dtype, p.strides) for p in live]
    shape = first.shape
    kept = tuple([1 if d in dims else n for d, n in enumerate(shape)])
    dropped = None if keepdim else tuple([n for d, n in enumerate(shape) if d not in dims])
    for place in results:
        kind = DTYPES[body.insts[place][1]]
        made.append(Made(kept, kind, None, dropped) if uniform[place] else Made(shape, kind))
    outs = [m.memory() for m in made]
    flags = "".join(["k" if d not in dims else "R" if form == "rows" else "r" for d in range(len(shape))])
    if pending and not _added_alike(body, arrays, outs, shape, flags):
        return _run(fragment, tuple(map(array_of, arrays)), dims, keepdim, to)
    stored = [*[seen[id(p)] for p in live], *results]
    ran = run_loop(form, body, stored, outs, shape, first.strides, flags)
    if ran is None:
        return None
    for p, value in zip(live, outs):
        p.settled(value)
    if key is not None:
        recipe = Recipe(*ran, (0,) * (len(arrays) + len(outs)), tuple(made), tuple(body.numbers))
        keep(key, recipe.ready())
    return tuple([m.as_shown(out) for m, out in zip(made[len(live) :], outs[len(live) :])])


def _added_alike(
    body: Body, arrays: tuple, outs: list[np.ndarray], shape: tuple[int, ...], flags: str
) -> bool:
    """Whether a sum takes the elements up in the order in which it would if they were in memory already.

    The order follows from the loop nest, and so from how operands walk: it is that of the arrays if what they are made of
    merges the same dimensions, and none lies across them: side by side along the last dimension but one. (Extremes and
    integers have no order.)
    """
    if not any(
        verb == "reduce" and monoid in ("sum", "prod") and kind in "fd"
        for verb, kind, _, monoid in body.insts
    ):
        return True
    lead = arrays[0].strides

    def facts(those: Sequence[Any]) -> tuple:
        return tuple([(a.shape, a.strides, a.itemsize) for a in (*those, *outs)])

    sizes, steps, walks, _ = domain(shape, lead, facts(body.inputs), flags)
    across = [
        walk[-1] == STEPS and step[-2:-1] == (a.itemsize,) for a, step, walk in zip(body.inputs, steps, walks)
    ]
    return sizes == domain(shape, lead, facts(arrays), flags)[0] and not any(across)


def _standing(insts: list[tuple]) -> tuple[list[bool], bool]:
    """Which values are the same along a row, and whether a reduction is over what depends on another."""
    uniform: list[bool] = []
    after: list[bool] = []
    nested = False
    for verb, _, args, _ in insts:
        if verb == "reduce":
            nested = nested or after[args[0]]
            uniform.append(True)
            after.append(True)
        else:
            uniform.append(verb in ("param", "const") or bool(args) and all(uniform[a] for a in args))
            after.append(any(after[a] for a in args))
    return uniform, nested


def _is_row(a: Any, dim: int) -> bool:
    """Whether lines along this dimension fit in the cache: alone where they lie innermost, several together elsewhere."""
    step = a.strides[dim]
    innermost = all(n == 1 or d == dim or s > step for d, (n, s) in enumerate(zip(a.shape, a.strides)))
    return a.size > 0 and (innermost or a.shape[dim] <= MOST_LINES)
