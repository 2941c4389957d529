"""Whole sequences through recurrent units as one node of the graph, with derivatives written by hand.

A step of a unit on small matrices is some ten operations of a microsecond each; on the tape, each would cost as much again,
and its derivative more. Here a loop over arrays makes the steps, backwards too (Werbos, "Backpropagation
through time", 1990): a product, and one loop of our own; in short sequences of small states NumPy's loops, and then what
the derivatives share is computed for all steps at once before. The gradient of the weights is one product at the end. Second derivatives go through the units' definition in operations, which the caller gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.autograd import Function, grad
from rushlight.batched import Batched
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import float32, float64
from rushlight.graph.trace import instruction
from rushlight.memory import address, array
from rushlight.ops.kinds.contraction import product
from rushlight.ops.kinds.reduction import own_sum
from rushlight.runtime.blas import multiplied
from rushlight.runtime.deferral import stepwise
from rushlight.runtime.execute import quiet
from rushlight.runtime.small_products import successive
from rushlight.tape.modes import MODES

Arrays = tuple[np.ndarray, ...]


def recurs(x: Tensor, tensors: Sequence[Tensor | None]) -> bool:
    """Whether a unit's input, state and weights are such that :class:`Recurrence` takes them."""
    if any(isinstance(t, Batched) for t in (x, *tensors)):
        return False
    return x._dtype in (float32, float64) and all(
        t is None or t._dtype is x._dtype and t._a.size > 0 for t in (x, *tensors)
    )


class Recurrence(Function):
    """`apply(unit, steps, reverse, composed, x, weight, bias, *state)`: all outputs, then the last state.

    Args:
        x: what the inputs add to the gates, (steps * batch, gates * hidden).
        composed: a function of the tensors that gives the same through operations.
    """

    @staticmethod
    def forward(ctx: Any, unit: Any, steps: int, reverse: bool, composed: Callable, *tensors: Any) -> Any:
        x, weight, bias, *state = tensors
        arrays = _in_time(x._a, steps, reverse), weight._a, None if bias is None else bias._a
        outputs = np.empty((steps, *state[0]._a.shape), x._a.dtype)
        last, kept = quiet(unit.ahead, *arrays, [s._a for s in state], outputs[:: -1 if reverse else 1])
        # The program may write to what it gets: backward has outputs of its own, as it would in single steps.
        made = new_tensor(outputs.reshape(-1, outputs.shape[2]).copy(), x._dtype)
        ctx.unit, ctx.steps, ctx.reverse, ctx.composed = unit, steps, reverse, composed
        ctx.kept, ctx.outputs = kept, outputs
        ctx.save_for_backward(*tensors)
        return made, *[new_tensor(s, x._dtype) for s in last]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        tensors = ctx.saved_tensors
        if MODES.grad:
            return None, None, None, None, *_composed_backward(ctx.composed, tensors, gradients)
        x, weight, bias, *state = tensors
        g_outputs = _in_time(gradients[0]._a, ctx.steps, ctx.reverse)
        outputs = ctx.outputs[:: -1 if ctx.reverse else 1]
        before = np.concatenate([state[0]._a[None], outputs[:-1]])
        to_x, to_gates, to_state = quiet(
            ctx.unit.back, ctx.kept, weight._a, before, outputs, g_outputs, [g._a for g in gradients[1:]]
        )
        rows = to_gates.reshape(-1, to_gates.shape[2])
        found = (
            (to_x[::-1] if ctx.reverse else to_x).reshape(x._a.shape),
            product(rows.T, before.reshape(-1, before.shape[2])),
            None if bias is None else own_sum(rows, (0,), False),
            *to_state,
        )
        return None, None, None, None, *[None if a is None else new_tensor(a, x._dtype) for a in found]


def _in_time(rows: np.ndarray, steps: int, reverse: bool) -> np.ndarray:
    """(steps * batch, n) as (steps, batch, n), in the order in which the unit takes the steps."""
    a = rows.reshape(steps, -1, rows.shape[1])
    return a[::-1] if reverse else a


def _composed_backward(composed: Callable, tensors: list, gradients: tuple) -> list:
    """Gradients that can be differentiated: those of the same computation in operations."""
    wanted = [t for t in tensors if t is not None and t.requires_grad]
    output, last = composed(*tensors)
    found = iter(grad((output, *last), wanted, gradients, create_graph=True, allow_unused=True))
    return [next(found) if t is not None and t.requires_grad else None for t in tensors]


