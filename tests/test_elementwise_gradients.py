"""Gradients of elementwise operations to second order, node names and subgradients, against live PyTorch."""

from __future__ import annotations

import pytest
import torch as T

import rushlight as R

PLAIN = (
    "abs neg sgn square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh "
    "asinh atanh deg2rad rad2deg sinc sigmoid logit relu erf erfc erfinv lgamma digamma i0 frac nan_to_num angle"
).split()
PAIRS = (
    "add sub mul div remainder fmod pow copysign logaddexp logaddexp2 xlogy atan2 hypot minimum maximum fmin fmax rsub "
    "float_power ldexp"
).split()
CALLS = {
    "acosh": lambda L, x, y: L.acosh(x + 2),
    "pow 3": lambda L, x, y: x**3,
    "pow 0.5": lambda L, x, y: x**0.5,
    "2 pow": lambda L, x, y: 2**x,
    "number - x": lambda L, x, y: 3 - x,
    "number / x": lambda L, x, y: 3 / x,
    "alpha": lambda L, x, y: L.add(x, y, alpha=2) * x,
    "clamp": lambda L, x, y: x.clamp(0.3, 0.6) ** 2,
    "clamp tensors": lambda L, x, y: L.clamp(x, y, y + 0.2) ** 2,
    "clamp_min": lambda L, x, y: x.clamp_min(y) ** 2,
    "lerp": lambda L, x, y: L.lerp(x, y, x * y),
    "lerp number": lambda L, x, y: L.lerp(x * x, y, 0.3),
    "addcmul": lambda L, x, y: L.addcmul(x, x, y, value=3),
    "addcdiv": lambda L, x, y: L.addcdiv(x, x, y, value=3),
    "polygamma": lambda L, x, y: L.polygamma(1, x),
    "mvlgamma": lambda L, x, y: L.mvlgamma(x + 2, 2),
    "floor mode": lambda L, x, y: L.div(x, y, rounding_mode="floor") * x,
    "polar": lambda L, x, y: L.polar(x, y).real * L.polar(x, y).imag,
    "complex": lambda L, x, y: (L.complex(x, y) ** 2).abs(),
    "frexp": lambda L, x, y: L.frexp(x)[0] * x,
    "i1": lambda L, x, y: L.special.i1(x),
    "ndtri": lambda L, x, y: L.special.ndtri(x),
    "log_ndtr": lambda L, x, y: L.special.log_ndtr(x),
    "entr": lambda L, x, y: L.special.entr(x),
    "xlog1py": lambda L, x, y: L.special.xlog1py(x, y),
}
CALLS.update({name: lambda L, x, y, n=name: getattr(L, n)(x) for name in PLAIN})
CALLS.update({name: lambda L, x, y, n=name: getattr(L, n)(x, y) for name in PAIRS})
X, Y = [0.21, 0.37, 0.55, 0.83], [0.42, 0.31, 0.72, 0.64]


def derivatives(L, f) -> list:
    """The value, both gradients, and the gradients of a combination of these."""
    x = L.tensor(X, dtype=L.float64, requires_grad=True)
    y = L.tensor(Y, dtype=L.float64, requires_grad=True)
    weights = L.tensor([1.0, -2.0, 0.5, 3.0], dtype=L.float64)
    out = f(L, x, y)
    found = [out]
    first = L.autograd.grad((out * weights).sum(), (x, y), create_graph=True, allow_unused=True)
    found += first
    mixed = sum(
        (g * weights * (n + 1)).sum() for n, g in enumerate(first) if g is not None and g.requires_grad
    )
    if isinstance(mixed, L.Tensor):
        found += L.autograd.grad(mixed, (x, y), allow_unused=True)
    return found


