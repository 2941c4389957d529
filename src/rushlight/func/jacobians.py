"""Jacobians and Hessians: products with every direction of a basis, taken as one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rushlight.buffer import Tensor
from rushlight.func.transforms import chosen, jvp_of, vjp_of
from rushlight.func.vmap import _named_after, vmap
from rushlight.ops.joining import cat
from rushlight.utils import _pytree as pytree


def jacrev(
    func: Callable,
    argnums: int | tuple[int, ...] = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable:
    """The function that computes the Jacobian of `func` in reverse mode: a row for each element of the output.

    Args:
        argnums: which of the arguments to differentiate with respect to; for a tuple, the result is one.
        has_aux: whether `func` gives `(output, aux)`; then the result is `(Jacobian, aux)`.
        chunk_size: how many rows to compute at once; all, if None.

    Raises:
        RuntimeError: complex inputs or outputs.
        ValueError: a chunk of no rows.

    Example:
        >>> import rushlight as torch
        >>> torch.func.jacrev(torch.square)(torch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    def wrapped(*args: Any) -> Any:
        _refuse_complex("jacrev", args, "inputs")
        output, pull, *aux = vjp_of(func, args, argnums, has_aux)
        outputs, shape = pytree.tree_flatten(output)
        _refuse_complex("jacrev", outputs, "outputs")
        inputs, structure = pytree.tree_flatten(chosen(args, argnums))
        rows = _rows(pull, outputs, shape, chunk_size)
        counts = [y.numel() for y in outputs]
        split = [zip(outputs, stacked.split(counts, 0)) for stacked in rows]
        columns = [[part.reshape(y.shape + x.shape) for y, part in parts] for x, parts in zip(inputs, split)]
        each = [pytree.tree_unflatten(blocks, structure) for blocks in zip(*columns)]
        found = pytree.tree_unflatten(
            [block[0] for block in each] if isinstance(argnums, int) else each, shape
        )
        return (found, *aux) if has_aux else found

    return _named_after(func, wrapped)


def _rows(pull: Callable, outputs: list[Tensor], shape: pytree.TreeSpec, size: int | None) -> list[Tensor]:
    """For each input, the gradients of all elements of all outputs, stacked."""
    chunks = []
    for basis in _basis(outputs, size):
        if size == 1:
            found = pytree.tree_leaves(pull(pytree.tree_unflatten([v.squeeze(0) for v in basis], shape)))
            chunks.append([g.unsqueeze(0) for g in found])
        else:
            chunks.append(pytree.tree_leaves(vmap(pull)(pytree.tree_unflatten(basis, shape))))
    return chunks[0] if len(chunks) == 1 else [cat(list(column), 0) for column in zip(*chunks)]


def _basis(tensors: Sequence[Tensor], size: int | None) -> Iterator[list[Tensor]]:
    """The unit vectors of the space of all elements of these tensors, `size` at a time."""
    counts = [t.numel() for t in tensors]
    total = sum(counts)
    step = size or max(total, 1)
    for start in range(0, max(total, 1), step):
        length = min(step, total - start)
        parts = []
        before = 0
        for t, count in zip(tensors, counts):
            rows = t.detach().new_zeros((length, count))
            rows.diagonal(start - before).fill_(1)
            parts.append(rows.reshape(length, *t.shape))
            before += count
        yield parts


def jacfwd(
    func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable:
    """The function that computes the Jacobian of `func` from products with directions: a column for each element of the input.

    Args:
        argnums, has_aux: as for :func:`jacrev`.
        randomness: as for :func:`vmap`.

    Example:
        >>> import rushlight as torch
        >>> torch.func.jacfwd(torch.square)(torch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """

    def wrapped(*args: Any) -> Any:
        _refuse_complex("jacfwd", args, "inputs")
        inputs, structure = pytree.tree_flatten(chosen(args, argnums))
        (basis,) = _basis(inputs, None)

        def push(along: Any) -> Any:
            output, tangent, *aux = jvp_of(func, args, along, argnums, False, has_aux)
            _refuse_complex("jacfwd", output, "outputs")
            return (tangent, *aux) if has_aux else tangent

        found = vmap(push, randomness=randomness)(pytree.tree_unflatten(basis, structure))
        aux: tuple = ()
        if has_aux:
            found, rest = found
            aux = (pytree.tree_map(lambda t: t[0], rest),)
        columns, shape = pytree.tree_flatten(found)
        each = [pytree.tree_unflatten(_blocks(stacked, inputs), structure) for stacked in columns]
        made = pytree.tree_unflatten(
            [block[0] for block in each] if isinstance(argnums, int) else each, shape
        )
        return (made, *aux) if has_aux else made

    return _named_after(func, wrapped)


def _blocks(stacked: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """One output's derivatives, for each input."""
    last = stacked.movedim(0, -1)
    parts = last.split([x.numel() for x in inputs], -1)
    return [part.unflatten(-1, x.shape) if x.ndim else part.squeeze(-1) for part, x in zip(parts, inputs)]


def hessian(func: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that computes the Hessian of `func`: the Jacobian of its gradient.

    Example:
        >>> import rushlight as torch
        >>> torch.func.hessian(lambda x: x.prod())(torch.tensor([2.0, 3.0]))
        tensor([[0., 1.],
                [1., 0.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def _refuse_complex(name: str, tree: Any, what: str) -> None:
    for at, leaf in enumerate(pytree.tree_leaves(tree)):
        if isinstance(leaf, Tensor) and leaf.is_complex():
            raise RuntimeError(
                f"{name}: Expected all {what} to be real but received complex tensor at flattened input idx: {at}"
            )
