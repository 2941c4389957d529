"""`rushlight.explain(tensor)`: what is waiting behind a tensor, and the loop that will compute it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.words import NAMES
from rushlight.graph.body import in_order
from rushlight.graph.expr import Pending
from rushlight.graph.fragment import CHARS
from rushlight.lock import LOCK


class Explanation:
    """What `explain` found; its `str` is for reading.

    Attributes:
        waiting: whether the tensor is still to be computed.
        expression: a line for each operation, operands first.
        kernels: the texts of the loops that will compute it.
        passes: how many loops that is.
        bytes: what they read and write, each operand once.
    """

    def __init__(self, waiting: bool, expression: list[str], kernels: list[str], nbytes: int) -> None:
        self.waiting = waiting
        self.expression = expression
        self.kernels = kernels
        self.passes = len(kernels)
        self.bytes = nbytes

    def __repr__(self) -> str:
        if not self.waiting:
            return f"computed: {self.bytes} bytes of memory"
        work = f"{self.passes} pass{'es' * (self.passes != 1)} over memory, {self.bytes} bytes"
        lines = [*self.expression, *[line for kernel in self.kernels for line in kernel.splitlines()]]
        return "\n".join([f"waiting: {work}", *["  " + line for line in lines]])


def explain(tensor: Tensor) -> Explanation:
    """What is waiting behind a tensor: the expression, the kernel that will compute it, its passes over memory and bytes.

    Nothing is computed by asking.

    Raises:
        TypeError: not a tensor.

    Example:
        >>> import rushlight as torch
        >>> x = torch.ones(1000, 1000)
        >>> print(torch.explain(x * 2 + 1))
        waiting: 1 pass over memory, 8000000 bytes
          a = memory f32 (1000, 1000)
          b = mul(a, 2) f32 (1000, 1000)
          c = add(b, 1) f32 (1000, 1000)
        map k params ff
          %0 = load f32 in0 f32 c
          %1 = param f32 0
          %2 = mul f32 %0 %1
          %3 = param f32 1
          %4 = add f32 %2 %3
          out0 f32 c = %4
        >>> torch.explain(x)
        computed: 4000000 bytes of memory
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"explain(): argument 'tensor' must be Tensor, not {type(tensor).__name__}")
    p = tensor._a
    if type(p) is not Pending or p.value is not None:
        return Explanation(False, [], [], p.nbytes)
    with LOCK:
        reductions = _reductions(p)
        kernels = _planned(p, reductions)
        texts = [kernel.text() for kernel, _ in kernels]
        return Explanation(True, _lines(p, reductions), texts, sum([moved for _, moved in kernels]))


def _total(root: Pending) -> Any:
    """What computes it, if it is a sum over all of an expression."""
    from rushlight.graph.total import Total

    return root.work if type(root.work) is Total else None


def _expressions(root: Pending) -> list[Pending]:
    """What one loop computes besides reductions that wait."""
    if root.work is None:
        return in_order(root)
    total = _total(root)
    return [] if total is None else total.expressions()


def _reductions(root: Pending) -> list[Pending]:
    """Those that wait below an expression, or itself."""
    if root.work is not None and _total(root) is None:
        return [root]
    found = {
        id(arg): arg
        for p in _expressions(root)
        for arg in p.args
        if type(arg) is Pending and arg.value is None and arg.work is not None
    }
    return [*found.values()]


def _planned(root: Pending, reductions: list[Pending]) -> list[tuple[Kernel, int]]:
    """The kernels that will run, and the bytes that each moves."""
    from rushlight.graph import fuse, together

    kernels = []
    left = reductions
    while left:
        kernels.append(together.planned(left[0]))
        company = {id(p) for p in together.company(left[0])}
        left = [p for p in left if id(p) not in company]
    if root.work is None:
        kernels.append(fuse.planned(root))
    elif (total := _total(root)) is not None:
        kernels.append(total.planned())
    return [planned for planned in kernels if planned is not None]


def _lines(root: Pending, reductions: list[Pending]) -> list[str]:
    names: dict[int, str] = {}
    lines: list[str] = []

    def named(value: object) -> str:
        names[id(value)] = name = _letters(len(names))
        return name

    def operand(value: object) -> str:
        if type(value) is Pending and value.value is not None:
            value = value.value
        if type(value) is np.ndarray:
            if id(value) not in names:
                lines.append(f"{named(value)} = memory {_facts(value)}")
            return names[id(value)]
        return names[id(value)] if type(value) is Pending else f"{value:g}"

    for p in reductions:
        lines.append(f"{named(p)} = {p.outline.name}({operand(p.work.operands[0])}) {_facts(p)}")
    for p in _expressions(root):
        operands = ", ".join([operand(arg) for arg in p.args])
        lines.append(f"{named(p)} = {p.outline.name}({operands}) {_facts(p)}")
    if (total := _total(root)) is not None:
        lines.append(f"{named(root)} = {root.outline.name}({operand(total.operand)}) {_facts(root)}")
    return lines


def _facts(a: np.ndarray | Pending) -> str:
    return f"{NAMES[CHARS[a.dtype]]} {a.shape}"


def _letters(n: int) -> str:
    """a to z, then aa, ab, ..."""
    return (_letters(n // 26 - 1) if n >= 26 else "") + chr(ord("a") + n % 26)
