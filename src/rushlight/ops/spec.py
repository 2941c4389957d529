"""The kinds of operation, and the registry.

An operation is a *primitive* (arrays in, fresh arrays out, with a derivative) behind a
*public* function (PyTorch's signature, checks). The in-place and `out=` forms of every
public function are made here.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import errors, late
from rushlight.batched import TAKE_OVER, DrawsRandomly, NeedsBatching
from rushlight.buffer import LEAF, Tensor, is_guarded, new_tensor, shown, storage, strides
from rushlight.buffer import offset as offset_of
from rushlight.deep import Deep, is_refusal
from rushlight.dtypes import FLOATING, can_cast, complex32, dtype, of_number
from rushlight.graph.expr import Pending
from rushlight.layout import contiguous_strides, is_dense, numel, overlaps_itself, row_strides
from rushlight.ops import complex_half
from rushlight.ops.kinds.overlap import check_reads_apart
from rushlight.runtime import execute
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM, launch, tensor_on, written
from rushlight.runtime.execute import enter
from rushlight.runtime.results import retried
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative, parameters
from rushlight.tape.modes import MODES
from rushlight.tape.node import Node, ViewMeta, edge_of, requires_grad
from rushlight.tape.recording import record
from rushlight.tape.writes import check_partial_overlap, check_recorded, check_write, rebase, wrote

_make = object.__new__

#: every public operation, by PyTorch's name
REGISTRY: dict[str, Operation] = {}
#: every primitive, by name
PRIMITIVES: dict[str, Primitive] = {}


class Primitive:
    """A computation on arrays together with its derivative.

    Call it with tensors for `compute`'s positional parameters (None where optional) and
    attributes by keyword.
    """

    __slots__ = ("name", "compute", "derivative", "elementwise")
    derivative: Any  # a Derivative or None

    def __init__(
        self, name: str, compute: Callable, derivative: Derivative | None, elementwise: Callable | None = None
    ) -> None:
        self.name = name
        self.compute = compute
        self.derivative = derivative
        self.elementwise = elementwise

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        if self.elementwise is not None and inputs[0]._a.size >= FROM:
            waiting = self._waiting(inputs, attrs)
            if waiting is not None:
                return waiting
        try:
            made = enter(self.compute, *[None if t is None else t._a for t in inputs], **attrs)
            out = tuple([execute.wrap(a) for a in made]) if type(made) is tuple else execute.wrap(made)
        except Exception:
            out = None
        if out is None:
            out = self._carefully(inputs, attrs)
        derivative = self.derivative
        if derivative is not None:
            for t in inputs:
                if t is not None and t._edge is not None:
                    record(derivative, inputs, attrs, out)
                    break
        return out

    def _carefully(self, inputs: tuple, attrs: dict) -> Any:
        """The result where the context was taken, memory short or a type NumPy does not know; or the error."""
        try:
            made = execute.quiet(self.compute, *[None if t is None else t._a for t in inputs], **attrs)
            return tuple([execute.wrap(a) for a in made]) if type(made) is tuple else execute.wrap(made)
        except MemoryError:
            arrays = [None if t is None else t._a for t in inputs]
            made = execute.quiet(retried, self.compute, *arrays, **attrs)
            return tuple([execute.wrap(a) for a in made]) if type(made) is tuple else execute.wrap(made)
        except Exception as error:
            if not complex_half.uses(inputs) and error.args != (complex32.numpy,):
                raise
            return self._widened(inputs, attrs)

    def _waiting(self, inputs: tuple, attrs: dict) -> Tensor | None:
        """The result as a pending array in rows, of the first operand's type, if it can be one."""
        kinds = tuple([t._dtype for t in inputs])
        assert self.elementwise is not None
        a = launch(self.name, self.elementwise, inputs, kinds, kinds[0], attrs, strides_of=row_strides)
        if a is None:
            return None
        out = tensor_on(a, kinds[0])
        if self.derivative is not None:
            record(self.derivative, inputs, attrs, out)
        return out

    def _widened(self, inputs: tuple, attrs: dict) -> Any:
        """The result for complex32, which NumPy does not have, where PyTorch has one."""
        arrays, wide_attrs = complex_half.widened(self.name, inputs, attrs)
        made = execute.quiet(self.compute, *arrays, **wide_attrs)
        if type(made) is tuple:
            return tuple([complex_half.narrowed(a, attrs) for a in made])
        return complex_half.narrowed(made, attrs)


