"""Methods that PyTorch's tensors have so that they can say what to do instead: of functions that are gone, and of other layouts."""

from __future__ import annotations

from typing import Any, NoReturn

from rushlight.buffer import Tensor

__all__ = [
    "ccol_indices",
    "coalesce",
    "col_indices",
    "crow_indices",
    "dequantize",
    "eig",
    "indices",
    "is_coalesced",
    "lstsq",
    "reinforce",
    "row_indices",
    "solve",
    "symeig",
    "values",
    "xpu",
]

_GONE = "This function was deprecated since version 1.9 and is now removed. "


def eig(self: Tensor, eigenvectors: bool = False) -> NoReturn:
    """Removed in favour of `torch.linalg.eig`: RuntimeError."""
    raise RuntimeError(
        f"{_GONE}`torch.linalg.eig` returns complex tensors of dtype `cfloat` or `cdouble` rather than real tensors mimicking "
        "complex tensors.\n\nL, _ = torch.eig(A) is torch.linalg.eigvals(A) now, and L, V = torch.eig(A, eigenvectors=True) is "
        "torch.linalg.eig(A)"
    )


def symeig(self: Tensor, eigenvectors: bool = False, upper: bool = True) -> NoReturn:
    """Removed in favour of `torch.linalg.eigh`: RuntimeError."""
    raise RuntimeError(
        f"{_GONE}The default behavior has changed from using the upper triangular portion of the matrix by default to using "
        "the lower triangular portion.\n\nL, V = torch.symeig(A, eigenvectors=True) is torch.linalg.eigh(A, UPLO='U') now"
    )


def solve(self: Tensor, other: Tensor) -> NoReturn:
    """Removed in favour of `torch.linalg.solve`: RuntimeError."""
    raise RuntimeError(
        f"{_GONE}`torch.solve` is deprecated in favor of `torch.linalg.solve`. `torch.linalg.solve` has its arguments reversed "
        "and does not return the LU factorization.\n\nX = torch.solve(B, A).solution is torch.linalg.solve(A, B) now; "
        "torch.lu gives the factorization"
    )


def lstsq(self: Tensor, other: Tensor) -> NoReturn:
    """Removed in favour of `torch.linalg.lstsq`: RuntimeError."""
    raise RuntimeError(
        f"{_GONE}`torch.lstsq` is deprecated in favor of `torch.linalg.lstsq`.\n`torch.linalg.lstsq` has reversed arguments and "
        "does not return the QR decomposition in the returned tuple (although it returns other information about the problem)."
        "\n\nX = torch.lstsq(B, A).solution[:A.size(1)] is torch.linalg.lstsq(A, B).solution now"
    )


def reinforce(self: Tensor, reward: Any) -> NoReturn:
    """Removed in favour of `torch.distributions`: RuntimeError."""
    raise RuntimeError(
        "reinforce() was removed.\nUse torch.distributions instead.\n\nm = torch.distributions.Categorical(probs); "
        "action = m.sample(); loss = -m.log_prob(action) * reward; loss.backward()"
    )


# ---- other layouts ----


def _not_strided(name: str, wanted: str) -> Any:
    def method(self: Tensor) -> NoReturn:
        raise RuntimeError(f"{name} expected {wanted} tensor layout but got Strided")

    method.__name__ = name
    method.__doc__ = f"For {wanted} tensors; RuntimeError of others."
    return method


coalesce = _not_strided("coalesce", "sparse coordinate")
indices = _not_strided("indices", "sparse coordinate")
is_coalesced = _not_strided("is_coalesced", "sparse coordinate")
values = _not_strided("values", "sparse")
crow_indices = _not_strided("crow_indices", "sparse row compressed")
col_indices = _not_strided("col_indices", "sparse row compressed")
ccol_indices = _not_strided("ccol_indices", "sparse column compressed")
row_indices = _not_strided("row_indices", "sparse column compressed")


def dequantize(self: Tensor) -> Tensor:
    """The tensor in float32: none is quantized.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(2).dequantize()
        tensor([1., 1.])
    """
    return self.float()


def xpu(self: Tensor, *args: Any, **kwargs: Any) -> NoReturn:
    """A copy on an Intel GPU; AssertionError, as there is none."""
    raise AssertionError("Torch not compiled with XPU enabled")
