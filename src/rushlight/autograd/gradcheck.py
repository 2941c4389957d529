"""Checking derivatives against finite differences.

A complex input is perturbed along both axes and a complex output is taken apart, so that everything is real: the
Jacobian of the 2m real numbers of the outputs with respect to the 2n of the inputs. Backward gives its rows, central
differences its columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rushlight import late
from rushlight.autograd.api import grad
from rushlight.buffer import Tensor, new_tensor, strides
from rushlight.dtypes import FLOATING, float64
from rushlight.dtypes import complex128 as complex128_
from rushlight.runtime.execute import quiet
from rushlight.tape.node import requires_grad

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A derivative that disagrees with the finite difference."""


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether backward of `func` at `inputs` (float64 or complex128) agrees with finite differences.

    Args:
        func: of tensors, returning a tensor or a tuple of them.
        eps: the step; atol, rtol: how far apart the two may be.
        raise_exception: raise GradcheckError where they disagree, instead of returning False.
        nondet_tol: how far two backward passes may be apart.
        check_undefined_grad: also check that missing gradients of outputs count as zeros.
        check_forward_ad: also compare the derivatives of `torch.autograd.forward_ad`; check_backward_ad: those of
            backward.
        check_batched_grad: also compare gradients of many weights at once with those of each; check_batched_forward_grad:
            the same in forward mode.
        fast_mode: accepted; the full Jacobian is compared in any case.

    Raises:
        ValueError: no input requires grad.
        RuntimeError: an input has a dimension with stride 0.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
        >>> torch.autograd.gradcheck(lambda x: x.exp() * x, (x,))
        True
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    xs = _tuple(inputs)
    _check_inputs(xs)
    try:
        if check_forward_ad:
            _check_forward(func, xs, eps, atol, rtol)
        if check_batched_forward_grad:
            _refuse_batch(late.load("rushlight.autograd.other_checks").batched_forward(func, xs))
        if check_backward_ad:
            _check(func, xs, eps, atol, rtol, nondet_tol, check_undefined_grad, check_batched_grad)
        return True
    except GradcheckError:
        if raise_exception:
            raise
        return False


