"""PyTorch's global switches about precision and reproducibility.

They hold what they are set to. Nothing here depends on them: products of float32 are always computed in float32, and the same
inputs always give the same bits.
"""

from __future__ import annotations

import warnings
from typing import Any

_PRECISIONS = ("highest", "high", "medium")
_MODES = ("default", "warn", "error")


class _State:
    precision = "highest"
    mode = 0
    warns = False
    warn_always = False


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 must be; here they are always of the "highest" precision.

    Example:
        >>> import rushlight as torch
        >>> torch.set_float32_matmul_precision("high")
        >>> torch.get_float32_matmul_precision()
        'high'
        >>> torch.set_float32_matmul_precision("highest")
    """
    if not isinstance(precision, str):
        raise TypeError(f"set_float32_matmul_precision expects a str, but got {type(precision).__name__}")
    if precision not in _PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the currentsetFloat32MatmulPrecision call has no "
            "effect.",
            stacklevel=2,
        )
        return
    _State.precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was last given."""
    return _State.precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for the same bits every time, which there are anyway."""
    if not isinstance(mode, bool):
        raise TypeError(
            "_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not "
            f"{type(mode).__name__}"
        )
    _State.mode = (1 if warn_only else 2) if mode else 0
    _State.warns = bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` asked for them."""
    return _State.mode > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it asked for warnings only."""
    return _State.warns


def set_deterministic_debug_mode(debug_mode: Any) -> None:
    """The same as a number or word: 0 "default", 1 "warn", 2 "error"."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _MODES:
            raise RuntimeError(
                f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}"
            )
        debug_mode = _MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    _State.mode = debug_mode
    _State.warns = debug_mode == 1


def get_deterministic_debug_mode() -> int:
    """The mode as a number."""
    return _State.mode


def set_warn_always(b: bool) -> None:
    """Whether warnings that PyTorch gives once are given every time; here Python's filters decide."""
    _State.warn_always = bool(b)


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was last given."""
    return _State.warn_always


def set_flush_denormal(mode: bool) -> bool:
    """Ask for tiny numbers to become zero, which they never do here: the answer is False, for "not supported"."""
    return False
