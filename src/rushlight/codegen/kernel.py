"""Kernels: a loop nest with a body, ready for any target. Sizes, strides and addresses are run-time values.

A kernel is data: hashable, comparable, printable, and the same for all shapes of one kind. Three forms share it:

* `map`: every output has the shape of the domain.
* `reduce`: outputs have the shape of the kept dimensions. Instructions `reduce` combine a value over the reduced
  dimensions; what comes after them works on the combined values.
* `rows`: the last dimension is a row, and `reduce` combines a value over it; what comes after may use the row's
  result together with the row's elements (softmax: the largest, then the exponentials, then their sum).
* `scan`: `scan` combines a value with those before it along one dimension.

The text of a kernel, one instruction a line:

    map 1 dims
      %0 = load f32 in0 c
      %1 = load f32 in1 b
      %2 = mul f32 %0 %1
      out0 f32 c = %2
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rushlight.codegen.words import COMPARISONS, MONOIDS, NAMES, VERBS

#: how an operand walks along a dimension: side by side, not at all (broadcast), or in steps given at run time
UNIT, FIXED, STEPS = "c", "b", "s"


@dataclass(frozen=True, slots=True)
class Inst:
    """One instruction of a body; its result is named by its place.

    Attributes:
        verb: load, param, const, cast, reduce, scan, place (the index along the scanned dimension), or a verb of
            arithmetic (see `VERBS`).
        kind: the kind of the result.
        args: the places of earlier instructions.
        attr: load: the number of the input; param: of the run-time scalar; const: its value;
            reduce and scan: the name of the monoid.
    """

    verb: str
    kind: str
    args: tuple[int, ...] = ()
    attr: int | float | bool | str | None = field(default=None, compare=False)
    _exact: object = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        # what attributes are compared by: 0.0 is not -0.0 here, and NaN is NaN
        object.__setattr__(self, "_exact", repr(self.attr) if type(self.attr) is float else self.attr)


@dataclass(frozen=True, slots=True)
class Operand:
    """What a kernel reads or writes.

    Attributes:
        kind: of the elements in memory.
        walk: one of UNIT, FIXED, STEPS for each dimension of the domain, outermost first. Of an output of a
            reduction, reduced dimensions are FIXED.
    """

    kind: str
    walk: str


@dataclass(frozen=True, slots=True)
class Store:
    """An output: where, and which instruction's result."""

    to: Operand
    value: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """A loop nest.

    Attributes:
        form: map, reduce, rows or scan.
        dims: one character for each dimension of the domain, outermost first: "k" kept, "r" reduced, "s" scanned.
        inputs: what is loaded.
        params: the kinds of the run-time scalars.
        body: instructions in order.
        outputs: what is stored.
        stream: whether outputs are too large for the caches, and better written past them.
    """

    form: str
    dims: str
    inputs: tuple[Operand, ...]
    params: str
    body: tuple[Inst, ...]
    outputs: tuple[Store, ...]
    stream: bool = False
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "_hash",
            hash((self.form, self.dims, self.inputs, self.params, self.body, self.outputs, self.stream)),
        )

    def __hash__(self) -> int:
        return self._hash

    def text(self) -> str:
        """One instruction a line, types shown; equal kernels have equal texts, and only these."""
        lines = [f"{self.form} {self.dims}{' stream' if self.stream else ''} params {self.params or '-'}"]
        for n, inst in enumerate(self.body):
            line = f"  %{n} = {inst.verb} {NAMES[inst.kind]}"
            if inst.verb == "load":
                operand = self.inputs[inst.attr]  # type: ignore[index]
                line += f" in{inst.attr} {NAMES[operand.kind]} {operand.walk}"
            elif inst.attr is not None:
                line += f" {inst.attr!r}"
            lines.append(line + "".join(f" %{a}" for a in inst.args))
        for n, store in enumerate(self.outputs):
            lines.append(f"  out{n} {NAMES[store.to.kind]} {store.to.walk} = %{store.value}")
        return "\n".join(lines)


