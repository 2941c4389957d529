"""Tensors of which only some elements are kept, each with its place: the class, its products and how it is shown.

See `rushlight.sparse` for what can be done with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

import rushlight
from rushlight import printing
from rushlight.batched import NeedsBatching
from rushlight.buffer import Tensor, as_plain
from rushlight.device import sparse_coo
from rushlight.layout import numel, wrap_dim, wrap_dims
from rushlight.ops.spec import primitive
from rushlight.runtime.execute import wrap
from rushlight.size import Size

WHOLE = int  # within the class below, `int` is a method


class NotStrided(NeedsBatching, NotImplementedError):
    """Something asked for the memory of a sparse tensor."""


NotStrided.__name__ = NotStrided.__qualname__ = "NotImplementedError"
NotStrided.__module__ = "builtins"


def _no_array(self: Tensor) -> NoReturn:
    raise NotStrided("sparse tensors have no strides; to_dense() gives a tensor that has")


# ---- products ----


def _added_up(rows: np.ndarray, parts: np.ndarray, count: int) -> np.ndarray:
    """The sum of the parts of each row."""
    out = np.zeros((count, *parts.shape[1:]), parts.dtype)
    if not len(rows):
        return out
    if (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows, kind="stable")
        rows, parts = rows[order], parts[order]
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    out[rows[starts]] = np.add.reduceat(parts, starts, 0)
    return out


def _to_values(g: Any, dense: Any, rows: np.ndarray, columns: np.ndarray) -> Any:
    return (g.index_select(0, wrap(rows)) * dense.index_select(0, wrap(columns)).conj()).sum(1)


def _to_dense(g: Any, values: Any, dense_meta: Any, rows: np.ndarray, columns: np.ndarray) -> Any:
    parts = g.index_select(0, wrap(rows)) * values.conj().unsqueeze(1)
    return g.new_zeros(dense_meta.shape).index_add(0, wrap(columns), parts)


@primitive("SparseAddmm", vjp=(_to_values, _to_dense))
def sparse_product(values, dense, *, rows, columns, count):
    """A sparse matrix of `count` rows times a dense one; floats are added up in double precision."""
    wide = np.float64 if values.dtype.kind == "f" else values.dtype
    parts = values.astype(wide)[:, None] * dense[columns]
    return _added_up(rows, parts, count).astype(values.dtype)


# ---- the tensor ----


def _of_values(name: str) -> Callable:
    """A function of single elements that leaves zeros alone."""

    def method(self: Sparse, *args: Any, **kwargs: Any) -> Sparse:
        whole = self.coalesce()
        return _made(whole.places, getattr(whole.entries, name)(*args, **kwargs), self.sizes, True)

    method.__name__ = name
    return method


def _linear(name: str) -> Callable:
    """A function of single elements that may be taken of each part of a sum."""

    def method(self: Sparse, *args: Any, **kwargs: Any) -> Sparse:
        made = getattr(self.entries, name)(*args, **kwargs)
        return self if made is self.entries else _made(self.places, made, self.sizes, self.sorted)

    method.__name__ = name
    return method


class Sparse(Tensor):
    """A tensor in the COO layout: see above.

    Attributes:
        places: (d, nnz), int64; entries: (nnz, ...); sizes: all sizes.
        sorted: whether places are in order, none of them twice.
    """

    __slots__ = ("places", "entries", "sizes", "sorted")
    __torch_function__ = staticmethod(as_plain)

    places: Tensor
    entries: Tensor
    sizes: tuple[WHOLE, ...]
    sorted: Any

    _a = property(_no_array)
    _buf = property(_no_array)
    _dtype = property(lambda self: self.entries._dtype)
    _edge = property(lambda self: None)

    # ---- what it is ----

    is_sparse = property(lambda self: True)
    layout = property(lambda self: sparse_coo)
    shape = property(lambda self: Size(self.sizes))
    ndim = property(lambda self: len(self.sizes))
    requires_grad = property(
        lambda self: self.entries.requires_grad, lambda self, value: self.requires_grad_(value)
    )
    is_leaf = property(lambda self: self.entries.is_leaf)
    grad_fn = property(lambda self: self.entries.grad_fn)
    dim = ndimension = lambda self: len(self.sizes)
    numel = nelement = lambda self: numel(self.sizes)
    is_coalesced = lambda self: bool(self.sorted)
    sparse_dim = lambda self: self.places.size(0)
    dense_dim = lambda self: self.entries.dim() - 1
    _nnz = lambda self: self.places.size(1)
    _indices = lambda self: self.places
    _values = lambda self: self.entries

    def size(self, dim: WHOLE | None = None) -> Any:
        return Size(self.sizes) if dim is None else self.sizes[wrap_dim(dim, len(self.sizes))]

    def indices(self) -> Tensor:
        """The places, (d, nnz); RuntimeError before `coalesce`."""
        return self._coalesced("indices").places

    def values(self) -> Tensor:
        """The elements at these places; RuntimeError before `coalesce`."""
        return self._coalesced("values").entries

    def with_values(self, values: Tensor) -> Sparse:
        """The same places, with these elements."""
        return _made(self.places, values, self.sizes, self.sorted)

    def _coalesced(self, what: str) -> Sparse:
        if not self.sorted:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")
        return self

    def __len__(self) -> WHOLE:
        return self.sizes[0]

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return _shown(self)

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _made, (self.places, self.entries.detach(), self.sizes, self.sorted)

    def numpy(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    __array__ = numpy

    # ---- other forms ----

    def _flat_places(self) -> Tensor:
        """Each place as one number, counting row by row."""
        flat = self.places.new_zeros(self._nnz())
        for row, n in zip(self.places, self.sizes):
            flat = flat * n + row
        return flat

    def coalesce(self) -> Sparse:
        """In order, what is at one place added up."""
        if self.sorted:
            return self
        flat, inverse = rushlight.unique(self._flat_places(), return_inverse=True)
        entries = self.entries.new_zeros((len(flat), *self.entries.shape[1:])).index_add(
            0, inverse, self.entries
        )
        rows = []
        for n in reversed(self.sizes[: self.sparse_dim()]):
            rows.append(flat % n)
            flat = flat.div(n, rounding_mode="floor")
        return _made(rushlight.stack(rows[::-1]), entries, self.sizes, True)

    def to_dense(self, dtype: Any = None, **options: Any) -> Tensor:
        """An ordinary tensor of the same elements."""
        entries = self.entries if dtype is None else self.entries.to(dtype)
        flat = entries.new_zeros((numel(self.sizes[: self.sparse_dim()]), *entries.shape[1:]))
        return flat.index_add(0, self._flat_places(), entries).view(self.sizes)

    def to_sparse(self, *args: Any, **kwargs: Any) -> Sparse:
        return self

    to_sparse_coo = to_sparse

    def to(self, *args: Any, **kwargs: Any) -> Sparse:
        made = self.entries.to(*args, **kwargs)
        return self if made is self.entries else _made(self.places, made, self.sizes, self.sorted)

    cpu = contiguous = lambda self, *args, **kwargs: self
    float, double, half = _linear("float"), _linear("double"), _linear("half")
    long, int, bfloat16 = _linear("long"), _linear("int"), _linear("bfloat16")
    detach, clone, neg, __neg__ = _linear("detach"), _linear("clone"), _linear("neg"), _linear("neg")
    data = property(lambda self: self.detach())

    def requires_grad_(self, requires_grad: Any = True) -> Sparse:
        self.entries.requires_grad_(requires_grad)
        return self

    @property
    def grad(self) -> Any:
        grad = self.entries.grad
        return None if grad is None else _made(self.places, grad, self.sizes, self.sorted)

    def transpose(self, dim0: WHOLE, dim1: WHOLE) -> Sparse:
        d = self.sparse_dim()
        a, b = wrap_dim(dim0, len(self.sizes)), wrap_dim(dim1, len(self.sizes))
        if max(a, b) >= d:
            raise _missing("transpose")
        order = list(range(d))
        order[a], order[b] = b, a
        sizes = tuple([self.sizes[n] for n in order]) + self.sizes[d:]
        return _made(self.places[order], self.entries, sizes, a == b and self.sorted)

    def t(self) -> Sparse:
        return self.transpose(0, 1) if len(self.sizes) == 2 else self

    T = mT = property(lambda self: self.t())

    def select(self, dim: WHOLE, index: WHOLE) -> Any:
        d, at = self.sparse_dim(), wrap_dim(dim, len(self.sizes))
        if at >= d:
            raise _missing("select")
        n = self.sizes[at]
        if not -n <= index < n:
            raise IndexError(
                f"select(): index {index} out of range for tensor of size {list(self.sizes)} at dimension {dim}"
            )
        chosen = (self.places[at] == index % n).nonzero().squeeze(1)
        rest = [r for r in range(d) if r != at]
        sizes = self.sizes[:at] + self.sizes[at + 1 :]
        entries = self.entries.index_select(0, chosen)
        if not rest:
            return entries.sum(0)
        return _made(self.places[rest].index_select(1, chosen), entries, sizes, self.sorted)

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, WHOLE):
            raise _missing("__getitem__")
        if not -self.sizes[0] <= index < self.sizes[0]:
            raise IndexError(f"index {index} is out of bounds for dimension 0 with size {self.sizes[0]}")
        return self.select(0, index)

    # ---- arithmetic ----

    def mul(self, other: Any) -> Sparse:
        if isinstance(other, Tensor) and other.dim():
            whole = self.coalesce()
            if isinstance(other, Sparse):
                other = other.to_dense()
            there = other.expand(self.sizes)[tuple(whole.places.unbind(0))]
            return _made(whole.places, whole.entries * there, self.sizes, True)
        return _made(self.places, self.entries * other, self.sizes, self.sorted)

    __mul__ = __rmul__ = mul

    def div(self, other: Any, **options: Any) -> Sparse:
        if isinstance(other, Tensor) and other.dim():
            raise RuntimeError("Sparse division requires a scalar or zero-dim dense tensor divisor")
        return _made(self.places, self.entries.div(other, **options), self.sizes, self.sorted)

    __truediv__ = true_divide = div

    def add(self, other: Any, *, alpha: Any = 1) -> Any:
        if not isinstance(other, Tensor):
            raise TypeError(
                f"add(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}"
            )
        if not isinstance(other, Sparse):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        if self.sizes != other.sizes:
            raise RuntimeError(
                f"add: expected sizes of 'self' and 'other' to match, but {list(self.sizes)} != {list(other.sizes)}"
            )
        places = rushlight.cat([self.places, other.places], 1)
        entries = rushlight.cat([self.entries, other.entries * alpha if alpha != 1 else other.entries])
        made = _made(places, entries, self.sizes, False)
        return made.coalesce() if self.sorted and other.sorted else made

    __add__ = add

    def __radd__(self, other: Any) -> Any:
        return self.added_to(other) if isinstance(other, Tensor) else self.add(other)

    def added_to(self, dense: Tensor, *, alpha: Any = 1) -> Tensor:
        """`dense + alpha * self`."""
        self._check_sizes(dense)
        whole = self.to_dense()
        return dense.add(whole, alpha=alpha) if whole.dim() else dense + whole * alpha

    def add_into(self, dense: Tensor, *, alpha: Any = 1) -> Tensor:
        """`dense += alpha * self`, where there is something to add."""
        self._check_sizes(dense)
        parts = self.entries if alpha == 1 else self.entries * alpha
        return dense.index_put_(tuple(self.places.unbind(0)), parts.to(dense.dtype), accumulate=True)

    def _check_sizes(self, other: Tensor) -> None:
        if self.sizes != tuple(other.shape):
            raise RuntimeError(
                f"add: expected 'self' and 'other' to have same size, but self has size {list(other.shape)} while other has "
                f"size {list(self.sizes)} (FYI: dense-sparse addition does not currently support broadcasting)"
            )

    # ---- in place ----

    def _becomes(self, other: Sparse) -> Sparse:
        self.places, self.entries, self.sizes, self.sorted = (
            other.places,
            other.entries,
            other.sizes,
            other.sorted,
        )
        return self

    def add_(self, other: Any, *, alpha: Any = 1) -> Sparse:
        return self._becomes(self.add(other, alpha=alpha))

    def sub_(self, other: Any, *, alpha: Any = 1) -> Sparse:
        return self.add_(other, alpha=-alpha)

    def mul_(self, other: Any) -> Sparse:
        return self._becomes(self.mul(other))

    def div_(self, other: Any, **options: Any) -> Sparse:
        return self._becomes(self.div(other, **options))

    def copy_(self, other: Any, non_blocking: Any = False) -> Sparse:
        if not isinstance(other, Sparse):
            raise RuntimeError(
                "copy_() between dense and sparse Tensors is not implemented! Found self type = torch.sparse."
                f"{self._dtype.legacy}Tensor and src type = {other.type()}"
            )
        return self._becomes(other.clone().to(self._dtype))

    def zero_(self) -> Sparse:
        """Without any element."""
        self.places = self.places.new_zeros((self.places.size(0), 0))
        self.entries = self.entries.detach().new_zeros((0, *self.entries.shape[1:]))
        self.sorted = True
        return self

    def detach_(self) -> Sparse:
        self.entries = self.entries.detach()
        return self

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_

    def sparse_mask(self, mask: Sparse) -> Sparse:
        """What is at the places of another sparse tensor."""
        return masked(self.to_dense(), mask)

    def sub(self, other: Any, *, alpha: Any = 1) -> Any:
        return self.add(other, alpha=-alpha)

    __sub__ = sub

    def __rsub__(self, other: Any) -> Any:
        return self.added_to(other, alpha=-1) if isinstance(other, Tensor) else self.neg().add(other)

    def mm(self, other: Tensor) -> Any:
        """The product with a matrix; of two sparse ones it is sparse."""
        if len(self.sizes) != 2 or other.dim() != 2:
            raise RuntimeError(f"mm: expected matrices, got {len(self.sizes)}D and {other.dim()}D tensors")
        if self.sizes[1] != other.size(0):
            raise RuntimeError(
                f"addmm: Argument #3 (dense): Expected dim 0 size {self.sizes[1]}, got {other.size(0)}\n"
                f"mm: the matrices are {self.sizes[0]}x{self.sizes[1]} and {other.size(0)}x{other.size(1)}"
            )
        if isinstance(other, Sparse):
            return _chained(self.coalesce(), other.coalesce())
        if self._dtype is not other._dtype:
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {self._dtype.cpp} != {other._dtype.cpp}"
            )
        rows, columns = self.places._a
        return sparse_product(self.entries, other, rows=rows, columns=columns, count=self.sizes[0])

    def matmul(self, other: Tensor) -> Any:
        if other.dim() == 1:
            return self.mm(other.unsqueeze(1)).squeeze(1)
        return self.mm(other)

    spmm = smm = mm
    mv = __matmul__ = matmul

    def __rmatmul__(self, other: Tensor) -> Tensor:
        return self.t().mm(other.mT).mT

    # ---- sums, and functions of elements ----

    def sum(self, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Any:
        if dim is None:
            return self.entries.sum(dtype=dtype)
        return summed(self, dim, dtype)

    def norm(self, p: Any = 2, dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Tensor:
        if dim is not None:
            raise _missing("norm")
        return self.coalesce().entries.norm(p)

    def index_select(self, dim: WHOLE, index: Tensor) -> Sparse:
        parts = [self.select(dim, WHOLE(at)) for at in index]
        at = wrap_dim(dim, len(self.sizes))
        places = []
        for n, part in enumerate(parts):
            rows = list(part.places.unbind(0))
            places.append(rushlight.stack([*rows[:at], rushlight.full_like(rows[0], n), *rows[at:]]))
        sizes = (*self.sizes[:at], len(parts), *self.sizes[at + 1 :])
        return _made(
            rushlight.cat(places, 1), rushlight.cat([p.entries for p in parts]), sizes, False
        ).coalesce()

    abs, sqrt, pow, __pow__, relu = map(_of_values, ("abs", "sqrt", "pow", "__pow__", "relu"))
    sin, tan, asin, atan, sinh, tanh = map(_of_values, ("sin", "tan", "asin", "atan", "sinh", "tanh"))
    expm1, log1p, sign, sgn, floor, ceil = map(_of_values, ("expm1", "log1p", "sign", "sgn", "floor", "ceil"))
    round, trunc, square, isnan, isinf = map(_of_values, ("round", "trunc", "square", "isnan", "isinf"))
    erf, deg2rad, rad2deg, asinh, atanh = map(_of_values, ("erf", "deg2rad", "rad2deg", "asinh", "atanh"))


Sparse.__name__ = Sparse.__qualname__ = "Tensor"
Sparse.__module__ = "rushlight"


def _missing(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"Could not run 'aten::{name}' with arguments from the 'SparseCPU' backend. Rushlight does not have it for sparse "
        "tensors; to_dense() gives one that it has it for."
    )


def _made(places: Tensor, entries: Tensor, sizes: tuple, is_sorted: Any) -> Sparse:
    t = object.__new__(Sparse)
    t.places, t.entries, t.sizes, t.sorted = (
        places,
        entries,
        tuple(sizes),
        bool(is_sorted) or places.size(1) < 2,
    )
    return t


def masked(input: Tensor, mask: Any) -> Sparse:
    """The elements of a dense tensor at the places of a sparse one; see `Tensor.sparse_mask`."""
    if not isinstance(mask, Sparse):
        raise TypeError("sparse_mask(): the mask must be a sparse tensor")
    if tuple(input.shape) != mask.sizes:
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(input.shape)} but mask has size "
            f"{list(mask.sizes)}"
        )
    return _made(mask.places, input[tuple(mask.places.unbind(0))], mask.sizes, mask.sorted)


def _chained(x: Sparse, y: Sparse) -> Sparse:
    """The product of two sparse matrices: each element of the one with the elements in the other's row of its column."""
    starts = np.searchsorted(y.places._a[0], np.arange(y.sizes[0] + 1))
    counts = np.diff(starts)[x.places._a[1]]
    left = np.repeat(np.arange(x._nnz()), counts)
    within = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    right = np.repeat(starts[x.places._a[1]], counts) + within
    entries = x.entries.index_select(0, wrap(left)) * y.entries.index_select(0, wrap(right))
    places = np.stack([x.places._a[0][left], y.places._a[1][right]])
    return _made(wrap(places), entries, (x.sizes[0], y.sizes[1]), False).coalesce()


