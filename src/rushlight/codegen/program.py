"""Programs: kernels ready to run. Cut, marshalled, compiled when first needed."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rushlight import memory
from rushlight.codegen.body import unsupported
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.maps import Map
from rushlight.codegen.plan import Described, Plan, Steps, plan_map
from rushlight.codegen.reduction_plan import plan_reduce, swapped, turned, turns
from rushlight.codegen.reductions import Reduce
from rushlight.codegen.row_plan import plan_rows
from rushlight.codegen.rows import Rows
from rushlight.codegen.scan_columns import Columns
from rushlight.codegen.scan_lines import Lines
from rushlight.codegen.scans import Scan, plan_scan
from rushlight.codegen.scans import Scheme as ScanScheme
from rushlight.native import cpu, jit, threads

#: how scalars lie in their slots of 8 bytes
_SLOTS = {
    "?": "?7x", "b": "b7x", "B": "B7x", "h": "h6x", "H": "H6x", "i": "i4x", "I": "I4x", "q": "q", "Q": "Q",
    "f": "f4x", "d": "d",
}  # fmt: skip
#: jobs that a program keeps
_KEPT = 256
_BYTE = np.dtype(np.uint8)


class Form(NamedTuple):
    """How kernels of a form are cut, and written."""

    plan: Callable[[Kernel, tuple[int, ...], Steps], Plan]
    nest: Callable[[Kernel, Any, int], Map | Reduce | Rows | Scan]


def _scan(kernel: Kernel, scheme: ScanScheme, vector_bytes: int) -> Scan:
    return (Lines if scheme.nest == "lines" else Columns)(kernel, scheme, vector_bytes)


FORMS = {
    "map": Form(plan_map, Map),
    "reduce": Form(plan_reduce, Reduce),
    "rows": Form(plan_rows, Rows),
    "scan": Form(plan_scan, _scan),
}


def supported(kernel: Kernel) -> str:
    """Why a kernel cannot be compiled; "" if it can."""
    if kernel.form not in FORMS:
        return f"no loops for {kernel.form}"
    return unsupported(kernel)


class Job(NamedTuple):
    """How to run a kernel for one set of sizes.

    Attributes:
        address: of the code.
        phases: tasks of each phase, and the slots that follow the scalars.
        scratch: bytes.
    """

    address: int
    phases: tuple[tuple[int, bytes], ...]
    scratch: int


class Program:
    """A kernel, ready to run with any sizes; any number of threads may run it at once."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._codes: dict[Described, int] = {}
        self._jobs: dict[object, Job] = {}
        count = len(kernel.inputs) + len(kernel.outputs)
        self._head = struct.Struct("=" + (count + 1) * "Q" + "".join(_SLOTS[kind] for kind in kernel.params))

    def run(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        sizes: tuple[int, ...],
        steps: Sequence[tuple[int, ...]],
        scalars: Sequence[float] = (),
    ) -> None:
        """Compute.

        Args:
            inputs, outputs: addresses of first elements.
            sizes: of the domain's dimensions.
            steps: bytes from one element to the next, of each operand (inputs, then outputs) along each dimension.
            scalars: of the kinds in `kernel.params`.
        """
        key = sizes, tuple(steps)
        job = self._jobs.get(key) or self._job(*key)
        scratch = memory.array((job.scratch,), _BYTE) if job.scratch else None
        head = self._head.pack(*inputs, *outputs, 0 if scratch is None else scratch.ctypes.data, *scalars)
        for tasks, told in job.phases:
            params = array("b", head + told)
            threads.run(job.address, params.buffer_info()[0], tasks)

    def _job(self, sizes: tuple[int, ...], steps: Steps) -> Job:
        key = sizes, steps
        if self.kernel.form == "reduce" and turns(self.kernel, sizes, steps):
            job = program(turned(self.kernel))._job(swapped(sizes), tuple(map(swapped, steps)))
        else:
            job = self._own_job(sizes, steps)
        if len(self._jobs) >= _KEPT:
            self._jobs.clear()
        self._jobs[key] = job
        return job

    def _own_job(self, sizes: tuple[int, ...], steps: Steps) -> Job:
        if len(sizes) == 1:
            sizes, steps = (1, *sizes), tuple((0, *step) for step in steps)
        plan = FORMS[self.kernel.form].plan(self.kernel, sizes, steps)
        shape = [*sizes, *(s for step in steps for s in step)]
        phases = tuple(
            (phase.tasks, struct.pack(f"={len(shape) + len(phase.numbers)}q", *shape, *phase.numbers))
            for phase in plan.phases
        )
        return Job(self._code(plan.scheme) if phases else 0, phases, plan.scratch)

    def _code(self, scheme: Described) -> int:
        if scheme not in self._codes:
            text = f"{self.kernel.text()}\n{scheme.text()}"
            self._codes[scheme] = jit.load(self.kernel.form, text, lambda: self.ir(scheme)).address
        return self._codes[scheme]

    def ir(self, scheme: Described) -> str:
        """The LLVM module for one scheme."""
        return FORMS[self.kernel.form].nest(self.kernel, scheme, cpu.vector_bytes()).text()


_PROGRAMS: dict[Kernel, Program] = {}


def program(kernel: Kernel) -> Program:
    """The program of a kernel, the same one for equal kernels."""
    found = _PROGRAMS.get(kernel)
    if found is None:
        found = _PROGRAMS.setdefault(kernel, Program(kernel))
    return found
