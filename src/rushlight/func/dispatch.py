"""How an operation on a batched tensor is done for the whole batch.

1. A rule for the operation, if there is one (`rushlight.func.rules`), does it with operations on the tensors inside.
2. A function composed of other operations runs as it is written, and its parts come here in turn.
3. Anything else is done for one entry after the other, and the results are stacked.

Only the innermost of several nested batches is dealt with; the operations that this takes come here again
for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from rushlight import late
from rushlight.batched import LEVELS, TAKE_OVER, Batched, DrawsRandomly, Level, NeedsBatching, batched
from rushlight.buffer import Tensor
from rushlight.ops.joining import stack
from rushlight.size import Size


class At:
    """The batch that an operation is done for: its depth and size, and the way in and out.

    Attributes:
        name: the operation's.
    """

    __slots__ = ("depth", "size", "name")

    def __init__(self, depth: int, size: int, name: str = "") -> None:
        self.depth = depth
        self.size = size
        self.name = name

    def has(self, x: Any) -> bool:
        """Whether `x` is an entry of this batch."""
        return isinstance(x, Batched) and x.level == self.depth

    def inner(self, x: Any) -> Any:
        """All entries, if `x` is an entry of this batch; else `x`."""
        return x.inner if self.has(x) else x

    def full(self, x: Tensor) -> Tensor:
        """All entries; a tensor that is the same for all is repeated, without a copy."""
        return x.inner if self.has(x) else x.expand(self.size, *x.shape)

    def out(self, result: Any) -> Any:
        """A result, or a tuple or list of them, as entries of this batch."""
        if isinstance(result, Tensor):
            return batched(result, self.depth)
        if isinstance(result, (tuple, list)):
            return type(result)([self.out(r) for r in result])
        return result


Rule = Callable[[At, Callable, tuple, dict], Any]

#: operation -> how it is done for a batch: (batch, the operation's function, its arguments) -> the result, or
#: NotImplemented if the rule does not cover these arguments
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Declare how the operations of these names are done for a batch."""

    def declare(function: Rule) -> Rule:
        for name in names:
            if name in RULES:
                raise ValueError(f"two rules are for {name}")
            RULES[name] = function
        return function

    return declare


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors among nested arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, slice):
        yield from tensors_in((value.start, value.stop, value.step))


def innermost(*arguments: Any) -> At | None:
    """The innermost batch that these arguments belong to."""
    found = None
    for t in tensors_in(arguments):
        if isinstance(t, Batched) and (found is None or t.level > found.level):
            found = t
    return None if found is None else At(found.level, found.inner.shape[0])


# ---- functions and methods ----


