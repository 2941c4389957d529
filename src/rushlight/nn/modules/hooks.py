"""Hooks on modules: what runs before and after `forward`, and when a module's gradients are there.

Backward hooks see gradients through two identities that are put on the tape: one behind the inputs, one before the
outputs. The outputs' identity gets `grad_output` first; the inputs' gets `grad_input` last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from rushlight.autograd import Function
from rushlight.buffer import Tensor
from rushlight.tape.node import RemovableHandle

__all__ = [
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

#: the attributes of a module that hold hooks by number
REGISTRIES = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)

#: hooks on all modules: kind -> hooks. A kind is here only while it has hooks, so that `if EVERYWHERE` is quick.
EVERYWHERE: dict[str, dict] = {}
#: hooks on registering parameters, buffers and modules
REGISTRATIONS: dict[str, OrderedDict] = {
    "parameter": OrderedDict(),
    "buffer": OrderedDict(),
    "module": OrderedDict(),
}


# ---- registering ----


def _add(
    hooks: OrderedDict, hook: Callable, prepend: bool = False, flags: tuple[tuple[dict, bool], ...] = ()
) -> RemovableHandle:
    handle = _Handle(hooks, [flag for flag, _ in flags])
    hooks[handle.id] = hook
    for flag, wanted in flags:
        if wanted:
            flag[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


class _Handle(RemovableHandle):
    """A handle that also forgets what was noted about the hook."""

    def __init__(self, hooks: dict, notes: list[dict]) -> None:
        super().__init__(hooks)
        self.notes = notes

    def remove(self) -> None:
        super().remove()
        for note in self.notes:
            note.pop(self.id, None)


def register_forward_pre_hook(
    self: Any, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
) -> RemovableHandle:
    """Call `hook(module, args)` before `forward`; what it returns, if not None, are the arguments instead.

    With `with_kwargs` it is `hook(module, args, kwargs)`, and returns both.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.Identity()
        >>> handle = layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
        >>> layer(torch.ones(2))
        tensor([2., 2.])
        >>> handle.remove()
    """
    return _add(self._forward_pre_hooks, hook, prepend, ((self._forward_pre_hooks_with_kwargs, with_kwargs),))


def register_forward_hook(
    self: Any, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after `forward`; what it returns, if not None, is the output instead.

    With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it runs if `forward` raised, too.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.Identity()
        >>> handle = layer.register_forward_hook(lambda module, args, output: print("called"))
        >>> y = layer(torch.ones(2))
        called
    """
    flags = ((self._forward_hooks_with_kwargs, with_kwargs), (self._forward_hooks_always_called, always_call))
    return _add(self._forward_hooks, hook, prepend, flags)


def register_full_backward_pre_hook(self: Any, hook: Callable, prepend: bool = False) -> RemovableHandle:
    """Call `hook(module, grad_output)` before the module's backward; it may return other gradients."""
    return _add(self._backward_pre_hooks, hook, prepend)


def register_full_backward_hook(self: Any, hook: Callable, prepend: bool = False) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are there; it may return others.

    Raises:
        RuntimeError: the module has hooks of `register_backward_hook` already.
    """
    _take_side(self, full=True)
    return _add(self._backward_hooks, hook, prepend)


def _take_side(module: Any, full: bool) -> None:
    """A module has full backward hooks, or others, but not both."""
    if module._is_full_backward_hook is not None and module._is_full_backward_hook is not full:
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one "
            "of them."
        )
    module._is_full_backward_hook = full


def register_backward_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` after backward of the operation that the module did last.

    PyTorch has deprecated it for :func:`register_full_backward_hook`, which is about the whole module.

    Raises:
        RuntimeError: the module has full backward hooks already.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.ReLU()
        >>> handle = layer.register_backward_hook(lambda module, grad_input, grad_output: print(grad_input))
        >>> layer((torch.ones(2, requires_grad=True) * 2)).sum().backward()
        (tensor([1., 1.]),)
    """
    _take_side(self, full=False)
    return _add(self._backward_hooks, hook)


def _add_everywhere(kind: str, hook: Callable, **flags: bool) -> RemovableHandle:
    hooks = EVERYWHERE.setdefault(kind, {})
    handle = _Everywhere(hooks, kind)
    hooks[handle.id] = (hook, flags)
    return handle


