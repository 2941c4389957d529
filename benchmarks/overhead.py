"""What one small operation costs: Rushlight beside PyTorch, 3x3 float32, one thread.

    python benchmarks/overhead.py [--rounds 25] [--seconds 0.01]

Each library runs in a process of its own, so neither's threads, allocator or imports can touch the other's figures. Both
processes are held on one CPU (where the system allows it) and take turns there, one sample of one case each, so that
whatever else the machine does meets both alike. A sample is `timeit` over as many calls as fill --seconds. The table gives
the median and the least of the samples, in nanoseconds a call, and the median of the ratios of neighbouring samples. The
garbage collector stays on: what it costs is part of the price.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import timeit

LIBRARIES = ("rushlight", "torch")

STATEMENTS = (
    "a + b",
    "a * 2",
    "a.sum()",
    "a.sum(0)",
    "a.clone()",
    "a.detach()",
    "a[0]",
    "a.view(-1)",
    "torch.mm(a, b)",
)
EXPRESSION = "(a * b + a).sum()"

# code shown, what is said of it, code run, whether a requires gradients
ROWS = [
    *((code, "", code, False) for code in (*STATEMENTS, EXPRESSION)),
    *((code, ", a requires grad", code, True) for code in (*STATEMENTS, EXPRESSION)),
    (EXPRESSION, ", forward and backward", f"{EXPRESSION}.backward(); a.grad = None", True),
]


def main() -> None:
    parser = argparse.ArgumentParser(description="What one small operation costs, beside PyTorch.")
    parser.add_argument("--rounds", type=int, default=25, help="samples of each case")
    parser.add_argument("--seconds", type=float, default=0.01, help="length of one sample")
    parser.add_argument("--worker", choices=LIBRARIES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        answer_questions(options.worker, options.seconds)
    else:
        print_table(measure(options.rounds, options.seconds))


# ---- in a worker: one library ----


def answer_questions(library: str, seconds: float) -> None:
    """For each row number read from stdin, write one sample in ns a call to stdout."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch = importlib.import_module(library)
    if library == "torch":
        torch.set_num_threads(1)
    timers = [timer(torch, code, requires_grad) for _, _, code, requires_grad in ROWS]
    numbers = [calls_that_fill(seconds, each) for each in timers]
    print("ready", flush=True)
    for line in sys.stdin:
        row = json.loads(line)
        print(timers[row].timeit(numbers[row]) / numbers[row] * 1e9, flush=True)


def timer(torch, code: str, requires_grad: bool) -> timeit.Timer:
    a = torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]], requires_grad=requires_grad)
    b = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
    return timeit.Timer(code, setup="import gc; gc.enable()", globals={"torch": torch, "a": a, "b": b})


def calls_that_fill(seconds: float, each: timeit.Timer) -> int:
    """How many calls make one sample, once the first ones have set up what they need."""
    number = 100
    each.timeit(number)
    while (taken := each.timeit(number)) < seconds / 4:
        number *= 2
    return max(1, round(number * seconds / taken))


# ---- in the parent: taking turns ----


def measure(rounds: int, seconds: float) -> list[dict[str, list[float]]]:
    workers = {library: start(library, seconds) for library in LIBRARIES}
    samples: list[dict[str, list[float]]] = [{library: [] for library in LIBRARIES} for _ in ROWS]
    for turn in range(rounds):
        for row in range(len(ROWS)):
            for library in LIBRARIES if turn % 2 == 0 else LIBRARIES[::-1]:
                samples[row][library].append(ask(workers[library], row))
    for worker in workers.values():
        worker.communicate()
    return samples


def start(library: str, seconds: float) -> subprocess.Popen[str]:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    worker = subprocess.Popen(
        [sys.executable, __file__, "--worker", library, "--seconds", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | one_thread,
    )
    assert worker.stdout is not None
    if worker.stdout.readline().strip() != "ready":
        sys.exit(f"{library} did not start (its error is above)")
    return worker


def ask(worker: subprocess.Popen[str], row: int) -> float:
    assert worker.stdin is not None and worker.stdout is not None
    print(row, file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


def print_table(samples: list[dict[str, list[float]]]) -> None:
    print("| 3x3 float32, ns a call: median (least) | Rushlight | PyTorch | Rushlight / PyTorch |")
    print("|---|---:|---:|---:|")
    for (code, said, _, _), taken in zip(ROWS, samples, strict=True):
        cells = [
            f"{statistics.median(taken[library]):.0f} ({min(taken[library]):.0f})" for library in LIBRARIES
        ]
        ratio = statistics.median(ours / theirs for ours, theirs in zip(*taken.values(), strict=True))
        print(f"| `{code}`{said} | {' | '.join(cells)} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
