"""Operations along dimensions: the same operation, with the dimensions counted behind the batch's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from rushlight.batched import NeedsBatching
from rushlight.buffer import Tensor
from rushlight.func.dispatch import At, rule, tensors_in
from rushlight.layout import wrap_dim
from rushlight.ops.kinds.reduction import NOT_GIVEN
from rushlight.ops.spec import REGISTRY

#: arguments that count dimensions
_COUNTING = frozenset("dim dim0 dim1 dim2 dims axis0 axis1 start_dim end_dim source destination".split())
_RENAMED = {"axis": "dim", "keepdims": "keepdim", "self": "input"}


@functools.cache
def _signature(name: str) -> inspect.Signature:
    plain = inspect.signature(REGISTRY[name].plain)
    if name.endswith("_copy") and "args" in plain.parameters:  # made from the view of that name
        return _signature(name.removesuffix("_copy"))
    return plain


def bound(name: str, args: tuple, kwargs: dict) -> dict[str, Any]:
    """The arguments of a public function by name, with its defaults."""
    given = _signature(name).bind(*args, **{_RENAMED.get(key, key): x for key, x in kwargs.items()})
    given.apply_defaults()
    found = dict(given.arguments)
    found.pop("axis", None)
    if found.get("dim") is NOT_GIVEN:
        found["dim"] = None
    return found


def shifted(dim: Any, rank: int) -> Any:
    """Dimensions of an entry, counted in the tensor of all."""
    if isinstance(dim, (tuple, list)):
        return tuple([shifted(d, rank) for d in dim])
    return wrap_dim(dim, rank) + 1


def _run(at: At, name: str, given: dict[str, Any]) -> Any:
    first, *rest = given
    named = {key: given[key] for key in rest}
    return at.out(REGISTRY[name].function(given[first].inner, **named))


def _only_first(at: At, given: dict[str, Any]) -> bool:
    """Whether the batch is the first argument's alone, and its entries have dimensions to count."""
    first, *rest = given.values()
    return at.has(first) and first.ndim > 0 and not any(map(at.has, tensors_in(rest)))


# ---- the result has the dimensions of the input, or some of them ----

_ALONG = """
argsort cummax cummin cumprod cumsum diff flatten kthvalue log_softmax logcumsumexp mode movedim moveaxis narrow
narrow_copy rot90 select select_copy softmax sort swapaxes swapdims tensor_split topk transpose transpose_copy
unbind unbind_copy unflatten diagonal diagonal_copy chunk split split_copy split_with_sizes split_with_sizes_copy
unsafe_chunk unsafe_split unsafe_split_with_sizes glu logsumexp
""".split()


