"""Modules as functions: of their parameters and buffers, one module's or those of several, stacked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rushlight.buffer import Tensor
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.normalization import _BatchNorm
from rushlight.nn.utils.stateless import called
from rushlight.ops.joining import stack


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with these parameters and buffers in the places of its own.

    Args:
        parameter_and_buffer_dicts: name -> tensor, or several such dictionaries; the module's own serve for the rest.
            What the module writes to buffers shows in them.
        args: a tuple of arguments, or one.
        tie_weights: whether what is one tensor in the module is replaced under all its names.
        strict: raise unless exactly the module's names are given.

    Raises:
        ValueError: a name in several dictionaries, or several values for one tensor.
        RuntimeError: other names than the module's, if strict.

    Example:
        >>> import rushlight as torch
        >>> double = {"weight": torch.tensor([[2.0]]), "bias": torch.zeros(1)}
        >>> torch.func.functional_call(torch.nn.Linear(1, 1), double, torch.ones(1, 1))
        tensor([[2.]])
    """
    if isinstance(parameter_and_buffer_dicts, dict):
        tensors = parameter_and_buffer_dicts
    elif isinstance(parameter_and_buffer_dicts, Sequence):
        tensors = _merged(parameter_and_buffer_dicts)
    else:
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(parameter_and_buffer_dicts)}"
        )
    return called(module, tensors, args, kwargs, tie_weights, strict)


def _merged(dicts: Sequence[Any]) -> dict[str, Tensor]:
    if not all(isinstance(d, dict) for d in dicts):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    counts = Counter(name for d in dicts for name in d)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(
            f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous"
        )
    return {name: t for d in dicts for name, t in d.items()}


def stack_module_state(models: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of several modules of one class, stacked by name: leaves of their own.

    With `vmap` and `functional_call` the modules are then called all at once.

    Raises:
        RuntimeError: no modules, of different classes or modes, or whose parameters do not all require grad.

    Example:
        >>> import rushlight as torch
        >>> params, buffers = torch.func.stack_module_state([torch.nn.Linear(2, 3) for _ in range(4)])
        >>> params["weight"].shape
        torch.Size([4, 3, 2])
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    params = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {name: _stacked([p[name] for p in params], name) for name in params[0]},
        {name: _stacked([b[name] for b in buffers], name) for name in buffers[0]},
    )


def _stacked(tensors: list[Tensor], name: str) -> Tensor:
    if len({t.requires_grad for t in tensors}) > 1:
        raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
    joined = stack(tensors)
    return joined.detach().requires_grad_() if tensors[0].requires_grad else joined


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Let every batch norm in `root` use the batch's statistics only, as `vmap` needs it; gives `root`."""
    for module in root.modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