def gradgradcheck(
    func: Callable,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Whether the derivative of `func`'s backward agrees with finite differences; see `gradcheck`.

    Args:
        grad_outputs: the weights of the outputs at which to check; random ones by default.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
        >>> torch.autograd.gradgradcheck(lambda x: x.exp() * x, (x,))
        True
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    if check_undefined_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_undefined_grad=True requires check_rev_over_rev to be True")
    if check_batched_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_batched_grad=True requires check_rev_over_rev to be True")
    xs = _tuple(inputs)
    if grad_outputs is None:
        weights = tuple([_random_like(y, gen_non_contig_grad_outputs) for y in _differentiable(func(*xs))])
    else:
        weights = _tuple(grad_outputs)
    wanted = [at for at, x in enumerate(xs) if isinstance(x, Tensor) and requires_grad(x)]

    def first(*args: Any) -> tuple:
        given, weights = args[: len(xs)], args[len(xs) :]
        outputs = _differentiable(func(*given))
        chosen = [given[at] for at in wanted]
        found = grad(outputs, chosen, weights, create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        first,
        xs + weights,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )


def _random_like(y: Tensor, gapped: bool) -> Any:
    """A weight between -1 and 1; the global random stream stays untouched."""
    kind = y._dtype if y._dtype.category >= FLOATING else float64
    shape = (*y._a.shape[:-1], 2 * y._a.shape[-1]) if gapped and y._a.ndim else y._a.shape
    source = np.random.default_rng(0)
    values = source.uniform(-1, 1, shape) + (1j * source.uniform(-1, 1, shape) if kind.is_complex else 0)
    t: Any = new_tensor(np.asarray(values).astype(kind.numpy), kind)
    return (t[..., ::2].detach() if gapped and y._a.ndim else t).requires_grad_()


# ---- the check ----


def _check_forward(func: Callable, xs: tuple, eps: float, atol: float, rtol: float) -> None:
    """Compare forward mode with finite differences."""
    which = [at for at, x in enumerate(xs) if isinstance(x, Tensor) and requires_grad(x)]
    outputs = [y for y in _tuple(func(*xs)) if isinstance(y, Tensor) and y._dtype.category >= FLOATING]
    numerical = _numerical(func, xs, [xs[at] for at in which], eps, constants=True)
    for n, at in enumerate(which):
        table = late.load("rushlight.autograd.other_checks").forward_table(func, xs, at, _flat)
        start = 0
        for number, count in enumerate(map(_reals, outputs)):
            a, b = table[:, start : start + count], numerical[n][:, start : start + count]
            if not np.allclose(a, b, rtol, atol):
                raise GradcheckError(
                    f"Jacobian computed with forward mode mismatch for output {number:d} with respect to input {n:d},\n"
                    f"numerical:{b}\nanalytical:{a}\n"
                )
            start += count


def _refuse_batch(wrong: str) -> None:
    if wrong:
        raise GradcheckError(wrong)


def _check(
    func: Callable,
    xs: tuple,
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    undefined: bool,
    batched: bool,
) -> bool:
    made = func(*xs)
    outputs = _differentiable(made)
    if any(isinstance(y, Tensor) and y.is_sparse for y in _tuple(made)):
        raise ValueError(
            "Sparse output is not supported at gradcheck yet. Please call to_dense(masked_grad=...) on the output of fn for "
            "gradcheck."
        )
    wanted = [x for x in xs if isinstance(x, Tensor) and requires_grad(x)]
    numerical = _numerical(func, xs, wanted, eps)
    if not outputs:
        if any((column != 0).any() for column in numerical):
            raise GradcheckError("Numerical gradient for function expected to be zero")
        return True
    first, again = (_analytical(outputs, wanted) for _ in range(2))
    at = 0
    for number, y in enumerate(outputs):
        count = _reals(y)
        for n in range(len(wanted)):
            a, b = first[n][:, at : at + count], numerical[n][:, at : at + count]
            if np.abs(quiet(np.subtract, a, again[n][:, at : at + count])).max(initial=0) > nondet_tol:
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times "
                    "gives different values, although analytical gradient matches numerical gradient.The tolerance for "
                    f"nondeterminism was {nondet_tol}."
                )
            if not np.allclose(a, b, rtol, atol):
                raise GradcheckError(
                    f"Jacobian mismatch for output {number:d} with respect to input {n:d},\nnumerical:{b}\nanalytical:{a}\n"
                )
        at += count
    if batched:
        _refuse_batch(late.load("rushlight.autograd.other_checks").batched_backward(outputs, wanted))
    _check_scaling(outputs, wanted)
    if undefined:
        _check_undefined(func, xs)
    return True


def _check_inputs(xs: tuple) -> None:
    found = False
    for at, x in enumerate(xs):
        if isinstance(x, Tensor) and requires_grad(x):
            if x._dtype is not float64 and x._dtype is not complex128_:
                warnings.warn(
                    f"Input #{at} requires gradient and is not a double precision floating point or complex. This check "
                    "will likely fail if all the inputs are not of double precision floating point or complex. ",
                    stacklevel=4,
                )
            if not all(step > 0 or n <= 1 for step, n in zip(strides(x), x._a.shape)):
                raise RuntimeError(
                    f"The {at}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                    "non-overlapping to be able to compute the numerical gradients correctly. You should call .contiguous "
                    "on the input before passing it to gradcheck."
                )
            found = True
    if not found:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )


def _tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _differentiable(outputs: Any) -> tuple:
    return tuple([y for y in _tuple(outputs) if isinstance(y, Tensor) and requires_grad(y)])


def _reals(t: Tensor) -> int:
    """How many real numbers the tensor holds."""
    return t._a.size * (2 if t._dtype.is_complex else 1)


def _flat(a: np.ndarray) -> np.ndarray:
    """The elements as real numbers in a row."""
    a = np.ascontiguousarray(a).reshape(-1)
    return a.view(a.real.dtype) if a.dtype.kind == "c" else a


