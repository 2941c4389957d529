"""Large tensors: what becomes part of a loop, or one loop, is what PyTorch computes."""

import numpy as np
import pytest
import torch

import rushlight as T
from rushlight import profiler
from rushlight.graph.expr import Pending
from rushlight.native import jit

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="without llvmlite everything is computed at once"),
    pytest.mark.usefixtures("fused"),
]

SHAPES = {"square": (700, 401), "tall": (70_000, 4)}
KINDS = ("f4", "f8")


def operands(shape, kind, seed=0):
    """Three arrays of the same numbers here and in PyTorch."""
    arrays = [np.random.default_rng((seed, n)).normal(size=shape).astype(kind) for n in range(3)]
    return [T.tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]


def computed(function, library, tensors):
    return np.asarray(function(library, *tensors).detach())


def ulps(ours, right):
    """The largest distance in last places of what is right; of float64 near 0, where terms cancel, in those of 1."""
    finite = np.isfinite(right)
    assert np.array_equal(ours[~finite], right[~finite].astype(ours.dtype), equal_nan=True)
    kind, right, ours = ours.dtype, right[finite], ours[finite].astype("f8")
    least = 1 if kind == "f8" else 0
    return np.max(np.abs(ours - right) / np.spacing(np.maximum(np.abs(right), least).astype(kind)))


def check_bits(function, shape, kind):
    mine, theirs = operands(shape, kind)
    ours, wanted = computed(function, T, mine), computed(function, torch, theirs)
    assert ours.dtype == wanted.dtype and ours.shape == wanted.shape
    assert np.array_equal(ours, wanted, equal_nan=True)
    assert np.array_equal(np.signbit(ours), np.signbit(wanted)) or np.isnan(wanted).any()
    check_eager(function, mine, ours)


def check_eager(function, mine, ours):
    with T.eager():
        assert np.array_equal(computed(function, T, mine), ours, equal_nan=True)


# ---- arithmetic: the bits ----

EXACT = {
    "lerp from the start": lambda L, x, y, z: L.lerp(x, y, 0.3),
    "lerp from the end": lambda L, x, y, z: L.lerp(x, y, 0.7),
    "lerp by a tensor": lambda L, x, y, z: L.lerp(x, y, z),
    "addcmul": lambda L, x, y, z: L.addcmul(x, y, z, value=0.3),
    "addcmul by 1": lambda L, x, y, z: L.addcmul(x, y, z),
    "addcdiv": lambda L, x, y, z: L.addcdiv(x, y, z, value=0.3),
    "add": lambda L, x, y, z: L.add(x, y, alpha=0.3),
    "add of a row": lambda L, x, y, z: L.add(x, y[0], alpha=0.3),
    "add transposed": lambda L, x, y, z: L.add(x.t(), y.t(), alpha=-3),
    "sub": lambda L, x, y, z: L.sub(x, y, alpha=1e30),
    "rsub": lambda L, x, y, z: L.rsub(x, y, alpha=2),
    "floor": lambda L, x, y, z: x // y,
    "floor by a number": lambda L, x, y, z: x // 0.3,
    "trunc": lambda L, x, y, z: L.div(x, y, rounding_mode="trunc"),
    "remainder": lambda L, x, y, z: x % y,
    "remainder by a number": lambda L, x, y, z: x % -0.7,
    "remainder of a number": lambda L, x, y, z: L.remainder(1.5, y),
    "fmod": lambda L, x, y, z: L.fmod(x, y),
    "fmod of multiples": lambda L, x, y, z: L.fmod((x * 1000).round() * (y * 0.1), y * 0.1),
    "fmod of multiples, large": lambda L, x, y, z: L.fmod((x * 1e6).round() * y, y),
    "fmod of large quotients": lambda L, x, y, z: L.fmod(x * 1e30, y),
    "fmod of subnormals": lambda L, x, y, z: L.fmod(x * 1e-40, y * 1e-42),
    "fmod of whole numbers": lambda L, x, y, z: L.fmod((x * 10).round(), (y * 4).round()),
    "fmod of infinities": lambda L, x, y, z: L.fmod(x / y.trunc(), 1 / z.trunc()),
    "remainder of whole numbers": lambda L, x, y, z: (x * 10).round() % (y * 4).round(),
    "remainder of large quotients": lambda L, x, y, z: (x * 1e6) % (y * 1e-3),
    "floor of whole numbers": lambda L, x, y, z: (x * 10).round() // (y * 4).round(),
    "floor of large quotients": lambda L, x, y, z: (x * 1e6) // (y * 1e-3),
    "power of 1": lambda L, x, y, z: 1.0**x,
    "in place": lambda L, x, y, z: (x * 1).addcmul_(y, z, value=-0.3).lerp_(y, 0.1).add_(z, alpha=0.7),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXACT)
