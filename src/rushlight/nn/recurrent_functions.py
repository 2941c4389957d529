"""`torch.lstm`, `torch.gru`, `torch.rnn_tanh`, `torch.rnn_relu` and their cells: recurrent layers whose weights are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.rnn import RNNBase, step_of

__all__ = [
    "gru",
    "gru_cell",
    "lstm",
    "lstm_cell",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
]


class _Given(RNNBase):
    """Layers of recurrent units with weights that are somebody else's."""

    def __init__(
        self, mode: str, params: Sequence[Tensor], biases: bool, layers: int, dropout: float, both: bool
    ) -> None:
        Module.__init__(self)
        self.mode, self.bias, self.num_layers, self.dropout = mode, biases, layers, dropout
        self.bidirectional = both
        count = len(params) // (layers * (1 + both))
        self.given = [list(params[at : at + count]) for at in range(0, len(params), count)]
        self.proj_size = self.given[0][-1].size(0) if count in (3, 5) else 0

    def _weights(self, layer: int, suffix: str) -> list[Any]:
        return self.given[layer * (1 + self.bidirectional) + bool(suffix)]


def _layers(name: str, mode: str, args: tuple, kwargs: dict) -> tuple[Tensor, tuple]:
    """Outputs and last states, of `(data, batch_sizes, hx, params, ...)` or `(input, hx, params, ...)`."""
    names = ("has_biases", "num_layers", "dropout", "train", "bidirectional")
    packed = "batch_sizes" in kwargs or len(args) > 3 and isinstance(args[3], (tuple, list))
    head = ("data", "batch_sizes", "hx", "params") if packed else ("input", "hx", "params")
    given = dict(zip((*head, *names, "batch_first"), args)) | kwargs
    missing = [n for n in (*head, *names) if n not in given]
    if missing:
        raise TypeError(f"{name}() missing arguments: {', '.join(missing)}")
    hx = given["hx"] if isinstance(given["hx"], (tuple, list)) else (given["hx"],)
    run = _Given(
        mode, given["params"], *[given[n] for n in ("has_biases", "num_layers", "dropout", "bidirectional")]
    )
    run.train(bool(given["train"]))
    if packed:
        return run._layers(given["data"], given["batch_sizes"].tolist(), tuple(hx))
    x = given["input"].transpose(0, 1) if given.get("batch_first") else given["input"]
    steps, batch, width = x.shape
    made, last = run._layers(x.reshape(-1, width), [batch] * steps, tuple(hx))
    made = made.view(steps, batch, made.size(1))
    return made.transpose(0, 1) if given.get("batch_first") else made, last


@for_batches
def lstm(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory: outputs, last hidden and last cell states. :class:`nn.LSTM` is the same as a module.

    Called as `lstm(input, (h, c), params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`, or with
    `(data, batch_sizes, ...)` of a packed sequence, without `batch_first`. `params` are the weights as `nn.LSTM` has them.

    Example:
        >>> import rushlight as torch
        >>> m = torch.nn.LSTM(2, 3)
        >>> h = torch.zeros(1, 1, 3)
        >>> torch.lstm(torch.ones(4, 1, 2), (h, h), list(m.parameters()), True, 1, 0.0, False, False, False)[0].shape
        torch.Size([4, 1, 3])
    """
    made, (h, c) = _layers("lstm", "LSTM", args, kwargs)
    return made, h, c


@for_batches
def gru(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Gated recurrent units: outputs and last states; arguments as of :func:`lstm`, with one state."""
    made, (h,) = _layers("gru", "GRU", args, kwargs)
    return made, h


def rnn_tanh(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Elman's network with tanh: outputs and last states; arguments as of :func:`gru`."""
    made, (h,) = _layers("rnn_tanh", "RNN_TANH", args, kwargs)
    return made, h


def rnn_relu(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Elman's network with relu: outputs and last states; arguments as of :func:`gru`."""
    made, (h,) = _layers("rnn_relu", "RNN_RELU", args, kwargs)
    return made, h


def _cell(mode: str, x: Tensor, state: tuple, w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any) -> tuple:
    return step_of(mode)(F.linear(x, w_ih, b_ih), state, [w_hh, b_hh])


@for_batches
def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> tuple[Tensor, Tensor]:
    """One step of :func:`lstm`: the next hidden and cell states.

    Example:
        >>> import rushlight as torch
        >>> h = torch.zeros(1, 1)
        >>> torch.lstm_cell(torch.ones(1, 1), (h, h), torch.zeros(4, 1), torch.zeros(4, 1))
        (tensor([[0.]]), tensor([[0.]]))
    """
    return _cell("LSTM", input, tuple(hx), w_ih, w_hh, b_ih, b_hh)  # type: ignore[return-value]


@for_batches
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> Tensor:
    """One step of :func:`gru`: the next state."""
    return _cell("GRU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


@for_batches
def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> Tensor:
    """One step of :func:`rnn_tanh`: the next state."""
    return _cell("RNN_TANH", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


@for_batches
def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> Tensor:
    """One step of :func:`rnn_relu`: the next state."""
    return _cell("RNN_RELU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]
