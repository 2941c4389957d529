"""Einstein summation by permuting and multiplying matrices."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from rushlight.buffer import Tensor, new_tensor
from rushlight.layout import numel
from rushlight.ops.contractions import bmm
from rushlight.ops.kinds.contraction import BLAS, batched
from rushlight.ops.spec import public
from rushlight.runtime.execute import quiet

#: stands among labels for the dimensions that "..." covers
ELLIPSIS = "."
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = _UPPER.lower()
_LETTERS = frozenset(_UPPER + _LOWER)


class _Equation(NamedTuple):
    """A parsed equation: the labels of each operand, and of the result (None if left out)."""

    inputs: list[list[str]]
    output: list[str] | None


def _parse(equation: str, count: int) -> _Equation:
    left, arrow, right = equation.partition("->")
    inputs = [_labels(part, start, f"operand {n}", equation) for n, (start, part) in enumerate(_split(left))]
    if len(inputs) > count:
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    if len(inputs) < count:
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    output = _labels(right, len(left) + 2, "output", equation) if arrow else None
    return _Equation(inputs, output)


def _split(left: str) -> list[tuple[int, str]]:
    parts, start = [], 0
    for part in left.split(","):
        parts.append((start, part))
        start += len(part) + 1
    return parts


def _labels(part: str, start: int, where: str, equation: str) -> list[str]:
    labels: list[str] = []
    at = 0
    place = f"for {where}"
    while at < len(part):
        char = part[at]
        if char == ".":
            if ELLIPSIS in labels:
                known = "" if where != "output" else " (...)"
                found = (
                    "for which an ellipsis was already found"
                    if not known
                    else "but an ellipsis (...) was already found"
                )
                raise RuntimeError(f"einsum(): found '.' {place} {found}")
            if part[at : at + 3] != "...":
                end = " (...)" if where == "output" else ""
                raise RuntimeError(f"einsum(): found '.' {place} that is not part of any ellipsis{end}")
            labels.append(ELLIPSIS)
            at += 2
        elif char in _LETTERS:
            labels.append(char)
        elif char != " ":
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {start + at} in the equation string, subscripts must be "
                "in [a-zA-Z]"
            )
        at += 1
    return labels


def _covered(labels: list[str], ndim: int, number: int) -> int:
    """How many dimensions of an operand its ellipsis covers."""
    named = len(labels) - (ELLIPSIS in labels)
    if ELLIPSIS in labels:
        if named > ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) is more than the number of dimensions "
                f"({ndim}) for operand {number}"
            )
        return ndim - named
    if named != ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions "
            f"({ndim}) for operand {number} and no ellipsis was given"
        )
    return 0


def _output_labels(equation: _Equation) -> list[str]:
    if equation.output is None:
        every = [label for labels in equation.inputs for label in labels if label != ELLIPSIS]
        once = sorted(label for label in set(every) if every.count(label) == 1)
        return ([ELLIPSIS] if any(ELLIPSIS in labels for labels in equation.inputs) else []) + once
    known = {label for labels in equation.inputs for label in labels}
    seen: set[str] = set()
    for label in equation.output:
        if label in seen:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if label != ELLIPSIS and label not in known:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
        seen.add(label)
    return equation.output


def _places(output: list[str], inputs: list[list[str]], covered: int) -> tuple[dict[str, int], int, int]:
    """The common order of dimensions: the output's first. (first place of a label, kept, all)"""
    places: dict[str, int] = {}
    at = 0
    for label in output:
        places[label] = at
        at += covered if label == ELLIPSIS else 1
    kept = at
    if ELLIPSIS not in places:
        places[ELLIPSIS] = at
        at += covered
    for label in sorted({label for labels in inputs for label in labels} - set(places)):
        places[label] = at
        at += 1
    return places, kept, at


