"""What networks are made of beside PyTorch: convolutions, normalisations, pooling, attention, losses; forward, and with all gradients.

    python benchmarks/networks.py [--rounds 5] [--only NAME] [--threads 1]

Each library runs in a process of its own, and they take turns at one case each. A sample is the mean of as many calls as fill 50 ms, in
time of the processor on one thread, which other programs on the machine change little; with `--threads 2` or more it is the time that
passes. The table gives medians in microseconds.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

LIBRARIES = ("rushlight", "torch")
#: seconds that a sample fills
_FILL = 0.05


class Case(NamedTuple):
    """An operation and the shapes of the operands whose gradients are wanted.

    Attributes:
        name: for people.
        code: of a function of these, with `T` the library and `F` its functions.
        shapes: of operands drawn from a normal distribution.
        whole: the name of another operand, and an expression of it.
    """

    name: str
    code: str
    shapes: tuple[tuple[int, ...], ...]
    whole: tuple[str, str] | None = None


def convolution(
    name: str, image: tuple[int, ...], weight: tuple[int, ...], options: str = "padding=1"
) -> Case:
    return Case(name, f"lambda x, w, b: F.conv2d(x, w, b, {options})", (image, weight, (weight[0],)))


CASES = (
    convolution("3 -> 64 channels, 3 x 3", (32, 3, 32, 32), (64, 3, 3, 3)),
    convolution("64 -> 64 channels, 3 x 3", (32, 64, 32, 32), (64, 64, 3, 3)),
    convolution("128 -> 128 of 28 x 28, 3 x 3", (8, 128, 28, 28), (128, 128, 3, 3)),
    convolution("256 -> 256 of 14 x 14, 3 x 3", (8, 256, 14, 14), (256, 256, 3, 3)),
    convolution("512 -> 512 of 7 x 7, 3 x 3", (8, 512, 7, 7), (512, 512, 3, 3)),
    convolution("64 -> 128 channels, 1 x 1", (32, 64, 32, 32), (128, 64, 1, 1), "padding=0"),
    convolution(
        "128 -> 256 of 28 x 28, 3 x 3, stride 2", (8, 128, 28, 28), (256, 128, 3, 3), "stride=2, padding=1"
    ),
    convolution("3 -> 16, 7 x 7, stride 2", (8, 3, 64, 64), (16, 3, 7, 7), "stride=2, padding=3"),
    convolution("64 channels each, 3 x 3", (32, 64, 32, 32), (64, 1, 3, 3), "padding=1, groups=64"),
    convolution("LeNet 1 -> 6, 5 x 5", (64, 1, 28, 28), (6, 1, 5, 5), "padding=2"),
    convolution("LeNet 6 -> 16, 5 x 5", (64, 6, 14, 14), (16, 6, 5, 5), "padding=0"),
    convolution("a few of 8 x 8, 3 x 3", (8, 4, 8, 8), (8, 4, 3, 3)),
    Case("conv1d 64 -> 64, 5", "lambda x, w: F.conv1d(x, w, padding=2)", ((32, 64, 256), (64, 64, 5))),
    Case(
        "conv_transpose2d 64 -> 32, 4 x 4, stride 2",
        "lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1)",
        ((16, 64, 16, 16), (64, 32, 4, 4)),
    ),
    Case("linear 256 x 512 -> 1024", "F.linear", ((256, 512), (1024, 512), (1024,))),
    Case("linear 32 x 784 -> 256", "F.linear", ((32, 784), (256, 784), (256,))),
    Case("matmul of 16, 128 x 128", "T.matmul", ((16, 128, 128), (16, 128, 128))),
    Case("attention 8 x 8 x 128 x 64", "F.scaled_dot_product_attention", ((8, 8, 128, 64),) * 3),
    Case(
        "causal attention 4 x 4 x 64 x 32",
        "lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)",
        ((4, 4, 64, 32),) * 3,
    ),
    Case(
        "layer_norm 1024 x 512",
        "lambda x, w, b: F.layer_norm(x, (512,), w, b)",
        ((1024, 512), (512,), (512,)),
    ),
    Case(
        "batch_norm 32 x 64 x 32 x 32",
        "lambda x, w, b: F.batch_norm(x, None, None, w, b, True)",
        ((32, 64, 32, 32), (64,), (64,)),
    ),
    Case(
        "group_norm 16 x 64 x 32 x 32",
        "lambda x, w, b: F.group_norm(x, 8, w, b)",
        ((16, 64, 32, 32), (64,), (64,)),
    ),
    Case("max_pool2d 32 x 64 x 32 x 32", "lambda x: F.max_pool2d(x, 2)", ((32, 64, 32, 32),)),
    Case("avg_pool2d 32 x 64 x 32 x 32", "lambda x: F.avg_pool2d(x, 2)", ((32, 64, 32, 32),)),
    Case("relu 32 x 64 x 32 x 32", "F.relu", ((32, 64, 32, 32),)),
    Case("gelu 1024 x 1024", "F.gelu", ((1024, 1024),)),
    Case("softmax 4096 x 256", "lambda x: F.softmax(x, -1)", ((4096, 256),)),
    Case(
        "cross_entropy 1024 x 1000",
        "lambda x: F.cross_entropy(x, t)",
        ((1024, 1000),),
        ("t", "T.randint(0, 1000, (1024,))"),
    ),
    Case(
        "embedding 10000 x 128 of 4096",
        "lambda w: F.embedding(t, w)",
        ((10000, 128),),
        ("t", "T.randint(0, 10000, (4096,))"),
    ),
    Case("dropout 1024 x 1024", "lambda x: F.dropout(x, 0.5)", ((1024, 1024),)),
    Case(
        "LSTM 16 x 32 x 128",
        "lambda x: m(x)[0]",
        ((16, 32, 128),),
        ("m", "T.nn.LSTM(128, 128, batch_first=True)"),
    ),
    Case(
        "interpolate 16 x 16 x 32 x 32, bilinear",
        "lambda x: F.interpolate(x, scale_factor=2, mode='bilinear')",
        ((16, 16, 32, 32),),
    ),
    Case("cdist 500 x 64", "T.cdist", ((500, 64), (500, 64))),
    Case("rows by number, 4096 x 64", "lambda x: x[t]", ((4096, 64),), ("t", "T.randint(0, 4096, (4096,))")),
    Case("topk 10 of 1000 x 1000", "lambda x: T.topk(x, 10)[0]", ((1000, 1000),)),
    Case("sort 1000 x 100", "lambda x: T.sort(x, 1)[0]", ((1000, 100),)),
)


# ---- in a worker ----


def work(library: str, threads: int) -> None:
    """For each case's number read from stdin, write the microseconds of it forward and with gradients."""
    T = importlib.import_module(library)
    T.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    prepared: dict[int, tuple[Callable, Callable]] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        number = int(line)
        if number not in prepared:
            prepared = {number: statements(T, CASES[number])}
        print(*[seconds_a_call(call, clock) * 1e6 for call in prepared[number]], flush=True)


