"""T, mT, H, mH and adjoint: dimensions in reverse order, or the last two swapped."""

from __future__ import annotations

from rushlight.buffer import Tensor
from rushlight.ops.kinds.method import warn_once
from rushlight.ops.spec import public
from rushlight.ops.views import PERMUTE, permute, transpose
from rushlight.runtime import execute


def _get_T(self: Tensor) -> Tensor:
    a = self._a
    if not a.size:
        return permute(self, tuple(range(a.ndim))[::-1])
    if a.ndim == 2:
        return execute.view(self, a.T, PERMUTE, {"dims": (1, 0)})
    if a.ndim == 0:
        warn_once("Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases.")
        return execute.view(self, a[...], PERMUTE, {"dims": ()})
    warn_once(
        "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an "
        "error in a future release. Consider `x.mT` to transpose batches of matrices or "
        "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor."
    )
    return execute.view(self, a.T, PERMUTE, {"dims": tuple(range(a.ndim - 1, -1, -1))})


def _get_mT(self: Tensor) -> Tensor:
    ndim = self._a.ndim
    if ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {ndim}-D tensor."
        )
    return transpose(self, -2, -1)


def _get_H(self: Tensor) -> Tensor:
    ndim = self._a.ndim
    if ndim not in (0, 2):
        more = " For batches of matrices, consider using tensor.mH" if ndim > 2 else ""
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {ndim}-D tensor.{more}"
        )
    if ndim == 0:
        warn_once("Tensor.H is deprecated on 0-D tensors. Consider using x.conj().")
    return adjoint(self) if ndim else self.conj()


def _get_mH(self: Tensor) -> Tensor:
    ndim = self._a.ndim
    if ndim < 2:
        raise RuntimeError(
            f"tensor.mH is only supported on matrices or batches of matrices. Got {ndim}-D tensor."
        )
    return adjoint(self)


@public(out=False)
def adjoint(input):
    """The last two dimensions swapped, and conjugated if complex.

    Raises:
        RuntimeError: one dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.adjoint(torch.tensor([[1j, 2]]))
        tensor([[0.-1.j],
                [2.-0.j]])
    """
    if input._a.ndim < 2:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input._a.ndim}-D tensor."
        )
    turned = transpose(input, -2, -1)
    return turned.conj() if input._dtype.is_complex else turned


T_property = property(_get_T, doc="The dimensions in reverse order.")
mT_property = property(_get_mT, doc="The last two dimensions swapped.")
H_property = property(_get_H, doc="A matrix transposed and conjugated.")
mH_property = property(_get_mH, doc="The last two dimensions swapped, and conjugated.")
