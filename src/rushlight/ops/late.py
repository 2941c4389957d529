"""Operations whose modules are read when they are first called, so that importing the package stays quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def late(module: str, name: str) -> Any:
    """The function `name` of `rushlight.<module>`, imported on the first call."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(f"rushlight.{module}"), name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name.removeprefix("torch_")
    call.__doc__ = f"See `rushlight.{module}.{name}`."
    return call


# ---- linear algebra ----

cholesky = late("ops.linear_algebra", "torch_cholesky")
cholesky_inverse = late("ops.linear_algebra", "cholesky_inverse")
cholesky_solve = late("ops.linear_algebra", "cholesky_solve")
det = late("ops.linear_algebra", "torch_det")
inverse = late("ops.linear_algebra", "inverse")
logdet = late("ops.linear_algebra", "logdet")
pinverse = late("ops.linear_algebra", "pinverse")
slogdet = late("ops.linear_algebra", "torch_slogdet")
triangular_solve = late("ops.linear_algebra", "triangular_solve")
qr = late("ops.factorizations", "torch_qr")
svd = late("ops.factorizations", "torch_svd")
matrix_exp = late("ops.matrix_functions", "torch_matrix_exp")
vander = late("ops.matrix_functions", "torch_vander")
