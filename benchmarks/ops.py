"""The operations of the notes, and chains of them, beside PyTorch (eager and compiled), NumPy and JAX.

    python benchmarks/ops.py [--sides 3,100,1000,4096] [--rounds 5] [--peers torch,compile,numpy,jax] [--only CODE] [--alone]

Each contender runs in a process of its own with the threads it takes by itself, and they take turns at one case each. A sample
is the mean over as many calls as fill 30 ms (at least one), every result computed to the end; the table gives medians in
microseconds. "Floor" is the bytes that must move (operands read once, results written once) over the
streaming bandwidth of the same run: the best rate at which a copy over memory that was written before went, by NumPy on one thread
or by Rushlight's own loop on all. What fits in the caches may beat it. Memory moves in lines: of an operand of which every other
element is read, all bytes count. With `--alone` each has one thread where it can be told so, and what is measured is the
time of CPUs, which other programs on the machine change little. JAX and PyTorch's compiler are asked for where they are installed.

The report ends with every case that is slower than a peer, or (at 4096, where memory is the limit) more than 1.5 times its floor, and
with the reason, as far as one was found by measuring the parts of such a call (`REASONS`).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

PEERS = ("torch", "compile", "numpy", "jax")


class Case(NamedTuple):
    """A statement in PyTorch's words and in NumPy's, and how many arrays of the operand's size it must move; `writes`: how
    many of these it writes; `kept`: the dimension whose size is the number of its results, if these are fewer."""

    torch: str
    numpy: str
    moves: float
    writes: float = 1
    kept: int | None = None

    def floor(self, job: Job, rate: float) -> float:
        """The microseconds that it takes to read operands once, and to write results."""
        rows, columns = job.shape
        elements = ((self.moves - self.writes) * job.step + self.writes) * rows * columns
        results = 0 if self.kept is None else job.shape[self.kept]
        return (elements + results) * (4 if job.kind == "float32" else 8) / rate * 1e6


MAPS = (
    Case("A.clone()", "A.copy()", 2),
    Case("A * B", "A * B", 3),
    Case("A + 1", "A + 1", 2),
    Case("A ** 2 + 3 * A", "A ** 2 + 3 * A", 2),
    Case("torch.sigmoid(2 * A + B) * A", "1 / (1 + np.exp(-(2 * A + B))) * A", 3),
    Case("A.exp()", "np.exp(A)", 2),
    Case("torch.where(A > B, A, B)", "np.where(A > B, A, B)", 3),
    Case("A - B[0]", "A - B[0]", 2),
)
SQUARE = (Case("A.T + B", "A.T + B", 3),)
SUMS = (
    Case("A.sum()", "A.sum()", 1, 0),
    Case("A.sum(0)", "A.sum(0)", 1, 0, kept=1),
    Case("A.sum(1)", "A.sum(1)", 1, 0, kept=0),
    Case("A.mean(0)", "A.mean(0)", 1, 0, kept=1),
    Case("(A * B).sum(0)", "(A * B).sum(0)", 2, 0, kept=1),
    Case("(A * B).sum()", "(A * B).sum()", 2, 0),
    Case("A.amax(1)", "A.max(1)", 1, 0, kept=0),
    Case("A.var(0)", "A.var(0, ddof=1)", 1, 0, kept=1),
)
SCANS = (
    Case("A.cumsum(0)", "np.cumsum(A, 0)", 2),
    Case("A.cumsum(1)", "np.cumsum(A, 1)", 2),
    Case("A.reshape(-1).cumsum(0)", "np.cumsum(A)", 2),
)
ROWS = (
    Case("A.softmax(1)", "(lambda e: e / e.sum(1, keepdims=True))(np.exp(A - A.max(1, keepdims=True)))", 2),
    Case("(A - A.mean(0)) / A.std(0)", "(A - A.mean(0)) / A.std(0, ddof=1)", 3),
)
PRODUCTS = (
    Case("torch.mm(A, B)", "A @ B", 0),
    Case("torch.mv(A, B[0])", "A @ B[0]", 1),
    Case("torch.dot(A.reshape(-1), B.reshape(-1))", "np.dot(A.reshape(-1), B.reshape(-1))", 2),
    Case(
        "torch.bmm(A.reshape(1, *A.shape), B.reshape(1, *B.shape))",
        "A.reshape(1, *A.shape) @ B.reshape(1, *B.shape)",
        0,
    ),
)
#: a loss, whose gradient with respect to A is wanted
GRADIENTS = (
    Case("(A * B).sum()", "np.sum(A * B)", 4),
    Case("((A ** 2 + 3 * A) * B).mean()", "np.mean((A ** 2 + 3 * A) * B)", 4),
    Case("(torch.sigmoid(2 * A + B) * A).sum()", "np.sum(1 / (1 + np.exp(-(2 * A + B))) * A)", 5),
    Case("A.cumsum(0).sum()", "np.sum(np.cumsum(A, 0))", 3),
)


class Job(NamedTuple):
    """A case at a size: what a worker is asked for."""

    code: str
    numpy: str
    kind: str
    shape: tuple[int, int]
    step: int
    gradient: bool


class Reason(NamedTuple):
    """Why cases may be slower than a peer.

    Attributes:
        parts: of their code, any of which tells them.
        sides: at which it holds.
        why: what was found.
        peers: who is faster for this reason; `FLOOR` if it is one for more than 1.5 floors.
        kind: of which type, if not of both; gradient: whether of gradients.
        form: of which shape, if not of all; see `form_of`.
    """

    parts: tuple[str, ...]
    sides: range
    why: str
    peers: tuple[str, ...] = PEERS
    kind: str = ""
    gradient: bool = False
    form: str = ""


#: whom a case is compared with besides its peers
FLOOR = "floor"
FEW, SMALL, HUNDREDS = range(100), range(1000), range(100, 1000)
MIDDLE, FROM_MIDDLE = range(1000, 1001), range(1000, 1 << 31)
#: the first that fits is the one; times are microseconds, of one core of an AMD EPYC (Zen 5) or of two, 1000 x 1000 float32. Where a
#: reason speaks of Zen 4, it was measured on one, which takes vectors of 64 bytes in halves
REASONS = (
    Reason(
        ("cumsum",),
        FROM_MIDDLE,
        "jax.grad gives the gradient alone, and leaves out the scan that only the loss needs",
        ("jax",),
        gradient=True,
    ),
    Reason(
        ("",),
        FROM_MIDDLE,
        "the loss is left out here, too; of the 190 that the gradient of a polynomial takes, 90 are Python's: nine operations that wait "
        "(3.5 each) and the walk over five nodes",
        ("jax",),
        gradient=True,
    ),
    Reason(
        ("",),
        SMALL,
        "a node of the backward pass is 5 to 7 of Python, and 4 to 5 of PyTorch's C++",
        ("torch",),
        gradient=True,
    ),
    Reason(
        ("torch.bmm", "torch.dot"),
        FEW,
        "two views and a product are three calls, of which each takes 0.1 to 0.6 longer than PyTorch's",
    ),
    Reason(
        ("sigmoid", "torch.where"),
        FEW,
        "until a process has made 8192 such calls, NumPy computes each; from then on they take 4.7 and 2.8, PyTorch's 6.5 and 2.5 (Zen 4)",
        ("torch",),
    ),
    Reason(
        ("torch.mm", "torch.bmm"),
        HUNDREDS,
        "one thread is all that is worth waking here, as in PyTorch; Zen 4: 21 of computing, 17 at its peak (float64 38 of 35), and 2.5 of "
        "Python for a product",
        ("torch",),
    ),
    Reason(
        ("A.amax(1)",),
        HUNDREDS,
        "3.4 of 2.8, where sum(1) and amax(0) take 2.3 and 2.1 of 2.7 and 3.1 (Zen 4): each row ends with six steps from 64 numbers to one, of which "
        "one is several instructions, since NaN and the sign of zero count",
        ("torch",),
    ),
    Reason(
        ("torch.mv",),
        MIDDLE,
        "the loop takes as long as NumPy's on one thread (41 of 41), the call 2 to 3 more; Zen 4: 57 of 52, and 37 of 27 on two (float64 117 of "
        "108, 64 of 56)",
        ("numpy",),
    ),
    Reason(
        ("reshape(-1).cumsum",),
        HUNDREDS,
        "each addition waits for the one before, 1 ns, in PyTorch too; the rest is the call and a view",
        ("torch",),
    ),
    Reason(
        ("softmax",),
        HUNDREDS,
        "the loop takes as long as PyTorch's call (4.7 of 4.6), the call 0.3 more; the sum of a row is one of float64",
        ("torch",),
        "float32",
    ),
    Reason(
        ("sigmoid",),
        HUNDREDS,
        "0.95 ns an element, within 0.73 units in the last place; PyTorch 0.58, and 2.1 units",
        ("torch",),
        "float64",
    ),
    Reason(
        ("sigmoid",),
        HUNDREDS,
        "0.33 ns an element, within 0.82 units in the last place; PyTorch 0.24, and 2.0 units",
        ("torch",),
        "float32",
    ),
    Reason(
        ("torch.dot",),
        MIDDLE,
        "the loop takes as long as PyTorch's call (46 of 48), the call and two views 6 more; Zen 4: as for sums, 141 of 109 on one thread",
        ("torch",),
    ),
    Reason(
        ("A.sum", "A.mean", "A.amax"),
        MIDDLE,
        "the loop takes as long as PyTorch's call (sum: 24 of 24; sum(0): 28 of 30), the call 2 to 3 more; Zen 4: float32 becomes float64 before "
        "it is added, which takes longer than to read it, 74 of PyTorch's 44 on one thread (float64 101 of 84)",
        ("torch",),
    ),
    Reason(
        ("A.clone()", "A * B", "A + 1", "A - B[0]"),
        MIDDLE,
        "the loop alone takes 40 (A * B: 56), PyTorch's call 44 to 51 (68): to let it wait and find it again takes 7 of Python, 10 after "
        "a loop that left the second cache to its arrays",
        ("torch",),
    ),
    Reason(
        ("A.sum(0)", "A.mean(0)", "(A * B).sum(0)", "A.var(0)"),
        FROM_MIDDLE,
        "loops in C that go down columns took 1.05 to 1.2 ms for 64 MB, ours 1.2 to 1.35; one that goes along memory 0.75 to 1.0",
        (FLOOR,),
        "float32",
        form="square",
    ),
    Reason(
        ("A.sum(0)", "A.mean(0)", "(A * B).sum(0)", "A.var(0)"),
        FROM_MIDDLE,
        "of 128 MB a loop in C that goes down columns took 2.8 to 3.0 ms, one with sums and squares of distances 3.05 to 3.2, ours 2.9 to "
        "3.3 and 3.5 to 3.9; one that goes along memory 2.4 to 2.6",
        (FLOOR,),
        "float64",
        form="square",
    ),
    Reason(
        ("softmax",),
        FROM_MIDDLE,
        "three passes over rows of 8 MB (16 MB), of which caches hold little from one pass to the next: exponentials that are computed anew "
        "take as long as those that are kept",
        (FLOOR,),
        form="wide",
    ),
    Reason(
        ("softmax",),
        FROM_MIDDLE,
        "0.4 ns of computing an element (float64 0.73), half of which is exp, is as long as 1.5 floors on two threads",
        (FLOOR,),
    ),
    Reason(
        ("cumsum",),
        FROM_MIDDLE,
        "44 phases, one after the other, of 2.7 ms (of 2^24 float32); those of data in the cache sum to 2.0",
        (FLOOR,),
    ),
)


def form_of(job: Job) -> str:
    """What the shape is like."""
    rows, columns = job.shape
    return "strided" if job.step > 1 else "tall" if columns < 100 else "wide" if rows < 100 else "square"


def reason(job: Job, side: int, slower: str) -> str:
    """Why a peer is faster, or a case more than 1.5 floors; "" where nobody knows."""
    for found in REASONS:
        if side in found.sides and slower in found.peers and job.gradient == found.gradient:
            fits = found.kind in ("", job.kind) and found.form in ("", form_of(job))
            if fits and any(part in job.code for part in found.parts):
                return found.why
    return ""


# ---- in a worker ----


def work(contender: str, clock: Callable[[], float]) -> None:
    """For each job read from stdin, write the microseconds of a call; "nan" for what this contender cannot do."""
    prepared = functools.cache(functools.partial(statement, contender))
    print("ready", flush=True)
    for line in sys.stdin:
        code, numpy, kind, shape, step, gradient = json.loads(line)
        try:
            call = prepared(code, numpy, kind, tuple(shape), step, gradient)
            print(seconds_a_call(call, clock) * 1e6, flush=True)
        except Exception as error:
            if not isinstance(error, NotImplementedError):
                print(f"{contender}: {code}: {error}", file=sys.stderr)
            print("nan", flush=True)
        if shape[0] * shape[1] > 1 << 20:
            prepared.cache_clear()
            if contender == "compile":  # which keeps what it compiled, and the arrays with it
                sys.modules["torch"].compiler.reset()


def seconds_a_call(call: Callable[[], None], clock: Callable[[], float], fill: float = 0.03) -> float:
    call()
    began = clock()
    call()
    once = clock() - began
    times = max(1, min(10000, int(fill / max(once, 1e-7))))
    began = clock()
    for _ in range(times):
        call()
    return (clock() - began) / times


def statement(
    contender: str, code: str, numpy: str, kind: str, shape: tuple[int, int], step: int, gradient: bool
) -> Callable[[], Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    arrays = {name: rng.random((shape[0], shape[1] * step), kind)[:, ::step] for name in "AB"}
    if contender in ("numpy", "jax"):
        return _in_numpys_words(contender, numpy, arrays, step, gradient)
    torch = importlib.import_module("rushlight" if contender == "rushlight" else "torch")
    memory = {name: torch.tensor(np.asarray(a.base if step > 1 else a)) for name, a in arrays.items()}
    names: dict[str, Any] = {name: a[:, ::step] if step > 1 else a for name, a in memory.items()}
    names["torch"] = torch
    function = eval(f"lambda A, B: {code}", names)
    if contender == "compile":
        function = torch.compile(function)
    A, B = names["A"], names["B"]
    if not gradient:
        if (
            contender == "rushlight" and A.numel() >= 1 << 14
        ):  # (smaller results are there when the call returns)
            return lambda: function(A, B).data_ptr()
        return lambda: function(A, B)
    A = A.detach().requires_grad_()

    def differentiate() -> None:
        (g,) = torch.autograd.grad(function(A, B), A)
        g.data_ptr()

    return differentiate


def _in_numpys_words(
    contender: str, code: str, arrays: dict[str, Any], step: int, gradient: bool
) -> Callable[[], Any]:
    if contender == "numpy":
        if gradient:
            raise NotImplementedError("NumPy has no gradients")
        import numpy as np

        function = eval(f"lambda A, B: {code}", {"np": np})
        return lambda: function(**arrays)
    import jax

    jax.config.update("jax_enable_x64", True)
    # (arrays of JAX have no gaps: it gets what lies between, and leaves it out in the function)
    begun = f"(lambda A, B: {code})(A[:, ::{step}], B[:, ::{step}])" if step > 1 else code
    function = eval(f"lambda A, B: {begun}".replace(".copy()", " + 0"), {"np": jax.numpy})
    compiled = jax.jit(jax.grad(function) if gradient else function)
    A, B = (jax.numpy.asarray(a.base if step > 1 else a) for a in arrays.values())
    return lambda: compiled(A, B).block_until_ready()


# ---- in the parent ----


def jobs(side: int) -> list[tuple[Job, Case]]:
    """The cases at one side, in both precisions."""
    found = []
    shapes = [((side, side), 1)]
    if side == 4096:
        shapes += [((1 << 21, 4), 1), ((4, 1 << 21), 1), ((side, side // 2), 2)]
    for kind in ("float32", "float64"):
        for shape, step in shapes:
            square = shape == (side, side)
            for case in (
                *MAPS,
                *(SQUARE if square else ()),
                *SUMS,
                *SCANS,
                *ROWS,
                *(PRODUCTS if square else ()),
            ):
                found.append((Job(case.torch, case.numpy, kind, shape, step, False), case))
            if square:
                found += [(Job(case.torch, case.numpy, kind, shape, 1, True), case) for case in GRADIENTS]
    return found


#: what tells contenders to take one thread
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


#: JAX's compiler would work out constants before the program runs, for minutes where they are large: gradients of sums
CONSTANTS_LATER = "--xla_disable_hlo_passes=constant_folding"


def start(contender: str, alone: bool) -> subprocess.Popen[str]:
    flags = f"{os.environ.get('XLA_FLAGS', '')} {CONSTANTS_LATER}"
    worker = subprocess.Popen(
        [sys.executable, __file__, "--worker", contender, *["--alone"] * alone],
        env={**os.environ, **(ONE_THREAD if alone else {}), "XLA_FLAGS": flags},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    return worker


#: seconds between turns: threads of OpenMP and of OpenBLAS (2**26 cycles) look for work so long after the last, and would take a
#: processor from who comes next
PAUSE = 0.03


def ask(worker: subprocess.Popen[str], job: Job) -> float:
    assert worker.stdin is not None and worker.stdout is not None
    time.sleep(PAUSE)
    with contextlib.suppress(BrokenPipeError):  # (one that took too much memory is no more)
        print(json.dumps(job), file=worker.stdin, flush=True)
        return float(worker.stdout.readline() or "nan")
    return math.nan


def bandwidth() -> float:
    """Bytes a second that a copy of 64 MB reads and writes: the better of NumPy's and of Rushlight's own loop."""
    import numpy as np

    from rushlight.profiler import streaming_bandwidth

    source, target = (np.ones(1 << 24, np.float32) for _ in range(2))
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        np.copyto(target, source)
        best = max(best, 2 * source.nbytes / (time.perf_counter() - began))
    return max(best, streaming_bandwidth())


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Operations beside PyTorch, NumPy and JAX, and the speed of memory."
    )
    parser.add_argument("--sides", default="3,100,1000,4096")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--only", default="", help="only cases whose code holds this")
    parser.add_argument("--alone", action="store_true", help="the CPU time of one thread each")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, time.process_time if options.alone else time.perf_counter)
        return
    peers = [p for p in options.peers.split(",") if p != "jax" or importlib.util.find_spec("jax")]
    workers = {name: start(name, options.alone) for name in ("rushlight", *peers)}
    rate = bandwidth()
    print(
        f"streaming {rate / 1e9:.1f} GB/s; {os.cpu_count()} CPUs; medians of {options.rounds} in microseconds\n"
    )
    misses: list[str] = []
    for side in map(int, options.sides.split(",")):
        chosen = [(job, case) for job, case in jobs(side) if options.only in job.code]
        report(side, chosen, workers, options.rounds, rate, misses)
    print(f"\n{len(misses)} cases miss:" if misses else "\nno case misses")
    print("\n".join(misses))


def report(
    side: int,
    chosen: list[tuple[Job, Case]],
    workers: dict[str, Any],
    rounds: int,
    rate: float,
    misses: list[str],
) -> None:
    print(f"| {side} | " + " | ".join(workers) + " | floor | time / floor | best peer / time |")
    print("|---|" + "---:|" * (len(workers) + 3))
    for job, case in chosen:
        taken: dict[str, list[float]] = {name: [] for name in workers}
        for turn in range(rounds):
            for name in list(workers)[:: 1 if turn % 2 == 0 else -1]:
                taken[name].append(ask(workers[name], job))
        times = {name: statistics.median(samples) for name, samples in taken.items()}
        ours = times["rushlight"]
        others = {name: t for name, t in times.items() if name != "rushlight" and t == t}
        floor = case.floor(job, rate)
        best = min(others, key=others.__getitem__) if others else ""
        where = f"{job.kind} {job.shape[0]}x{job.shape[1]}{' strided' * (job.step > 1)}{' gradient' * job.gradient}"
        print(
            f"| `{job.code}` {where} | "
            + " | ".join(f"{t:.1f}" for t in times.values())
            + f" | {floor:.1f} | {ours / floor if floor else float('nan'):.2f} | {others[best] / ours if best else 0:.2f} |",
            flush=True,
        )
        rivals = others if side >= 1000 else {n: t for n, t in others.items() if n == "torch"}
        slower = [name for name, t in rivals.items() if ours > 1.05 * t]
        far = side == 4096 and floor and ours > 1.5 * floor
        if slower or far:
            said = [f"{name} {ours / rivals[name]:.2f}x" for name in slower]
            said += [f"{ours / floor:.2f} floors"] if far else []
            asked = [*slower, *[FLOOR] * bool(far)]
            whys = dict.fromkeys(reason(job, side, name) or "no reason found" for name in asked)
            misses.append(
                f"- {side} `{job.code}` {where}: {', '.join(said)}{''.join(f'; {why}' for why in whys)}"
            )


if __name__ == "__main__":
    main()
