"""Averages of a model's parameters over training: of snapshots (SWA), or exponential (EMA)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.normalization import _BatchNorm
from rushlight.optim.cycles import _for_each_group
from rushlight.optim.lr_scheduler import LRScheduler
from rushlight.optim.optimizer import Optimizer

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """The new average of one parameter: `decay` of the old, the rest of the current value."""
    _check_decay(decay)

    @rushlight.no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """As `get_ema_avg_fn`, for lists of parameters, in place."""
    _check_decay(decay)

    @rushlight.no_grad()
    def ema_update(ema_param_list: Any, current_param_list: Any, _: Any) -> None:
        for mean, p in zip(ema_param_list, current_param_list):
            if mean.is_floating_point() or mean.is_complex():
                mean.lerp_(p, 1 - decay)
            else:
                mean.copy_(mean * decay + p * (1 - decay))

    return ema_update


def get_swa_avg_fn() -> Callable:
    """The new mean of one parameter, all snapshots counting the same. Izmailov et al., arXiv:1803.05407."""

    @rushlight.no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_swa_multi_avg_fn() -> Callable:
    """As `get_swa_avg_fn`, for lists of parameters, in place."""

    @rushlight.no_grad()
    def swa_update(averaged_param_list: Any, current_param_list: Any, num_averaged: Any) -> None:
        for mean, p in zip(averaged_param_list, current_param_list):
            if mean.is_floating_point() or mean.is_complex():
                mean.lerp_(p, float(1 / (num_averaged + 1)))
            else:
                mean.add_((p - mean) / (num_averaged + 1))

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's; `update_parameters` takes the current ones in.

    Args:
        avg_fn: (average, current, how many were averaged) -> the new average; by default all count the same.
        multi_avg_fn: the same for lists, in place.
        use_buffers: whether buffers are averaged too; otherwise they are copied.

    Example:
        >>> import rushlight as torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> averaged = torch.optim.swa_utils.AveragedModel(model)
        >>> for value in (1.0, 2.0):
        ...     _ = torch.nn.init.constant_(model.weight, value)
        ...     averaged.update_parameters(model)
        >>> averaged.module.weight.item()
        1.5
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", rushlight.tensor(0, dtype=rushlight.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the current parameters of `model` into the averages; the first ones are copied."""
        pairs = [
            (mean.detach(), p.detach()) for mean, p in zip(self._averaged(self.module), self._averaged(model))
        ]
        if self.n_averaged == 0:
            for mean, p in pairs:
                mean.copy_(p)
        else:
            self._average(pairs)
        if not self.use_buffers:
            for mean, b in zip(self.module.buffers(), model.buffers()):
                mean.detach().copy_(b.detach())
        self.n_averaged += 1

    def _averaged(self, model: Module) -> Iterable[Tensor]:
        return (
            itertools.chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters()
        )

    def _average(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        if self.multi_avg_fn is not None:
            for kind in dict.fromkeys(mean.dtype for mean, _ in pairs):
                means, current = zip(*[pair for pair in pairs if pair[0].dtype is kind])
                self.multi_avg_fn(list(means), list(current), self.n_averaged)
            return
        average = self.avg_fn or get_swa_avg_fn()
        for mean, p in pairs:
            mean.copy_(average(mean, p, self.n_averaged))


@rushlight.no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of `model`'s batch norms anew, from all the data of `loader`."""
    momenta = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.reset_running_stats()
        module.momentum = None
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the current rate to `swa_lr` in `anneal_epochs` steps, along a cosine or a line; constant from there on.

    Raises:
        ValueError: another `anneal_strategy` than "cos" and "linear", or `anneal_epochs` below 0.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for rate, group in zip(_for_each_group("swa_lr", optimizer, swa_lr), optimizer.param_groups):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How far the rate has come at a step, from 0 to 1."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            goal = group["swa_lr"]
            first = goal if before == 1 else (group["lr"] - before * goal) / (1 - before)
            rates.append(goal * now + first * (1 - now))
        return rates
