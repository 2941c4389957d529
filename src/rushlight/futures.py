"""`torch.futures`: results that another thread will set."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")


class Future(Generic[T]):
    """A result that is set once, by `set_result` or `set_exception`, and that any thread may wait for.

    Args:
        devices: GPUs whose work belongs to the result: none.

    Example:
        >>> import rushlight as torch
        >>> future = torch.futures.Future()
        >>> doubled = future.then(lambda done: done.value() * 2)
        >>> future.set_result(torch.ones(2))
        >>> doubled.wait()
        tensor([2., 2.])
    """

    def __init__(self, *, devices: Any = None) -> None:
        if devices:
            raise ValueError(f"devices: there is no other device than the CPU, but got {devices}")
        self._inner: concurrent.futures.Future = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether the result, or an error, is set."""
        return self._inner.done()

    def wait(self) -> T:
        """The result, when it is set; raises the error that was set instead."""
        return self._inner.result()

    def value(self) -> T:
        """The result; RuntimeError if it is not set yet."""
        if not self.done():
            raise RuntimeError("The Future is not completed yet: wait() waits for it")
        return self._inner.result()

    def set_result(self, result: T) -> None:
        """Set the result; RuntimeError if it is set already."""
        self._complete(self._inner.set_result, result)

    def set_exception(self, result: BaseException) -> None:
        """Set an error, which `wait` raises."""
        if not isinstance(result, BaseException):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._complete(self._inner.set_exception, result)

    def _complete(self, how: Callable, value: Any) -> None:
        try:
            how(value)
        except concurrent.futures.InvalidStateError:
            raise RuntimeError(
                "Attempting to mark a completed Future as complete again. Note that a Future can only be marked completed once."
            ) from None

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        """The future of what `callback` makes of this one, when it is set."""
        made: Future[Any] = Future()

        def run(inner: Any) -> None:
            try:
                made.set_result(callback(self))
            except Exception as error:
                made.set_exception(error)

        self._inner.add_done_callback(run)
        return made

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Call `callback` with this future when it is set; at once if it is."""
        self._inner.add_done_callback(lambda inner: callback(self))


def collect_all(futures: list[Future]) -> Future[list[Future]]:
    """The future of all of these, which is set when they are.

    Example:
        >>> import rushlight as torch
        >>> parts = [torch.futures.Future(), torch.futures.Future()]
        >>> whole = torch.futures.collect_all(parts)
        >>> for n, part in enumerate(parts):
        ...     part.set_result(n)
        >>> [part.value() for part in whole.wait()]
        [0, 1]
    """
    made: Future[list[Future]] = Future()
    left = {id(future) for future in futures}
    if not left:
        made.set_result(futures)

    def arrived(future: Future) -> None:
        left.discard(id(future))
        if not left and not made.done():
            made.set_result(futures)

    for future in futures:
        future.add_done_callback(arrived)
    return made


def wait_all(futures: list[Future]) -> list:
    """The results of all of these, when they are set; raises the first error among them."""
    return [future.wait() for future in collect_all(futures).wait()]
