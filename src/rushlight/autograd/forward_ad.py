"""`torch.autograd.forward_ad`: numbers that carry a direction, and their derivative along it.

Note [Duals by reverse mode]: there is no forward mode beneath. A dual tensor is one whose computation is recorded, and its
derivative along the direction is taken when it is asked for, in reverse mode twice: the gradient is linear in the weights of the
outputs, and its derivative with respect to these, times the direction, is what is wanted (J. Townsend, "A new trick for
calculating Jacobian vector products", 2017). So duals require grad, what is computed under `no_grad` carries no direction, and a
`Function` needs `backward` rather than `jvp`.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, NamedTuple

from rushlight import late
from rushlight.autograd.api import grad
from rushlight.autograd.graph import leaves
from rushlight.buffer import Tensor, storage
from rushlight.errors import wrong_type
from rushlight.ops.creation import zeros_like
from rushlight.tape.modes import MODES, _Mode, enable_grad
from rushlight.tape.node import Node, edge_of, meta_of, start
from rushlight.tape.saving import with_edge

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]


class UnpackedDualTensor(NamedTuple):
    """A dual tensor's value, and its derivative along the direction; None where it does not depend on it."""

    primal: Tensor
    tangent: Tensor | None


class _Dual(NamedTuple):
    """What was made dual: `base` is what derivatives are taken with respect to, `made` what the program has."""

    made: Any  # a weak reference
    base: Tensor
    tangent: Tensor
    version: int


class DualBackward(Node):
    """Leads from a dual tensor to its base. So the dual is neither a leaf nor a view of one, and may be written to."""

    __slots__ = ()

    def __init__(self, base: Tensor) -> None:
        start(self, (edge_of(base),), (meta_of(base),))

    def run(self, g: Any) -> tuple:
        return (g,)


class _Level:
    """An open level.

    Attributes:
        recorded: whether the program was recording when the level was entered; then results are recorded, too.
    """

    def __init__(self) -> None:
        self.recorded = MODES.grad
        self.duals: list[_Dual] = []


class _State(threading.local):
    level: _Level | None = None


_STATE = _State()


def enter_dual_level() -> int:
    """Open a level, in which tensors may be made dual; gives its number, 0.

    Raises:
        RuntimeError: one is open.
    """
    if _STATE.level is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _STATE.level = _Level()
    MODES.grad = True
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: tensors have no directions any more.

    Raises:
        RuntimeError: none is open, or not this one.
    """
    opened = _STATE.level
    if opened is None:
        raise RuntimeError("Dual level must be a positive number.")
    if level not in (None, 0):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    _STATE.level = None
    MODES.grad = opened.recorded


class dual_level(_Mode):
    """A context (or decorator) in which tensors may be made dual.

    Example:
        >>> import rushlight as torch
        >>> import rushlight.autograd.forward_ad as fwAD
        >>> with fwAD.dual_level():
        ...     x = fwAD.make_dual(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]))
        ...     print(fwAD.unpack_dual(x**2).tangent)
        tensor([2., 0.])
    """

    def __enter__(self) -> Any:
        return enter_dual_level()

    def __exit__(self, *error: Any) -> None:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of `tensor` that carries the direction `tangent`.

    Raises:
        RuntimeError: no level is open, the shapes differ, or one of the two carries a direction already.
        ValueError: integers.
    """
    opened = _STATE.level
    if opened is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    if level not in (None, 0):
        raise RuntimeError("Invalid level given to _make_dual")
    for what, t in (("primal", tensor), ("tangent", tangent)):
        if not (t.is_floating_point() or t.is_complex()):
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {t.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(tensor.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    bases = {id(dual.base) for dual in opened.duals}
    if _leads_to(tensor, bases):
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is not supported."
        )
    if _leads_to(tangent, bases):
        raise RuntimeError(
            "Setting a forward grad that itself has a forward gradient at the same level0 is not supported."
        )
    with enable_grad():
        base = tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
        made = with_edge(base._a, base._dtype, storage(base), DualBackward(base))
    opened.duals.append(_Dual(weakref.ref(made), base, tangent, storage(made).version))
    return made


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value of a tensor, and its derivative along the directions of what it was computed from."""
    if not isinstance(tensor, Tensor):
        raise wrong_type("_unpack_dual", "dual", 1, tensor)
    opened = _STATE.level
    if opened is None:
        return UnpackedDualTensor(tensor, None)
    for dual in opened.duals:
        if dual.made() is tensor and storage(tensor).version == dual.version:
            return UnpackedDualTensor(_primal(tensor, opened), dual.tangent)
    return UnpackedDualTensor(_primal(tensor, opened), _tangent(tensor, opened))


def _primal(t: Tensor, level: _Level) -> Tensor:
    """The tensor as the program is to have it: recorded only if it depends on more than the level's directions."""
    return t.view_as(t) if level.recorded and _leads_on(t, level) else t.detach()


def _tangent(t: Tensor, level: _Level) -> Tensor | None:
    """See Note [Duals by reverse mode]."""
    if not t.requires_grad:
        return None
    with enable_grad():
        weight = zeros_like(t).requires_grad_()
        bases = [dual.base for dual in level.duals]
        rows = grad(t, bases, weight, retain_graph=True, create_graph=True, allow_unused=True)
        pairs = [(row, dual.tangent) for row, dual in zip(rows, level.duals) if row is not None]
        if not pairs:
            return None
        chosen = [(row, tangent.to(row.dtype)) for row, tangent in pairs if row.requires_grad]
        if not chosen:
            return zeros_like(t).detach()
        create = level.recorded and (_leads_on(t, level) or any(v.requires_grad for _, v in chosen))
        (found,) = grad(
            [row for row, _ in chosen],
            [weight],
            [v for _, v in chosen],
            retain_graph=True,
            create_graph=create,
            allow_unused=True,
        )
    return zeros_like(t).detach() if found is None else found if create else found.detach()


# ---- what a tensor was computed from ----


def _leads_to(t: Tensor, bases: set[int]) -> bool:
    return any(id(leaf) in bases for leaf in leaves([t]))


def _leads_on(t: Tensor, level: _Level) -> bool:
    """Whether it depends on a leaf that is not the level's own."""
    own = {id(dual.base) for dual in level.duals}
    return any(id(leaf) not in own for leaf in leaves([t]))


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.autograd.forward_ad")