def _gates(
    x: np.ndarray, bias: np.ndarray | None, count: int, hidden: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inputs' part of the gates with the bias; memory for all gates, flat and by gate."""
    x = np.ascontiguousarray(x) if bias is None else x + bias
    flat = array(x.shape, x.dtype)
    return x, flat, flat.reshape(*x.shape[:2], count, hidden)


def _multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    multiplied(np.dot, a.size * b.shape[1], a, b, out)


def _sigmoid(x: np.ndarray, scratch: np.ndarray) -> None:
    """1 / (1 + exp(-x)) in place, computed in the double precision of `scratch` and rounded once."""
    np.negative(x, scratch)
    np.exp(scratch, scratch)
    np.add(scratch, 1, scratch)
    np.divide(1, scratch, x, casting="same_kind")


def _tanh(x: np.ndarray, out: np.ndarray) -> None:
    np.tanh(x, out, dtype=np.float64, casting="same_kind")


def _by_gate(gates: np.ndarray) -> list[np.ndarray]:
    """(steps, batch, gates, hidden) as one array for each gate."""
    return [gates[:, :, n] for n in range(gates.shape[2])]


def _always(a: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """The same memory at every step."""
    return np.ndarray((*steps, *a.shape), a.dtype, a, 0, (0, *a.strides))


# ---- long short-term memory ----


def _places(a: np.ndarray) -> np.ndarray:
    """Where the entries begin."""
    return address(a) + np.arange(len(a)) * a.strides[0]


def _lstm_ahead(
    step: Callable[[int], None], h: np.ndarray, weight: np.ndarray, gates: np.ndarray, outputs: np.ndarray
) -> None:
    """Steps ahead: what the state adds to the gates, then what becomes of them."""
    h, weight = np.ascontiguousarray(h), np.ascontiguousarray(weight.T)
    states = np.append(address(h), _places(outputs)[:-1])
    multiply = successive(h, states, weight, gates[0], _places(gates))
    for t, z in enumerate(gates):
        if multiply is None:
            np.dot(outputs[t - 1] if t else h, weight, z)
        else:
            multiply(t)
        step(t)


def _lstm_back(step: Callable[[int], None], gates: np.ndarray, weight: np.ndarray, dh: np.ndarray) -> None:
    """Steps back: what flows to the gates, then from them to the state."""
    weight = np.ascontiguousarray(weight)
    multiply = successive(gates[0], _places(gates), weight, dh, np.full(len(gates), address(dh)))
    for t in range(len(gates) - 1, -1, -1):
        step(t)
        if multiply is None:
            np.dot(gates[t], weight, dh)
        else:
            multiply(t)


def _lstm_step(zi: Any, zf: Any, zg: Any, zo: Any, xi: Any, xf: Any, xg: Any, xo: Any, c: Any) -> tuple:
    """What comes from the state and from the input, and the cells, to gates, next cells, their tanh, and next state."""
    i, f, o = [instruction("sigmoid", z, z) for z in (zi + xi, zf + xf, zo + xo)]
    g = np.tanh(zg + xg)
    c = f * c + i * g
    turned = np.tanh(c)
    return i, f, g, o, c, turned, o * turned


def _lstm_slopes(i: Any, f: Any, g: Any, o: Any, c: Any, turned: Any, g_out: Any, dh: Any, dc: Any) -> tuple:
    """What flows back to the gates before their functions, and to the cells of the step before."""
    dh = dh + g_out
    dc = dc + dh * (o * (1 - turned * turned))
    return (
        g * i * (1 - i) * dc,
        c * f * (1 - f) * dc,
        i * (1 - g * g) * dc,
        turned * o * (1 - o) * dh,
        dc * f,
    )


class LSTM:
    """Hochreiter and Schmidhuber, 1997: input, forget, cell and output gate; the state is (h, c)."""

    @staticmethod
    def ahead(x: Any, weight: Any, bias: Any, state: list, outputs: np.ndarray) -> tuple[Arrays, Arrays]:
        h, c = state
        hidden = h.shape[1]
        x, flat, gates = _gates(x, bias, 4, hidden)
        cells = array((len(x) + 1, *c.shape), x.dtype)
        cells[0] = c
        turned = array((len(x), *c.shape), x.dtype)
        parts = _by_gate(gates)
        step = stepwise(
            _lstm_step,
            (*parts, *_by_gate(x.reshape(gates.shape)), cells[:-1]),
            (*parts, cells[1:], turned, outputs),
        )
        if step is not None:
            multiplied(_lstm_ahead, h.size * 4 * hidden, step, h, weight, flat, outputs)
            return (outputs[-1].copy(), cells[-1].copy()), (gates, cells, turned)
        scratch, candidate = np.empty(gates.shape[1:]), np.empty_like(c)
        for t, z in enumerate(flat):
            _multiply(h, weight.T, z)
            np.add(z, x[t], z)
            i, f, g, o = gates[t].swapaxes(0, 1)
            _tanh(g, candidate)
            _sigmoid(gates[t], scratch)
            g[...] = candidate
            c = cells[t + 1]
            np.multiply(f, cells[t], c)
            np.add(c, i * g, c)
            _tanh(c, turned[t])
            h = np.multiply(o, turned[t], outputs[t])
        return (h.copy(), c.copy()), (gates, cells, turned)

    @staticmethod
    def back(kept: Arrays, weight: Any, before: Any, outputs: Any, g_outputs: Any, g_last: list) -> tuple:
        gates, cells, turned = kept
        i, f, g, o = _by_gate(gates)
        slope = array(gates.shape, gates.dtype)
        dh, dc = g_last
        flat = slope.reshape(*before.shape[:2], -1)
        dh, dc, both = dh.copy(), dc.copy(), gates.shape[:1]
        step = stepwise(
            _lstm_slopes,
            (i, f, g, o, cells[:-1], turned, g_outputs, _always(dh, both), _always(dc, both)),
            (*_by_gate(slope), _always(dc, both)),
        )
        if step is not None:
            multiplied(_lstm_back, flat[0].size * dh.shape[1], step, flat, weight, dh)
            return flat, flat, (dh, dc)
        slope[:, :, 0] = g * i * (1 - i)
        slope[:, :, 1] = cells[:-1] * f * (1 - f)
        slope[:, :, 2] = i * (1 - g * g)
        slope[:, :, 3] = turned * o * (1 - o)
        through = o * (1 - turned * turned)
        for t in reversed(range(len(slope))):
            dh = dh + g_outputs[t]
            dc = dc + dh * through[t]
            part = slope[t]
            part[:, :3] *= dc[:, None]
            part[:, 3] *= dh
            dc = dc * f[t]
            dh = product(flat[t], weight)
        return flat, flat, (dh, dc)


# ---- gated recurrent unit ----


class GRU:
    """Cho et al., arXiv:1406.1078, with the reset gate behind the product: reset, update and candidate; the state is (h,)."""

    @staticmethod
    def ahead(x: Any, weight: Any, bias: Any, state: list, outputs: np.ndarray) -> tuple[Arrays, Arrays]:
        (h,) = state
        hidden = h.shape[1]
        x, flat, gates = _gates(x, None, 3, hidden)
        products = np.empty((len(x), *h.shape), x.dtype)
        from_h = np.empty(flat.shape[1:], x.dtype)
        scratch, both = np.empty((len(h), 2 * hidden)), 2 * hidden
        for t, z in enumerate(flat):
            _multiply(h, weight.T, from_h)
            if bias is not None:
                np.add(from_h, bias, from_h)
            r_z, n = z[:, :both], z[:, both:]
            np.add(x[t, :, :both], from_h[:, :both], r_z)
            _sigmoid(r_z, scratch)
            products[t] = from_h[:, both:]
            np.add(x[t, :, both:], z[:, :hidden] * products[t], n)
            _tanh(n, n)
            h = np.add((h - n) * z[:, hidden:both], n, outputs[t])
        return (h.copy(),), (gates, products)

    @staticmethod
    def back(kept: Arrays, weight: Any, before: Any, outputs: Any, g_outputs: Any, g_last: list) -> tuple:
        gates, products = kept
        r, z, n = np.moveaxis(gates, 2, 0)
        slope = np.empty_like(gates)
        slope[:, :, 0] = products * r * (1 - r)
        slope[:, :, 1] = (before - n) * z * (1 - z)
        slope[:, :, 2] = r
        candidate = (1 - z) * (1 - n * n)
        (dh,) = g_last
        flat = slope.reshape(*before.shape[:2], -1)
        for t in reversed(range(len(slope))):
            dh = dh + g_outputs[t]
            candidate[t] *= dh
            part = slope[t]
            part[:, ::2] *= candidate[t][:, None]
            part[:, 1] *= dh
            dh = dh * z[t] + product(flat[t], weight)
        to_x = slope.copy()
        to_x[:, :, 2] = candidate
        return to_x.reshape(flat.shape), flat, (dh,)


# ---- plain units ----


class _Plain:
    """h' = function(x + W h + b); the derivative is a function of h'. Elman, 1990."""

    def __init__(self, function: Callable, slope: Callable) -> None:
        self.function = function
        self.slope = slope

    def ahead(self, x: Any, weight: Any, bias: Any, state: list, outputs: Any) -> tuple[Arrays, Arrays]:
        (h,) = state
        x = x if bias is None else x + bias
        for t, out in enumerate(outputs):
            z = product(h, weight.T)
            np.add(z, x[t], z)
            self.function(z, out)
            h = out
        return (h.copy(),), ()

    def back(
        self, kept: Arrays, weight: Any, before: Any, outputs: Any, g_outputs: Any, g_last: list
    ) -> tuple:
        slope = self.slope(outputs)
        (dh,) = g_last
        for t in reversed(range(len(slope))):
            slope[t] *= dh + g_outputs[t]
            dh = product(slope[t], weight)
        return slope, slope, (dh,)


TANH = _Plain(_tanh, lambda h: 1 - h * h)
RELU = _Plain(lambda z, out: np.maximum(z, 0, out=out), lambda h: (h > 0).astype(h.dtype))

__all__ = ["GRU", "LSTM", "RELU", "TANH", "Recurrence", "recurs"]
