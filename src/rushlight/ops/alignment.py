"""Connectionist temporal classification: the probability of all alignments of a sequence with a shorter one.

A. Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data with recurrent neural
networks", 2006. `l'` there, here `labels`, is the target with a blank before, between and after its classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, INTEGER, float32, float64, int32, int64
from rushlight.ops.loss_reduction import reduction_of
from rushlight.ops.spec import primitive, public
from rushlight.tape.derivative import NOT_DIFFERENTIABLE

_LOW = -np.inf


def _with_blanks(target: np.ndarray, blank: int) -> np.ndarray:
    labels = np.full(2 * target.size + 1, blank, np.int64)
    labels[1::2] = target
    return labels


def _skips(labels: np.ndarray) -> np.ndarray:
    """Where a label may follow the one two places before it: the blank between two different classes may be left out."""
    may = np.zeros(labels.size, bool)
    may[2:] = labels[2:] != labels[:-2]
    may[::2] = False
    return may


def _later(row: np.ndarray, skips: np.ndarray) -> np.ndarray:
    """The log-probability to be at each label next, before what is emitted there."""
    out = row.copy()
    out[1:] = np.logaddexp(out[1:], row[:-1])
    out[2:] = np.where(skips[2:], np.logaddexp(out[2:], row[:-2]), out[2:])
    return out


def _forward(log: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """alpha: (time, label) -> the log-probability of the beginnings of alignments that are there then."""
    skips, emitted = _skips(labels), log[:, labels]
    alpha = np.full(emitted.shape, _LOW)
    alpha[0, :2] = emitted[0, :2]
    for t in range(1, len(log)):
        alpha[t] = _later(alpha[t - 1], skips) + emitted[t]
    return alpha


def _backward(log: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """beta: the same of their ends; the recursion for the sequences turned around."""
    return _forward(log[::-1], labels[::-1])[::-1, ::-1]


def _cost(log: np.ndarray, labels: np.ndarray) -> float:
    if not len(log):
        return 0.0 if labels.size == 1 else np.inf
    last = _forward(log, labels)[-1, -2:]
    return -np.logaddexp.reduce(last)


def _gradient(log: np.ndarray, labels: np.ndarray, cost: float) -> np.ndarray:
    """The derivative of the cost by log-probabilities that sum to one: exp(log) minus the expected share of each class."""
    both = _forward(log, labels) + _backward(log, labels)
    shares = np.full(log.shape, _LOW)
    for s, label in enumerate(labels):
        shares[:, label] = np.logaddexp(shares[:, label], both[:, s])
    return np.exp(log) - np.exp(shares + cost - log)


@primitive("CtcLossBackward", vjp=NOT_DIFFERENTIABLE)
def ctc_gradient(g, log_probs, costs, *, targets, lengths, blank, zero_infinity):
    out = np.zeros(log_probs.shape)
    for n, (target, length) in enumerate(zip(targets, lengths)):
        if not length or zero_infinity and np.isinf(costs[n]):
            continue
        log = log_probs[:length, n].astype(np.float64)
        out[:length, n] = _gradient(log, _with_blanks(target, blank), float(costs[n])) * g[n]
    return out.astype(log_probs.dtype)


@primitive(
    "CtcLoss",
    vjp=(
        lambda g, log_probs, out, targets, lengths, blank, zero_infinity: ctc_gradient(
            g,
            log_probs.detach(),
            out.detach(),
            targets=targets,
            lengths=lengths,
            blank=blank,
            zero_infinity=zero_infinity,
        ),
    ),
)
def ctc_costs(log_probs, *, targets, lengths, blank, zero_infinity):
    """Minus the log-probability of each sequence's target."""
    costs = [
        _cost(log_probs[:length, n].astype(np.float64), _with_blanks(target, blank))
        for n, (target, length) in enumerate(zip(targets, lengths))
    ]
    return np.array(costs, log_probs.dtype)


def _lengths(value: Any, count: int, name: str) -> list[int]:
    found = value.reshape(-1).tolist() if isinstance(value, Tensor) else [int(n) for n in value]
    if isinstance(value, Tensor) and value._dtype.category != INTEGER:
        raise RuntimeError(f"{name} must be integral")
    if len(found) != count:
        raise RuntimeError(f"{name} must be of size batch_size")
    if min(found, default=0) < 0:
        raise RuntimeError(
            f"Expected {name} to have value at least 0, but got value {min(found)} (while checking arguments for ctc_loss_cpu)"
        )
    return found


