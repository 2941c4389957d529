"""`torch.distributed.algorithms.join`: processes that have no more inputs wait for those that have.

In a group of one there is nobody to wait for: the hook that follows the last process is all that is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Join", "JoinHook", "Joinable"]


class JoinHook:
    """What a process does for the others when it has no more inputs: `main_hook` while they go on, `post_hook` at the end."""

    def main_hook(self) -> None:
        """Take part in what the others do in a step."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Finish, once all have no more inputs."""


class Joinable:
    """What can be joined says how, where and in which group."""

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """The hook to be called; `kwargs` are those given to `Join`."""
        raise NotImplementedError(
            f"{type(self).__name__} does not say what to do when it is joined: define join_hook"
        )

    @property
    def join_device(self) -> Any:
        """Where the group talks."""
        raise NotImplementedError(f"{type(self).__name__} does not say where it is: define join_device")

    @property
    def join_process_group(self) -> Any:
        """The group."""
        raise NotImplementedError(f"{type(self).__name__} does not say its group: define join_process_group")


class Join:
    """A context for a loop over inputs of which processes may have different numbers.

    Raises:
        ValueError: there is nothing to join.

    Example:
        >>> from rushlight.distributed.algorithms.join import Join, Joinable, JoinHook
        >>> class Told(JoinHook):
        ...     def post_hook(self, is_last_joiner):
        ...         print("last:", is_last_joiner)
        >>> class Model(Joinable):
        ...     def join_hook(self, **kwargs):
        ...         return Told()
        >>> with Join([Model()]):
        ...     pass
        last: True
    """

    def __init__(
        self,
        joinables: Sequence[Joinable],
        enable: bool = True,
        throw_on_early_termination: bool = False,
        **kwargs: Any,
    ) -> None:
        if not joinables:
            raise ValueError("The join context manager requires at least one joinable")
        self._hooks = [joinable.join_hook(**kwargs) for joinable in joinables]
        self._enable = enable

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if self._enable and kind is None:
            for hook in self._hooks:
                hook.post_hook(True)

    @staticmethod
    def notify_join_context(joinable: Joinable) -> None:
        """Tell the other processes that this one goes on: there are none, so there is nothing to wait for."""
