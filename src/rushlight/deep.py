"""Tensors of more dimensions than NumPy's arrays can have, which is 64.

All but 62 of so many dimensions have size 1 (or the tensor is empty), so such a tensor is an
ordinary one without those, together with its sizes. It can be looked at, reshaped and computed with
element by element; whatever else asks for its array is refused, as most of PyTorch's reductions refuse it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.buffer import Tensor, as_plain, storage, strides
from rushlight.dtypes import dtype
from rushlight.layout import broadcast, contiguous_strides, numel, view_strides, wrap_dim, wrap_dims
from rushlight.size import Size

MOST = 64
WHOLE = int  # within the class below, `int` is a method


_REFUSED = "only tensors with up to 64 dims are supported"


def refusal() -> RuntimeError:
    """What is raised where there cannot be more than 64 dimensions."""
    return RuntimeError(_REFUSED)


def is_refusal(error: RuntimeError) -> bool:
    return error.args == (_REFUSED,)


def core(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes without ones: those that the ordinary tensor inside has."""
    return (0,) if 0 in sizes else tuple([n for n in sizes if n != 1])


def deepened(flat: Tensor, sizes: tuple[int, ...], steps: tuple[int, ...] | None = None) -> Tensor:
    """`flat`, of the sizes `core(sizes)`, with all its dimensions."""
    if len(sizes) <= MOST:
        return flat.view(sizes)
    t = object.__new__(Deep)
    t.flat = flat
    t.sizes = tuple(sizes)
    if steps is None and flat._a.size and not flat._a.flags.c_contiguous:
        steps = view_strides(flat._a.shape, strides(flat), sizes)
    t.steps = contiguous_strides(sizes) if steps is None else steps
    return t


def reshaped(t: Tensor, sizes: tuple[int, ...], method: str) -> Tensor:
    """An ordinary tensor in a shape of many dimensions, through its method `view` or `reshape`."""
    flat = t.view(core(sizes)) if method == "view" else t.reshape(core(sizes))
    return deepened(flat, sizes, view_strides(flat._a.shape, strides(flat), sizes) if numel(sizes) else None)


def unsqueezed(t: Tensor, dim: int) -> Tensor:
    """An ordinary tensor of 64 dimensions with one more."""
    sizes, steps = t._a.shape, strides(t)
    step = sizes[dim] * steps[dim] if dim < len(sizes) else 1
    return deepened(_core(t), (*sizes[:dim], 1, *sizes[dim:]), (*steps[:dim], step, *steps[dim:]))


def expanded(t: Tensor, sizes: tuple[int, ...], steps: tuple[int, ...]) -> Tensor:
    """An ordinary tensor shown in more than 64 dimensions."""
    have = (1,) * (len(sizes) - t._a.ndim) + t._a.shape
    if 0 in sizes:
        return deepened(t.new_empty(0), sizes, steps)
    kept = [dim for dim, n in enumerate(sizes) if n != 1]
    flat = t.reshape([have[dim] for dim in kept]).expand([sizes[dim] for dim in kept])
    return deepened(flat, sizes, steps)


def _core(t: Tensor) -> Tensor:
    return t.reshape(0) if 0 in t._a.shape else t.squeeze()


def from_core(make: Callable, sizes: tuple[int, ...]) -> Tensor:
    """What a factory makes, given the sizes without ones."""
    return deepened(make(core(sizes)), sizes)


def elementwise(function: Callable, *operands: Any) -> Tensor:
    """An elementwise function of operands some of which have many dimensions."""
    shapes = [tuple(x.shape) if isinstance(x, Tensor) else () for x in operands]
    sizes = broadcast(*shapes)
    kept = [dim for dim, n in enumerate(sizes) if n != 1]
    aligned = []
    for x, shape in zip(operands, shapes):
        if isinstance(x, Tensor) and 0 not in sizes:
            padded = (1,) * (len(sizes) - len(shape)) + shape
            x = x.reshape([padded[dim] for dim in kept])
        elif isinstance(x, Tensor):
            x = x.reshape(-1)[:0]
        aligned.append(x)
    return deepened(function(*aligned), sizes)


# ---- the methods ----


def _same_sizes(name: str) -> Callable:
    """A method that keeps sizes."""

    def method(self: Deep, *args: Any, **kwargs: Any) -> Tensor:
        out = getattr(self.flat, name)(*args, **kwargs)
        return self if out is self.flat else deepened(out, self.sizes)

    return method


