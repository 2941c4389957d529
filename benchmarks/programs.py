"""Whole programs: each of examples/ from start to end, and one training step of those that learn, beside PyTorch.

    python benchmarks/programs.py [--rounds 5] [--step-rounds 15] [--seconds 0.1] [--no-compile] [PROGRAM ...]

End to end is a process of its own, interpreter and imports included. A training step is the program's own `train_step` on
one batch, in a worker process that has made a few steps before. Times are of the processor, in user and system mode: on one
thread and an idle machine, the time by the clock; on a busy one, without what others took. PyTorch is measured eagerly and with the
model under `torch.compile` (whose caches are warm: what compiling costs the first time is not counted). All take turns on
one CPU, with one thread, so that whatever else the machine does meets all alike. The tables give medians, and the medians
of the ratios of neighbouring samples; the last lines list every program that PyTorch finishes sooner.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LIBRARIES = ("rushlight", "torch", "torch.compile")
#: programs with a `train_step`
LEARNING = (
    "linear_regression",
    "linear_regression_concise",
    "softmax_regression",
    "mlp",
    "lenet",
    "char_rnn",
    "tiny_gpt",
)
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description="Whole programs beside PyTorch.")
    parser.add_argument(
        "programs", nargs="*", metavar="PROGRAM", help="names in examples/; all if none is given"
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs of each program")
    parser.add_argument("--step-rounds", type=int, default=15, help="samples of each training step")
    parser.add_argument("--seconds", type=float, default=0.1, help="length of one sample of training steps")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--worker", choices=LIBRARIES, help=argparse.SUPPRESS)
    parser.add_argument("--compiled", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    one_cpu()
    if options.worker:
        time_steps(options.worker, options.programs[0], options.seconds)
    elif options.compiled:
        run_compiled(options.programs[0])
    else:
        compare(options)


def one_cpu() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


# ---- in a process with one library ----


def run_compiled(name: str) -> None:
    """The program with its model under `torch.compile`."""
    example = load(name)
    for part in ("make_net", "make_modern_net"):
        if hasattr(example, part):
            setattr(example, part, compiled(getattr(example, part)))
    example.main()


def load(name: str):
    sys.path.insert(0, str(EXAMPLES))
    return importlib.import_module(name)


def compiled(make: Callable) -> Callable:
    return lambda *args: compile_in_place(make(*args))


def compile_in_place(net):
    """The same model, whose calls go through `torch.compile`."""
    import torch

    if isinstance(net, torch.nn.Module):
        net.compile()
    else:
        type(net).__call__ = torch.compile(type(net).__call__)
    return net


def time_steps(library: str, name: str, seconds: float) -> None:
    """For each line read from stdin, write what one training step took in one sample, in seconds."""
    if library == "rushlight":
        from rushlight.interop import aliasing

        aliasing.install()
    step = training_step(load(name), library == "torch.compile")
    number = calls_that_fill(seconds, step)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        for _ in range(number):
            step()
        print((time.process_time() - start) / number, flush=True)


def training_step(example, compile: bool) -> Callable[[], object]:
    """One step of the program on one batch, with everything that it needs made before."""
    import torch

    torch.manual_seed(0)
    if not hasattr(example, "make_net"):
        params = example.make_params()
        X, y = example.synthetic_data(torch.tensor([2, -3.4]), 4.2, 10)
        if compile:
            example.linreg = torch.compile(example.linreg)
        return lambda: example.train_step(params, X, y)
    net = example.make_net()
    optimizer = example.make_optimizer(net)
    X, y = (t[:BATCH] for t in example.load_data()[:2]) if hasattr(example, "load_data") else example.batch()
    called = compile_in_place(net) if compile else net
    return lambda: example.train_step(called, optimizer, X, y)


def calls_that_fill(seconds: float, step: Callable[[], object]) -> int:
    """How many steps make one sample, once the first ones have set up what they need."""
    for _ in range(10):
        step()
    start = time.process_time()
    for _ in range(10):
        step()
    return max(1, round(10 * seconds / (time.process_time() - start)))


# ---- in the parent: taking turns ----


def compare(options: argparse.Namespace) -> None:
    libraries = LIBRARIES[: 2 if options.no_compile else 3]
    names = options.programs or sorted(path.stem for path in EXAMPLES.glob("*.py"))
    steps = {
        name: step_in_turns(name, libraries, options.step_rounds, options.seconds)
        for name in names
        if name in LEARNING
    }
    print_table("training step, ms", steps, libraries, 1e3, 3)
    print(flush=True)
    whole = {name: run_in_turns(name, libraries, options.rounds) for name in names}
    print_table("whole program, s", whole, libraries, 1, 2)
    print_misses({"end to end": whole, "a training step": steps})


def run_in_turns(name: str, libraries: tuple[str, ...], rounds: int) -> dict[str, list[float]]:
    commands = {
        "rushlight": ["-m", "rushlight", "run", str(EXAMPLES / f"{name}.py")],
        "torch": [str(EXAMPLES / f"{name}.py")],
        "torch.compile": [__file__, "--compiled", name],
    }
    taking_part = [each for each in libraries if each != "torch.compile" or name in LEARNING[1:]]
    for each in taking_part:  # read the files into the page cache, and compile
        processor_time(commands[each])
    taken: dict[str, list[float]] = {each: [] for each in taking_part}
    for turn in range(rounds):
        for each in taking_part if turn % 2 == 0 else taking_part[::-1]:
            taken[each].append(processor_time(commands[each]))
    return taken


def processor_time(command: list[str]) -> float:
    """Seconds that a process and its children took, and had ended."""
    before = os.times()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=environment())
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def environment() -> dict[str, str]:
    return os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def step_in_turns(
    name: str, libraries: tuple[str, ...], rounds: int, seconds: float
) -> dict[str, list[float]]:
    workers = {each: start_worker(each, name, seconds) for each in libraries}
    taken: dict[str, list[float]] = {each: [] for each in libraries}
    for turn in range(rounds):
        for each in libraries if turn % 2 == 0 else libraries[::-1]:
            taken[each].append(ask(workers[each]))
    for worker in workers.values():
        worker.communicate()
    return taken


def start_worker(library: str, name: str, seconds: float) -> subprocess.Popen[str]:
    worker = subprocess.Popen(
        [sys.executable, __file__, "--worker", library, "--seconds", str(seconds), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert worker.stdout is not None
    if worker.stdout.readline().strip() != "ready":
        sys.exit(f"{library} did not start (its error is above)")
    return worker


def ask(worker: subprocess.Popen[str]) -> float:
    assert worker.stdin is not None and worker.stdout is not None
    print(file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


# ---- what came out ----

Samples = dict[str, dict[str, list[float]]]


def print_table(title: str, rows: Samples, libraries: tuple[str, ...], unit: float, digits: int) -> None:
    others = libraries[1:]
    print("| " + " | ".join([title, *libraries, *(f"rushlight / {other}" for other in others)]) + " |")
    print("|---" + "|---:" * (len(libraries) + len(others)) + "|")
    for name, taken in rows.items():
        times = [
            f"{statistics.median(taken[each]) * unit:.{digits}f}" if each in taken else "-"
            for each in libraries
        ]
        ratios = [f"{ratio(taken, other):.2f}" if other in taken else "-" for other in others]
        print("| " + " | ".join([f"`{name}`", *times, *ratios]) + " |")


def ratio(taken: dict[str, list[float]], other: str) -> float:
    return statistics.median(
        ours / theirs for ours, theirs in zip(taken["rushlight"], taken[other], strict=True)
    )


def print_misses(tables: dict[str, Samples]) -> None:
    misses = [
        f"- {name}, {what}: {ratio(taken, other):.2f} times {other}"
        for what, rows in tables.items()
        for name, taken in rows.items()
        for other in taken
        if other != "rushlight" and ratio(taken, other) > 1
    ]
    print("\nPyTorch is faster in:" if misses else "\nPyTorch is faster in none of them.", *misses, sep="\n")


if __name__ == "__main__":
    main()
