"""Steps like the one before: the same parameters and states in the same memory, the same settings, gradients of the same form.

Of these all is known but where the gradients lie, and what follows from the count of steps. A loop in which nothing follows from
it is a function of the arrays alone, see `rushlight.native.direct`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rushlight import debug
from rushlight.buffer import Tensor
from rushlight.codegen.program import Job, Program
from rushlight.graph.assignment import Assignment
from rushlight.graph.trace import Later
from rushlight.memory import address
from rushlight.optim.lanes import Lane
from rushlight.runtime.deferral import before_write
from rushlight.tape.writes import wrote_all

if TYPE_CHECKING:
    from rushlight.optim.vectors import Group, Plan, Ready

#: one of a state's tensors: its name, the tensor, its array
Held = tuple[str, Tensor, np.ndarray]


class Member(NamedTuple):
    """A parameter and its loop.

    Attributes:
        array, kind: of the parameter; its layout is that of the gradient.
        state: what the optimiser remembers of it; None if nothing.
        held: what of this there is for each element; counts: for all of them.
        loop: what is done, by this program and job.
        step: the same as a function of parameter, gradient and `others`, if it is one.
        others: what the loop takes after the gradient; places: where it is.
    """

    p: Tensor
    array: np.ndarray
    kind: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    state: dict[str, Any] | None
    held: tuple[Held, ...]
    counts: tuple[Held, ...]
    loop: Assignment
    program: Program
    job: Job
    step: Callable[..., Any] | None
    others: tuple[np.ndarray, ...]
    places: tuple[int, ...]


class Steady:
    """How the next step of a group is taken, if it is like the one before.

    Attributes:
        update, settings: what it follows from.
        members: the parameters, in their order.
        owners: the arrays whose memory it writes to, by identity.
        written: how often it writes to which tensors.
    """

    __slots__ = ("update", "settings", "members", "owners", "written")

    def __init__(
        self, update: Callable, settings: Sequence[Any], members: list[Member], written: list
    ) -> None:
        self.update = update
        self.settings = settings
        self.members = members
        self.owners = {id(_owner(a)) for m in members for a in (m.array, *[held[2] for held in m.held])}
        self.written = written

    def again(self, params: Sequence[Tensor], states: Any, update: Callable, settings: Sequence[Any]) -> bool:
        """Take the step; False, and nothing is done, if it is not like the one before."""
        members = self.members
        if update is not self.update or settings != self.settings or len(params) != len(members):
            return False
        if debug.listened():
            return False
        owners = self.owners
        gradients = []
        counted = None
        for p, m in zip(params, members):
            g = getattr(p, "_grad", None)
            if g is None or p is not m.p or p._a is not m.array or g._dtype is not m.kind:
                return False
            if type(g) is not Tensor:  # (it may be sparse)
                return False
            a = g._a
            # (an array without a base has memory of its own)
            if type(a) is not np.ndarray or a.base is not None or id(a) in owners:
                return False
            if a.shape != m.shape or a.strides != m.strides or not _is_there(m, states.get(p)):
                return False
            if m.state is not None:
                for _, _, array in m.counts:
                    if counted is None:
                        counted = array.item()
                    elif counted != array.item():
                        return False
            gradients.append(a)
        self._carry_out(gradients, members[0].counts)
        return True

    def holds(self, ready: Sequence[Ready]) -> bool:
        """Whether these are the parameters and states, where they were."""
        return len(ready) == len(self.members) and all(
            p is m.p and p._a is m.array and _is_there(m, state)
            for m, (p, _, state) in zip(self.members, ready)
        )

    def _carry_out(self, gradients: list[np.ndarray], counts: Sequence[Held]) -> None:
        count = None
        if counts:
            lane = Lane(counts[0][2].copy())
            lane += 1
            count = lane.item()
        known: Assignment | None = None
        numbers: list[Any] = []
        for m, g in zip(self.members, gradients):
            if m.step is None or m.step(m.array, g, *m.others) is None:
                if m.loop is not known:
                    known, numbers = m.loop, m.loop.numbers_at(count)
                m.program.do(m.job, (address(m.array), address(g), *m.places), numbers)
            for _, _, array in m.counts:
                array[...] = count
        wrote_all(self.written)


def _is_there(m: Member, state: Any) -> bool:
    """Whether a parameter's state holds the tensors that it held, in the same memory. What is to read them does so now."""
    if state is not m.state and (state or m.state):
        return False
    if m.p._buf is not None and m.p._buf.watch is not None:
        before_write(m.p)
    if m.state is None:
        return True
    tensors = m.held + m.counts
    if len(state) != len(tensors):
        return False
    for name, t, array in tensors:
        if state.get(name) is not t or t._a is not array:
            return False
        if t._buf is not None and t._buf.watch is not None:
            before_write(t)
    return True


def _owner(a: Any) -> Any:
    """The array to which the memory of this one belongs."""
    while type(a.base) is np.ndarray:
        a = a.base
    return a


def steady(plan: Plan, ready: Sequence[Ready], update: Callable, settings: Sequence[Any]) -> Steady:
    """What the next step follows from, after one of this plan that was all done by loops that were noted."""
    members: dict[int, Member] = {}
    written = []
    for group in plan.groups:
        loop, writes = group.noted[1]
        for at in group.members:
            members[at] = m = _member(group, loop, *ready[at])
            tensors = [m.p, *[t for _, t, _ in m.held]]
            written += zip(tensors, (writes[0], *writes[2:]))
            written += [(t, 1) for _, t, _ in m.counts]
    return Steady(update, settings, [members[at] for at in range(len(ready))], written)


def _member(group: Group, loop: Assignment, p: Tensor, g: Tensor, state: dict[str, Any]) -> Member:
    held = tuple([(name, state[name], state[name]._a) for name in group.held])
    counts = tuple([(name, state[name], state[name]._a) for name in group.numbers])
    arrays = [p._a, g._a, *[array for _, _, array in held]]
    step = None
    if not any(type(value) is Later for value in loop.numbers):
        step = loop.direct(arrays)
    others = (*arrays[2:], *loop.outs(arrays))
    places = tuple(map(address, others))
    layout = p._a.shape, p._a.strides
    return Member(
        p,
        p._a,
        p._dtype,
        *layout,
        state or None,
        held,
        counts,
        loop,
        *loop.made(arrays),
        step,
        others,
        places,
    )


__all__ = ["Steady", "steady"]
