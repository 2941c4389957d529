"""Reading and writing by index in a batch.

What chooses elements is either the same for all entries, and then the index is put behind the batch's dimension; or it
differs, and then the entries' numbers are one more index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.batched import NeedsBatching
from rushlight.buffer import Tensor
from rushlight.dtypes import bool_, uint8
from rushlight.func.dispatch import At, refuse_inplace, rule, tensors_in
from rushlight.func.rules.dims import bound, shifted
from rushlight.func.rules.elementwise import aligned
from rushlight.ops.construct import tensor
from rushlight.ops.sequences import arange

_DYNAMIC = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch over indexing with "
    "a boolean mask."
)


class Choice:
    """An index of an entry, made ready for the tensor of all entries.

    Attributes:
        index: for the tensor of all entries.
        moves: how the result's dimensions are then to be permuted for the batch's to be first and the chosen ones in
            their place; None if they are so.
    """

    __slots__ = ("index", "rank", "place", "first")

    def __init__(self, at: At, index: Any, whole: bool) -> None:
        items = list(index) if isinstance(index, tuple) else [index]
        items = [_as_tensor(item) for item in items]
        chosen = [n for n, item in enumerate(items) if _chooses(item)]
        own = any(map(at.has, tensors_in(items)))
        if any(at.has(item) and item.dtype in (bool_, uint8) for item in tensors_in(items)):
            raise NeedsBatching(_DYNAMIC)
        self.rank = max([_chosen_rank(items[n]) for n in chosen], default=0)
        together = chosen == list(range(chosen[0], chosen[-1] + 1)) if chosen else True
        #: where the chosen dimensions belong in an entry's result; None: there are none, or they are where they belong
        self.place = _before(items[: chosen[0]]) if chosen and together else 0
        self.first = False
        if own:
            numbers = arange(at.size).reshape(-1, *(1,) * self.rank)
            items = [aligned(at, item, self.rank) if isinstance(item, Tensor) else item for item in items]
            self.index = (numbers, *items) if whole else tuple(items)
            # next to the entries' numbers only what is chosen at once stays in place; else it all comes first
            self.first = whole
        else:
            self.index = (slice(None), *items)
            self.place = -1 if together else 0
            if together:
                self.rank = 0

    def settle(self, out: Any, own: bool) -> Any:
        """The result with the batch's dimension first, and the chosen ones in their place behind it."""
        return out.permute(self.order(out.ndim, own)) if self.moved(own) else out

    def moved(self, own: bool) -> bool:
        if own:
            return self.place != 0
        return bool(self.rank)

    def order(self, rank: int, own: bool) -> list[int]:
        if not own:  # chosen dimensions came first, before the batch's
            return [self.rank, *range(self.rank), *range(self.rank + 1, rank)]
        block, rest = list(range(1, 1 + self.rank)), list(range(1 + self.rank, rank))
        return [0, *rest[: self.place], *block, *rest[self.place :]]


def _as_tensor(item: Any) -> Any:
    """Lists, and ranges, choose as tensors do."""
    return tensor(list(item)) if isinstance(item, (list, range)) else item


def _chooses(item: Any) -> bool:
    """Whether an item gathers elements; one integer, even in a tensor, makes a view unless it is an entry."""
    if not isinstance(item, Tensor):
        return False
    return item.ndim > 0 or item.dtype in (bool_, uint8) or hasattr(item, "inner")


def _chosen_rank(item: Any) -> int:
    return 1 if item.dtype in (bool_, uint8) else item.ndim


def _before(items: list) -> int:
    """How many dimensions of the result come from these items, all of which make views."""
    return len([item for item in items if isinstance(item, slice) or item is None])


def _unsupported(at: At, x: Tensor, index: Any) -> bool:
    """Indices for which one entry is taken after the other."""
    items = index if isinstance(index, tuple) else (index,)
    own = any(map(at.has, tensors_in(items)))
    mask = any(isinstance(item, Tensor) and item.dtype in (bool_, uint8) for item in items)
    flag = any(isinstance(item, bool) for item in items)
    dots = any(item is Ellipsis for item in items)
    sizes = any(isinstance(item, slice) and any(True for _ in tensors_in(item)) for item in items)
    return flag or sizes or own and (mask or dots) or x.ndim == 0 and any(item is not None for item in items)


def _dots_filled(x: Tensor, index: Any) -> Any:
    """The index with `...` written out as slices."""
    items = index if isinstance(index, tuple) else (index,)
    places = [n for n, item in enumerate(items) if item is Ellipsis]
    if len(places) != 1:
        return index
    taken = sum(
        (item.ndim if item.dtype in (bool_, uint8) else 1) if isinstance(item, Tensor) else item is not None
        for item in items
        if item is not Ellipsis
    )
    (place,) = places
    return (*items[:place], *(slice(None),) * (x.ndim - taken), *items[place + 1 :])