def _of_all(name: str) -> Callable:
    """A reduction of all elements; one of some dimensions is refused."""

    def method(self: Deep, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs.keys() & {"dim", "axis", "keepdim", "keepdims"}:
            raise refusal()
        return getattr(self.flat, name)(**kwargs)

    return method


def _of_elements(name: str) -> Callable:
    """A method whose answer does not depend on the dimensions."""
    return lambda self, *args, **kwargs: getattr(self.flat, name)(*args, **kwargs)


def _slot(name: str) -> Any:
    return property(
        lambda self: getattr(self.flat, name), lambda self, value: setattr(self.flat, name, value)
    )


class Deep(Tensor):
    """A tensor of more than 64 dimensions: see above.

    Attributes:
        flat: the elements, without the dimensions of size 1.
        sizes: all sizes; steps: all strides.
    """

    __slots__ = ("flat", "sizes", "steps")
    __torch_function__ = staticmethod(as_plain)

    _dtype = _slot("_dtype")
    _edge = _slot("_edge")

    @property
    def _a(self) -> Any:
        raise refusal()

    @property
    def _buf(self) -> Any:
        return storage(self.flat)

    # ---- what it is ----

    shape = property(lambda self: Size(self.sizes))
    ndim = property(lambda self: len(self.sizes))
    nbytes = property(lambda self: self.flat.nbytes)
    grad = property(lambda self: None if self.flat.grad is None else deepened(self.flat.grad, self.sizes))
    dim = ndimension = lambda self: len(self.sizes)
    numel = nelement = _of_elements("numel")
    storage_offset = _of_elements("storage_offset")
    data_ptr = _of_elements("data_ptr")
    untyped_storage = _of_elements("untyped_storage")
    backward = _of_elements("backward")
    is_nonzero = _of_elements("is_nonzero")
    item = _of_elements("item")
    __bool__ = _of_elements("__bool__")
    __int__ = _of_elements("__int__")
    __float__ = _of_elements("__float__")
    __complex__ = _of_elements("__complex__")
    __index__ = _of_elements("__index__")

    def size(self, dim: int | None = None) -> Any:
        return Size(self.sizes) if dim is None else self.sizes[wrap_dim(dim, len(self.sizes))]

    def stride(self, dim: int | None = None) -> Any:
        return self.steps if dim is None else self.steps[wrap_dim(dim, len(self.sizes))]

    def is_contiguous(self, **options: Any) -> Any:
        return self.flat.is_contiguous(**options)

    def __len__(self) -> int:
        return self.sizes[0]

    def tolist(self) -> Any:
        return nested(self.flat.tolist(), self.sizes)

    def numpy(self, *, force: bool = False) -> Any:
        raise ValueError(f"number of dimensions must be within [0, {MOST}]")

    # ---- other sizes ----

    def view(self, *shape: Any, **options: Any) -> Tensor:
        kind = options.get("dtype") or shape[0] if shape or options else None
        if isinstance(kind, dtype):
            if kind.itemsize != self._dtype.itemsize:
                raise refusal()
            return deepened(self.flat.view(kind), self.sizes, self.steps)
        return self.flat.view(*shape, **options)

    def reshape(self, *shape: Any, **options: Any) -> Tensor:
        return self.flat.reshape(*shape, **options)

    def view_as(self, other: Tensor) -> Tensor:
        return self.flat.view(other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        return self.flat.reshape(other.shape)

    def ravel(self) -> Tensor:
        return self.flat.reshape(-1) if self.flat._a.size else self.flat.reshape(0)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        first, last = wrap_dim(start_dim, len(self.sizes)), wrap_dim(end_dim, len(self.sizes))
        if first > last:
            raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
        return self.flat.reshape(
            (*self.sizes[:first], numel(self.sizes[first : last + 1]), *self.sizes[last + 1 :])
        )

    def squeeze(self, dim: Any = None) -> Tensor:
        if isinstance(dim, (tuple, list)):
            raise refusal()
        dims = range(len(self.sizes)) if dim is None else (wrap_dim(dim, len(self.sizes)),)
        gone = [at for at in dims if self.sizes[at] == 1]
        return self._with([at for at in range(len(self.sizes)) if at not in gone])

    def unsqueeze(self, dim: int) -> Tensor:
        at = wrap_dim(dim, len(self.sizes) + 1)
        step = self.sizes[at] * self.steps[at] if at < len(self.sizes) else 1
        sizes = (*self.sizes[:at], 1, *self.sizes[at:])
        return deepened(self.flat, sizes, (*self.steps[:at], step, *self.steps[at:]))

    def _with(self, dims: list[int]) -> Tensor:
        """Only these dimensions; the others are of size 1."""
        return deepened(self.flat, tuple([self.sizes[d] for d in dims]), tuple([self.steps[d] for d in dims]))

    def select(self, dim: int, index: int) -> Tensor:
        at = wrap_dim(dim, len(self.sizes))
        n = self.sizes[at]
        if not -n <= index < n:
            raise IndexError(
                f"select(): index {index} out of range for tensor of size {list(self.sizes)} at dimension {dim}"
            )
        rest = [d for d in range(len(self.sizes)) if d != at]
        if n == 1:
            return self._with(rest)
        inner = len([d for d in range(at) if self.sizes[d] != 1])
        sizes, steps = tuple([self.sizes[d] for d in rest]), tuple([self.steps[d] for d in rest])
        return deepened(self.flat.select(inner, index), sizes, steps)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        return tuple([self.select(dim, index) for index in range(self.size(dim))])

    def __iter__(self) -> Any:
        return iter(self.unbind(0))

    def __getitem__(self, index: Any) -> Tensor:
        """Whole numbers, `...`, `:` and None; other indices are refused."""
        indices = index if isinstance(index, tuple) else (index,)
        named = len([i for i in indices if i is not None and i is not Ellipsis])
        out: Tensor = self
        at = 0
        for i in indices:
            if i is None:
                out = out.unsqueeze(at)
            elif i is Ellipsis:
                at += len(self.sizes) - named
                continue
            elif type(i) is WHOLE:
                n = out.shape[at]
                if not -n <= i < n:
                    position = at + len(self.sizes) - out.dim()
                    raise IndexError(f"index {i} is out of bounds for dimension {position} with size {n}")
                out = out.select(at, i)
                continue
            elif i != slice(None):
                raise refusal()
            at += 1
        return out

    def expand(self, *shape: Any) -> Tensor:
        asked = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], WHOLE) else shape
        lead = len(asked) - len(self.sizes)
        have = (1,) * lead + self.sizes
        if lead < 0 or any(n not in (-1, m) and m != 1 for n, m in zip(asked, have)):
            raise refusal()
        sizes = tuple([m if n == -1 else n for n, m in zip(asked, have)])
        steps = (0,) * lead + self.steps
        steps = tuple([step if m == n else 0 for step, m, n in zip(steps, have, sizes)])
        kept = [dim for dim, n in enumerate(sizes) if n != 1]
        if 0 in sizes:
            return deepened(self.flat.reshape(-1)[:0], sizes, steps)
        return deepened(
            self.flat.reshape([have[d] for d in kept]).expand([sizes[d] for d in kept]), sizes, steps
        )

    def permute(self, *dims: Any) -> Tensor:
        order = dims[0] if len(dims) == 1 and not isinstance(dims[0], WHOLE) else dims
        if len(order) != len(self.sizes):
            raise RuntimeError(
                "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
                f"ordering of dimensions i.e. input.dim() = {len(self.sizes)} is not equal to len(dims) = {len(order)}"
            )
        order = wrap_dims(order, len(self.sizes), "permute(): ")
        kept = [d for d in order if self.sizes[d] != 1]
        flat = self.flat if 0 in self.sizes else self.flat.permute([sorted(kept).index(d) for d in kept])
        return deepened(flat, tuple([self.sizes[d] for d in order]), tuple([self.steps[d] for d in order]))

    def transpose(self, dim0: Any, dim1: Any) -> Tensor:
        order = list(range(len(self.sizes)))
        first, second = wrap_dim(dim0, len(order)), wrap_dim(dim1, len(order))
        order[first], order[second] = second, first
        return self.permute(order)

    swapaxes = swapdims = transpose

    # ---- the same sizes ----

    clone = _same_sizes("clone")
    detach = _same_sizes("detach")
    data = property(_same_sizes("detach"))
    contiguous = _same_sizes("contiguous")
    requires_grad_ = _same_sizes("requires_grad_")
    to = _same_sizes("to")
    type_as = _same_sizes("type_as")
    float = _same_sizes("float")
    double = _same_sizes("double")
    half = _same_sizes("half")
    bfloat16 = _same_sizes("bfloat16")
    int = _same_sizes("int")
    long = _same_sizes("long")
    short = _same_sizes("short")
    char = _same_sizes("char")
    byte = _same_sizes("byte")
    bool = _same_sizes("bool")
    chalf = _same_sizes("chalf")
    cfloat = _same_sizes("cfloat")
    cdouble = _same_sizes("cdouble")
    zero_ = _same_sizes("zero_")
    fill_ = _same_sizes("fill_")

    # ---- all elements ----

    sum = _of_all("sum")
    nansum = _of_all("nansum")
    mean = _of_all("mean")
    prod = _of_all("prod")
    max = _of_all("max")
    min = _of_all("min")
    amax = _of_all("amax")
    amin = _of_all("amin")
    aminmax = _of_all("aminmax")
    argmax = _of_all("argmax")
    argmin = _of_all("argmin")
    var = _of_all("var")
    std = _of_all("std")
    median = _of_all("median")
    count_nonzero = _of_all("count_nonzero")
    unique = _of_all("unique")


def nested(values: Any, sizes: tuple[int, ...]) -> Any:
    """Nested lists of the elements of `core(sizes)`, as lists of all `sizes`."""
    if 0 in sizes:
        return [nested(values, sizes[1:]) for _ in range(sizes[0])] if sizes and sizes[0] else []
    if not sizes:
        return values
    return [nested(values, sizes[1:])] if sizes[0] == 1 else [nested(part, sizes[1:]) for part in values]


Deep.__name__ = Deep.__qualname__ = "Tensor"
Deep.__module__ = "rushlight"
