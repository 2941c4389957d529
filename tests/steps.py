"""What the random programs of `test_fuzz.py` are made of: steps by name, for either library.

Every step is a function of the library `T` and of tensors; those of `LEAVES` are functions of numbers.
A step that makes no sense for its tensors raises, which is an observable too.
"""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

SHAPES = [(2, 3), (3,), (), (1,), (3, 1), (1, 3), (2, 2, 3), (2, 2), (0,), (2, 0)]
DTYPES = [
    "float64",
    "float32",
    "int64",
    "bool",
    "float16",
    "bfloat16",
    "int32",
    "uint8",
    "complex64",
    "complex128",
]

Steps = dict[str, Callable]


# ---- leaves: from numbers ----


def leaf(T: Any, shape: int, kind: int, seed: int) -> Any:
    """Small whole numbers, so that sums and products of integers and half floats are exact for a while."""
    name = DTYPES[kind % len(DTYPES)]
    values = np.random.default_rng(seed).integers(
        0 if name == "uint8" else -3, 4, SHAPES[shape % len(SHAPES)]
    )
    made = T.tensor(values.tolist(), dtype=getattr(T, name))
    return made.requires_grad_() if seed % 3 and made.dtype.is_floating_point else made


LEAVES: Steps = {
    "leaf": leaf,
    "double leaf": lambda T, shape, kind, seed: leaf(T, shape, 0, seed),
    "float leaf": lambda T, shape, kind, seed: leaf(T, shape, 1, seed),
    "matrix": lambda T, shape, kind, seed: leaf(T, 0, 0, 1),
    "complex leaf": lambda T, shape, kind, seed: leaf(T, shape, 9, 0).requires_grad_(),
    "arange": lambda T, shape, kind, seed: T.arange(6.0).view(2, 3),
    "in inference": lambda T, shape, kind, seed: _in_inference(T, lambda: leaf(T, shape, 0, 0)),
}


def _in_inference(T: Any, function: Callable) -> Any:
    with T.inference_mode():
        return function()


# ---- results in memory of their own ----

