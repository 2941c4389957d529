"""Products of matrices and vectors against PyTorch: values, strides, gradients, errors, exactness."""

import itertools

import numpy as np
import pytest
import torch
from both import same

import rushlight
from rushlight.native import jit

FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "complex64": 1e-5}


def make(shape, dtype="float32", seed=0):
    """The same small whole numbers for both libraries, so that sums are exact."""
    values = np.random.default_rng([seed, *shape]).integers(-4, 5, shape)
    return [lib.tensor(values.tolist()).reshape(shape).to(getattr(lib, dtype)) for lib in (torch, rushlight)]


def numbers(t):
    kind = "complex128" if "complex" in str(t.dtype) else "float64"
    lib = torch if isinstance(t, torch.Tensor) else rushlight
    return np.asarray(t.detach().to(getattr(lib, kind)).tolist())


def check(expected, got, dtype="float64"):
    assert tuple(got.shape) == tuple(expected.shape)
    assert str(got.dtype) == str(expected.dtype)
    assert got.stride() == expected.stride()
    tolerance = TOLERANCE.get(dtype, 1e-12)
    np.testing.assert_allclose(numbers(got), numbers(expected), rtol=tolerance, atol=tolerance)


SHAPES = {
    "mm": [((2, 3), (3, 4)), ((1, 3), (3, 1)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((40, 50), (50, 30))],
    "bmm": [((2, 3, 4), (2, 4, 5)), ((0, 3, 4), (0, 4, 5)), ((2, 3, 0), (2, 0, 2))],
    "mv": [((3, 4), (4,)), ((3, 0), (0,)), ((0, 3), (3,))],
    "dot": [((5,), (5,)), ((0,), (0,))],
    "vdot": [((5,), (5,))],
    "inner": [((3,), (3,)), ((2, 3), (4, 3)), ((), (2, 3))],
    "outer": [((3,), (4,)), ((0,), (2,))],
    "kron": [((2, 3), (3, 2)), ((2,), (2, 2, 2)), ((), (2,))],
    "matmul": [
        ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,)), ((2, 3), (4, 3, 2)),
        ((4, 2, 3), (3, 2)), ((4, 2, 3), (1, 3, 2)), ((5, 1, 2, 3), (4, 3, 2)), ((0, 2, 3), (3, 2)), ((1, 2, 3), (4, 3, 2)),
    ],
}  # fmt: skip
CASES = [(name, *shapes) for name, all_shapes in SHAPES.items() for shapes in all_shapes]


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
@pytest.mark.parametrize("name, a, b", CASES)
def test_values_and_strides(name, a, b, dtype):
    x, y = make(a, dtype), make(b, dtype, 1)
    check(getattr(torch, name)(x[0], y[0]), getattr(rushlight, name)(x[1], y[1]), dtype)


@pytest.mark.parametrize("name, a, b", [case for case in CASES if len(case[1]) > 1 and case[0] != "kron"])
def test_layouts(name, a, b):
    x, y = make(a), make(b, seed=1)
    layouts = [
        lambda t: t.mT.contiguous().mT if t.ndim > 1 else t,
        lambda t: t.repeat_interleave(2, -1)[..., ::2] if t.ndim else t,
        lambda t: t[:1].expand(t.shape) if t.ndim and t.shape[0] else t,
    ]
    for f, g in itertools.product(layouts, repeat=2):
        check(getattr(torch, name)(f(x[0]), g(y[0])), getattr(rushlight, name)(f(x[1]), g(y[1])))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name, a, b", CASES)
