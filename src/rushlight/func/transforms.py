"""`grad`, `vjp`, `jvp`: functions made of a function, that compute its derivatives.

A transform runs the function on new handles of its inputs, so that what is captured does not count as an input, and
differentiates what comes out. The results are cut from the graph of these handles, unless it leads on to something
that was recorded before: an enclosing transform's input, or a parameter that the function captured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rushlight.autograd.api import grad as gradients
from rushlight.autograd.graph import leaves
from rushlight.batched import Batched, Level
from rushlight.buffer import Tensor
from rushlight.func.levels import clothed, running, stripped
from rushlight.func.vmap import _named_after
from rushlight.tape.modes import MODES, enable_grad, inference_mode
from rushlight.tape.node import edge_of
from rushlight.utils import _pytree as pytree

# ---- what a transform differentiates ----


class _Run:
    """A transform's run: open until it gives its results."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = True


class Inputs:
    """The tensors that a function is differentiated with respect to, as new handles.

    A context: inside of it gradients are recorded, and what other transforms compute may be differentiated with respect to the handles.

    Attributes:
        tensors: the handles, without batches.
        levels: the `vmap`s that were running.
        recorded: whether results may be recorded for whoever called the transform.
    """

    __slots__ = ("tensors", "levels", "recorded", "_run", "_mode")

    def __init__(self, leaves: Sequence[Any], recorded: bool) -> None:
        self.levels: tuple[Level, ...] = running()
        self.recorded = recorded
        self._run = _Run()
        self.tensors = tuple([_handle(leaf, self.levels) for leaf in leaves])
        for t in self.tensors:
            t.__dict__["_run"] = self._run

    def __enter__(self) -> Inputs:
        self._mode = enable_grad()
        self._mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._mode.__exit__(*error)
        self._run.open = False

    def entries(self) -> list[Tensor]:
        return [clothed(t, self.levels) for t in self.tensors]

    def lead_on(self, tensors: Iterable[Tensor]) -> bool:
        """Whether these results depend on something recorded other than handles whose transform is done, or this one."""
        runs = (leaf.__dict__.get("_run") for leaf in leaves(tensors))
        return any(run is None or run.open and run is not self._run for run in runs)

    def released(self, t: Tensor) -> Tensor:
        """A result as the caller is to have it: off the graph, where that is the handles' alone."""
        whole = _innermost(t)
        if edge_of(whole) is None or self.recorded and self.lead_on([whole]):
            return t
        return t.detach()


def _handle(leaf: Any, levels: tuple[Level, ...]) -> Tensor:
    if not isinstance(leaf, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(leaf)}")
    if not (leaf.is_floating_point() or leaf.is_complex()):
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    whole = stripped(leaf, levels)
    with enable_grad():
        return whole.view_as(whole) if whole.requires_grad else whole.detach().requires_grad_()


def _innermost(t: Any) -> Tensor:
    while isinstance(t, Batched):
        t = t.inner
    return t


def _released(inputs: Inputs, tree: Any) -> Any:
    def each(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(leaf)}")
        return inputs.released(leaf)

    return pytree.tree_map(each, tree)


def _gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], weights: Sequence[Any], keep: bool, create: bool
) -> list[Tensor]:
    """The gradients of the outputs that have one; zeros for inputs that they do not depend on."""
    pairs = [(y, w) for y, w in zip(outputs, weights) if y.requires_grad]
    if not pairs:
        return [_zeros(x) for x in inputs]
    ys, ws = zip(*pairs)
    found = gradients(ys, inputs, ws, retain_graph=keep, create_graph=create, allow_unused=True)
    return [_zeros(x) if g is None else g for x, g in zip(inputs, found)]


def _zeros(x: Tensor) -> Tensor:
    return x.detach().new_zeros(x.shape)


# ---- arguments ----


def chosen(args: tuple, argnums: Any) -> tuple:
    """The arguments that `argnums` names, checked; in a tuple."""
    return tuple([args[n] for n in positions(args, argnums)])


