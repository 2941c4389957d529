"""Tensors on files, beside PyTorch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from both import same


@pytest.fixture
def numbers(tmp_path: Path) -> str:
    path = tmp_path / "numbers"
    np.arange(4, dtype=np.float32).tofile(path)
    return str(path)


@pytest.mark.parametrize("shared", [None, False, True])
def test_writing(numbers: str, shared: bool | None) -> None:
    def program(T: Any) -> Any:
        np.arange(4, dtype=np.float32).tofile(numbers)
        t = T.from_file(numbers, shared, 3)
        t[0] = 9
        return t, np.fromfile(numbers, np.float32)

    same(program)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 4},
        {"size": 2, "dtype": "float64"},
        {"size": 3, "dtype": "int16"},
        {"size": 2, "requires_grad": True},
        {"size": 100},
        {"size": -1},
        {"size": None},
    ],
    ids=str,
)
def test_reading(numbers: str, options: dict) -> None:
    def program(T: Any) -> Any:
        kind = {"dtype": getattr(T, options["dtype"])} if "dtype" in options else {}
        return T.from_file(numbers, **(options | kind))

    same(program)


def test_files_that_are_missing_or_short(numbers: str, tmp_path: Path) -> None:
    same(lambda T: T.from_file(str(tmp_path / "missing"), size=3))

    def program(T: Any) -> Any:
        new = tmp_path / T.__name__
        made = T.from_file(str(new), shared=True, size=3)
        made[1] = 2
        np.arange(4, dtype=np.float32).tofile(numbers)
        longer = T.from_file(numbers, True, 6)
        return made, np.fromfile(new, np.float32), longer, Path(numbers).stat().st_size

    same(program)
