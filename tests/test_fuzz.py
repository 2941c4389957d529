"""Random programs, run on Rushlight and on PyTorch at once; every observable must agree after every step.

The programs mix operations, views, in-place writes, detaches, grad modes, hooks and backward passes on tensors that
share memory; `steps.py` says of what they are made. `python tests/test_fuzz.py MINUTES` looks for longer than the
tests do, `python tests/test_fuzz.py MINUTES SEED` with other programs, and `... large` on large tensors.

After each step our values, once compared, are replaced by PyTorch's: rounding never adds up over a program, so the
tolerances are those of one step, and what depends on values by a threshold (masks, sorting) stays in step.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from large_steps import (
    LARGE_BINARY,
    LARGE_CHANGES,
    LARGE_FRESH,
    LARGE_GRADIENTS,
    LARGE_LEAVES,
    LARGE_VIEWS,
    LARGE_WRITES,
)
from steps import BINARY, DOUBLE, FRESH, GRADIENTS, GRADIENTS_OF_TWO, LEAVES, USER, VIEWS, WRITES

import rushlight

#: one step: its name, which tensors (or, for a leaf, which shape, dtype and values), and the grad mode it runs in
Step = tuple[str, tuple[int, int, int], str]

ALL_LEAVES = {**LEAVES, **LARGE_LEAVES}
ALL_WRITES = {**WRITES, **LARGE_WRITES}
OPERATIONS = {
    **FRESH,
    **VIEWS,
    **BINARY,
    **ALL_WRITES,
    **GRADIENTS,
    **GRADIENTS_OF_TWO,
    **DOUBLE,
    **USER,
    **LARGE_FRESH,
    **LARGE_BINARY,
}
DERIVATIVES = {*GRADIENTS, *GRADIENTS_OF_TWO, *DOUBLE}
#: tensors that are alive at once
POOL = 10
#: how far results may be apart, relative to the largest of their elements
TOLERANCE = {
    **dict.fromkeys(("float64", "complex128"), 1e-10),
    **dict.fromkeys(("float32", "complex64"), 1e-5),
    **dict.fromkeys(("float16", "complex32"), 1e-2),
    "bfloat16": 5e-2,
}


#: what PyTorch refuses when some values are already written; we refuse before
_TOO_LATE = "Inplace update to inference tensor", "Number of elements of source < number of ones in mask"


def attempt(function: Callable) -> tuple[Any, str | None]:
    """The result, or the built-in class of what was raised and its message."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(), None
        except Exception as error:
            kind = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
            return None, f"{kind.__name__}: {error}"


class Lost(Exception):
    """What PyTorch does from here on is not specified; the program ends."""


class Pair:
    """One tensor of the program in both libraries.

    Attributes:
        viewed: whether it came from a step that views memory, or takes a leaf; composite operations end in one sometimes.
        recorded: whether it ever required a gradient.
        ahead: how many more writes PyTorch had counted when it was made: it finishes some results in place.
        named: whether its node must have PyTorch's name. Derivatives are not: by which operations one is
            computed is nowhere said.
    """

    def __init__(self, theirs: Any, ours: Any, name: str) -> None:
        self.theirs = theirs
        self.ours = ours
        self.named = name not in DERIVATIVES
        self.viewed = name in VIEWS or name in ALL_LEAVES
        self.ahead: int | None = None
        self.recorded = False


