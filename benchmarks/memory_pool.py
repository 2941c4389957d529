"""What recycled memory saves: large operations with the pool on and off, beside PyTorch.

    python benchmarks/memory_pool.py [--side 4096] [--rounds 7]

Each contender runs in a process of its own, with as many threads as it takes by itself, and they take turns at one case
each, so that whatever else the machine does meets all alike. The table gives the median of the rounds in milliseconds.
"Bytes" are what the operation must move, its operands read once and its result written once; "floor" is their number over
the bandwidth of the same run: the best rate at which this machine copied a result of that size over memory that was
written before, on one thread (a copy reads and writes). PyTorch and Rushlight use their own threads.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import time

CONTENDERS = {
    "pool on": ("rushlight", {}),
    "pool off": ("rushlight", {"RUSHLIGHT_POOL": "0"}),
    "PyTorch": ("torch", {}),
}

# code, arrays of the result's size that are read and written
ROWS = (
    ("A * B", 3),
    ("A + B", 3),
    ("A + 1", 2),
    ("A.exp()", 2),
    ("A.sigmoid()", 2),
    ("A.cumsum(0)", 2),
    ("A.cumsum(1)", 2),
    ("A.clone()", 2),
    ("A.double()", 3),
    ("A < B", 2.25),
    ("torch.ones(n, n)", 1),
    ("torch.cat((A, B))", 4),
    ("A ** 2 + 3 * A", 5),
    ("A @ B", 3),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Large operations with the memory pool on and off, beside PyTorch."
    )
    parser.add_argument("--side", type=int, default=4096, help="rows and columns of the float32 matrices")
    parser.add_argument("--rounds", type=int, default=7, help="samples of each case")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        answer_questions(options.worker, options.side)
    else:
        print_table(*measure(options.side, options.rounds), options.side)


# ---- in a worker ----


def answer_questions(library: str, side: int) -> None:
    """For each row number read from stdin, write the milliseconds that one evaluation takes."""
    torch = importlib.import_module(library)
    torch.manual_seed(0)
    names = {"torch": torch, "n": side, "A": torch.rand(side, side), "B": torch.rand(side, side)}
    codes = [compile(code, code, "eval") for code, _ in ROWS]
    print("ready", flush=True)
    for line in sys.stdin:
        code = codes[int(line)]
        eval(
            code, names
        ).data_ptr()  # (which looks, so that it is computed); the first of a turn fills caches and the pool
        start = time.perf_counter()
        eval(code, names).data_ptr()
        print((time.perf_counter() - start) * 1e3, flush=True)


# ---- in the parent: taking turns ----


def measure(side: int, rounds: int) -> tuple[list[dict[str, list[float]]], float]:
    import numpy as np

    workers = {name: start(*how, side) for name, how in CONTENDERS.items()}
    samples: list[dict[str, list[float]]] = [{name: [] for name in CONTENDERS} for _ in ROWS]
    source, target = np.ones(side * side, np.float32), np.ones(side * side, np.float32)
    bandwidth = 0.0
    for turn in range(rounds):
        for row in range(len(ROWS)):
            for name in list(CONTENDERS)[:: 1 if turn % 2 == 0 else -1]:
                samples[row][name].append(ask(workers[name], row))
            began = time.perf_counter()
            np.copyto(target, source)
            bandwidth = max(bandwidth, 2 * source.nbytes / (time.perf_counter() - began))
    for worker in workers.values():
        worker.communicate()
    return samples, bandwidth


def start(library: str, environment: dict[str, str], side: int) -> subprocess.Popen[str]:
    worker = subprocess.Popen(
        [sys.executable, __file__, "--worker", library, "--side", str(side)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert worker.stdout is not None
    if worker.stdout.readline().strip() != "ready":
        sys.exit(f"{library} did not start (its error is above)")
    return worker


def ask(worker: subprocess.Popen[str], row: int) -> float:
    assert worker.stdin is not None and worker.stdout is not None
    print(row, file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


def print_table(samples: list[dict[str, list[float]]], bandwidth: float, side: int) -> None:
    print(
        f"float32, {side} x {side}; streaming {bandwidth / 1e9:.1f} GB/s; times in ms, the median of {len(samples[0]['PyTorch'])}\n"
    )
    print("| | bytes (MB) | floor | pool on | pool off | PyTorch | off / on | PyTorch / on |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for (code, arrays), taken in zip(ROWS, samples, strict=True):
        moved = arrays * side * side * 4
        on, off, theirs = (statistics.median(taken[name]) for name in CONTENDERS)
        floor = f"{moved / bandwidth * 1e3:.1f}" if code != "A @ B" else "BLAS"
        print(
            f"| `{code}` | {moved / 1e6:.0f} | {floor} | {on:.1f} | {off:.1f} | {theirs:.1f} | {off / on:.2f} | {theirs / on:.2f} |"
        )


if __name__ == "__main__":
    main()
