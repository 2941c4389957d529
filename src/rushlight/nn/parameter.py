"""`Parameter`: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from rushlight import late
from rushlight.buffer import LEAF, Tensor, as_plain, new_tensor, storage
from rushlight.dtypes import FLOATING, float32
from rushlight.printing import format_parameter


class Parameter(Tensor):
    """A leaf tensor that wants a gradient, on the memory of `data`.

    Raises:
        RuntimeError: integers cannot require gradients.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Parameter(torch.ones(2))
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    __slots__ = ()
    __torch_function__ = staticmethod(as_plain)

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        if data is None:
            import numpy as np

            data = new_tensor(np.empty(0, np.float32), float32)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): argument 'data' must be Tensor, not {type(data).__name__}")
        if requires_grad and data._dtype.category < FLOATING:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        if data.is_meta:
            return late.load("rushlight.meta").parameter(data, requires_grad)
        made = object.__new__(cls)
        made._a, made._dtype, made._buf = data._a, data._dtype, storage(data)
        made._edge = LEAF if requires_grad else None
        return made

    def __repr__(self) -> str:
        return format_parameter(self)

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        return memo[id(self)]


class _BufferType(type(Tensor)):  # type: ignore[misc]
    """Knows buffers by their mark: `Buffer(t)` is a plain tensor."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if cls is not Buffer:
            return type.__instancecheck__(cls, instance)
        return isinstance(instance, Tensor) and "_is_buffer" in instance.__dict__


class Buffer(Tensor, metaclass=_BufferType):
    """A tensor that a module registers as a buffer when it is assigned to an attribute.

    Example:
        >>> import rushlight as torch
        >>> module = torch.nn.Module()
        >>> module.steps = torch.nn.Buffer(torch.zeros(1))
        >>> [name for name, _ in module.named_buffers()]
        ['steps']
    """

    __torch_function__ = staticmethod(as_plain)

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        made = (Parameter(requires_grad=False) if data is None else data).detach()
        made.requires_grad_(data is not None and data.requires_grad)
        made.persistent, made._is_buffer = persistent, True
        return made


# ---- parameters whose shape is known later ----


#: what can be asked of a tensor without a shape: conversions, and what does not depend on elements
_WITHOUT_SHAPE = frozenset(
    "T bfloat16 bool byte char copy_ cpu cuda data double float get_device half int is_complex is_floating_point is_meta long "
    "ndim short size to".split()
)


def _computes(name: str) -> bool:
    """Whether this member of a tensor needs elements."""
    return not name.startswith("_") and callable(getattr(Tensor, name, None))


class UninitializedTensorMixin:
    """What tensors without a shape share: everything but conversion and `materialize` raises."""

    __slots__ = ()
    is_lazy = True

    def __getattribute__(self, name: str) -> Any:
        if name in _WITHOUT_SHAPE:
            return self._without_elements(name)
        if name == "_a" or _computes(name) and name not in vars(UninitializedTensorMixin):
            raise ValueError(
                f"Attempted to use an uninitialized parameter in {'a function' if name == '_a' else 'Tensor.' + name}. This "
                "error happens when you are using a `LazyModule` or explicitly manipulating "
                f"`torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call `forward` with a dummy "
                "batch to initialize the parameters before calling torch functions"
            )
        return object.__getattribute__(self, name)

    def _without_elements(self, name: str) -> Any:
        """A member of the tensor without elements that this one is meanwhile; conversions to what it is give it back."""
        plain = new_tensor(object.__getattribute__(self, "_a"), self._dtype)
        plain._buf = self._buf
        plain.requires_grad_(self.requires_grad)
        member = getattr(plain, name)
        if not callable(member):
            return member

        def called(*args: Any, **kwargs: Any) -> Any:
            made = member(*args, **kwargs)
            return self if made is plain else self._lazy(made)

        return called

    def _lazy(self, made: Any) -> Any:
        """What a conversion gives: the data of a parameter, but another buffer without a shape."""
        return made

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Give the tensor a shape, and memory that is not set yet."""
        import rushlight

        self.__class__ = self.cls_to_become
        self.data = rushlight.empty(shape, dtype=dtype or self.dtype)

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. "
            "Call `forward` to initialize the parameters before accessing their attributes."
        )

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters "
            "before calling `module.share_memory()`."
        )

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.requires_grad,) if isinstance(self, Parameter) else ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape the first call of its lazy module finds out."""

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        import rushlight

        return Parameter.__new__(cls, rushlight.empty(0, dtype=dtype), requires_grad)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, dtype=self.dtype)
        return memo[id(self)]


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape the first call of its lazy module finds out."""

    __slots__ = ()
    __torch_function__ = staticmethod(as_plain)
    cls_to_become = Tensor

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        import rushlight

        made = Parameter.__new__(cls, rushlight.empty(0, dtype=dtype), requires_grad)
        made.persistent, made._is_buffer = persistent, True
        return made

    def _lazy(self, made: Any) -> Any:
        if not isinstance(made, Tensor) or made.is_meta:
            return made
        return type(self)(made.requires_grad, dtype=made.dtype, persistent=self.persistent)

    def __deepcopy__(self, memo: dict) -> Any:
        return memo.setdefault(id(self), type(self)(self.requires_grad, persistent=self.persistent))


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer waits for its shape.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.parameter.is_lazy(torch.nn.LazyLinear(2).weight)
        True
    """
    return isinstance(param, UninitializedTensorMixin)


__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "UninitializedTensorMixin",
    "is_lazy",
]