FRESH: Steps = {
    "neg": lambda T, x: -x,
    "abs": lambda T, x: x.abs(),
    "relu": lambda T, x: x.relu(),
    "exp": lambda T, x: (x * 0.1).exp(),
    "log": lambda T, x: (x * x + 1).log(),
    "sqrt": lambda T, x: (x * x + 1).sqrt(),
    "tanh": lambda T, x: x.tanh(),
    "sin": lambda T, x: x.sin(),
    "sigmoid": lambda T, x: T.sigmoid(x),
    "square": lambda T, x: x * x,
    "pow 2": lambda T, x: x**2,
    "pow 3.": lambda T, x: x**3.0,
    "2 pow": lambda T, x: 2**x,
    "reciprocal": lambda T, x: 1 / (x * x + 1),
    "sign": lambda T, x: x.sign(),
    "round": lambda T, x: (x / 2).round(),
    "clamp": lambda T, x: x.clamp(-1, 2),
    "clamp min": lambda T, x: x.clamp(min=0),
    "sum": lambda T, x: x.sum(),
    "sum 0": lambda T, x: x.sum(0),
    "sum -1 kept": lambda T, x: x.sum(-1, keepdim=True),
    "sum double": lambda T, x: x.sum(0, dtype=T.float64),
    "mean": lambda T, x: x.mean(),
    "mean 1": lambda T, x: x.mean(1),
    "prod": lambda T, x: x.prod(),
    "prod 0": lambda T, x: x.prod(0),
    "max": lambda T, x: x.max(),
    "max 0": lambda T, x: x.max(0),
    "min -1": lambda T, x: x.min(-1, keepdim=True),
    "amax": lambda T, x: x.amax(0),
    "argmax": lambda T, x: x.argmax(),
    "any": lambda T, x: x.any(),
    "std": lambda T, x: x.std(),
    "var 0": lambda T, x: x.var(0),
    "norm": lambda T, x: (x * x + 1).norm(),
    "norm 0": lambda T, x: x.norm(dim=0),
    "logsumexp": lambda T, x: x.logsumexp(0),
    "softmax": lambda T, x: x.softmax(-1),
    "log_softmax": lambda T, x: x.log_softmax(0),
    "cumsum": lambda T, x: x.cumsum(0),
    "cumprod": lambda T, x: x.cumprod(-1),
    "sort": lambda T, x: T.sort(x, stable=True),
    "flip": lambda T, x: x.flip(0),
    "roll": lambda T, x: x.roll(1),
    "repeat": lambda T, x: x.repeat(2, 1),
    "tril": lambda T, x: x.tril(),
    "cat": lambda T, x: T.cat([x, x]),
    "stack": lambda T, x: T.stack([x, x], -1),
    "clone": lambda T, x: x.clone(),
    "contiguous": lambda T, x: x.contiguous(),
    "zeros_like": lambda T, x: T.zeros_like(x),
    "ones_like": lambda T, x: T.ones_like(x),
    "double": lambda T, x: x.double(),
    "float": lambda T, x: x.float(),
    "half": lambda T, x: x.half(),
    "bfloat16": lambda T, x: x.bfloat16(),
    "long": lambda T, x: x.long(),
    "to bool": lambda T, x: x.bool(),
    "complex": lambda T, x: x.to(T.complex128),
    "conj": lambda T, x: x.conj() * 1,
    "not": lambda T, x: ~x,
    "masked_fill": lambda T, x: x.masked_fill(x > 1, 0.5),
    "nan_to_num": lambda T, x: x.nan_to_num(0.0, 9.0, -9.0),
    "list index": lambda T, x: x[[0, 0]],
    "tensor index": lambda T, x: x[..., T.tensor([0, -1])],
    "pair index": lambda T, x: x[[0, 1], [1, 0]],
    "mask": lambda T, x: x[x > 0],
    "nonzero": lambda T, x: x.nonzero(),
    "index_select": lambda T, x: x.index_select(0, T.tensor([0, 0])),
    "gather": lambda T, x: x.gather(0, T.zeros_like(x, dtype=T.int64)),
    "einsum": lambda T, x: T.einsum("ij,kj->ik", x, x),
    "outer": lambda T, x: T.outer(x, x),
    "var_mean": lambda T, x: T.var_mean(x, -1),
    "median": lambda T, x: x.median(),
    "topk": lambda T, x: x.topk(1, 0)[0],
    "argsort": lambda T, x: x.argsort(dim=0, stable=True),
    "cummax": lambda T, x: x.cummax(0),
    "unique": lambda T, x: x.unique(),
    "diff": lambda T, x: x.diff(dim=-1),
    "count_nonzero": lambda T, x: x.count_nonzero(),
    "nansum": lambda T, x: x.nansum(0),
    "trace": lambda T, x: x.trace(),
    "isfinite": lambda T, x: x.isfinite(),
    "logical_not": lambda T, x: x.logical_not(),
    "where tuple": lambda T, x: T.where(x > 0),
    "bmm": lambda T, x: x[None] @ x[None].transpose(-1, -2),
    "addmm": lambda T, x: T.addmm(x, x, x.new_ones(x.shape[-1], x.shape[-1])),
    "mean of rows": lambda T, x: x - x.mean(0, keepdim=True),
    "new_zeros": lambda T, x: x.new_zeros(2, 3),
    "deepcopy": lambda T, x: copy.deepcopy(x),
    "copy": lambda T, x: copy.copy(x),
    "pickle": lambda T, x: pickle.loads(pickle.dumps(x)),
    "numpy": lambda T, x: T.from_numpy(x.detach().numpy()),
}

