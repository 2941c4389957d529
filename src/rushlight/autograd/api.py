"""`backward`, `grad`, and the tensor attributes that belong to them."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rushlight.autograd.engine import run_backward
from rushlight.autograd.graph import GradientEdge, edge_of_gradient_edge
from rushlight.buffer import LEAF, Tensor, new_tensor
from rushlight.dtypes import FLOATING, dtype, float32, float64
from rushlight.size import Size
from rushlight.tape.modes import MODES
from rushlight.tape.node import Node, Nowhere, ViewMeta, edge_of, extra_of, requires_grad

# ---- backward and grad ----


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add to `.grad` of the leaves the gradients of the sum of `tensors`, each weighted by its `grad_tensors`.

    Args:
        tensors: a tensor (or GradientEdge) or several.
        grad_tensors: as many weights of the same shapes; None stands for 1, for tensors of one element.
        retain_graph: keep what backward needs, to run it again; by default as `create_graph`.
        create_graph: record the gradients' computation, for derivatives of higher order.
        inputs: collect only in these tensors.

    Raises:
        RuntimeError: a tensor does not require grad, a weight is missing or has another shape,
            or what is needed was freed or overwritten.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> torch.autograd.backward((x * x).sum())
        >>> x.grad
        tensor([2., 4.])
    """
    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only use "
                "`grad_tensors`."
            )
        grad_tensors = grad_variables
    into = None if inputs is None else _inputs(inputs, "backward")
    outputs = _outputs(tensors)
    roots = _roots(outputs, _gradients(outputs, grad_tensors))
    targets = None
    if into is not None:
        for t in into:
            if isinstance(t, Tensor):
                retain_grad(t)
        targets = [_edge(t) for t in into]
    if create_graph:
        _warn_of_cycle()
    run_backward(
        roots, _flag(create_graph if retain_graph is None else retain_graph), _flag(create_graph), targets
    )


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The gradients of the sum of `outputs`, each weighted by its `grad_outputs`, for each of `inputs`.

    Args:
        outputs, grad_outputs, retain_graph, create_graph: as in `backward`.
        inputs: a tensor (or GradientEdge), several, or a dictionary of them (then so is the result).
        allow_unused: give None for inputs that the outputs do not depend on, instead of raising.
        materialize_grads: give zeros for them.
        is_grads_batched: each weight has a leading dimension; so have the results.

    Raises:
        RuntimeError: as `backward`, and for unused inputs.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> torch.autograd.grad(x * x, x)
        (tensor(6.),)
    """
    if (
        type(outputs) is Tensor
        and grad_outputs is None
        and only_inputs
        and isinstance(inputs, Tensor)
        and not (create_graph or retain_graph or is_grads_batched or materialize_grads)
    ):  # as it is called mostly
        roots = _of_number(outputs)
        if roots is not None:
            return tuple(_grad(roots, (inputs,), False, False, bool(allow_unused)))
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    outputs = _outputs(outputs)
    chosen = _inputs(inputs, "grad")
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other "
            "parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    create = _flag(create_graph)
    keep = _flag(create_graph if retain_graph is None else retain_graph)
    if is_grads_batched:
        found = _grad_of_batch(outputs, chosen, grad_outputs, keep, create, allow_unused)
    else:
        roots = _of_number(outputs[0]) if grad_outputs is None and len(outputs) == 1 else None
        roots = roots or _roots(outputs, _gradients(outputs, grad_outputs))
        found = _grad(roots, chosen, keep, create, allow_unused)
    if materialize_grads:
        if any(g is None and not isinstance(t, Tensor) for g, t in zip(found, chosen)):
            raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
        found = [_zeros(t, create) if g is None else g for g, t in zip(found, chosen)]
    return dict(zip(inputs, found)) if type(inputs) is dict else tuple(found)


def _grad(roots: list, inputs: Any, keep: bool, create: bool, allow_unused: bool) -> list:
    edges = [_edge(t) for t in inputs]
    for edge in edges:
        if edge is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    found = run_backward(roots, keep, create, edges, accumulate=False)
    for at, edge in enumerate(edges):
        if edge not in found and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {at} appears to not have been used in the graph. Set "
                "allow_unused=True if this is the desired behavior."
            )
    return [found.get(edge) for edge in edges]


def _grad_of_batch(
    outputs: Any, inputs: Any, weights: Any, keep: bool, create: bool, allow_unused: bool
) -> list:
    """One walk for each entry of the weights' leading dimension; the results are stacked."""
    weights = _tuple(weights, len(outputs))
    _check_count(outputs, weights)
    for at, (output, weight) in enumerate(zip(outputs, weights)):
        if isinstance(weight, Tensor) and weight._a.shape[1:] != output._a.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. "
                "The sizes of the remaining dimensions are expected to match the shape of corresponding output, but a "
                f"mismatch was detected: grad_output[{at}] has a shape of {Size(weight._a.shape[2:])} and output[{at}] "
                f"has a shape of {Size(output._a.shape)}. If you only want some tensors in `grad_output` to be "
                "considered batched, consider using vmap."
            )
    count = next((len(weight._a) for weight in weights if isinstance(weight, Tensor)), 0)
    rows = []
    for n in range(count):
        each = [weight[n] if isinstance(weight, Tensor) else weight for weight in weights]
        rows.append(
            _grad(
                _roots(outputs, _gradients(outputs, each)),
                inputs,
                keep or n + 1 < count,
                create,
                allow_unused,
            )
        )
    if not rows:
        return [t.new_zeros((0, *t._a.shape)) for t in inputs]
    return [None if column[0] is None else _stack(column) for column in zip(*rows)]


