"""No call crashes the process: every public function and method, with arguments nobody should pass.

A child process with a memory limit makes the calls and writes down each before it is made, so
that a crash names its call. A call may return or raise an ordinary exception; nothing else.
"""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CALLS_EACH = 20
MEMORY = 6 * 2**30
#: seconds after which a call is interrupted: some numbers ask for more work than there is time,
#: but Python must get a word in
PATIENCE = 1.0
#: seconds after which the child counts as hanging
LIMIT = 600

#: functions that wait for the user, change the process on purpose, or end it
EXCLUDED = {
    "compile",
    "set_default_dtype",
    "set_default_device",
    "set_default_tensor_type",
    "set_printoptions",
}


class WrongIndex:
    def __index__(self) -> int:
        raise ValueError("no index")


class LyingSequence:
    """Says that it has three items, and has none."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: int) -> Any:
        raise IndexError(at)


def nested(depth: int) -> list:
    made: list = []
    for _ in range(depth):
        made = [made]
    return made


def looped() -> list:
    made: list = []
    made.append(made)
    return made


def hostile_values(T: Any) -> list[Any]:
    read_only = np.arange(6.0).reshape(2, 3)
    read_only.flags.writeable = False
    base = T.arange(12.0).reshape(3, 4)
    return [
        *(
            None,
            True,
            False,
            -1,
            0,
            1,
            2,
            3,
            63,
            64,
            65,
            -(2**31),
            2**31,
            2**62,
            2**63,
            -(2**63) - 1,
            2**64,
            10**30,
        ),
        *(
            0.0,
            -0.0,
            1.5,
            -1e308,
            float("nan"),
            float("inf"),
            1j,
            "",
            "a",
            "sum",
            b"x",
            object(),
            Ellipsis,
            NotImplemented,
        ),
        *(
            (),
            [],
            {},
            (0,),
            (-1,),
            (2, 3),
            [1, 2, 3],
            (2**40, 2**40),
            (2**62, 4),
            (-5, 3),
            (1,) * 65,
            (0,) * 200,
            [[1], [1, 2]],
        ),
        *(
            (0, 0),
            (0, 1, 2),
            (1, 0),
            (-1, -2),
            [None],
            ["a"],
            [1.5],
            (2, -1),
            slice(None, None, -1),
            slice(5, 2**70),
        ),
        *(
            nested(50),
            nested(5000),
            looped(),
            LyingSequence(),
            WrongIndex(),
            range(3),
            range(10**12),
            iter([1]),
            lambda x: x,
        ),
        *(T.float32, T.int8, T.bool, T.bfloat16, T.complex64, np.float32, np.dtype("f8"), int, float),
        *(
            base,
            base.t(),
            base[:, 1:],
            base[0],
            base.expand(2, 3, 4),
            T.zeros(0),
            T.zeros(2, 0, 3),
            T.tensor(3),
            T.tensor(-7),
        ),
        *(
            T.tensor([2**62, -(2**62), 7]),
            T.tensor([True, False, True]),
            T.tensor([10**6, -(10**6)]),
            T.tensor([0.5, float("nan")]),
        ),
        *(
            T.ones(3, 3, requires_grad=True),
            T.ones(3, dtype=T.bfloat16),
            T.ones(2, dtype=T.complex64),
            T.ones(4, dtype=T.uint8),
        ),
        *(
            T.eye(3, dtype=T.float64),
            T.zeros(3, 3),
            T.from_numpy(np.ones((2, 2), np.uint16)),
            T.ones((1,) * 30),
        ),
        *(
            np.ones(3),
            np.arange(6)[::-1],
            np.array("x"),
            np.array([object()]),
            read_only,
            np.float16(2),
            np.int8(-1),
        ),
        *(
            [T.ones(2), T.ones(3)],
            (T.ones(2, 2), 3),
            [T.zeros(0), T.ones(2, 2)],
            {"a": T.ones(1)},
            [base, base],
        ),
    ]


NAMES = [
    "dim",
    "keepdim",
    "dtype",
    "out",
    "axis",
    "index",
    "size",
    "alpha",
    "other",
    "value",
    "dims",
    "generator",
    "input",
]


def targets(T: Any) -> Iterator[tuple[str, Callable]]:
    spaces = [("", T), ("linalg.", T.linalg), ("nn.functional.", T.nn.functional), ("autograd.", T.autograd)]
    for prefix, space in spaces:
        for name in sorted(vars(space)):
            value = getattr(space, name)
            if (
                callable(value)
                and not name.startswith("_")
                and name not in EXCLUDED
                and not isinstance(value, type(sys))
            ):
                yield prefix + name, value
    for name in sorted(vars(T.Tensor)):
        value = vars(T.Tensor)[name]
        if callable(value) and name not in ("__getattribute__", "__init_subclass__", "__new__", "__class__"):
            yield "Tensor." + name, value


def arguments(rng: random.Random, T: Any, method: bool) -> tuple[list, dict]:
    """Fresh values each time: calls write to them."""
    values = hostile_values(T)
    args = [rng.choice(values) for _ in range(rng.choice([0, 1, 1, 2, 2, 2, 3, 4]))]
    if method or rng.random() < 0.6:
        tensors = [v for v in values if isinstance(v, T.Tensor)]
        args.insert(0, rng.choice(tensors))
    kwargs = {rng.choice(NAMES): rng.choice(values) for _ in range(rng.choice([0, 0, 0, 1, 2]))}
    return args, kwargs


def _too_long(signum: int, frame: Any) -> None:
    raise TimeoutError("the call was interrupted")


def child(part: int, parts: int, log: str) -> None:
    import rushlight as T

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    warnings.simplefilter("ignore")
    with open(log, "w", buffering=1) as file:
        for number, (name, function) in enumerate(targets(T)):
            if number % parts != part:
                continue
            rng = random.Random(name)
            for call in range(CALLS_EACH):
                args, kwargs = arguments(rng, T, name.startswith("Tensor."))
                file.write(f"{name} call {call} {[type(a).__name__ for a in args]} {sorted(kwargs)}\n")
                signal.setitimer(signal.ITIMER_REAL, PATIENCE)
                try:
                    result = function(*args, **kwargs)
                    if isinstance(result, T.Tensor) and result.numel() < 10**6:
                        repr(result)
                except Exception:
                    pass  # which exception is the business of other tests
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
        file.write("done\n")


@pytest.mark.parametrize("part", range(2))
def test_nothing_crashes(part: int, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    command = [sys.executable, "-X", "faulthandler", __file__, str(part), "2", str(log)]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LIMIT)
    lines = log.read_text().splitlines() if log.exists() else []
    assert run.returncode == 0 and lines[-1] == "done", f"{lines[-1:]}\n{run.stderr[-3000:]}"


if __name__ == "__main__":
    child(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
