"""Jacobians, Hessians and their products with vectors, of functions of tensors.

Every function here takes `func` (of one or several tensors, returning one or several), `inputs` (a tensor or a tuple),
and, except `jacobian` and `hessian`, a vector `v` of the shape of the inputs or outputs; it gives tuples where it got
tuples. `create_graph` lets the result be differentiated again; `strict` raises RuntimeError where a result does not
depend on an input, instead of giving zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rushlight import late
from rushlight.autograd.api import grad
from rushlight.buffer import Tensor
from rushlight.tape.modes import MODES, enable_grad, set_grad_enabled
from rushlight.tape.node import requires_grad

__all__ = ["vjp", "jvp", "jacobian", "hessian", "hvp", "vhp"]

_ONE_INPUT = "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """`func(inputs)`, and `v` times its Jacobian: the gradient of the outputs weighted by `v`.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.vjp(lambda x: x * x, torch.tensor([1.0, 2.0]), torch.ones(2))
        (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        several, xs, ys, several_out = _run(func, inputs, "vjp", create_graph, strict)
        if v is None:
            if len(ys) != 1 or ys[0].numel() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the user-provided function returns a single Tensor with a single "
                    "element."
                )
            vs = None
        else:
            vs = _vector(v, ys, several_out, "vjp", create_graph)
    with set_grad_enabled(create_graph or MODES.grad):
        found = _fill(_grad(ys, xs, vs, create_graph), xs, strict, create_graph, "back")
    return _give(ys, several_out, create_graph), _give(found, several, create_graph)


def jvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """`func(inputs)`, and its Jacobian times `v`: the derivative of the outputs along `v`.

    Computed by differentiating the gradient with respect to its weights (the double backward trick).

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.jvp(lambda x: x * x, torch.tensor([1.0, 2.0]), torch.ones(2))
        (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        several, xs = _tuple(inputs, "inputs", "jvp")
        xs = _prepared(xs, create_graph, True)
        vs = _input_vector(v, xs, several, "jvp", create_graph)
        ys, several_out = _outputs(func, xs, "jvp", strict)
        weights = tuple([y.new_zeros(y.shape).requires_grad_() for y in ys])
        rows = _grad(ys, xs, weights, True)
        _require_grad(rows, "grad_inputs", strict)
    with set_grad_enabled(create_graph or MODES.grad):
        found = _fill(_grad(rows, weights, vs, create_graph), ys, strict, create_graph, "back_trick")
    return _give(ys, several_out, create_graph), _give(found, several_out, create_graph)


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func`: for each output and input, a tensor of shape (*output.shape, *input.shape).

    `vectorize` and `strategy` are accepted; the Jacobian is always computed row by row, in reverse mode.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.jacobian(lambda x: x * x, torch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    _check_options(create_graph, strict, vectorize, strategy)
    with enable_grad():
        several, xs, ys, several_out = _run(func, inputs, "jacobian", create_graph, strict)
        rows = tuple([_rows(at, y, xs, create_graph, strict) for at, y in enumerate(ys)])
    found = tuple([_give(row, several, create_graph) for row in rows])
    return found if several_out else found[0]


def _check_options(create_graph: bool, strict: bool, vectorize: bool, strategy: str) -> None:
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported '
                'together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
            )
        if strict:
            raise RuntimeError(
                'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are not supported '
                'together (yet). Please either set `strict=False` or `strategy="reverse-mode"`.'
            )
        if not vectorize:
            raise NotImplementedError(
                "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for "
                "`vectorize=True`."
            )
    elif vectorize and strict:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. Please "
            "either set `strict=False` or `vectorize=False`."
        )


def _rows(at: int, y: Any, xs: tuple, create_graph: bool, strict: bool) -> tuple:
    """The gradients of each element of one output, stacked."""
    from rushlight.ops.joining import stack

    flat = y.reshape(-1)
    columns: list[list] = [[] for _ in xs]
    for j in range(y.numel()):
        for n, (g, x) in enumerate(zip(_grad((flat[j],), xs, None, create_graph, True), xs)):
            if strict and g is None:
                raise RuntimeError(
                    f"Output {at} of the user-provided function is independent of input {n}. This is not allowed in "
                    "strict mode."
                )
            if strict and create_graph and not requires_grad(g):
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {at}. This is not allowed in "
                    "strict mode when create_graph=True."
                )
            columns[n].append(x.new_zeros(x.shape) if g is None else g)
    if not y.numel():
        return tuple([x.new_zeros((*y.shape, *x.shape)) for x in xs])
    return tuple([stack(column).view((*y.shape, *x.shape)) for column, x in zip(columns, xs)])


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of `func`, which returns one number: for each pair of inputs, (*x.shape, *y.shape).

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    several, xs = _tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def number(*args: Any) -> Any:
        y = func(*args)
        several_out, ys = _tuple(y, "outputs of the user-provided function", "hessian")
        _require_grad(ys, "outputs", strict)
        _check_number(y, several_out, "hessian")
        return y.squeeze()

    def gradient(*args: Any) -> Any:
        if outer_jacobian_strategy == "forward-mode":
            args = tuple([t.requires_grad_(True) for t in args])
        found = jacobian(number, args, create_graph=True)
        _require_grad(found, "jacobian", strict)
        return found

    found = jacobian(gradient, xs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return found if several else found[0][0]


def vhp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """`func(inputs)`, one number, and `v` times its Hessian.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.vhp(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]), torch.ones(2))
        (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        several, xs, ys, several_out, vs, first = _gradient(func, inputs, v, "vhp", create_graph, strict)
    with set_grad_enabled(create_graph or MODES.grad):
        found = _fill(_grad(first, xs, vs, create_graph), xs, strict, create_graph, "double_back")
    return _give(ys, several_out, create_graph), _give(found, several, create_graph)


def hvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """`func(inputs)`, one number, and its Hessian times `v`.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.hvp(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]), torch.ones(2))
        (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        several, xs, ys, several_out, vs, first = _gradient(func, inputs, v, "hvp", create_graph, strict)
        weights = tuple([x.new_zeros(x.shape).requires_grad_() for x in xs])
        second = _grad(first, xs, weights, True)
        _require_grad(first, "hessian", strict)
    with set_grad_enabled(create_graph or MODES.grad):
        found = _fill(_grad(second, weights, vs, create_graph), xs, strict, create_graph, "double_back_trick")
    return _give(ys, several_out, create_graph), _give(found, several, create_graph)


# ---- steps that they share ----


def _run(func: Callable, inputs: Any, name: str, create_graph: bool, strict: bool) -> tuple:
    several, xs = _tuple(inputs, "inputs", name)
    xs = _prepared(xs, create_graph, True)
    ys, several_out = _outputs(func, xs, name, strict)
    return several, xs, ys, several_out


def _gradient(func: Callable, inputs: Any, v: Any, name: str, create_graph: bool, strict: bool) -> tuple:
    """What `vhp` and `hvp` begin with: the gradient of one number, recorded."""
    several, xs = _tuple(inputs, "inputs", name)
    xs = _prepared(xs, create_graph, True)
    vs = _input_vector(v, xs, several, name, create_graph)
    ys, several_out = _outputs(func, xs, name, strict)
    _check_number(ys[0], several_out, name)
    first = _grad(ys, xs, None, True)
    _require_grad(first, "jacobian", strict)
    return several, xs, ys, several_out, vs, first


def _tuple(value: Any, what: str, name: str) -> tuple[bool, tuple]:
    several = isinstance(value, tuple)
    values = value if several else (value,)
    for at, t in enumerate(values):
        if not isinstance(t, Tensor):
            where = f"value at index {at} has" if several else f"given {what} has"
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the {where} type {type(t)}."
            )
    return several, values


def _prepared(tensors: Sequence[Any], create_graph: bool, need_graph: bool) -> tuple:
    """New handles, so that the function's arguments differ from the same tensors captured by it."""
    return tuple(
        [
            t.view_as(t) if create_graph and requires_grad(t) else t.detach().requires_grad_(need_graph)
            for t in tensors
        ]
    )


def _outputs(func: Callable, xs: tuple, name: str, strict: bool) -> tuple[tuple, bool]:
    several, ys = _tuple(func(*xs), "outputs of the user-provided function", name)
    _require_grad(ys, "outputs", strict)
    return ys, several


def _vector(v: Any, like: Sequence[Any], several: bool, name: str, create_graph: bool) -> tuple:
    vs = _prepared(_tuple(v, "v", name)[1], create_graph, False)
    if len(vs) != len(like):
        if several:
            raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vs)}.")
        raise RuntimeError("The given v should contain a single Tensor.")
    for at, (a, b) in enumerate(zip(vs, like)):
        if a.shape != b.shape:
            prefix = f"Entry {at} in " if several else ""
            raise RuntimeError(f"{prefix}v has invalid size: should be {b.shape} but got {a.shape}.")
    return vs


