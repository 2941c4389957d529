"""A sum over all of an expression that waits: where the gradient alone is wanted, nobody looks at the loss.

It holds the expression, whose value is not needed for it: when somebody looks, both become one loop, as they would have been at
the call. The elements are taken up in the same order whatever has been computed by then, so that the bits are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rushlight.codegen.kernel import Kernel
from rushlight.graph.body import in_order
from rushlight.graph.expr import Pending, array_of
from rushlight.graph.fuse import Planned, planned_loop
from rushlight.graph.reduction import fragment, place_results, reduced, results
from rushlight.memory import owned

#: function, dims, keepdim and the type of the result, as `reduced` takes them
Call = tuple[Callable, tuple[int, ...], bool, np.dtype | None]


class Total(NamedTuple):
    """What a waiting sum computes.

    Attributes:
        call: how `rushlight.graph.reduction.reduced` is called for it; attrs: of the function.
        operand: the expression.
        otherwise: array -> the sum, where there is no such loop.
    """

    call: Call
    attrs: dict | None
    operand: Pending
    otherwise: Callable[[np.ndarray], np.ndarray]

    def compute(self, p: Pending) -> None:
        """Compute the sum that has this work."""
        self.operand.temporary = self._holders() <= _ALONE
        x = self.operand
        function, dims, keepdim, to = self.call
        made = reduced(function, (x,), dims, keepdim, self.attrs, to)
        p.settled(self.otherwise(array_of(x)) if made is None else made[0])

    def _holders(self) -> int:
        return sys.getrefcount(self.operand)

    def expressions(self) -> list[Pending]:
        """What is pending of its operand, operands first."""
        return in_order(self.operand) if self.operand.value is None else []

    def keeps(self) -> bool:
        """Whether it keeps memory that nobody else holds any more."""
        if self.operand.value is not None:
            return self._holders() <= _ALONE
        for arg, others in _others([p.args for p in self._parts()]):
            if others <= _NOBODY and (type(arg) is Pending or owned(arg)):
                return True
        return False

    def _parts(self) -> list[Pending]:
        """What its operand consists of that is pending, in no order that could be relied on."""
        parts = [self.operand]
        seen = {id(self.operand)}
        for p in parts:
            for arg in p.args:
                if type(arg) is Pending and arg.value is None and arg.work is None and id(arg) not in seen:
                    seen.add(id(arg))
                    parts.append(arg)
        return parts

    def planned(self) -> tuple[Kernel, int] | None:
        """The kernel that would compute it now, and the bytes it would move; None if there is no such loop."""
        function, dims, keepdim, to = self.call
        x = self.operand
        own = fragment(function, self.attrs or {}, (x,), dims)
        if own is None:
            return None
        body = Planned()
        places = place_results(body, own, [body.value(x, {})], to)
        outs = [made.memory() for made in results(body, places, dims, keepdim, x.shape)]
        return planned_loop("reduce", body, places, outs, x.shape, x.strides, "r" * x.ndim)


#: what `_holders` says of what only this holds
_ALONE = Total.__new__(Total, (len, (), False, None), None, object(), np.asarray)._holders()  # type: ignore[arg-type]


def _others(operands: Sequence[Sequence[Any]]) -> list[tuple[Any, int]]:
    """The arrays that some expressions read, and how many references there are to each but for theirs."""
    args = [
        arg
        for each in operands
        for arg in each
        if type(arg) is np.ndarray or type(arg) is Pending and arg.value is not None
    ]
    own: dict[int, int] = {}
    for arg in args:
        own[id(arg)] = own.get(id(arg), 0) + 1
    return [(arg, sys.getrefcount(arg) - 2 * own[id(arg)]) for arg in args]


#: what `_others` says of what only expressions hold
_NOBODY = _others([(np.empty(0),)])[0][1]

__all__ = ["Call", "Total"]
