"""`torch.utils.checkpoint`: less memory for a longer backward, by computing parts of a model twice.

A checkpointed function keeps nothing that it computes for backward: a place stands for each kept tensor, and the first
place that backward looks at has the function run again, which fills all of them (T. Chen, B. Xu, C. Zhang and
C. Guestrin, "Training deep nets with sublinear memory cost", arXiv:1604.06174). The reentrant form, PyTorch's older one,
records nothing at first, and runs a backward of its own within backward.
"""

from __future__ import annotations

import contextlib
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rushlight.amp.autocast_mode import (
    autocast,
    get_autocast_dtype,
    is_autocast_cache_enabled,
    is_autocast_enabled,
)
from rushlight.autograd.api import backward
from rushlight.autograd.engine import current_walk
from rushlight.autograd.function import Function
from rushlight.autograd.graph import saved_tensors_hooks
from rushlight.buffer import Tensor
from rushlight.ops.creation import empty
from rushlight.random import fork_rng, get_rng_state, set_rng_state
from rushlight.tape.modes import enable_grad, is_grad_enabled, no_grad

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]


class CheckpointError(RuntimeError):
    """A function did not compute the same the second time."""


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """The accelerators on which tensors of the arguments are, and the states of their generators: there are none."""
    return [], []


def set_device_states(
    devices: Sequence[int], states: Sequence[Tensor], *, device_type: str | None = None
) -> None:
    """Put such states back: there are none."""


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing: what functions and their repetitions run in, unless told otherwise."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which backward computes again what it needs, instead of its being kept.

    Args:
        use_reentrant: whether to use the older form, which takes no keyword arguments, gives gradients only to tensors
            among `args` and only in a backward of all leaves. To be given; True where it is not.
        preserve_rng_state: (among `kwargs`, by default True) whether random numbers are the same ones the second time.
        context_fn: makes the two contexts that the function and its repetition run in.
        determinism_check: "default", to compare shapes and types of what is kept with the second time's, or "none".
        debug: whether the error about a difference says where in the program both were kept.
        early_stop: whether the repetition ends as soon as everything needed is there.

    Raises:
        ValueError: an option that does not go with the form, or an unknown check.
        CheckpointError: in backward, where the function did not compute the same again.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.utils.checkpoint import checkpoint
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> checkpoint(lambda x: x.exp().square(), x, use_reentrant=False).backward()
        >>> x.grad
        tensor(109.1963)
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. " + _ADVICE,
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if not use_reentrant:
        with _Region(function, kwargs, preserve, context_fn, determinism_check, debug, early_stop).entered(
            args
        ) as region:
            region.value = function(*args, **kwargs)
        return region.result()
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug is not False:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve, *args)