def _input_vector(v: Any, xs: tuple, several: bool, name: str, create_graph: bool) -> tuple | None:
    if v is not None:
        return _vector(v, xs, several, name, create_graph)
    if len(xs) != 1 or xs[0].numel() != 1:
        raise RuntimeError(_ONE_INPUT)
    return None


def _check_number(y: Any, several: bool, name: str) -> None:
    if several or not isinstance(y, Tensor):
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if y.numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element"
        )


def _grad(ys: Sequence[Any], xs: tuple, vs: Any, create_graph: bool, keep: bool | None = None) -> tuple:
    """`grad` that passes over outputs without a gradient."""
    vs = (None,) * len(ys) if vs is None else vs
    pairs = [(y, v) for y, v in zip(ys, vs) if y is not None and requires_grad(y)]
    if not pairs:
        return (None,) * len(xs)
    chosen, weights = zip(*pairs)
    return grad(chosen, xs, weights, retain_graph=keep, create_graph=create_graph, allow_unused=True)


def _give(tensors: Sequence[Any], several: bool, create_graph: bool) -> Any:
    found = tuple(tensors) if create_graph else tuple([t.detach() for t in tensors])
    return found if several else found[0]


def _fill(grads: Sequence[Any], like: Sequence[Any], strict: bool, create_graph: bool, stage: str) -> tuple:
    """Zeros for what does not depend on an input; in strict mode an error."""
    found = []
    for at, (g, t) in enumerate(zip(grads, like)):
        if g is None and strict:
            raise RuntimeError(_INDEPENDENT[stage].format(at))
        if strict and create_graph and not requires_grad(g):
            what = "hessian" if "double" in stage else "jacobian"
            raise RuntimeError(
                f"The {what} of the user-provided function is independent of input {at}. This is not allowed in strict "
                "mode when create_graph=True."
            )
        found.append(t.new_zeros(t.shape) if g is None else g)
    return tuple(found)


_INDEPENDENT = {
    "back": "The output of the user-provided function is independent of input {}. This is not allowed in strict mode.",
    "back_trick": "The gradient with respect to the input is independent of entry {} in the grad_outputs when using the "
    "double backward trick to compute forward mode gradients. This is not allowed in strict mode.",
    "double_back": "The jacobian of the user-provided function is independent of input {}. This is not allowed in strict "
    "mode.",
    "double_back_trick": "The hessian of the user-provided function is independent of entry {} in the grad_jacobian. This "
    "is not allowed in strict mode as it prevents from using the double backward trick to replace forward mode AD.",
}


def _require_grad(tensors: Sequence[Any], what: str, strict: bool) -> None:
    """In strict mode, raise for what does not depend on the inputs."""
    if strict:
        for at, t in enumerate(tensors):
            if t is None:
                raise RuntimeError(_INDEPENDENT["back"].format(at))
            if not requires_grad(t):
                raise RuntimeError(_CONSTANT[what].format(at))


_CONSTANT = {
    "hessian": "The hessian of the user-provided function with respect to input {} is independent of the input. This is "
    "not allowed in strict mode. You should ensure that your function is thrice differentiable and that the hessian "
    "depends on the inputs.",
    "jacobian": "While computing the hessian, found that the jacobian of the user-provided function with respect to input "
    "{} is independent of the input. This is not allowed in strict mode. You should ensure that your function is twice "
    "differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for example).",
    "grad_inputs": "The gradient with respect to input {} is independent of the inputs of the user-provided function. This "
    "is not allowed in strict mode.",
    "outputs": "Output {} of the user-provided function does not require gradients. The outputs must be computed in a "
    "differentiable manner from the input when running in strict mode.",
}

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.autograd.functional")
