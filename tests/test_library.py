"""`torch.library` and `torch.ops`: operations of a program's own, as PyTorch runs them."""

import itertools
from typing import Any

import pytest
import torch
from both import same

import rushlight

_numbers = itertools.count()


def _name() -> str:
    return f"shop{next(_numbers)}"


def _cube(T: Any, space: str) -> Any:
    @T.library.custom_op(f"{space}::cube", mutates_args=())
    def cube(x: T.Tensor, scale: float = 2.0) -> T.Tensor:
        return x**3 * scale

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.scale = inputs
        ctx.save_for_backward(x)

    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 3 * x**2 * ctx.scale, None

    cube.register_autograd(backward, setup_context=setup)
    return cube


def test_gradients_and_defaults() -> None:
    space = _name()

    def program(T: Any) -> Any:
        cube = _cube(T, space)
        x = T.tensor([1.0, 2.0], requires_grad=True)
        cube(x).sum().backward()
        called = getattr(T.ops, space).cube
        return (
            x.grad,
            called(x.detach(), scale=3.0),
            called.default(x.detach()),
            str(called),
            str(called.default),
        )

    same(program)


def test_refused() -> None:
    space = _name()

    def no_gradient(T: Any) -> Any:
        @T.library.custom_op(f"{space}::twice", mutates_args=())
        def twice(x: T.Tensor) -> T.Tensor:
            return x * 2

        return twice(T.ones(2, requires_grad=True)).sum().backward()

    same(no_gradient, text=False)
    same(lambda T: T.library.custom_op("twice", lambda x: x, mutates_args=()), text=False)
    same(lambda T: T.library.Library(space, "OTHER"))
    same(lambda T: getattr(T.ops, space).nothing, text=False)
    same(lambda T: T.ops.load_library("/nowhere.so"), text=False)


def test_result_that_is_an_argument() -> None:
    @rushlight.library.custom_op("shop::same", mutates_args=())
    def same_one(x: rushlight.Tensor) -> rushlight.Tensor:
        return x

    with pytest.raises(RuntimeError, match="may not alias any inputs"):
        same_one(rushlight.ones(2))


def test_written_arguments() -> None:
    space = _name()

    def program(T: Any) -> Any:
        @T.library.custom_op(f"{space}::fill", mutates_args={"x"})
        def fill(x: T.Tensor, value: float) -> None:
            x.fill_(value)

        x = T.zeros(2)
        return fill(x, 3.0), x

    same(program)


def test_define_and_implement() -> None:
    space = _name()

    def program(T: Any) -> Any:
        lib = T.library.Library(space, "FRAGMENT")
        lib.define("half(Tensor x) -> Tensor")
        lib.impl("half", lambda x: x / 2, "CPU")
        T.library.define(f"{space}::third", "(Tensor x) -> Tensor")
        T.library.impl(f"{space}::third", "cpu", lambda x: x / 3)
        own = getattr(T.ops, space)
        out = own.half(T.ones(2)), own.third(T.ones(1))
        lib._destroy() if T is torch else None
        return out

    same(program)


def test_schemas() -> None:
    def shown(T: Any, written: Any = ()) -> Any:
        def f(
            x: T.Tensor, sizes: list[int], y: T.Tensor | None = None, *, n: int = 2, mode: str = "a"
        ) -> T.Tensor:
            return x

        def g(x: T.Tensor) -> tuple[T.Tensor, T.Tensor]:
            return x, x

        def h(x: T.Tensor) -> None: ...

        return [T.library.infer_schema(one, mutates_args=written) for one in (f, g, h)]

    same(lambda T: shown(T))
    same(lambda T: shown(T, {"x"})[2])

    def several(T: Any) -> Any:
        def f(n: int, x: T.Tensor, many: list[T.Tensor], y: T.Tensor | None = None) -> None: ...

        return [T.library.infer_schema(f, mutates_args=written) for written in ({"y", "x"}, "unknown")]

    same(several)
    same(lambda T: T.library.infer_schema(lambda x: x, mutates_args=()), text=False)


def test_aten() -> None:
    same(lambda T: T.ops.aten.add.Tensor(T.ones(2), 1))
    same(lambda T: [str(T.ops.aten.mul), str(T.ops.aten.mul.Tensor), T.ops.aten.mul.Tensor.name()])
    same(lambda T: T.ops.aten.add.Tensor is T.ops.aten.add.Tensor)
    with pytest.raises(NotImplementedError, match=r"torch\.ops\.aten\._nobodys"):
        rushlight.ops.aten._nobodys(1)