BINARY: Steps = {
    "+": lambda T, x, y: x + y,
    "-": lambda T, x, y: x - y,
    "*": lambda T, x, y: x * y,
    "/": lambda T, x, y: x / (y.abs() + 1),
    "//": lambda T, x, y: x // (y.abs() + 1),
    "%": lambda T, x, y: x % (y.abs() + 1),
    "div trunc": lambda T, x, y: T.div(x, y.abs() + 1, rounding_mode="trunc"),
    "**": lambda T, x, y: (x.abs() + 1) ** y.clamp(-2, 2),
    "fmod": lambda T, x, y: T.fmod(x, y.abs() + 1),
    "hypot": lambda T, x, y: T.hypot(x, y),
    "atan2": lambda T, x, y: T.atan2(x, y),
    "<<": lambda T, x, y: x << (y & 3),
    "isclose": lambda T, x, y: T.isclose(x, y),
    "take_along_dim": lambda T, x, y: T.take_along_dim(x, y.abs().long() % 2, 0),
    "x[y]": lambda T, x, y: x[y],
    "maximum": lambda T, x, y: T.maximum(x, y),
    "minimum": lambda T, x, y: x.minimum(y),
    "<": lambda T, x, y: x < y,
    "==": lambda T, x, y: x == y,
    "&": lambda T, x, y: x & y,
    "^": lambda T, x, y: x ^ y,
    "alpha": lambda T, x, y: T.add(x, y, alpha=2),
    "lerp": lambda T, x, y: T.lerp(x, y, 0.25),
    "addcmul": lambda T, x, y: T.addcmul(x, y, y, value=2),
    "where": lambda T, x, y: T.where(x > 0, x, y),
    "where number": lambda T, x, y: T.where(y > 0, x, 0.5),
    "matmul": lambda T, x, y: x @ y,
    "mm": lambda T, x, y: T.mm(x, y),
    "matmul t": lambda T, x, y: x @ y.transpose(-1, -2),
    "mul sum": lambda T, x, y: (x * y).sum(),
    "cat two": lambda T, x, y: T.cat([x, y], -1),
    "stack two": lambda T, x, y: T.stack([x, y]),
    "index_put": lambda T, x, y: x.index_put((T.tensor([0, -1]),), y),
    "index_add": lambda T, x, y: x.index_add(0, T.tensor([0]), y),
    "scatter": lambda T, x, y: x.scatter(0, T.zeros_like(y, dtype=T.int64), y),
    "masked_scatter": lambda T, x, y: x.masked_scatter(x > 0, y),
    "select_scatter": lambda T, x, y: x.select_scatter(y, 0, 0),
    "expand_as": lambda T, x, y: x.expand_as(y),
    "broadcast": lambda T, x, y: T.broadcast_tensors(x, y),
    "type_as": lambda T, x, y: x.type_as(y),
    "copy pair": lambda T, x, y: copy.deepcopy([x, y]),
    "pickle pair": lambda T, x, y: pickle.loads(pickle.dumps((x, y))),
}

# ---- other handles on the same memory ----

VIEWS: Steps = {
    "x[0]": lambda T, x: x[0],
    "x[-1:]": lambda T, x: x[-1:],
    "x[..., 1:]": lambda T, x: x[..., 1:],
    "x[::2]": lambda T, x: x[::2],
    "x[None]": lambda T, x: x[None],
    "x[:, 0]": lambda T, x: x[:, 0],
    "x[...]": lambda T, x: x[...],
    "T": lambda T, x: x.T,
    "t": lambda T, x: x.t(),
    "transpose": lambda T, x: x.transpose(0, -1),
    "movedim": lambda T, x: x.movedim(0, -1),
    "permute": lambda T, x: x.permute(*reversed(range(x.dim()))),
    "view": lambda T, x: x.view(-1),
    "view_as": lambda T, x: x.view_as(x),
    "view dtype": lambda T, x: x.view(T.int32),
    "reshape": lambda T, x: x.reshape(-1),
    "reshape 3": lambda T, x: x.reshape(3, -1),
    "flatten": lambda T, x: x.flatten(),
    "expand": lambda T, x: x.expand(2, *x.shape),
    "squeeze": lambda T, x: x.squeeze(),
    "unsqueeze": lambda T, x: x.unsqueeze(-1),
    "diagonal": lambda T, x: x.diagonal(),
    "narrow": lambda T, x: x.narrow(0, 0, 1),
    "select": lambda T, x: x.select(-1, 0),
    "unbind": lambda T, x: x.unbind(0),
    "chunk": lambda T, x: x.chunk(2),
    "split": lambda T, x: x.split(1, -1)[:2],
    "unfold": lambda T, x: x.unfold(-1, 2, 1),
    "as_strided": lambda T, x: x.as_strided((2, 2), (1, 1)),
    "real": lambda T, x: x.real,
    "view_as_real": lambda T, x: T.view_as_real(x),
    "detach": lambda T, x: x.detach(),
    "data": lambda T, x: x.data,
    "same": lambda T, x: x,
}

