"""The kinds of operation, and the registry.

An operation is a *primitive* (arrays in, fresh arrays out, with a derivative) behind a
*public* function (PyTorch's signature, checks). Every public function gets the in-place and
`out=` forms of `rushlight.ops.writing`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rushlight import errors, late
from rushlight.batched import TAKE_OVER, DrawsRandomly, NeedsBatching, asking
from rushlight.buffer import Tensor
from rushlight.deep import Deep, is_refusal
from rushlight.dtypes import complex32, float32, float64, int64
from rushlight.layout import row_strides
from rushlight.ops import autocasting, complex_half
from rushlight.ops.writing import into_out, make_inplace, plainly
from rushlight.runtime import execute
from rushlight.runtime.deferral import FROM_COSTLY, launch, tensor_on
from rushlight.runtime.execute import enter
from rushlight.runtime.merging import FROM_MERGED, Loop, waiting
from rushlight.runtime.results import is_image, retried, with_inner_channels
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative, parameters
from rushlight.tape.modes import MODES
from rushlight.tape.recording import record

#: every public operation, by PyTorch's name
REGISTRY: dict[str, Operation] = {}
#: every primitive, by name
PRIMITIVES: dict[str, Primitive] = {}
#: the types whose reductions may wait: those that loops of ours round to their end
_MERGED = frozenset([float32.numpy, float64.numpy, int64.numpy])


class Primitive:
    """A computation on arrays together with its derivative.

    Call it with tensors for `compute`'s positional parameters (None where optional) and
    attributes by keyword.
    """

    __slots__ = ("name", "compute", "derivative", "elementwise", "loop")
    derivative: Any  # a Derivative or None

    def __init__(
        self,
        name: str,
        compute: Callable,
        derivative: Derivative | None,
        elementwise: Callable | None = None,
        loop: Callable[..., Loop | None] | None = None,
    ) -> None:
        self.name = name
        self.compute = compute
        self.derivative = derivative
        self.elementwise = elementwise
        self.loop = loop

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        if self.elementwise is not None and inputs[0]._a.size >= FROM_COSTLY:
            later = self._waiting(inputs, attrs)
            if later is not None:
                return later
        if self.loop is not None and inputs[0]._a.size >= FROM_MERGED:
            later = self._reduced(inputs[0], attrs)
            if later is not None:
                return later
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
        a = launch(
            self.name,
            self.elementwise,
            inputs,
            kinds,
            kinds[0],
            attrs,
            strides_of=row_strides,
            least=FROM_COSTLY,
        )
        if a is None:
            return None
        out = tensor_on(a, kinds[0])
        if self.derivative is not None:
            record(self.derivative, inputs, attrs, out)
        return out

    def _reduced(self, t: Tensor, attrs: dict) -> Tensor | None:
        """The result of a reduction that may wait for others, if it can."""
        assert self.loop is not None
        a = t._a
        loop = self.loop(a, **attrs) if type(a) is np.ndarray and a.ndim and a.dtype in _MERGED else None
        if loop is None:
            return None
        out = waiting(
            self.name.removesuffix("_dims").removesuffix("_all"),
            t,
            loop,
            lambda: execute.quiet(self.compute, a, **attrs),
        )
        if out is not None and self.derivative is not None and t._edge is not None:
            record(self.derivative, (t,), attrs, out)
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
    like_image: bool = False,
    promotes: bool = True,
    elementwise: Callable | None = None,
    loop: Callable[..., Loop | None] | None = None,
) -> Callable[[Callable], Primitive]:
    """Declare a primitive; `vjp` is required, NOT_DIFFERENTIABLE where that is the truth.

    Args:
        name: the node's name without "Backward0" ("Gather"); ending in a digit, the whole name.
        vjp, promotes: see `rushlight.tape.derivative.Derivative`.
        several: whether `compute` returns a tuple.
        differentiable: which of several outputs carry a gradient.
        elementwise: what it computes, element by element, as a function of arrays that makes no copies of them: with it,
            a result of the first operand's type may be part of a fused loop.
        loop: (array, attributes) -> the reduction as a loop, whose result may wait for others of the same array; or None.
        row_major: whether results are laid out so whatever the order of the input's dimensions, as of reductions.
        like_image: the same, unless an input is an image whose channels lie innermost: then the results' do, too.
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
        if row_major or like_image:
            compute = _in_row_order(compute, like_image)
        made = Primitive(compute.__name__, compute, derivative, elementwise, loop)
        if made.name in PRIMITIVES:
            raise ValueError(f"two primitives are named {made.name}")
        PRIMITIVES[made.name] = made
        return made

    return declare


def _in_row_order(compute: Callable, like_image: bool) -> Callable:
    @functools.wraps(compute)
    def within(*arrays: Any, **attrs: Any) -> Any:
        made = compute(*arrays, **attrs)
        laid = _image if like_image and any(map(is_image, arrays)) else _rows
        return tuple(map(laid, made)) if type(made) is tuple else laid(made)

    return within


def _image(a: Any) -> np.ndarray:
    """With channels innermost."""
    return a if is_image(a) else with_inner_channels(a)


