"""What `benchmarks/small.py` times gives PyTorch's results: the short ways of small matrices, and where they end."""

from __future__ import annotations

import importlib
import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import rushlight
from rushlight.numerics.fused import multiply_add
from rushlight.ops.kinds.reduction import line_sums

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
small = importlib.import_module("small")

#: what has no value to compare, or, of these matrices, none that is defined (a search in what is not sorted)
_VALUELESS = (
    "empty",
    "data_ptr",
    "pass",
    ".device",
    ".dtype",
    "repr",
    "_version",
    "searchsorted",
    "bucketize",
)
#: gradients of which PyTorch computes fewer digits
_INEXACT = "(a.digamma()).backward"
#: how far float32 and float64 results may be apart, relative to the largest element, or to 1
_TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "int64": 1e-6}


def result(library, case: small.Case) -> list[np.ndarray]:
    """The value of a case's code, and what it leaves in the tensors that it may write to."""
    known = small.names(library, *case)
    if case.backward:
        known["a"].grad = known["x"].grad = None
        exec(f"({case.code}).backward(g)", known)
        return [np.asarray(t.grad) for t in (known["a"], known["x"]) if t.grad is not None]
    assigns = " = " in case.code and not case.code.startswith("for")
    exec(case.code if assigns else f"made = {case.code}", known)
    return [*flat(known.get("made", ())), np.asarray(known["w"].detach()), np.asarray(known["q"])]


def flat(value) -> list[np.ndarray]:
    if isinstance(value, (tuple, list)):
        return [a for item in value for a in flat(item)]
    return [np.asarray(value.detach() if hasattr(value, "detach") else value)]


def apart(want: list[np.ndarray], got: list[np.ndarray], tolerance: float) -> str:
    """In what two results differ; empty if in nothing."""
    if len(want) != len(got):
        return f"{len(got)} results instead of {len(want)}"
    for w, g in zip(want, got):
        if w.shape != g.shape or w.dtype != g.dtype:
            return f"{g.dtype}{g.shape} instead of {w.dtype}{w.shape}"
        scale = np.max(np.abs(w[np.isfinite(w)]), initial=1.0) if w.dtype.kind == "f" else 1
        if not np.allclose(g, w, rtol=tolerance, atol=tolerance * float(scale), equal_nan=True):
            return f"{g} instead of {w}"
    return ""