# ---- writes ----

WRITES: Steps = {
    "add_": lambda T, x, y: x.add_(y),
    "mul_": lambda T, x, y: x.mul_(y),
    "sub_": lambda T, x, y: x.sub_(y, alpha=2),
    "div_": lambda T, x, y: x.div_(y.abs() + 1),
    "copy_": lambda T, x, y: x.copy_(y),
    "x[0] = y": lambda T, x, y: x.__setitem__(0, y),
    "x[...] = y": lambda T, x, y: x.__setitem__(Ellipsis, y),
    "x[1:] = y": lambda T, x, y: x.__setitem__(slice(1, None), y),
    "x[:, 0] = y": lambda T, x, y: x.__setitem__((slice(None), 0), y),
    "x[0] += y": lambda T, x, y: _add_to_item(x, 0, y),
    "x[[0, -1]] = y": lambda T, x, y: x.__setitem__([0, -1], y),
    "x[mask] = 1": lambda T, x, y: x.__setitem__(y > 0, 1),
    "x[mask] = y[mask]": lambda T, x, y: x.__setitem__(x > 0, y[x > 0]),
    "x[0] = 2.5": lambda T, x, y: x.__setitem__(0, 2.5),
    "x += y": lambda T, x, y: x.__iadd__(y),
    "x *= y": lambda T, x, y: x.__imul__(y),
    "x &= y": lambda T, x, y: x.__iand__(y),
    "fill_": lambda T, x, y: x.fill_(0.5),
    "fill_ tensor": lambda T, x, y: x.fill_(y),
    "zero_": lambda T, x, y: x.zero_(),
    "relu_": lambda T, x, y: x.relu_(),
    "sigmoid_": lambda T, x, y: x.sigmoid_(),
    "tanh_": lambda T, x, y: x.tanh_(),
    "neg_": lambda T, x, y: x.neg_(),
    "pow_": lambda T, x, y: x.pow_(2),
    "scale": lambda T, x, y: x.mul_(0.5),
    "add 1": lambda T, x, y: x.add_(1),
    "clamp_": lambda T, x, y: x.clamp_(max=1),
    "lerp_": lambda T, x, y: x.lerp_(y, 0.5),
    "addcmul_": lambda T, x, y: x.addcmul_(y, y),
    "masked_fill_": lambda T, x, y: x.masked_fill_(x > 0, 3),
    "masked_fill_ tensor": lambda T, x, y: x.masked_fill_(x > 0, y),
    "masked_scatter_": lambda T, x, y: x.masked_scatter_(x > 0, y),
    "index_put_": lambda T, x, y: x.index_put_((T.tensor([0, 0]),), y, accumulate=True),
    "index_add_": lambda T, x, y: x.index_add_(0, T.tensor([0]), y),
    "index_copy_": lambda T, x, y: x.index_copy_(0, T.tensor([0]), y),
    "index_fill_": lambda T, x, y: x.index_fill_(0, T.tensor([0]), 2),
    "scatter_": lambda T, x, y: x.scatter_(0, T.zeros_like(y, dtype=T.int64), y),
    "scatter_add_": lambda T, x, y: x.scatter_add_(0, T.zeros_like(y, dtype=T.int64), y),
    "cumsum_": lambda T, x, y: x.cumsum_(0),
    "tril_": lambda T, x, y: x.tril_(),
    "eq_": lambda T, x, y: x.eq_(y),
    "out": lambda T, x, y: T.add(y.clone(), 1, out=x if x.shape == y.shape else None),
    "mul out": lambda T, x, y: T.mul(x, y, out=x if x.shape == y.shape else None),
    "sum out": lambda T, x, y: T.sum(y, 0, out=x if x.shape == y.shape[1:] else None),
    "numpy write": lambda T, x, y: _write_by_numpy(x),
    "t_": lambda T, x, y: x.t_(),
    "transpose_": lambda T, x, y: x.transpose_(0, -1),
    "squeeze_": lambda T, x, y: x.squeeze_(),
    "unsqueeze_": lambda T, x, y: x.unsqueeze_(0),
    "detach_": lambda T, x, y: x.detach_(),
}


