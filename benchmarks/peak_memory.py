"""Peak memory of programs on large tensors, beside PyTorch.

    python benchmarks/peak_memory.py

Each program runs in a process of its own, once for each library. What counts is by how much the process's peak (the system's own
account, `ru_maxrss`) rises above what it was with the library imported and one operation done; the last row is that start.
"""

from __future__ import annotations

import importlib
import resource
import subprocess
import sys
from typing import Any

N = 4096


def long_chain(torch: Any) -> None:
    """Sixty operations, each result used by the next alone."""
    x = torch.ones(N, N)
    y = x
    for k in range(30):
        y = (y * 0.5 + x) - k
    float(y[0, 0])


def chain_with_sums(torch: Any) -> None:
    """Maps that are looked at through sums."""
    a, b = torch.ones(N, N), torch.ones(N, N)
    for _ in range(5):
        float(((a * b).exp() + a).sum(0)[0])


def standardise(torch: Any) -> None:
    a = torch.ones(N, N)
    b = (a - a.mean(0)) / (a.std(0) + 1)
    float(b[0, 0])


def training_loop(torch: Any) -> None:
    """Two layers, a quadratic loss, plain gradient descent."""
    x, t = torch.ones(2048, 1024), torch.ones(2048, 1024)
    v = (torch.ones(1024, 4096) / 1024).requires_grad_()
    w = (torch.ones(4096, 1024) / 4096).requires_grad_()
    for _ in range(5):
        ((torch.tanh(x @ v) @ w - t) ** 2).mean().backward()
        with torch.no_grad():
            for p in (v, w):
                p -= 0.1 * p.grad
                p.grad = None
    float(w[0, 0])


def elementwise_gradient(torch: Any) -> None:
    a = torch.ones(N, N).requires_grad_()
    b = torch.ones(N, N)
    (torch.sigmoid(2 * a + b) * a).sum().backward()
    float(a.grad[0, 0])


PROGRAMS = (long_chain, chain_with_sums, standardise, training_loop, elementwise_gradient)


def rise(library: str, name: str) -> None:
    torch = importlib.import_module(library)
    float((torch.ones(600, 600) + 1).sum())  # (Rushlight reads its compiler with the first large result)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if name == "start":
        print(before / 1024)
        return
    globals()[name](torch)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def memory_of(library: str, name: str) -> float:
    return float(subprocess.check_output([sys.executable, "-W", "ignore", __file__, library, name]))


def main() -> None:
    print("| peak above the start, MB | Rushlight | PyTorch | ratio |")
    print("|---|---:|---:|---:|")
    for name in [*[program.__name__ for program in PROGRAMS], "start"]:
        ours, theirs = (memory_of(library, name) for library in ("rushlight", "torch"))
        print(f"| {name} | {ours:.0f} | {theirs:.0f} | {ours / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        rise(*sys.argv[1:])
    else:
        main()
