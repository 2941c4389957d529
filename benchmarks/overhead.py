"""What one small operation costs: Rushlight beside PyTorch, 3x3 float32, one thread.

    python benchmarks/overhead.py [--rounds 25] [--seconds 0.01]

How the two are held against each other, `turns.py` says. The table gives the median and the least of the samples, in
nanoseconds a call, and the median of the ratios of neighbouring samples. `small.py` does the same for every operation.
"""

from __future__ import annotations

import argparse
from typing import Any

from turns import LIBRARIES, Samples, answer_questions, measure, ratio, times

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
        answer_questions(options.worker, options.seconds, names)
    else:
        print_table(
            measure(__file__, [(run, grad) for _, _, run, grad in ROWS], options.rounds, options.seconds)
        )


def names(torch: Any, requires_grad: bool) -> dict[str, Any]:
    a = torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]], requires_grad=requires_grad)
    b = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
    return {"torch": torch, "a": a, "b": b}


def print_table(samples: list[Samples]) -> None:
    print("| 3x3 float32, ns a call: median (least) | Rushlight | PyTorch | Rushlight / PyTorch |")
    print("|---|---:|---:|---:|")
    for (code, said, _, _), taken in zip(ROWS, samples, strict=True):
        print(f"| `{code}`{said} | {' | '.join(times(taken))} | {ratio(taken):.2f} |")


if __name__ == "__main__":
    main()
