"""`Module`: parameters, buffers and other modules under names, and a `forward` that uses them."""

from __future__ import annotations

import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn.modules import hooks, state
from rushlight.nn.modules.hooks import (
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from rushlight.nn.parameter import Buffer, Parameter

__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]


class Module:
    """The base of everything that has parameters or is made of what has.

    Parameters and modules that are assigned to attributes are registered under the attribute's name.

    Raises:
        AttributeError: something was registered before `super().__init__()` ran.
        NotImplementedError: a module was called that has no `forward`.

    Example:
        >>> import rushlight as torch
        >>> class Twice(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.inner = torch.nn.Linear(2, 2)
        ...
        ...     def forward(self, x):
        ...         return self.inner(self.inner(x))
        >>> Twice()
        Twice(
          (inner): Linear(in_features=2, out_features=2, bias=True)
        )
    """

    dump_patches = False
    call_super_init = False
    _version = 1
    training: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            name = type(self).__name__
            if kwargs:
                raise TypeError(
                    f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            raise TypeError(f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given")
        facts = self.__dict__
        facts["training"] = True
        facts["_parameters"] = {}
        facts["_buffers"] = {}
        facts["_non_persistent_buffers_set"] = set()
        facts.update((name, OrderedDict()) for name in hooks.REGISTRIES[:2])
        facts["_is_full_backward_hook"] = None
        facts.update((name, OrderedDict()) for name in hooks.REGISTRIES[2:])
        facts["_modules"] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # ---- calling ----

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
            or hooks.EVERYWHERE
        ):
            return hooks.call(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def forward(self, *input: Any) -> Any:
        """What the module computes; every subclass defines its own."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    # ---- attributes ----

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            held = facts.get(kind)
            if held is not None and name in held:
                return held[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        facts = self.__dict__
        parameters = facts.get("_parameters")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
            return
        if parameters is not None and name in parameters:
            if value is not None:
                raise _wrong_kind(value, "parameter", name, "torch.nn.Parameter or None")
            self.register_parameter(name, value)
            return
        modules = facts.get("_modules")
        if isinstance(value, Module):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "_modules")
            modules[name] = hooks.registered("module", self, name, value)
            return
        if modules is not None and name in modules:
            if value is not None:
                raise _wrong_kind(value, "child module", name, "torch.nn.Module or None")
            modules[name] = hooks.registered("module", self, name, value)
            return
        buffers = facts.get("_buffers")
        if isinstance(value, Buffer) or buffers is not None and name in buffers:
            self._set_buffer(buffers, name, value)
            return
        object.__setattr__(self, name, value)

    def _set_buffer(self, buffers: dict | None, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise _wrong_kind(value, "buffer", name, "torch.nn.Buffer, torch.Tensor or None")
        if buffers is None:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        if isinstance(value, Buffer):
            self._forget(name, "_buffers")
            self.register_buffer(name, value, value.persistent)
        else:
            buffers[name] = hooks.registered("buffer", self, name, value)

    def _forget(self, name: str, keep: str) -> None:
        """Remove what is held under this name as anything but `keep`, where it would keep its place."""
        facts = self.__dict__
        facts.pop(name, None)
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind != keep and kind in facts:
                facts[kind].pop(name, None)
        facts.get("_non_persistent_buffers_set", set()).discard(name)

    def __delattr__(self, name: str) -> None:
        for held in (self._parameters, self._buffers, self._modules):
            if name in held:
                del held[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers}
        return sorted(name for name in names if not name[0].isdigit())

    def __setstate__(self, saved: dict) -> None:
        self.__dict__.update(saved)
        for name in hooks.REGISTRIES:
            self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)

    # ---- registering ----

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Hold a tensor that is state but is not learned; `persistent` ones are part of `state_dict()`.

        Raises:
            KeyError: the name is taken, empty, or contains a dot.
            TypeError: neither a tensor nor None.
        """
        self._check_name("buffer", "_buffers", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{rushlight.typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        self._buffers[name] = hooks.registered("buffer", self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Hold a parameter under a name.

        Raises:
            KeyError: the name is taken, empty, or contains a dot.
            TypeError: neither a Parameter nor None.
        """
        self._check_name("parameter", "_parameters", name)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{rushlight.typename(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                    f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
                )
        self._parameters[name] = hooks.registered("parameter", self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold another module under a name.

        Raises:
            KeyError: the name is taken, empty, or contains a dot.
            TypeError: neither a Module nor None.
        """
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{rushlight.typename(module)} is not a Module subclass")
        self._check_name("module", "_modules", name)
        self._modules[name] = hooks.registered("module", self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as :meth:`add_module`."""
        self.add_module(name, module)

    def _check_name(self, kind: str, held: str, name: str) -> None:
        if held not in self.__dict__:
            if kind == "module":
                raise AttributeError(f"'{type(self).__name__}' object has no attribute '{held}'")
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {rushlight.typename(name)}")
        if hasattr(self, name) and name not in self.__dict__[held]:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')

    # ---- walking ----

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, parents first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(
                    memo, prefix + ("." if prefix else "") + name, remove_duplicate
                )

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules held directly, each once, with their names."""
        memo = set()
        for name, module in self._modules.items():
            if module is not None and module not in memo:
                memo.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules held directly, each once."""
        for _, module in self.named_children():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names."""
        yield from self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, of modules below too unless `recurse` is False."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names."""
        yield from self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, of modules below too unless `recurse` is False."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_members(
        self, members: Callable, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        memo = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, member in members(module):
                if member is None or id(member) in memo:
                    continue
                if remove_duplicate:
                    memo.add(id(member))
                yield path + ("." if path else "") + name, member

    # ---- looking up ----

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; AttributeError if there is none."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted path; `strict` demands that there is one already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path; AttributeError if there is none."""
        found = self._member(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{target.rpartition('.')[2]}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path; AttributeError if there is none."""
        self._member(target)
        path, _, name = target.rpartition(".")
        held = self.get_submodule(path)._buffers
        if name not in held:
            raise AttributeError(f"`{name}` is not a buffer")
        return held[name]

    def _member(self, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return getattr(module, name)

    # ---- changing all at once ----

    def apply(self, fn: Callable) -> Any:
        """Call `fn(module)` for every module, children first."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Any:
        """Set every module's `training`, which dropout and batch normalisation heed."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Any:
        """The same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Say whether the parameters want gradients."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Remove the parameters' gradients, or fill them with zeros."""
        for parameter in self.parameters():
            if parameter.grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            elif parameter.grad.grad_fn is not None:
                parameter.grad.detach_().zero_()
            else:
                parameter.grad.requires_grad_(False).zero_()

    def _apply(self, fn: Callable, recurse: bool = True) -> Any:
        """Replace every parameter's, gradient's and buffer's data by `fn` of it; the parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, parameter in self._parameters.items():
            if parameter is None:
                continue
            grad = parameter.grad
            with rushlight.no_grad():
                made = fn(parameter)
                if made.is_meta or parameter.is_meta or _overwrites():
                    # (memory cannot be given to what has none, nor taken away)
                    self._parameters[name] = Parameter(made, parameter.requires_grad)
                    if grad is not None:
                        self._parameters[name].grad = fn(grad)
                    continue
                if made is not parameter:
                    parameter.data = made
                if grad is not None:
                    grad.data = fn(grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Convert parameters and buffers, in place: `to(dtype)`, `to(device)`, `to(other_tensor)`.

        Only floating ones change dtype.

        Raises:
            TypeError: an integer dtype.
        """
        memory_format = kwargs.pop("memory_format", None)
        dtype = _dtype_asked(args, kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        if dtype is not None and dtype.is_complex:
            warnings.warn(
                "Complex modules are a new feature under active development whose design may change, "
                "and some modules might not work as expected when using complex tensors as parameters or buffers."
            )
        rushlight.empty(0).to(
            *args, **kwargs
        )  # what is wrong with the arguments is said even if there is no parameter
        device = rushlight.empty(0).to(*args, **kwargs).device

        def convert(t: Tensor) -> Tensor:
            if t.is_meta and device.type != "meta":
                raise NotImplementedError(
                    "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of "
                    "torch.nn.Module.to() when moving module from meta to a different device."
                )
            changes = dtype is not None and (t.is_floating_point() or t.is_complex())
            made = t.to(device, dtype) if changes else t.to(device)
            fits = memory_format is not None and t.dim() in (4, 5)
            return made.to(memory_format=memory_format) if fits else made

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Any:
        """Give parameters and buffers new, unset memory."""

        def emptied(t: Tensor) -> Tensor:
            if t.is_meta:
                return rushlight.empty_strided(t.size(), t.stride(), dtype=t.dtype, device=device)
            return rushlight.empty_like(t, device=device)

        return self._apply(emptied, recurse)

    def type(self, dst_type: Any) -> Any:
        """Convert all parameters and buffers to `dst_type`, integers too."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> Any:
        """Convert floating parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self) -> Any:
        """Convert floating parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self) -> Any:
        """Convert floating parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self) -> Any:
        """Convert floating parameters and buffers to bfloat16."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def cpu(self) -> Any:
        """Nothing: everything is on the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Any:
        """Raises what PyTorch raises where there is no GPU."""
        return self._apply(lambda t: t.cuda(device))

    def share_memory(self) -> Any:
        """Move parameters and buffers to memory that processes share, see `Tensor.share_memory_`."""
        return self._apply(lambda t: t.share_memory_())

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: what a module computes is fused and compiled without being asked."""

    # ---- saving ----

    state_dict = state.state_dict
    load_state_dict = state.load_state_dict
    get_extra_state = state.get_extra_state
    set_extra_state = state.set_extra_state
    _save_to_state_dict = state.save_to
    _load_from_state_dict = state.load_from
    register_state_dict_pre_hook = state.register_state_dict_pre_hook
    register_state_dict_post_hook = state.register_state_dict_post_hook
    register_load_state_dict_pre_hook = state.register_load_state_dict_pre_hook
    register_load_state_dict_post_hook = state.register_load_state_dict_post_hook
    _register_state_dict_hook = state.register_raw_state_dict_hook
    _register_load_state_dict_pre_hook = state.register_raw_load_pre_hook

    # ---- hooks ----

    register_forward_pre_hook = hooks.register_forward_pre_hook
    register_forward_hook = hooks.register_forward_hook
    register_full_backward_pre_hook = hooks.register_full_backward_pre_hook
    register_full_backward_hook = hooks.register_full_backward_hook
    register_backward_hook = hooks.register_backward_hook

    # ---- printing ----

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What the repr says between the parentheses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        below = [f"({name}): {indented(repr(module), 2)}" for name, module in self._modules.items()]
        if len(lines) == 1 and not below:
            return f"{self._get_name()}({lines[0]})"
        body = "\n  ".join(lines + below)
        return f"{self._get_name()}(\n  {body}\n)" if body else f"{self._get_name()}()"


def indented(text: str, spaces: int) -> str:
    """The text with all lines but the first moved right."""
    return text.replace("\n", "\n" + " " * spaces)


def _overwrites() -> bool:
    """Whether the program chose that conversions make new parameters."""
    chosen = sys.modules.get("rushlight.__future__")  # (who has not loaded it has chosen nothing)
    return chosen is not None and chosen.get_overwrite_module_params_on_conversion()


def _wrong_kind(value: Any, kind: str, name: str, expected: str) -> TypeError:
    return TypeError(f"cannot assign '{rushlight.typename(value)}' as {kind} '{name}' ({expected} expected)")


def _dtype_asked(args: tuple, kwargs: dict) -> Any:
    """The dtype among the arguments of `to`, if one is named."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            return value.dtype
        if isinstance(value, rushlight.dtype):
            return value
    return None
