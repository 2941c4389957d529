"""Which parameters are updated together: all by one loop of our own or, where there is none, small ones as one vector and large
ones piece by piece.

An update is elementwise, so what it is applied to may be joined or cut without changing a bit. Joined, many small
parameters cost one update and a copy each; cut, a large one is updated while its pieces are in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor, storage, version
from rushlight.dtypes import dtype, float32, float64
from rushlight.graph.expr import array_of
from rushlight.memory import address
from rushlight.optim.lanes import Lane
from rushlight.runtime.deferral import FROM_SERIES, before_write, can_compile, large
from rushlight.runtime.execute import quiet
from rushlight.runtime.repeated import written_down
from rushlight.tape.writes import wrote_all

#: elements of a piece: with its gradient, state and intermediates (in float64) it fits in the second level of cache
PIECE = 1 << 13

#: small computations that take as long as the update of few elements as a vector
_CALLS = 8

#: a parameter, its gradient, its state
Ready = tuple[Tensor, Tensor, dict[str, Any]]
#: changes a parameter by a gradient and a state: tensors or, of what is joined or cut, lanes
Update = Callable[[Any, Any, dict[str, Any]], None]
#: a tensor, and how many times it was written to
Written = tuple[Tensor, int]
#: an array and its type -> what an update is applied to
Form = Callable[[np.ndarray, dtype], Any]


class Plan:
    """How the parameters of one group are updated, as long as they and their gradients keep their form.

    Attributes:
        forms: (parameter, its array, its type, the size of its state), by which a later step is known to be like the one
            planned for.
        groups: the parameters that one loop may update.
        alone: those that are updated as they are.
        passing: whether a state is not complete yet, so that the next step is planned anew.
        settings: those of the last step; steady: how a step like it is taken, if that is known.
    """

    __slots__ = ("forms", "groups", "alone", "passing", "settings", "steady")

    def __init__(self, ready: Sequence[Ready]) -> None:
        self.forms = [(p, p._a, p._dtype, len(state)) for p, _, state in ready]
        self.passing = any(t is None for _, _, state in ready for t in state.values())
        overlapping = _overlapping([p._a for p, _, _ in ready])
        alike: dict[tuple, list[int]] = {}
        self.alone: list[int] = []
        for at, (p, _, state) in enumerate(ready):
            if at in overlapping or not _is_plain(p, state):
                self.alone.append(at)
            else:
                alike.setdefault((p._dtype, *_scalars(state).items()), []).append(at)
        self.groups = [Group(members, ready) for members in alike.values()]
        self.settings: list | None = None
        self.steady: Any = None

    def settle(self, ready: Sequence[Ready], update: Callable, settings: list) -> None:
        """Find out, after a second step with the same settings, how one like it is taken."""
        before, self.settings = self.settings, settings
        if settings != before or not ready or self.passing or self.alone:
            self.steady = None
        elif self.steady is None or not self.steady.holds(ready):
            self.steady = None
            if all(group.looped for group in self.groups):
                from rushlight.optim.steady import steady

                self.steady = steady(self, ready, update, settings)

    def fits(self, ready: Sequence[Ready]) -> bool:
        """Whether these are the parameters planned for, where they were, with gradients of their form."""
        if self.passing or len(ready) != len(self.forms):
            return False
        for (p, a, kind, size), (q, g, state) in zip(self.forms, ready):
            if (
                q is not p
                or p._a is not a
                or g._dtype is not kind
                or g._a.shape != a.shape
                or len(state) != size
            ):
                return False
            for t in state.values():
                if t is None:
                    return False
        return all(group.is_level(ready) for group in self.groups)

    def carry_out(
        self, ready: Sequence[Ready], update: Update, form: Form, settings: tuple | None = None
    ) -> None:
        """Update every parameter once; what is joined or cut gets the form of a tensor or of a lane.

        Args:
            settings: what tells this update from others, besides the states; None if nothing does.
        """
        for p, _, state in ready:
            for t in (p, *state.values()):
                if isinstance(t, Tensor):
                    before_write(t)
        alone = self.alone
        written: list[Written] = []
        for group in self.groups:
            made = group.in_loops(ready, update, settings) if form is in_lanes else None
            if made is None:
                alone = [*alone, *group.large]
                made = group.in_parts(ready, update, form)
            written += made
        wrote_all(written)
        for at in alone:
            update(*ready[at])


def _is_plain(p: Tensor, state: dict[str, Any]) -> bool:
    """Whether a parameter can be joined or cut: row-major and real, with a state of numbers and tensors like it."""
    a = p._a
    if p._dtype not in (float32, float64) or not (
        a.ndim and a.size and a.flags.c_contiguous and a.flags.writeable
    ):
        return False
    return not storage(p).inference and all(
        isinstance(t, Tensor) and (not t._a.ndim or _is_like(t, p)) for t in state.values()
    )


def _is_like(t: Tensor, p: Tensor) -> bool:
    return t._a.shape == p._a.shape and t._dtype is p._dtype and t._a.flags.c_contiguous


def _scalars(state: dict[str, Any]) -> dict[str, Any]:
    """The names in a state, with the values of what is one number for all elements."""
    return {name: None if t._a.ndim else t._a.item() for name, t in state.items()}


def _overlapping(arrays: Sequence[np.ndarray]) -> set[int]:
    """The arrays that share bytes with another one: they are updated one after the other."""
    spans = sorted((address(a), address(a) + a.nbytes, at) for at, a in enumerate(arrays) if a.flags.forc)
    found = {at for at, a in enumerate(arrays) if not a.flags.forc}
    reach, last = 0, -1
    for low, high, at in spans:
        if low < reach:
            found |= {at, last}
        if high > reach:
            reach, last = high, at
    return found


def _parts(group: list[int], ready: Sequence[Ready]) -> Iterator[list[int]]:
    """The group cut where its parts have about the size of a piece."""
    part: list[int] = []
    size = 0
    for at in group:
        if size and size + ready[at][0]._a.size > PIECE:
            yield part
            part, size = [], 0
        part.append(at)
        size += ready[at][0]._a.size
    yield part


class Alike:
    """Parameters of one type, whose states hold the same names and the same numbers.

    Attributes:
        members: their positions in the group of parameters.
        held: names of what their states hold for each element.
        numbers: names of what their states hold once.
    """

    __slots__ = ("members", "kind", "held", "numbers")

    def __init__(self, members: list[int], ready: Sequence[Ready]) -> None:
        self.members = members
        p, _, state = ready[members[0]]
        self.kind: dtype = p._dtype
        self.held = [name for name, t in state.items() if t._a.ndim]
        self.numbers = [name for name, t in state.items() if not t._a.ndim]


class Group(Alike):
    """All that are alike.

    Attributes:
        elements: of all of them.
        vectors: those that are joined, where they are not updated by a loop of our own.
        cut: those that are cut then; a small one that is like no other is one piece.
        large: those that are updated as they are then: each statement on them is one loop, on all threads.
        noted: the last settings, and the update that was noted for them, if it could be.
        looped: whether the last step was loops of this update.
    """

    __slots__ = ("elements", "vectors", "cut", "large", "noted", "looped")

    def __init__(self, members: list[int], ready: Sequence[Ready]) -> None:
        super().__init__(members, ready)
        size = {at: ready[at][0]._a.size for at in members}
        self.elements = sum(size.values())
        self.noted: tuple[tuple, Any] | None = None
        self.looped = False
        self.large = [at for at in members if large(ready[at][0]._a)]
        small = [at for at in members if size[at] <= PIECE and at not in self.large]
        parts = [part for part in _parts(small, ready) if len(part) > 1] if small else []
        self.vectors = [Vector(part, ready) for part in parts]
        apart = {*self.large, *[at for part in parts for at in part]}
        self.cut = [at for at in members if at not in apart]

    def is_level(self, ready: Sequence[Ready]) -> bool:
        """Whether the states still are of the form that they had, and hold the same numbers."""
        states = [ready[at][2] for at in self.members]
        names = {*self.held, *self.numbers}
        if any(state.keys() != names for state in states):
            return False
        for at in self.members:
            p, _, state = ready[at]
            if not all(_is_like(state[name], p) for name in self.held):
                return False
        return all(_are_equal([state[name]._a for state in states]) for name in self.numbers)

    def in_loops(
        self, ready: Sequence[Ready], update: Update, settings: tuple | None
    ) -> list[Written] | None:
        """Update every member in one pass over its elements; None if that is no loop of ours, or not worth one."""
        self.looped = False
        if self.elements < FROM_SERIES and not written_down(_CALLS) or not can_compile():
            return None
        from rushlight.optim.loops import sketched

        members = [ready[at] for at in self.members]
        numbers = {name: Lane(members[0][2][name]._a.copy()) for name in self.numbers}
        sketch = self._noted(update, settings)
        noted = sketch is not None
        if noted:
            for lane in numbers.values():
                lane += 1
            given = sketch[0].numbers_at(lane.item() if numbers else None)
        else:
            sketch = sketched(update, self.kind, self.held, numbers)
            if sketch is None:
                return None
            given = sketch[0].numbers
        assignment, (writes, _, *held) = sketch
        operands = [
            [_flat(t) for t in (p, g, *[state[name] for name in self.held])] for p, g, state in members
        ]
        addresses = [list(map(address, each)) for each in operands]
        for each, at in zip(operands, addresses):
            if not _are_apart(at, each[0].nbytes) or not assignment.ready(each):
                return None
        written: list[Written] = []
        for (p, _, state), each, at in zip(members, operands, addresses):
            assignment.run(each, at, given)
            written += (p, writes), *zip([state[name] for name in self.held], held)
        for name, t in numbers.items():
            written += _fill([state[name] for _, _, state in members], t)
        self.looped = noted
        return written

    def _noted(self, update: Update, settings: tuple | None) -> Any:
        """What the update does, as it was noted when it was first called with these settings; None if it must be called."""
        if settings is None:
            return None
        if self.noted is None or self.noted[0] != settings:
            from rushlight.optim.loops import noted

            self.noted = settings, noted(update, self.kind, self.held, self.numbers)
        return self.noted[1]

    def in_parts(self, ready: Sequence[Ready], update: Update, form: Form) -> list[Written]:
        """Update those that are not large, joined or in pieces."""
        written: list[Written] = []
        for vector in self.vectors:
            written += vector.carry_out(ready, update, form)
        for at in self.cut:
            written += _in_pieces(*ready[at], update, form)
        return written


class Vector(Alike):
    """Small parameters side by side.

    Attributes:
        places: where each is in the vector, and its shape.
    """

    __slots__ = ("places",)

    def __init__(self, members: list[int], ready: Sequence[Ready]) -> None:
        super().__init__(members, ready)
        ends = [0, *accumulate(ready[at][0]._a.size for at in members)]
        self.places = [(slice(*span), ready[at][0]._a.shape) for at, span in zip(members, pairwise(ends))]

    def carry_out(self, ready: Sequence[Ready], update: Update, form: Form) -> list[Written]:
        """Join, update, and give every member its part back."""
        kind = self.kind
        members = [ready[at] for at in self.members]
        p = form(_joined([p for p, _, _ in members]), kind)
        g = form(_joined([g for _, g, _ in members]), kind)
        state = {name: form(_joined([state[name] for _, _, state in members]), kind) for name in self.held}
        numbers = {name: _copy(members[0][2][name], form) for name in self.numbers}
        _applied(update, form, p, g, state | numbers)
        written = self._give_back(p, [p for p, _, _ in members])
        for name, t in state.items():
            written += self._give_back(t, [state[name] for _, _, state in members])
        for name, t in numbers.items():
            written += _fill([state[name] for _, _, state in members], t)
        return written

    def _give_back(self, vector: Any, tensors: Sequence[Tensor]) -> list[Written]:
        writes = _writes(vector)
        if writes:
            whole = _elements(vector)
            for t, (part, shape) in zip(tensors, self.places):
                t._a[...] = whole[part].reshape(shape)
        return [(t, writes) for t in tensors]


def _flat(t: Tensor) -> np.ndarray:
    """The elements in a line; of a gradient in another order, a copy."""
    return array_of(t._a).ravel()


def _are_apart(addresses: list[int], nbytes: int) -> bool:
    """Whether lines of one length lie in different memory: a gradient may be shown where its parameter is."""
    low = sorted(addresses)
    return min([after - before for before, after in pairwise(low)]) >= nbytes


def _joined(tensors: Sequence[Tensor]) -> np.ndarray:
    return np.concatenate([t._a for t in tensors], axis=None)


def _elements(t: Any) -> np.ndarray:
    return t.a if type(t) is Lane else t._a


def _writes(t: Any) -> int:
    return t.version if type(t) is Lane else version(t)


def _are_equal(arrays: Sequence[np.ndarray]) -> bool:
    first = arrays[0].item()
    return all(a.item() == first for a in arrays)


def _copy(t: Tensor, form: Form) -> Any:
    return form(t._a.copy(), t._dtype)


def _fill(tensors: Sequence[Tensor], number: Any) -> list[Written]:
    """Give tensors of one element the value of `number`, if it was written to."""
    writes = _writes(number)
    if writes:
        value = _elements(number)
        for t in tensors:
            t._a[...] = value
    return [(t, writes) for t in tensors]


def _in_pieces(p: Tensor, g: Tensor, state: dict[str, Any], update: Update, form: Form) -> list[Written]:
    """Update a parameter a piece at a time; each piece starts from the same numbers."""
    kind = p._dtype
    held = {name: t for name, t in state.items() if t._a.ndim}
    single = [(name, t) for name, t in state.items() if not t._a.ndim]
    whole = {name: t._a.reshape(-1) for name, t in held.items()}
    parameter, gradient = p._a.reshape(-1), g._a.reshape(-1)
    for start in range(0, parameter.size, PIECE):
        part = slice(start, start + PIECE)
        piece = form(parameter[part], kind)
        pieces = {name: form(a[part], kind) for name, a in whole.items()}
        numbers = {name: _copy(t, form) for name, t in single}
        _applied(update, form, piece, form(gradient[part], kind), pieces | numbers)
    written = [(p, _writes(piece)), *[(t, _writes(pieces[name])) for name, t in held.items()]]
    for name, t in numbers.items():
        written += _fill([state[name]], t)
    return written


def in_lanes(a: np.ndarray, kind: dtype) -> Lane:
    """The form of what an update needs no tensor for."""
    return Lane(a)


in_tensors: Form = new_tensor


def _applied(update: Update, form: Form, *args: Any) -> None:
    if form is in_lanes:  # (a tensor keeps NumPy quiet itself)
        quiet(update, *args)
    else:
        update(*args)


__all__ = ["Form", "Plan", "in_lanes", "in_tensors"]