class _Everywhere(RemovableHandle):
    def __init__(self, hooks: dict, kind: str) -> None:
        super().__init__(hooks)
        self.kind = kind

    def remove(self) -> None:
        super().remove()
        if not self.hooks and EVERYWHERE.get(self.kind) is self.hooks:
            del EVERYWHERE[self.kind]


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, args)` before the forward of every module."""
    return _add_everywhere("forward_pre", hook)


def register_module_forward_hook(
    hook: Callable, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after the forward of every module."""
    return _add_everywhere("forward", hook, with_kwargs=with_kwargs, always_call=always_call)


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_output)` before the backward of every module."""
    return _add_everywhere("backward_pre", hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` after the backward of every module."""
    _refuse_both("backward_last")
    return _add_everywhere("backward", hook)


def register_module_backward_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` after backward of the last operation of every module; deprecated."""
    _refuse_both("backward")
    return _add_everywhere("backward_last", hook)


def _refuse_both(other: str) -> None:
    if other in EVERYWHERE:
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. Please use only "
            "one of them."
        )


def register_module_parameter_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, parameter)` whenever a parameter is registered; it may return another."""
    return _add(REGISTRATIONS["parameter"], hook)


def register_module_buffer_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, buffer)` whenever a buffer is registered; it may return another."""
    return _add(REGISTRATIONS["buffer"], hook)


