"""Programs: kernels ready to run. Cut, marshalled, compiled when first needed."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from rushlight.codegen import scans
from rushlight.codegen.body import unsupported
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.maps import map_module
from rushlight.codegen.plan import Scheme, plan_map
from rushlight.codegen.scan_columns import Columns
from rushlight.codegen.scan_lines import Lines
from rushlight.native import cpu, jit, threads

#: how scalars lie in their slots of 8 bytes
_SLOTS = {
    "?": "?7x", "b": "b7x", "B": "B7x", "h": "h6x", "H": "H6x", "i": "i4x", "I": "I4x", "q": "q", "Q": "Q",
    "f": "f4x", "d": "d",
}  # fmt: skip
#: cuts that a program keeps
_KEPT = 256

Steps = Sequence[tuple[int, ...]]


def supported(kernel: Kernel) -> str:
    """Why a kernel cannot be compiled; "" if it can."""
    if kernel.form not in ("map", "scan"):
        return f"no loops for {kernel.form}"
    return unsupported(kernel)


class Job(NamedTuple):
    """What to do for one shape.

    Attributes:
        address: of the code.
        scratch: bytes of memory that launches share.
        launches: one after the other; number of tasks, and the slots that follow the scalars.
    """

    address: int
    scratch: int
    launches: tuple[tuple[int, bytes], ...]


class Program:
    """A kernel, ready to run with any sizes; any number of threads may run it at once."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._codes: dict[Scheme | scans.Scheme, int] = {}
        self._jobs: dict[object, Job] = {}
        count = len(kernel.inputs) + len(kernel.outputs) + 1
        self._head = struct.Struct("=" + count * "Q" + "".join(_SLOTS[kind] for kind in kernel.params))

    def run(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        sizes: tuple[int, ...],
        steps: Steps,
        scalars: Sequence[float] = (),
    ) -> None:
        """Compute.

        Args:
            inputs, outputs: addresses of first elements.
            sizes: of the domain's dimensions.
            steps: bytes from one element to the next, of each operand (inputs, then outputs) along each dimension.
            scalars: of the kinds in `kernel.params`.
        """
        key = sizes, tuple(steps), threads.get_num_threads() if self.kernel.form == "scan" else 0
        job = self._jobs.get(key) or self._job(key, sizes, tuple(steps))
        scratch = array("b", bytes(job.scratch))
        head = self._head.pack(*inputs, *outputs, scratch.buffer_info()[0], *scalars)
        for tasks, told in job.launches:
            params = array("b", head + told)
            threads.run(job.address, params.buffer_info()[0], tasks)

    def _job(self, key: object, sizes: tuple[int, ...], steps: tuple[tuple[int, ...], ...]) -> Job:
        if len(sizes) == 1:
            sizes, steps = (1, *sizes), tuple((0, *step) for step in steps)
        slots = [*sizes, *(s for step in steps for s in step)]
        scheme, scratch, launches = self._cut(sizes, steps)
        launches = [(tasks, slots + list(numbers)) for tasks, numbers in launches if tasks]
        told = tuple((tasks, struct.pack(f"={len(numbers)}q", *numbers)) for tasks, numbers in launches)
        job = Job(self._code(scheme) if told else 0, scratch, told)
        if len(self._jobs) >= _KEPT:
            self._jobs.clear()
        self._jobs[key] = job
        return job

    def _cut(self, sizes: tuple[int, ...], steps: tuple[tuple[int, ...], ...]) -> tuple:
        """The scheme, bytes of scratch memory, and for each launch the tasks and the numbers of the plan."""
        if self.kernel.form == "scan":
            cut = scans.plan(self.kernel, sizes, steps, threads.get_num_threads(), cpu.vector_bytes())
            return cut.scheme, cut.scratch, [(launch.tasks, launch.numbers) for launch in cut.launches]
        plan = plan_map(self.kernel, sizes, steps)
        return plan.scheme, 0, [(plan.tasks, plan.numbers)]

    def _code(self, scheme: Scheme | scans.Scheme) -> int:
        if scheme not in self._codes:
            self._codes[scheme] = jit.load(
                self.kernel.form, f"{self.kernel.text()}\n{scheme.text()}", lambda: self.ir(scheme)
            ).address
        return self._codes[scheme]

    def ir(self, scheme: Scheme | scans.Scheme) -> str:
        """The LLVM module for one scheme."""
        if isinstance(scheme, scans.Scheme):
            nest = Lines if scheme.nest == "lines" else Columns
            return nest(self.kernel, scheme, cpu.vector_bytes()).text()
        return map_module(self.kernel, scheme, cpu.vector_bytes())


_PROGRAMS: dict[Kernel, Program] = {}


def program(kernel: Kernel) -> Program:
    """The program of a kernel, the same one for equal kernels."""
    found = _PROGRAMS.get(kernel)
    if found is None:
        found = _PROGRAMS.setdefault(kernel, Program(kernel))
    return found
