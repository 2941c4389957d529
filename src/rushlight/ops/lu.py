"""LU decompositions under PyTorch's older names: `lu`, `lu_solve`, `lu_unpack`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import return_types
from rushlight.dtypes import int32
from rushlight.ops.factorizations import check_factored, lu_factor_ex, permutation_matrix
from rushlight.ops.factorizations import lu_solve as solve_factored
from rushlight.ops.lapack import copied
from rushlight.ops.sequences import eye
from rushlight.ops.spec import public
from rushlight.runtime.execute import wrap

_with_info = return_types._named("_lu_with_info", "LU", "pivots", "info")


@public(out=copied, takes={"pivot": "bool"})
def lu(A, pivot=True, get_infos=False):
    """L and U in one matrix, and the row exchanges; with `get_infos`, also what :func:`linalg.lu_factor_ex` gives.

    U may have zeros on its diagonal.

    Example:
        >>> import rushlight as torch
        >>> torch.lu(torch.tensor([[0., 1.], [2., 4.]]))[1]
        tensor([2, 2], dtype=torch.int32)
    """
    made = lu_factor_ex(A, pivot=bool(pivot))
    return _with_info(made) if get_infos else tuple(made[:2])


@public
def lu_solve(input, LU_data, LU_pivots):
    """X of A X = `input`: :func:`linalg.lu_solve`.

    Example:
        >>> import rushlight as torch
        >>> a = torch.tensor([[0., 1.], [2., 4.]])
        >>> torch.lu_solve(torch.tensor([[1.], [8.]]), *torch.linalg.lu_factor(a))
        tensor([[2.],
                [1.]])
    """
    return solve_factored(LU_data, LU_pivots, input)


@public(takes={"LU_pivots": "Tensor"})
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """The factors of A = P L U from :func:`linalg.lu_factor`'s result; empty ones for what is not asked for.

    Raises:
        RuntimeError: not a matrix, or pivots that are no exchanges of its rows.

    Example:
        >>> import rushlight as torch
        >>> a = torch.tensor([[0., 1.], [2., 4.]])
        >>> P, L, U = torch.lu_unpack(*torch.linalg.lu_factor(a))
        >>> torch.equal(P @ L @ U, a)
        True
    """
    check_factored("torch.lu_unpack", LU_data)
    if unpack_pivots and LU_pivots._dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    m, n = LU_data._a.shape[-2:]
    nothing = LU_data.detach().new_empty(0)
    lower = upper = p = nothing
    if unpack_data:
        k = min(m, n)
        lower = LU_data.narrow(-1, 0, k).tril(-1) + eye(m, k, dtype=LU_data._dtype)
        upper = LU_data.narrow(-2, 0, k).triu()
    if unpack_pivots:
        p = wrap(permutation_matrix(_checked(LU_pivots._a, m), m, LU_data._a.dtype))
    return return_types.lu_unpack((p, lower, upper))


def _checked(pivots: np.ndarray, m: int) -> Any:
    if pivots.size and (pivots.min() < 1 or pivots.max() > m):
        raise RuntimeError(
            "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you properly pass the result of "
            "lu_factor?"
        )
    return pivots


__all__ = ["lu", "lu_solve", "lu_unpack"]
