"""The words of errors that several places raise."""

from __future__ import annotations

from typing import Any


def describe(value: Any) -> str:
    """`float32[2, 3]` for a tensor, the type's name otherwise."""
    shape = getattr(value, "shape", None)
    if shape is None:
        return type(value).__name__
    return f"{value.dtype.name}[{', '.join(map(str, shape))}]"


def dim_out_of_range(dim: int, ndim: int) -> IndexError:
    low, high = (-1, 0) if ndim == 0 else (-ndim, ndim - 1)
    return IndexError(f"Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})")


def size_mismatch(a: tuple[int, ...], b: tuple[int, ...]) -> RuntimeError:
    """PyTorch's sentence about the last dimension at which two shapes do not broadcast."""
    for back in range(1, min(len(a), len(b)) + 1):
        m, n = a[-back], b[-back]
        if m != n and m != 1 and n != 1:
            at = max(len(a), len(b)) - back
            return RuntimeError(
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension {at}"
            )
    return RuntimeError(f"shapes {a} and {b} do not broadcast")


def type_name(value: Any) -> str:
    """The type as PyTorch's messages write it: NumPy's with their module, all others bare."""
    kind = type(value)
    return f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__


def wrong_type(operation: str, argument: str, position: int, got: Any, wanted: str = "Tensor") -> TypeError:
    return TypeError(
        f"{operation}(): argument '{argument}' (position {position}) must be {wanted}, not {type_name(got)}"
    )


class WrongArgument(TypeError):
    """An argument of a type that an operation does not take; `public` words it from the whole call.

    Args:
        argument: its name.
        wanted: what it must be, in PyTorch's words.
        overloaded: whether PyTorch has several signatures of which none fits.
    """

    def __init__(self, argument: str, wanted: str, got: Any, overloaded: bool = False) -> None:
        super().__init__(f"argument '{argument}' must be {wanted}, not {type_name(got)}")
        self.argument, self.wanted, self.kind, self.overloaded = argument, wanted, type_name(got), overloaded

    def worded(self, operation: str, names: tuple[str, ...], args: tuple, kwargs: dict) -> TypeError:
        """PyTorch's sentence about a call with these arguments."""
        if self.overloaded:
            got = [type_name(value) for value in args]
            got += [f"{name}={type_name(value)}" for name, value in reversed(kwargs.items())]
            return TypeError(
                f"{operation}() received an invalid combination of arguments - got ({', '.join(got)}{', ' * (not args)}), "
                f"but expected one of:\n{self}"
            )
        place = ""
        if self.argument not in kwargs and self.argument in names:
            place = f" (position {names.index(self.argument) + 1})"
        return TypeError(
            f"{operation}(): argument '{self.argument}'{place} must be {self.wanted}, not {self.kind}"
        )


def missing_argument(
    operation: str, function: str, error: Exception, args: tuple, overloaded: bool
) -> TypeError | None:
    """PyTorch's sentence for Python's "f() missing 1 required positional argument: 'x'"; None for other errors."""
    start = f"{function}() missing "
    text = str(error)
    if not text.startswith(start):
        return None
    if overloaded:
        return invalid_combination(operation, *args)
    names = text.split(": ", 1)[1].replace(" and ", ", ").replace("'", '"')
    return TypeError(f"{operation}() missing {text[len(start)]} required positional arguments: {names}")


def invalid_combination(operation: str, *got: Any) -> TypeError:
    """PyTorch's sentence about arguments that fit none of an operation's signatures."""
    kinds = ", ".join(type_name(value) for value in got)
    return TypeError(
        f"{operation}() received an invalid combination of arguments - got ({kinds}), but expected one of:"
    )


def cannot_cast(result: Any, target: Any) -> RuntimeError:
    return RuntimeError(
        f"result type {result.legacy} can't be cast to the desired output type {target.legacy}"
    )


def wrong_self(method: str, got: Any) -> TypeError:
    """A method of Tensor was called on something else: `Tensor.item("text")`."""
    return TypeError(
        f"descriptor '{method}' for 'torch._C.TensorBase' objects doesn't apply to a '{type_name(got)}' object"
    )


def no_out_gradient(operation: str) -> RuntimeError:
    return RuntimeError(
        f"{operation}(): functions with out=... arguments don't support automatic differentiation, "
        "but one of the arguments requires grad."
    )


def overlapping() -> RuntimeError:
    """What is to be written is also read, at other places."""
    return RuntimeError(
        "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
        "location. Please clone() the tensor before performing the operation."
    )


def shown_twice() -> RuntimeError:
    """What is to be written has two elements in one place."""
    return RuntimeError(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
        "Please clone() the tensor before performing the operation."
    )


class OutOfMemory(MemoryError, RuntimeError):
    """There is no memory for a result: Python's class, and the one PyTorch raises."""

    def __init__(self, wanted: int, pooled: int, in_use: int) -> None:
        super().__init__(
            f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {wanted} bytes. Error code 12 (Cannot "
            f"allocate memory)\nLarge tensors hold {in_use} bytes; {pooled} more were kept for reuse and have been given "
            "back to the system, which was not enough. Delete tensors that are no longer needed, or work on a part at a time."
        )
