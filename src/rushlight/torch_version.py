"""`torch.torch_version`: the release of PyTorch that is followed, as programs compare it with others.

Programs ask `torch.__version__` what they can use, and refuse to start, or leave things out, below some release of
PyTorch. So where Rushlight answers for PyTorch, its version is the one of PyTorch that it follows; which Rushlight it is
stands behind the plus sign, where builds of PyTorch say how they differ.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import rushlight
from rushlight import late

__all__ = ["TorchVersion"]

#: the release of PyTorch whose names and results are Rushlight's
FOLLOWED = "2.13.0"

_VERSION = re.compile(
    r"v?(?P<release>\d+(?:\.\d+)*)(?:[-_.]?(?P<pre>alpha|beta|preview|pre|a|b|c|rc)[-_.]?(?P<number>\d*))?"
    r"(?P<post>[-_.]?post[-_.]?\d*|-\d+)?(?:[-_.]?dev[-_.]?(?P<dev>\d*))?(?:\+(?P<local>[a-z\d]+(?:[-_.][a-z\d]+)*))?",
    re.IGNORECASE,
)
_PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_FINAL = 3


def _key(version: str) -> tuple | None:
    """What versions are ordered by, as the standard for Python's versions (PEP 440) says; None for what is no version."""
    found = _VERSION.fullmatch(version.strip())
    if found is None:
        return None
    release = [int(part) for part in found["release"].split(".")]
    while release and not release[-1]:
        release.pop()
    developed = found["dev"] is not None
    if found["pre"]:
        stage = _PRE[found["pre"].lower()], int(found["number"] or 0)
    else:
        stage = (-1 if developed and not found["post"] else _FINAL), 0
    after = int(re.sub(r"\D", "", found["post"]) or 0) if found["post"] else -1
    unfinished = int(found["dev"] or 0) if developed else sys.maxsize
    local = [
        (1, int(part), "") if part.isdigit() else (0, 0, part.lower())
        for part in re.split(r"[-_.]", found["local"] or "")
        if part
    ]
    return release, stage, after, unfinished, local


class TorchVersion(str):
    """A version that is a string, and is compared with strings and tuples as versions are: 2.8 is less than 2.13.

    Example:
        >>> from rushlight.torch_version import TorchVersion
        >>> version = TorchVersion("2.13.0+cpu")
        >>> version > "2.8", version >= (2, 13), version.startswith("2")
        (True, True, True)
    """

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        mine, others = _comparable(self, other)
        return mine == others

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        mine, others = _comparable(self, other)
        return mine < others

    def __le__(self, other: Any) -> bool:
        return self < other or self == other

    def __gt__(self, other: Any) -> bool:
        return not self <= other

    def __ge__(self, other: Any) -> bool:
        return not self < other


def _comparable(version: str, other: Any) -> tuple[Any, Any]:
    """Both as versions; as strings, if one is none."""
    if isinstance(other, (tuple, list)):
        other = ".".join(map(str, other))
    if not isinstance(other, str):
        raise ValueError(f"a version cannot be compared with {other!r}")
    keys = _key(str(version)), _key(str(other))
    return (str(version), str(other)) if None in keys else keys


def answer() -> None:
    """Let `__version__` be PyTorch's, in this process."""
    followed = TorchVersion(f"{FOLLOWED}+rushlight.{rushlight.__version__}")
    rushlight.__version__ = followed
    if (version := sys.modules.get("rushlight.version")) is not None:
        version.__version__ = followed  # type: ignore[attr-defined]


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.torch_version")
