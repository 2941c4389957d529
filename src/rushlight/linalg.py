"""`torch.linalg`: linear algebra through NumPy's LAPACK, batched, with derivatives."""

from __future__ import annotations

from rushlight import late
from rushlight.ops.cholesky import cholesky, cholesky_ex
from rushlight.ops.factorizations import (
    eig,
    eigh,
    eigvals,
    eigvalsh,
    lu,
    lu_factor,
    lu_factor_ex,
    lu_solve,
    qr,
    svd,
    svdvals,
)
from rushlight.ops.householder import householder_product
from rushlight.ops.lapack import LinAlgError
from rushlight.ops.ldl import ldl_factor, ldl_factor_ex, ldl_solve
from rushlight.ops.linear_algebra import (
    det,
    inv,
    inv_ex,
    lstsq,
    pinv,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
)
from rushlight.ops.matrix_functions import (
    cond,
    diagonal,
    matmul,
    matrix_exp,
    matrix_norm,
    matrix_power,
    matrix_rank,
    norm,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
    vector_norm,
)
from rushlight.ops.products import linalg_cross as cross
from rushlight.ops.products import multi_dot

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.linalg")
