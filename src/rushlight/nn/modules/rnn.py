"""Recurrent layers and their cells.

A layer multiplies all inputs of a sequence by its input weights at once; what is left for each step is the hidden
state's own product and the gates. `Step` functions take (gates of the input, hidden state, weights) to the next state.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.nn.recurrence import GRU as GatedRecurrentUnit
from rushlight.nn.recurrence import LSTM as LongShortTermMemory
from rushlight.nn.recurrence import RELU, TANH, Recurrence, recurs
from rushlight.nn.utils.rnn import PackedSequence
from rushlight.ops.autocasting import STATE, cast

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]

# ---- one step ----


def _tanh_step(x: Tensor, state: tuple, weights: list) -> tuple:
    return ((x + F.linear(state[0], *weights)).tanh(),)


def _relu_step(x: Tensor, state: tuple, weights: list) -> tuple:
    return ((x + F.linear(state[0], *weights)).relu(),)


def _lstm_step(x: Tensor, state: tuple, weights: list, projection: Any = None) -> tuple:
    """Hochreiter and Schmidhuber, 1997; with a projection, arXiv:1402.1128."""
    h, c = state
    i, f, g, o = (x + F.linear(h, *weights)).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return h if projection is None else F.linear(h, projection), c


def _gru_step(x: Tensor, state: tuple, weights: list) -> tuple:
    """Cho et al., arXiv:1406.1078, with the reset gate behind the product."""
    (h,) = state
    x_r, x_z, x_n = x.chunk(3, -1)
    h_r, h_z, h_n = F.linear(h, *weights).chunk(3, -1)
    z = (x_z + h_z).sigmoid()
    n = (x_n + (x_r + h_r).sigmoid() * h_n).tanh()
    return ((h - n) * z + n,)


#: mode -> gates for each unit, step, the unit over whole sequences
_MODES: dict[str, tuple[int, Callable, Any]] = {
    "RNN_TANH": (1, _tanh_step, TANH),
    "RNN_RELU": (1, _relu_step, RELU),
    "LSTM": (4, _lstm_step, LongShortTermMemory),
    "GRU": (3, _gru_step, GatedRecurrentUnit),
}


def step_of(mode: str) -> Callable:
    """What takes the inputs' part of the gates, the states and [weight, bias] of the hidden state to the next states."""
    return _MODES[mode][1]


# ---- one direction of one layer ----


def _scan(x: Tensor, counts: list[int], state: tuple, step: Callable, reverse: bool) -> tuple[Tensor, tuple]:
    """All outputs, packed as `x` is, and the last state of every sequence.

    `counts` are the numbers of sequences that have a first step, a second, ...: they decrease. Forwards, sequences that
    end leave their state behind; backwards, they join with their first state when their last step comes.
    """
    parts = list(x.split(counts))
    outputs: list[Any] = [None] * len(parts)
    ended: list[tuple] = []
    first, width = state, counts[-1] if reverse else counts[0]
    state = tuple(s[:width] for s in state) if width != state[0].size(0) else state
    for at in reversed(range(len(parts))) if reverse else range(len(parts)):
        count = counts[at]
        if count < width:
            ended.append(tuple(s[count:] for s in state))
            state = tuple(s[:count] for s in state)
        elif count > width:
            state = tuple(rushlight.cat([s, f[width:count]]) for s, f in zip(state, first))
        width = count
        state = step(parts[at], state)
        outputs[at] = state[0]
    if ended:
        state = tuple(rushlight.cat(pieces) for pieces in zip(state, *reversed(ended)))
    return rushlight.cat(outputs), state


# ---- layers ----


