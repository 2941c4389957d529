"""Programs: kernels ready to run. Cut, marshalled, compiled when first needed."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rushlight import memory
from rushlight.codegen.body import unsupported
from rushlight.codegen.kernel import Kernel, misplaced
from rushlight.codegen.long_rows import LongRows
from rushlight.codegen.maps import Map
from rushlight.codegen.plan import SLOTS, Described, Plan, Scheme, Steps, ceildiv, plan_map
from rushlight.codegen.reduction_plan import plan_reduce, swapped, turned, turns
from rushlight.codegen.reductions import Reduce
from rushlight.codegen.row_columns import RowColumns
from rushlight.codegen.row_plan import FewLines, LongScheme, plan_columns, plan_rows
from rushlight.codegen.rows import Rows
from rushlight.codegen.scan_columns import Columns
from rushlight.codegen.scan_lines import Lines
from rushlight.codegen.scans import Scan, crosses, plan_scan
from rushlight.codegen.scans import Scheme as ScanScheme
from rushlight.codegen.short_columns import ShortColumns
from rushlight.native import cpu, direct, jit, threads

#: how scalars lie in their slots of 8 bytes
_SLOTS = {
    "?": "?7x", "b": "b7x", "B": "B7x", "h": "h6x", "H": "H6x", "i": "i4x", "I": "I4x", "q": "q", "Q": "Q",
    "f": "f4x", "d": "d",
}  # fmt: skip
#: elements below which a job is done by its caller alone: to wake others would take longer
_ALONE = 1 << 15
#: jobs that a program keeps
_KEPT = 256
#: bytes of scratch memory that a thread keeps
_SPARED = 16 << 20
_WORD = np.dtype(np.uint64)


class Loops(Protocol):
    """What writes the code of a kernel."""

    def text(self) -> str: ...


class Form(NamedTuple):
    """How kernels of a form are cut, and written."""

    plan: Callable[[Kernel, tuple[int, ...], Steps], Plan]
    nest: Callable[[Kernel, Any, int], Loops]


def _scan(kernel: Kernel, scheme: ScanScheme, vector_bytes: int) -> Scan:
    return (Lines if scheme.nest == "lines" else Columns)(kernel, scheme, vector_bytes)


def _rows(kernel: Kernel, scheme: Scheme, vector_bytes: int) -> Loops:
    return (LongRows if isinstance(scheme, LongScheme) else Rows)(kernel, scheme, vector_bytes)


def _of_columns(kernel: Kernel, scheme: Scheme, vector_bytes: int) -> Loops:
    if isinstance(scheme, FewLines):
        return ShortColumns(kernel, scheme, vector_bytes)
    return (Reduce if kernel.form == "reduce" else RowColumns)(kernel, scheme, vector_bytes)


FORMS = {
    "map": Form(plan_map, Map),
    "reduce": Form(plan_reduce, _of_columns),
    "rows": Form(plan_rows, _rows),
    "columns": Form(plan_columns, _of_columns),
    "scan": Form(plan_scan, _scan),
}


def form(kernel: Kernel) -> Form:
    """How a kernel is done."""
    return FORMS["columns" if kernel.form == "rows" and kernel.dims[-1] == "k" else kernel.form]


def supported(kernel: Kernel) -> str:
    """Why a kernel cannot be compiled; "" if it can."""
    if kernel.form not in FORMS:
        return f"no loops for {kernel.form}"
    return unsupported(kernel) or ("r" in kernel.dims and misplaced(kernel)) or ""


#: of forms: whether the last two dimensions are better exchanged
_TURNS = {"reduce": turns, "rows": turns, "scan": crosses}


class Job(NamedTuple):
    """How to run a kernel for one set of sizes.

    Attributes:
        address: of the code.
        phases: tasks of each phase, and the slots that follow the scalars.
        scratch: bytes of memory that it needs meanwhile.
        each: bytes that each thread needs.
        alone: whether its caller does it without help.
    """

    address: int
    phases: tuple[tuple[int, bytes], ...]
    scratch: int
    each: int
    alone: bool


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
        self.do(self.job(sizes, tuple(steps)), (*inputs, *outputs), scalars)

    def do(self, job: Job, addresses: Sequence[int], scalars: Sequence[float]) -> None:
        """Run a job of this program on operands at these addresses (inputs, then outputs)."""
        if not job.phases:
            return
        scratch = _scratch(job)
        head = self._head.pack(*addresses, 0 if scratch is None else memory.address(scratch), *scalars)
        for tasks, told in job.phases:
            if job.alone:
                threads.kernel(job.address)(head + told, 0, tasks)
            else:
                # (scans go through the same elements in one phase after another, side by side)
                threads.run(job.address, head + told, tasks, in_order=len(job.phases) > 2)
        if scratch is not None:
            _SPARE.leave(scratch)

    def series(
        self, job: Job, addresses: np.ndarray, scalars: Sequence[float]
    ) -> Callable[[int], None] | None:
        """A small job of this program that is run again and again: the n-th time on operands at the n-th row of addresses. None
        where it needs more than these."""
        if not job.alone or job.scratch or job.each or len(job.phases) != 1:
            return None
        ((tasks, told),) = job.phases
        count = addresses.shape[1]
        block = np.frombuffer(self._head.pack(*[0] * (count + 1), *scalars) + told, np.int64)
        blocks = np.repeat(block[None], len(addresses), 0)
        blocks[:, :count] = addresses
        run, first, size = threads.kernel(job.address), memory.address(blocks), block.nbytes

        def at(n: int, blocks: np.ndarray = blocks) -> None:
            run(first + n * size, 0, tasks)

        return at

    def direct(
        self,
        job: Job,
        given: Sequence[direct.Facts | direct.Number],
        made: tuple[tuple[int, ...], np.dtype] | None,
        begins: Sequence[int],
        scalars: Sequence[float],
    ) -> Callable[..., Any] | None:
        """A job of this program as a function of the arrays and numbers that are given; None if it is not that simple.

        Args:
            given, made, begins: see `direct.Job`.
            scalars: those that follow the numbers that are given.
        """
        kinds = "".join([fact.kind.char for fact in given if isinstance(fact, direct.Number)])
        crew = 0 if job.alone else threads.crew()
        if not job.phases or not (job.alone or crew) or not self.kernel.params.startswith(kinds):
            return None
        count = len(self.kernel.inputs) + len(self.kernel.outputs)
        told = self._head.pack(*[0] * (count + 1 + len(kinds)), *scalars)[8 * (count + 1) :]
        scratch = job.scratch or job.each and SLOTS + job.each
        whole = direct.Job(job.address, given, made, begins, told, job.phases, scratch, crew)
        if job.alone or not job.each and scratch <= direct.STACKED:
            return direct.caller(whole)
        call = direct.caller(whole._replace(given=[*given, direct.Memory()], scratch=0))
        return None if call is None else _with_scratch(call, job)

    def job(self, sizes: tuple[int, ...], steps: Steps) -> Job:
        """How to run it over these sizes and steps, see `run`."""
        key = sizes, steps
        job = self._jobs.get(key)
        if job is not None:
            return job
        if self.kernel.form in _TURNS and _TURNS[self.kernel.form](self.kernel, sizes, steps):
            job = program(turned(self.kernel)).job(swapped(sizes), tuple(map(swapped, steps)))
        else:
            job = self._own_job(sizes, steps)
        if len(self._jobs) >= _KEPT:
            self._jobs.clear()
        self._jobs[key] = job
        return job

    def _own_job(self, sizes: tuple[int, ...], steps: Steps) -> Job:
        if len(sizes) == 1:
            sizes, steps = (1, *sizes), tuple((0, *step) for step in steps)
        plan = form(self.kernel).plan(self.kernel, sizes, steps)
        shape = [*sizes, *(s for step in steps for s in step)]
        phases = tuple(
            (phase.tasks, struct.pack(f"={len(shape) + len(phase.numbers)}q", *shape, *phase.numbers))
            for phase in plan.phases
        )
        alone = math.prod(sizes) < _ALONE
        return Job(self._code(plan.scheme) if phases else 0, phases, plan.scratch, plan.each, alone)

    def _code(self, scheme: Described) -> int:
        if scheme not in self._codes:
            text = f"{self.kernel.text()}\n{scheme.text()}"
            self._codes[scheme] = jit.load(self.kernel.form, text, lambda: self.ir(scheme)).address
        return self._codes[scheme]

    def ir(self, scheme: Described) -> str:
        """The LLVM module for one scheme."""
        return form(self.kernel).nest(self.kernel, scheme, cpu.vector_bytes()).text()


def _scratch(job: Job) -> np.ndarray | None:
    """The memory that a job needs meanwhile, to be left to `_SPARE` afterwards; None if it needs none."""
    pieces = _pieces(job) if job.each else 0  # (asked once: the number of threads may change meanwhile)
    size = job.scratch or pieces and SLOTS + pieces * job.each
    scratch = _SPARE.take(size) if size else None
    if pieces:
        scratch[0] = (1 << 64) - (1 << pieces)  # type: ignore[index]
    return scratch


def _with_scratch(call: Callable[..., Any], job: Job) -> Callable[..., Any]:
    """A function whose last argument is scratch memory, as one that finds it."""

    def run(*given: Any) -> Any:
        scratch = _scratch(job)
        made = call(*given, scratch)
        _SPARE.leave(scratch)  # type: ignore[arg-type]
        return made

    return run


def _pieces(job: Job) -> int:
    """How many threads may need scratch memory of their own; the other pieces count as in use."""
    return 1 if job.alone else min(job.phases[0][0], threads.get_num_threads(), SLOTS)


class _Spare(threading.local):
    """Scratch memory of this thread from one run to the next: fresh memory would cost more than what is done with it.

    What a run takes, nobody else has: a signal's handler may start another run in the middle of it.
    """

    def __init__(self) -> None:
        self.spare: list[np.ndarray] = []

    def take(self, size: int) -> np.ndarray:
        """Words, of `size` bytes at least."""
        found = self.spare.pop() if self.spare else None
        if found is None or found.nbytes < size:
            found = memory.array((ceildiv(size, 8),), _WORD)
        return found

    def leave(self, scratch: np.ndarray) -> None:
        if scratch.nbytes <= _SPARED and not self.spare:
            self.spare.append(scratch)


_SPARE = _Spare()
_PROGRAMS: dict[Kernel, Program] = {}


def program(kernel: Kernel) -> Program:
    """The program of a kernel, the same one for equal kernels."""
    found = _PROGRAMS.get(kernel)
    if found is None:
        found = _PROGRAMS.setdefault(kernel, Program(kernel))
    return found
