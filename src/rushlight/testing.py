"""`torch.testing`: whether results are what they should be, and tensors to try things on."""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from rushlight import dtypes, late
from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, dtype, finfo, iinfo, promote_types
from rushlight.ops.comparison import isclose
from rushlight.ops.complexes import view_as_real
from rushlight.ops.construct import as_tensor, tensor
from rushlight.ops.creation import empty
from rushlight.ops.sampling import randint

__all__ = ["assert_allclose", "assert_close", "make_tensor"]


# ---- comparing ----

#: (rtol, atol) by type; others must be equal
_TOLERANCES: dict[str, tuple[float, float]] = {
    "torch.float16": (1e-3, 1e-5),
    "torch.bfloat16": (1.6e-2, 1e-5),
    "torch.float32": (1.3e-6, 1e-5),
    "torch.float64": (1e-7, 1e-7),
    "torch.complex32": (1e-3, 1e-5),
    "torch.complex64": (1.3e-6, 1e-5),
    "torch.complex128": (1e-7, 1e-7),
}
_OLD_TOLERANCES = {
    "torch.float16": (1e-3, 1e-3),
    "torch.float32": (1e-4, 1e-5),
    "torch.float64": (1e-5, 1e-8),
}
_TYPE_OF_NUMBER = {int: "torch.int64", float: "torch.float64", complex: "torch.complex128"}


class _Options(NamedTuple):
    allow_subclasses: bool
    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool

    def tolerances(self, *kinds: str) -> tuple[float, float]:
        """Those given, or the larger of the types'."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        found = [_TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
        return max(r for r, _ in found), max(a for _, a in found)


class _Difference(Exception):
    """What does not agree, and where in nested containers."""

    def __init__(self, told: str, place: tuple, kind: type[Exception] = AssertionError) -> None:
        self.told, self.place, self.kind = told, place, kind

    def error(self, msg: str | Callable[[str], str] | None) -> Exception:
        told = self.told
        if self.place:
            told += f"\n\nThe failure occurred for item {''.join(str([at]) for at in self.place)}"
        return self.kind(msg if isinstance(msg, str) else msg(told) if callable(msg) else told)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise unless `|actual - expected| <= atol + rtol * |expected|` for all elements, and types and shapes agree.

    Numbers, arrays and tensors are compared, and sequences and mappings of them.

    Args:
        rtol, atol: both or none; by default what suits the type.
        equal_nan: whether NaN is close to NaN.
        check_dtype: whether the types must be equal; if not, the values are compared in their common type.
        check_stride: whether the layouts in memory must be.
        msg: what to say instead, or a function that makes it from what would be said.

    Raises:
        AssertionError: they differ.
        ValueError: only one of the tolerances.
        TypeError: things that cannot be compared.

    Example:
        >>> import rushlight as torch
        >>> torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
        Traceback (most recent call last):
            ...
        AssertionError: Tensor-likes are not close!
        ...
    """
    options = _Options(
        allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride
    )
    try:
        for compare in list(_comparisons(actual, expected, options, ())):  # the containers first
            compare()
    except _Difference as found:
        raise found.error(msg) from None


def _comparisons(actual: Any, expected: Any, options: _Options, place: tuple) -> Iterator[Callable]:
    """What is left to compare, where the containers agree."""
    if all(isinstance(x, Sequence) and not isinstance(x, str) for x in (actual, expected)):
        if len(actual) != len(expected):
            raise _Difference(
                f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", place
            )
        for at, (x, y) in enumerate(zip(actual, expected)):
            yield from _comparisons(x, y, options, (*place, at))
    elif isinstance(actual, Mapping) and isinstance(expected, Mapping):
        for key in _keys(actual, expected, place):
            yield from _comparisons(actual[key], expected[key], options, (*place, key))
    else:
        yield _leaves(actual, expected, options, place)


def _keys(actual: Mapping, expected: Mapping, place: tuple) -> list:
    ours, theirs = set(actual), set(expected)
    if ours != theirs:
        raise _Difference(
            f"The keys of the mappings do not match:\nMissing keys in the actual mapping: {sorted(theirs - ours)}\n"
            f"Additional keys in the actual mapping: {sorted(ours - theirs)}",
            place,
        )
    keys = list(ours)
    with contextlib.suppress(TypeError):  # keys that have no order
        keys.sort()
    return keys


