"""`torch.nn.utils.prune`: weights of which a mask lets only some count.

A pruned tensor `weight` is computed as `weight_orig * weight_mask` before each forward. What is pruned again is pruned among
what the mask has left.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn.modules.module import Module
from rushlight.nn.utils.convert_parameters import parameters_to_vector

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


class BasePruningMethod(ABC):
    """How to choose what counts: subclass it, set `PRUNING_TYPE`, write `compute_mask`, and call `apply`.

    Attributes:
        PRUNING_TYPE: what `compute_mask` is shown of a tensor that was pruned before: "unstructured", the elements that are
            left, as a vector; "structured", the slices along `self.dim` of which something is left; "global", all.
    """

    PRUNING_TYPE: str
    _tensor_name: str

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask, of zeros and ones, for a tensor (or its importance) under the mask of before."""

    def __call__(self, module: Module, inputs: Any) -> None:
        """Before each forward: compute the pruned tensor."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module: Module) -> Tensor:
        """The module's tensor times its mask."""
        original = getattr(module, self._tensor_name + "_orig")
        return getattr(module, self._tensor_name + "_mask").to(dtype=original.dtype) * original

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Any = None, **kwargs: Any
    ) -> Any:
        """Prune `module.<name>` by a method that `args` and `kwargs` describe; gives the method, or the container of all.

        Args:
            importance_scores: what to choose by, instead of the tensor.
        """
        method = _joined(module, name, cls(*args, **kwargs))
        first = not isinstance(method, PruningContainer)
        original = getattr(module, name)
        scores = _scores(importance_scores, original, f"parameter {name} of {module}")
        if first:
            module.register_parameter(name + "_orig", original)
            del module._parameters[name]
            before = rushlight.ones_like(original)
        else:
            before = getattr(module, name + "_mask").detach().clone()
        try:
            module.register_buffer(name + "_mask", method.compute_mask(scores, default_mask=before))
            setattr(module, name, method.apply_mask(module))
            module.register_forward_pre_hook(method)
        except Exception:
            if first:
                module.register_parameter(name, module._parameters.pop(name + "_orig"))
            raise
        return method

    def prune(self, t: Tensor, default_mask: Any = None, importance_scores: Any = None) -> Tensor:
        """`t` pruned by this method, without a module."""
        scores = _scores(importance_scores, t, "tensor t")
        before = rushlight.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=before)

    def remove(self, module: Module) -> None:
        """Make the pruned tensor an ordinary parameter again, with zeros where the mask has them."""
        name = self._tensor_name
        pruned = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        assert original is not None
        original.data = pruned.data
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


def _scores(given: Any, t: Tensor, what: str) -> Tensor:
    if given is None:
        return t
    if given.shape != t.shape:
        raise AssertionError(
            f"importance_scores should have the same shape as {what}, got {given.shape} vs {t.shape}"
        )
    return given


def _joined(module: Module, name: str, method: BasePruningMethod) -> BasePruningMethod:
    """The method itself, or the container of it and those that pruned this tensor before; these are unhooked."""
    method._tensor_name = name
    hooks = module._forward_pre_hooks
    before = [key for key, hook in hooks.items() if _prunes(hook, name)]
    if not before:
        return method
    if len(before) > 1:
        raise AssertionError(
            f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}. Use a PruningContainer."
        )
    old: Any = hooks.pop(before[0])
    container = old if isinstance(old, PruningContainer) else PruningContainer(old)
    container.add_pruning_method(method)
    return container


def _prunes(hook: Any, name: str) -> bool:
    return isinstance(hook, BasePruningMethod) and hook._tensor_name == name


class PruningContainer(BasePruningMethod):
    """Several methods that pruned one tensor, one after the other."""

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[Any, ...] = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Add one more.

        Raises:
            TypeError: no method.
            ValueError: it prunes another tensor.
        """
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                f"Can only add pruning methods acting on the parameter named '{self._tensor_name}' to PruningContainer "
                f"{self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: int) -> BasePruningMethod:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The last method's mask for what the mask of before has left."""
        method = self._pruning_methods[-1]
        left = _left(method, t, default_mask)
        mask = default_mask.to(dtype=t.dtype)
        mask[left] = method.compute_mask(t[left], default_mask=default_mask[left]).to(dtype=mask.dtype)
        return mask


def _left(method: Any, t: Tensor, mask: Tensor) -> Any:
    """Which part of a tensor its next method chooses from, as an index."""
    kind, everything = method.PRUNING_TYPE, [slice(None)] * t.dim()
    if kind == "unstructured":
        return mask == 1
    if kind == "global":
        return tuple(everything)
    if kind != "structured":
        raise ValueError(f"Unrecognized PRUNING_TYPE {kind}")
    if not hasattr(method, "dim"):
        raise AttributeError(
            'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
        )
    dim = method.dim + t.dim() if method.dim < 0 else method.dim
    if dim < 0:
        raise IndexError(f"Index is out of bounds for tensor with dimensions {t.dim()}")
    others = [d for d in range(t.dim()) if d != dim]
    index: list[Any] = list(everything)
    index[dim] = mask.sum(dim=others) != 0
    return tuple(index)


# ---- methods ----


