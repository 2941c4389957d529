"""Text of a tensor, character for character what PyTorch prints.

In order: the options, one number as text, rows and brackets, what follows the values, and the
functions that the tensor classes call. Only the elements that appear in the text are ever read,
so printing costs the same for a tensor of a thousand elements and of a billion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from rushlight.deep import Deep, nested
from rushlight.dtypes import get_default_dtype
from rushlight.runtime.casting import from_pairs


class PrintableDtype(Protocol):
    """What printing asks of a dtype; its `str` is the text after `dtype=`."""

    name: str


class Printable(Protocol):
    """What printing asks of a tensor."""

    @property
    def _a(self) -> np.ndarray[Any, Any]: ...
    @property
    def dtype(self) -> PrintableDtype: ...
    @property
    def requires_grad(self) -> bool: ...
    @property
    def grad_fn(self) -> Any: ...


# ---- options ----


class _Options(NamedTuple):
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2),
    "full": _Options(threshold=math.inf),
}

_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; an option left out keeps its value, `sci_mode` becomes None.

    Args:
        precision: digits after the decimal point (4 at first).
        threshold: the most elements printed in full; larger tensors are summarised (1000).
        edgeitems: elements shown at each end of a summarised dimension (3).
        linewidth: characters after which a row, or what follows the values, is broken (80).
        profile: "default", "short" or "full", applied before the other options; as in PyTorch,
            any other name changes nothing.
        sci_mode: True or False switches scientific notation on or off; None lets the values decide.

    >>> set_printoptions(precision=2, threshold=10)
    >>> get_printoptions()
    {'precision': 2, 'threshold': 10, 'edgeitems': 3, 'linewidth': 80, 'sci_mode': None}
    >>> set_printoptions(profile="default")
    """
    global _options
    asked = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    start = _options if profile is None else _PROFILES.get(profile, _options)
    given = {name: value for name, value in asked.items() if value is not None}
    _options = start._replace(**given, sci_mode=sci_mode)  # type: ignore[arg-type]


def get_printoptions() -> dict[str, Any]:
    """Return the options in force, as keyword arguments for `set_printoptions`.

    >>> get_printoptions()["edgeitems"]
    3
    """
    return _options._asdict()


@contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """Use other print options within a `with` block; takes what `set_printoptions` takes.

    >>> with printoptions(precision=2):
    ...     get_printoptions()["precision"]
    2
    """
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


# ---- one number ----


class _Cell(NamedTuple):
    """How every element of one tensor is written, and the width that is reserved for it."""

    width: int
    write: Callable[[Any], str]


def _cell(values: np.ndarray[Any, Any], options: _Options) -> _Cell:
    """Choose the notation from `values`, the elements that will be shown."""
    if values.dtype.kind == "c":
        return _complex_cell(_float_cell(values.real, options), _float_cell(values.imag, options))
    if values.dtype.kind == "f":
        return _float_cell(values, options)
    width = max(len(str(end.item())) for end in (values.min(), values.max()))
    return _Cell(width, lambda value: str(value).rjust(width))


def _complex_cell(real: _Cell, imag: _Cell) -> _Cell:
    def write(value: complex) -> str:
        text = imag.write(value.imag).lstrip() + "j"
        return real.write(value.real) + ("" if text.startswith("-") else "+") + text

    return _Cell(real.width + imag.width + 1, write)


def _float_cell(values: np.ndarray[Any, Any], options: _Options) -> _Cell:
    values = values[np.isfinite(values) & (values != 0)].astype(np.float64, copy=False)
    if values.size == 0:
        return _Cell(1, _write_whole)
    number = _notation(values, options)
    width = max(len(number(value)) for value in _widest(values))
    return _Cell(width, lambda value: number(value).rjust(width))


def _notation(values: np.ndarray[Any, Any], options: _Options) -> Callable[[float], str]:
    scientific = options.sci_mode
    if scientific is None:
        scientific = _spread_is_wide(np.abs(values))
    if scientific:
        return f"{{:.{options.precision}e}}".format
    if np.array_equal(values, np.ceil(values)):
        return _write_whole
    return f"{{:.{options.precision}f}}".format


def _spread_is_wide(magnitudes: np.ndarray[Any, Any]) -> bool:
    low, high = float(magnitudes.min()), float(magnitudes.max())
    return high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4


def _write_whole(value: float) -> str:
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"


def _widest(values: np.ndarray[Any, Any]) -> Iterator[float]:
    # Between numbers of one sign, the length in any notation is largest at an end: it grows with
    # the digits before the point, or with the digits of the exponent, which may be negative.
    for side in (values[values > 0], values[values < 0]):
        if side.size:
            yield float(side.min())
            yield float(side.max())


# ---- rows and brackets ----


def contents_of(a: np.ndarray[Any, Any], indent: int, sizes: tuple[int, ...] | None = None) -> str:
    """The values of `a`, where a line begins after `indent` characters; `sizes` are all those of a tensor of more dimensions than an array can have."""
    options = _options
    if a.size == 0:
        return "[]"
    sizes = sizes or a.shape
    elided = (False,) * len(sizes)
    if a.size > options.threshold:
        elided = tuple(size > 2 * options.edgeitems for size in sizes)
        if a.ndim and not options.edgeitems:
            return "[...]"
    kept = elided if len(elided) == a.ndim else tuple(cut for cut, size in zip(elided, sizes) if size != 1)
    values = _widened(_shown(a, kept, options.edgeitems))
    cell = _cell(values, options)
    if not sizes:
        return cell.write(values.item())
    shown = values.tolist() if len(sizes) == a.ndim else nested(values.tolist(), _cut(sizes, elided, options))
    return _block(shown, elided, indent, cell, options)