def test_arithmetic(name, kind):
    check_bits(EXACT[name], SHAPES["square"], kind)


@pytest.mark.parametrize("name", ["lerp by a tensor", "addcmul", "remainder", "floor", "add of a row"])
def test_arithmetic_of_few_columns(name):
    check_bits(EXACT[name], SHAPES["tall"], "f4")


def test_half_types_are_rounded_once():
    (x, y, _), (a, b, _) = operands(SHAPES["square"], "f4")
    for mine, theirs in ((T.float16, torch.float16), (T.bfloat16, torch.bfloat16)):
        ours = (x.to(mine) % y.to(mine)).float()
        assert np.array_equal(ours.numpy(), (a.to(theirs) % b.to(theirs)).float().numpy())


def test_scaled_sums_of_what_waits():
    """The scaled operand is not there yet when the sum is left to NumPy, as it is for integers and complex numbers."""
    for kind in ("i8", "c8"):
        a = (np.random.default_rng(0).normal(size=SHAPES["square"]) * 100).astype(kind)
        ours, theirs = T.tensor(a), torch.tensor(a)
        assert np.array_equal(
            T.add(ours * 2, ours + 1, alpha=3).numpy(), torch.add(theirs * 2, theirs + 1, alpha=3).numpy()
        )


# ---- functions: a last place or two ----

CLOSE = {
    "logaddexp": lambda L, x, y, z: L.logaddexp(x, y),
    "logaddexp of infinities": lambda L, x, y, z: L.logaddexp(
        x.masked_fill(z > 1, np.inf).masked_fill(y > 1, np.nan), y.masked_fill(z.abs() > 0.5, -np.inf)
    ),
    "logaddexp2": lambda L, x, y, z: L.logaddexp2(x, y),
    "xlogy": lambda L, x, y, z: L.xlogy(x.trunc(), y.abs()),
    "power of a number": lambda L, x, y, z: 2.5**x,
    "mish": lambda L, x, y, z: L.nn.functional.mish(x),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLOSE)
def test_functions(name, kind):
    mine, theirs = operands(SHAPES["square"], kind)
    ours = computed(CLOSE[name], T, mine)
    wanted = computed(CLOSE[name], torch, [t.double() for t in theirs])
    assert ours.shape == wanted.shape and ulps(ours, wanted) <= (1.01 if kind == "f4" else 4)
    check_eager(CLOSE[name], mine, ours)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [(0,), (1,), ()])
