"""`autograd.Function`, `gradcheck` and `autograd.functional`, compared with PyTorch."""

from __future__ import annotations

import pytest
import torch
from both import same

import rushlight


def points(T):
    return T.tensor([0.3, -0.7, 1.2], dtype=T.float64, requires_grad=True)


def function(T, forward, backward=lambda ctx, *g: g[0], **more):
    body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("Made", (T.autograd.Function,), {**body, **{k: staticmethod(v) for k, v in more.items()}})


# ---- what forward may return, and backward ----

RESULTS = {
    "tensor": lambda T: function(T, lambda ctx, a: a * 1).apply(points(T)),
    "two": lambda T: function(T, lambda ctx, a: (a * 1, a * 2)).apply(points(T)),
    "list": lambda T: function(T, lambda ctx, a: [a * 1]).apply(points(T)),
    "number": lambda T: function(T, lambda ctx, a: 3).apply(points(T)),
    "tensor and None": lambda T: function(T, lambda ctx, a: (a * 1, None)).apply(points(T)),
    "input": lambda T: function(T, lambda ctx, a: a).apply(points(T)),
    "input, same object": lambda T: (lambda x: function(T, lambda ctx, a: a).apply(x) is x)(points(T)),
    "view": lambda T: function(T, lambda ctx, a: a.view(3, 1)).apply(points(T)),
    "view, written to": lambda T: function(T, lambda ctx, a: a.view(3, 1)).apply(points(T) * 1).mul_(2),
    "mask": lambda T: function(T, lambda ctx, a: (a > 0, a * 1)).apply(points(T)),
    "constant": lambda T: function(T, lambda ctx, a: a * 1).apply(points(T).detach()),
    "no tensor": lambda T: function(T, lambda ctx, a: a * 2).apply(5),
    "keyword": lambda T: function(T, lambda ctx, a, b=3: a * b).apply(points(T), b=4),
    "missing forward": lambda T: T.autograd.Function.apply(points(T)),
    "instance": lambda T: function(T, lambda ctx, a: a)()(points(T)),
    "saved number": lambda T: function(T, lambda ctx, a: (ctx.save_for_backward(3), a * 1)[1]).apply(
        points(T)
    ),
}


@pytest.mark.parametrize("result", RESULTS)
def test_what_forward_returns(result):
    def program(T):
        made = RESULTS[result](T)
        several = made if isinstance(made, (tuple, list)) else (made,)
        return made, [t.grad_fn is not None and t.grad_fn.name() for t in several if isinstance(t, T.Tensor)]

    same(program)


GRADIENTS = {
    "fits": lambda T, g: g * 2,
    "trailing None": lambda T, g: (g * 2, None),
    "too many": lambda T, g: (g, g),
    "None": lambda T, g: None,
    "number": lambda T, g: 3,
    "broadcastable": lambda T, g: T.ones(1, dtype=T.float64),
    "larger": lambda T, g: g.expand(2, 3),
    "wrong shape": lambda T, g: g[:1],
    "float32": lambda T, g: g.float(),
    "integers": lambda T, g: g.long(),
    "complex": lambda T, g: g.to(T.complex128),
}


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_what_backward_returns(gradient):
    def program(T):
        x = points(T)
        function(T, lambda ctx, a: a * 1, lambda ctx, g: GRADIENTS[gradient](T, g)).apply(x).sum().backward()
        return x.grad

    same(program)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float16", "float64", "complex64"])
def test_what_backward_returns_for_complex_inputs(dtype):
    def program(T):
        x = T.ones(2, dtype=T.complex128, requires_grad=True)
        made = function(T, lambda ctx, a: a * 1, lambda ctx, g: g.to(getattr(T, dtype)))
        made.apply(x).real.sum().backward()
        return x.grad

    same(program)


@pytest.mark.parametrize("returned", [1, 2, 3])
def test_gradients_of_other_arguments(returned):
    def program(T):
        x = points(T)
        made = function(T, lambda ctx, a, b: a * b, lambda ctx, g: [(g,), (g, None), (g, g)][returned - 1])
        made.apply(x, 3.0).sum().backward()
        return x.grad

    same(program)


def test_needs_input_grad_and_modes():
    def program(T):
        log = []

        def forward(ctx, a, b, c):
            log.append((ctx.needs_input_grad, T.is_grad_enabled()))
            return a * b

        def backward(ctx, g):
            log.append((ctx.needs_input_grad, T.is_grad_enabled()))
            return g, None, None

        made = function(T, forward, backward)
        made.apply(points(T), T.ones(3, dtype=T.float64), 2).sum().backward()
        with T.no_grad():
            log.append(made.apply(points(T), T.ones(3, dtype=T.float64), 2).requires_grad)
        return log

    same(program)


# ---- writing in place ----


def doubled_in_place(T):
    def forward(ctx, a):
        a.mul_(2)
        ctx.mark_dirty(a)
        return a

    return function(T, forward, lambda ctx, g: g * 2)


