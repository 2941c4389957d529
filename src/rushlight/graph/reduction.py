"""Reductions and row programs: computed when they are called, in one loop with what is pending on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.codegen.kernel import STEPS
from rushlight.graph.body import Body, domain, expressions
from rushlight.graph.expr import Pending, array_of, computed
from rushlight.graph.fragment import CHARS, DTYPES, Fragment, Untraceable, char
from rushlight.graph.fuse import looked_for, run_loop
from rushlight.graph.recipes import Made, Recipe, keep, known, signature
from rushlight.graph.trace import identity, trace
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
    call = function, dims, keepdim, to
    if Pending not in map(type, arrays):
        return _reduced(call, attrs, arrays, [])
    with LOCK:
        shape = arrays[0].shape
        operands = tuple([a if a.shape == shape else array_of(a) for a in map(computed, arrays)])
        return _reduced(call, attrs, operands, expressions(operands))


#: function, dims, keepdim, to: see `reduced`
_Call = tuple[Callable, tuple[int, ...], bool, Any]


def ready(
    function: Callable, a: np.ndarray, dims: tuple[int, ...], keepdim: bool, attrs: dict | None, to: Any
) -> Callable[[np.ndarray], np.ndarray | None] | None:
    """The loop that `reduced` ran for a call like this one, as a function of the array; None if there was none, or it is large."""
    recipe = known(key_of((function, dims, keepdim, to), attrs, signature([], (a,))[0]))
    return None if recipe is None else recipe.quick


def key_of(call: _Call, attrs: dict | None, *facts: Any) -> tuple | None:
    """What a call on operands of which these are the facts is known by; None if an attribute is like no other."""
    if not attrs:
        return call, *facts
    named = [(name, identity(value)) for name, value in attrs.items()]
    return None if any(fact is None for _, fact in named) else (call, *named, *facts)


def _reduced(
    call: _Call, attrs: dict | None, operands: tuple, nodes: list[Pending]
) -> tuple[np.ndarray, ...] | None:
    """The results of a call; `nodes`: what its operands consist of that is pending."""
    facts, arrays, numbers = signature(nodes, operands)
    live = looked_for(nodes, operands[0]) if nodes else []
    key = key_of(call, attrs, facts, *live)
    recipe = known(key)
    if recipe is None:
        with LOCK:
            return _anew(call, attrs or {}, operands, nodes, live, key, len(numbers))
    made = recipe.run(arrays, numbers)
    for n, value in zip(live, made):
        nodes[n].settled(value)
    return tuple(made[len(live) :])


def fragment(function: Callable, attrs: dict, operands: tuple, dims: tuple[int, ...]) -> Fragment | None:
    """The instructions of a call; None if there are none, or nothing to combine."""
    kinds = [kind for a in operands if (kind := char(a.dtype)) is not None]
    if len(kinds) < len(operands) or all(operands[0].shape[d] == 1 for d in dims):
        return None
    try:
        return trace(function, tuple([_SEEN.get(kind, kind) for kind in kinds]), attrs)
    except Untraceable:
        return None


def _anew(
    call: _Call,
    attrs: dict,
    operands: tuple,
    nodes: list[Pending],
    live: list[int],
    key: tuple | None,
    given: int,
) -> tuple[np.ndarray, ...] | None:
    """The same for a call that was not seen before; it is kept under `key`. `given`: how many numbers its operands bring."""
    function, dims, keepdim, to = call
    first = operands[0]
    own = fragment(function, attrs, operands, dims)
    if own is None:
        return None
    body = Body()
    seen: dict[int, int] = {}
    for a in operands:  # (in the order of `signature`: what is pending comes first)
        if type(a) is Pending:
            body.value(a, seen)
    places = place_results(body, own, [body.value(a, seen) for a in operands], to)
    uniform, nested = _standing(body.insts)
    form = "rows" if nested or not all(uniform[place] for place in places) else "reduce"
    if form == "rows" and (len(dims) != 1 or not _is_row(first, dims[0])):
        return None
    made = [Made(p.shape, p.dtype, p.strides) for p in [nodes[n] for n in live]]
    made += results(body, places, dims, keepdim, first.shape)
    outs = [m.memory() for m in made]
    flags = "".join(["k" if d not in dims else "R" if form == "rows" else "r" for d in range(first.ndim)])
    if nodes and not _added_alike(body, operands, outs, first.shape, flags):
        return _reduced(call, attrs, tuple(map(array_of, operands)), [])
    stored = [*[seen[id(nodes[n])] for n in live], *places]
    ran = run_loop(form, body, stored, outs, first.shape, first.strides, flags)
    if ran is None:
        return None
    for n, value in zip(live, outs):
        nodes[n].settled(value)
    if key is not None:
        begins = (0,) * (len(body.inputs) + len(outs))
        recipe = Recipe(*ran, begins, tuple(made), tuple(body.numbers[given:]))
        brought = [DTYPES[kind].type(n) for kind, n in zip(body.params[:given], body.numbers)]
        keep(key, recipe.ready(body.inputs, brought))
    return tuple([m.as_shown(out) for m, out in zip(made[len(live) :], outs[len(live) :])])


def place_results(body: Body, own: Fragment, values: list[int], to: np.dtype | None) -> list[int]:
    """Join the instructions of a call, given where its operands are; gives where its results are."""
    places = body.join(own, [body.cast(v, _SEEN.get(body.insts[v][1], body.insts[v][1])) for v in values])
    body.names += [inst[3] for inst in body.insts if inst[0] == "reduce" and inst[3] not in body.names]
    return places if to is None else [body.cast(place, CHARS[to]) for place in places]


def are_results(body: Body, places: list[int]) -> bool:
    """Whether these values are the same for all that is reduced."""
    uniform = _standing(body.insts)[0]
    return all(uniform[place] for place in places)


def form_of(body: Body) -> str:
    """Of a loop that stores results alone: whether one pass is enough for it."""
    return "rows" if _standing(body.insts)[1] else "reduce"


def results(
    body: Body, places: list[int], dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]
) -> list[Made]:
    """Memory for the results at these places."""
    uniform = _standing(body.insts)[0]
    kept = tuple([1 if d in dims else n for d, n in enumerate(shape)])
    dropped = None if keepdim else tuple([n for d, n in enumerate(shape) if d not in dims])
    return [
        Made(kept, kind, None, dropped) if uniform[place] else Made(shape, kind)
        for place in places
        for kind in [DTYPES[body.insts[place][1]]]
    ]


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