def _stack(tensors: Sequence[Any]) -> Any:
    from rushlight.ops.joining import stack

    return stack(list(tensors))


def _zeros(t: Tensor, create: bool) -> Tensor:
    """A gradient of zeros, of which there can be gradients again if `create`."""
    made = new_tensor(np.zeros_like(t._a), t._dtype)
    return made.requires_grad_() if create else made


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if not hasattr(value, "__index__"):
        raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
    return bool(value)


def _outputs(tensors: Any) -> tuple:
    return (tensors,) if isinstance(tensors, (Tensor, GradientEdge)) else tuple(tensors)


def _inputs(inputs: Any, operation: str) -> tuple:
    if isinstance(inputs, (Tensor, GradientEdge)):
        return (inputs,)
    if isinstance(inputs, Mapping) and type(inputs) is not dict:
        raise TypeError(
            f"`inputs` argument to `{operation}()` must be a dict, not {type(inputs).__name__}. "
            "Other Mapping types are not supported."
        )
    found = tuple(inputs.values() if type(inputs) is dict else inputs)
    if not found:
        raise RuntimeError(f"`inputs` argument to `{operation}()` cannot be empty.")
    for t in found:
        if not isinstance(t, (Tensor, GradientEdge)):
            raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(t).__name__}")
    return found


def _edge(t: Any) -> Any:
    return edge_of(t) if isinstance(t, Tensor) else edge_of_gradient_edge(t)


def _roots(outputs: Sequence[Any], gradients: Sequence[Any]) -> list:
    roots = []
    for at, (output, g) in enumerate(zip(outputs, gradients)):
        edge = _edge(output)
        if edge is None or type(edge) is Nowhere:
            raise RuntimeError(f"element {at} of tensors does not require grad and does not have a grad_fn")
        roots.append((edge, g))
    return roots


def _of_number(output: Any) -> list | None:
    """The root of a walk from one real number, as it mostly is, weighted by 1; None for anything else."""
    if type(output) is not Tensor or output._a.size != 1 or output._dtype.category != FLOATING:
        return None
    edge = edge_of(output)
    if edge is None or type(edge) is Nowhere:
        return None
    return [(edge, _one(output._a.shape, output._dtype))]


#: a copy takes a tenth of the time of `np.ones`
_ONES = {kind: np.ones((), kind.numpy) for kind in (float32, float64)}


def _one(shape: tuple[int, ...], kind: dtype) -> Tensor:
    """The weight of an output of one element for which none is given."""
    number = None if shape else _ONES.get(kind)
    return new_tensor(np.ones(shape, kind.numpy) if number is None else number.copy(), kind)


