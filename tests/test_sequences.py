"""Recurrent layers, attention, transformers and packed sequences against live PyTorch."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from both import same
from test_modules import _copies, equal_state, leaves, make, numbers

import rushlight
import rushlight.nn
from rushlight import profiler
from rushlight.graph.stepwise import stepwise
from rushlight.native import jit

rng = np.random.default_rng(0)
SEQUENCE = rng.standard_normal((5, 3, 4))
SHORT = rng.standard_normal((2, 3, 4))
LENGTHS = [3, 5, 1]

RECURRENT = [
    "nn.RNN(4, 6)",
    "nn.RNN(4, 6, 2, 'relu', bidirectional=True, bias=False)",
    "nn.RNN(4, 6, nonlinearity='relu', batch_first=True)",
    "nn.LSTM(4, 6)",
    "nn.LSTM(4, 6, 2, bidirectional=True, batch_first=True)",
    "nn.LSTM(4, 6, 2, bias=False, proj_size=3, bidirectional=True)",
    "nn.LSTM(4, 6, 3, dropout=1.0)",
    "nn.GRU(4, 6)",
    "nn.GRU(4, 6, 2, bidirectional=True)",
    "nn.GRU(4, 6, bias=False, batch_first=True)",
]


def state_of(T: Any, module: Any, batch: int | None) -> Any:
    layers = module.num_layers * (1 + module.bidirectional)
    middle = () if batch is None else (batch,)
    h, c = (
        T.tensor(
            np.cos(np.arange(layers * (batch or 1) * size)).reshape(layers, *middle, size), dtype=T.float32
        )
        for size in (module.proj_size or module.hidden_size, module.hidden_size)
    )
    return (h.requires_grad_(), c.requires_grad_()) if module.mode == "LSTM" else h.requires_grad_()


def backward(T: Any, made: list) -> None:
    loss = sum(
        (t * T.arange(t.numel(), dtype=t.dtype).view(t.shape).cos()).sum() for t in made if t.requires_grad
    )
    loss.backward()


def compare(results: list, tolerance: float = 2e-5) -> None:
    wanted, found = (leaves(result) for result in results)
    for a, b in zip(wanted, found, strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_allclose(numbers(b), numbers(a), tolerance, tolerance)


@pytest.mark.parametrize("form", ["batch", "single", "packed", "packed in order"])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("expression", RECURRENT)
def test_recurrent(expression: str, given: bool, form: str) -> None:
    pair = [make(torch, expression), make(rushlight, expression)]
    equal_state(*pair)
    assert repr(pair[1]) == repr(pair[0])
    results = []
    for T, module in zip((torch, rushlight), pair):
        x = T.tensor(SEQUENCE, dtype=T.float32).requires_grad_()
        batch = None if form == "single" else 3
        if form == "single":
            input = x[:, 0]
        elif form == "batch":
            input = x.transpose(0, 1) if module.batch_first else x
        else:
            pack = T.nn.utils.rnn.pack_padded_sequence
            lengths = LENGTHS if form == "packed" else sorted(LENGTHS, reverse=True)
            input = pack(x, lengths, enforce_sorted=form != "packed")
        hx = state_of(T, module, batch) if given else None
        output, last = module(input, hx)
        made = leaves([output if form in ("batch", "single") else output.data, last])
        backward(T, made)
        gradients = [x.grad, *(p.grad for p in module.parameters()), *(h.grad for h in leaves(hx))]
        results.append([made, gradients])
    compare(results)
    if form == "batch" and not given:
        _copies(*pair)


CELLS = [
    "nn.RNNCell(4, 6)",
    "nn.RNNCell(4, 6, False, 'relu')",
    "nn.LSTMCell(4, 6)",
    "nn.LSTMCell(4, 6, bias=False)",
    "nn.GRUCell(4, 6)",
]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("expression", CELLS)
def test_cell(expression: str, single: bool) -> None:
    pair = [make(torch, expression), make(rushlight, expression)]
    equal_state(*pair)
    assert repr(pair[1]) == repr(pair[0])
    results = []
    for T, cell in zip((torch, rushlight), pair):
        x = T.tensor(SEQUENCE[0, 0] if single else SEQUENCE[0], dtype=T.float32).requires_grad_()
        state = cell(x)
        state = cell(x, state)
        made = leaves(state)
        backward(T, made)
        results.append([made, x.grad, [p.grad for p in cell.parameters()]])
    compare(results)


# ---- attention ----

ATTENTION = [
    "nn.MultiheadAttention(4, 2)",
    "nn.MultiheadAttention(4, 2, bias=False, batch_first=True)",
    "nn.MultiheadAttention(4, 2, kdim=4, vdim=3)",
    "nn.MultiheadAttention(4, 4, add_bias_kv=True, add_zero_attn=True)",
]
OPTIONS = [
    {},
    {"need_weights": False},
    {"average_attn_weights": False},
    {"attn_mask": "causal"},
    {"attn_mask": "causal", "need_weights": False, "is_causal": True},
    {"attn_mask": "float", "key_padding_mask": "padding"},
    {"key_padding_mask": "padding", "need_weights": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("expression", ATTENTION)
def test_attention(expression: str, options: dict) -> None:
    pair = [make(torch, expression), make(rushlight, expression)]
    equal_state(*pair)
    assert repr(pair[1]) == repr(pair[0])
    for training in (True, False):
        results = []
        for T, module in zip((torch, rushlight), pair):
            module.train(training)
            module.zero_grad()
            q = T.tensor(SEQUENCE, dtype=T.float32).requires_grad_()
            values = q if module.vdim == 4 else q[..., :3]
            masks = {
                "causal": T.ones(5, 5).triu(1).bool(),
                "float": T.arange(25.0).view(5, 5).sin(),
                "padding": T.tensor([[False] * 5, [False, True] + [False] * 3, [True] * 4 + [False]]),
            }
            named = {name: masks.get(value, value) for name, value in options.items()}
            if "attn_mask" in named and "key_padding_mask" in named:
                named["key_padding_mask"] = T.zeros(3, 5).masked_fill(named["key_padding_mask"], -1e9)
            inputs = [t.transpose(0, 1) if module.batch_first else t for t in (q, q, values)]
            made = leaves(module(*inputs, **named))
            backward(T, made)
            results.append([made, q.grad, [p.grad for p in module.parameters() if p.grad is not None]])
        compare(results)


TRANSFORMERS = [
    "nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)",
    "nn.TransformerEncoderLayer(4, 2, 8, 0.0, 'gelu', norm_first=True, bias=False)",
    "nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), 2, nn.LayerNorm(4))",
    "nn.TransformerDecoderLayer(4, 2, 8, dropout=0.0)",
    "nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, 0.0, norm_first=True), 2)",
    "nn.Transformer(4, 2, 1, 2, 8, dropout=0.0)",
    "nn.Transformer(4, 2, 1, 1, 8, 0.0, T.nn.functional.gelu, batch_first=True, bias=False)",
]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("expression", TRANSFORMERS)
def test_transformer(expression: str, masked: bool) -> None:
    warnings.simplefilter("ignore")
    pair = [make(torch, expression), make(rushlight, expression)]
    equal_state(*pair)
    assert repr(pair[1]) == repr(pair[0])
    for training, grads in ((True, True), (False, True), (False, False)):
        results = []
        for T, module in zip((torch, rushlight), pair):
            module.train(training)
            module.zero_grad()
            x = T.tensor(SEQUENCE, dtype=T.float32).requires_grad_(grads)
            y = T.tensor(SHORT, dtype=T.float32)
            if "batch_first" in expression:
                x, y = x.transpose(0, 1), y.transpose(0, 1)
            inputs = (x,) if "Encoder" in expression else (y, x) if "Decoder" in expression else (x, y)
            named: dict[str, Any] = {}
            padding = T.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 4 + [True]])
            causal = T.nn.Transformer.generate_square_subsequent_mask
            if masked and "EncoderLayer(4, 2, 8, 0.0, batch_first" in expression:
                named = {"src_key_padding_mask": padding}
            elif masked and "Encoder" in expression:
                named = {"src_mask": causal(5)}
            elif masked:
                named = {"tgt_mask": causal(2), "memory_key_padding_mask": padding}
            with T.set_grad_enabled(grads):
                made = [module(*inputs, **named)]
            if grads:
                backward(T, made)
            results.append([made, [p.grad for p in module.parameters()] if grads else []])
        compare(results, 5e-5)


# ---- packing ----

PACKING = """
R.pack_sequence(x)
R.pack_sequence(x[::-1])
R.pack_sequence(x[::-1], enforce_sorted=False)
R.pad_packed_sequence(R.pack_sequence(x))
R.pad_packed_sequence(R.pack_sequence(x[::-1], False), True, -1., 5)
R.pad_packed_sequence(R.pack_sequence(x), total_length=2)
R.pad_sequence(x)
R.pad_sequence(x, True, -1)
R.pad_sequence(x, True, -1, 'left')
R.pad_sequence(3)
R.pad_sequence(x, padding_side='x')
R.pad_sequence([])
R.pad_sequence(T.ones(2, 3))
R.unpad_sequence(R.pad_sequence(x), T.tensor([3, 2, 1]))
R.unpack_sequence(R.pack_sequence(x))
R.pack_padded_sequence(T.ones(3, 2), [3, 0])
R.pack_padded_sequence(T.ones(3, 2), [3])
R.pack_padded_sequence(T.ones(3, 2), [2, 3])
R.pack_padded_sequence(T.ones(3, 2, 2), [2, 1])
R.invert_permutation(T.tensor([2, 0, 1]))
R.pack_sequence(x).double()
str(R.pack_sequence(x).to(T.float64))
R.PackedSequence(T.ones(3), T.tensor([2, 1]))
R.pack_sequence(x).is_cuda
""".strip().splitlines()

ERRORS = """
nn.RNN(2, 3, dropout=2)
nn.RNN(2, 3.)
nn.RNN(2, 0)
nn.RNN(2, 3, 0)
nn.RNN(2, 3, nonlinearity='foo')
nn.LSTM(2, 3, proj_size=3)
nn.LSTM(2, 3, proj_size=-1)
nn.GRU(2, 3, proj_size=1)
nn.RNN(2, 3)(o(1, 1, 1, 1))
nn.RNN(2, 3)(o(1, 1, 3))
nn.RNN(2, 3)(o(4, 1, 2), o(1, 2))
nn.RNN(2, 3)(o(4, 1, 2), o(1, 2, 3))
nn.LSTM(2, 3)(o(4, 1, 2), o(1, 1, 3))
nn.LSTM(2, 3)(o(4, 1, 2), (o(1, 1), o(1, 1)))
nn.LSTM(2, 3)(o(4, 1, 2), (o(1, 2, 3), o(1, 1, 3)))
nn.LSTM(2, 3)(o(4, 1, 2), (o(1, 1, 3), o(1, 1, 1)))
nn.GRU(2, 3)(o(4, 2), o(1, 1, 3))
nn.LSTM(2, 3)(o(4, 2), (o(1, 1, 3), o(1, 1, 3)))
nn.RNN(2, 3)(o(4, 1, 2).double())
nn.RNNCell(2, 3)(o(4))
nn.RNNCell(2, 3)(o(1, 1, 1))
nn.RNNCell(2, 3)(o(2, 2), o(3, 3))
nn.GRUCell(2, 3)(o(2, 3))
nn.RNNCell(2, 3, nonlinearity='foo')(o(1, 2))
nn.GRUCell(2, 3)(o(1, 2), o(1, 1, 1))
nn.LSTMCell(2, 3)(o(2, 2), (o(3, 3), o(3, 3)))
nn.MultiheadAttention(5, 2)
nn.MultiheadAttention(0, 2)
nn.MultiheadAttention(4, 2)(o(3, 4), o(2, 1, 4), o(2, 1, 4))
nn.MultiheadAttention(4, 2)(o(3), o(2, 1, 4), o(2, 1, 4))
nn.MultiheadAttention(4, 2)(o(3, 1, 5), o(3, 1, 5), o(3, 1, 5))
nn.MultiheadAttention(4, 2)(o(3, 1, 4), o(3, 1, 4), o(3, 1, 4), attn_mask=o(2, 2))
nn.MultiheadAttention(4, 2)(o(3, 1, 4), o(3, 1, 4), o(3, 1, 4), key_padding_mask=o(2, 2))
nn.MultiheadAttention(4, 2)(o(3, 1, 4), o(3, 1, 4), o(3, 1, 4), attn_mask=o(3, 3).int())
nn.MultiheadAttention(4, 2)(o(3, 1, 4), o(3, 1, 4), o(3, 1, 4), is_causal=True)
nn.TransformerEncoderLayer(4, 2, activation='foo')
nn.Transformer(4, 2)(o(1, 1, 3), o(1, 1, 4))
nn.Transformer(4, 2)(o(1, 2, 4), o(1, 1, 4))
nn.Transformer.generate_square_subsequent_mask(3)
nn.LSTM(2, 3)._flat_weights_names
""".strip().splitlines()


@pytest.mark.parametrize("program", [*PACKING, *ERRORS])
def test_program(program: str) -> None:
    def run(T: Any) -> Any:
        T.manual_seed(0)
        x = [T.arange(3.0), T.arange(2.0), T.arange(1.0)]
        return eval(program, {"R": T.nn.utils.rnn, "T": T, "x": x, "nn": T.nn, "o": T.ones})

    same(run)


def test_dropout_between_layers() -> None:
    """Draws as often as PyTorch does where it computes layer by layer."""
    results = []
    for T in (torch, rushlight):
        module = make(T, "nn.GRU(4, 6, 2, dropout=0.5)").double()
        T.manual_seed(1)
        results.append(module(T.tensor(SEQUENCE))[0])
    compare(results, 1e-9)


def test_second_order() -> None:
    for expression, T in itertools.product(("nn.LSTM(4, 3)", "nn.GRU(4, 3)"), (rushlight,)):
        module = make(T, expression).double()
        x = T.tensor(SEQUENCE[:2]).requires_grad_()
        assert T.autograd.gradgradcheck(lambda x, m=module: m(x)[0], x)


# ---- sequences that are long or wide enough for loops of our own ----


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(16, 24, 16, 64), (3, 40, 5, 33), (1, 100, 4, 64)])
def test_long_sequences(sizes: tuple, dtype: str, kind: str) -> None:
    """Two layers in both directions; outputs, last states, all gradients, and those of gradients that are expanded."""
    batch, steps, inputs, hidden = sizes
    found = []
    for L in (torch, rushlight):
        L.manual_seed(0)
        net = getattr(L.nn, kind)(
            inputs, hidden, 2, batch_first=True, bidirectional=True, dtype=getattr(L, dtype)
        )
        x = L.randn(batch, steps, inputs, dtype=getattr(L, dtype)).requires_grad_()
        output, last = net(x)
        last = last if isinstance(last, tuple) else (last,)
        tensors = [x, *net.parameters()]
        grads = L.autograd.grad(
            (output * output).sum() + sum((s**3).sum() for s in last), tensors, retain_graph=True
        )
        grads += L.autograd.grad(output.sum(), tensors)
        found.append([t.detach().numpy() for t in (output, *last, *grads)])
    for right, ours in zip(*found):
        scale = np.abs(right).max()
        assert np.abs(ours - right).max() <= scale * (2e-5 if dtype == "float32" else 1e-12)


def test_long_sequences_are_the_same_bits_whoever_listens() -> None:
    net = rushlight.nn.LSTM(4, 32)
    x = rushlight.randn(100, 3, 4)
    with rushlight.no_grad():
        first = net(x)[0]
        with profiler.profile() as seen:
            again = net(x)[0]
    assert rushlight.equal(first, again)
    assert any(row.key == "map lstm_step" for row in seen.key_averages()) or not jit.available()


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops of our own")
def test_what_is_no_loop_is_left_to_numpy() -> None:
    a, out = np.zeros((3, 5)), np.zeros((3, 5))
    assert stepwise(lambda x: np.sort(x), (a,), (out,)) is None
    step = stepwise(lambda x, y: (x + 1, x * y), (a, a + 2), (out, a))
    if step is not None:
        step(1)
        assert out.tolist() == [[0] * 5, [1] * 5, [0] * 5] and not a.any()
