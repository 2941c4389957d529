"""Other shapes of the same elements: the entries' sizes, behind the batch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.batched import NeedsBatching
from rushlight.buffer import Tensor
from rushlight.dtypes import dtype
from rushlight.func.dispatch import At, rule
from rushlight.func.rules.dims import bound, shifted
from rushlight.func.rules.elementwise import aligned


def _sizes(args: tuple, kwargs: dict, *names: str) -> tuple | None:
    """Sizes given one by one, as one sequence, or by name."""
    for name in names:
        if kwargs.get(name) is not None:
            args = (kwargs[name],)
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    return args if all(hasattr(n, "__index__") and not isinstance(n, Tensor) for n in args) else None


def _counted(at: At, sizes: tuple, x: Tensor) -> tuple:
    """The sizes with the -1 of an empty batch's entries worked out, which its elements do not tell."""
    if at.size or -1 not in sizes:
        return sizes
    known = 1
    for n in sizes:
        known *= n if n != -1 else 1
    return tuple([x.numel() // max(known, 1) if n == -1 else n for n in sizes])


@rule("view", "reshape")
def view(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, *rest = args if args else (kwargs["input"],)
    kind = kwargs.get("dtype", rest[0] if rest else None)
    if isinstance(kind, dtype):
        return at.out(x.inner.view(kind))
    sizes = _sizes(tuple(rest), kwargs, "size", "shape")
    if sizes is None:
        return NotImplemented
    return at.out(getattr(x.inner, at.name)(at.size, *_counted(at, sizes, x)))


@rule("view_as", "reshape_as", "expand_as")
def like(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, other = (*args, *kwargs.values())
    return getattr(x, at.name.removesuffix("_as"))(other.shape)


@rule("expand", "broadcast_to")
def expand(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, *rest = args if args else (kwargs["input"],)
    sizes = _sizes(tuple(rest), kwargs, "size")
    if sizes is None or not at.has(x) or len(sizes) < x.ndim:
        return NotImplemented
    return at.out(aligned(at, x, len(sizes)).expand(at.size, *sizes))


@rule("repeat", "tile")
def repeat(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, *rest = args if args else (kwargs["input"],)
    counts = _sizes(tuple(rest), kwargs, "repeats", "dims")
    if counts is None or not at.has(x):
        return NotImplemented
    if at.name == "tile" and len(counts) < x.ndim:
        counts = (1,) * (x.ndim - len(counts)) + counts
    if len(counts) < x.ndim:
        return NotImplemented
    return at.out(aligned(at, x, len(counts)).repeat(1, *counts))


@rule("permute", "flip")
def permute(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, *rest = args if args else (kwargs["input"],)
    dims = _sizes(tuple(rest), kwargs, "dims")
    if dims is None or not at.has(x):
        return NotImplemented
    behind = shifted(dims, x.ndim)
    if at.name.startswith("permute"):
        if len(dims) != x.ndim:
            return NotImplemented
        return at.out(x.inner.permute(0, *behind))
    return at.out(x.inner.flip(behind))


@rule("squeeze", "squeeze_copy")
def squeeze(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("squeeze", args, kwargs)
    x, dim = given["input"], given["dim"]
    if dim is None:
        dims: Any = tuple([d + 1 for d, n in enumerate(x.shape) if n == 1])
    elif x.ndim == 0:
        return NotImplemented
    else:
        dims = shifted(dim, x.ndim)
    return at.out(x.inner.squeeze(dims)) if dims != () else x


@rule("unsqueeze", "unsqueeze_copy")
def unsqueeze(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("unsqueeze", args, kwargs)
    return at.out(given["input"].inner.unsqueeze(shifted(given["dim"], given["input"].ndim + 1)))


@rule("t", "T", "H")
def turned(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x = args[0] if args else kwargs["input"]
    out = x.inner.permute(0, *range(x.ndim, 0, -1))
    return at.out(out.conj() if at.name == "H" else out)


@rule("ravel")
def ravel(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x = args[0] if args else kwargs["input"]
    return x.reshape(x.numel())


@rule("unfold")
def unfold(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, *rest = args
    if kwargs or len(rest) != 3 or not x.ndim:
        return NotImplemented
    dim, size, step = rest
    return at.out(x.inner.unfold(shifted(dim, x.ndim), size, step))


@rule("roll")
def roll(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("roll", args, kwargs)
    x, dims = given["input"], given["dims"]
    if not x.ndim:
        return NotImplemented
    if dims in (None, (), []):
        return at.out(x.inner.flatten(1).roll(given["shifts"], 1).reshape(x.inner.shape))
    return at.out(x.inner.roll(given["shifts"], shifted(dims, x.ndim)))


@rule("new_zeros", "new_ones", "new_empty", "new_full")
def new(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, *rest = args
    if at.name == "new_full":
        shape, *rest = rest if rest else (kwargs.pop("size"),)
        return at.out(function(x.inner, (at.size, *shape), *rest, **kwargs))
    given = {key: value for key, value in kwargs.items() if key != "size"}
    sizes = _sizes(tuple(rest), kwargs, "size")
    return NotImplemented if sizes is None else at.out(function(x.inner, (at.size, *sizes), **given))


# ---- several tensors set beside each other ----


@rule("cat", "concat", "concatenate", "stack")
def joined(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = dict(zip(("tensors", "dim"), args)) | {{"axis": "dim"}.get(k, k): v for k, v in kwargs.items()}
    tensors = list(given["tensors"])
    ranks = {t.ndim for t in tensors}
    if len(ranks) > 1 or given.keys() - {"tensors", "dim"}:
        return NotImplemented
    rank = ranks.pop() + (at.name == "stack")
    if not rank:
        return NotImplemented
    return at.out(function([at.full(t) for t in tensors], shifted(given.get("dim", 0), rank)))


# ---- shapes changed in place ----


def _inplace(name: str) -> Callable:
    def change(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
        x, *rest = args
        x.inner = getattr(x, name)(*rest, **kwargs).inner
        return x

    return change


for _name in ("squeeze", "unsqueeze", "transpose", "t", "swapaxes", "swapdims"):
    rule(_name + "_")(_inplace(_name))


@rule("resize_", "resize_as_", "set_", "as_strided_", "detach_")
def refused(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    raise NeedsBatching(
        f"vmap: {at.name} cannot be done to one entry of a batch; use an operation out of place"
    )