def test_products(dim, kind, shape):
    """Multiplied in float64, each step rounded: the errors of n steps are those of a random walk."""
    a = (1 + np.random.default_rng(0).normal(size=SHAPES[shape]) * 1e-3).astype(kind)
    ours = T.tensor(a).prod(*dim).numpy()
    right = a.astype(np.longdouble).prod(dim or None)
    assert ours.dtype == a.dtype and ours.shape == right.shape
    steps = (a.size // right.size) ** 0.5
    assert np.abs(ours / right - 1).max() <= np.finfo(kind).eps + steps * np.finfo("f8").eps
    whole = T.tensor((a * 3).astype("i8"))
    assert np.array_equal(whole.prod(*dim).numpy(), torch.tensor(whole.numpy()).prod(*dim).numpy())
    zeros = T.tensor(np.where(a > 1.003, 0, a).astype(kind))
    assert np.array_equal(zeros.prod(*dim).numpy() == 0, zeros.numpy().prod(dim or None) == 0)


# ---- rows ----


def gradient(function):
    """The gradients of the first operand and the second, for the third."""

    def run(L, x, y, z):
        x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
        return L.cat(L.autograd.grad(function(L, x, y), (x, y), z.expand(x.shape), allow_unused=False), 0)

    return run


def every_layer_gradient(L, x, y, z, affine):
    """Those of input, weight and bias, one below the other."""
    wanted = [v.clone().requires_grad_() for v in ((x, y[0], y[1]) if affine else (x,))]
    out = L.nn.functional.layer_norm(wanted[0], x.shape[-1:], *wanted[1:])
    return L.cat([g.reshape(-1, x.shape[-1]) for g in L.autograd.grad(out, wanted, z)], 0)


def norm(weight, bias):
    def run(L, x, y, z):
        given = [y[0] if weight else None, y[1] if bias else None]
        return L.nn.functional.layer_norm(x, x.shape[-1:], *given)

    return run


ROWS = {
    "layer_norm": norm(False, False),
    "layer_norm, weight": norm(True, False),
    "layer_norm, bias": norm(False, True),
    "layer_norm, both": norm(True, True),
    "layer_norm, gradient": gradient(lambda L, x, y: L.nn.functional.layer_norm(x, x.shape[-1:], y[0], y[1])),
    "layer_norm, gradients": lambda L, x, y, z: every_layer_gradient(L, x, y, z, True),
    "layer_norm, gradient alone": lambda L, x, y, z: every_layer_gradient(L, x, y, z, False),
    "softmax, gradient": gradient(lambda L, x, y: (x * y).softmax(-1)),
    "softmax of columns, gradient": gradient(lambda L, x, y: (x * y).softmax(0)),
    "log_softmax, gradient": gradient(lambda L, x, y: (x * y).log_softmax(-1)),
    "softmax, gradient of an expanded one": lambda L, x, y, z: gradient(lambda L, x, y: (x * y).softmax(-1))(
        L, x, y, z[:1] * 1
    ),
    "log_softmax, gradient of an expanded one": lambda L, x, y, z: gradient(
        lambda L, x, y: (x * y).log_softmax(-1)
    )(L, x, y, z[:1] * 1),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ROWS)
def test_rows(name, shape, kind):
    mine, theirs = operands(SHAPES[shape], kind)
    ours = computed(ROWS[name], T, mine)
    wanted = computed(ROWS[name], torch, [t.double() for t in theirs])
    assert ours.shape == wanted.shape
    off = np.abs(ours - wanted).max()
    if kind == "f4":
        assert off <= max(2 * np.abs(computed(ROWS[name], torch, theirs) - wanted).max(), 2e-6)
    else:
        assert off <= 1e-11 * np.abs(wanted).max()
    if kind == "f4" or "gradient" not in name:
        check_eager(ROWS[name], mine, ours)


@pytest.mark.parametrize("kind", [*KINDS, "f2"])
@pytest.mark.parametrize("given", [(), (0,), (1,), (0, 1)])
def test_channels_in_evaluation(given, kind):
    """Computed in float64 and rounded once, as small tensors are; channels last too."""
    a = np.random.default_rng(0).normal(size=(50, 20, 31, 17)).astype(kind)
    per = np.random.default_rng(1).normal(size=(4, 20)).astype("f8" if kind == "f8" else "f4") ** 2

    def run(L, x):
        affine = [L.tensor(per[n + 2].astype(kind)) if n in given else None for n in (0, 1)]
        moments = [L.tensor(per[n].astype(kind)) for n in (0, 1)]
        return L.nn.functional.batch_norm(x, *moments, *affine)

    x = T.tensor(a)
    ours = run(T, x)
    assert np.array_equal(ours.numpy(), np.concatenate([run(T, x[n : n + 1]).numpy() for n in range(50)]))
    tolerance = {"f2": 2e-3, "f4": 2e-6, "f8": 1e-13}[kind]
    np.testing.assert_allclose(
        ours.numpy(), run(torch, torch.tensor(a)).numpy(), rtol=tolerance, atol=tolerance
    )
    last = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert run(T, last).stride() == last.stride() and np.array_equal(run(T, last).numpy(), ours.numpy())
    write = T.tensor(a)
    waiting = run(T, write)
    write.zero_()
    assert np.array_equal(waiting.numpy(), ours.numpy())


def kernels(function):
    with profiler.profile() as seen:
        result = function()
        if type(result._a) is Pending:
            result._a.look()
    return [(row.key, row.runs) for row in seen.key_averages()]


def test_rows_are_one_loop():
    (x, y, z), _ = operands(SHAPES["square"], "f4")
    assert len(kernels(lambda: T.nn.functional.layer_norm(x * y, (401,), y[0], y[1]))) == 1
    assert len(kernels(lambda: T.addcmul(x.lerp(y, 0.3), y, z, value=2) % 1.5)) == 1


# ---- optimisers ----


@pytest.mark.parametrize(
    "make",
    [
        lambda L, p: L.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda L, p: L.optim.Adam(p, lr=0.1),
        lambda L, p: L.optim.AdamW(p, lr=0.1, amsgrad=True),
        lambda L, p: L.optim.NAdam(p, lr=0.1),
        lambda L, p: L.optim.RAdam(p, lr=0.1),
        lambda L, p: L.optim.Adadelta(p),
    ],
)
def test_steps_of_what_waits(make):
    """Parameters and gradients that are not computed yet when an optimiser first sees them."""
    values = []
    for L, (x, y, _) in zip((T, torch), operands(SHAPES["square"], "f8")):
        p = L.nn.Parameter(x * 2)
        optimizer = make(L, [p])
        for step in range(3):
            p.grad = y * (step + 1)
            optimizer.step()
        values.append(p.detach().numpy())
    np.testing.assert_allclose(*values, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["amax", "amin"])
@pytest.mark.parametrize("dim", [0, 1, (0, 1)])
def test_extremes_of_every_kind_of_float(kind, name, dim):
    """NaN of either sign goes before all, and 0 is above -0, wherever they stand."""
    rng = np.random.default_rng(0)
    tiny = np.finfo(kind).smallest_subnormal
    a = rng.choice(np.array([-np.inf, -1, -tiny, -0.0, 0.0, tiny, 2, np.inf], kind), (130, 170))
    a[:40] = rng.choice(np.array([0.0, -0.0], kind), (40, 170))
    a[:, :50] = -np.abs(a[:, :50])
    a[:, 50:70] = np.abs(a[:, 50:70])
    a[30:35, 100:105] = np.copysign(np.nan, np.array([1, -1, 1, -1, -1], kind))
    # (one above the other as whole numbers: 0 lies above -0 there)
    bits = a.view(np.int32 if kind is np.float32 else np.int64)
    order = np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)
    place = order.max(dim) if name == "amax" else order.min(dim)
    expected = np.where(place < 0, place ^ np.iinfo(bits.dtype).max, place).astype(bits.dtype).view(kind)
    expected = np.where(np.isnan(a).any(dim), kind(np.nan), expected)
    made = getattr(T.tensor(a), name)(dim).numpy()
    assert np.array_equal(made, expected, equal_nan=True)
    assert (np.isnan(made) | (np.signbit(made) == np.signbit(expected))).all()