class Identity(BasePruningMethod):
    """Prunes nothing; the mask is of ones."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _Amount(BasePruningMethod):
    """Prunes a number of elements or slices, or a share of them."""

    def __init__(self, amount: Any) -> None:
        if not isinstance(amount, numbers.Real):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        if float(amount) < 0 or not isinstance(amount, numbers.Integral) and float(amount) > 1:
            raise ValueError(
                f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer"
            )
        self.amount: Any = amount

    def _count(self, size: int) -> int:
        """How many of `size` to prune."""
        if not isinstance(self.amount, numbers.Integral):
            return round(self.amount * size)
        if int(self.amount) > size:
            raise ValueError(
                f"amount={self.amount} should be smaller than the number of parameters to prune={size}"
            )
        return int(self.amount)


class _Unstructured(_Amount):
    """Prunes elements wherever they are."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = self._count(t.nelement())
        mask = default_mask.clone(memory_format=rushlight.contiguous_format)
        if count:
            mask.view(-1)[self._chosen(t, count)] = 0
        return mask

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        raise NotImplementedError


class RandomUnstructured(_Unstructured):
    """Prunes elements at random: `amount` of them, or that share."""

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        return rushlight.topk(rushlight.rand_like(t).view(-1), k=count).indices


class L1Unstructured(_Unstructured):
    """Prunes the smallest elements: `amount` of them, or that share."""

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        return rushlight.topk(t.abs().view(-1), k=count, largest=False).indices


class _Structured(_Amount):
    """Prunes whole slices along a dimension."""

    PRUNING_TYPE = "structured"
    dim: int

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.dim() <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
                f"{t.shape} with {t.dim()} dims"
            )
        if self.dim >= t.dim():
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        count = self._count(t.shape[self.dim])
        if not count:
            return default_mask
        index: list[Any] = [slice(None)] * t.dim()
        index[self.dim] = self._kept(t, t.shape[self.dim], count)
        mask = rushlight.zeros_like(t)
        mask[tuple(index)] = 1
        return mask * default_mask.to(dtype=mask.dtype)

    def _kept(self, t: Tensor, size: int, count: int) -> Tensor:
        """Which of the `size` slices stay when `count` go, as an index."""
        raise NotImplementedError


class RandomStructured(_Structured):
    """Prunes slices along `dim` at random: `amount` of them, or that share."""

    def __init__(self, amount: float, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def _kept(self, t: Tensor, size: int, count: int) -> Tensor:
        drawn = rushlight.rand(size)
        return drawn > rushlight.kthvalue(drawn, k=count).values


class LnStructured(_Structured):
    """Prunes the slices along `dim` whose `n`-norm is smallest: `amount` of them, or that share."""

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount)
        self.n = n
        self.dim = dim

    def _kept(self, t: Tensor, size: int, count: int) -> Tensor:
        others = [d for d in range(t.dim()) if d != self.dim % t.dim()]
        return rushlight.topk(rushlight.norm(t, p=self.n, dim=others), k=size - count).indices


class CustomFromMask(BasePruningMethod):
    """Prunes what a given mask says."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"default_mask shape {default_mask.shape} must match self.mask shape {self.mask.shape}"
            )
        return default_mask * self.mask.to(dtype=default_mask.dtype)


# ---- functions ----


def identity(module: Module, name: str) -> Module:
    """Give `module.<name>` a mask that lets all of it count; returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune elements of `module.<name>` at random: `amount` of them, or that share; returns the module."""
    RandomUnstructured.apply(module, name, amount=amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Any = None) -> Module:
    """Prune the smallest elements of `module.<name>`: `amount` of them, or that share; returns the module.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.nn.utils import prune
        >>> layer = torch.nn.Linear(3, 1)
        >>> _ = torch.nn.init.constant_(layer.weight, 1.0)
        >>> with torch.no_grad():
        ...     layer.weight[0, 1] = 0.1
        >>> prune.l1_unstructured(layer, "weight", 1).weight_mask
        tensor([[1., 0., 1.]])
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune slices of `module.<name>` along `dim` at random: `amount` of them, or that share; returns the module."""
    RandomStructured.apply(module, name, amount=amount, dim=dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Any = None
) -> Module:
    """Prune the slices of `module.<name>` along `dim` with the smallest `n`-norms: `amount`, or that share; returns the module."""
    LnStructured.apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune `module.<name>` where `mask` is zero; returns the module."""
    CustomFromMask.apply(module, name, mask=mask)
    return module


def global_unstructured(
    parameters: Any, pruning_method: type[BasePruningMethod], importance_scores: Any = None, **kwargs: Any
) -> None:
    """Prune elements of several tensors as if they were one.

    Args:
        parameters: pairs of a module and a name.
        pruning_method: one whose type is "unstructured"; `kwargs` describe it.
        importance_scores: pair -> what to choose by, instead of the tensor.

    Raises:
        TypeError: parameters that are no iterable, scores that are no dictionary, a method of another type.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    pairs = list(parameters)
    tensors = [getattr(module, name) for module, name in pairs]
    flat = parameters_to_vector([scores.get(pair, t) for pair, t in zip(pairs, tensors)])
    masks = [getattr(m, name + "_mask", rushlight.ones_like(t)) for (m, name), t in zip(pairs, tensors)]
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method {pruning_method} of type '
            f"{method.PRUNING_TYPE}"
        )
    method._tensor_name = "temp"
    whole = PruningContainer(method).compute_mask(flat, parameters_to_vector(masks))
    parts = whole.split([t.numel() for t in tensors])
    for (module, name), t, mask in zip(pairs, tensors, parts):
        custom_from_mask(module, name, mask=mask.view_as(t))


def remove(module: Module, name: str) -> Module:
    """Make the pruned `module.<name>` an ordinary parameter again, with zeros where its mask has them; returns the module.

    Raises:
        ValueError: it is not pruned.
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Whether something in the module or its parts is pruned.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.nn.utils import prune
        >>> prune.is_pruned(prune.identity(torch.nn.Linear(3, 1), "weight"))
        True
    """
    return any(
        isinstance(hook, BasePruningMethod)
        for part in module.modules()
        for hook in part._forward_pre_hooks.values()
    )
