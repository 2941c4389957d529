"""The instructions of a body, evaluated for one vector of elements at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rushlight.codegen.builder import Builder
from rushlight.codegen.kernel import Inst, Kernel
from rushlight.codegen.maths import MATHS
from rushlight.codegen.values import FLOATS, SIZES, V
from rushlight.codegen.verbs import EMISSIONS, Emission

#: gives the value of an instruction that loads, by its number
Load = Callable[[int, Inst], V]

#: kinds that are computed as float32
HALVES = frozenset("eE")
#: kinds that mathematical functions are written for
_MATHS_KINDS = frozenset("fd")
#: what a mathematical function weighs
_FUNCTION = 30
#: weights of bodies from which on few loads are under way at a time, and from which on they are compiled but once
_LONG, _ENDLESS = 20, 70
#: verbs whose values loops give
_GIVEN = frozenset("load param reduce scan place".split())
#: verbs whose instructions trap on a divisor of 0, in lanes too that nobody asked for
_TRAPS = frozenset("div rem fmod".split())


def emission(verb: str, kind: str) -> Emission | None:
    """What computes a verb in a kind; None if nothing does."""
    return EMISSIONS.get(verb) or (MATHS.get(verb) if kind in _MATHS_KINDS else None)


def closure(kernel: Kernel, wanted: Iterable[int], known: Iterable[int] = ()) -> list[int]:
    """The instructions that `wanted` need, in order, apart from those known."""
    known = set(known)
    found: set[int] = set()
    waiting = list(wanted)
    while waiting:
        n = waiting.pop()
        if n not in found and n not in known:
            found.add(n)
            waiting += kernel.body[n].args
    return sorted(found)


def largest(kernel: Kernel) -> int:
    """Bytes of the largest kind that a body computes with or loads."""
    kinds = [inst.kind for inst in kernel.body]
    return max(map(SIZES.__getitem__, kinds))


def lanes(kernel: Kernel, vector_bytes: int) -> int:
    """Lanes of a body: as many as a vector has of the largest kind; where functions of float32 take most of the time, as many
    as it has of these, and two vectors for what is larger."""
    single = any(is_function(inst.verb) and inst.kind == "f" for inst in kernel.body)
    return max(1, vector_bytes // (min(4, largest(kernel)) if single else largest(kernel)))


def is_function(verb: str) -> bool:
    """Whether a verb is many instructions of a processor."""
    return verb in MATHS and verb not in EMISSIONS


def weight(kernel: Kernel) -> int:
    """About how many instructions of a processor a body is for each element: what comes after a reduction that goes through
    its elements once is done for few."""
    done: set[int] = set()
    for n, inst in enumerate(kernel.body):
        if kernel.form == "reduce" and (inst.verb == "reduce" or not done.isdisjoint(inst.args)):
            done.add(n)
    reduced = [n for n in done if kernel.body[n].verb == "reduce"]
    stored = [store.value for store in kernel.outputs if store.value not in done]
    each = closure(kernel, [*stored, *reduced] if done else range(len(kernel.body)))
    return sum(_FUNCTION if is_function(kernel.body[n].verb) else 1 for n in each)


def unrolling(kernel: Kernel) -> int:
    """How many vectors to do at once: enough to keep the memory busy; one for bodies that are long by themselves, and 0 (see `run`)
    for those that take long to compile."""
    here = weight(kernel)
    return 4 if here <= 8 else 2 if here <= _LONG else 1 if here <= _ENDLESS else 0


def is_long(kernel: Kernel) -> bool:
    """Whether a body is so long that few of its loads are under way at a time."""
    return weight(kernel) > _LONG


def evaluate(
    b: Builder,
    kernel: Kernel,
    wanted: Iterable[int],
    known: dict[int, V],
    load: Load,
    mask: V | None = None,
) -> dict[int, V]:
    """The values of `wanted` and what they need, added to what is known.

    Args:
        load: gives the value of a load, param or place instruction.
        mask: lanes that count; the others may hold anything, but must not trap.
    """
    values = dict(known)
    for n in closure(kernel, wanted, known):
        inst = kernel.body[n]
        args = [values[a] for a in inst.args]
        if inst.verb in _GIVEN:
            values[n] = load(n, inst)
        elif inst.verb == "const":
            values[n] = b.const(inst.attr, inst.kind)  # type: ignore[arg-type]
        elif inst.verb == "cast":
            values[n] = b.cast(args[0], inst.kind)
        else:
            if mask is not None and inst.verb in _TRAPS and inst.kind not in FLOATS:
                args[1] = b.select(mask, args[1], b.like(1, args[1]))
            values[n] = emission(inst.verb, inst.kind)(b, *args)  # type: ignore[misc]
    return values


def unsupported(kernel: Kernel) -> str:
    """Why a body cannot be compiled; "" if it can."""
    for inst in kernel.body:
        if inst.verb in ("load", "cast", "const"):
            continue
        if inst.kind in HALVES:
            return f"{inst.verb} of a half kind"
        if inst.verb not in _GIVEN and emission(inst.verb, inst.kind) is None:
            return f"no body for {inst.verb}"
    return ""