def misplaced(kernel: Kernel) -> str:
    """What comes before or after a reduction and should not; "" if nothing does.

    In the form reduce, elements are gone through once: no element depends on a result, and no result on an element
    that is not reduced. In the form rows, only the latter holds.
    """
    reduced = [n for n, dim in enumerate(kernel.dims) if dim == "r"]
    element: list[bool] = []  # whether there is one value for each element
    result: list[bool] = []  # whether a reduction comes before
    for n, inst in enumerate(kernel.body):
        if inst.verb == "load":
            walk = kernel.inputs[inst.attr].walk  # type: ignore[index]
            element.append(any(walk[d] != FIXED for d in reduced))
        else:
            element.append(inst.verb != "reduce" and any(element[a] for a in inst.args))
        before = any(result[a] for a in inst.args)
        result.append(before or inst.verb == "reduce")
        if kernel.form == "reduce" and before and (element[n] or inst.verb == "reduce"):
            return f"%{n}: an element that depends on a result"
    for n, store in enumerate(kernel.outputs):
        along = {store.to.walk[d] != FIXED for d in reduced}
        if len(along) > 1:
            return f"out{n} walks along some of the reduced dimensions"
        if along == {False} and element[store.value]:
            return f"out{n}: an element where a result should be"
        if kernel.form == "reduce" and along == {True} and result[store.value]:
            return f"out{n}: a result where an element should be"
    return ""


def verify(kernel: Kernel) -> None:
    """Check that every fact in a kernel agrees with the others.

    Raises:
        AssertionError: the first that does not, with the kernel's text.
    """

    def check(fact: object, what: str) -> None:
        if not fact:
            raise AssertionError(f"{what}, in the kernel\n{kernel.text()}")

    check(kernel.form in ("map", "reduce", "rows", "scan"), f"no form {kernel.form!r}")
    check(
        kernel.dims and set(kernel.dims) <= {"map": {"k"}, "scan": {"k", "s"}}.get(kernel.form, {"k", "r"}),
        "dims",
    )
    if kernel.form == "rows":
        check(kernel.dims.count("r") == 1 and kernel.dims[-1] == "r", "a row is the last dimension")
    if kernel.form == "scan":
        check(kernel.dims.count("s") == 1, "one dimension is scanned")
    for n, inst in enumerate(kernel.body):
        check(inst.kind in NAMES, f"%{n}: no kind {inst.kind!r}")
        check(all(0 <= a < n for a in inst.args), f"%{n} uses what comes later")
        kinds = [kernel.body[a].kind for a in inst.args]
        if inst.verb == "load":
            check(inst.kind == kernel.inputs[inst.attr].kind, f"%{n}: loaded as another kind")  # type: ignore[index]
        elif inst.verb == "param":
            check(inst.kind == kernel.params[inst.attr], f"%{n}: a parameter of another kind")  # type: ignore[index]
        elif inst.verb in ("reduce", "scan"):
            check(inst.attr in MONOIDS and kinds == [inst.kind], f"%{n}: {inst.verb}")
            check(
                {"reduce": "r", "scan": "s"}[inst.verb] in kernel.dims, f"%{n}: nothing to {inst.verb} over"
            )
        elif inst.verb == "place":
            check(inst.kind == "q" and "s" in kernel.dims and not kinds, f"%{n}: place")
        elif inst.verb == "cast":
            check(len(kinds) == 1, f"%{n}: cast of one value")
        elif inst.verb != "const":
            check(len(kinds) == VERBS.get(inst.verb), f"%{n}: {inst.verb} of {len(kinds)}")
            if inst.verb == "select":
                check(kinds[0] == "?", f"%{n}: select by {kinds[0]}")
                kinds = kinds[1:]
            check(len(set(kinds)) == 1, f"%{n}: {inst.verb} of {kinds}")
            check(
                inst.kind == ("?" if inst.verb in COMPARISONS else kinds[0]),
                f"%{n}: {inst.verb} gives {inst.kind}",
            )
    for operand in (*kernel.inputs, *[store.to for store in kernel.outputs]):
        check(
            len(operand.walk) == len(kernel.dims) and set(operand.walk) <= set("cbs"),
            f"walk {operand.walk!r}",
        )
        check(UNIT not in operand.walk[:-1], "only the last dimension can lie side by side")
    for n, store in enumerate(kernel.outputs):
        check(store.to.kind == kernel.body[store.value].kind, f"out{n}: of another kind than its value")
    if "r" in kernel.dims:
        check(not misplaced(kernel), misplaced(kernel))