def _along(name: str) -> Callable:
    def along(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
        given = bound(name, args, kwargs)
        if not _only_first(at, given) or name == "diff" and len(list(tensors_in(given))) > 1:
            return NotImplemented
        rank = next(iter(given.values())).ndim
        for key in given.keys() & _COUNTING:
            if given[key] is None:
                return NotImplemented
            given[key] = shifted(given[key], rank)
        return _run(at, name, given)

    return along


for _name in _ALONG:
    rule(_name)(_along(_name))


# ---- dimensions are folded; without `dim`, all of them ----


def _folding(name: str) -> Callable:
    """A reduction that can take several dimensions at once."""

    def folding(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
        given = bound(name, args, kwargs)
        if not _only_first(at, given):
            return NotImplemented
        rank = given["input"].ndim
        if isinstance(given["dim"], bool):  # std(input, unbiased)
            given["dim"], given["unbiased"] = None, given["dim"]
        every = given["dim"] is None or given["dim"] == () or given["dim"] == []
        given["dim"] = tuple(range(1, rank + 1)) if every else shifted(given["dim"], rank)
        return _run(at, name, given)

    return folding


for _name in "sum mean nansum nanmean amax amin std var std_mean var_mean count_nonzero any all".split():
    rule(_name)(_folding(_name))


def _folding_one(name: str, of_all: Callable) -> Callable:
    """A reduction along one dimension; along all, `of_all` reduces the last of the flattened entries."""

    def folding(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
        given = bound(name, args, kwargs)
        if not _only_first(at, given) or isinstance(given["dim"], Tensor) or given.get("other") is not None:
            return NotImplemented
        x, dim = given["input"], given["dim"]
        if dim is None:
            if given.get("keepdim"):
                return NotImplemented
            extra = {"dtype": given["dtype"]} if "dtype" in given else {}
            return at.out(of_all(x.inner.flatten(1), **extra))
        given["dim"] = shifted(dim, x.ndim)
        given.pop("other", None)
        if given.get("keepdim", 0) is None:
            del given["keepdim"]
        return _run(at, name, given)

    return folding


rule("prod")(_folding_one("prod", lambda t, **kw: t.prod(1, **kw)))
rule("argmax")(_folding_one("argmax", lambda t: t.argmax(1)))
rule("argmin")(_folding_one("argmin", lambda t: t.argmin(1)))
rule("median")(_folding_one("median", lambda t: t.median(1)[0]))
rule("nanmedian")(_folding_one("nanmedian", lambda t: t.nanmedian(1)[0]))


def _extreme(name: str, of_two: str, of_all: Callable) -> Callable:
    """max and min: of all elements, along a dimension, or of two tensors."""
    along = _folding_one(name, of_all)

    def extreme(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
        given = bound(name, args, kwargs)
        other = given["other"] if given["other"] is not None else given["dim"]
        if isinstance(other, Tensor):
            return REGISTRY[of_two].function(given["input"], other)
        return along(at, function, args, kwargs)

    return extreme


rule("max")(_extreme("max", "maximum", lambda t: t.amax(1)))
rule("min")(_extreme("min", "minimum", lambda t: t.amin(1)))


@rule("norm")
def norm(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("norm", args, kwargs)
    if not _only_first(at, given):
        return NotImplemented
    x = given["input"]
    if given["dim"] is None:
        if given["p"] not in ("fro", None) and not isinstance(given["p"], (int, float)):
            return NotImplemented
        if given["keepdim"]:
            return NotImplemented
        kind = {"dtype": given["dtype"]}
        return at.out(x.inner.flatten(1).norm(2 if given["p"] in ("fro", None) else given["p"], 1, **kind))
    given["dim"] = shifted(given["dim"], x.ndim)
    return _run(at, "norm", given)


# ---- the last dimensions, whatever is before them ----


@rule("tril", "triu", "matrix_exp", "inverse", "det", "logdet", "slogdet", "pinverse", "cholesky", "mT", "mH", "adjoint",
      "view_as_real", "view_as_complex", "linalg.inv", "linalg.det")  # fmt: skip
def trailing(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """What works on matrices, however many."""
    x: Any = args[0] if args else kwargs.get("input")
    if not at.has(x) or x.ndim < (1 if "view" in at.name else 2):
        return NotImplemented
    return at.out(function(x.inner, *args[1:], **kwargs))


@rule("diag_embed")
def diag_embed(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("diag_embed", args, kwargs)
    rank = given["input"].ndim + 1
    given["dim1"], given["dim2"] = shifted(given["dim1"], rank), shifted(given["dim2"], rank)
    return _run(at, "diag_embed", given)


@rule("trace")
def trace(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x = args[0] if args else kwargs["input"]
    return at.out(x.inner.diagonal(0, 1, 2).sum(1)) if x.ndim == 2 else NotImplemented


@rule("diag")
def diag(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("diag", args, kwargs)
    x, offset = given["input"], given["diagonal"]
    if x.ndim == 1:
        return at.out(x.inner.diag_embed(offset))
    return at.out(x.inner.diagonal(offset, 1, 2).clone()) if x.ndim == 2 else NotImplemented


@rule("nonzero", "argwhere", "unique", "unique_consecutive")
def of_unknown_size(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    name = {"unique": "_unique2"}.get(at.name, at.name)
    raise NeedsBatching(
        "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap over "
        f"aten::{name}. Please file an issue at https://github.com/pytorch/pytorch/issues if you need this feature."
    )
