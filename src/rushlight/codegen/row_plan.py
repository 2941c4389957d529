"""How a kernel of rows is cut. See `rows` for what is done with the pieces."""

from __future__ import annotations

import math

from rushlight.codegen.frame import operands
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.plan import PACKED, TASK, Phase, Plan, Scheme, Steps, ceildiv, element_modes
from rushlight.codegen.stages import stages

#: elements that a few vectors of accumulators take up before they are combined with those of the row
STRETCH = 2048
#: tasks at most, where each needs scratch memory of its own
SCRATCHED = 64

#: blocks of rows; planes and rows in a block; planes
ROWS_PLAN = ("ni", "bp", "bi", "planes")


def buffers(kernel: Kernel, scheme: Scheme) -> tuple[list[int], list[int]]:
    """What a task has rows of scratch memory for: operands, and instructions."""
    packed = [n for n in range(len(operands(kernel))) if scheme.modes[n] in PACKED]
    return packed, list(stages(kernel).cached)


def plan_rows(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> Plan:
    """Cut the rows into blocks of about TASK elements."""
    rows, columns = sizes[-2:]
    planes = math.prod(sizes[:-2])
    inputs = len(kernel.inputs)
    modes = element_modes(
        kernel, False, 1, columns, steps, skip=[inputs + n for n in stages(kernel).finished]
    )
    scheme = Scheme(False, modes)
    if not (planes and rows):
        return Plan(scheme, ())
    scratched = any(buffers(kernel, scheme))
    at_once = max(1, TASK // max(1, columns))
    if scratched:
        at_once = max(at_once, ceildiv(planes * rows, SCRATCHED))
    bi = min(rows, at_once)
    bp = max(1, at_once // rows)
    ni = ceildiv(rows, bi)
    tasks = ceildiv(planes, bp) * ni
    scratch = 8 * tasks * sum(map(len, buffers(kernel, scheme))) * columns
    return Plan(scheme, (Phase(tasks, (ni, bp, bi, planes)),), scratch)
