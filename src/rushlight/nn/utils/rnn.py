"""Sequences of different lengths: padded to one tensor, or packed step by step.

A packed sequence holds all first steps, then all second steps of the sequences that have one, and so on, the longest
sequence first; `batch_sizes` says how many there are of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import rushlight
from rushlight.buffer import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Fields):
    """What `pack_padded_sequence` makes, and recurrent layers take and give.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.nn.utils.rnn import pack_sequence
        >>> pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])]).data
        tensor([1, 4, 2, 3])
    """

    __slots__ = ()

    def __new__(
        cls, data: Tensor, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> Any:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:  # data is a pair
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With converted data; itself if nothing changes."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self._replace(data=data)

    def _with(self, data: Tensor) -> PackedSequence:
        return self if data is self.data else self._replace(data=data)

    def cpu(self) -> PackedSequence:
        """Itself."""
        return self._with(self.data.cpu())

    def double(self) -> PackedSequence:
        """With data of float64."""
        return self._with(self.data.double())

    def float(self) -> PackedSequence:
        """With data of float32."""
        return self._with(self.data.float())

    def half(self) -> PackedSequence:
        """With data of float16."""
        return self._with(self.data.half())

    def short(self) -> PackedSequence:
        """With data of int16."""
        return self._with(self.data.short())

    def char(self) -> PackedSequence:
        """With data of int8."""
        return self._with(self.data.char())

    def byte(self) -> PackedSequence:
        """With data of uint8."""
        return self._with(self.data.byte())

    def long(self) -> PackedSequence:
        """With data of int64."""
        return self._with(self.data.long())

    def int(self) -> PackedSequence:
        """With data of int32."""
        return self._with(self.data.int())

    @property
    def is_cuda(self) -> bool:
        """False."""
        return False

    def is_pinned(self) -> bool:
        """False."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another."""
    if permutation is None:
        return None
    made = rushlight.empty_like(permutation)
    return made.scatter_(0, permutation, rushlight.arange(permutation.numel()))


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences, (T, B, *) or (B, T, *), of the given lengths.

    Raises:
        RuntimeError: a length is not positive, there is not one for each sequence, or they are not in decreasing
            order though `enforce_sorted`.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.nn.utils.rnn import pack_padded_sequence
        >>> packed = pack_padded_sequence(torch.tensor([[1, 2], [3, 0]]), [2, 1], batch_first=True)
        >>> packed.data, packed.batch_sizes
        (tensor([1, 3, 2]), tensor([2, 1]))
    """
    lengths = rushlight.as_tensor(lengths, dtype=rushlight.int64)
    order = None
    if not enforce_sorted:
        lengths, order = rushlight.sort(lengths, descending=True)
        input = input.index_select(0 if batch_first else 1, order)
    steps = input.transpose(0, 1) if batch_first else input
    sizes = lengths.tolist()
    if len(sizes) != steps.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={steps.size(1)})"
        )
    if not sizes:
        raise RuntimeError("Cannot pack empty tensors.")
    if any(size <= 0 for size in sizes):
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if any(first < second for first, second in zip(sizes, sizes[1:])):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do "
            "not need ONNX exportability."
        )
    counts = [sum(size > at for size in sizes) for at in range(sizes[0])]
    data = rushlight.cat([steps[at, :count] for at, count in enumerate(counts)])
    return PackedSequence(data, rushlight.tensor(counts), order)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The padded sequences of a packed one, and their lengths.

    Raises:
        ValueError: `total_length` is less than the longest sequence.
    """
    counts = sequence.batch_sizes.tolist()
    if total_length is not None and total_length < len(counts):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(counts)}"
        )
    batch, trailing = counts[0], sequence.data.shape[1:]
    rows = []
    for part in sequence.data.split(counts):
        missing = batch - part.size(0)
        rows.append(
            part if not missing else rushlight.cat([part, part.new_full((missing, *trailing), padding_value)])
        )
    padded = rushlight.stack(rows)
    extra = (total_length or 0) - len(counts)
    if extra > 0:
        padded = rushlight.cat([padded, padded.new_full((extra, batch, *trailing), padding_value)])
    lengths = rushlight.tensor([sum(count > at for count in counts) for at in range(batch)])
    order = sequence.unsorted_indices
    if order is not None:
        padded, lengths = padded.index_select(1, order), lengths[order]
    return padded.transpose(0, 1) if batch_first else padded, lengths


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Stack sequences of different lengths, the shorter ones filled up.

    Raises:
        RuntimeError: they are not iterable, none, or the side is not "left" or "right".

    Example:
        >>> import rushlight as torch
        >>> torch.nn.utils.rnn.pad_sequence([torch.tensor([1, 2]), torch.tensor([3])], batch_first=True)
        tensor([[1, 2],
                [3, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = sequences.unbind(0) if isinstance(sequences, Tensor) else tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    longest = max(t.size(0) for t in sequences)
    filled = []
    for t in sequences:
        missing = longest - t.size(0)
        if missing:
            fill = t.new_full((missing, *t.shape[1:]), padding_value)
            t = rushlight.cat([t, fill] if padding_side == "right" else [fill, t])
        filled.append(t)
    return rushlight.stack(filled, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences without what they were filled up with."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:length] for row, length in zip(rows, lengths.tolist())]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of different lengths."""
    lengths = [t.size(0) for t in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed one."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))