WRITES = {
    "leaf": lambda T: doubled_in_place(T).apply(points(T)),
    "computed": lambda T: doubled_in_place(T).apply(points(T) * 1),
    "same object": lambda T: (lambda y: doubled_in_place(T).apply(y) is y)(points(T) * 1),
    "version": lambda T: (lambda y: (doubled_in_place(T).apply(y), y._version))(points(T) * 1),
    "view": lambda T: (lambda y: (doubled_in_place(T).apply(y[1:]), y))(points(T) * 1),
    "plain": lambda T: doubled_in_place(T).apply(T.ones(2)),
    "not returned": lambda T: function(T, lambda ctx, a: (ctx.mark_dirty(a), a * 1)[1]).apply(points(T) * 1),
}


@pytest.mark.parametrize("write", WRITES)
def test_mark_dirty(write):
    same(lambda T: WRITES[write](T))


def test_gradient_through_a_write():
    def program(T):
        x = points(T)
        y = x * 3
        doubled_in_place(T).apply(y[1:])
        (y * y).sum().backward()
        return x.grad

    same(program)


def test_mark_non_differentiable():
    def program(T):
        def forward(ctx, a):
            b = a * 1
            ctx.mark_non_differentiable(b)
            return b, a * 2

        x = points(T)
        b, c = function(T, forward, lambda ctx, g, h: h * 2).apply(x)
        c.sum().backward()
        return b.requires_grad, x.grad

    same(program)


@pytest.mark.parametrize("materialize", [True, False])
def test_missing_gradients(materialize):
    def program(T):
        log = []

        def forward(ctx, a):
            ctx.set_materialize_grads(materialize)
            return a * 1, a * 2

        made = function(T, forward, lambda ctx, g, h: (log.append((g, h)), g)[1])
        made.apply(points(T))[0].sum().backward()
        return log

    same(program)


# ---- what is saved ----


def exponential(T):
    def forward(ctx, a):
        y = a.exp()
        ctx.save_for_backward(y)
        return y

    return function(T, forward, lambda ctx, g: g * ctx.saved_tensors[0])


def product(T):
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b, a + b

    def backward(ctx, g, h):
        a, b = ctx.saved_tensors
        return g * b + h, g * a + h

    return function(T, forward, backward)


def overwritten_input(T):
    a = points(T) * 1
    y = product(T).apply(a, a)[0]
    a.mul_(2)
    return y.sum().backward()


def overwritten_output(T):
    y = exponential(T).apply(points(T))
    y.add_(1)
    return y.sum().backward()


def second_backward(T):
    y = exponential(T).apply(points(T)).sum()
    y.backward()
    return y.backward()


def saved_after_backward(T):
    y = exponential(T).apply(points(T))
    y.sum().backward()
    return y.grad_fn.saved_tensors


@pytest.mark.parametrize(
    "misuse", [overwritten_input, overwritten_output, second_backward, saved_after_backward]
)
def test_misused_saved_tensors(misuse):
    same(misuse)


def test_once_differentiable():
    def program(T):
        once = T.autograd.function.once_differentiable(lambda ctx, g: g * 2 * ctx.saved_tensors[0])
        made = function(T, lambda ctx, a: (ctx.save_for_backward(a), a * a)[1], once)
        x = points(T)
        weight = T.ones(3, dtype=T.float64, requires_grad=True)
        (g,) = T.autograd.grad(made.apply(x), x, weight, create_graph=True)
        return g.detach(), g.sum().backward()

    same(program)


def test_setup_context_and_vjp():
    def program(T):
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])
            ctx.k = inputs[1]

        body = {
            "forward": staticmethod(lambda a, k=2: a**k),
            "setup_context": staticmethod(setup_context),
            "vjp": staticmethod(lambda ctx, g: (g * ctx.k * ctx.saved_tensors[0] ** (ctx.k - 1), None)),
        }
        power = type("Power", (T.autograd.Function,), body)
        x = points(T)
        return power.apply(x), T.autograd.grad(power.apply(x, k=3).sum(), x), power.apply(x).grad_fn.name()

    same(program)


def test_the_context_is_the_node():
    seen = []
    x = points(rushlight)
    y = function(rushlight, lambda ctx, a: (seen.append(ctx), setattr(ctx, "note", 5), a * 1)[2]).apply(x)
    assert y.grad_fn is seen[0] and y.grad_fn.note == 5


# ---- gradcheck ----

CHECKS = {
    "sin": lambda T, check, x: check(T.sin, (x,)),
    "two inputs": lambda T, check, x: check(lambda a, b: (a * b, a.exp()), (x, points(T))),
    "complex": lambda T, check, x: check(lambda a: T.exp(T.complex(a, a * 2)) * 1j, (x,)),
    "complex input": lambda T, check, x: check(
        lambda a: (a * a.conj()).real, (T.complex(x, x).detach().requires_grad_(),)
    ),
    "Function": lambda T, check, x: check(product(T).apply, (x, points(T))),
    "with a number": lambda T, check, x: check(lambda a, k: a**k, (x, 3.0)),
    "no tuple": lambda T, check, x: check(lambda a: a.sum() ** 2, x),
}


