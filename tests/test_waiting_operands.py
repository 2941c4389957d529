"""Every function and method on operands that are still to be computed gives what it gives on the same numbers in memory.

A child process computes the smallest tensors by loops of our own, so that they wait. PyTorch judges the numbers elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

#: what asks for the memory itself or its address, waits for the user, changes the process, or is not the same twice
EXCLUDED = {
    "compile", "set_default_dtype", "set_default_device", "set_default_tensor_type", "set_printoptions", "seed", "initial_seed",
    "data_ptr", "const_data_ptr", "storage", "untyped_storage", "typed_storage", "_typed_storage", "share_memory_", "is_shared", "eager",
    "empty_like", "empty", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided", "resize_", "resize_as_", "resize",
    "resize_as", "__sizeof__", "__hash__", "__dlpack__", "to_dlpack", "__reduce__", "__reduce_ex__", "__setstate__", "explain",
    "save", "load", "set_", "set", "__init_subclass__", "__subclasshook__", "__class__", "__dir__", "__delattr__", "__setattr__",
    "gather_tree", "rushlight", "pin_memory", "requires_grad_", "retain_grad", "backward", "register_hook", "apply_", "map_",
    "map2_",
}  # fmt: skip


def arguments(x: Any, y: Any, places: Any) -> Iterator[tuple]:
    """What follows the first tensor."""
    yield from [
        (),
        (0,),
        (1,),
        (-1,),
        (2,),
        (0.5,),
        (y,),
        (0, 1),
        (1, True),
        (y, y),
        (0, places),
        (0, places, y),
        (1, 0, 2),
        (4, 3),
    ]


def outcome(call: Any, make: Any, pattern: int, seed: Any) -> Any:
    """What a call comes to: bits and layouts, or the error."""
    seed(0)
    x, y, places = make()
    args = list(arguments(x, y, places))[pattern]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            made = call(x, *args)
        return facts(made), facts(x)
    except Exception as error:
        return type(error).__name__, str(error)


def facts(value: Any) -> Any:
    import rushlight as T

    if isinstance(value, T.Tensor):
        a = np.ascontiguousarray(
            value.detach().resolve_conj().numpy() if not value.is_complex() else T.view_as_real(value).numpy()
        )
        return str(value.dtype), tuple(value.shape), value.stride(), a.tobytes()
    if isinstance(value, (tuple, list)):
        return [facts(v) for v in value]
    return repr(value) if isinstance(value, (int, float, complex, bool, str)) else type(value).__name__


def main() -> None:
    import rushlight as T
    from rushlight.graph.expr import Pending

    rng = np.random.default_rng(0)
    numbers = {
        "float32": rng.normal(size=(4, 3)).astype("f4"),
        "float64": rng.normal(size=(3, 3)),
        "int64": rng.integers(-3, 4, (4, 3)),
        "bool": rng.integers(0, 2, (4, 3)) > 0,
        "bfloat16": rng.normal(size=(4, 3)).astype("f4"),
        # (what is small is computed in more than one way)
        "float32 40 x 60": rng.normal(size=(40, 60)).astype("f4"),
    }

    def makers(kind: str) -> tuple[Any, Any]:
        a = numbers[kind]
        b = a[::-1].copy()

        def here() -> tuple:
            dtype = getattr(T, kind.partition(" ")[0])
            return T.tensor(a).to(dtype), T.tensor(b).to(dtype), T.tensor([[0, 2, 1]])

        def waiting() -> tuple:
            made = tuple([t.logical_or(t) if t.dtype is T.bool else t * 1 for t in here()])
            assert all(type(t._a) is Pending and t._a.value is None for t in made)
            return made

        return here, waiting

    calls = {
        f"Tensor.{name}": getattr(T.Tensor, name, None) for name in dir(T.Tensor) if name not in EXCLUDED
    }
    for space, where in (
        ("", T),
        ("nn.functional.", T.nn.functional),
        ("linalg.", T.linalg),
        ("special.", T.special),
        ("fft.", T.fft),
    ):
        for name in where.__all__ if hasattr(where, "__all__") else dir(where):
            if name not in EXCLUDED and not name.startswith("_"):
                calls[space + name] = getattr(where, name, None)
    patterns = len(list(arguments(None, None, None)))
    made = different = 0
    for name, call in calls.items():
        if not callable(call) or isinstance(call, type):
            continue
        for kind in numbers:
            here, waiting = makers(kind)
            for pattern in range(patterns):
                first = outcome(call, here, pattern, T.manual_seed)
                second = outcome(call, waiting, pattern, T.manual_seed)
                made += type(first[0]) is not str
                if first != second:
                    different += 1
                    print(
                        f"{name}, {kind}, arguments {pattern}:\n  {str(first)[:300]}\n  {str(second)[:300]}"
                    )
    print(f"{made} calls returned, {different} differ")


@pytest.mark.skipif(os.environ.get("RUSHLIGHT_TIER") == "numpy", reason="loops of our own are switched off")
def test_nothing_depends_on_whether_operands_wait():
    from rushlight.native import jit

    if not jit.available():
        pytest.skip("without llvmlite nothing waits")
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "RUSHLIGHT_TIER": "jit", "RUSHLIGHT_FUSE": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *found, total = done.stdout.splitlines()
    assert not found, "\n".join(found)
    assert int(total.split()[0]) > 5000, "the calls should mostly be good ones"


if __name__ == "__main__":
    main()
