"""Dual tensors: values and derivatives along directions as PyTorch gives them."""

import importlib

import pytest
import torch
from both import same

import rushlight


def module(T):
    return importlib.import_module(f"{T.__name__}.autograd.forward_ad")


def data(T, *shape, seed=0, kind="float64"):
    T.manual_seed(seed)
    return T.randn(*shape, dtype=getattr(T, kind))


FUNCTIONS = {
    "exp": lambda T, x: x.sin().exp() * x,
    "softmax": lambda T, x: x.softmax(-1),
    "product": lambda T, x: x @ x.T,
    "linear in x": lambda T, x: x.cumsum(0) * 3 + 1,
    "view": lambda T, x: x[1:].T.reshape(-1),
    "constant": lambda T, x: T.ones(3, dtype=x.dtype),
    "rounded": lambda T, x: x.round(),
    "largest": lambda T, x: x.amax(0),
    "sorted": lambda T, x: x.sort(-1).values,
    "inverse": lambda T, x: T.linalg.inv(x @ x.T + T.eye(3, dtype=x.dtype)),
    "convolution": lambda T, x: T.nn.functional.conv1d(x.unsqueeze(0), T.ones(2, 3, 2, dtype=x.dtype)),
    "detached": lambda T, x: x * x.detach(),
    "compared": lambda T, x: x > 0,
    "copied": lambda T, x: T.zeros(3, 4, dtype=x.dtype).copy_(x).mul_(2),
    "written": lambda T, x: T.zeros(4, dtype=x.dtype).index_put((T.tensor(1),), x[0, 0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("quiet", [False, True])
def test_derivatives_along_a_direction(name, quiet):
    def program(T):
        f = module(T)
        x, v = data(T, 3, 4), data(T, 3, 4, seed=1)
        with T.set_grad_enabled(not quiet):
            with f.dual_level():
                primal, tangent = f.unpack_dual(FUNCTIONS[name](T, f.make_dual(x, v)))
            return primal, tangent, T.is_grad_enabled()

    same(program)


def test_complex_directions():
    def program(T):
        f = module(T)
        x, v = data(T, 3, kind="complex128"), data(T, 3, seed=1, kind="complex128")
        with f.dual_level():
            y = f.make_dual(x, v)
            return f.unpack_dual(y.sin() * y), f.unpack_dual(y.abs()), f.unpack_dual(y.conj().real)

    same(program)


def test_the_direction_comes_back_itself():
    for T in (torch, rushlight):
        f = module(T)
        x, v = data(T, 2), data(T, 2, seed=1)
        with f.dual_level():
            dual = f.make_dual(x, v)
            assert f.unpack_dual(dual).tangent is v
            assert f.unpack_dual(dual).primal.data_ptr() == x.data_ptr() == dual.data_ptr()
            y = dual + 0
        assert f.unpack_dual(y).tangent is None and f.unpack_dual(x).tangent is None


def test_several_duals_and_writes_in_place():
    def program(T):
        f = module(T)
        with f.dual_level():
            a = f.make_dual(data(T, 3), T.ones(3, dtype=T.float64))
            b = f.make_dual(data(T, 3, seed=2), data(T, 3, seed=3))
            c = T.zeros(3, dtype=T.float64)
            c[:2] = a[1:] * b[:2]
            found = f.unpack_dual(a * b), f.unpack_dual(c), f.unpack_dual(b.sum())
            a.mul_(b)
            return found, f.unpack_dual(a)

    same(program)


def test_a_module_and_reverse_mode_over_it():
    def program(T):
        f = module(T)
        T.manual_seed(0)
        net = T.nn.Sequential(T.nn.Linear(4, 3), T.nn.Tanh(), T.nn.Linear(3, 2)).double()
        with f.dual_level():
            y = net(f.make_dual(data(T, 5, 4), data(T, 5, 4, seed=1)))
            primal, tangent = f.unpack_dual(y)
            tangent.square().sum().backward()
        return primal, tangent, [p.grad for p in net.parameters()][:3]

    same(program)


def test_directions_of_parameters():
    def program(T):
        f = module(T)
        T.manual_seed(0)
        net = T.nn.Linear(4, 3).double()
        with f.dual_level():
            for name, p in [*net.named_parameters()]:
                delattr(net, name)
                setattr(net, name, f.make_dual(p.detach(), T.ones_like(p.detach())))
            return f.unpack_dual(net(data(T, 2, 4)))

    same(program)


def test_gradients_of_primals():
    def program(T):
        f = module(T)
        x = data(T, 3).requires_grad_()
        v = data(T, 3, seed=1).requires_grad_()
        with f.dual_level():
            primal, tangent = f.unpack_dual(f.make_dual(x, v).exp().square())
        return T.autograd.grad(primal.sum() + tangent.sum(), [x, v])

    same(program)


def test_levels_by_hand_and_as_a_decorator():
    def program(T):
        f = module(T)
        level = f.enter_dual_level()
        found = f.unpack_dual(f.make_dual(data(T, 2), data(T, 2), level=level).exp(), level=level)
        f.exit_dual_level(level=level)

        @f.dual_level()
        def directional(x, v):
            return f.unpack_dual(f.make_dual(x, v).exp()).tangent

        return level, found, directional(data(T, 2), data(T, 2)), T.is_grad_enabled()

    same(program)


CALLS = {
    "level": lambda T, f, d: f.make_dual(T.ones(2), T.ones(2), level=4),
    "sizes": lambda T, f, d: f.make_dual(T.ones(2), T.ones(3)),
    "integers": lambda T, f, d: f.make_dual(T.ones(2, dtype=T.int64), T.ones(2)),
    "integer tangents": lambda T, f, d: f.make_dual(T.ones(2), T.ones(2, dtype=T.int64)),
    "dual again": lambda T, f, d: f.make_dual(d, T.ones(2)),
    "dual of a dual": lambda T, f, d: f.make_dual(d * 2, T.ones(2)),
    "dual tangents": lambda T, f, d: f.make_dual(T.ones(2), d),
    "nested": lambda T, f, d: f.enter_dual_level(),
    "another level": lambda T, f, d: f.exit_dual_level(level=3),
    "no tensor": lambda T, f, d: f.unpack_dual(3),
}


@pytest.mark.parametrize("name", CALLS)
def test_errors_in_a_level(name):
    def program(T):
        f = module(T)
        with f.dual_level():
            return CALLS[name](T, f, f.make_dual(T.ones(2), T.ones(2)))

    same(program)


def test_errors_without_a_level():
    same(lambda T: module(T).make_dual(T.ones(2), T.ones(2)))
    with pytest.raises(RuntimeError):
        module(rushlight).exit_dual_level()