@pytest.mark.parametrize("check", ["gradcheck", "gradgradcheck"])
@pytest.mark.parametrize("case", CHECKS)
def test_right_derivatives_pass(case, check):
    assert CHECKS[case](rushlight, getattr(rushlight.autograd, check), points(rushlight)) is True


WRONG_CHECKS = {
    "wrong gradient": lambda T, check, x: check(
        function(T, lambda ctx, a: a * 2, lambda ctx, g: g * 3).apply, (x,)
    ),
    "cut": lambda T, check, x: check(lambda a: a.detach() * a, (x,)),
    "not raising": lambda T, check, x: check(lambda a: a.detach() * a, (x,), raise_exception=False),
    "constant": lambda T, check, x: check(lambda a: a * 2, (x.detach(),)),
    "float32": lambda T, check, x: check(lambda a: (a * 100).exp(), (x.detach().float().requires_grad_(),)),
    "expanded": lambda T, check, x: check(lambda a: a * 2, (x.detach()[:1].expand(3).requires_grad_(),)),
}


@pytest.mark.parametrize("case", WRONG_CHECKS)
def test_wrong_derivatives_fail(case):
    same(lambda T: WRONG_CHECKS[case](T, T.autograd.gradcheck, points(T)), text=False)


# ---- functional ----

FUNCTIONAL = {
    "jacobian": lambda T, F, x, v: F.jacobian(lambda a: a**2, x),
    "jacobian of several": lambda T, F, x, v: F.jacobian(lambda a, b: (a * b, a.sum()), (x, x)),
    "jacobian recorded": lambda T, F, x, v: F.jacobian(lambda a: a**2, x, create_graph=True),
    "jacobian of a constant": lambda T, F, x, v: F.jacobian(lambda a: T.ones(2), x),
    "jacobian strict": lambda T, F, x, v: F.jacobian(lambda a: T.ones(2), x, strict=True),
    "jacobian strict input": lambda T, F, x, v: F.jacobian(lambda a, b: a * 2, (x, x), strict=True),
    "jacobian vectorized": lambda T, F, x, v: F.jacobian(lambda a: a.exp(), x, vectorize=True),
    "jacobian of a number": lambda T, F, x, v: F.jacobian(lambda a: 3, x),
    "jacobian of wrong input": lambda T, F, x, v: F.jacobian(lambda a: a, (x, 3)),
    "jacobian strategy": lambda T, F, x, v: F.jacobian(lambda a: a, x, strategy="both"),
    "hessian": lambda T, F, x, v: F.hessian(lambda a: (a**3).sum(), x),
    "hessian of two": lambda T, F, x, v: F.hessian(lambda a, b: (a * b * b).sum(), (x, x)),
    "hessian recorded": lambda T, F, x, v: F.hessian(lambda a: (a**4).sum(), x, create_graph=True),
    "hessian not scalar": lambda T, F, x, v: F.hessian(lambda a: a**2, x),
    "hessian linear": lambda T, F, x, v: F.hessian(lambda a: a.sum(), x),
    "hessian strict": lambda T, F, x, v: F.hessian(lambda a: a.sum(), x, strict=True),
}
for _name in ("vjp", "jvp", "vhp", "hvp"):
    _f = (lambda a: a**3) if _name in ("vjp", "jvp") else (lambda a: (a**3).sum())
    FUNCTIONAL |= {
        f"{_name}": lambda T, F, x, v, n=_name, f=_f: getattr(F, n)(f, x, v),
        f"{_name} without v": lambda T, F, x, v, n=_name, f=_f: getattr(F, n)(f, x),
        f"{_name} wrong v": lambda T, F, x, v, n=_name, f=_f: getattr(F, n)(f, x, v[:2]),
        f"{_name} two vs": lambda T, F, x, v, n=_name, f=_f: getattr(F, n)(f, x, (v, v)),
        f"{_name} recorded": lambda T, F, x, v, n=_name, f=_f: getattr(F, n)(f, x, v, create_graph=True),
        f"{_name} linear strict": lambda T, F, x, v, n=_name: getattr(F, n)(
            lambda a: a.sum() * 2, x, v, strict=True
        ),
        f"{_name} constant": lambda T, F, x, v, n=_name: getattr(F, n)(lambda a: a.detach().sum() * 1, x, v),
        f"{_name} tuple": lambda T, F, x, v, n=_name: getattr(F, n)(
            lambda a, b: (a * b).sum(), (x, x), (v, v)
        ),
        f"{_name} one element": lambda T, F, x, v, n=_name: getattr(F, n)(lambda a: (a**2).sum(), x[:1]),
    }


@pytest.mark.parametrize("case", FUNCTIONAL)
def test_functional(case):
    same(lambda T: FUNCTIONAL[case](T, T.autograd.functional, points(T), T.ones(3, dtype=T.float64) * 2))


def test_the_reference_is_the_release_compared_with():
    assert torch.__version__.startswith("2.13")