_ADVICE = (
    "use_reentrant=False is recommended, but if you need to preserve the current default behavior, you can pass "
    "use_reentrant=True."
)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """The functions (or a `Sequential`'s modules) one after the other, in `segments` parts, all but the last checkpointed.

    Raises:
        ValueError: keyword arguments other than `preserve_rng_state`.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.utils.checkpoint import checkpoint_sequential
        >>> x = torch.tensor(0.5, requires_grad=True)
        >>> checkpoint_sequential([torch.sin, torch.exp, torch.tanh], 2, x, use_reentrant=False).backward()
        >>> x.grad
        tensor(0.2075)
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. "
            + _ADVICE,
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    # a Sequential has children; `utils` lies below `nn`, and does not know its classes
    steps = list(functions.children() if hasattr(functions, "children") else functions)
    size = len(steps) // segments
    ends = [size * n for n in range(1, segments)] if size else []
    for start, end in zip([0, *ends], ends):
        input = checkpoint(
            _chain(steps[start:end]), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return _chain(steps[ends[-1] if ends else 0 :])(input)


def _chain(steps: Sequence[Callable]) -> Callable:
    def run(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return run


# ---- settings for all calls ----


class _Settings:
    debug: bool | None = None
    early_stop: bool | None = None


@contextlib.contextmanager
def _set(name: str, value: bool | None) -> Iterator[None]:
    before = getattr(_Settings, name)
    setattr(_Settings, name, value)
    try:
        yield
    finally:
        setattr(_Settings, name, before)


def set_checkpoint_debug_enabled(enabled: bool | None) -> contextlib.AbstractContextManager[None]:
    """A context in which this stands for the `debug` of every `checkpoint`, unless None."""
    return _set("debug", enabled)


def set_checkpoint_early_stop(enable: bool) -> contextlib.AbstractContextManager[None]:
    """A context in which this stands for the `early_stop` of every `checkpoint`."""
    return _set("early_stop", enable)


# ---- places for what is computed again ----


class _Place:
    """Stands for a kept tensor; its value is there from when it is computed again until nobody has the place."""

    __slots__ = ("__weakref__",)


class _Inputs(Function):
    """Keeps a function's arguments as any operation keeps its inputs: watched for writes, and handed to outer hooks."""

    @staticmethod
    def forward(ctx: Any, marker: Tensor, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return marker.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise AssertionError("nobody takes the gradient of the marker")


class _Enough(BaseException):
    """Everything that is needed has been computed again. No Exception, so that the function cannot take it for its own."""


def _facts(t: Tensor) -> dict[str, Any]:
    return {"shape": t.shape, "dtype": t.dtype, "device": t.device}


_CHECKS: dict[str, Callable[[Tensor], Any]] = {"default": _facts, "none": lambda t: None}


def _casting() -> dict[str, Any]:
    """How `autocast` is set where a function is run first, and is to be where it is run again."""
    return {
        "device_type": "cpu",
        "dtype": get_autocast_dtype("cpu"),
        "enabled": is_autocast_enabled("cpu"),
        "cache_enabled": is_autocast_cache_enabled(),
    }


class _Region:
    """One call of a checkpointed function, and what it takes to repeat it.

    Attributes:
        places: of the kept tensors, in the order in which they were kept; weak, so that what is dropped need not be filled.
        facts: what is to be the same about each of them the second time.
        traces: where in the program each was kept, for `debug`.
        complete: whether the function has come to its end.
        found: backward pass -> values of the places.
    """

    def __init__(
        self,
        function: Callable,
        kwargs: dict,
        preserve: bool,
        context_fn: Callable,
        check: str,
        debug: bool,
        early_stop: bool,
    ) -> None:
        if check not in _CHECKS:
            raise ValueError(f"determinism_check should be one of {list(_CHECKS)}, but got {check}")
        debug = debug if _Settings.debug is None else _Settings.debug
        if debug and context_fn is not noop_context_fn:
            raise ValueError("debug=True is incompatible with non-default context_fn")
        self.function, self.kwargs = function, kwargs
        self.context, self.context_again = context_fn()
        self.state = get_rng_state() if preserve else None
        self.cast = _casting()
        self.early_stop = early_stop if _Settings.early_stop is None else _Settings.early_stop
        self.describe = _CHECKS[check]
        self.places: list[weakref.ref[_Place]] = []
        self.facts: list[Any] = []
        self.traces: list[str] | None = [] if debug else None
        self.complete = False
        self.found: weakref.WeakKeyDictionary[Any, weakref.WeakKeyDictionary[_Place, Tensor]]
        self.found = weakref.WeakKeyDictionary()

    # ---- the first time ----

    @contextlib.contextmanager
    def entered(self, args: tuple) -> Iterator[_Region]:
        """A context for the first run."""
        if not is_grad_enabled():
            yield self
            self.complete = True
            return
        self._keep_inputs(args)
        with saved_tensors_hooks(self._pack, self._unpack), self.context:
            yield self
            self.complete = True
        if not self.complete:
            raise RuntimeError(
                "torch.utils.checkpoint: the forward context provided by context_fn suppressed an exception raised during "
                "the checkpointed forward. This is not supported because checkpoint cannot return a value for a failed "
                "forward."
            )

    value: Any

    def result(self) -> Any:
        """What the function gave, which is not kept."""
        value = self.value
        del self.value
        return value

    def _keep_inputs(self, args: tuple) -> None:
        self.tensors = [at for at, value in enumerate(args) if isinstance(value, Tensor)]
        self.rest = [None if isinstance(value, Tensor) else value for value in args]
        marker = empty(0, requires_grad=True)
        self.inputs = _Inputs.apply(marker, *[args[at] for at in self.tensors]).grad_fn

    def _pack(self, t: Tensor) -> _Place:
        place = _Place()
        self.places.append(weakref.ref(place))
        self.facts.append(self.describe(t))
        if self.traces is not None:
            self.traces.append(_trace())
        return place

    # ---- the second time ----

    def _unpack(self, place: _Place) -> Tensor:
        walk = current_walk()
        values = None if walk is None else self.found.get(walk)
        if values is None:
            values = _Repetition(self).run()
            if walk is not None:
                self.found[walk] = values
        return values[place]

    def again(self) -> None:
        """Run the function on the arguments it had."""
        args = list(self.rest)
        for at, t in zip(self.tensors, self.inputs.saved_tensors):
            args[at] = t
        with fork_rng(enabled=self.state is not None):
            if self.state is not None:
                set_rng_state(self.state)
            with autocast(**self.cast), self.context_again:
                self.function(*args, **self.kwargs)


class _Repetition:
    """The second run of a region's function, which fills its places."""

    def __init__(self, region: _Region) -> None:
        self.region = region
        self.values: weakref.WeakKeyDictionary[_Place, Tensor] = weakref.WeakKeyDictionary()
        self.count = 0
        self.traces: list[str] = []

    def run(self) -> weakref.WeakKeyDictionary[_Place, Tensor]:
        try:
            with saved_tensors_hooks(self._keep, lambda t: t), enable_grad():
                self.region.again()
        except _Enough:
            pass
        self._compare()
        return self.values

    def _keep(self, t: Tensor) -> Tensor:
        region, at = self.region, self.count
        self.count += 1
        if region.traces is not None:
            self.traces.append(_trace())
        if at >= len(region.places):
            if region.complete:
                raise self._differ(
                    "trying to save more tensors during recomputation than during the original forward pass.\n"
                )
            return t  # a backward within the function needs no more than what was kept before it
        place = region.places[at]()
        if place is not None:
            self.values[place] = t
        if region.early_stop and self.count == len(region.places):
            raise _Enough
        return t

    def _compare(self) -> None:
        region, wanted = self.region, len(self.region.places)
        if self.count < wanted:
            raise self._differ(
                "A different number of tensors was saved during the original forward and recomputation.\n"
                f"Number of tensors saved during forward: {wanted}\n"
                f"Number of tensors saved during recomputation: {self.count}.\n"
            )
        told = ""
        for at, (ref, facts) in enumerate(zip(region.places, region.facts)):
            place = ref()
            if place is not None and (now := region.describe(self.values[place])) != facts:
                told += f"tensor at position {at}:\nsaved metadata: {facts}\nrecomputed metadata: {now}\n"
        if told:
            raise self._differ(
                "Recomputed values for the following tensors have different metadata than during the forward pass.\n"
                + told
            )

    def _differ(self, told: str) -> CheckpointError:
        where = "\nPass debug=True to checkpoint() to see where in the program each tensor was kept."
        if self.region.traces is not None:
            where = (
                f"\nKept in the original forward:\n{''.join(self.region.traces)}\nKept in the recomputation:\n"
                + "".join(self.traces)
            )
        return CheckpointError(f"torch.utils.checkpoint: {told}{where}")


def _trace() -> str:
    """Where the program is, one line of it."""
    for frame in reversed(traceback.extract_stack()):
        if "rushlight" not in frame.filename.replace("\\", "/").split("/"):
            return f"  {frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}\n"
    return ""


# ---- the reentrant form ----


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if none of the tensors among `inputs` requires grad."""
    if not any(t.requires_grad for t in inputs if isinstance(t, Tensor)):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


def detach_variable(inputs: tuple) -> tuple:
    """The same values, with the tensors among them cut from their graph; they require grad if they did.

    Raises:
        RuntimeError: not a tuple.
    """
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}"
        )
    return tuple([v.detach().requires_grad_(v.requires_grad) if isinstance(v, Tensor) else v for v in inputs])


class CheckpointFunction(Function):
    """A function whose backward runs it again, and then a backward of what that records."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable, preserve_rng_state: bool, *args: Any) -> Any:
        """`run_function(*args)`, unrecorded."""
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.state = get_rng_state() if preserve_rng_state else None
        ctx.cast = _casting()
        ctx.tensors = [at for at, value in enumerate(args) if isinstance(value, Tensor)]
        ctx.rest = [None if isinstance(value, Tensor) else value for value in args]
        ctx.save_for_backward(*[args[at] for at in ctx.tensors])
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradients of the arguments.

        Raises:
            RuntimeError: only some leaves' gradients are wanted, or no result depends on what requires grad.
        """
        walk = current_walk()
        if walk is not None and walk.targets is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        args = list(ctx.rest)
        for at, t in zip(ctx.tensors, ctx.saved_tensors):
            args[at] = t
        detached = detach_variable(tuple(args))
        with fork_rng(enabled=ctx.state is not None):
            if ctx.state is not None:
                set_rng_state(ctx.state)
            with enable_grad(), autocast(**ctx.cast):
                outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = [(y, g) for y, g in zip(outputs, grads) if isinstance(y, Tensor) and y.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([y for y, _ in pairs], [g for _, g in pairs])
        return (None, None, *[v.grad if isinstance(v, Tensor) else None for v in detached])