def _cut(sizes: tuple[int, ...], elided: tuple[bool, ...], options: _Options) -> tuple[int, ...]:
    return tuple(2 * options.edgeitems if cut else size for size, cut in zip(sizes, elided))


def _shown(a: np.ndarray[Any, Any], elided: tuple[bool, ...], edge: int) -> np.ndarray[Any, Any]:
    if not any(elided):
        return a
    kept = [
        (*range(size)[:edge], *range(size)[-edge:]) if cut else range(size)
        for size, cut in zip(a.shape, elided, strict=True)
    ]
    return a[np.ix_(*kept)]


def _widened(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # Every real floating dtype, bfloat16 and the 8-bit ones included, is exact in float64.
    if a.dtype.kind in "biuc":
        return a
    if a.dtype.names:
        return from_pairs(a)
    with np.errstate(invalid="ignore"):  # a signalling nan is no news here
        return a.astype(np.float64)


def _block(values: list[Any], elided: tuple[bool, ...], indent: int, cell: _Cell, options: _Options) -> str:
    """Write nested lists; `elided` says of each dimension whether its middle was left out."""
    rank = len(elided)
    if rank == 1:
        return _row(values, elided[0], indent, cell, options)
    parts = [_block(part, elided[1:], indent + 1, cell, options) for part in values]
    if elided[0]:
        parts.insert(len(parts) // 2, "...")
    return "[" + ("," + "\n" * (rank - 1) + " " * (indent + 1)).join(parts) + "]"


def _row(values: list[Any], elided: bool, indent: int, cell: _Cell, options: _Options) -> str:
    texts = [cell.write(value) for value in values]
    if elided:
        texts.insert(len(texts) // 2, " ...")
    per_line = max(1, math.floor((options.linewidth - indent) / (cell.width + len(", "))))
    lines = [", ".join(texts[start : start + per_line]) for start in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


# ---- what follows the values ----


def _suffixes(t: Any) -> Iterator[str]:
    deep = isinstance(t, Deep)
    a, name = t.flat._a if deep else t._a, t.dtype.name
    if a.size == 0:
        # No element tells the shape or, were it integer, the dtype.
        size_is_plain, dtype_shows = a.ndim == 1 and not deep, name == get_default_dtype().name
    else:
        size_is_plain, dtype_shows = bool(_options.edgeitems), dtype_is_plain(name)
    if not size_is_plain:
        yield f"size={t.sizes if deep else tuple(a.shape)}"
    if not dtype_shows:
        yield f"dtype={t.dtype}"
    yield from _gradient_suffix(t)


def dtype_is_plain(name: str) -> bool:
    """Whether elements of this type show it themselves."""
    default = get_default_dtype().name
    return name in (default, "complex128" if default == "float64" else "complex64", "int64", "bool")


def _gradient_suffix(t: Printable) -> Iterator[str]:
    try:
        node = t.grad_fn
    except RuntimeError:  # a view, made and then written without gradients, has no history to show
        yield "grad_fn=<Invalid>"
        return
    if node is not None:
        yield f"grad_fn=<{node.name().rpartition('::')[2]}>"
    elif t.requires_grad:
        yield "requires_grad=True"


def _append(text: str, suffixes: Iterator[str], indent: int) -> str:
    """Put each suffix on the last line where it fits, on a new line where it does not."""
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text + ")"


# ---- what the tensor classes call ----


def format_tensor(t: Any, *, tensor_contents: str | None = None) -> str:
    """Return `repr(t)`; `tensor_contents` stands in for the text of the values.

    A subclass is printed under its own name, and a parameter of a class of its own says so.
    """
    plain = _is_own(type(t), "Tensor") or _is_own(type(t), "Parameter")
    prefix = "tensor(" if plain else f"{type(t).__name__}("
    contents = tensor_contents
    if contents is None:
        deep = isinstance(t, Deep)
        contents = contents_of(t.flat._a, len(prefix), t.sizes) if deep else contents_of(t._a, len(prefix))
    text = _append(prefix + contents, _suffixes(t), len(prefix))
    return text if plain or not _is_parameter(t) else f"Parameter({text})"


def format_parameter(t: Printable) -> str:
    """Return the `repr` of an `nn.Parameter`."""
    return "Parameter containing:\n" + format_tensor(t)


def format_scalar(t: Printable, spec: str) -> str:
    """Return `format(t, spec)`: a 0-d tensor is formatted as its number, any other as an object.

    Raises TypeError, as `object` does, for a spec given to a tensor that has dimensions.
    """
    if not isinstance(t, Deep) and t._a.ndim == 0 and _is_own(type(t), "Tensor"):
        return format(_widened(t._a).item(), spec)
    return object.__format__(t, spec)


def _is_own(cls: type, name: str) -> bool:
    # By name, because the tensor classes import this module.
    return cls.__name__ == name and cls.__module__.partition(".")[0] in ("rushlight", "torch")


def _is_parameter(t: Printable) -> bool:
    return getattr(t, "_is_param", False) or any(_is_own(cls, "Parameter") for cls in type(t).__mro__)
