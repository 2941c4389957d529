"""Distances between rows, likeness, and vectors brought to length 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import FLOATING, REDUCED, of_numpy
from rushlight.graph.expr import array_of
from rushlight.layout import broadcast, numel
from rushlight.ops.kinds.contraction import multiply
from rushlight.ops.spec import as_one_node, as_tensor, primitive, public
from rushlight.runtime.deferral import FROM, reduced
from rushlight.tape.derivative import Derivative

#: elements of the array of differences that one step of cdist makes
_STEP = 1 << 20
#: products of elements from which on squares are multiplied out
_MULTIPLIED_FROM = 1 << 15
#: squares that are computed together, in the cache
_BLOCK = 1 << 17
#: elements of a row up to which an expression may hold all of them
_FEW_COLUMNS = 4
#: squares of distances below this part of the squares they are a difference of are computed from differences
_NEAR = 1e-6


def _distances(x: np.ndarray, y: np.ndarray, p: float) -> np.ndarray:
    """p-norms of the differences of all rows of the matrices of two batches, (b, n, m) and (b, k, m)."""
    batch, n, m = x.shape
    out = np.empty((batch, n, y.shape[1]), x.dtype)
    multiplied = p == 2 and x.dtype == np.float32 and n * m * y.shape[1] >= _MULTIPLIED_FROM
    for b in range(batch):
        if 0 < m <= _FEW_COLUMNS and n * y.shape[1] >= FROM:
            out[b] = _of_columns(x[b], y[b], p)
        elif multiplied:
            out[b] = _euclidean(x[b], y[b])
        else:
            out[b] = _of_differences(x[b], y[b], p)
    return out


def _of_differences(x: np.ndarray, y: np.ndarray, p: float) -> np.ndarray:
    """In one loop if they are many, else some rows at a time."""
    shape = len(x), *y.shape
    if 0 in shape:
        return np.zeros(shape[:2])
    made = reduced(
        _norms, (np.broadcast_to(x[:, None], shape), np.broadcast_to(y, shape)), (2,), False, {"p": p}
    )
    if made is not None:
        return made
    rows = max(1, _STEP // max(1, y.size))
    parts = [_norms(x[at : at + rows, None], y, p=p) for at in range(0, len(x), rows)]
    return np.concatenate(parts)


def _norms(x: np.ndarray, y: np.ndarray, *, p: float) -> Any:
    """p-norms of differences over the last dimension. PyTorch's largest difference skips nan."""
    d = np.abs(x.astype(np.float64) - y)
    if p == np.inf:
        return np.maximum.reduce(np.where(d == d, d, 0.0), -1)
    if p == 0:
        return np.add.reduce(np.minimum(np.ceil(d), 1.0), -1, np.float64)
    if p == 1:
        return np.add.reduce(d, -1, np.float64)
    if p == 2:
        return np.sqrt(np.add.reduce(d * d, -1, np.float64))
    return np.power(np.add.reduce(np.power(d, p), -1, np.float64), 1 / p)