def _aligned(
    t: Any, labels: list[str], places: dict[str, int], total: int, widths: tuple[int, int], number: int
) -> Any:
    """An operand with its dimensions in the common order, ones where it lacks a label.

    A label that is repeated in one operand takes its diagonal. `widths` are the dimensions that an
    ellipsis covers in this operand, and in the widest.
    """
    own, covered = widths
    order = [-1] * total
    found: dict[str, int] = {}
    at = 0
    for label in labels:
        if label == ELLIPSIS:
            for extra in range(covered - own):
                t = t.unsqueeze(at + extra)
            for n in range(covered):
                order[places[ELLIPSIS] + n] = at
                at += 1
        elif label in found:
            first = found[label]
            if t._a.shape[at] != t._a.shape[first]:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {number} but the sizes don't match, "
                    f"{t._a.shape[at]} != {t._a.shape[first]}"
                )
            t = t.diagonal(0, first, at).movedim(-1, first)
        else:
            found[label] = order[places[label]] = at
            at += 1
    for place, dim in enumerate(order):
        if dim < 0:
            t = t.unsqueeze(-1)
            order[place] = at
            at += 1
    return t.permute(order)


def _check_sizes(operands: list[Any], inputs: list[list[str]], places: dict[str, int], covered: int) -> None:
    """Sizes of one label must be equal, or one."""
    seen: dict[int, int] = {}
    for number, (t, labels) in enumerate(zip(operands, inputs)):
        for label in labels:
            width = covered if label == ELLIPSIS else 1
            for n in range(width):
                place = places[label] + n
                size = t._a.shape[place]
                if size == 1 or seen.setdefault(place, size) == size:
                    continue
                if label == ELLIPSIS:
                    raise RuntimeError(
                        f"einsum(): dimension {n} covered by ellipsis in operand {number}has size {size} which does "
                        f"not broadcast with previously seen ellipsis with size {seen[place]} for the respective "
                        "dimension"
                    )
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {size} for operand {number} which does not broadcast with "
                    f"previously seen size {seen[place]}"
                )


@functools.lru_cache(maxsize=256)
def _plan(equation: str, ndims: tuple[int, ...]) -> tuple:
    """What an equation means for operands of these ranks: labels, ellipses, the common order of dimensions."""
    parsed = _parse(equation, len(ndims))
    covers = [_covered(labels, ndim, n) for n, (labels, ndim) in enumerate(zip(parsed.inputs, ndims))]
    places, kept, total = _places(_output_labels(parsed), parsed.inputs, max(covers))
    return parsed.inputs, covers, places, kept, total


def _aligned_array(t: Any, labels: list[str], places: dict[str, int], total: int) -> Any:
    """`_aligned` for distinct labels and no graph: a temporary on the operand's memory."""
    order = list(range(len(labels), total))
    for at, place in sorted((places[label], at) for at, label in enumerate(labels)):
        order.insert(at, place)
    a = t._a
    return new_tensor(a.reshape(a.shape + (1,) * (total - a.ndim)).transpose(order), t._dtype)


# ---- contraction ----


def _contract_pair(x: Any, y: Any, summed: list[int]) -> Any:
    """The product of two aligned operands, summed over `summed`, which stay with size one.

    Dimensions fall in four groups: in both and kept (a batch), in one only, in both and
    summed. With each group flattened it is one batched matrix product.
    """
    if not summed:
        return x * y
    batch, left, right, inner = [], [], [], 1
    for dim in range(x._a.ndim):
        in_x, in_y = x._a.shape[dim] != 1, y._a.shape[dim] != 1
        if dim in summed:
            if in_x and in_y:
                inner *= x._a.shape[dim]
            elif in_x:
                x = x.sum(dim, True)
            elif in_y:
                y = y.sum(dim, True)
        elif in_x and in_y:
            batch.append(dim)
        else:
            (left if in_x else right).append(dim)
    a, b = x._a.shape, y._a.shape
    shape = [a[d] for d in batch] + [a[d] for d in left] + [1] * len(summed) + [b[d] for d in right]
    lead = numel(a[d] for d in batch)
    order = batch + left + summed + right
    back = [order.index(d) for d in range(len(order))]
    if x._edge is None and y._edge is None and x._dtype is y._dtype and x._dtype in BLAS:
        left_factor = x._a.transpose(order).reshape(lead, -1, inner) if x._a.size else None
        right_factor = (
            y._a.transpose(batch + summed + right + left).reshape(lead, inner, -1) if y._a.size else None
        )
        if left_factor is not None and right_factor is not None:
            made = quiet(batched, left_factor, right_factor)
            return new_tensor(made.reshape(shape).transpose(back), x._dtype)
    rows = x.permute(batch + left + summed + right).reshape(lead, numel(a[d] for d in left), inner)
    columns = y.permute(batch + summed + right + left).reshape(lead, inner, numel(b[d] for d in right))
    return bmm(rows, columns).view(shape).permute(back)


