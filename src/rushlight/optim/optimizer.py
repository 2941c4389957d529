"""`Optimizer`: groups of parameters with their settings, and what an algorithm remembers of each parameter."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.optim.vectors import Plan, in_lanes, in_tensors
from rushlight.tape.node import RemovableHandle

__all__ = ["Optimizer", "ParameterWise", "check", "check_betas", "check_lr", "required"]


class _Required:
    """The default of a setting that every group must give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()

_HOOKS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


class Optimizer:
    """The base of all optimisers: `params` are tensors, (name, tensor) pairs, or dicts with settings of their own.

    Raises:
        TypeError: something is not a tensor, or the order of the parameters is not fixed.
        ValueError: there are no parameters, one appears twice, or one is not a leaf.

    Example:
        >>> import rushlight as torch
        >>> w = torch.ones(2, requires_grad=True)
        >>> optimizer = torch.optim.SGD([w], lr=0.5)
        >>> w.sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.5000, 0.5000], requires_grad=True)
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        for name in _HOOKS:
            self.__dict__[name] = OrderedDict()
        _hook_steps(type(self))
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + rushlight.typename(params)
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # ---- groups ----

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimise more parameters; settings that the group does not give are the defaults.

        Raises:
            TypeError, ValueError: as the constructor.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, Tensor):
            given = [given]
        elif isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        given = list(given)
        names = [item[0] for item in given if isinstance(item, tuple)]
        if names:
            if len(names) != len(given):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are missing"
                )
            param_group["param_names"] = names
            given = [item[1] for item in given]
        param_group["params"] = given
        for p in given:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {rushlight.typename(p)}"
                )
            if not self.defaults.get("differentiable") and not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            param_group.setdefault(name, default)
        if len({id(p) for p in given}) != len(given):
            import warnings

            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if any(id(p) in known for p in given):
            raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in self.param_groups[0]) != ("param_names" in param_group):
            has = "with" if "param_names" in param_group else "without"
            raise ValueError(
                f"all optimizer param groups should be with/without names. cannot add param group {has} names to the "
                "optimizer"
            )
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Remove all gradients, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                elif p.grad.grad_fn is not None:
                    p.grad.detach_().zero_()
                else:
                    p.grad.requires_grad_(False).zero_()

    def step(self, closure: Callable | None = None) -> Any:
        """Change the parameters once; every optimiser defines its own."""
        raise NotImplementedError

    # ---- saving ----

    def state_dict(self) -> dict[str, Any]:
        """The state of each parameter, under the parameter's number, and the groups, in which numbers stand for them."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()
        }
        made: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            replaced = hook(self, made)
            made = made if replaced is None else replaced
        return made

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what `state_dict()` gave; tensors are converted to the type of their parameter.

        Raises:
            ValueError: the number of groups, or of parameters in one, differs.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        mine, saved = self.param_groups, deepcopy(state_dict["param_groups"])
        if len(mine) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(mine, saved)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        numbered = dict(
            zip(
                chain.from_iterable(group["params"] for group in saved),
                chain.from_iterable(group["params"] for group in mine),
            )
        )
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in numbered:
                state[numbered[key]] = _converted(value, numbered[key])
            else:
                state[key] = value
        for group, given in zip(mine, saved):
            given["params"] = group["params"]
            if "param_names" in group:
                given.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _HOOKS:
            self.__dict__.setdefault(name, OrderedDict())
        _hook_steps(type(self))
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)  # settings that are younger than what was saved

    # ---- hooks ----

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return other arguments."""
        return _added(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _added(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict()`."""
        return _added(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` after `state_dict()`; it may return another."""
        return _added(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before loading; it may return another."""
        return _added(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after loading."""
        return _added(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def __repr__(self) -> str:
        shown = [
            f"Parameter Group {at}\n"
            + "".join(f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params")
            for at, group in enumerate(self.param_groups)
        ]
        return f"{type(self).__name__} (\n" + "\n".join(shown) + ")"


def _added(hooks: OrderedDict, hook: Callable, prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _converted(value: Any, p: Tensor, key: Any = None) -> Any:
    """A parameter's state with its tensors in the parameter's type, but for the count of steps."""
    if isinstance(value, Tensor):
        if key == "step":
            return value.clone()
        return value.to(p.dtype, copy=True) if p.is_floating_point() else value.clone()
    if isinstance(value, dict):
        return {name: _converted(inner, p, name) for name, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_converted(inner, p) for inner in value)
    return value


def _hook_steps(cls: type) -> None:
    """Let the `step` of an optimiser's class, whoever wrote it, call the hooks."""
    plain = cls.step  # type: ignore[attr-defined]
    if getattr(plain, "hooked", False):
        return

    @functools.wraps(plain)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        for hook in self._optimizer_step_pre_hooks.values():
            found = hook(self, args, kwargs)
            if found is not None:
                if not isinstance(found, tuple) or len(found) != 2:
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {found}."
                    )
                args, kwargs = found
        self._opt_called = True  # schedulers warn if it is not
        result = plain(self, *args, **kwargs)
        for hook in self._optimizer_step_post_hooks.values():
            hook(self, args, kwargs)
        return result

    step.hooked = True  # type: ignore[attr-defined]
    cls.step = step  # type: ignore[attr-defined]


class ParameterWise(Optimizer):
    """An optimiser that changes each element by itself: `update(p, gradient, state, group)`.

    What `update` gets may be a parameter, many joined to a vector, or a piece of one: see `rushlight.optim.vectors`.

    Attributes:
        lanes: whether `update` does with what a `Lane` offers, where a tensor is not needed.
    """

    lanes = True

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """A parameter's state before its first step."""
        return {}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Change one parameter by its gradient (negated already where `maximize` is set)."""
        raise NotImplementedError

    def update_sparse(self, p: Tensor, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """The same of a sparse gradient."""
        raise NotImplementedError

    def check_sparse(self, group: dict[str, Any]) -> None:
        """RuntimeError where sparse gradients are not for this optimiser, or not for these settings."""
        raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")

    def _gradients(self, group: dict[str, Any]) -> list[tuple[Tensor, Any, bool]]:
        """The parameters that have a gradient, the gradient, and whether it is sparse."""
        found = []
        for p in group["params"]:
            g = getattr(p, "_grad", None)
            if g is not None:
                sparse = type(g) is not Tensor and g.is_sparse
                if sparse:
                    self.check_sparse(group)
                found.append((p, g, sparse))
        return found

    def step(self, closure: Callable | None = None) -> Any:
        """Change every parameter that has a gradient; `closure` computes the loss first, and its result is returned."""
        loss = None
        if closure is not None:
            with rushlight.enable_grad():
                loss = closure()
        for at, group in enumerate(self.param_groups):
            if not self._step_again(at, group):
                with rushlight.no_grad():
                    self._step_group(at, group)
        return loss

    def _step_again(self, at: int, group: dict[str, Any]) -> bool:
        """Take the step of a group as the one before was taken; False if it is not like that."""
        plan = self.__dict__.setdefault("_plans", {}).get(at)
        if plan is None or plan.steady is None:
            return False
        return plan.steady.again(group["params"], self.state, type(self).update, _settings(group))

    def _step_group(self, at: int, group: dict[str, Any]) -> None:
        maximize = group.get("maximize")
        ready = []
        for p, g, sparse in self._gradients(group):
            state = self._state_of(p, group)
            if sparse:
                self.update_sparse(p, -g if maximize else g, state, group)
            else:
                ready.append((p, g, state))
        plans = self.__dict__.setdefault("_plans", {})
        plan = plans.get(at)
        if plan is None or not plan.fits(ready):
            if group.get("fused"):
                _check_fused(ready)
            plan = plans[at] = Plan(ready)

        def update(p: Tensor, g: Tensor, state: dict[str, Any]) -> None:
            change = _update_parts if p.is_complex() else type(self).update
            change(self, p, -g if maximize else g, state, group)

        form, settings = in_tensors, None
        if self.lanes and _is_plain(group):
            form = in_lanes
            if not isinstance(group.get("lr"), Tensor):
                settings = type(self).update, *_settings(group)
        plan.carry_out(ready, update, form, settings)
        if settings is not None and len(ready) == len(group["params"]):
            plan.settle(ready, type(self).update, _settings(group))

    def _state_of(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = self.state.get(p)
        if not state:
            state = self.start(p, group)
            if state:
                self.state[p] = state
        return state


def _check_fused(ready: list[Any]) -> None:
    for p, _, _ in ready:
        if not p.is_floating_point():
            raise RuntimeError(
                "`fused=True` requires all the params to be floating point Tensors of supported devices: "
                f"['mps', 'cuda', 'xpu', 'hpu', 'cpu', 'mtia', 'privateuseone'] but {p.dtype} and {p.device.type}"
            )


def _settings(group: dict[str, Any]) -> list[Any]:
    return [value for name, value in group.items() if name not in _NAMES]


_PLAIN = frozenset({bool, int, float, type(None)})
#: what a group holds that is no setting
_NAMES = ("params", "param_names")


def _is_plain(group: dict[str, Any]) -> bool:
    """Whether the settings are Python's numbers. (A rate that is a tensor is read as one, by every update.)"""
    for name, value in group.items():
        if type(value) in _PLAIN or name in _NAMES or name == "lr":
            continue
        if type(value) is not tuple or not all(type(each) in _PLAIN for each in value):
            return False
    return True


def _update_parts(
    optimizer: ParameterWise, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Update a complex parameter as the real one that its real and imaginary parts are."""
    as_real = rushlight.view_as_real
    parts = {name: as_real(t) if isinstance(t, Tensor) and t.is_complex() else t for name, t in state.items()}
    optimizer.update(as_real(p), as_real(g), parts, group)
    for name, t in parts.items():
        if state[name] is None:
            state[name] = rushlight.view_as_complex(t)


def steps(p: Tensor) -> Tensor:
    """A new count of steps."""
    double = rushlight.get_default_dtype() == rushlight.float64
    return rushlight.tensor(0.0, dtype=rushlight.float64 if double else rushlight.float32)


def count(state: dict[str, Any]) -> float:
    """The number of this step."""
    state["step"] += 1
    return state["step"].item()


def number(value: Any) -> Any:
    """A setting that may be a tensor of one element, as a number."""
    return value.item() if isinstance(value, Tensor) else value


def decayed(p: Tensor, g: Tensor, group: dict[str, Any]) -> Tensor:
    """The gradient with that of the penalty weight_decay / 2 * p**2 added."""
    decay = group["weight_decay"]
    return g.add(p, alpha=decay) if decay != 0 else g


def check(name: str, value: Any, valid: bool) -> None:
    """ValueError unless a setting is valid."""
    if not valid:
        raise ValueError(f"Invalid {name}: {value}")


def check_lr(lr: Any, group: dict[str, Any]) -> None:
    """ValueError or RuntimeError unless a rate, and what is asked of the implementation, are valid."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check("learning rate", lr, 0.0 <= lr)
    if group.get("fused") and group.get("differentiable"):
        raise RuntimeError("`fused` does not support `differentiable`")
    if group.get("fused") and group.get("foreach"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_betas(betas: Any) -> None:
    for at in (0, 1):
        check(f"beta parameter at index {at}", betas[at], 0.0 <= betas[at] < 1.0)