def primitive(
    name: str,
    *,
    vjp: Any,
    several: bool = False,
    differentiable: tuple[int, ...] | None = None,
    row_major: bool = False,
    promotes: bool = True,
    elementwise: Callable | None = None,
) -> Callable[[Callable], Primitive]:
    """Declare a primitive; `vjp` is required, NOT_DIFFERENTIABLE where that is the truth.

    Args:
        name: the node's name without "Backward0" ("Gather"); ending in a digit, the whole name.
        vjp, promotes: see `rushlight.tape.derivative.Derivative`.
        several: whether `compute` returns a tuple.
        differentiable: which of several outputs carry a gradient.
        elementwise: what it computes, element by element, as a function of arrays that makes no copies of them: with it,
            a result of the first operand's type may be part of a fused loop.
        row_major: whether results are laid out so whatever the order of the input's dimensions, as of reductions.
    """

    def declare(compute: Callable) -> Primitive:
        code = compute.__code__
        inputs = code.co_varnames[: code.co_argcount]
        if code.co_flags & 0x04:  # *xs
            inputs = ("*" + code.co_varnames[code.co_argcount + code.co_kwonlyargcount],)
        derivative = None
        if vjp is not NOT_DIFFERENTIABLE:
            derivative = Derivative(
                name, inputs, vjp, several=several, differentiable=differentiable, promotes=promotes
            )
            _check_vjp(name, compute, derivative)
        made = Primitive(
            compute.__name__, _in_row_order(compute) if row_major else compute, derivative, elementwise
        )
        if made.name in PRIMITIVES:
            raise ValueError(f"two primitives are named {made.name}")
        PRIMITIVES[made.name] = made
        return made

    return declare


def _in_row_order(compute: Callable) -> Callable:
    @functools.wraps(compute)
    def within(*arrays: Any, **attrs: Any) -> Any:
        made = compute(*arrays, **attrs)
        return tuple(map(_rows, made)) if type(made) is tuple else _rows(made)

    return within


def _rows(a: Any) -> np.ndarray:
    """In rows, with plain strides also where a dimension of size 1 makes them free."""
    a = np.asarray(a, order="C")
    if 1 in a.shape:
        out = np.empty(a.shape, a.dtype)
        out[...] = a
        return out
    return a


def _check_vjp(name: str, compute: Callable, derivative: Derivative) -> None:
    known = {n.lstrip("*") for n in derivative.inputs} | set(parameters(compute)) | {"out", "out1", "needs"}
    known |= {n.lstrip("*") + "_meta" for n in derivative.inputs}
    for vjp in derivative.vjps:
        if vjp is not None:
            unknown = set(parameters(vjp)[1:]) - known
            if unknown:
                raise TypeError(
                    f"the derivative of {name} asks for {sorted(unknown)}, which {name} does not have"
                )
    if not derivative.joint and len(derivative.vjps) != len(derivative.inputs):
        raise TypeError(f"{name} has {len(derivative.inputs)} inputs but {len(derivative.vjps)} derivatives")


# ---- public functions ----

#: NumPy's names for PyTorch's arguments
_RENAMED = {"axis": "dim", "keepdims": "keepdim", "x2": "other"}
#: what the first argument may be called: PyTorch documents some of its "input"s as A or x, and knows NumPy's names
_FIRST = frozenset({"input", "A", "a", "x", "x1"})


