"""Random kernels of random sizes and layouts, against what they mean; nothing may be written beside the outputs."""

import random

import numpy as np
import pytest

from rushlight.codegen import reference
from rushlight.codegen.kernel import Inst, Kernel, Operand, Store, verify
from rushlight.codegen.program import program, supported
from rushlight.codegen.words import VERBS
from rushlight.native import jit, threads

pytestmark = pytest.mark.skipif(not jit.available(), reason="needs llvmlite")

LENGTHS = [0, 1, 1, 2, 3, 5, 16, 17, 40, 64, 65, 100, 130, 700, 3000]
FILLER = 7


class Kernels:
    """A source of random kernels.

    Attributes:
        elements, results: instructions that there is one value of for each element, or for each kept place.
    """

    def __init__(self, seed):
        self.choose = random.Random(seed)
        self.numbers = np.random.default_rng(seed)

    def some(self, *choices):
        return self.choose.choice(choices)

    # ---- kernels ----

    def kernel(self):
        form, count = self.some("map", "reduce", "reduce", "rows"), self.some(1, 2, 2, 3, 4)
        dims = {"map": "k" * count, "rows": "k" * (count - 1) + "r"}.get(form)
        dims = dims or "".join(self.some("k", "r") for _ in range(count - 1)) + "r"
        if form == "reduce" and self.some(True, False):
            dims = dims[::-1]
        self.dims, self.kind, self.body, self.inputs, self.stores = dims, self.some(*"fffdih"), [], [], []
        self.elements = [self.load(self.walk()) for _ in range(self.some(1, 1, 2, 3))]
        self.params = self.some("", self.kind)
        self.elements += [self.write("param", 0) for _ in self.params]
        self.work(self.elements, "add", "sub", "maximum", "neg", "abs")
        getattr(self, form)()
        return Kernel(
            form,
            dims,
            tuple(self.inputs),
            self.params,
            tuple(self.body),
            tuple(self.stores),
            self.some(True, False),
        )

    def map(self):
        for _ in range(self.some(1, 1, 2)):
            self.store(self.some(*self.elements), self.walk(fixed=0))

    def reduce(self):
        self.reduced()
        self.store(self.results[-1], self.kept())
        self.store(self.results[0], self.kept())
        if self.some(True, False):
            self.store(self.some(*self.elements), self.walk(fixed=0))

    def rows(self):
        self.reduced()
        mixed = self.write(
            self.some("sub", "maximum"), None, self.some(*self.elements), self.some(*self.results)
        )
        if self.some(True, False):
            largest = self.write("reduce", "max", mixed)
            mixed = self.write("sub", None, mixed, largest)
        self.store(mixed, self.walk(fixed=0))
        self.store(self.results[-1], self.kept())

    def reduced(self):
        self.results = []
        for _ in range(self.some(1, 2)):
            monoid, x = self.some("sum", "max", "min"), self.some(*self.elements)
            wide = "d" if (monoid, self.kind) == ("sum", "f") else self.kind
            found = self.write("reduce", monoid, self.write("cast", None, x, kind=wide), kind=wide)
            self.results.append(self.write("cast", None, found))
        if self.some(True, False):
            self.results.append(
                self.load("".join("b" if d == "r" else w for d, w in zip(self.dims, self.walk())))
            )
        self.work(self.results, "sub", "maximum", "neg")

    # ---- parts ----

    def write(self, verb, attr, *args, kind=None):
        self.body.append(Inst(verb, kind or self.kind, args, attr))
        return len(self.body) - 1

    def load(self, walk):
        self.inputs.append(Operand(self.kind, walk))
        return self.write("load", len(self.inputs) - 1)

    def store(self, value, walk):
        self.stores.append(Store(Operand(self.kind, walk), value))

    def work(self, values, *verbs):
        for _ in range(self.some(0, 1, 2, 3)):
            verb = self.some(*verbs)
            values.append(self.write(verb, None, *[self.some(*values) for _ in range(VERBS[verb])]))

    def walk(self, fixed=0.25):
        steps = [*["s"] * (len(self.dims) - 1), self.some("c", "s")]
        return "".join("b" if self.choose.random() < fixed else s for s in steps)

    def kept(self):
        return "".join("b" if d == "r" else "s" for d in self.dims)

    # ---- arrays ----

    def shape(self):
        while True:
            shape = tuple(self.some(*LENGTHS) for _ in self.dims)
            if np.prod([max(1, n) for n in shape]) <= 60_000 and (
                0 not in shape or self.choose.random() < 0.2
            ):
                return shape

    def array(self, operand, shape):
        """Small whole numbers, of which sums are exact, in memory of some layout."""
        real = [1 if w == "b" else n for w, n in zip(operand.walk, shape)]
        values = self.numbers.integers(-50, 50, real).astype(operand.kind)
        if operand.walk[-1] == "s" and self.some(True, False):
            return np.asfortranarray(values)
        gap = 2 if operand.walk[-1] == "s" else 1
        wide = np.full((*real[:-1], real[-1] * gap + self.some(0, 1, 16)), FILLER, operand.kind)
        view = wide[..., : real[-1] * gap : gap]
        view[...] = values
        return view


def steps(operand, array):
    return tuple(0 if w == "b" else s for w, s in zip(operand.walk, array.strides))


@pytest.mark.parametrize("seed", range(60))
def test_random_kernels(seed):
    source = Kernels(seed)
    kernel, shape = source.kernel(), source.shape()
    verify(kernel)
    assert supported(kernel) == ""
    targets = [store.to for store in kernel.outputs]
    inputs = [source.array(operand, shape) for operand in kernel.inputs]
    outputs = [source.array(operand, shape) for operand in targets]
    scalars = (3,) * len(kernel.params)
    wanted = [np.zeros(a.shape, a.dtype) for a in outputs]
    reference.run(kernel, inputs, wanted, scalars, shape)
    before = threads.get_num_threads()
    threads.set_num_threads(1 + seed % 3)
    try:
        program(kernel).run(
            [a.ctypes.data for a in inputs],
            [a.ctypes.data for a in outputs],
            shape,
            [steps(o, a) for o, a in zip([*kernel.inputs, *targets], [*inputs, *outputs])],
            scalars,
        )
    finally:
        threads.set_num_threads(before)
    for got, want in zip(outputs, wanted):
        np.testing.assert_array_equal(got, want, err_msg=kernel.text())
        got[...] = FILLER
        if got.base is not None and got.base.shape != got.shape:
            assert (got.base == FILLER).all(), kernel.text()