def _sorted_out(at: At, x: Tensor, index: Any) -> tuple[Any, bool]:
    index = _dots_filled(x, tuple(map(_as_tensor, index)) if isinstance(index, tuple) else _as_tensor(index))
    items = index if isinstance(index, tuple) else (index,)
    return index, any(map(at.has, tensors_in(items)))


@rule("__getitem__")
def getitem(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, index = args
    index, own = _sorted_out(at, x, index)
    if _masked(at, index):
        raise NeedsBatching(_DYNAMIC)
    if _unsupported(at, x, index):
        return NotImplemented
    choice = Choice(at, index, at.has(x))
    if own and not at.has(x):
        out = x[choice.index]
        return at.out(out.movedim(choice.place, 0))
    return at.out(choice.settle(x.inner[choice.index], own))


def _masked(at: At, index: Any) -> bool:
    return any(at.has(item) and item.dtype in (bool_, uint8) for item in tensors_in((index,)))


@rule("__setitem__")
def setitem(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, index, value = args
    index, own = _sorted_out(at, x, index)
    if not at.has(x):
        refuse_inplace("index_put_" if own else "copy_")
    if _masked(at, index):
        raise NeedsBatching(_DYNAMIC)
    if _unsupported(at, x, index):
        return NotImplemented
    choice = Choice(at, index, True)
    if isinstance(value, Tensor):
        value = _settled_value(at, x, choice, own, value)
    x.inner[choice.index] = value
    return None


def _settled_value(at: At, x: Any, choice: Choice, own: bool, value: Tensor) -> Tensor:
    """The value with its dimensions where the tensor of all entries has those that are written to."""
    target = x.inner.detach()[choice.index]
    while value.ndim > target.ndim - 1 and value.shape[0] == 1:
        value = value.squeeze(0)
    value = aligned(at, value, target.ndim - 1)
    if not choice.moved(own):
        return value
    order = choice.order(target.ndim, own)
    spread = value.expand([target.shape[d] for d in order])
    return spread.permute([order.index(d) for d in range(target.ndim)])


# ---- functions ----


@rule("index_select")
def index_select(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("index_select", args, kwargs)
    x, dim, index = given["input"], given["dim"], given["index"]
    if not x.ndim or index.ndim > 1:
        return NotImplemented
    if not at.has(index):
        return at.out(function(x.inner, shifted(dim, x.ndim), index))
    return x[(slice(None),) * (shifted(dim, x.ndim) - 1) + (index.reshape(-1),)]


@rule("gather", "scatter_add", "scatter", "scatter_reduce")
def gather(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    name = at.name
    given = bound(name, args, kwargs)
    x, dim, index = given.pop("input"), given.pop("dim"), given.pop("index")
    source = given.pop("src", None)
    if not x.ndim or not index.ndim or any(map(at.has, tensors_in(list(given.values())))):
        return NotImplemented
    if source is not None:
        given["src"] = at.full(source) if isinstance(source, Tensor) else source
    given = {key: value for key, value in given.items() if value is not None}
    return at.out(function(at.full(x), shifted(dim, x.ndim), at.full(index), **given))


@rule("scatter_add_", "scatter_", "scatter_reduce_")
def scatter_inplace(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x = args[0]
    given = bound(at.name.removesuffix("_"), args, kwargs)
    del given["input"]
    dim, index, source = given.pop("dim"), given.pop("index"), given.pop("src", None)
    if not at.has(x) or not x.ndim or not index.ndim:
        return NotImplemented
    if source is not None:
        given["src"] = at.full(source) if isinstance(source, Tensor) else source
    given = {key: value for key, value in given.items() if value is not None}
    function(x.inner, shifted(dim, x.ndim), at.full(index), **given)
    return x


@rule("index_add", "index_copy")
def index_add(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound(at.name, args, kwargs)
    x, dim, index, source = (given.pop(name) for name in ("input", "dim", "index", "source"))
    if at.has(index) or not x.ndim:
        return NotImplemented
    return at.out(function(at.full(x), shifted(dim, x.ndim), index, at.full(source), **given))


@rule("index_fill")
def index_fill(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("index_fill", args, kwargs)
    x, index = given["input"], given["index"]
    if at.has(index) or at.has(given["value"]) or not x.ndim:
        return NotImplemented
    return at.out(function(x.inner, shifted(given["dim"], x.ndim), index, given["value"]))


@rule("masked_select")
def masked_select(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    mask = (*args, *kwargs.values())[1]
    if not at.has(mask):
        return NotImplemented
    raise NeedsBatching(
        "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this because for each "
        "batch this would return a differently shaped Tensor. Please file an issue at "
        "https://github.com/pytorch/pytorch/issues if you need this feature."
    )
