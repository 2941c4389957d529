"""Recurrent layers as one node: values, first and second derivatives, and what may be seen of the node, against PyTorch."""

from __future__ import annotations

import pytest
import torch

import rushlight
from rushlight.nn.modules import rnn

LAYERS = [
    "RNN(3, 4)",
    "RNN(3, 4, nonlinearity='relu', bias=False)",
    "RNN(3, 1, num_layers=2, bidirectional=True)",
    "LSTM(3, 4)",
    "LSTM(3, 4, bias=False, batch_first=True)",
    "LSTM(3, 2, num_layers=3, bidirectional=True)",
    "LSTM(3, 4, proj_size=2)",
    "GRU(3, 4)",
    "GRU(3, 4, bias=False)",
    "GRU(3, 5, num_layers=2, bidirectional=True, batch_first=True)",
]


def run(T, layer, kind="float64", order=1, state=True):
    """Outputs, last states and the gradients of everything, of the wanted order."""
    T.manual_seed(0)
    net = eval("nn." + layer, {"nn": T.nn}).to(getattr(T, kind))
    x = T.randn(5, 6, 3, dtype=getattr(T, kind), requires_grad=True)
    plain, last = net(x)
    hx = None
    if state:
        made = last if isinstance(last, tuple) else (last,)
        hx = [T.randn(s.shape, dtype=getattr(T, kind), requires_grad=True) for s in made]
    out, last = net(x, hx if hx is None or len(hx) > 1 else hx[0])
    last = last if isinstance(last, tuple) else (last,)
    seen = [plain, out, *last]
    loss = (out * out).sum() + sum((s * T.arange(s.numel()).view(s.shape)).sum() for s in last)
    leaves = [x, *net.parameters(), *(hx or ())]
    for again in range(order):
        found = T.autograd.grad(loss, leaves, create_graph=again + 1 < order, allow_unused=True)
        seen += [g for g in found if g is not None]
        loss = sum((g * g * g).sum() for g in found if g is not None)
    return [t.detach().tolist() for t in seen]


def close(found, wanted, **tolerance):
    assert len(found) == len(wanted)
    for x, y in zip(found, wanted):
        torch.testing.assert_close(torch.tensor(x), torch.tensor(y), **tolerance)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("state", [True, False])
def test_values_and_gradients(layer, state):
    close(run(rushlight, layer, state=state), run(torch, layer, state=state), rtol=1e-9, atol=1e-9)
    close(run(rushlight, layer, "float32", state=state), run(torch, layer, "float32", state=state))


@pytest.mark.parametrize("layer", LAYERS)
def test_second_derivatives(layer):
    close(run(rushlight, layer, order=2), run(torch, layer, order=2), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if "proj" not in layer])
def test_one_node_computes_what_the_steps_do(layer, monkeypatch):
    at_once = run(rushlight, layer, order=2)
    monkeypatch.setattr(rnn, "recurs", lambda x, tensors: False)
    close(at_once, run(rushlight, layer, order=2), rtol=1e-9, atol=1e-9)


def test_saturated_gates_are_exact():
    for T in (rushlight, torch):
        net = T.nn.LSTM(1, 1)
        with T.no_grad():
            for p in net.parameters():
                p.fill_(0.0)
            net.bias_ih_l0.copy_(T.tensor([200.0, -200.0, 200.0, -90.0]))
        out, (_, c) = net(T.zeros(3, 1, 1))
        assert out.flatten().tolist() == pytest.approx([0.76159416 * 8.194013e-40] * 3, rel=1e-4)
        assert c.item() == 1.0


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_an_output_may_be_overwritten(kind):
    """PyTorch refuses that for the LSTM that it takes from oneDNN, and allows it for the others."""
    gradients = []
    for write in (False, True):
        rushlight.manual_seed(0)
        x = rushlight.ones(4, 1, 2, requires_grad=True)
        out, _ = getattr(rushlight.nn, kind)(2, 3)(x)
        loss = (out * 2).sum()
        if write:
            with rushlight.no_grad():
                out.zero_()
        loss.backward()
        gradients.append(x.grad)
    assert rushlight.equal(*gradients)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_only_what_wants_a_gradient_gets_one(kind):
    for T in (rushlight, torch):
        net = getattr(T.nn, kind)(2, 3)
        net.weight_hh_l0.requires_grad_(False)
        x = T.ones(4, 1, 2)
        out, last = net(x)
        out.sum().backward()
        assert x.grad is None and net.weight_hh_l0.grad is None and net.weight_ih_l0.grad is not None
        with T.no_grad():
            assert not net(x)[0].requires_grad
        last = last[0] if isinstance(last, tuple) else last
        out, _ = net(x)
        assert out[-1].data_ptr() != last.data_ptr()


@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 0, 3)])
def test_empty_sequences_and_batches(shape):
    def seen(T):
        try:
            out, last = T.nn.GRU(3, 2)(T.zeros(shape, requires_grad=True))
        except (RuntimeError, ValueError) as error:
            return type(error).__name__
        return tuple(out.shape), tuple(last.shape)

    assert seen(rushlight) == seen(torch)


@pytest.mark.parametrize("layer", ["RNN(3, 4)", "LSTM(3, 2, num_layers=2, bidirectional=True)", "GRU(3, 4)"])
def test_vmap_takes_the_steps_one_by_one(layer):
    rushlight.manual_seed(0)
    net = eval("nn." + layer, {"nn": rushlight.nn})
    x = rushlight.randn(2, 5, 6, 3)

    def loss(x):
        return net(x)[0].square().sum()

    mapped = rushlight.func.vmap(rushlight.func.grad(loss))(x)
    for one, g in zip(x, mapped):
        assert rushlight.allclose(rushlight.func.grad(loss)(one), g, atol=1e-6)
