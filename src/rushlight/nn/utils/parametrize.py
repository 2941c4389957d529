"""Parameters computed from others: a module's tensor replaced by a function of what is learned instead.

A parametrised module is of a class of its own, `ParametrizedLinear` for a Linear, in which the tensor is a property that is
computed when it is asked for. `module.parametrizations` holds what it is computed from, and how.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, ClassVar

from rushlight.buffer import Tensor
from rushlight.nn.modules.container import ModuleDict, ModuleList
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.tape.modes import no_grad

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]


class _Cache:
    """Tensors computed once while any `cached()` block runs: (module, name) -> tensor."""

    depth = 0
    tensors: ClassVar[dict[tuple[int, str], Tensor]] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Compute every parametrised tensor at most once while the block runs."""
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.tensors = {}


def _register(module: Module, name: str, t: Tensor) -> None:
    if isinstance(t, Parameter):
        module.register_parameter(name, t)
    else:
        module.register_buffer(name, t)


class ParametrizationList(ModuleList):
    """The steps from what is learned (`original`, or `original0`, `original1`, ...) to one tensor of a module.

    The first value of `original` is what the steps' `right_inverse` makes of the tensor's.

    Raises:
        ValueError: a step, or its inverse, changes the tensor's shape or dtype, or gives no tensor.
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        new = self._inverted(original)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            self._keep_one(original, new)
        else:
            self._keep_several(original, new)
        if not unsafe:
            _check_same(self(), dtype, shape)

    def _inverted(self, value: Any) -> Any:
        with no_grad():
            for module in reversed(self):
                if hasattr(module, "right_inverse"):
                    try:
                        value = module.right_inverse(value)
                    except NotImplementedError:
                        pass
        if not isinstance(value, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got "
                f"{type(value).__name__}"
            )
        return value

    def _keep_one(self, original: Tensor, new: Tensor) -> None:
        if original.dtype != new.dtype:
            raise ValueError(
                "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
            )
        with no_grad():
            original.set_(new)
        _register(self, "original", original)

    def _keep_several(self, original: Tensor, new: Sequence[Any]) -> None:
        for at, t in enumerate(new):
            if not isinstance(t, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got element "
                    f"{at} of the sequence with type {type(t).__name__}."
                )
            if isinstance(original, Parameter):
                t = Parameter(t, original.requires_grad)
            _register(self, f"original{at}", t.requires_grad_(original.requires_grad))

    def originals(self) -> list[Tensor]:
        """What the tensor is computed from."""
        return (
            [self.original]
            if self.is_tensor
            else [getattr(self, f"original{n}") for n in range(self.ntensors)]
        )

    def right_inverse(self, value: Tensor) -> None:
        """Set what is learned so that the tensor becomes `value`."""
        with no_grad():
            found: Any = value
            for module in reversed(self):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                found = module.right_inverse(found)
            if self.is_tensor:
                self._set_one(found)
            else:
                self._set_several(found)

    def _set_one(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
        if value.dtype != self.original.dtype:
            raise ValueError(
                f"The tensor returned by `right_inverse` has dtype {value.dtype} while `original` has dtype "
                f"{self.original.dtype}"
            )
        self.original.set_(value)

    def _set_several(self, values: Any) -> None:
        if not isinstance(values, Sequence):
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors. Got {type(values).__name__}."
            )
        if len(values) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length "
                f"{len(values)}."
            )
        for at, (t, original) in enumerate(zip(values, self.originals())):
            if not isinstance(t, Tensor):
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors or reference-type opaques. Got element {at} of "
                    f"type {type(t).__name__}."
                )
            if original.dtype != t.dtype:
                raise ValueError(
                    f"Tensor {at} returned by `right_inverse` has dtype {t.dtype} while `original{at}` has dtype "
                    f"{original.dtype}"
                )
            original.set_(t)

    def forward(self) -> Tensor:
        first, *rest = self
        x = first(*self.originals())
        for module in rest:
            x = module(x)
        return x


def _check_same(made: Any, dtype: Any, shape: Any) -> None:
    if not isinstance(made, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(made).__name__}.")
    for what, was, now in (("dtype", dtype, made.dtype), ("shape", shape, made.shape)):
        if was != now:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless `unsafe` flag is enabled.\n"
                f"unparametrized {what}: {was}\nparametrized {what}: {now}"
            )


# ---- the class of a parametrised module ----


def _give_class(module: Module) -> None:
    """Make the module of a class of its own, in which properties can be set for it alone."""
    cls = type(module)

    def deepcopied(self: Any, memo: dict) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        replica = memo[id(self)] = type(self).__new__(type(self))
        replica.__dict__ = deepcopy(self.__dict__, memo)
        for slot in copyreg._slotnames(type(self)):  # type: ignore[attr-defined]
            if hasattr(self, slot):
                setattr(replica, slot, deepcopy(getattr(self, slot), memo))
        return replica

    def refuse(self: Any) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). See:\n"
            "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
            "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
        )

    own: dict[str, Any] = {"__getstate__": refuse}
    if not hasattr(cls, "__deepcopy__"):
        own["__deepcopy__"] = deepcopied
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), own)


def _give_property(module: Module, name: str) -> None:
    def computed(self: Any) -> Tensor:
        steps = self.parametrizations[name]
        if not _Cache.depth:
            return steps()
        key = id(self), name
        if key not in _Cache.tensors:
            _Cache.tensors[key] = steps()
        return _Cache.tensors[key]

    def assign(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(computed, assign))


# ---- what users call ----


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Replace a parameter or buffer by `parametrization` of what is learned instead, or add a step to that.

    Args:
        parametrization: a module that computes the tensor; its `right_inverse`, if it has one, is used where the tensor
            is assigned to, and for the first values.
        unsafe: whether steps may change the shape and dtype.

    Raises:
        ValueError: the module has no such tensor, or its shape or dtype changes.

    Example:
        >>> import rushlight as torch
        >>> class Symmetric(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).mT
        >>> layer = torch.nn.Linear(3, 3)
        >>> _ = torch.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
        >>> torch.equal(layer.weight, layer.weight.mT)
        True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_step(module, tensor_name, parametrization)
        steps = module.parametrizations[tensor_name]
        steps.append(parametrization)
        steps.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        _parametrize(module, tensor_name, parametrization, unsafe)
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    return module


def _parametrize(module: Module, name: str, parametrization: Module, unsafe: bool) -> None:
    original = getattr(module, name)
    steps = ParametrizationList([parametrization], original, unsafe=unsafe)
    delattr(module, name)
    if not is_parametrized(module):
        _give_class(module)
        module.parametrizations = ModuleDict()
    _give_property(module, name)
    module.parametrizations[name] = steps


def _check_step(module: Module, name: str, step: Any) -> None:
    """Whether a further step keeps shape and dtype, and so does its inverse."""
    before = getattr(module, name)
    after = step(before)
    if not isinstance(after, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__}.")
    for what in ("dtype", "shape"):
        was, now = getattr(before, what), getattr(after, what)
        if was != now:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless the `unsafe` flag is "
                f"enabled.\nmodule.{name}.{what}: {was}\nparametrization(module.{name}).{what}: {now}"
            )
    if hasattr(step, "right_inverse"):
        try:
            back = step.right_inverse(after)
        except NotImplementedError:
            return
        _check_inverse(name, before, back)


def _check_inverse(name: str, before: Tensor, back: Any) -> None:
    if not isinstance(back, Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}")
    for what in ("dtype", "shape"):
        was, now = getattr(before, what), getattr(back, what)
        if was != now:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} as module.{name}, unless "
                f"the `unsafe` flag is enabled.\nmodule.{name}.{what}: {was}\nreturned {what}: {now}"
            )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module, or this tensor of it, is parametrised."""
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor an ordinary one again: with its computed value, or with that of `original`.

    Raises:
        ValueError: it is not parametrised, or `leave_parametrized` is False and it is computed from several.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    steps = module.parametrizations[tensor_name]
    if steps.is_tensor:
        original = steps.original
        if leave_parametrized:
            with no_grad():
                original.set_(getattr(module, tensor_name))
    elif leave_parametrized:
        t = getattr(module, tensor_name)
        original = Parameter(t) if t.requires_grad else t
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence "
            "of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module was made of."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Parametrise `to_module` as `from_module` is, by the same steps of the same tensors."""
    if not is_parametrized(from_module):
        return to_module
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        steps = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        for step in steps:
            register_parametrization(to_module, name, step)
        target = to_module.parametrizations[name]
        for label in ["original"] if steps.is_tensor else [f"original{n}" for n in range(steps.ntensors)]:
            setattr(target, label, getattr(steps, label))
    return to_module