class RNNBase(Module):
    """Layers of recurrent units over (T, N, input) or (T, input) or a packed sequence, in one or both directions.

    Raises:
        ValueError, TypeError: sizes that are not positive ints, a dropout outside [0, 1].
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        if mode not in _MODES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode, self.input_size, self.hidden_size, self.num_layers = (
            mode,
            input_size,
            hidden_size,
            num_layers,
        )
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        gates = _MODES[mode][0] * hidden_size
        given = proj_size or hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else given * (1 + bidirectional)
            for suffix in ("", "_reverse")[: 1 + bidirectional]:
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (gates, inputs),
                    "weight_hh": (gates, given),
                }
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    made = Parameter(rushlight.empty(shape, device=device, dtype=dtype))
                    setattr(self, f"{name}_l{layer}{suffix}", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew, uniform in +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: there is no library here that wants the weights in one block."""

    @property
    def _flat_weights_names(self) -> list[str]:
        return list(self._parameters)

    @property
    def _flat_weights(self) -> list[Any]:
        return list(self._parameters.values())

    @property
    def all_weights(self) -> list[list[Any]]:
        """The weights of each layer and direction."""
        return [
            self._weights(layer, suffix)
            for layer in range(self.num_layers)
            for suffix in ("", "_reverse")[: 1 + self.bidirectional]
        ]

    def _weights(self, layer: int, suffix: str) -> list[Any]:
        end = f"_l{layer}{suffix}"
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return [self._parameters[name + end] for name in names if name + end in self._parameters]

    # ---- forward ----

    def _run(self, input: Any, hx: Any) -> tuple[Any, tuple]:
        """Outputs in the form of the input, and the last states; `hx` is a tuple of states or None."""
        packed = isinstance(input, PackedSequence)
        if packed:
            data, counts, order, back = input.data, input.batch_sizes.tolist(), input[2], input[3]
            single, batch = False, counts[0]
            self._check_input(data)
        else:
            if input.dim() not in (2, 3):
                found = f"{input.dim()}D tensor" if self.mode.startswith("RNN") else f"{input.dim()}D"
                raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {found} instead")
            single, order, back = input.dim() == 2, None, None
            if hx is not None:
                self._check_ranks(hx, single)
            steps = input.unsqueeze(1) if single else input.transpose(0, 1) if self.batch_first else input
            self._check_input(steps)
            batch = steps.size(1)
            if not steps.size(0):
                raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
            counts = [batch] * steps.size(0)
            data = steps.reshape(-1, steps.size(2))
        hx = self._states(hx, data, batch, single, order)
        data, last = self._layers(data, counts, hx)
        if packed:
            output: Any = PackedSequence(data, input.batch_sizes, order, back)
        else:
            output = data.view(len(counts), batch, data.size(1))
            output = output.squeeze(1) if single else output.transpose(0, 1) if self.batch_first else output
        if single:
            last = tuple(s.squeeze(1) for s in last)
        elif back is not None:
            last = tuple(s.index_select(1, back) for s in last)
        return output, last

    def _layers(self, data: Tensor, counts: list[int], hx: tuple) -> tuple[Tensor, tuple]:
        suffixes = ("", "_reverse")[: 1 + self.bidirectional]
        fast = (
            STATE.fast if self.mode == "LSTM" else None
        )  # what autocast casts of PyTorch's recurrent layers
        if fast is not None:
            data, hx = cast(data, fast), cast(hx, fast)
        last = []
        for layer in range(self.num_layers):
            outputs = []
            for at, suffix in enumerate(suffixes, layer * len(suffixes)):
                w_ih, w_hh, *rest = (
                    self._weights(layer, suffix) if fast is None else cast(self._weights(layer, suffix), fast)
                )
                b_ih, b_hh = rest[:2] if self.bias else (None, None)
                projection = rest[-1] if self.proj_size else None
                state = tuple(s[at] for s in hx)
                made, state = self._scanned(
                    F.linear(data, w_ih, b_ih), counts, state, w_hh, b_hh, projection, suffix == "_reverse"
                )
                outputs.append(made)
                last.append(state)
            data = outputs[0] if len(outputs) == 1 else rushlight.cat(outputs, 1)
            if self.dropout and layer < self.num_layers - 1:
                data = self._dropped(data, counts)
        return data, tuple(rushlight.stack(states) for states in zip(*last))

    def _scanned(
        self, x: Tensor, counts: list[int], state: tuple, w: Any, b: Any, projection: Any, reverse: bool
    ) -> tuple[Tensor, tuple]:
        """One direction of one layer: as one node, where all sequences are of one length."""
        _, step, unit = _MODES[self.mode]
        if projection is not None:
            return _scan(x, counts, state, lambda x, s: step(x, s, [w, b], projection), reverse)

        def composed(x: Tensor, w: Any, b: Any, *state: Tensor) -> tuple[Tensor, tuple]:
            return _scan(x, counts, state, lambda x, s: step(x, s, [w, b]), reverse)

        if counts[0] != counts[-1] or not recurs(x, (w, b, *state)):
            return composed(x, w, b, *state)
        made, *last = Recurrence.apply(unit, len(counts), reverse, composed, x, w, b, *state)
        return made, tuple(last)

    def _dropped(self, data: Tensor, counts: list[int]) -> Tensor:
        return F.dropout(data, self.dropout, self.training)

    # ---- checks ----

    def _check_input(self, input: Tensor) -> None:
        weight = self.weight_ih_l0
        if weight.dtype != input.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def _check_ranks(self, hx: tuple, single: bool) -> None:
        rank = 2 if single else 3
        if any(s.dim() != rank for s in hx):
            kind = "unbatched 2-D" if single else "batched 3-D"
            if len(hx) == 1:
                raise RuntimeError(
                    f"For {kind} input, hx should also be {rank}-D but got {hx[0].dim()}-D tensor"
                )
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {rank}-D but got "
                f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )

    def _sizes(self, batch: int) -> list[tuple[int, int, int]]:
        """The shapes of the states."""
        layers = self.num_layers * (1 + self.bidirectional)
        sizes = [(layers, batch, self.proj_size or self.hidden_size)]
        return [*sizes, (layers, batch, self.hidden_size)] if self.mode == "LSTM" else sizes

    def _states(self, hx: Any, data: Tensor, batch: int, single: bool, order: Any) -> tuple:
        sizes = self._sizes(batch)
        if hx is None:
            return tuple(data.new_zeros(size) for size in sizes)
        if single:
            hx = tuple(s.unsqueeze(1) for s in hx)
        for at, (s, size) in enumerate(zip(hx, sizes)):
            if s.shape != size:
                name = f"hidden[{at}]" if len(sizes) > 1 else "hidden"
                raise RuntimeError(f"Expected {name} size {size}, got {list(s.shape)}")
        return hx if order is None else tuple(s.index_select(1, order) for s in hx)

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            value = getattr(self, name)
            if value != default:
                parts.append(f"{name}={value}")
        return ", ".join(parts)