def positions(args: tuple, argnums: Any) -> tuple[int, ...]:
    """Raises RuntimeError for what is no position, or one named twice."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    found = tuple([_position(n, len(args)) for n in numbers])
    if not found:
        raise RuntimeError("argnums must be non-empty")
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {found}")
    return found


def _position(n: Any, count: int) -> int:
    if not isinstance(n, int):
        raise RuntimeError(f"argnum must be int, got: {type(n)}")
    if not -count <= n < count:
        raise RuntimeError(f"Got argnum={n}, but only {count} positional inputs")
    return n % count


def replaced(args: tuple, numbers: tuple[int, ...], new: Sequence[Any]) -> list[Any]:
    found = list(args)
    for n, value in zip(numbers, new):
        found[n] = value
    return found


def parted(output: Any, name: str) -> tuple[Any, Any]:
    """What is differentiated, and what is handed through: the output of a function with `has_aux`."""
    if not (isinstance(output, tuple) and len(output) == 2):
        raise RuntimeError(
            f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return output


# ---- grad ----


def grad(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """The function that computes the gradient of `func`, which gives a tensor of one element.

    Args:
        argnums: which of the arguments to differentiate with respect to; for a tuple, the result is one.
        has_aux: whether `func` gives `(output, aux)`; then the result is `(gradient, aux)`.

    Raises:
        RuntimeError: the output is no tensor without dimensions, or an argument is not floating point.

    Example:
        >>> import rushlight as torch
        >>> torch.func.grad(lambda x: x**3)(torch.tensor(2.0))
        tensor(12.)
    """

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        found, rest = _grad_and_value(func, argnums, has_aux, args, kwargs)
        return (found, rest[1]) if has_aux else found

    return _named_after(func, wrapped)


def grad_and_value(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """As :func:`grad`; the function gives `(gradient, output)`, or `(gradient, (output, aux))`.

    Example:
        >>> import rushlight as torch
        >>> torch.func.grad_and_value(lambda x: x**3)(torch.tensor(2.0))
        (tensor(12.), tensor(8.))
    """

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return _grad_and_value(func, argnums, has_aux, args, kwargs)

    return _named_after(func, wrapped)


def _grad_and_value(
    func: Callable, argnums: Any, has_aux: bool, args: tuple, kwargs: dict
) -> tuple[Any, Any]:
    numbers = positions(args, argnums)
    wanted = chosen(args, argnums) if isinstance(argnums, tuple) else args[numbers[0]]
    leaves, structure = pytree.tree_flatten(wanted)
    with Inputs(leaves, MODES.grad) as inputs:
        new = pytree.tree_unflatten(inputs.entries(), structure)
        output = func(*replaced(args, numbers, new if isinstance(argnums, tuple) else (new,)), **kwargs)
        aux = None
        if has_aux:
            output, aux = parted(output, "grad_and_value(f)(*args)")
        _check_scalar(output)
        whole = stripped(output, inputs.levels)
        create = inputs.recorded and inputs.lead_on([whole])
        found = _gradients([whole], inputs.tensors, [whole.detach().new_ones(whole.shape)], create, create)
    made = pytree.tree_unflatten([inputs.released(clothed(g, inputs.levels)) for g in found], structure)
    output = inputs.released(output)
    return (made, (output, _released(inputs, aux))) if has_aux else (made, output)


def _check_scalar(output: Any) -> None:
    name = "grad_and_value(f)(*args): Expected f(*args) to return a"
    if not isinstance(output, Tensor):
        raise RuntimeError(f"{name} Tensor, got {type(output)}")
    if output.dim():
        raise RuntimeError(
            f"{name} scalar Tensor, got tensor with {output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs "
            "instead?"
        )


# ---- vjp ----


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """`func(*primals)`, and a function that multiplies vectors from the left to its Jacobian.

    That function takes a vector for each output, in containers as the outputs are, and gives a tuple of one for
    each of `primals`.

    Args:
        has_aux: whether `func` gives `(output, aux)`; then the result is `(output, function, aux)`.

    Example:
        >>> import rushlight as torch
        >>> output, pull = torch.func.vjp(torch.sin, torch.zeros(2))
        >>> pull(torch.tensor([1.0, 2.0]))
        (tensor([1., 2.]),)
    """
    return vjp_of(func, primals, None, has_aux)


def vjp_of(func: Callable, primals: tuple, argnums: Any, has_aux: bool) -> tuple:
    """`vjp` with respect to the arguments `argnums` only; all, if None."""
    numbers = tuple(range(len(primals))) if argnums is None else positions(primals, argnums)
    wanted: Any = chosen(primals, argnums if argnums is not None else numbers) if numbers else ()
    if isinstance(argnums, int):
        (wanted,) = wanted
    leaves, structure = pytree.tree_flatten(wanted)
    with Inputs(leaves, MODES.grad) as inputs:
        new = pytree.tree_unflatten(inputs.entries(), structure)
        output = func(*replaced(primals, numbers, (new,) if isinstance(argnums, int) else new))
        aux = None
        if has_aux:
            output, aux = parted(output, "vjp(f, *primals)")
        flat, shape = pytree.tree_flatten(output)
        check_outputs(flat, "vjp(f, *primals)")
        _check_differentiable(flat)
        wholes = [stripped(y, inputs.levels) for y in flat]
    pull = _pull(inputs, wholes, shape, structure)
    results = pytree.tree_map(inputs.released, output)
    return (results, pull, _released(inputs, aux)) if has_aux else (results, pull)


def _pull(
    inputs: Inputs, wholes: list[Tensor], shape: pytree.TreeSpec, structure: pytree.TreeSpec
) -> Callable:
    leads_on = inputs.lead_on(wholes)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        flat, given = pytree.tree_flatten(cotangents)
        if given != shape:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {pytree.treespec_pprint(given)}, primal output: {pytree.treespec_pprint(shape)}"
            )
        create = MODES.grad if create_graph is None else create_graph
        create = create and (
            leads_on or any(_innermost(c).requires_grad for c in flat if isinstance(c, Tensor))
        )
        weights = [stripped(c, inputs.levels) if isinstance(c, Tensor) else c for c in flat]
        with inference_mode(False) if MODES.inference else enable_grad():
            found = _gradients(wholes, inputs.tensors, weights, retain_graph, create)
        return pytree.tree_unflatten([clothed(g, inputs.levels) for g in found], structure)

    return pull


def check_outputs(flat: Sequence[Any], name: str) -> None:
    if not flat or len(flat) == 1 and flat[0] is None:
        raise RuntimeError(
            f"{name}: Expected f to be a function that has non-empty output (got output = {list(flat)})"
        )
    for output in flat:
        if not isinstance(output, Tensor):
            raise RuntimeError(
                f"{name}: expected f(*primals) to return only tensors, got unsupported type {type(output)}"
            )


def _check_differentiable(flat: Sequence[Tensor]) -> None:
    for output in flat:
        if not (output.is_floating_point() or output.is_complex()):
            raise RuntimeError(
                "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype "
                f"{output.dtype}"
            )


# ---- jvp ----

_JVP = "jvp(f, primals, tangents)"


def jvp(func: Callable, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> tuple:
    """`func(*primals)`, and its Jacobian times `tangents`: the derivative along them.

    Computed in reverse mode twice: the gradient is linear in the outputs' weights, and its own derivative with
    respect to these, times the tangents, is what is wanted (J. Townsend, "A new trick for calculating
    Jacobian vector products", 2017).

    Args:
        primals, tangents: tuples of the arguments, and of as many directions of the same shapes.
        strict: raise where an output does not depend on the arguments, instead of giving zeros.
        has_aux: whether `func` gives `(output, aux)`; then the result is `(output, derivative, aux)`.

    Example:
        >>> import rushlight as torch
        >>> torch.func.jvp(torch.exp, (torch.zeros(2),), (torch.tensor([1.0, 2.0]),))
        (tensor([1., 1.]), tensor([1., 2.]))
    """
    return jvp_of(func, primals, tangents, None, strict, has_aux)


def jvp_of(func: Callable, primals: Any, tangents: Any, argnums: Any, strict: bool, has_aux: bool) -> tuple:
    """`jvp` along the arguments `argnums` only; all, if None."""
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{_JVP}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    numbers = tuple(range(len(primals))) if argnums is None else positions(primals, argnums)
    wanted = tuple([primals[n] for n in numbers])
    leaves, structure = pytree.tree_flatten(wanted)
    directions, given = pytree.tree_flatten(tangents)
    if structure != given:
        raise RuntimeError(
            f"{_JVP}: Expected primals and tangents to have the same python structure. For example, if primals is a tuple "
            f"of 3 tensors, tangents also must be. Got primals with structure {structure!r} and tangents with structure "
            f"{given!r}"
        )
    _check_tensors(leaves, "primals")
    _check_tensors(directions, "tangents")
    for x, v in zip(leaves, directions):
        _check_direction(x, v)
    push = Push(
        leaves, func, lambda new: replaced(primals, numbers, pytree.tree_unflatten(new, structure)), has_aux
    )
    if strict and not all(y.requires_grad for y in push.wholes):
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed "
            "with strict=True."
        )
    found = push(directions, False)
    made = pytree.tree_unflatten(found, push.structure)
    return (push.results, made, push.aux) if has_aux else (push.results, made)


def _check_tensors(leaves: Sequence[Any], what: str) -> None:
    if not leaves:
        raise RuntimeError(f"{_JVP}: Expected {what} to contain at least one Tensor.")
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"{_JVP}: Expected {what} to only contain Tensors, got {type(leaf)}")


def _check_direction(x: Tensor, v: Tensor) -> None:
    for what, t in (("primal", x), ("tangent", v)):
        if not (t.is_floating_point() or t.is_complex()):
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {t.dtype}")
    if x.shape != v.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(x.shape)} while the given forward gradient is of size {list(v.shape)}."
        )


class Push:
    """A function's derivative along directions, at one point: what `jvp` and `linearize` share.

    Attributes:
        results: the outputs, as the caller is to have them; aux: what the function hands through.
        structure: of the outputs.
        wholes: the outputs without batches.
    """

    def __init__(self, leaves: Sequence[Any], func: Callable, arguments: Callable, has_aux: bool) -> None:
        with Inputs(leaves, MODES.grad) as inputs:
            self.inputs = inputs
            output = func(*arguments(inputs.entries()))
            self.aux = None
            if has_aux:
                output, aux = parted(output, _JVP)
                self.aux = _released(inputs, aux)
            flat, self.structure = pytree.tree_flatten(output)
            check_outputs(flat, _JVP)
            self.wholes = [stripped(y, inputs.levels) for y in flat]
            self.leads_on = inputs.recorded and inputs.lead_on(self.wholes)
            self.weights = [_zeros(y).requires_grad_() if y.requires_grad else None for y in self.wholes]
            self.rows = _gradients(self.wholes, inputs.tensors, self.weights, True, True)
        self.results = pytree.tree_map(inputs.released, output)

    def __call__(self, directions: Sequence[Tensor], keep: bool) -> list[Tensor]:
        levels = self.inputs.levels
        wanted = [w for w in self.weights if w is not None]
        create = self.inputs.recorded and (
            self.leads_on or any(_innermost(v).requires_grad for v in directions)
        )
        with enable_grad():
            along = [stripped(v, levels) for v in directions]
            along = [v.to(x.dtype) for v, x in zip(along, self.inputs.tensors)]
            found = iter(_gradients(self.rows, wanted, along, keep or create, create) if wanted else [])
            each = [_zeros(y) if w is None else next(found) for y, w in zip(self.wholes, self.weights)]
        return [clothed(t, levels) for t in each]


def linearize(func: Callable, *primals: Any) -> tuple[Any, Callable]:
    """`func(*primals)`, and a function that multiplies its Jacobian there to directions; `func` runs once.

    Example:
        >>> import rushlight as torch
        >>> output, push = torch.func.linearize(torch.sin, torch.zeros(3))
        >>> push(torch.ones(3))
        tensor([1., 1., 1.])
    """
    leaves, structure = pytree.tree_flatten(primals)
    push = Push(leaves, func, lambda new: pytree.tree_unflatten(new, structure), False)

    def jvp_fn(*tangents: Any) -> Any:
        directions, given = pytree.tree_flatten(tangents)
        if given != structure:
            raise RuntimeError(
                f"Expected the tangents {given!r} to have the same argspec as the primals {structure!r}"
            )
        for at, (x, v) in enumerate(zip(leaves, directions)):
            for what, a, b in (("shape", v.shape, x.shape), ("dtype", v.dtype, x.dtype)):
                if a != b:
                    raise RuntimeError(
                        f"tangent:{at} with {what} {a} in flattened pytree doesn't match the {what} {b} of the "
                        "corresponding primal."
                    )
        return pytree.tree_unflatten(push(directions, True), push.structure)

    return push.results, jvp_fn