class Program:
    """A pool of pairs, grown and changed step by step.

    Args:
        large: whether values are compared at the steps that look alone, and at the end. Until then work may wait, and
            rounding adds up.
    """

    def __init__(self, large: bool = False) -> None:
        self.large = large
        self.pairs: list[Pair] = []
        self.steps: list[Step] = []
        #: of the coarsest type so far; gradients may have come through it
        self.tolerance = 0.0

    def run(self, steps: list[Step]) -> None:
        self.step(("large matrix" if self.large else "matrix", (0, 0, 0), ""))
        with contextlib.suppress(Lost):
            for step in steps:
                self.step(step)
            if self.large:
                self.step(("look at all", (0, 0, 0), ""))

    def step(self, step: Step) -> None:
        """Do one step in both libraries, then look at everything."""
        name, numbers, mode = step
        self.steps.append(step)
        try:
            if name.startswith("look"):
                self.agree(look=[numbers[0] % len(self.pairs)] if name == "look" else None)
                return
            if name in ALL_LEAVES:
                theirs, ours = ALL_LEAVES[name](torch, *numbers), ALL_LEAVES[name](rushlight, *numbers)
            else:
                function = OPERATIONS[name]
                chosen = [
                    self.pairs[n % len(self.pairs)] for n in numbers[: function.__code__.co_argcount - 1]
                ]
                if _unspecified(name, mode, chosen):
                    self.steps.pop()
                    return
                theirs, their_error = attempt(
                    lambda: in_mode(torch, mode, function, [p.theirs for p in chosen])
                )
                ours, our_error = attempt(
                    lambda: in_mode(rushlight, mode, function, [p.ours for p in chosen])
                )
                if their_error and "INTERNAL ASSERT" in their_error:
                    raise Lost
                if name in DERIVATIVES and "derivative for" in (their_error or "") and our_error:
                    raise Lost  # which leaves have their gradients by then
                if name in DERIVATIVES and "last dimension with stride 1" in (their_error or ""):
                    raise Lost  # PyTorch's view_as_real refuses gradients by their layout, which is nowhere specified
                assert _same_error(their_error, our_error), f"{their_error} != {our_error}"
                if their_error and any(text in their_error for text in _TOO_LATE):
                    for pair in chosen:
                        _give_values(pair.theirs, pair.ours)
            self.take(theirs, ours, name)
            self.agree(look=[] if self.large else None)
        except AssertionError as error:
            text = "\n  ".join(str(step) for step in self.steps)
            raise AssertionError(f"{error}\nafter:\n  {text}") from None

    def take(self, theirs: Any, ours: Any, name: str) -> None:
        """Add the tensors that a step returned to the pool."""
        if isinstance(theirs, (tuple, list)):
            assert len(theirs) == len(ours), "how many results"
            for one, other in zip(theirs, ours):
                self.take(one, other, name)
            return
        assert isinstance(theirs, torch.Tensor) == isinstance(ours, rushlight.Tensor), (
            f"{theirs!r} != {ours!r}"
        )
        if not isinstance(theirs, torch.Tensor):
            assert theirs is None or theirs == ours
            return
        known, known_too = (
            [side is x for x in pool] for side, pool in ((theirs, self.side(0)), (ours, self.side(1)))
        )
        assert known == known_too, f"which tensor was returned: {known} != {known_too}"
        if not any(known):
            pair = Pair(theirs, ours, name)
            if not pair.viewed and theirs._is_view() != ours._is_view():
                return  # composite operations end in a view sometimes
            if not pair.named and _placed(theirs) != _placed(ours):
                return  # the layout of a derivative follows from how it is computed
            self.pairs.append(pair)
            self.tolerance = max(self.tolerance, TOLERANCE.get(name_of(theirs), 0))
            del self.pairs[:-POOL]

    def side(self, which: int) -> list:
        return [(pair.theirs, pair.ours)[which] for pair in self.pairs]

    # ---- what must agree ----

    def agree(self, look: list[int] | None = None) -> None:
        """Compare all that can be seen without looking at values; those of the pairs in `look` (None: all), too."""
        coarse = self.tolerance * (100 if self.large else 1)
        for number, pair in enumerate(self.pairs):
            try:
                compare_facts(pair)
                if look is None or number in look:
                    compare_values(pair, coarse, keep=self.large)
            except AssertionError as error:
                raise AssertionError(f"tensor {number}: {error}") from None
        if look is not None:
            return
        tables = [_sharing(self.side(which), self.side(0)) for which in (0, 1)]
        assert tables[0] == tables[1], f"sharing of storage: {tables[0]} != {tables[1]}"