def _tuple(gradients: Any, count: int) -> tuple:
    if gradients is None:
        return (None,) * count
    return (gradients,) if isinstance(gradients, Tensor) else tuple(gradients)


def _check_count(outputs: Sequence[Any], gradients: Sequence[Any]) -> None:
    if len(gradients) < len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(gradients)} gradients")


def _gradients(outputs: Sequence[Any], given: Any) -> list:
    """The weight of each output: checked if given, 1 for real outputs of one element."""
    given = _tuple(given, len(outputs))
    found = [_gradient(at, output, g) for at, (output, g) in enumerate(zip(outputs, given))]
    _check_count(outputs, given)
    return found


def _gradient(at: int, output: Any, g: Any) -> Any:
    if isinstance(output, GradientEdge):
        shape, kind = output.node.metas[output.output_nr]
        recorded = True
    elif isinstance(output, Tensor):
        shape, kind, recorded = output._a.shape, output._dtype, requires_grad(output)
    else:
        raise AssertionError("Expected output to be a torch.Tensor")
    if isinstance(g, Tensor):
        if g.shape != shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{at}] has a shape of {g.shape} and output[{at}] has a shape of "
                f"{Size(shape)}."
            )
        if kind.is_complex != g._dtype.is_complex:
            raise RuntimeError(
                "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in "
                f"dtype: grad_output[{at}] has a dtype of {g._dtype} and output[{at}] has a dtype of {kind}."
            )
        return g
    if g is not None:
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if not recorded:
        return None
    if any(n != 1 for n in shape):
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if kind.category != FLOATING:
        raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {kind}")
    return _one(shape, kind)


_warned: list[bool] = []


def _warn_of_cycle() -> None:
    """Once in a process, as PyTorch does."""
    if not _warned:
        _warned.append(True)
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle between the parameter and its "
            "gradient which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid "
            "this. If you have to use this function, make sure to reset the .grad fields of your parameters to None "
            "after use to break the cycle and avoid the leak.",
            stacklevel=4,
        )


# ---- methods of Tensor ----


def tensor_backward(
    self: Tensor,
    gradient: Any = None,
    retain_graph: Any = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add to `.grad` of the leaves the gradient of this tensor, weighted by `gradient` (1 for one element).

    See `rushlight.autograd.backward` for the arguments and what is raised.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> (x**3).backward()
        >>> x.grad
        tensor(12.)
    """
    if inputs is None and not create_graph:
        roots = None
        if gradient is None:
            roots = _of_number(self)
        elif type(gradient) is Tensor and type(self) is Tensor:
            edge = edge_of(self)
            if edge is not None and type(edge) is not Nowhere and gradient._dtype is self._dtype:
                roots = [(edge, gradient)] if gradient._a.shape == self._a.shape else None
        if roots is not None:
            run_backward(roots, bool(retain_graph) and _flag(retain_graph), False)
            return
    backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def _get_requires_grad(self: Tensor) -> bool:
    return requires_grad(self)


def _set_requires_grad(self: Tensor, value: Any) -> None:
    if not isinstance(value, bool):
        raise RuntimeError("requires_grad must be a bool")
    if not _is_leaf(self):
        raise RuntimeError(_NOT_A_LEAF.partition(" If")[0] if value else _NOT_A_LEAF)
    if value and self._dtype.category < FLOATING:
        raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
    set_requires_grad(self, value)


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Make this leaf collect gradients, or stop; returns it.

    Raises:
        RuntimeError: the tensor was computed (and `requires_grad` is False), or is not floating or complex.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(2).requires_grad_()
        tensor([1., 1.], requires_grad=True)
    """
    if not isinstance(requires_grad, bool):
        raise TypeError(
            f"requires_grad_(): argument 'requires_grad' (position 1) must be bool, not {type(requires_grad).__name__}"
        )
    set_requires_grad(self, requires_grad)
    return self


_NOT_A_LEAF = (
    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph "
    "that doesn't require differentiation use var_no_grad = var.detach()."
)


def set_requires_grad(t: Tensor, value: bool) -> None:
    """Make a leaf collect gradients, or stop; RuntimeError for non-leaves and integers."""
    if not value and not _is_leaf(t):
        raise RuntimeError(_NOT_A_LEAF)
    if value and t._dtype.category < FLOATING:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    if value and t._buf is not None and t._buf.inference and not MODES.inference:
        raise RuntimeError(
            "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
        )
    holder, name = (t._edge, "edge") if type(t._edge) is ViewMeta else (t, "_edge")
    have = getattr(holder, name)
    if have is None or have is LEAF:
        setattr(holder, name, LEAF if value else None)


def _is_leaf(self: Tensor) -> bool:
    """Whether no node made this tensor, as far as is known without looking for later writes to its base."""
    edge = self._edge.edge if type(self._edge) is ViewMeta else self._edge
    return edge is None or edge is LEAF


def _get_grad(self: Tensor) -> Any:
    g = getattr(self, "_grad", None)
    if g is None and not _is_leaf(self) and not _retains(self):
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
            "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf "
            "Tensor, use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure "
            "you access the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more information.",
            stacklevel=2,
        )
    return g