def _check(
    input_size: Any,
    hidden_size: Any,
    num_layers: Any,
    bias: Any,
    batch_first: Any,
    dropout: Any,
    proj_size: int,
) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    for name, value in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if name != "num_layers" and not isinstance(value, int):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def _no_projection(kwargs: dict) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """h = tanh(W x + b + U h + c), or relu: Elman's network. Returns all outputs and the last hidden states.

    Example:
        >>> import rushlight as torch
        >>> output, h = torch.nn.RNN(4, 8, num_layers=2)(torch.ones(5, 3, 4))
        >>> output.shape, h.shape
        (torch.Size([5, 3, 8]), torch.Size([2, 3, 8]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _no_projection(kwargs)
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Tensor]:
        output, (h,) = self._run(input, None if hx is None else (hx,))
        return output, h


class GRU(RNNBase):
    """Gated recurrent units. Returns all outputs and the last hidden states."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _no_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Tensor]:
        output, (h,) = self._run(input, None if hx is None else (hx,))
        return output, h


class LSTM(RNNBase):
    """Long short-term memory. Returns all outputs and the last (hidden, cell) states.

    Example:
        >>> import rushlight as torch
        >>> output, (h, c) = torch.nn.LSTM(4, 8, batch_first=True)(torch.ones(3, 5, 4))
        >>> output.shape, c.shape
        (torch.Size([3, 5, 8]), torch.Size([1, 3, 8]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        output, last = self._run(input, None if hx is None else (hx[0], hx[1]))
        return output, last  # type: ignore[return-value]


# ---- cells ----


class RNNCellBase(Module):
    """One step of a recurrent layer, on (N, input) or (input,)."""

    mode: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = num_chunks * hidden_size
        shapes = {
            "weight_ih": (gates, input_size),
            "weight_hh": (gates, hidden_size),
            "bias_ih": (gates,) if bias else None,
            "bias_hh": (gates,) if bias else None,
        }
        for name, shape in shapes.items():
            made = None if shape is None else Parameter(rushlight.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew, uniform in +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, mode: str, input: Tensor, hx: tuple | None) -> tuple:
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for at, h in enumerate(hx or ()):
            if h.dim() not in (1, 2):
                which = f"hx[{at}]" if len(hx) > 1 else "hidden"  # type: ignore[arg-type]
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {h.dim()}D instead")
        single = input.dim() == 1
        x = input.unsqueeze(0) if single else input
        if hx is None:
            h = x.new_zeros((x.size(0), self.hidden_size))
            state = (h, h) if mode == "LSTM" else (h,)
        else:
            state = tuple(h.unsqueeze(0) for h in hx) if single else hx
        if x.size(1) != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {x.size(1)} expected {self.input_size}"
            )
        for at, h in enumerate(state):
            if h.size(0) != x.size(0):
                raise RuntimeError(
                    f"Input batch size {x.size(0)} doesn't match hidden{at} batch size {h.size(0)}"
                )
            if h.size(1) != self.hidden_size:
                raise RuntimeError(
                    f"hidden{at} has inconsistent hidden_size: got {h.size(1)}, expected {self.hidden_size}"
                )
        step = _MODES[mode][1]
        made = step(F.linear(x, self.weight_ih, self.bias_ih), state, [self.weight_hh, self.bias_hh])
        return tuple(h.squeeze(0) for h in made) if single else made

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = self.__dict__.get("nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else f"{text}, nonlinearity={nonlinearity}"


class RNNCell(RNNCellBase):
    """One step of an `RNN`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        mode = f"RNN_{str(self.nonlinearity).upper()}"
        if mode not in _MODES:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(mode, input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`: returns the next hidden and cell state."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        return self._step("LSTM", input, hx)  # type: ignore[return-value]


class GRUCell(RNNCellBase):
    """One step of a `GRU`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("GRU", input, None if hx is None else (hx,))[0]