def compare_facts(pair: Pair) -> None:
    """Every observable of one pair but values."""
    theirs, ours = pair.theirs, pair.ours
    node, error = attempt(lambda: theirs.grad_fn)
    our_node, our_error = attempt(lambda: ours.grad_fn)
    if error and "INTERNAL ASSERT" in error:
        raise Lost
    assert _kind(error) == _kind(our_error), f"grad_fn raises: {error} != {our_error}"
    if error is None:
        for name in ("requires_grad", "is_leaf"):
            same(name, getattr(theirs, name), getattr(ours, name))
        if not theirs.is_leaf:
            same("retains_grad", theirs.retains_grad, ours.retains_grad)
        pair.recorded |= theirs.requires_grad
    same("is_inference", theirs.is_inference(), ours.is_inference())
    if not theirs.is_inference():
        ahead = theirs._version - ours._version
        pair.ahead = ahead if pair.ahead is None else pair.ahead
        same("version", theirs._version - pair.ahead, ours._version)
    same("dtype", str(theirs.dtype), str(ours.dtype))
    same("shape", tuple(theirs.shape), tuple(ours.shape))
    if theirs.numel():
        real = [n for n, size in enumerate(theirs.shape) if size > 1]
        same("strides", [theirs.stride(n) for n in real], [ours.stride(n) for n in real])
        same("offset", theirs.storage_offset(), ours.storage_offset())
    if pair.viewed:
        same("is a view", theirs._is_view(), ours._is_view())
    if error is None and pair.named:
        same("grad_fn", node and node.name(), our_node and our_node.name())
        same("output_nr", theirs.output_nr, ours.output_nr)
    if error is None and (theirs.is_leaf or theirs.retains_grad):
        assert (theirs.grad is None) == (ours.grad is None), f"grad: {theirs.grad} != {ours.grad}"
        if theirs.grad is not None:
            same("grad's dtype", str(theirs.grad.dtype), str(ours.grad.dtype))


def compare_values(pair: Pair, coarse: float, keep: bool) -> None:
    """The values of one pair, and of its gradient, which may be `coarse` apart; `keep` ours as they are."""
    theirs, ours = pair.theirs, pair.ours
    same_values(theirs, ours, coarse if keep or not pair.named else 0, keep)
    if attempt(lambda: theirs.grad_fn)[1] is None and (theirs.is_leaf or theirs.retains_grad):
        if theirs.grad is not None:
            same_values(theirs.grad, ours.grad, coarse, keep)


def same(what: str, theirs: Any, ours: Any) -> None:
    assert theirs == ours, f"{what}: {theirs} != {ours}"


def name_of(t: Any) -> str:
    return str(t.dtype).removeprefix("torch.")


def same_values(theirs: Any, ours: Any, coarse: float, keep: bool) -> None:
    """Compare, then give ours the very bits of PyTorch's (not the memory that several elements share), or keep them."""
    theirs, ours = theirs.detach(), ours.detach()
    name = name_of(theirs)
    if name == "bfloat16":
        want, got = theirs.float().numpy(), ours.float().numpy()
    elif name == "complex32":
        want, got = torch.view_as_real(theirs).numpy(), rushlight.view_as_real(ours).numpy()
    else:
        want, got = theirs.resolve_conj().resolve_neg().numpy(), ours.numpy()
    if want.shape == got.shape and want.tobytes() == got.tobytes():
        return
    tolerance = name in TOLERANCE and max(TOLERANCE[name], coarse)
    finite = np.abs(want[np.isfinite(want)]) if tolerance else np.zeros(0)
    largest = float(finite.max(initial=0))
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1, largest))
    if not keep:
        _give_values(theirs, ours)


def _give_values(theirs: Any, ours: Any) -> None:
    """Give our tensor the values of PyTorch's without a write that counts."""
    theirs, ours = theirs.detach(), ours.detach()
    if theirs.dtype == torch.bfloat16:
        theirs, ours = theirs.view(torch.int16), ours.view(rushlight.int16)
    if theirs.dtype == torch.complex32:
        theirs, ours = torch.view_as_real(theirs), rushlight.view_as_real(ours)
    ours.numpy()[...] = theirs.resolve_conj().resolve_neg().numpy()


def _sharing(tensors: list, sizes: list) -> list[int]:
    pointers = [t.untyped_storage().data_ptr() if size.numel() else 0 for t, size in zip(tensors, sizes)]
    return [pointers.index(p) for p in pointers]


def _placed(t: Any) -> tuple:
    return t.stride(), t.storage_offset()


def _kind(error: str | None) -> str | None:
    return error and error.split(":")[0]


def _same_error(theirs: str | None, ours: str | None) -> bool:
    """Whether both raise the same. Of two faults in one step (one of them a dtype, an inference tensor that may not
    be written to, or a view that lost its place in the graph), either may be the one that is found first."""
    if theirs is None or ours is None:
        return theirs is ours
    faults = "not implemented for", "inference", "modified inplace", "a single memory location"
    return _kind(theirs) == _kind(ours) or any((fault in theirs) != (fault in ours) for fault in faults)