def _split_targets(targets: Tensor, lengths: list[int]) -> list[np.ndarray]:
    """Each sequence's target: the beginning of its row, or its part of them all in a line."""
    a = targets._a
    if a.ndim == 1:
        ends = np.cumsum(lengths)
        if lengths and a.size != ends[-1]:
            raise RuntimeError(
                f"Expected tensor to have size {ends[-1]} at dimension 0, but got size {a.size} for argument #2 'targets' "
                "(while checking arguments for ctc_loss_cpu)"
            )
        return [a[end - n : end] for end, n in zip(ends, lengths)]
    if a.ndim != 2:
        raise RuntimeError("targets must be one- or two-dimensional")
    longest = max(lengths, default=0)
    if a.shape[0] != len(lengths) or a.shape[1] < longest:
        raise RuntimeError(
            f"Expected tensor to have size at least {longest} at dimension 1, but got size {list(a.shape)} for argument #2 "
            "'targets' (while checking arguments for ctc_loss_cpu)"
        )
    return [row[:n] for row, n in zip(a, lengths)]


@public(name="ctc_loss", out=False, takes={"targets": "Tensor", "zero_infinity": "bool"})
def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
):
    """Minus the log-probability that sequences are aligned with their targets in any way.

    Args:
        log_probs: (T, N, C) or (T, C), logarithms of probabilities.
        targets: (N, S), or all targets in a line.
        input_lengths, target_lengths: of each sequence.
        blank: the class of no class.
        zero_infinity: give 0 for targets that are too long to be aligned.

    Raises:
        RuntimeError: sizes that do not fit, or no class `blank`.

    Example:
        >>> import rushlight as torch
        >>> even = torch.full((4, 1, 3), 1 / 3).log()
        >>> torch.nn.functional.ctc_loss(even, torch.tensor([[1, 2]]), [4], [2], reduction="sum")
        tensor(1.6864)
    """
    kind = reduction if isinstance(reduction, str) else ("none", "mean", "sum")[reduction]
    reduction = reduction_of(kind)
    if not isinstance(log_probs, Tensor):
        raise errors.wrong_type("ctc_loss", "log_probs", 1, log_probs)
    single = log_probs._a.ndim == 2
    x = log_probs.unsqueeze(1) if single else log_probs
    _check(x, targets, blank)
    count = x._a.shape[1]
    inputs = _lengths(input_lengths, count, "input_lengths")
    wanted = _lengths(target_lengths, count, "target_lengths")
    if max(inputs, default=0) > x._a.shape[0]:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {x._a.shape[0]}, but got value {max(inputs)} (while checking "
            "arguments for ctc_loss_cpu)"
        )
    split = _split_targets(targets, wanted)
    costs = ctc_costs(x, targets=split, lengths=inputs, blank=blank, zero_infinity=zero_infinity)
    if zero_infinity:
        costs = costs.where(costs.isinf().logical_not(), costs.new_zeros(()))
    if reduction == "mean":
        return (costs / costs.new_tensor([max(n, 1) for n in wanted])).mean()
    return costs.sum() if reduction == "sum" else costs.squeeze(0) if single else costs


def _check(x: Tensor, targets: Any, blank: int) -> None:
    if x._a.ndim != 3:
        raise RuntimeError(f"log_probs must be of dimension 2 or 3, but got {x._a.ndim}")
    if x._dtype not in (float32, float64):
        raise NotImplementedError(f"\"ctc_loss_cpu\" not implemented for '{x._dtype.legacy}'")
    if x._dtype.category < FLOATING or targets._dtype not in (int32, int64):
        raise RuntimeError(
            f"Expected targets to be of dtype Int or Long, but got {targets._dtype.legacy} (while checking arguments for "
            "ctc_loss_cpu)"
        )
    if not 0 <= blank < x._a.shape[2]:
        raise RuntimeError("blank must be in label range")


__all__ = ["ctc_loss"]