class Operation:
    """The record of a public operation.

    Attributes:
        function: what `rushlight.<name>` is.
        inplace: what `Tensor.<name>_` is.
    """

    __slots__ = ("name", "function", "plain", "inplace", "names")

    def __init__(self, name: str, function: Callable, plain: Callable, inplace: Callable) -> None:
        self.name = name
        self.function = function
        self.plain = plain
        self.inplace = inplace


def public(
    function: Callable | None = None,
    *,
    name: str = "",
    out: Any = True,
    into: Callable | None = None,
    check: Callable | None = None,
    overloaded: bool = False,
    numpy_names: bool = True,
    apart: bool = False,
) -> Any:
    """Make PyTorch's form of `function`: NumPy's argument names, `out=`, and `.inplace`.

    Args:
        name: the registered name, if not the function's.
        out: whether `out=` is taken, or how to compute for it: a function of (plain function, out tensors,
            args, kwargs), which may also refuse their dtypes.
        into: how to do it in place without a graph, if there is a faster way than copying.
        check: called with (out, result, the tensors among the arguments) before `out` is written.
        numpy_names: whether `axis` stands for `dim`, and so on.
        overloaded: whether PyTorch has several signatures, which its messages about missing arguments say.
        apart: whether the in-place form refuses to read memory that it writes.
    """
    if function is None:
        return functools.partial(
            public,
            name=name,
            out=out,
            into=into,
            check=check,
            overloaded=overloaded,
            numpy_names=numpy_names,
            apart=apart,
        )
    called = name or function.__name__
    names = parameters(function)
    plain = function
    renamed = _renamed(names) if numpy_names else {}
    # PyTorch writes nn.functional in Python: there a wrong argument fails where it is first used.
    first_is_tensor = bool(names) and names[0] == "input" and not called.startswith("nn.functional.")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for key in kwargs:
                if key in renamed:
                    kwargs = _named(renamed, kwargs)
                    break
            if out and "out" in kwargs:
                target = kwargs.pop("out")
                if target is not None:
                    rule = _plainly if out is True else out
                    return _into_out(called, plain, rule, target, args, kwargs, check)
        try:
            return plain(*args, **kwargs)
        except RuntimeError as error:
            if not isinstance(error, NeedsBatching):
                own = vars(Deep).get(called) if is_refusal(error) else None
                if own is None or not args or not isinstance(args[0], Deep):
                    raise
                return own(*args, **kwargs)
            take_over = TAKE_OVER.random if isinstance(error, DrawsRandomly) else TAKE_OVER.function
        except errors.WrongArgument as wrong:
            raise wrong.worded(called, names, args, kwargs) from None
        except (TypeError, KeyError) as wrong:
            if complex_half.stumbled(wrong):
                if complex_half.uses((*args, *kwargs.values())):
                    raise complex_half.refusal(called) from None
                raise
            missing = errors.missing_argument(called, plain.__name__, wrong, args, overloaded)
            if missing is None:
                raise
            raise missing from None
        except AttributeError:
            if first_is_tensor and args and not isinstance(args[0], Tensor):
                raise errors.wrong_type(called, "input", 1, args[0]) from None
            raise
        return take_over(called, call, args, kwargs)

    if name:
        call.__name__ = name.rpartition(".")[2]
    call.inplace = make_inplace(called, call, into, apart)  # type: ignore[attr-defined]
    call.operation = REGISTRY[called] = Operation(called, call, plain, call.inplace)  # type: ignore[attr-defined]
    return call


def _renamed(names: tuple[str, ...]) -> dict[str, str]:
    """Other names of these arguments -> their names."""
    renamed = {key: known for key, known in _RENAMED.items() if known in names and key not in names}
    if names and names[0] in _FIRST:
        renamed |= {key: names[0] for key in _FIRST if key not in names}
    return renamed


def _named(renamed: dict[str, str], kwargs: dict) -> dict:
    """The arguments under PyTorch's names; one given by both names stays, and is refused later."""
    return {
        renamed[key] if renamed.get(key, key) not in kwargs else key: value for key, value in kwargs.items()
    }