def in_mode(T: Any, mode: str, function: Callable, tensors: list) -> Any:
    with getattr(T, mode)() if mode else contextlib.nullcontext():
        return function(T, *tensors)


#: steps that change how a tensor shows its memory
_TURNS = {"t_", "transpose_", "squeeze_", "unsqueeze_"}
_COPIES = {"deepcopy", "copy", "pickle", "copy pair", "pickle pair"}


def _unspecified(name: str, mode: str, chosen: list[Pair]) -> bool:
    """Whether what PyTorch does in a step follows from its implementation alone."""
    x = chosen[0].theirs
    if name in _TURNS and x.is_inference() and mode != "inference_mode":
        return True  # refused when the sizes are already changed
    if name in _TURNS and attempt(lambda: x.is_leaf)[0] and chosen[0].recorded:
        return True  # a graph may still lead to it with its former shape
    if name in _TURNS:
        # Unrecorded, the graph goes on with the old shape; a retained gradient has the old shape, too.
        return x.requires_grad and (mode != "" or bool(attempt(lambda: x.retains_grad)[0]))
    if name == "view dtype" and (1 in x.shape or not x.numel()):
        return True  # strides that no element shows
    if name == "view dtype" and (mode == "inference_mode" or x.is_inference()):
        return (
            True  # the only view that becomes an inference tensor of a normal one, and a normal one of that
        )
    if mode == "inference_mode" and (name in GRADIENTS or name in GRADIENTS_OF_TWO or name in DOUBLE):
        return True  # gradients that are inference tensors
    y = chosen[-1].theirs
    if name == "select_scatter" and (
        x.storage_offset() or not x.is_contiguous() or not x.is_floating_point()
    ):
        return (
            True  # the result has the same layout on a storage of its own, gaps included; integers fail oddly
        )
    if mode == "" and name not in VIEWS and any(_leads_nowhere(pair.theirs) for pair in chosen):
        return True  # what is kept for gradients that end at once differs from operation to operation
    if name == "grad = y" and y.is_inference():
        return True  # see detach
    if name == "backward inputs" and re.match("<CopySlices|<Unique2", str(attempt(lambda: y.grad_fn)[0])):
        return True  # how much is computed of a node behind which nothing is wanted
    if name == "matmul" and x.dtype != y.dtype and max(x.ndim, y.ndim) > 2 and 0 in (x.numel(), y.numel()):
        return True  # batches without elements have any type
    if name == "median" and x.is_complex():
        return True  # refused for one reason or the other
    if name in _COPIES and mode == "inference_mode" and any(pair.theirs.requires_grad for pair in chosen):
        return True  # gives an inference tensor that requires a gradient, and is recorded nowhere
    if name in ("detach", "data") and x.is_inference() and mode != "inference_mode":
        return True  # takes the mark off the version counter, not off the tensor
    if name == "detach_" and not chosen[0].named:
        return True  # whether a gradient is a view is not specified
    if name in ("masked_scatter_", "sum out") and _shares_memory(x, chosen[1].theirs):
        return True  # the order of elements shows
    if name in ALL_WRITES and y.requires_grad and not (x.is_floating_point() or x.is_complex()):
        return True  # an integer tensor would require a gradient
    if name.startswith("index_") and not x.numel():
        return True  # which of two faults is found first
    if name in ("tril_", "sum out", "index_put_") and 0 in x.stride():
        return True  # writes that do not refuse expanded tensors, where the order of elements shows
    if name == "Dirty" and attempt(lambda: x.retains_grad or x.grad is not None)[0]:
        return True  # the gradient kept, or set, so far is lost
    if name in WRITES and name.startswith("x[") and x is y and name != "x[...] = y":
        return True  # reads what it writes
    if name in ("isfinite", "isclose", "argsort") and any(
        attempt(lambda t=pair.theirs: t.grad_fn)[1] for pair in chosen
    ):
        return True  # composite operations, which ask for the place in the graph
    if ("hook" in name or name == "retain_grad") and attempt(lambda: x.grad_fn)[1]:
        return True  # fails for the first hook alone
    if name in {**ALL_WRITES, **USER} or name == "step":
        return _overlap_in_part(chosen[0].theirs, chosen[-1].theirs) or _overlaps_itself(x)
    return False