def _rows(a: Any) -> np.ndarray:
    """In rows, with plain strides also where a dimension of size 1 makes them free."""
    a = np.asarray(a, order="C")
    if 1 in a.shape and a.strides != row_strides(a.shape, a.itemsize, ()):
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
    takes: Mapping[str, str] | None = None,
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
        takes: the kinds of arguments that `function` leaves unchecked, see `rushlight.ops.arguments`.
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
            takes=takes,
        )
    called = name or function.__name__
    names = parameters(function)
    plain = (
        function if takes is None else late.load("rushlight.ops.arguments").checked(function, names, takes)
    )
    renamed = _renamed(names) if numpy_names else {}
    lower = autocasting.policy(called)
    switch = autocasting.SWITCH
    # PyTorch writes nn.functional in Python: there a wrong argument fails where it is first used.
    first_is_tensor = bool(names) and names[0] == "input" and not called.startswith("nn.functional.")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if lower is not None and switch.on and autocasting.STATE.fast is not None:
            return autocasting.run(call, lower, args, kwargs)
        if kwargs:
            for key in kwargs:
                if key in renamed:
                    kwargs = _named(renamed, kwargs)
                    break
            if out and "out" in kwargs:
                target = kwargs.pop("out")
                if target is not None:
                    rule = plainly if out is True else out
                    older = _in_old_order(called, args, kwargs)
                    if older is not None:
                        args, kwargs = tuple(older[0]), older[1] | kwargs
                    try:
                        return into_out(called, plain, rule, target, args, kwargs, check)
                    except NeedsBatching:
                        result = TAKE_OVER.override(call, args, kwargs | {"out": target})
                        if result is NotImplemented:
                            raise
                        return result
        try:
            return plain(*args, **kwargs)
        except RuntimeError as error:
            if not isinstance(error, NeedsBatching):
                own = vars(Deep).get(called) if is_refusal(error) else None
                if own is None or not args or not isinstance(args[0], Deep):
                    raise
                return own(*args, **kwargs)
            take_over = TAKE_OVER.random if isinstance(error, DrawsRandomly) else TAKE_OVER.function
        except (errors.WrongArgument, TypeError, KeyError, AttributeError) as error:
            return mend(error, args, kwargs)
        return take_over(called, call, args, kwargs)

    def mend(error: Exception, args: tuple, kwargs: dict) -> Any:
        """What the call gives that failed, because of a class that stands in or an older signature; or the error in PyTorch's words."""
        if any(map(_may_stand_in, (*args, *kwargs.values()))):
            result = late.load("rushlight.overriding").stand_in(call, args, kwargs)
            if result is not NotImplemented:
                return result
        if isinstance(error, errors.WrongArgument):
            raise error.worded(
                called.removeprefix("nn.functional.").replace(".", "_"), names, args, kwargs
            ) from None
        if isinstance(error, AttributeError):
            if first_is_tensor and args and not isinstance(args[0], Tensor):
                raise errors.wrong_type(called, "input", 1, args[0]) from None
            raise error
        if complex_half.stumbled(error):
            if complex_half.uses((*args, *kwargs.values())):
                raise complex_half.refusal(called) from None
            raise error
        older = _in_old_order(called, args, kwargs)
        if older is not None:
            return call(*older[0], **older[1], **kwargs)
        missing = errors.missing_argument(called, plain.__qualname__, error, args, overloaded)
        if missing is None:
            raise error
        raise missing from None

    asking(call)
    if name:
        call.__name__ = name.rpartition(".")[2]
    if call.__module__.startswith(_MAKERS) or "<locals>" in call.__qualname__:
        _settle(call)
    call.inplace = make_inplace(called, call, into, apart)  # type: ignore[attr-defined]
    call.operation = REGISTRY[called] = Operation(called, call, plain, call.inplace)  # type: ignore[attr-defined]
    return call


def _settle(function: Callable) -> None:
    """Let a function say which module declares it under its name, so that it can be pickled.

    What the kinds of operations make is declared by the module that asked them to.
    """
    frame: Any = sys._getframe(1)
    while frame.f_globals["__name__"].startswith(_MAKERS) and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    function.__module__ = frame.f_globals["__name__"]
    function.__qualname__ = function.__name__.removeprefix("special_")


#: the modules that make functions for others
_MAKERS = ("rushlight.ops.spec", "rushlight.ops.kinds.")


def _may_stand_in(value: Any) -> bool:
    """Whether a value that is no tensor, or one in a list, is of a class with `__torch_function__`."""
    if type(value) in (list, tuple):
        return any(map(_may_stand_in, value))
    return hasattr(type(value), "__torch_function__") and not isinstance(value, Tensor)


def _in_old_order(called: str, args: tuple, kwargs: dict) -> Any:
    """A call that has its factors in front, as functions once took them; see `old_signatures`."""
    from rushlight.ops import old_signatures  # which few programs need

    return old_signatures.reordered(called, args, kwargs)


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


# ---- conversions used by every kind ----


def as_tensor(value: Any, operation: str, argument: str, position: int) -> Tensor:
    if isinstance(value, Tensor):
        return value
    raise errors.wrong_type(operation, argument, position, value)


def as_one_node(derivative: Derivative, x: Tensor, compute: Callable, **attrs: Any) -> Tensor:
    """`compute(x, **attrs)`, a new tensor made by operations, as one node of the graph."""
    if x._edge is None or not MODES.grad:
        return compute(x, **attrs)
    out = compute(x.detach(), **attrs)
    record(derivative, (x,), attrs, out)
    return out


def all_tensors(operation: str, **given: Any) -> None:
    """Refuse what is no tensor of an operation's first arguments, which are given by name and in order."""
    for position, (argument, value) in enumerate(given.items(), 1):
        as_tensor(value, operation, argument, position)