def register_module_module_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, submodule)` whenever a module is registered; it may return another."""
    return _add(REGISTRATIONS["module"], hook)


def registered(kind: str, module: Any, name: str, value: Any) -> Any:
    """`value`, or what the hooks on registering put in its place."""
    for hook in REGISTRATIONS[kind].values():
        replaced = hook(module, name, value)
        if replaced is not None:
            value = replaced
    return value


# ---- calling ----


def call(module: Any, args: tuple, kwargs: dict) -> Any:
    """A module's forward with all hooks."""
    waiting: list = []  # hooks that run even if something raises
    try:
        return _call(module, args, kwargs, waiting)
    except Exception:
        for hook, with_kwargs in waiting:
            try:
                hook(module, args, kwargs, None) if with_kwargs else hook(module, args, None)
            except Exception as error:
                import warnings

                warnings.warn(
                    "module forward hook with ``always_call=True`` raised an exception that was silenced as another "
                    f"error was raised in forward: {error}"
                )
        raise


def _call(module: Any, args: tuple, kwargs: dict, waiting: list) -> Any:
    after = _forward_hooks(module)
    waiting += [(hook, flags["with_kwargs"]) for hook, flags in after if flags["always_call"]]
    args, kwargs = _before(module, args, kwargs)
    watch = _watch(module)
    if watch is not None:
        args = watch.inputs(args)
    output = module.forward(*args, **kwargs)
    for hook, flags in after:
        if flags["always_call"]:
            waiting.pop(0)
        found = hook(module, args, kwargs, output) if flags["with_kwargs"] else hook(module, args, output)
        if found is not None:
            output = found
    if watch is not None:
        output = watch.outputs(output)
    last = _last_hooks(module)
    if last:
        from rushlight.nn.modules.partial_hooks import hang  # which few programs need

        hang(module, last, args, output)
    return output


def _last_hooks(module: Any) -> list[Callable]:
    """The hooks on the operation that the module does last."""
    own = module._backward_hooks.values() if module._is_full_backward_hook is False else ()
    return [*[hook for hook, _ in EVERYWHERE.get("backward_last", {}).values()], *own]


def _forward_hooks(module: Any) -> list[tuple[Callable, dict]]:
    own = [
        (
            hook,
            {
                "with_kwargs": at in module._forward_hooks_with_kwargs,
                "always_call": at in module._forward_hooks_always_called,
            },
        )
        for at, hook in module._forward_hooks.items()
    ]
    return [*EVERYWHERE.get("forward", {}).values(), *own]


def _before(module: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    hooks = [(hook, False) for hook, _ in EVERYWHERE.get("forward_pre", {}).values()]
    hooks += [
        (hook, at in module._forward_pre_hooks_with_kwargs) for at, hook in module._forward_pre_hooks.items()
    ]
    for hook, with_kwargs in hooks:
        if with_kwargs:
            found = hook(module, args, kwargs)
            if found is None:
                continue
            if not isinstance(found, tuple) or len(found) != 2:
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {found}."
                )
            args, kwargs = found
        else:
            found = hook(module, args)
            if found is not None:
                args = found if isinstance(found, tuple) else (found,)
    return args, kwargs


# ---- backward ----


class BackwardHookFunction(Function):
    """The identity: a place on the tape where all of a module's inputs, or outputs, meet."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple:
        ctx.mark_non_differentiable(*(t for t in tensors if not t.requires_grad))
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        return grads


def _watch(module: Any) -> _Watch | None:
    before = [hook for hook, _ in EVERYWHERE.get("backward_pre", {}).values()]
    before += module._backward_pre_hooks.values()
    after = [hook for hook, _ in EVERYWHERE.get("backward", {}).values()]
    if module._is_full_backward_hook:
        after += module._backward_hooks.values()
    return _Watch(module, before, after) if before or after else None


class _Watch:
    """One call of a module whose backward has hooks."""

    def __init__(self, module: Any, before: list[Callable], after: list[Callable]) -> None:
        self.module, self.before, self.after = module, before, after
        self.seen: Any = None  # grad_output
        self.input_places: list[int] | None = None
        self.input_count = 0

    def inputs(self, args: tuple) -> tuple:
        """The arguments, their tensors taken through an identity that reports their gradients."""
        made, node, self.input_places, self.input_count = _through(args)
        if node is not None:
            blank = [args[place] for place in self.input_places]
            node.register_hook(lambda grads, _: self._input_gradients(grads, blank))
        else:
            self.input_places = None
        return made

    def _input_gradients(self, grads: tuple, inputs: list[Tensor]) -> Any:
        if self.seen is None:  # the gradient came to the inputs by another way than through the outputs
            return None
        # tensors that want no gradient are told zeros
        full = tuple(x.new_zeros(x.shape) if g is None else g for g, x in zip(grads, inputs))
        changed = self._run_after(_spread(full, self.input_places, self.input_count))
        return tuple(None if g is None else changed[place] for g, place in zip(grads, self.input_places))

    def _run_after(self, grad_input: tuple) -> tuple:
        for hook in self.after:
            found = hook(self.module, grad_input, self.seen)
            if found is None:
                continue
            found = found if isinstance(found, tuple) else (found,)
            if len(found) != len(grad_input):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(found)}, but expected {len(grad_input)}"
                )
            grad_input = found
        self.seen = None
        return grad_input

    def _run_without_inputs(self) -> None:
        import warnings

        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs "
            "require gradients. See "
            "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook "
            "for more details.",
            stacklevel=5,
        )
        for hook in self.after:
            found = hook(self.module, (None,) * self.input_count, self.seen)
            if found is not None and not (isinstance(found, tuple) and all(g is None for g in found)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or None for all "
                    "gradients."
                )
        self.seen = None

    def outputs(self, output: Any) -> Any:
        """The outputs, taken through an identity that is told their gradients first."""
        single = not isinstance(output, tuple)
        if single and not isinstance(output, Tensor):
            import warnings

            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                f"{type(output)}",
                stacklevel=5,
            )
        made, node, places, count = _through((output,) if single else output)
        if node is not None:

            def told(grads: tuple) -> Any:
                self.seen = _spread(grads, places, count)
                for hook in self.before:
                    found = hook(self.module, self.seen)
                    if found is None:
                        continue
                    found = found if isinstance(found, tuple) else (found,)
                    if len(found) != count:
                        raise RuntimeError(
                            "Backward pre hook returned an invalid number of grad_output, "
                            f"got {len(found)}, but expected {count}"
                        )
                    self.seen = found
                changed = self.seen
                if self.input_places is None:  # no input wants a gradient: this is all there is to report
                    self._run_without_inputs()
                return tuple(changed[place] for place in places)

            node.register_prehook(told)
        if single:
            return made[0]
        return made if type(output) is tuple or node is None else type(output)(*made)


def _through(values: tuple) -> tuple[tuple, Any, list[int], int]:
    """Values whose tensors went through one identity, its node (None: no gradients here), and where the tensors are."""
    import rushlight

    places = [at for at, value in enumerate(values) if isinstance(value, Tensor)]
    wanted = any(values[at].requires_grad for at in places)
    if not (wanted and rushlight.is_grad_enabled()):
        return values, None, places, len(values)
    through = BackwardHookFunction.apply(*(values[at] for at in places))
    node = next((t.grad_fn for t in through if t.grad_fn is not None), None)
    if node is None:
        raise RuntimeError("Error while setting up backward hooks.")
    made = list(values)
    for at, t in zip(places, through):
        made[at] = t
    return tuple(made), node, places, len(values)


def _spread(grads: tuple, places: Any, count: int) -> tuple:
    spread = [None] * count
    for place, g in zip(places, grads):
        spread[place] = g
    return tuple(spread)