def _leads_nowhere(t: Any) -> bool:
    """Whether a tensor is an unrecorded view of one that requires a gradient."""
    return t.requires_grad and t._is_view() and attempt(lambda: t.grad_fn) == (None, None)


def _overlaps_itself(x: Any) -> bool:
    """Whether elements meet in memory in a way that PyTorch does not look for, so that the order of writes shows."""
    if x.is_contiguous() or not any(step and size > 1 for size, step in zip(x.shape, x.stride())):
        return False
    places = torch.arange(x.untyped_storage().nbytes() // x.itemsize).as_strided(
        [1 if step == 0 else size for size, step in zip(x.shape, x.stride())], x.stride()
    )
    return places.unique().numel() < places.numel()


def _shares_memory(x: Any, y: Any) -> bool:
    """Whether the storages overlap; one that came in by NumPy may begin inside another."""
    one, two = x.untyped_storage(), y.untyped_storage()
    start, other = one.data_ptr(), two.data_ptr()
    return start == other or start < other + two.nbytes() and other < start + one.nbytes()


def _overlap_in_part(x: Any, y: Any) -> bool:
    """Whether a write to `x` changes `y` while it is read: the order of elements is not specified."""
    if x is y or not _shares_memory(x, y):
        return False
    if x.untyped_storage()._cdata != y.untyped_storage()._cdata:
        return True  # memory that came in by NumPy
    return (x.data_ptr(), x.shape, x.stride()) != (y.data_ptr(), y.shape, y.stride())


# ---- programs ----


def _programs(longest: int) -> st.SearchStrategy[list[Step]]:
    groups = [
        LEAVES,
        FRESH,
        VIEWS,
        VIEWS,
        BINARY,
        WRITES,
        WRITES,
        WRITES,
        GRADIENTS,
        {**GRADIENTS_OF_TWO, **DOUBLE, **USER},
    ]
    return _lists(groups, longest)


def _lists(groups: list, longest: int) -> st.SearchStrategy[list[Step]]:
    """Lists of steps, whose names come from every group as often as from any other."""
    name = st.one_of([st.sampled_from(sorted(group)) for group in groups])
    number = st.integers(0, POOL - 1)
    mode = st.sampled_from(["", "", "", "", "", "", "no_grad", "no_grad", "inference_mode"])
    return st.lists(
        st.tuples(name, st.tuples(number, number, number), mode), min_size=longest // 3, max_size=longest
    )


def large_programs(longest: int) -> st.SearchStrategy[list[Step]]:
    groups = [
        LARGE_LEAVES,
        LARGE_FRESH,
        LARGE_FRESH,
        LARGE_VIEWS,
        LARGE_BINARY,
        LARGE_CHANGES,
        LARGE_CHANGES,
        LARGE_GRADIENTS,
        ["look"],
    ]
    return _lists(groups, longest)


RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=500, derandomize=True, **RELAXED)
@given(_programs(25))
def test_random_programs(steps: list[Step]) -> None:
    Program().run(steps)


@settings(max_examples=25, derandomize=True, **RELAXED)
@given(large_programs(20))
def test_random_programs_on_large_tensors(steps: list[Step]) -> None:
    Program(large=True).run(steps)


def search(minutes: float, first: int, large: bool) -> None:
    """Run new random programs, 200 for each seed from `first` on, until the time is over."""
    programs_of = large_programs(30) if large else _programs(40)
    end, programs, steps_done = time.monotonic() + 60 * minutes, 0, 0

    @settings(max_examples=200, database=None, **RELAXED)
    @given(programs_of)
    def look(steps: list[Step]) -> None:
        nonlocal programs, steps_done
        Program(large).run(steps)
        programs, steps_done = programs + 1, steps_done + len(steps)

    for number in itertools.count(first):
        if time.monotonic() > end:
            break
        seed(number)(look)()
        print(f"seed {number}: {programs} programs of {steps_done} steps, nothing found", flush=True)


if __name__ == "__main__":
    numbers = [float(value) for value in sys.argv[1:] if value != "large"]
    search(numbers[0] if numbers else 20, int(numbers[1]) if len(numbers) > 1 else 0, "large" in sys.argv)