def by_rule(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    at = innermost(args, kwargs)
    found = RULES.get(name)
    if found is None or at is None:
        return NotImplemented
    at.name = name
    return found(at, function, args, kwargs)


def take_over(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Do for a batch what the function itself could not: by its rule, or for one entry after the other."""
    result = by_rule(name, function, args, kwargs)
    return one_by_one(name, function, args, kwargs) if result is NotImplemented else result


def take_over_inplace(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    at = innermost(args, kwargs)
    if at is None or not at.has(args[0]):
        refuse_inplace(name)
    return take_over(name, function, args, kwargs)


def refuse_inplace(name: str) -> NoReturn:
    """What is the same for all entries cannot hold a result that differs between them."""
    called = name if name in ("index_put_", "masked_fill_", "scatter_", "gather_") else "inplace arithmetic"
    raise RuntimeError(
        f"vmap: {called}(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args that "
        "has more elements than `self`. This happened due to `other` being vmapped over but `self` not being vmapped "
        "over in a vmap. Please try to use out-of-place operators instead of "
        f"{'inplace arithmetic' if called.startswith('inplace') else called}. If said operator is being called inside "
        "the PyTorch framework, please file a bug report instead."
    )


def _method(name: str, function: Callable) -> Callable:
    """The method of a batched tensor: by its rule, composed of others, or for one entry after the other."""

    def method(*args: Any, **kwargs: Any) -> Any:
        result = by_rule(name, method, args, kwargs)
        if result is not NotImplemented:
            return result
        try:
            return function(*args, **kwargs)
        except DrawsRandomly:
            take = TAKE_OVER.random
        except NeedsBatching:
            take = one_by_one
        return take(name, method, args, kwargs)

    method.__name__ = name
    return method


# ---- one entry after the other ----


def one_by_one(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    """The function on one entry after the other; the results are stacked.

    An empty batch is computed for an entry of zeros, which says what the result looks like.
    """
    at = innermost(args, kwargs)
    if at is None:
        raise NeedsBatching
    if at.size == 0:
        zeros = _entries(at, lambda x: x.inner.new_zeros(x.inner.shape[1:]), (args, kwargs))
        return _joined(at, name, args, [function(*zeros[0], **zeros[1])], 0)
    results = []
    for n in range(at.size):
        each_args, each_kwargs = _entries(at, lambda x, n=n: x.inner[n], (args, kwargs))
        result = function(*each_args, **each_kwargs)
        results.append(args[0] if args and result is each_args[0] else result)
    return _joined(at, name, args, results, at.size)


def _entries(at: At, entry: Callable, value: Any) -> Any:
    """Nested arguments with `entry(x)` in the place of every tensor of the batch."""
    if at.has(value):
        return entry(value)
    if type(value) in (tuple, list):
        return type(value)([_entries(at, entry, part) for part in value])
    if type(value) is dict:
        return {key: _entries(at, entry, part) for key, part in value.items()}
    if type(value) is slice:
        return slice(*[_entries(at, entry, part) for part in (value.start, value.stop, value.step)])
    return value


def _joined(at: At, name: str, args: tuple, results: list, count: int) -> Any:
    first = results[0]
    if args and first is args[0]:
        return first
    if isinstance(first, Tensor):
        stacked = stack(results)
        return at.out(stacked if count else stacked[:0])
    if isinstance(first, (tuple, list)):
        return type(first)([_joined(at, name, (), list(parts), count) for parts in zip(*results)])
    if first is None:
        return None
    raise RuntimeError(f"Batching rule not implemented for aten::{name}. We could not generate a fallback.")


# ---- what a batched tensor says of itself ----


_ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, "
    "please try to rewrite what you're doing with other operations. If error is occurring somewhere inside PyTorch "
    "internals, please file a bug report."
)
_BOOL = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that "
    "yet, please file an issue at https://github.com/pytorch/pytorch/issues ."
)
_POINTER = "Cannot access data pointer of Tensor that doesn't have storage"
_BACKWARD = (
    "backward() called inside a functorch transform. This is not supported, please use functorch.grad or functorch.vjp "
    "instead or call backward() outside of functorch transforms."
)
_REQUIRES = (
    "You are attempting to call Tensor.requires_grad_() (or perhaps using torch.autograd.functional.* APIs) inside of a "
    "function being transformed by a functorch transform. This is unsupported, please attempt to use the functorch "
    "transforms (e.g. grad, vjp, jacrev, jacfwd, hessian) or call requires_grad_() outside of a function being "
    "transformed instead."
)


def _refusing(message: str) -> Callable:
    def method(self: Batched, *args: Any, **kwargs: Any) -> NoReturn:
        raise NeedsBatching(message)

    return method


def _size(self: Batched, dim: int | None = None) -> Any:
    shape = self.inner.shape[1:]
    return Size(shape) if dim is None else shape[dim]


def _stride(self: Batched, dim: int | None = None) -> Any:
    steps = self.inner.stride()[1:]
    return steps if dim is None else steps[dim]


def _length(self: Batched) -> int:
    if self.inner.ndim == 1:
        raise TypeError("len() of a 0-d tensor")
    return self.inner.shape[1]


def _iterate(self: Batched) -> Iterator:
    if self.inner.ndim == 1:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def _shown(self: Batched, **options: Any) -> str:
    text = repr(self.inner).replace("\n", "\n    ")
    return f"BatchedTensor(lvl={self.level}, bdim=0, value=\n    {text}\n)"


def _set_inner(name: str) -> property:
    return property(lambda self: getattr(self.inner, name))


_ITSELF: dict[str, Any] = {
    "shape": property(_size),
    "ndim": property(lambda self: self.inner.ndim - 1),
    "size": _size,
    "dim": lambda self: self.inner.ndim - 1,
    "ndimension": lambda self: self.inner.ndim - 1,
    "numel": lambda self: _size(self).numel(),
    "nelement": lambda self: _size(self).numel(),
    "nbytes": property(lambda self: _size(self).numel() * self._dtype.itemsize),
    "stride": _stride,
    "requires_grad": _set_inner("requires_grad"),
    "grad_fn": _set_inner("grad_fn"),
    "is_leaf": _set_inner("is_leaf"),
    "_version": _set_inner("_version"),
    "grad": property(lambda self: None),
    "__len__": _length,
    "__iter__": _iterate,
    "__repr__": _shown,
    "__str__": _shown,
    "__format__": lambda self, spec: _shown(self),
    "__bool__": _refusing(_BOOL),
    "is_nonzero": _refusing(_BOOL),
    "item": _refusing(_ITEM),
    "__int__": _refusing(_ITEM),
    "__float__": _refusing(_ITEM),
    "__complex__": _refusing(_ITEM),
    "__index__": _refusing(_ITEM),
    "tolist": _refusing(_POINTER),
    "numpy": _refusing(_POINTER),
    "__array__": _refusing(_POINTER),
    "data_ptr": _refusing(_POINTER),
    "backward": _refusing(_BACKWARD),
    "requires_grad_": _refusing(_REQUIRES),
}

#: what works on any tensor as it is, having no use for its memory
_AS_THEY_ARE = frozenset(
    "__new__ __init__ __hash__ __module__ __doc__ __slots__ __annotations__ __dict__ __weakref__ __setattr__ "
    "__array_priority__ __getattr__ __delattr__ __reduce_ex__ __copy__ __deepcopy__ __setstate__ "
    "_a _buf _dtype _edge _grad _hooks dtype device layout itemsize element_size is_floating_point is_complex "
    "is_signed get_device".split()
)


def install() -> None:
    """Give batched tensors their methods, and take over what public functions cannot do with them."""
    late.put_all(Tensor)
    for name, value in vars(Tensor).items():
        if name in _ITSELF:
            setattr(Batched, name, _ITSELF[name])
        elif name in _AS_THEY_ARE or name.startswith("is_") and not callable(value):
            pass
        elif isinstance(value, property):
            setattr(Batched, name, property(_method(name, value.fget)))  # type: ignore[arg-type]
        elif callable(value):
            setattr(Batched, name, _method(name, value))
    TAKE_OVER.of_batch = take_over
    TAKE_OVER.of_batch_inplace = take_over_inplace


__all__ = ["LEVELS", "RULES", "At", "Level", "install", "rule"]