def _add_to_item(x: Any, index: Any, y: Any) -> None:
    x[index] += y


def _write_by_numpy(x: Any) -> None:
    x.detach().numpy()[...] *= 2


# ---- gradients ----

GRADIENTS: Steps = {
    "backward": lambda T, x: x.sum().backward(),
    "backward, kept": lambda T, x: x.sum().backward(retain_graph=True),
    "backward of the square": lambda T, x: (x * x).sum().backward(),
    "backward, weighted": lambda T, x: x.backward(T.ones_like(x) * 2),
    "backward itself": lambda T, x: x.backward(),
    "requires_grad_": lambda T, x: x.requires_grad_(),
    "requires_grad_(False)": lambda T, x: x.requires_grad_(False),
    "requires_grad = True": lambda T, x: setattr(x, "requires_grad", True),
    "retain_grad": lambda T, x: x.retain_grad(),
    "grad = None": lambda T, x: setattr(x, "grad", None),
    "grad.zero_()": lambda T, x: x.grad.zero_(),
    "the gradient": lambda T, x: x.grad,
    "scaling hook": lambda T, x: x.register_hook(lambda g: g * 2) and None,
    "hook in place": lambda T, x: x.register_hook(_negate) and None,
    "step": lambda T, x: _step(T, x),
    "hook after": lambda T, x: x.register_post_accumulate_grad_hook(_halve_gradient) and None,
    "grad *= 2": lambda T, x: x.grad.mul_(2),
}
GRADIENTS_OF_TWO: Steps = {
    "grad": lambda T, x, y: T.autograd.grad(x.sum(), y, retain_graph=True),
    "grad, freed": lambda T, x, y: T.autograd.grad(x.sum(), y),
    "grad unused": lambda T, x, y: T.autograd.grad((x * x).sum(), y, allow_unused=True, retain_graph=True),
    "grads of two": lambda T, x, y: T.autograd.grad((x * y).sum(), (x, y), retain_graph=True),
    "grad of two": lambda T, x, y: T.autograd.grad((x.sum(), y.sum()), y, retain_graph=True),
    "backward inputs": lambda T, x, y: x.sum().backward(inputs=[y], retain_graph=True),
    "grad = y": lambda T, x, y: setattr(x, "grad", y.detach()),
}
#: differentiating recorded derivatives: their nodes are those of the derivatives' formulas
DOUBLE: Steps = {
    "grad of the square": lambda T, x, y: T.autograd.grad(
        (x * x).sum(), y, allow_unused=True, create_graph=True
    ),
    "grad, recorded": lambda T, x, y: T.autograd.grad(x.sum(), y, create_graph=True),
    "backward, recorded": lambda T, x, y: (x * x).sum().backward(create_graph=True),
}


def _halve_gradient(x: Any) -> None:
    if x.grad is not None:
        x.grad = x.grad / 2


def _negate(g: Any) -> Any:
    return g.neg()


def _step(T: Any, x: Any) -> None:
    with T.no_grad():
        x -= 0.25 * x.grad


# ---- user functions ----


@functools.cache
def user_functions(T: Any) -> Any:
    """Functions with derivatives of their own, made for one library."""

    class Scale(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return (g * y).sum_to_size(x.shape), (g * x).sum_to_size(y.shape)

    class Dirty(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    class View(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.view(-1)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    class Two(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            positive = x > 0
            ctx.mark_non_differentiable(positive)
            ctx.save_for_backward(positive)
            return x * 2, positive, x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any, unused: Any, h: Any) -> Any:
            (positive,) = ctx.saved_tensors
            return g * 2 * positive + h

    class Itself(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    return Scale, Dirty, View, Two, Itself


USER: Steps = {
    "Scale": lambda T, x, y: user_functions(T)[0].apply(x, y),
    "Dirty": lambda T, x, y: user_functions(T)[1].apply(x),
    "View": lambda T, x, y: user_functions(T)[2].apply(x),
    "Two": lambda T, x, y: user_functions(T)[3].apply(x),
    "Itself": lambda T, x, y: user_functions(T)[4].apply(x),
}
