"""Products of matrices: entries become matrices of a stack, of which `matmul` takes as many as there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.buffer import Tensor
from rushlight.func.dispatch import At, rule
from rushlight.func.rules.dims import bound
from rushlight.func.rules.elementwise import aligned
from rushlight.ops.matmul import matmul as product

#: the strict products: the ranks of their operands
_RANKS = {"mm": (2, 2), "bmm": (3, 3), "mv": (2, 1), "dot": (1, 1)}


@rule("matmul", "mm", "bmm", "mv", "dot", "__matmul__", "__rmatmul__")
def matmul(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """The product of two tensors' entries.

    1. Vectors become matrices of one row, or one column.
    2. Dimensions of stacks are aligned behind the batch's.
    3. What step 1 put in is taken out.
    """
    x, y = (*args, *kwargs.values())[:2]
    if at.name == "__rmatmul__":
        x, y = y, x
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        return NotImplemented
    ranks = x.ndim, y.ndim
    if 0 in ranks or ranks != _RANKS.get(at.name, ranks) or not _fits(at.name, x, y):
        return NotImplemented
    a = x.unsqueeze(0) if ranks[0] == 1 else x
    b = y.unsqueeze(1) if ranks[1] == 1 else y
    rank = max(a.ndim, b.ndim)
    out = product(aligned(at, a, rank), aligned(at, b, rank))
    if ranks[1] == 1:
        out = out.squeeze(-1)
    if ranks[0] == 1:
        out = out.squeeze(-1 if ranks[1] == 1 else -2)
    return at.out(out)


def _fits(name: str, x: Tensor, y: Tensor) -> bool:
    """Whether the entries' sizes are right; if not, the operation itself says what is wrong with one entry."""
    inner = y.shape[-2] if y.ndim > 1 else y.shape[0]
    return x.shape[-1] == inner and (name != "bmm" or x.shape[0] == y.shape[0]) and x.dtype is y.dtype


@rule("nn.functional.linear")
def linear(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, weight, bias = (*args, *kwargs.values(), None)[:3]
    if kwargs:
        given = bound("nn.functional.linear", args, kwargs)
        x, weight, bias = given["input"], given["weight"], given["bias"]
    if not at.has(weight) and not at.has(bias):
        return at.out(function(x.inner, weight, bias))
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        return NotImplemented
    out = x @ weight.t()
    return out if bias is None else out + bias


@rule("addmm", "addmv", "baddbmm", "addbmm", "addr")
def added(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """beta * input + alpha * product."""
    name = at.name
    given = bound(name, args, kwargs)
    base, x, y = list(given.values())[:3]
    beta, alpha = given["beta"], given["alpha"]
    if name == "addr":
        made = x.unsqueeze(1) * y.unsqueeze(0)
    else:
        made = {"addmm": x.mm, "addmv": x.mv, "baddbmm": x.bmm, "addbmm": x.bmm}[name](y)
    if name == "addbmm":
        made = made.sum(0)
    made = made if alpha == 1 else made * alpha
    return made if beta == 0 else made + (base if beta == 1 else base * beta)


@rule("outer", "ger")
def outer(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, y = (*args, *kwargs.values())
    return x.unsqueeze(1) * y.unsqueeze(0) if x.ndim == y.ndim == 1 else NotImplemented


@rule("einsum")
def einsum(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """The same sum with one more letter, that of the batch, before the terms of what belongs to it."""
    equation, *operands = args
    if not isinstance(equation, str) or kwargs:
        return NotImplemented
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = list(operands[0])
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [letter for letter in "zyxwvutsrqponmlkjihgfedcbaZYXWVU" if letter not in equation]
    if len(terms) != len(operands) or not free:
        return NotImplemented
    if not arrow:
        letters = sorted(set(left) - {",", "."})
        right = ("..." if "..." in left else "") + "".join(c for c in letters if left.count(c) == 1)
    named = [free[0] + term if at.has(t) else term for term, t in zip(terms, operands)]
    return at.out(function(f"{','.join(named)}->{free[0]}{right}", *map(at.inner, operands)))
