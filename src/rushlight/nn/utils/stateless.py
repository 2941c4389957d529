"""A module called with other parameters and buffers than its own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from rushlight.buffer import Tensor
from rushlight.nn.modules.module import Module

__all__ = ["functional_call"]

_MISSING: Any = object()


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The older place of `torch.func.functional_call`."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future "
        "version of PyTorch. Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return called(module, parameters_and_buffers, args, kwargs, tie_weights, strict)


def called(
    module: Module, tensors: dict[str, Tensor], args: Any, kwargs: Any, tie_weights: bool, strict: bool
) -> Any:
    """`module(*args, **kwargs)` with these tensors in the places of its own, which are put back afterwards."""
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _exchanged(module, tensors, tie_weights, strict):
        return module(*args, **(kwargs or {}))


@contextlib.contextmanager
def _exchanged(module: Module, given: dict[str, Tensor], tie_weights: bool, strict: bool) -> Iterator[None]:
    """Put the tensors in; what the module changes in their places is written back to `given`."""
    tensors = _untied(module, given) if tie_weights else given
    if strict:
        _check_names(module, tensors)
    before: dict[str, Any] = {}
    try:
        for name, value in tensors.items():
            before[name] = _exchange(module, name, value)
        yield
    finally:
        after = {name: _exchange(module, name, value) for name, value in before.items()}
        given.update({name: after[name] for name in given if name in after})


def _named_tensors(module: Module) -> dict[str, Tensor]:
    own: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    own.update(module.named_buffers(remove_duplicate=False))
    return own


def _untied(module: Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The given tensors under all names that the module has for the one they stand for.

    Raises ValueError if one tensor of the module would become several.
    """
    names: dict[Tensor, set[str]] = {}
    for name, t in _named_tensors(module).items():
        names.setdefault(t, set()).add(name)
    tied = {name: group for group in names.values() if len(group) > 1 for name in group}
    found = dict(given)
    for name in given.keys() & tied.keys():
        named = tied[name] & given.keys()
        if len(named) > 1 and len({id(given[other]) for other in named}) != 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(tied[name])}, which are tied. Consider using "
                "tie_weights=False"
            )
        for other in tied[name]:
            found[other] = given[name]
    return found


def _check_names(module: Module, given: dict[str, Tensor]) -> None:
    own = _named_tensors(module)
    problems = []
    if unexpected := [name for name in given if name not in own]:
        problems.append(f"Unexpected key(s): {', '.join(map(repr, unexpected))}.")
    if missing := [name for name in own if name not in given]:
        problems.append(f"Missing key(s): {', '.join(map(repr, missing))}.")
    if problems:
        lines = "\n\t".join(problems)
        raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t{lines}")


def _exchange(module: Module, path: str, value: Any) -> Any:
    """Put `value` at `path`, and give what was there; _MISSING stands for nothing, both ways."""
    prefix, _, name = path.rpartition(".")
    owner = module.get_submodule(prefix)
    if value is not _MISSING and value is not None and not isinstance(value, Tensor):
        raise TypeError(f"{value} is not an instance of torch.Tensor")
    if name == "":
        raise KeyError('tensor name can\'t be empty string ""')
    for place in (owner._parameters, owner._buffers):
        if name in place:
            before = place[name]
            if value is _MISSING:
                del place[name]
            else:
                place[name] = value
            return before
    before = getattr(owner, name, _MISSING)
    if before is not _MISSING and before is not None and not isinstance(before, Tensor):
        raise TypeError(f"attribute `{name}`: {before} is not an instance of torch.Tensor")
    if value is not _MISSING:
        setattr(owner, name, value)
    elif hasattr(owner, name):
        delattr(owner, name)
    return before
