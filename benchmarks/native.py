"""What compiled kernels cost before they compute: calling, handing over to threads, compiling, loading from disk.

    python benchmarks/native.py [--rounds 2000] [--kernels 20]

Calls are of a kernel that does nothing. What is compiled is `sigmoid(2 * a + b) * a` for contiguous float32, each time
with another number, so that no two kernels are the same. Loading is measured in the same process, after it has
forgotten them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

from rushlight.codegen.kernel import Inst, Kernel, Operand, Store
from rushlight.codegen.program import Program
from rushlight.native import jit, threads

NOTHING = "define void @kernel(ptr %params, i64 %first, i64 %last) {\n  ret void\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="What compiled kernels cost before they compute.")
    parser.add_argument("--rounds", type=int, default=2000, help="calls of each sort")
    parser.add_argument("--kernels", type=int, default=20, help="kernels to compile")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        os.environ["RUSHLIGHT_CACHE"] = stack.enter_context(tempfile.TemporaryDirectory())
        began = time.perf_counter()
        if not jit.available():
            raise SystemExit("llvmlite is not installed")
        print("| | median | least |")
        print("|---|---:|---:|")
        print(f"| importing llvmlite, once | {(time.perf_counter() - began) * 1e3:.0f} ms | |")
        compiling(chosen.kernels)
        calling(chosen.rounds)


def compiling(count: int) -> None:
    kernels = [chain(2.0 + i) for i in range(count + 1)]
    compiled = [first_use(kernel) for kernel in kernels][1:]
    jit._LOADED.clear()
    before = jit.stats().compiled
    loaded = [first_use(kernel) for kernel in kernels][1:]
    assert jit.stats().compiled == before, "the cache on disk was not used"
    for what, times in (("compiling a kernel", compiled), ("loading it from disk", loaded)):
        report(what, "ms", [wall for wall, _ in times])
        report(f"{what}, processor time", "ms", [processor for _, processor in times])


def first_use(kernel: Kernel) -> tuple[float, float]:
    """Seconds from a kernel's description to the end of its first run, on one element; of these, the processor's."""
    place = bytearray(64)
    address = threads.ctypes.addressof(threads.ctypes.c_char.from_buffer(place))
    began, worked = time.perf_counter(), time.thread_time()
    Program(kernel).run([address, address], [address], (1,), [(4,), (4,), (4,)])
    return time.perf_counter() - began, time.thread_time() - worked


def chain(number: float) -> Kernel:
    """sigmoid(number * a + b) * a."""
    body = [Inst("load", "f", (), 0), Inst("load", "f", (), 1), Inst("const", "f", (), number)]
    body += [
        Inst("mul", "f", (0, 2)),
        Inst("add", "f", (3, 1)),
        Inst("sigmoid", "f", (4,)),
        Inst("mul", "f", (5, 0)),
    ]
    line = Operand("f", "c")
    return Kernel("map", "k", (line, line), "", tuple(body), (Store(line, 6),))


def calling(rounds: int) -> None:
    nothing = jit.load("nothing", NOTHING, lambda: NOTHING).address
    call = threads.kernel(nothing)
    report("calling it", "µs", sampled(lambda: call(0, 0, 1), rounds))
    report("running one task", "µs", sampled(lambda: threads.run(nothing, 0, 1), rounds))
    for count in sorted({2, threads.cpu.threads()}):
        hand_over(nothing, count, rounds)


def hand_over(nothing: int, count: int, rounds: int) -> None:
    threads.set_num_threads(count)

    def act() -> None:
        threads.run(nothing, 0, 4 * count)

    job = f"running {4 * count} tasks on {count} threads"
    report(job, "µs", sampled(act, rounds))
    report(f"{job}, 1 ms after the last", "µs", sampled(act, rounds // 10, 1e-3))


def sampled(act: Callable[[], object], rounds: int, pause: float = 0.0) -> list[float]:
    act()
    taken = []
    for _ in range(rounds):
        if pause:
            time.sleep(pause)
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return taken


def report(what: str, unit: str, seconds: list[float]) -> None:
    scale = {"ms": 1e3, "µs": 1e6}[unit]
    middle, least = statistics.median(seconds) * scale, min(seconds) * scale
    print(f"| {what} | {middle:.2f} {unit} | {least:.2f} {unit} |")


if __name__ == "__main__":
    main()