def _set_grad(self: Tensor, value: Any) -> None:
    if value is None:
        self._grad = None
        return
    if not isinstance(value, Tensor):
        raise TypeError(
            f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
        )
    if value is self:
        raise RuntimeError("can't assign Variable as its own grad")
    if value._dtype is not self._dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{value._dtype.cpp}' to a "
            f"tensor with grad_dtype '{self._dtype.legacy}'. The gradient must match the tensor's grad_dtype (defaults to "
            "the tensor's dtype). You can set the tensor's grad_dtype attribute with a specific dtype, or None to allow "
            "any dtype. Set grad_dtype with caution. Diverging the dtypes of a tensor and its gradient may break "
            "downstream systems that assume they match."
        )
    if value.shape != self.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
            f"'{list(self._a.shape)}'. Please ensure that the gradient and the tensor are the same size"
        )
    self._grad = value


def _del_grad(self: Tensor) -> None:
    self._grad = None


def _get_grad_fn(self: Tensor) -> Any:
    edge = edge_of(self)
    if edge is None or edge is self or type(edge) is Nowhere:
        return None
    return edge[0] if type(edge) is tuple else edge


def _get_output_nr(self: Tensor) -> int:
    edge = edge_of(self)
    return edge[1] if type(edge) is tuple else 0


def _retains(self: Tensor) -> bool:
    edge = self._edge.edge if type(self._edge) is ViewMeta else self._edge
    node, number = edge if type(edge) is tuple else (edge, 0)
    if not isinstance(node, Node) or node.extra is None or not node.extra.retained:
        return False
    held = node.extra.retained.get(number)
    return held is not None and held() is self


def retain_grad(self: Tensor) -> None:
    """Let this computed tensor keep its gradient in `.grad`, as leaves do; nothing to do for a leaf.

    Raises:
        RuntimeError: the tensor does not require grad.

    Example:
        >>> import rushlight as torch
        >>> y = torch.ones(2, requires_grad=True) * 3
        >>> y.retain_grad()
        >>> y.sum().backward()
        >>> y.grad
        tensor([1., 1.])
    """
    if not requires_grad(self):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if _is_leaf(self):
        return
    edge = edge_of(self)
    node, number = edge if type(edge) is tuple else (edge, 0)
    extra = extra_of(node)
    if extra.retained is None:
        extra.retained = {}
    extra.retained[number] = weakref.ref(self)


def _del_requires_grad(self: Tensor) -> None:
    raise RuntimeError("requires_grad must be a bool")


requires_grad_property = property(
    _get_requires_grad, _set_requires_grad, _del_requires_grad, doc="Whether gradients are recorded."
)
is_leaf_property = property(
    lambda t: _get_grad_fn(t) is None,
    doc="Whether the tensor was made by the user rather than recorded as a result.",
)
grad_property = property(
    _get_grad, _set_grad, _del_grad, doc="The gradient collected by `backward()`, or None."
)
grad_fn_property = property(_get_grad_fn, doc="The node that made this tensor, or None.")
output_nr_property = property(_get_output_nr, doc="Which of its node's outputs this tensor is.")
retains_grad_property = property(_retains, doc="Whether this computed tensor keeps its gradient.")