@pytest.mark.parametrize("side", [3, 5, 40, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_every_timed_case_is_computed_as_by_pytorch(dtype: str, side: int) -> None:
    wrong = {}
    for case in small.cases([side]):
        if case.dtype == dtype and not any(word in case.code for word in _VALUELESS):
            said = apart(result(torch, case), result(rushlight, case), _TOLERANCE[dtype])
            if said and not case.run.startswith(_INEXACT):
                wrong[case.run] = said
    assert not wrong


# ---- where the short ways end ----

NAN, INF = math.nan, math.inf
AWKWARD = ([[1.0, NAN], [2.0, 3.0]], [[INF, -INF], [1.0, 2.0]], [[INF, INF], [-INF, 0.0]], [[-0.0, 0.0], [-0.0, -0.0]],
           [[1e18, 1e18], [-1e18, 3e18]], [[1e-40, -1e-40], [0.0, 1e-30]], [[900.0, -900.0], [0.0, 88.0]], [[2.0, 2.0], [2.0, 2.0]])  # fmt: skip
STATEMENTS = """
    x.sum(0); x.sum(1); x.sum(); x.mean(0); x.mean(); x.amax(0); x.amin(1); x.max(); x.max(1); x.min(0); x.argmax(0); x.argmin()
    x.prod(0); x.prod(); x.cumsum(0); x.cumprod(1); x.softmax(0); x.softmax(1); x.log_softmax(0); x.log_softmax(1); x.relu()
    x.logsumexp(0); x.nansum(); x.nansum(0); x.norm(); x.norm(1); x.norm(dim=0); x.sort(0); x.sort(1, descending=True)
    x.argsort(); x.topk(1); x.kthvalue(1); x.median(); x.median(0); x.clamp(0, 1); x.clamp(-0.0, 0.5); x.clamp(min=0.5); x.sign()
    x.sigmoid(); x.exp(); torch.add(x, x, alpha=2); torch.add(x, x, alpha=0.1); torch.lerp(x, x.T, 0.25); x.hypot(x.T)
    torch.logaddexp(x, x.T); x.count_nonzero(); torch.equal(x, x); torch.where(x > 0, x, -x); x.masked_fill(x > 1, 0.5)
    x.var(0); x.std(); x.aminmax(); x.trace(); x.flip(0); x.roll(1, 1); x.tril(); x.cummax(0); x.any(); x.all()
"""


@pytest.mark.parametrize("rows", range(len(AWKWARD)))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("times", [1, 20])
def test_awkward_elements(dtype: str, rows: int, times: int) -> None:
    """Infinities, nan, zeros of both signs, overflow and ties: small, and large enough for other ways."""
    wrong = {}
    for code in small.statements({"": STATEMENTS}):
        found = []
        for library in (torch, rushlight):
            x = library.tensor(AWKWARD[rows], dtype=getattr(library, dtype)).repeat(1, times)
            if times > 1 and ("x.T" in code or "var" in code or "std" in code):
                break
            found.append(flat(eval(code, {"torch": library, "x": x})))
        ties = times > 1 or AWKWARD[rows][0][0] == AWKWARD[rows][0][1]
        if len(found) == 2:
            if ties and any(word in code for word in ("topk", "kthvalue", "median", "sort", "arg")):
                found = [each[:1] for each in found if "arg" not in code]
            said = apart(*found, _TOLERANCE[dtype]) if found else ""
            if said:
                wrong[code] = said
    assert not wrong


def test_products_and_sums_are_rounded_once() -> None:
    rng = np.random.default_rng(0)
    x, y, z = (rng.standard_normal(500) * 10.0 ** rng.integers(-5, 5, 500) for _ in range(3))
    exact = [float(Fraction(a) + Fraction(b) * Fraction(c)) for a, b, c in zip(x, y, z)]
    assert multiply_add(x, y, z).tolist() == exact
    for factor in (2.0, -0.5, 1.0, 0.3, 2.0**-8):
        exact = [float(Fraction(a) + Fraction(b) * Fraction(factor)) for a, b in zip(x, y)]
        assert multiply_add(x, y, np.array(factor)).tolist() == exact


def test_a_power_of_two_that_leaves_the_range_is_no_short_way() -> None:
    tiny = np.array([5e-324, 1.5e-323])
    got = multiply_add(np.zeros(2), tiny, np.array(0.5))
    assert got.tolist() == [0.0, 1e-323]
    largest = np.array([1.7e308])
    assert multiply_add(-largest, largest, np.array(2.0)).tolist() == [math.inf]


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    """More than BLAS gives to one thread is cut in halves."""
    a = np.random.default_rng(0).random((100, 100))
    half = np.concatenate([line_sums(a[:50], 1), line_sums(a[50:], 1)])
    assert line_sums(a, 1).tolist() == half.tolist()


def test_the_largest_integer_products_are_exact() -> None:
    for largest in (2**20, 2**31, 2**62):
        a = rushlight.full((40, 40), largest)
        b = rushlight.arange(1600).view(40, 40) - 800
        want = torch.full((40, 40), largest) @ (torch.arange(1600).view(40, 40) - 800)
        assert (a @ b).tolist() == want.tolist()


def test_writing_at_once_is_seen_through_every_alias() -> None:
    x = rushlight.ones(3, 3)
    row = x[0]
    before = x._version
    x.exp_(), x.clamp_(0, 2), x.div_(2)
    assert row.tolist() == [1.0] * 3 and x._version == before + 3
    row.sigmoid_()
    assert x[0].tolist() == row.tolist() and x._version == before + 4


def test_out_takes_memory_that_is_read() -> None:
    for library in (torch, rushlight):
        x = library.arange(4.0)
        library.add(x, x, out=x)
        library.exp(x[:2], out=x[2:])
        np.testing.assert_allclose(np.asarray(x), [0, 2, 1, math.exp(2)], rtol=1e-6)