def _euclidean(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distances of float32 rows, from products in float64: |x - y|^2 = |x|^2 - 2 x.y + |y|^2.

    The ten digits that remain of a difference are more than a float32 has; closer rows are subtracted.
    """
    out = np.empty((len(x), len(y)), x.dtype)
    x, y = x.astype(np.float64), y.astype(np.float64)
    sizes = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
    doubled = np.ascontiguousarray(-2 * y.T)
    step = max(1, _BLOCK // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        size = np.add.outer(sizes[0][rows], sizes[1])
        squares = multiply(x[rows], doubled)
        squares += size
        size *= _NEAR
        close = np.nonzero(~(squares > size))  # (what is not finite, too)
        if len(close[0]):
            squares[close] = _squares(x[rows], y, *close)
        out[rows] = np.sqrt(squares, squares)
    return out


def _squares(x: np.ndarray, y: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Squares of the distances of some pairs, from differences."""
    step = max(1, _STEP // max(1, x.shape[1]))
    parts = []
    for at in range(0, len(rows), step):
        d = x[rows[at : at + step]] - y[columns[at : at + step]]
        parts.append(np.einsum("ij,ij->i", d, d))
    return np.concatenate(parts)


def _of_columns(x: np.ndarray, y: np.ndarray, p: float) -> np.ndarray:
    """Distances of rows of few elements: one loop over the pairs."""
    kind: Any = of_numpy(x.dtype)
    a, b = new_tensor(x, kind), new_tensor(y, kind)
    total: Any = None
    for column in range(x.shape[1]):
        d = (a[:, column, None].double() - b[None, :, column]).abs()
        if p == np.inf:
            d = d.masked_fill(d.isnan(), 0)
            total = d if total is None else total.maximum(d)
            continue
        d = d.ceil().clamp_max(1) if p == 0 else d if p == 1 else d * d if p == 2 else d**p
        total = d if total is None else total + d
    if p not in (0, 1, np.inf):
        total = total.sqrt() if p == 2 else total ** (1 / p)
    return array_of(total.to(kind)._a)


#: rows from which on gradients of Euclidean distances are products, as PyTorch's are
_MANY_ROWS = 25


def _distance_gradient(g: Any, x: Any, y: Any, p: float, out: Any) -> Any:
    """d/dx of the distances: g times sign(x - y) |x - y|**(p-1) / out**(p-1), summed over y's rows."""
    if p == 2 and max(x._a.shape[-2], y._a.shape[-2]) > _MANY_ROWS:
        return _euclidean_gradient(g, x, y, out)
    if p == 0:
        return x.new_zeros(x.shape)
    # (nothing holds the differences and their slopes: they are part of the loop that adds them up)
    return (g.unsqueeze(-1) * _slope(x.unsqueeze(-2) - y.unsqueeze(-3), p, out.unsqueeze(-1))).sum(-2)


def _slope(d: Any, p: float, far: Any) -> Any:
    """sign(d) |d|**(p-1) / far**(p-1)."""
    if p == 1:
        return d.sign()
    if p == 2:
        return (d / far).masked_fill(far == 0, 0)
    if p == float("inf"):
        return d.sign() * (far == d.abs())
    slope = d.sign() * d.abs().pow(p - 1) / far.pow(p - 1)
    return slope.masked_fill((far == 0) | (d == 0) & (p < 1), 0)


def _euclidean_gradient(g: Any, x: Any, y: Any, out: Any) -> Any:
    """The sum over k of r[k] (x - y[k]), where r is g / out, as x times the sum of r, less the product of r and y.

    In float64, of rows counted from where y's centre is, so that differences keep their digits.
    """
    kind = x._dtype
    g, x, y, out = g.double(), x.double(), y.double(), out.double()
    ratio = (g / out).masked_fill(out == 0, 0)
    centre = y.detach().mean(-2, keepdim=True)
    made = (x - centre) * ratio.sum(-1, keepdim=True) - ratio @ (y - centre)
    return made.to(kind)


@primitive(
    "Cdist",
    vjp=(
        lambda g, x, y, p, out: _distance_gradient(g, x, y, p, out),
        lambda g, x, y, p, out: _distance_gradient(g.mT, y, x, p, out.mT),
    ),
)
def cdist_(x, y, *, p):
    lead = broadcast(x.shape[:-2], y.shape[:-2])
    n, k, m = x.shape[-2], y.shape[-2], x.shape[-1]
    rows = np.broadcast_to(x, (*lead, n, m)).reshape(numel(lead), n, m)
    columns = np.broadcast_to(y, (*lead, k, m)).reshape(numel(lead), k, m)
    return _distances(rows, columns, p).reshape(*lead, n, k)


@public(name="cdist", out=False, takes={"p": "float"})
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distance between each row of `x1` (.., n, m) and each row of `x2` (.., k, m).

    `compute_mode` is accepted for compatibility; differences are always taken directly, which
    is the accurate way.

    Raises:
        RuntimeError: fewer than two dimensions, different numbers of columns, negative p.

    Example:
        >>> import rushlight as torch
        >>> torch.cdist(torch.tensor([[0., 0.]]), torch.tensor([[3., 4.]]))
        tensor([[5.]])
    """
    for at, t in enumerate((x1, x2), 1):
        as_tensor(t, "cdist", f"x{at}", at)
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode is not None and compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for at, t in enumerate((x1, x2), 1):
        if t._a.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, X{at} got: {t._a.ndim}D")
    if x1._a.shape[-1] != x2._a.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1._a.shape[-1]} X2: {x2._a.shape[-1]}"
        )
    for at, t in enumerate((x1, x2), 1):
        if t._dtype.category != FLOATING:
            raise RuntimeError(f"cdist only supports floating-point dtypes, X{at} got: {t._dtype.legacy}")
    if not p >= 0:
        raise RuntimeError("cdist only supports non-negative p values")
    broadcast(x1._a.shape[:-2], x2._a.shape[:-2])
    if x1._dtype is not x2._dtype:
        raise RuntimeError(f"expected scalar type {x1._dtype.legacy} but found {x2._dtype.legacy}")
    if x1._dtype in REDUCED:
        raise NotImplementedError(f"\"cdist\" not implemented for '{x1._dtype.legacy}'")
    return cdist_(x1, x2, p=float(p))


def _pairs(n: int) -> tuple[Tensor, ...]:
    """The rows and the columns of the upper triangle of a square, row by row."""
    from rushlight.ops.sequences import triu_indices

    return triu_indices(n, n, 1).unbind(0)


def _pair_distances(x: Any, p: float) -> Any:
    return cdist_(x, x, p=p)[_pairs(x._a.shape[0])]


def _pair_gradient(g: Any, x: Any, p: float, out: Any) -> Any:
    """Each distance depends on two rows: the gradient of all distances between rows, with both triangles filled."""
    n = x._a.shape[0]

    def both(t: Any) -> Any:
        upper = t.new_zeros((n, n)).index_put(_pairs(n), t)
        return upper + upper.mT

    return _distance_gradient(both(g), x, x, p, both(out))


_PDIST = Derivative("Pdist", ("x",), (_pair_gradient,))


@public(name="nn.functional.pdist", out=False)
def pdist(input, p=2.0):
    """The p-norm distances between all pairs of rows: the upper triangle of `cdist(x, x, p)`, row by row.

    Raises:
        RuntimeError: no matrix, no floats, or a negative `p`.

    Example:
        >>> import rushlight as torch
        >>> torch.pdist(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
        tensor([5.0000, 1.0000, 4.2426])
    """
    as_tensor(input, "pdist", "input", 1)
    if input._a.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input._a.ndim}D")
    if input._dtype.category != FLOATING:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if not p >= 0:
        raise RuntimeError("pdist only supports non-negative p values")
    if input._dtype in REDUCED:
        raise NotImplementedError(f"\"pdist\" not implemented for '{input._dtype.legacy}'")
    return as_one_node(_PDIST, input, _pair_distances, p=float(p))


# ---- pairs of vectors ----


@public(name="nn.functional.normalize")
def normalize(input, p=2.0, dim=1, eps=1e-12):
    """Divided by the `p`-norm along `dim`, or by `eps` if that is larger.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.normalize(torch.tensor([[3., 4.]]))
        tensor([[0.6000, 0.8000]])
    """
    return input / input.norm(p, dim, True).clamp_min(eps).expand_as(input)


@public(name="cosine_similarity", out=False, takes={"dim": "int", "eps": "float"})
def cosine_similarity(x1, x2, dim=1, eps=1e-08):
    """The cosine of the angle between vectors along `dim`; each length counts as at least `eps`.

    Raises:
        RuntimeError: no floats, shapes that do not go together, or a negative `eps`.

    Example:
        >>> import rushlight as torch
        >>> torch.cosine_similarity(torch.tensor([[1., 0.]]), torch.tensor([[0., 2.]]))
        tensor([0.])
    """
    from rushlight.ops.matrix_functions import vector_norm
    from rushlight.ops.promotion import result_type

    as_tensor(x1, "cosine_similarity", "x1", 1)
    as_tensor(x2, "cosine_similarity", "x2", 2)
    if not eps >= 0:
        raise RuntimeError(f"eps must be non-negative, got: {eps:g}")
    kind = result_type(x1, x2)
    if kind.category < FLOATING:
        raise RuntimeError("expected common dtype to be floating point, yet common dtype is " + kind.legacy)
    x1, x2 = (t if t._dtype is kind else t.to(kind) for t in (x1, x2))
    shape = broadcast(x1._a.shape, x2._a.shape)
    x1, x2 = x1.expand(shape), x2.expand(shape)
    unit1 = x1 / vector_norm(x1, 2, dim, True).clamp_min(eps)
    unit2 = x2 / vector_norm(x2, 2, dim, True).clamp_min(eps)
    return (unit1 * unit2).sum(dim)


@public(name="pairwise_distance", out=False)
def pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False):
    """The `p`-norm of x1 - x2 + eps along the last dimension."""
    as_tensor(x1, "pairwise_distance", "x1", 1)
    as_tensor(x2, "pairwise_distance", "x2", 2)
    return (x1 - x2 + eps).norm(p, -1, keepdim)