def _contract_all(operands: list[Any], kept: int) -> Any:
    """Contract from left to right, summing each dimension as soon as no later operand has it."""
    total = operands[0]._a.ndim
    users = [sum(t._a.shape[d] != 1 for t in operands) for d in range(total)]
    made = operands[0]
    for y in operands[1:]:
        summed, alone_x, alone_y = [], [], []
        for d in range(kept, total):
            in_x, in_y = made._a.shape[d] != 1, y._a.shape[d] != 1
            if in_x and in_y:
                users[d] -= 1
                if users[d] == 1:
                    summed.append(d)
                    users[d] = 0
            elif users[d] == 1 and (in_x or in_y):
                (alone_x if in_x else alone_y).append(d)
                users[d] = 0
        if alone_x:
            made = made.sum(alone_x, True)
        if alone_y:
            y = y.sum(alone_y, True)
        made = _contract_pair(made, y, summed)
    if total > kept:
        if len(operands) > 1:
            return made.view(made._a.shape[:kept])
        return made.sum(list(range(kept, total)))
    return made


# ---- the public function ----


def _from_sublists(args: tuple) -> tuple[str, tuple]:
    """einsum(x, [0, 1], y, [1, 2], [0, 2]) as an equation and its operands."""

    def letter(label: Any) -> str:
        if label is Ellipsis:
            return "..."
        if 0 <= label < 52:
            return (_UPPER + _LOWER)[label]
        raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")

    equation = ",".join("".join(map(letter, labels)) for labels in args[1::2])
    if len(args) % 2:
        return equation + "->" + "".join(map(letter, args[-1])), args[:-1:2]
    return equation, args[::2]


@public(name="einsum", out=False)
def einsum(*args):
    """Sums of products, named by the labels of the operands' dimensions.

    `einsum("bij,bjk->bik", x, y)`, with "..." for any dimensions, a repeated label for a
    diagonal, or with lists of numbers: `einsum(x, [0, 1], y, [1, 2], [0, 2])`.
    Operands are contracted from left to right.

    Raises:
        RuntimeError: the equation is malformed or does not fit the operands.

    Example:
        >>> import rushlight as torch
        >>> torch.einsum("ij,jk->ik", torch.ones(2, 3), torch.ones(3, 2))
        tensor([[3., 3.],
                [3., 3.]])
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if isinstance(args[0], Tensor):
        equation, operands = _from_sublists(args)
    else:
        equation, operands = args[0], args[1:]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        return einsum(equation, *operands[0])
    if not isinstance(equation, str):
        raise TypeError(
            f"einsum(): argument 'equation' (position 1) must be str, not {type(equation).__name__}"
        )
    for at, t in enumerate(operands):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {at} in argument 1, but got {type(t).__name__}")
    inputs, covers, places, kept, total = _plan(equation, tuple(t._a.ndim for t in operands))
    covered = max(covers)
    plain = len(operands) > 1 and all(
        t._edge is None and len(set(labels)) == len(labels) and ELLIPSIS not in labels
        for t, labels in zip(operands, inputs)
    )
    if plain:
        aligned = [_aligned_array(t, labels, places, total) for t, labels in zip(operands, inputs)]
    else:
        aligned = [
            _aligned(t, labels, places, total, (own, covered), n)
            for n, (t, labels, own) in enumerate(zip(operands, inputs, covers))
        ]
    _check_sizes(aligned, inputs, places, covered)
    return _contract_all(aligned, kept)
