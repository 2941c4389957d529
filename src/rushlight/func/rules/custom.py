"""A custom `Function` on a batch: by its own `vmap`, or, if it asks for it, for one entry after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rushlight.autograd.function import Function
from rushlight.batched import LEVELS
from rushlight.buffer import Tensor
from rushlight.func.dispatch import At, rule
from rushlight.utils import _pytree as pytree


class VmapInfo(NamedTuple):
    """What a Function's `vmap` is told of the batch."""

    batch_size: int
    randomness: str


@rule("Function.apply")
def apply(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    cls = function.__self__  # type: ignore[attr-defined]
    own = cls.vmap is not Function.vmap
    if own and cls.generate_vmap_rule:
        raise RuntimeError(
            "You tried to vmap over "
            f"{cls.__name__}, but it has both generate_vmap_rule=True and an overridden vmap staticmethod. Please set "
            "generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid ambiguity. For more details, "
            "please see https://pytorch.org/docs/main/notes/extending.func.html"
        )
    if cls.generate_vmap_rule:
        return NotImplemented
    if not own:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please override and implement the "
            "vmap staticmethod or set generate_vmap_rule=True. For more details, please see "
            "https://pytorch.org/docs/main/notes/extending.func.html"
        )
    randomness = LEVELS.running[at.depth - 1].randomness
    in_dims = pytree.tree_map(lambda x: 0 if at.has(x) else None, args)
    made = cls.vmap(VmapInfo(at.size, randomness), in_dims, *pytree.tree_map(at.inner, args), **kwargs)
    if not (isinstance(made, tuple) and len(made) == 2):
        raise RuntimeError(
            f"Expected the vmap staticmethod of {cls.__name__} to have two returns, an output and out_dims with pytree "
            f"structure compatible with the output. Got {made!r}"
        )
    return _placed(at, *made)


def _placed(at: At, output: Any, out_dims: Any) -> Any:
    """The outputs as entries, from where `out_dims` says that the batch is in each."""
    leaves, structure = pytree.tree_flatten(output)
    dims = pytree._broadcast_to_and_flatten(out_dims, structure)
    if dims is None:
        raise RuntimeError(
            f"out_dims {out_dims} does not fit the output's structure {pytree.treespec_pprint(structure)}"
        )
    placed = [
        at.out(leaf.movedim(dim, 0)) if isinstance(leaf, Tensor) and dim is not None else leaf
        for leaf, dim in zip(leaves, dims)
    ]
    return pytree.tree_unflatten(placed, structure)