# ---- out= ----


def _plainly(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    return plain(*args, **kwargs)


def _into_out(
    name: str, plain: Callable, rule: Callable, out: Any, args: tuple, kwargs: dict, check: Callable | None
) -> Any:
    if check is None and rule is _plainly and type(out) is Tensor and not kwargs:
        done = _into_alike(plain, out, args)
        if done is not None:
            return done
    outs = out if isinstance(out, (tuple, list)) else (out,)
    for t in outs:
        if isinstance(t, NUMBER_TYPES):
            _refuse_number(name, plain(*args, **kwargs), t)
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(t).__name__}")
        if t._buf is not None:
            for value in (*args, *kwargs.values()):
                if isinstance(value, Tensor):
                    check_partial_overlap(t, value)
    if MODES.grad and any(map(_wants_grad, (*args, *kwargs.values(), *outs))):
        raise errors.no_out_gradient(name)
    before = MODES.grad
    MODES.grad = False
    try:
        result = rule(plain, outs, args, kwargs)
    finally:
        MODES.grad = before
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != len(outs):
        raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(results)} Tensors")
    for t, r in zip(outs, results):
        if check is not None:
            check(
                t,
                r,
                [value for value in (*args, *kwargs.values()) if isinstance(value, (Tensor, tuple, list))],
            )
        check_out(name, t, r)
    for t, r in zip(outs, results):
        store_out(t, r)
    return out if len(outs) == 1 and isinstance(out, Tensor) else type(result)(outs)


def _into_alike(plain: Callable, out: Tensor, args: tuple) -> Tensor | None:
    """`plain(*args)` in `out`, where nothing wants a gradient and `out` is memory of its own; else None."""
    for value in args:
        if isinstance(value, Tensor):
            if value._edge is not None or value._buf is not None and value._buf is out._buf:
                return None
        elif type(value) not in (int, float):
            return None
    a, buffer = out._a, out._buf
    if out._edge is not None or not a.flags.carray or buffer is not None and is_guarded(buffer):
        return None
    result = plain(*args)
    if type(result) is not Tensor:
        return None
    if result._dtype is out._dtype and result._a.shape == a.shape:
        a[...] = result._a
        wrote(out)
        return out
    check_out(plain.__name__, out, result)
    store_out(out, result)
    return out


NUMBER_TYPES = (bool, int, float, complex)


def _refuse_number(name: str, result: Any, out: Any) -> None:
    """A number is no place for a result; where its type would not do either, PyTorch says that first."""
    kind = of_number(out)
    if isinstance(result, Tensor) and not can_cast(result._dtype, kind):
        raise RuntimeError(
            f"result type {result._dtype.legacy} can't be cast to the desired output type {kind.legacy}"
        )


def _wants_grad(value: Any) -> bool:
    if isinstance(value, Tensor):
        return requires_grad(value)
    return isinstance(value, (tuple, list)) and any(map(_wants_grad, value))


def check_out(name: str, out: Tensor, result: Tensor) -> None:
    if not can_cast(result._dtype, out._dtype):
        raise RuntimeError(
            f"result type {result._dtype.legacy} can't be cast to the desired output type {out._dtype.legacy}"
        )
    if out._a.shape == result._a.shape:
        check_write(out, name)


def store_out(out: Tensor, result: Tensor) -> None:
    """Write `result` to `out`, which takes its shape; a wrong shape that held data is warned about."""
    a, r = out._a, result._a
    if a.shape != r.shape:
        if a.size:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(a.shape)}, which does not "
                f"match the required output shape {list(r.shape)}. This behavior is deprecated, and in a future "
                "PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse "
                "an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
                stacklevel=5,
            )
        resize(out, r.shape, strides(result) if is_dense(r.shape, strides(result)) else None)
        a = out._a
    np.copyto(a, convert(r, out._dtype) if r.dtype != a.dtype else r, casting="unsafe")
    wrote(out)