def statements(T: Any, case: Case) -> tuple[Callable, Callable]:
    T.manual_seed(0)
    names = {"T": T, "F": T.nn.functional}
    if case.whole is not None:
        names[case.whole[0]] = eval(case.whole[1], names)
    function = eval(case.code, names)
    operands = [T.randn(*shape) for shape in case.shapes]
    wanted = [x.clone().requires_grad_() for x in operands]
    g = T.randn_like(function(*operands))

    def forward() -> None:
        with T.no_grad():
            function(*operands).data_ptr()

    def backward() -> None:
        for found in T.autograd.grad(function(*wanted), wanted, g):
            found.data_ptr()

    return forward, backward


def seconds_a_call(call: Callable[[], None], clock: Callable[[], float]) -> float:
    call()
    began, times = clock(), 0
    while (passed := clock() - began) < _FILL or times < 2:
        call()
        times += 1
    return passed / times


# ---- in the parent ----


def start(library: str, threads: int) -> subprocess.Popen[str]:
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    worker = subprocess.Popen(
        [sys.executable, __file__, "--worker", library, "--threads", str(threads)],
        env={**os.environ, **limits},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    return worker


def ask(worker: subprocess.Popen[str], number: int) -> Iterator[float]:
    assert worker.stdin is not None and worker.stdout is not None
    print(number, file=worker.stdin, flush=True)
    return map(float, worker.stdout.readline().split())


def main() -> None:
    parser = argparse.ArgumentParser(description="What networks are made of, beside PyTorch.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.threads)
        return
    workers = {library: start(library, options.threads) for library in LIBRARIES}
    print(f"medians of {options.rounds} in microseconds, on {options.threads} thread(s)\n")
    print(
        "| | forward | torch | ratio | with gradients | torch | ratio |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    slower = []
    for number, case in enumerate(CASES):
        if options.only not in case.name:
            continue
        taken: dict[str, list[tuple[float, ...]]] = {library: [] for library in LIBRARIES}
        for _ in range(options.rounds):
            for library, worker in workers.items():
                taken[library].append(tuple(ask(worker, number)))
        forward, backward = (
            [statistics.median(sample[n] for sample in taken[library]) for library in LIBRARIES]
            for n in (0, 1)
        )
        cells = [f"{ours:.0f} | {theirs:.0f} | {ours / theirs:.2f}" for ours, theirs in (forward, backward)]
        print(f"| {case.name} | {' | '.join(cells)} |", flush=True)
        if max(ours / theirs for ours, theirs in (forward, backward)) > 1.05:
            slower.append(case.name)
    print(
        f"\nPyTorch is faster in {len(slower)} of them: {', '.join(slower)}"
        if slower
        else "\nno case is slower"
    )


if __name__ == "__main__":
    main()