def _leaves(actual: Any, expected: Any, options: _Options, place: tuple) -> Callable:
    """How to compare two things that are no containers."""
    if actual is None or expected is None:
        return functools.partial(_same, actual, expected, f"None mismatch: {actual} is not {expected}", place)
    if all(isinstance(x, (bool, np.bool_)) for x in (actual, expected)):
        x, y = bool(actual), bool(expected)
        return functools.partial(_same, x, y, f"Booleans mismatch: {x} is not {y}", place)
    numbers = (int, float, complex, np.number)
    if all(isinstance(x, numbers) and not isinstance(x, np.bool_) for x in (actual, expected)):
        x, y = (v.item() if isinstance(v, np.number) else v for v in (actual, expected))
        _check_tolerances(options, place)
        return functools.partial(_numbers, x, y, options, place)
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    if related and (options.allow_subclasses or type(actual) is type(expected)):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            pair = as_tensor(actual), as_tensor(expected)
            _check_tolerances(options, place)
            return functools.partial(_tensors, *pair, options, place)
    raise _Difference(
        f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.",
        place,
        TypeError,
    )


def _check_tolerances(options: _Options, place: tuple) -> None:
    if (options.rtol is None) != (options.atol is None):
        lacking = "rtol" if options.rtol is None else "atol"
        raise _Difference(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {lacking}.",
            place,
            ValueError,
        )


def _same(x: Any, y: Any, told: str, place: tuple) -> None:
    if x is not y:
        raise _Difference(told, place)


def _numbers(x: Any, y: Any, options: _Options, place: tuple) -> None:
    if options.check_dtype and type(x) is not type(y):
        raise _Difference(f"The (d)types do not match: {type(x)} != {type(y)}.", place)
    if x == y or options.equal_nan and x != x and y != y:
        return
    rtol, atol = options.tolerances(*[_TYPE_OF_NUMBER[type(v)] for v in (x, y)])
    gap = abs(x - y)
    if math.isfinite(gap) and gap <= atol + rtol * abs(y):
        return
    raise _Difference(_scalar_message(x, y, rtol, atol), place)


def _scalar_message(x: Any, y: Any, rtol: float, atol: float) -> str:
    gap = abs(x - y)
    ratio = math.inf if y == 0 else gap / abs(y)
    exact = rtol == 0 and atol == 0
    head = f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {y} but got {x}.\n"
    return head + _gap("Absolute", gap, atol, exact) + "\n" + _gap("Relative", ratio, rtol, exact)


def _gap(kind: str, size: float, allowed: float, exact: bool, index: Any = None) -> str:
    where = (
        f"{kind} difference: {size}"
        if index is None
        else f"Greatest {kind} difference: {size} at index {index}"
    )
    return where + ("" if exact else f" (up to {allowed} allowed)")


def _tensors(x: Tensor, y: Tensor, options: _Options, place: tuple) -> None:
    facts = [("shape", True), ("layout", options.check_layout), ("stride()", options.check_stride)]
    facts += [("device", options.check_device), ("dtype", options.check_dtype)]
    for fact, wanted in facts:
        a, b = (t.stride() if fact == "stride()" else getattr(t, fact) for t in (x, y))
        if wanted and a != b:
            raise _Difference(f"The values for attribute '{fact}' do not match: {a} != {b}.", place)
    rtol, atol = options.tolerances(str(x.dtype), str(y.dtype))
    if x.dtype != y.dtype:
        common = promote_types(_signed(x.dtype), _signed(y.dtype))
        x, y = x.to(common), y.to(common)
    matches = isclose(x, y, rtol=rtol, atol=atol, equal_nan=options.equal_nan)
    if matches.all():
        return
    if not x.shape:
        raise _Difference(_scalar_message(x.item(), y.item(), rtol, atol), place)
    raise _Difference(_tensor_message(x, y, matches, rtol, atol), place)


def _signed(kind: dtype) -> dtype:
    """int64 for the unsigned types that have no common type with signed ones."""
    return dtypes.int64 if kind in dtypes.WIDE_UNSIGNED else kind