@pytest.mark.parametrize("name", CALLS)
def test_to_second_order(name):
    want, got = derivatives(T, CALLS[name]), derivatives(R, CALLS[name])
    for a, b in zip(want, got):
        if a is None or b is None:
            # no gradient and a gradient of zeros are the same thing
            present = a if b is None else b
            assert present is None or not bool((present != 0).any())
            continue
        a = a + 0  # PyTorch's gradients of zeros may have no memory
        assert a.tolist() == pytest.approx(b.tolist(), rel=1e-7, abs=1e-9)
    if name not in ("complex", "polar", "frexp"):
        assert got[0].grad_fn.name() == want[0].grad_fn.name()


ACTIVATIONS = (
    "relu leaky_relu elu selu celu gelu silu mish softplus softsign tanhshrink hardtanh relu6 hardsigmoid hardswish "
    "logsigmoid hardshrink softshrink rrelu"
).split()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    values = [-7.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.3, 0.5, 1.0, 3.0, 6.0, 25.0, float("nan")]
    results = []
    for L in (T, R):
        f = getattr(L.nn.functional, name)
        x = L.tensor(values, dtype=L.float64, requires_grad=True)
        out = f(x)
        (g,) = L.autograd.grad(out.sum(), x, create_graph=True)
        twice = g.requires_grad and name != "hardsigmoid"  # PyTorch has no second derivative of that one
        second = L.autograd.grad(g.sum(), x)[0] if twice else L.zeros(len(values))
        half = f(L.tensor(values).to(L.bfloat16))
        results.append((out.grad_fn.name(), out.tolist(), g.tolist(), second.tolist(), half.tolist()))
    want, got = results
    assert want[0] == got[0]
    for a, b, tolerance in zip(want[1:], got[1:], (1e-12, 1e-7, 1e-9, 8e-3)):
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance, nan_ok=True)


@pytest.mark.parametrize("weights", [[0.25], [0.1, 0.2, 0.3]])
def test_prelu(weights):
    def run(L, f):
        x = L.arange(-3.0, 3.0).reshape(2, 3).requires_grad_()
        w = L.tensor(weights, requires_grad=True)
        out = f(x, w)
        return [out.tolist(), *[g.tolist() for g in L.autograd.grad((out * out).sum(), (x, w))]]

    assert run(T, T.nn.functional.prelu) == run(R, R.nn.functional.prelu)


COMPLEX = "exp log sqrt sin cos tanh sinh reciprocal square abs sgn angle sigmoid conj_physical log1p asin atan".split()


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients(name):
    results = []
    for L in (T, R):
        z = L.tensor([0.3 + 0.4j, -0.5 + 0.2j, 0.1 - 0.9j], dtype=L.complex128, requires_grad=True)
        out = getattr(L, name)(z)
        loss = (out * L.tensor([1.0, 2.0, -1.0], dtype=L.float64)).sum()
        loss = loss.real + 2 * loss.imag if loss.is_complex() else loss
        results.append(L.autograd.grad(loss, z)[0].tolist())
    assert results[0] == pytest.approx(results[1], rel=1e-10)


@pytest.mark.parametrize("f", [lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a - b, lambda a, b: a**b])
def test_promotion_and_broadcasting_are_undone(f):
    results = []
    for L in (T, R):
        a = L.tensor([[1.0], [2.0]], requires_grad=True)
        b = L.tensor([0.5, 1.5, 2.5], dtype=L.float64, requires_grad=True)
        f(a, b).sum().backward()
        results.append((a.grad.tolist(), b.grad.tolist(), str(a.grad.dtype), str(b.grad.dtype)))
    assert results[0][2:] == results[1][2:]
    for x, y in zip(results[0][:2], results[1][:2]):
        assert T.tensor(x).numpy() == pytest.approx(T.tensor(y).numpy(), rel=1e-6)


def test_in_place_operations_are_recorded():
    results = []
    for L in (T, R):
        x = L.tensor([0.5, 1.5], requires_grad=True)
        y = x * 1
        y.mul_(3).add_(x, alpha=2).pow_(2).sub_(1).div_(2).exp_()
        y.sum().backward()
        results.append((y.tolist(), x.grad.tolist(), y._version))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-6)
    assert results[0][2] == results[1][2]
