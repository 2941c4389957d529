"""Programs: kernels ready to run. Cut, marshalled, compiled when first needed."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

from rushlight.codegen.body import unsupported
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.maps import map_module
from rushlight.codegen.plan import Plan, Scheme, plan_map
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
    if kernel.form != "map":
        return f"no loops for {kernel.form}"
    return unsupported(kernel)


class Program:
    """A kernel, ready to run with any sizes; any number of threads may run it at once."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._codes: dict[Scheme, int] = {}
        self._cuts: dict[object, tuple[int, int, bytes]] = {}
        count = len(kernel.inputs) + len(kernel.outputs)
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
        key = sizes, tuple(steps)
        cut = self._cuts.get(key)
        if cut is None:
            cut = self._cut(key, sizes, tuple(steps))
        address, tasks, told = cut
        if tasks:
            params = array("b", self._head.pack(*inputs, *outputs, *scalars) + told)
            threads.run(address, params.buffer_info()[0], tasks)

    def _cut(
        self, key: object, sizes: tuple[int, ...], steps: tuple[tuple[int, ...], ...]
    ) -> tuple[int, int, bytes]:
        """How to do a job of these sizes: code, number of tasks, and the slots that follow the scalars."""
        if len(sizes) == 1:
            sizes, steps = (1, *sizes), tuple((0, *step) for step in steps)
        plan = plan_map(self.kernel, sizes, steps)
        slots = [*sizes, *(s for step in steps for s in step), *plan.numbers]
        address = self._code(plan) if plan.tasks else 0
        cut = address, plan.tasks, struct.pack(f"={len(slots)}q", *slots)
        if len(self._cuts) >= _KEPT:
            self._cuts.clear()
        self._cuts[key] = cut
        return cut

    def _code(self, plan: Plan) -> int:
        scheme = plan.scheme
        if scheme not in self._codes:
            self._codes[scheme] = jit.load(
                self.kernel.form, f"{self.kernel.text()}\n{scheme.text()}", lambda: self.ir(scheme)
            ).address
        return self._codes[scheme]

    def ir(self, scheme: Scheme) -> str:
        """The LLVM module for one scheme."""
        return map_module(self.kernel, scheme, cpu.vector_bytes())


_PROGRAMS: dict[Kernel, Program] = {}


def program(kernel: Kernel) -> Program:
    """The program of a kernel, the same one for equal kernels."""
    found = _PROGRAMS.get(kernel)
    if found is None:
        found = _PROGRAMS.setdefault(kernel, Program(kernel))
    return found