def _tensor_message(x: Tensor, y: Tensor, matches: Tensor, rtol: float, atol: float) -> str:
    wrong, count = matches.numel() - int(matches.sum()), matches.numel()
    exact = rtol == 0 and atol == 0
    lines = [f"Tensor-likes are not {'equal' if exact else 'close'}!\n"]
    lines.append(f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})")
    x, y, fine = x.detach().flatten(), y.detach().flatten(), matches.flatten()
    if x.dtype.category < FLOATING:
        x, y = x.to(dtypes.int64), y.to(dtypes.int64)
    gaps = (x - y).abs()
    gaps[fine] = 0
    ratios = gaps / y.abs()
    ratios[fine] = 0
    for kind, sizes, allowed in (("absolute", gaps, atol), ("relative", ratios, rtol)):
        size, at = sizes.max(0)
        index = tuple(int(i) for i in np.unravel_index(int(at), matches.shape))
        lines.append(_gap(kind, size.item(), allowed, exact, index))
    return "\n".join(lines)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """An older `assert_close`, with larger tolerances, for which types may differ and NaN is close to NaN."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a future release. Please use "
        "`torch.testing.assert_close()` instead. You can find detailed upgrade instructions in "
        "https://github.com/pytorch/pytorch/issues/61844.",
        FutureWarning,
        stacklevel=2,
    )
    x = actual if isinstance(actual, Tensor) else tensor(actual)
    y = expected if isinstance(expected, Tensor) else tensor(expected, dtype=x.dtype)
    if rtol is None and atol is None:
        found = [_OLD_TOLERANCES.get(str(t.dtype), (0.0, 0.0)) for t in (x, y)]
        rtol, atol = max(r for r, _ in found), max(a for _, a in found)
    assert_close(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)


# ---- making ----


def make_tensor(
    *shape: Any,
    dtype: dtype,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of random values from [low, high): by default [-9, 9), up to 9 for integers, from 0 where there is no sign.

    Args:
        noncontiguous: whether to leave gaps between the elements.
        exclude_zero: whether to put the smallest positive number in the place of 0.

    Raises:
        ValueError: bounds that the type does not have, or that are in the wrong order; arguments that do not go together.

    Example:
        >>> import rushlight as torch
        >>> t = torch.testing.make_tensor(2, 3, dtype=torch.int64, device="cpu", low=0, high=5)
        >>> t.shape, bool(((t >= 0) & (t < 5)).all())
        (torch.Size([2, 3]), True)
    """
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        (shape,) = shape
    sizes = tuple(shape)
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"{noncontiguous=} and {memory_format=}"
        )
    integral = dtype.category < FLOATING
    if requires_grad and integral:
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}"
        )
    gaps = noncontiguous and math.prod(sizes) > 1
    if gaps:
        sizes = (*sizes[:-1], 2 * sizes[-1])
    if integral:
        first, end = _bounds(low, high, dtype, *_integers(dtype))
        made = randint(math.ceil(first), math.ceil(end), sizes, device=device, dtype=dtype)
    else:
        first, end = _bounds(low, high, dtype, finfo(dtype).min, finfo(dtype).max, -9, 9)
        made = empty(sizes, device=device, dtype=dtype)
        _fill(view_as_real(made) if dtype.is_complex else made, first, end)
    if gaps:
        made = made[..., 1::2]
    elif memory_format is not None:
        made = made.clone(memory_format=memory_format)
    if exclude_zero:
        made[made == 0] = 1 if integral else finfo(dtype).tiny
    return made if integral else made.requires_grad_(requires_grad)


def _integers(kind: dtype) -> tuple[int, int, int, int]:
    """The least and the end of an integer type, and of what it is filled with."""
    if kind == dtypes.bool_:
        return 0, 2, 0, 2
    info = iinfo(kind)
    return info.min, info.max + (kind != dtypes.int64), -9, 10  # randint's end is an int64, too


def _bounds(
    low: float | None,
    high: float | None,
    kind: dtype,
    least: float,
    end: float,
    usual: float,
    usual_end: float,
) -> tuple[float, float]:
    low = usual if low is None else low
    high = usual_end if high is None else high
    if low != low or high != high:
        _refuse(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and kind.category >= FLOATING:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is deprecated since 2.1 and "
            "will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=3,
        )
    elif low >= high:
        _refuse(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low >= end:
        _refuse(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {kind} only supports [{least}, {end})"
        )
    return min(max(low, least), end), min(max(high, least), end)


def _refuse(told: str) -> NoReturn:
    raise ValueError(told)


def _fill(t: Tensor, low: float, high: float) -> None:
    """Uniformly; by halves, where the range is more than the type holds."""
    if high - low >= finfo(t.dtype).max:
        t.uniform_(low / 2, high / 2).mul_(2)
    else:
        t.uniform_(low, high)


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.testing")
