"""What the control groups around this process allow it (Linux)."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["read"]


def read(controller: str, unified: str, legacy: str) -> Iterator[str]:
    """The text of one setting in the group of this process and in those around it, where it is set.

    Args:
        controller: "cpu", "memory".
        unified: the setting's file in the hierarchy of version 2.
        legacy: its file under version 1.
    """
    for group, root, name in _groups(controller, unified, legacy):
        parts = [part for part in group.split("/") if part]
        for depth in range(len(parts) + 1):
            try:
                with open("/".join([root, *parts[:depth], name])) as file:
                    yield file.read()
            except OSError:  # a group that this process cannot see, or one without this setting
                pass


def _groups(controller: str, unified: str, legacy: str) -> Iterator[tuple[str, str, str]]:
    """(group, where its hierarchy is mounted, file) for each hierarchy that has the controller."""
    try:
        with open("/proc/self/cgroup") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            yield group, "/sys/fs/cgroup", unified
        elif controller in controllers.split(","):
            yield group, f"/sys/fs/cgroup/{controller}", legacy
