"""Anomaly detection: which forward call made the node whose backward failed or gave NaN."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from rushlight.dtypes import FLOATING
from rushlight.tape.recording import ANOMALY


class set_detect_anomaly:
    """Look for anomalies from here on, or not: a statement, or a context manager.

    Args:
        mode: whether nodes note where they are made, so that a failing backward can name that line.
        check_nan: whether a NaN in a gradient is an error.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = list(ANOMALY)
        set_anomaly_enabled(mode, check_nan)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: Any) -> None:
        ANOMALY[:] = self.before


class detect_anomaly:
    """In the block, failing or NaN-giving derivatives name the line of the forward call that made them.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor(0.0, requires_grad=True)
        >>> with torch.autograd.detect_anomaly():
        ...     (torch.sqrt(x) * 0).backward()
        Traceback (most recent call last):
            ...
        RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        self.before = list(ANOMALY)
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        set_anomaly_enabled(True, self.check_nan)

    def __exit__(self, *error: Any) -> None:
        ANOMALY[:] = self.before


def is_anomaly_enabled() -> bool:
    """Whether anomalies are being looked for."""
    return bool(ANOMALY)


def is_anomaly_check_nan_enabled() -> bool:
    """Whether a NaN in a gradient is an error now."""
    return not ANOMALY or ANOMALY[-1]


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Look for anomalies from here on, or not."""
    ANOMALY[:] = [bool(check_nan)] if mode else []


def note_origin(node: Any) -> None:
    """Warn of where a node was made whose backward failed, if that was noted."""
    if node.extra is None or node.extra.traceback is None:
        return
    trace = "".join(node.extra.traceback)
    warnings.warn(
        f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{trace}",
        stacklevel=6,
    )


def check_nan(node: Any, grads: Sequence[Any]) -> None:
    """Raise if one of the gradients that a node gave has a NaN."""
    for number, grad in enumerate(grads):
        if grad is not None and grad._dtype.category >= FLOATING and bool(grad.isnan().any()):
            note_origin(node)
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {number}th output.")
