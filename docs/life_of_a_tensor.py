"""The life of `(a * b).sum(axis=0)`: where it goes, one stop a module, told by the parts themselves.

Run it with `python docs/life_of_a_tensor.py`. It needs llvmlite, and it makes its kernels anew to show how.
"""

import contextlib
import io
import os
import re

os.environ["RUSHLIGHT_CACHE"] = ""  # (no kernels of earlier runs: stop 6 shows one being made)

import rushlight as torch
from rushlight import debug, memory
from rushlight.native import cpu
from rushlight.ops.spec import REGISTRY
from rushlight.profiler import profile


def stop(module: str, what: str) -> None:
    print(f"\n{module}\n    {what}")


def show(text: str) -> None:
    for line in text.splitlines():
        print(f"    | {line}")


torch.manual_seed(0)
torch.set_num_threads(2)
a, b = torch.rand(512, 1024), torch.rand(512, 1024)
print("(a * b).sum(axis=0), of two matrices of 512 x 1024 float32")

stop("ops", f"`*` is the operation `{REGISTRY['mul'].name}`. Shapes and types are checked by the call:")
try:
    a * b[:, :7]
except RuntimeError as error:
    show(str(error))

stop("runtime/execute.py", "Small results are computed at once, large ones wait:")
show(f"3 x 3: {torch.explain(a[:3, :3] * b[:3, :3])}")
product = a * b
show(f"512 x 1024: {str(torch.explain(product)).splitlines()[0]}")

stop("graph/expr.py", "What waits is an expression of what is in memory. Only the handle `product` holds it:")
show("\n".join(torch.explain(product).expression))
del product

said = io.StringIO()
with contextlib.redirect_stderr(said), debug.level(4), profile() as session:
    total = (a * b).sum(axis=0)
kernel, ir = said.getvalue().split("rushlight: IR of reduce\n")
(row,) = session.key_averages()

stop(
    "graph/fuse.py",
    "The sum looks. Nobody holds the product, so one loop multiplies and adds; it stores sums alone:",
)
show(f"{row.key}: {row.runs} run, {row.bytes} bytes = 2 * 512 * 1024 * 4 read + 1024 * 4 written")

stop("codegen/kernel.py", "The loop as a kernel. Sizes are no part of it (`r` is reduced, `k` kept):")
show("\n".join(kernel.splitlines()[1:]))

lanes = cpu.vector_bytes() // 8
wide = len(re.findall(rf"fadd <{lanes} x double>", ir))
stop(
    "codegen, native/jit.py",
    "The same in LLVM's language, with vectors of this CPU; LLVM makes machine code of it:",
)
show(
    f"{len(ir.splitlines())} lines; {wide} additions of {lanes} float64 at once, for float32 are added in float64"
)

stop(
    "native/threads.py",
    "Tasks are cut by shape, and their sums are added in order: any number of threads gives these bits.",
)
for threads in (1, 2, 3):
    torch.set_num_threads(threads)
    same = torch.equal((a * b).sum(axis=0), total)
    show(f"{threads} thread{'s' * (threads > 1)}: {'the same' if same else 'other'} bits")

stop(
    "memory.py",
    "Large blocks come from the pool and go back to it: a second product takes nothing from the system.",
)
torch.set_num_threads(2)
for _ in range(2):
    before = memory.stats()
    (a * b).numpy()
    after = memory.stats()
    show(
        f"blocks taken from the system {after.mapped - before.mapped}, used again {after.reused - before.reused}"
    )

print(f"\nThe sums begin {total[:3].tolist()}")
