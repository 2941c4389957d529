"""Steps for random programs on tensors so large that work on them may wait, and is shared between threads.

Nothing is compared until a program looks, so rounding adds up: the steps keep values near one, stay away from
cancellation, and take what has a kink (`relu`, `maximum`) of values alone, whose gradients no rounding can turn over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from steps import GRADIENTS, GRADIENTS_OF_TWO, VIEWS, WRITES, Steps

SHAPES = [
    (160, 140),
    (160, 140),
    (160, 140),
    (140,),
    (160, 1),
    (1, 140),
    (2, 80, 140),
    (),
    (600, 700),
    (2, 300, 700),
]
DTYPES = ["float32", "float32", "float32", "float64", "int64"]


def leaf(T: Any, shape: int, kind: int, seed: int) -> Any:
    name = DTYPES[kind % len(DTYPES)]
    values = np.random.default_rng(seed).standard_normal(SHAPES[shape % len(SHAPES)])
    made = T.tensor(values * 2, dtype=T.float64).to(getattr(T, name))
    return made.requires_grad_() if seed % 3 and made.dtype.is_floating_point else made


LARGE_LEAVES: Steps = {
    "large leaf": leaf,
    "large matrix": lambda T, shape, kind, seed: leaf(T, 0, 0, seed),
}

LARGE_FRESH: Steps = {
    "negated": lambda T, x: -x,
    "cloned": lambda T, x: x.clone(),
    "in rows": lambda T, x: x.contiguous(),
    "tanh of": lambda T, x: x.tanh(),
    "exp of tanh": lambda T, x: x.tanh().exp(),
    "sin of": lambda T, x: T.sin(x.tanh() * 3),
    "log of": lambda T, x: (x * x + 1).log(),
    "sqrt of": lambda T, x: (x * x + 1).sqrt(),
    "reciprocal of": lambda T, x: 1 / (x * x + 1),
    "chain": lambda T, x: ((x.tanh() * 2 + 1) * 0.5 - x.sigmoid()) / 3,
    "relu of values": lambda T, x: x.detach().relu(),
    "clamped values": lambda T, x: x.detach().clamp(-1, 1),
    "abs by where": lambda T, x: T.where(x.detach() > 0, x.detach(), -x.detach()),
    "softmax of tanh": lambda T, x: x.tanh().softmax(-1),
    "logsumexp of tanh": lambda T, x: x.tanh().logsumexp(0),
    "mean of all": lambda T, x: x.mean(dtype=T.float64),
    "mean over 0": lambda T, x: x.double().mean(0),
    "mean over -1": lambda T, x: (x * 1.0).mean(-1, keepdim=True),
    "sum over 0": lambda T, x: x.sum(0) * 0.01,
    "variance": lambda T, x: (x * 1.0).var(-1),
    "largest": lambda T, x: x.detach().amax(0),
    "scan": lambda T, x: x.cumsum(0) * 0.01,
    "scan of rows": lambda T, x: (x * 0.01).cumsum(-1),
    "without the mean": lambda T, x: x - x.tanh().mean(0, keepdim=True),
    "double of": lambda T, x: x.double(),
    "float of": lambda T, x: x.float(),
    "long of": lambda T, x: (x.detach() * 0).long() + 2,
    "flipped": lambda T, x: x.flip(0),
    "rolled": lambda T, x: x.roll(1),
    "lower": lambda T, x: x.tril(),
    "joined": lambda T, x: T.cat([x, x[:1]]),
    "some rows": lambda T, x: x.index_select(0, T.tensor([0, 0, -1 % x.shape[0]])),
    "zeros": lambda T, x: T.zeros_like(x),
}

LARGE_BINARY: Steps = {
    "mean of two": lambda T, x, y: (x + y) * 0.5,
    "half the difference": lambda T, x, y: (x - y) * 0.5,
    "bounded product": lambda T, x, y: x * y.tanh(),
    "quotient": lambda T, x, y: x / (y * y + 1),
    "lerp of two": lambda T, x, y: T.lerp(x, y, 0.25),
    "addcmul of two": lambda T, x, y: T.addcmul(x, y.tanh(), y.tanh(), value=0.5),
    "larger values": lambda T, x, y: T.maximum(x.detach(), y.detach()),
    "hypot of two": lambda T, x, y: T.hypot(x, y + 0.0).detach(),
    "sum of products": lambda T, x, y: (x * y.tanh()).mean(),
    "small product": lambda T, x, y: x[..., :8] @ y[..., :8].transpose(-1, -2),
}

LARGE_WRITES: Steps = {
    "add a half": lambda T, x, y: x.add_(y, alpha=0.5),
    "times tanh": lambda T, x, y: x.mul_(y.tanh()),
    "into": lambda T, x, y: T.mul(
        x.detach(), 0.5, out=y if x.shape == y.shape and not y.requires_grad else None
    ),
    "two halves": lambda T, x, y: (x[:1].mul_(0.5), x[1:].add_(0.5)) and None,
}

_VIEWS = """x[0] x[-1:] x[..., 1:] x[::2] x[None] x[:, 0] x[...] T transpose view view_as flatten expand unsqueeze squeeze
narrow select chunk detach data same diagonal"""
_WRITES = """x[0] = y|x[...] = y|x[1:] = y|x[:, 0] = y|copy_|fill_|zero_|tanh_|sigmoid_|neg_|scale|add 1|lerp_|tril_
|x[0] = 2.5|numpy write"""
_GRADIENTS = "backward|backward, kept|requires_grad_|retain_grad|grad = None|the gradient|hook in place|step"

LARGE_VIEWS: Steps = {name: VIEWS[name] for name in VIEWS if f" {name} " in f" {' '.join(_VIEWS.split())} "}
LARGE_CHANGES: Steps = {
    **LARGE_WRITES,
    **{name: WRITES[name] for name in _WRITES.replace("\n", "").split("|")},
}
LARGE_GRADIENTS: Steps = {
    **{name: GRADIENTS[name] for name in _GRADIENTS.split("|")},
    **{name: GRADIENTS_OF_TWO[name] for name in ("grad", "grads of two", "grad unused")},
}