def _numerical(
    func: Callable, xs: tuple, wanted: list, eps: float, constants: bool = False
) -> list[np.ndarray]:
    """For each input, the Jacobian by central differences: one row for each real number of the input.

    Args:
        constants: whether floating-point outputs that do not require grad are looked at, too.
    """
    outputs = [(n, y) for n, y in enumerate(_tuple(func(*xs))) if isinstance(y, Tensor)]
    which = [n for n, y in outputs if requires_grad(y) and not constants] or [
        n for n, y in outputs if y._dtype.category >= FLOATING
    ]

    def values() -> np.ndarray:
        outputs = _tuple(func(*xs))
        parts = [_flat(outputs[n]._a.copy()) for n in which]
        return np.concatenate(parts) if parts else np.zeros(0)

    tables = []
    for x in wanted:
        rows = []
        for index, step in _steps(x, eps):
            before = x._a[index]
            x._a[index] = before + step
            high = values()
            x._a[index] = before - step
            low = values()
            x._a[index] = before
            rows.append(quiet(np.subtract, high, low) / (2 * eps))
        tables.append(np.stack(rows) if rows else np.zeros((0, len(values()))))
    return tables


def _steps(x: Tensor, eps: float) -> Iterator[tuple]:
    for index in np.ndindex(x._a.shape):
        yield index, eps
        if x._dtype.is_complex:
            yield index, 1j * eps


def _analytical(outputs: tuple, wanted: list) -> list[np.ndarray]:
    """For each input, the Jacobian by backward, laid out as `_numerical` lays it out."""
    columns: list[list] = [[] for _ in wanted]
    for y in outputs:
        for index, step in _steps(y, 1.0):
            weight = np.zeros(y._a.shape, y._a.dtype)
            weight[index] = step
            found = grad((y,), wanted, (new_tensor(weight, y._dtype),), retain_graph=True, allow_unused=True)
            for column, g, x in zip(columns, found, wanted):
                if g is not None and g._dtype is not x._dtype:
                    raise GradcheckError("Gradient has dtype mismatch")
                if g is not None and g._a.shape != x._a.shape:
                    raise GradcheckError("Analytical gradient has incorrect size")
                column.append(np.zeros(_reals(x)) if g is None else _flat(g._a).copy())
    return [np.stack(column, 1) if column else np.zeros((_reals(x), 0)) for column, x in zip(columns, wanted)]


def _check_scaling(outputs: tuple, wanted: list) -> None:
    """A weight of zero must give a gradient of zero."""
    weights = [new_tensor(np.zeros(y._a.shape, y._a.dtype), y._dtype) for y in outputs]
    for g, x in zip(grad(outputs, wanted, weights, retain_graph=True, allow_unused=True), wanted):
        if g is None:
            continue
        if not np.all(g._a == 0):
            raise GradcheckError("backward not multiplied by grad_output")
        if g._dtype is not x._dtype:
            raise GradcheckError("grad is incorrect type")
        if g._a.shape != x._a.shape:
            raise GradcheckError("grad is incorrect size")


def _check_undefined(func: Callable, xs: tuple) -> None:
    """An output that no gradient comes to must count as one with a gradient of zero."""
    outputs = _differentiable(func(*xs))
    nodes = {id(y.grad_fn): y for y in outputs}
    if len(outputs) < 2 or len(nodes) == len(outputs):
        return
    wanted = [x for x in xs if isinstance(x, Tensor) and requires_grad(x)]
    for at in range(len(outputs)):
        try:
            grad(outputs[at], wanted, _ones(outputs[at]), retain_graph=True, allow_unused=True)
        except Exception as error:
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. Please look at 'Notes about undefined "
                "output gradients' in 'tools/autograd/derivatives.yaml'"
            ) from error


def _ones(y: Tensor) -> Tensor:
    return new_tensor(np.ones(y._a.shape, y._a.dtype), y._dtype)
