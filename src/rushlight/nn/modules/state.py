"""`state_dict` and `load_state_dict`: a module's tensors under dotted names, out and in."""

from __future__ import annotations

import weakref
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn.parameter import Parameter
from rushlight.tape.node import RemovableHandle

#: the key under which a module's own extra state is stored
EXTRA = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


# ---- out ----


def state_dict(
    self: Any, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
) -> Any:
    """The parameters and persistent buffers of this module and those below, under dotted names.

    The tensors are detached (unless `keep_vars`) but share their memory.

    Example:
        >>> import rushlight as torch
        >>> list(torch.nn.Sequential(torch.nn.Linear(2, 1)).state_dict())
        ['0.weight', '0.bias']
    """
    # destination, prefix and keep_vars were once positional
    if args and destination is None:
        destination = args[0]
    if len(args) > 1 and prefix == "":
        prefix = args[1]
    if len(args) > 2 and keep_vars is False:
        keep_vars = args[2]
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    metadata = {"version": self._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = metadata
    for hook in self._state_dict_pre_hooks.values():
        hook(self, prefix, keep_vars)
    self._save_to_state_dict(destination, prefix, keep_vars)
    for name, module in self._modules.items():
        if module is not None:
            module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in self._state_dict_hooks.values():
        replaced = hook(self, destination, prefix, metadata)
        if getattr(hook, "only_looks", False):
            if replaced is not None:
                raise RuntimeError("state_dict post-hook must return None")
        elif replaced is not None:
            destination = replaced
    return destination


def save_to(self: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
    """Put this module's own tensors, not its children's, into `destination`."""
    for name, tensor in _own_tensors(self):
        if tensor is not None:
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
    from rushlight.nn.modules.module import Module

    if type(self).get_extra_state is not Module.get_extra_state:
        destination[prefix + EXTRA] = self.get_extra_state()


def _own_tensors(module: Any) -> Iterable[tuple[str, Any]]:
    yield from module._parameters.items()
    for name, buffer in module._buffers.items():
        if name not in module._non_persistent_buffers_set:
            yield name, buffer


# ---- in ----


def load_state_dict(self: Any, state_dict: Mapping, strict: bool = True, assign: bool = False) -> Any:
    """Copy the tensors of a `state_dict` into this module; with `assign`, take them as they are.

    Returns the keys that were missing and those nothing was found for.

    Raises:
        RuntimeError: a shape differs; or, with `strict`, a key is missing or unexpected.

    Example:
        >>> import rushlight as torch
        >>> a, b = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        >>> a.load_state_dict(b.state_dict())
        <All keys matched successfully>
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    metadata = getattr(state_dict, "_metadata", None)
    given = OrderedDict(state_dict)
    if metadata is not None:
        given._metadata = metadata
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []

    def load(module: Any, part: Mapping, prefix: str) -> None:
        local = {} if metadata is None else metadata.get(prefix[:-1], {})
        if assign:
            local["assign_to_params_buffers"] = True
        module._load_from_state_dict(part, prefix, local, True, missing, unexpected, errors)
        for name, child in module._modules.items():
            if child is not None:
                below = f"{prefix}{name}."
                load(child, OrderedDict((k, v) for k, v in part.items() if k.startswith(below)), below)
        keys = _IncompatibleKeys(missing, unexpected)
        for hook in module._load_state_dict_post_hooks.values():
            if hook(module, keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not"
                    "expected to return new values, if incompatible_keys need to be modified,"
                    "it should be done inplace."
                )

    load(self, given, "")
    if strict:
        if missing:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if unexpected:
            errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
            if missing:
                errors[0], errors[1] = errors[1], errors[0]
    if errors:
        raise RuntimeError(
            "Error(s) in loading state_dict for {}:\n\t{}".format(type(self).__name__, "\n\t".join(errors))
        )
    return _IncompatibleKeys(missing, unexpected)


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


def load_from(
    self: Any,
    state_dict: Mapping,
    prefix: str,
    local_metadata: dict,
    strict: bool,
    missing_keys: list,
    unexpected_keys: list,
    error_msgs: list,
) -> None:
    """Take this module's own tensors, not its children's, from `state_dict`."""
    for hook in self._load_state_dict_pre_hooks.values():
        hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    assign = local_metadata.get("assign_to_params_buffers", False)
    for name, held in _own_tensors(self):
        if held is None:
            continue
        key = prefix + name
        if key in state_dict:
            problem = _load_one(self, name, held, state_dict[key], key, assign)
            if problem:
                error_msgs.append(problem)
        elif strict:
            missing_keys.append(key)
    from rushlight.nn.modules.module import Module

    if type(self).set_extra_state is not Module.set_extra_state:
        if prefix + EXTRA in state_dict:
            self.set_extra_state(state_dict[prefix + EXTRA])
        elif strict:
            missing_keys.append(prefix + EXTRA)
    elif strict and prefix + EXTRA in state_dict:
        unexpected_keys.append(prefix + EXTRA)
    if strict:
        own = {name for name, t in _own_tensors(self) if t is not None}
        for key in state_dict:
            if key.startswith(prefix) and key != prefix + EXTRA:
                head, dot, _ = key[len(prefix) :].partition(".")
                if not (head in self._modules if dot else head in own or head in self._modules):
                    unexpected_keys.append(key)


def _load_one(module: Any, name: str, held: Any, value: Any, key: str, assign: bool) -> str:
    """Load one tensor; what is wrong with it, or ''."""
    if not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint '
            f"but received {type(value)}"
        )
    unset = getattr(held, "is_lazy", False)
    if not unset and held.dim() == 0 and value.dim() == 1 and len(value):
        value = value[0]  # before PyTorch 0.4 a 0-d tensor was saved with one dimension
    if not unset and value.shape != held.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
            f"the shape in current model is {held.shape}."
        )
    if unset:
        if getattr(value, "is_lazy", False):
            return ""
        with rushlight.no_grad():
            held.materialize(value.shape)
    try:
        with rushlight.no_grad():
            if not assign:
                held.copy_(value)
            elif isinstance(held, Parameter):
                setattr(
                    module,
                    name,
                    value if isinstance(value, Parameter) else Parameter(value, held.requires_grad),
                )
            else:
                setattr(module, name, value)
    except Exception as error:
        reason = f"an exception occurred : {error.args}"
        return (
            f'While copying the parameter named "{key}", whose dimensions in the model are {held.size()} and '
            f"whose dimensions in the checkpoint are {value.size()}, {reason}."
        )
    return ""


# ---- a module's own extra state ----


def get_extra_state(self: Any) -> Any:
    """What else to save with the module; define it together with `set_extra_state`."""
    raise RuntimeError(_NEVER.format("get"))


def set_extra_state(self: Any, state: Any) -> None:
    """Take back what `get_extra_state` returned."""
    raise RuntimeError(_NEVER.format("set"))


_NEVER = (
    "Reached a code path in Module.{}_extra_state() that should never be called. "
    "A module that defines one of get_extra_state and set_extra_state must define the other."
)

# ---- hooks ----


def _added(hooks: dict, hook: Callable) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_state_dict_pre_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, prefix, keep_vars)` before `state_dict()` collects."""
    return _added(self._state_dict_pre_hooks, hook)


def register_state_dict_post_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, state_dict, prefix, local_metadata)` after; it may change the dict but returns None."""
    hook.only_looks = True  # type: ignore[attr-defined]
    return _added(self._state_dict_hooks, hook)


def register_raw_state_dict_hook(self: Any, hook: Callable) -> RemovableHandle:
    """The same, but what the hook returns, if not None, takes the dict's place."""
    if getattr(hook, "only_looks", False):
        raise RuntimeError("previously registered via register_state_dict_post_hook")
    return _added(self._state_dict_hooks, hook)


def register_load_state_dict_pre_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)` before loading."""
    return _added(self._load_state_dict_pre_hooks, _WithModule(hook, self))


class _WithModule:
    """A hook that is told the module, which it does not keep alive, and whose copies are told the module's copies."""

    def __init__(self, hook: Callable, module: Any) -> None:
        self.hook, self.module = hook, weakref.ref(module)

    def __call__(self, *args: Any) -> Any:
        return self.hook(self.module(), *args)

    def __reduce__(self) -> tuple:
        return _WithModule, (self.hook, self.module())


def register_raw_load_pre_hook(self: Any, hook: Callable, with_module: bool = False) -> RemovableHandle:
    """The same without the module, unless `with_module`."""
    return (
        register_load_state_dict_pre_hook(self, hook)
        if with_module
        else _added(self._load_state_dict_pre_hooks, hook)
    )


def register_load_state_dict_post_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, incompatible_keys)` after loading; it may change the lists of keys."""
    return _added(self._load_state_dict_post_hooks, hook)
