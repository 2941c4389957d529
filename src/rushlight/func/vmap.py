"""`vmap`: a function of one example, made a function of a batch of them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from rushlight.batched import LEVELS, Batched, Level, batched
from rushlight.buffer import Tensor
from rushlight.func.dispatch import At
from rushlight.ops.joining import cat
from rushlight.random import get_rng_state, set_rng_state
from rushlight.utils import _pytree as pytree


def vmap(
    func: Callable,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable:
    """`func`, of tensors with one more dimension, along which their entries are taken together.

    What `func` does with an entry is done for all of them at once, where the operations allow it, and
    for one after the other where they do not; the results are the same.

    Args:
        func: takes tensors, also in nested containers, and gives tensors.
        in_dims: which dimension of each input holds the entries, in containers as the inputs are; None for what
            is the same for all.
        out_dims: where they go in each output.
        randomness: whether random numbers are the "same" for all entries, "different", or an "error".
        chunk_size: how many entries to take at once; all, if None.

    Raises:
        ValueError: dimensions that do not fit the inputs or outputs, or entries of different number.
        RuntimeError: `func` asks for a value, or writes what differs between entries to what is the same for all.

    Example:
        >>> import rushlight as torch
        >>> dots = torch.func.vmap(torch.dot)
        >>> dots(torch.tensor([[1., 2.], [3., 4.]]), torch.tensor([[1., 1.], [0., 2.]]))
        tensor([3., 8.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _check_out_dims(func, out_dims)
        count, dims, leaves, structure = _read_inputs(func, in_dims, args)
        run = functools.partial(_run, func, structure, dims, out_dims, randomness, kwargs)
        return run(leaves, count) if chunk_size is None else _in_chunks(run, dims, leaves, count, chunk_size, out_dims, randomness)  # fmt: skip

    return _named_after(func, wrapped)


def _named_after(func: Callable, wrapped: Callable) -> Callable:
    return functools.wraps(func)(wrapped)


def _name(func: Any) -> str:
    if hasattr(func, "__name__"):
        return func.__name__
    if isinstance(func, functools.partial):
        return f"functools.partial({_name(func.func)}, ...)"
    return repr(func)


# ---- inputs ----


def _read_inputs(
    func: Callable, in_dims: Any, args: tuple
) -> tuple[int, list[int | None], list[Any], pytree.TreeSpec]:
    """The number of entries, the dimension of each leaf of the inputs, the leaves, and their structure."""
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or a (potentially "
            f"nested) tuple matching the structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap "
            "over a function with no inputs. The latter is unsupported."
        )
    leaves, structure = pytree.tree_flatten(args)
    dims = pytree._broadcast_to_and_flatten(in_dims, structure)
    if dims is None:
        raise ValueError(
            f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the structure of "
            f"`inputs`. in_dims has structure {pytree.tree_flatten(in_dims)[1]!r} but inputs has structure {structure!r}."
        )
    dims = [_checked_in_dim(func, in_dims, leaf, dim) for leaf, dim in zip(leaves, dims)]
    return _count(dims, leaves), dims, leaves, structure


def _checked_in_dim(func: Callable, in_dims: Any, leaf: Any, dim: Any) -> int | None:
    if dim is None:
        return None
    about = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for"
    if not isinstance(dim, int):
        raise ValueError(f"{about} an input but in_dim must be either an integer dimension or None.")
    if not isinstance(leaf, Tensor):
        raise ValueError(
            f"{about} an input but the input is of type {type(leaf)}. We cannot vmap over non-Tensor arguments, please use "
            "None as the respective in_dim"
        )
    rank = leaf.dim()
    if not -rank <= dim < rank:
        raise ValueError(
            f"{about} some input, but that input is a Tensor of dimensionality {rank} so expected in_dim to satisfy "
            f"-{rank} <= in_dim < {rank}."
        )
    return dim % rank


def _count(dims: list[int | None], leaves: list[Any]) -> int:
    counts = [leaf.shape[dim] for leaf, dim in zip(leaves, dims) if dim is not None]
    if not counts:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(count != counts[0] for count in counts):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{counts} for the mapped dimension"
        )
    return counts[0]


# ---- running ----


@contextlib.contextmanager
def level(size: int, randomness: str) -> Iterator[Level]:
    """One more level of batches, while the block runs."""
    before = LEVELS.running
    now = Level(len(before) + 1, size, randomness)
    LEVELS.running = (*before, now)
    try:
        yield now
    finally:
        LEVELS.running = before


def _run(
    func: Callable,
    structure: pytree.TreeSpec,
    dims: list[int | None],
    out_dims: Any,
    randomness: str,
    kwargs: dict,
    leaves: list[Any],
    count: int,
) -> Any:
    with level(count, randomness) as now:
        entries = [
            leaf if dim is None else batched(leaf.movedim(dim, 0) if dim else leaf, now.depth)
            for leaf, dim in zip(leaves, dims)
        ]
        outputs = func(*pytree.tree_unflatten(entries, structure), **kwargs)
    return _gathered(func, outputs, out_dims, At(now.depth, count))


def _in_chunks(
    run: Callable, dims: list, leaves: list, count: int, size: int, out_dims: Any, randomness: str
) -> Any:
    """A part of the entries at a time; the same random numbers for each, if they are to be the same for all."""
    state = get_rng_state() if randomness == "same" else None
    parts = []
    for start in range(0, count, size):
        if state is not None:
            set_rng_state(state)
        length = min(size, count - start)
        chunk = [leaf if dim is None else leaf.narrow(dim, start, length) for leaf, dim in zip(leaves, dims)]
        parts.append(pytree.tree_flatten(run(chunk, length)))
    structure = parts[0][1]
    places = pytree._broadcast_to_and_flatten(out_dims, structure)
    assert places is not None
    joined = [cat(list(column), dim) for dim, column in zip(places, zip(*[flat for flat, _ in parts]))]
    return pytree.tree_unflatten(joined, structure)


# ---- outputs ----


def _check_out_dims(func: Callable, out_dims: Any) -> None:
    if isinstance(out_dims, int):
        return
    for dim in pytree.tree_leaves(out_dims):
        if dim is not None and not isinstance(dim, int):
            raise ValueError(
                f"vmap({_name(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection "
                "of ints representing where in the outputs the vmapped dimension should appear."
            )


def _gathered(func: Callable, outputs: Any, out_dims: Any, at: At) -> Any:
    """The outputs as ordinary tensors, with the entries in the dimensions `out_dims`."""
    leaves, structure = pytree.tree_flatten(outputs)
    if isinstance(outputs, Tensor):
        dims = [out_dims] if out_dims is None or isinstance(out_dims, int) else None
        if isinstance(out_dims, tuple) and len(out_dims) == 1:
            dims = list(out_dims)
    else:
        dims = pytree._broadcast_to_and_flatten(out_dims, structure)
    if dims is None:
        _refuse_out_dims(func, out_dims, structure)
    found = [_gathered_leaf(func, leaf, dim, at) for leaf, dim in zip(leaves, dims)]
    return pytree.tree_unflatten(found, structure)


def _refuse_out_dims(func: Callable, out_dims: Any, structure: pytree.TreeSpec) -> NoReturn:
    raise ValueError(
        f"vmap({_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of "
        f"`outputs`. out_dims has structure {pytree.tree_flatten(out_dims)[1]!r} but outputs has structure {structure!r}."
    )


def _gathered_leaf(func: Callable, leaf: Any, dim: int | None, at: At) -> Any:
    name = _name(func)
    if dim is None:
        if isinstance(leaf, Batched):
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None"
            )
        return leaf
    if not isinstance(leaf, Tensor):
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(leaf)}. Did you mean to set out_dims= "
            "to None for output?"
        )
    whole = at.full(leaf)
    return whole.movedim(0, dim) if dim else whole