def resize(t: Tensor, shape: tuple[int, ...], steps: tuple[int, ...] | None = None) -> None:
    """Give the tensor other sizes from its offset on, contiguous or with the dense strides `steps`.

    Its storage grows if it must, and aliases see it.
    """
    buffer = storage(t)
    start = offset_of(t)
    need = (start + numel(shape)) * t._a.itemsize
    if numel(shape) and need > buffer.bytes().size:
        late.load("rushlight.storage").resize(buffer, need, alone=sys.getrefcount(buffer) <= 3)
    t._a = shown(buffer, t._dtype.numpy, shape, steps or contiguous_strides(shape), start)


# ---- in place ----


def make_inplace(name: str, function: Callable, into: Callable | None, apart: bool = False) -> Callable:
    """`x.name_(...)`: the function's result, written to x's memory."""
    called = name + "_"

    def inplace(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        try:
            if not apart and _plain(self, args) and (not kwargs or _plain(self, kwargs.values())):
                if into is None or self._dtype is complex32 or not into(self, *args, **kwargs):
                    result = function(self, *args, **kwargs)
                    if result._dtype is self._dtype and result._a.shape == self._a.shape:
                        if not (type(result._a) is Pending and written(result._a, self)):
                            self._a[...] = result._a
                    else:
                        check_result(called, self, result)
                        np.copyto(self._a, convert(result._a, self._dtype), casting="unsafe")
                wrote(self)
                return self
            recorded = _recorded(self, args, kwargs)
            if recorded:
                check_recorded(self)
            check_write(self, called)
            if apart:
                check_reads_apart(self, *args, *kwargs.values())
            elif self._buf is not None:
                for value in args:
                    if isinstance(value, Tensor):
                        check_partial_overlap(self, value)
            if recorded:
                return _inplace_recorded(called, function, into, self, args, kwargs)
            if into is not None and self._dtype is not complex32 and into(self, *args, **kwargs):
                wrote(self)
                return self
            before = MODES.grad
            MODES.grad = False
            try:
                result = function(self, *args, **kwargs)
            finally:
                MODES.grad = before
            check_result(called, self, result)
            overwrite(self, result)
            return self
        except NeedsBatching:
            pass
        return TAKE_OVER.inplace(called, inplace, (self, *args), kwargs)

    inplace.__name__ = called
    inplace.__qualname__ = f"Tensor.{called}"
    inplace.__doc__ = (
        f"In-place form of :func:`{name}`: writes the result to this tensor's memory and returns it."
    )
    return inplace


def _plain(t: Tensor, values: Any) -> bool:
    """Whether `t` is memory of its own that may be written, and none of the tensors among `values` is recorded or shares it."""
    buffer = t._buf
    if t._edge is not None or not t._a.flags.carray or buffer is not None and is_guarded(buffer):
        return False
    for value in values:
        if isinstance(value, Tensor):
            if value._edge is not None or buffer is not None and value._buf is buffer:
                return False
        elif isinstance(value, (tuple, list)):
            return False
    return True


def in_place_of(operation: Any) -> Callable:
    """Declare another in-place form of a public function than the one that was made for it."""

    def declare(inplace: Any) -> Any:
        called = operation.operation.name + "_"
        inplace.__name__, inplace.__qualname__ = called, f"Tensor.{called}"
        inplace.__doc__ = inplace.__doc__ or operation.inplace.__doc__
        operation.inplace = operation.operation.inplace = inplace
        return inplace

    return declare


def _recorded(t: Tensor, args: tuple, kwargs: dict) -> bool:
    """Whether a write to `t` with these arguments belongs on the tape."""
    if not MODES.grad:
        return False
    if t._edge is not None and requires_grad(t):
        return True
    for value in args:
        if isinstance(value, Tensor):
            if value._edge is not None and requires_grad(value):
                return True
        elif _wants_grad(value):
            return True
    return bool(kwargs) and any(map(_wants_grad, kwargs.values()))


def check_result(called: str, t: Tensor, result: Tensor) -> None:
    """Whether a result may be written to `t`: its shape must be t's, its kind no higher."""
    if result._a.shape != t._a.shape:
        raise RuntimeError(
            f"output with shape {list(t._a.shape)} doesn't match the broadcast shape {list(result._a.shape)}"
        )
    if not can_cast(result._dtype, t._dtype):
        raise RuntimeError(
            f"result type {result._dtype.legacy} can't be cast to the desired output type {t._dtype.legacy}"
        )


def overwrite(t: Tensor, result: Tensor) -> None:
    r = result._a
    if type(r) is Pending and written(r, t):
        wrote(t)
        return
    np.copyto(t._a, convert(r, t._dtype) if r.dtype != t._a.dtype else r, casting="unsafe")
    wrote(t)


def _inplace_recorded(
    called: str, function: Callable, into: Callable | None, t: Tensor, args: tuple, kwargs: dict
) -> Tensor:
    """In place on the tape.

    1. Compute out of place on a snapshot of `t`, so that what backward needs of the old value survives.
    2. Write the result to t's memory; every alias sees a new version.
    3. t's history is now the result's (through its base, if t is a view).
    """
    before = _make(Tensor)
    before._a, before._dtype, before._buf = t._a.copy("K"), t._dtype, None
    source = edge_of(t)
    before._edge = LEAF if isinstance(source, Tensor) else source
    result = function(before, *args, **kwargs)
    check_result(called, t, result)
    kept = result._dtype.category < FLOATING
    if result._dtype is not t._dtype:
        result = _converted(result, t)
    if kept and called in REPLACING:
        other = args[0] if args else kwargs["other"]
        record(REPLACING[called][not isinstance(other, Tensor)], (before, other), None, result)
        kept = False
    if 0 in t._a.strides and into is not None and overlaps_itself(t._a.shape, t._a.strides):
        into(t, *args, **kwargs)  # what the other elements of an expanded tensor keep must not be written
    else:
        np.copyto(t._a, result._a)
    wrote(t)
    if not kept:
        adopt(t, result)
    return t


def _converted(result: Tensor, t: Tensor) -> Tensor:
    """The result in the type of `t`, on the node that made it; backward then gets gradients of that type."""
    edge = result._edge
    if isinstance(edge, Node):
        edge.metas = ((t._a.shape, t._dtype),)
    out = new_tensor(convert(result._a, t._dtype), t._dtype)
    out._edge = edge
    return out


#: comparison in place -> its derivatives, if the other operand is a tensor or a number: the old values get zero.
#: What other operations without a derivative write leaves the history as it was.
REPLACING: dict[str, tuple[Derivative, Derivative]] = {}


def adopt(t: Tensor, result: Tensor) -> None:
    """Make the history of `result` that of `t`, whose memory already holds its values."""
    edge = edge_of(result)
    out = getattr(edge, "out", None)
    if out is not None and len(out) == 1 and out[0][0] is result._a:
        edge.out = ((t._a, t._dtype, t._buf, t._buf.version),)
    rebase(t, edge)


# ---- conversions used by every kind ----


def as_dtype(value: Any, operation: str) -> dtype | None:
    if value is None or isinstance(value, dtype):
        return value
    raise TypeError(f"{operation}(): argument 'dtype' must be torch.dtype, not {type(value).__name__}")


def as_tensor(value: Any, operation: str, argument: str, position: int) -> Tensor:
    if isinstance(value, Tensor):
        return value
    raise errors.wrong_type(operation, argument, position, value)


def is_float(t: Tensor) -> bool:
    return t._dtype.category >= FLOATING


__all__ = [
    "NOT_DIFFERENTIABLE",
    "REGISTRY",
    "PRIMITIVES",
    "Derivative",
    "Operation",
    "Primitive",
    "ViewMeta",
    "new_tensor",
    "primitive",
    "public",
]