def test_gradients_to_second_order(name, a, b, dtype):
    found = []
    for at, lib in enumerate((torch, rushlight)):
        x = make(a, dtype)[at].requires_grad_()
        y = make(b, dtype, 1)[at].requires_grad_()
        out = getattr(lib, name)(x, y)
        first = lib.autograd.grad((out * out.conj()).real.sum(), (x, y), create_graph=True)
        total = sum((g * g.conj()).real.sum() for g in first)
        second = lib.autograd.grad(total, (x, y), allow_unused=True)
        found.append((type(out.grad_fn).__name__, [*first, *(t for t in second if t is not None)]))
    assert found[0][0] == found[1][0]
    for expected, got in zip(found[0][1], found[1][1]):
        np.testing.assert_allclose(numbers(got), numbers(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("size", [3, 70])
def test_integer_products_wrap_around(dtype, size):
    limits = np.iinfo(dtype)
    draw = np.random.default_rng(size)
    a = draw.integers(limits.min, limits.max, (size, size), dtype, endpoint=True)
    b = draw.integers(limits.min, limits.max, (size, size), dtype, endpoint=True)
    exact = (a.astype(object) @ b.astype(object)) % (1 << 8 * limits.dtype.itemsize)
    got = rushlight.mm(rushlight.from_numpy(a), rushlight.from_numpy(b)).numpy()
    assert (got.astype(object) % (1 << 8 * limits.dtype.itemsize) == exact).all()


def test_half_products_are_rounded_once():
    a = rushlight.full((1, 4096), 1.0, dtype=rushlight.float16)
    assert rushlight.mm(a, a.T).item() == 4096
    b = rushlight.full((1, 300), 1.0, dtype=rushlight.bfloat16)
    assert rushlight.mm(b, b.T).item() == 300


# ---- errors ----


def first_line(call):
    with pytest.raises(Exception) as caught:
        call()
    return type(caught.value).__mro__[-4:], str(caught.value).splitlines()[0]


WRONG = {
    "mm sizes": lambda t: t.mm(t.ones(2, 3), t.ones(2, 3)),
    "mm rank": lambda t: t.mm(t.ones(3), t.ones(3, 2)),
    "mm rank right": lambda t: t.mm(t.ones(2, 3), t.ones(3)),
    "mm dtypes": lambda t: t.mm(t.ones(2, 2), t.ones(2, 2, dtype=t.float64)),
    "mm bool": lambda t: t.mm(t.ones(2, 2, dtype=t.bool), t.ones(2, 2, dtype=t.bool)),
    "mm out": lambda t: t.mm(t.ones(2, 2), t.ones(2, 2), out=t.ones(2, 2, dtype=t.float64)),
    "bmm sizes": lambda t: t.bmm(t.ones(2, 3, 4), t.ones(3, 4, 5)),
    "bmm rank": lambda t: t.bmm(t.ones(3, 4), t.ones(2, 4, 5)),
    "dot sizes": lambda t: t.dot(t.ones(3), t.ones(4)),
    "dot rank": lambda t: t.dot(t.ones(()), t.ones(())),
    "mv sizes": lambda t: t.mv(t.ones(2, 3), t.ones(2)),
    "mv rank": lambda t: t.mv(t.ones(2, 3), t.ones(3, 1)),
    "mv dtypes": lambda t: t.mv(t.ones(2, 2), t.ones(2, dtype=t.float64)),
    "matmul 0-d": lambda t: t.matmul(t.ones(()), t.ones(2)),
    "matmul batches": lambda t: t.ones(2, 2, 3) @ t.ones(3, 3, 2),
    "matmul 1-D": lambda t: t.ones(2) @ t.ones(3, 2),
    "addmm expand": lambda t: t.addmm(t.ones(3), t.ones(2, 3), t.ones(3, 2)),
    "addmv": lambda t: t.addmv(t.ones(3), t.ones(2, 3), t.ones(3)),
    "addr": lambda t: t.addr(t.ones(3), t.ones(2), t.ones(2)),
    "baddbmm": lambda t: t.baddbmm(t.ones(2), t.ones(1, 2, 2), t.ones(2, 2, 2)),
    "addbmm": lambda t: t.addbmm(t.ones(2), t.ones(1, 2, 2), t.ones(1, 3, 2)),
    "outer": lambda t: t.outer(t.ones(2, 2), t.ones(2)),
    "inner": lambda t: t.inner(t.ones(2), t.ones(3)),
    "trace": lambda t: t.trace(t.ones(2)),
    "tensordot": lambda t: t.tensordot(t.ones(4, 2, 3), t.ones(2, 2, 3), dims=1),
    "multi_dot": lambda t: t.linalg.multi_dot([t.ones(2, 3), t.ones(2, 2)]),
    "cross": lambda t: t.linalg.cross(t.ones(2, 2), t.ones(2, 2)),
    "cdist": lambda t: t.cdist(t.ones(2, 3), t.ones(2, 2)),
    "einsum count": lambda t: t.einsum("ij,jk", t.ones(2, 3)),
    "einsum sizes": lambda t: t.einsum("ij,jk", t.ones(2, 3), t.ones(2, 3)),
    "einsum output": lambda t: t.einsum("ij->k", t.ones(2, 3)),
    "einsum repeated": lambda t: t.einsum("ii", t.ones(2, 3)),
    "einsum dots": lambda t: t.einsum("i.j", t.ones(2, 3)),
    "einsum subscript": lambda t: t.einsum("i1", t.ones(2, 3)),
    "einsum ellipsis": lambda t: t.einsum("...i,...j", t.ones(2, 3), t.ones(4, 3)),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_have_pytorchs_words(name):
    expected, got = (first_line(lambda lib=lib: WRONG[name](lib)) for lib in (torch, rushlight))
    assert got[1] == expected[1]


def test_errors_explain():
    with pytest.raises(RuntimeError, match=r"Did you mean A\.T @ B"):
        rushlight.mm(rushlight.ones(3, 4), rushlight.ones(3, 2))


# ---- products that add ----

ADDING = {
    "addmm": [(2, 4), (2, 3), (3, 4)],
    "addmv": [(3,), (3, 2), (2,)],
    "addr": [(3, 2), (3,), (2,)],
    "baddbmm": [(2, 3, 4), (2, 3, 2), (2, 2, 4)],
    "addbmm": [(3, 4), (2, 3, 2), (2, 2, 4)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int64", "uint8", "bfloat16"])
@pytest.mark.parametrize("name", ADDING)
def test_adding(name, dtype):
    for beta, alpha in ((1, 1), (0, 2), (3, 0), (2, 2)):
        tensors = [make(shape, dtype, n) for n, shape in enumerate(ADDING[name])]
        expected = getattr(torch, name)(*(t[0] for t in tensors), beta=beta, alpha=alpha)
        got = getattr(rushlight, name)(*(t[1] for t in tensors), beta=beta, alpha=alpha)
        check(expected, got, dtype)
        in_place = tensors[0][1].clone()
        assert getattr(in_place, name + "_")(tensors[1][1], tensors[2][1], beta=beta, alpha=alpha) is in_place
        check(expected, in_place, dtype)


@pytest.mark.parametrize("name", ["baddbmm", "addbmm"])
def test_a_batch_times_itself(name):
    def program(t):
        batch = t.arange(8.0).reshape(2, 2, 2)
        return getattr(t, name)(t.ones(2, 2), batch, batch)

    same(program)


@pytest.mark.parametrize("name", ADDING)
def test_beta_zero_ignores_nan(name):
    first, second, third = (rushlight.zeros(shape) for shape in ADDING[name])
    assert not getattr(rushlight, name)(first + float("nan"), second, third, beta=0).isnan().any()


@pytest.mark.parametrize("name", ADDING)
def test_gradients_of_adding(name):
    found = []
    for at, lib in enumerate((torch, rushlight)):
        tensors = [make(shape, "float64", n)[at].requires_grad_() for n, shape in enumerate(ADDING[name])]
        out = getattr(lib, name)(*tensors, beta=0.5, alpha=2.0)
        found.append([type(out.grad_fn).__name__, *lib.autograd.grad((out * out).sum(), tensors)])
    assert found[0][0] == found[1][0]
    for expected, got in zip(found[0][1:], found[1][1:]):
        np.testing.assert_allclose(numbers(got), numbers(expected))


# ---- einsum and tensordot ----

EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ii->i", (3, 3)), ("ii", (3, 3)), ("ij->ji", (2, 3)),
    ("ij->", (2, 3)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("i,j->ij", (3,), (4,)), ("i,i", (3,), (3,)), ("ij,ij->ij", (2, 3), (2, 3)), ("abc,cd,de->abe", (2, 3, 4), (4, 2), (2, 3)),
    ("iij,j->i", (3, 3, 2), (2,)), ("i...,i...->...", (3, 2, 2), (3, 2, 2)), ("ij,kl->", (2, 3), (4, 2)), ("b...a", (3, 4, 2)),
    ("ij,jk->ik", (2, 1), (3, 4)), ("Ab,bA->A", (2, 3), (3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("equation, shapes", [(e, s) for e, *s in EQUATIONS])
def test_einsum(equation, shapes, monkeypatch):
    if torch.backends.opt_einsum.is_available():  # multiplies in another order, which shows in strides
        monkeypatch.setattr(torch.backends.opt_einsum, "enabled", False)
    found = []
    for at, lib in enumerate((torch, rushlight)):
        tensors = [make(shape, "float64", n)[at].requires_grad_() for n, shape in enumerate(shapes)]
        out = lib.einsum(equation, *tensors)
        found.append([out, *lib.autograd.grad((out * out).sum(), tensors)])
    for expected, got in zip(*found):
        check(expected, got)


def test_einsum_with_lists_of_labels():
    x, y = make((2, 3)), make((3, 2), seed=1)
    check(
        torch.einsum(x[0], [0, 1], y[0], [1, 2], [0, 2]), rushlight.einsum(x[1], [0, 1], y[1], [1, 2], [0, 2])
    )
    check(torch.einsum(x[0], [..., 1], [...]), rushlight.einsum(x[1], [..., 1], [...]))


@pytest.mark.parametrize("dims", [0, 1, 2, ([1, 2], [0, 1]), ([2, 0], [1, 2])])
def test_tensordot(dims):
    a, b = ((2, 3, 4), (3, 4, 2)) if dims not in (0, 1) else ((2, 3, 4), (4, 2, 3))
    x, y = make(a), make(b, seed=1)
    check(torch.tensordot(x[0], y[0], dims), rushlight.tensordot(x[1], y[1], dims))


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, float("inf")])
def test_cdist(p):
    found = []
    for at, lib in enumerate((torch, rushlight)):
        x, y = (
            make((2, 4, 3), "float64")[at].requires_grad_(),
            make((1, 5, 3), "float64", 1)[at].requires_grad_(),
        )
        out = lib.cdist(x, y, p)
        found.append([out, *lib.autograd.grad(out.sum(), (x, y))])
    for expected, got in zip(*found):
        np.testing.assert_allclose(numbers(got), numbers(expected), rtol=1e-9, atol=1e-9)


def test_matrix_power_and_chains():
    x, y, z = make((3, 3), "float64"), make((3, 4), "float64", 1), make((4,), "float64", 2)
    for n in (0, 1, 2, 5):
        check(torch.matrix_power(x[0], n), rushlight.matrix_power(x[1], n))
    check(torch.linalg.multi_dot([x[0], y[0], z[0]]), rushlight.linalg.multi_dot([x[1], y[1], z[1]]))
    check(torch.trace(x[0]), rushlight.trace(x[1]))
    check(torch.linalg.cross(x[0], x[0].flip(0)), rushlight.linalg.cross(x[1], x[1].flip(0)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [2, 4, 10, 50])
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, float("inf")])
def test_many_distances(p, columns, dtype):
    """Rounded once, also of rows that are close or equal, and of what is not finite; in every way it is computed."""
    rng = np.random.default_rng(0)
    for rows in (4, 600):
        x = rng.standard_normal((2, rows, columns)).astype(dtype)
        y = rng.standard_normal((2, rows + 1, columns)).astype(dtype)
        y[0, 0], y[0, 1] = x[0, 0], np.nextafter(x[0, 1], 2)
        x[1, 2, 0], x[1, 3, 1], y[1, 1, 1] = np.inf, np.nan, np.inf
        want = torch.cdist(
            torch.from_numpy(x).double(),
            torch.from_numpy(y).double(),
            p,
            compute_mode="donot_use_mm_for_euclid_dist",
        ).numpy()
        got = rushlight.cdist(rushlight.from_numpy(x), rushlight.from_numpy(y), p).numpy()
        assert got.dtype == dtype and got.shape == want.shape
        # float32: one rounding; float64: PyTorch's own sums
        np.testing.assert_allclose(got, want, rtol=1e-7 if dtype == "float32" else 1e-13)
        assert got[0, 0, 0] == 0 < got[0, 1, 1]


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops of our own")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step", [1, 2])
def test_dot_of_long_vectors(dtype, step):
    """At least as exact as PyTorch's, with gradients, and the same when operands are still to be computed."""
    rng = np.random.default_rng(0)
    a, b = (rng.random(700_001).astype(dtype)[::step] for _ in range(2))
    exact = np.add.reduce(a.astype(np.longdouble) * b)
    theirs = torch.dot(torch.from_numpy(a.copy()), torch.from_numpy(b.copy())).item()
    x, y = rushlight.from_numpy(a).requires_grad_(), rushlight.from_numpy(b)
    ours = rushlight.dot(x, y)
    assert ours.dtype == y.dtype and ours.shape == ()
    assert abs(ours.item() - exact) <= max(abs(theirs - exact), np.finfo(dtype).eps * abs(exact))
    ours.backward()
    assert np.array_equal(x.grad.numpy(), b)
    assert rushlight.dot(x.detach() * 1, y * 1).item() == ours.item()
    for n in (0, 1, 300_000):
        with pytest.raises(RuntimeError, match="inconsistent tensor size"):
            rushlight.dot(y, y[:n])


def test_large_outer_products():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(700), rng.standard_normal(900)
    a[3], b[5], b[6] = -0.0, np.inf, np.nan
    x, y = rushlight.tensor(a, requires_grad=True), rushlight.tensor(b)
    with np.errstate(all="ignore"):
        wanted = np.multiply.outer(a, b)
    for made in (rushlight.outer(x, y), rushlight.outer(x.detach(), y), rushlight.ger(x.detach(), y)):
        np.testing.assert_array_equal(made.detach().numpy(), wanted)
        np.testing.assert_array_equal(np.signbit(made.detach().numpy()), np.signbit(wanted))
    rushlight.outer(x, rushlight.ones(900, dtype=rushlight.float64)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full(700, 900.0))