def summed(input: Any, dim: Any, dtype: Any) -> Tensor:
    """The sum of all elements, or over `dim`: sparse, unless nothing sparse is left."""
    entries = input.entries if dtype is None else input.entries.to(dtype)
    if dim is None:
        return entries.sum()
    d = input.sparse_dim()
    dims = wrap_dims((dim,) if isinstance(dim, WHOLE) else tuple(dim), input.dim())
    inner = [n - d + 1 for n in dims if n >= d]
    entries = entries.sum(inner) if inner else entries
    rest = [n for n in range(d) if n not in dims]
    sizes = tuple([n for at, n in enumerate(input.shape) if at not in dims])
    if not rest:
        return entries.sum(0)
    kept = len(rest) == d and input.is_coalesced()
    made = _made(input._indices()[rest], entries, sizes, kept)
    return made if kept else made.coalesce()


# ---- printing ----


def _part(name: str, t: Tensor) -> str:
    opening = f"{name}=tensor("
    sizes = "" if t.numel() else f", size={tuple(t.shape)}"
    return f"{opening}{printing.contents_of(t._a, len('tensor(' + opening))}{sizes})"


def _shown(t: Sparse) -> str:
    contents = f"{_part('indices', t.places)},\n       {_part('values', t.entries)}"
    facts = [f"size={tuple(t.sizes)}", f"nnz={t._nnz()}"]
    if not printing.dtype_is_plain(t._dtype.name):
        facts.append(f"dtype={t._dtype}")
    facts.append("layout=torch.sparse_coo")
    if t.grad_fn is not None:
        facts.append(f"grad_fn=<{t.grad_fn.name()}>")
    elif t.requires_grad:
        facts.append("requires_grad=True")
    text, width = f"tensor({contents},\n       {facts[0]}", 7 + len(facts[0])
    for fact in facts[1:]:
        if width + len(fact) + 2 > printing.get_printoptions()["linewidth"]:
            text, width = f"{text},\n       {fact}", 7 + len(fact)
        else:
            text, width = f"{text}, {fact}", width + len(fact) + 2
    return f"{text})"


__all__ = ["Sparse", "masked"]
