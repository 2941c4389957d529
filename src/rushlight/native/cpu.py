"""What this machine offers: threads, caches, vectors, and the name under which code for it is kept."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from rushlight import cgroups

__all__ = ["Caches", "caches", "compiler", "features", "target", "threads", "vector_bytes"]

_CACHES = "/sys/devices/system/cpu/cpu0/cache"


# ---- threads ----


def threads() -> int:
    """How many threads can run at once: the CPUs this process may use, or the quota of its control groups if less."""
    quota = _quota()
    usable = _affinity()
    return usable if quota is None else max(1, min(usable, math.ceil(quota)))


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota() -> float | None:
    """CPUs' worth of time that the control groups grant, the strictest of them; None without a limit."""
    quotas = cgroups.read("cpu", "cpu.max", "cpu.cfs_quota_us")
    periods = cgroups.read("cpu", "cpu.max", "cpu.cfs_period_us")
    found = []
    for quota, period in zip(quotas, periods):  # version 2 writes "quota period" into one file
        granted, length = quota.split()[0], period.split()[-1]
        if granted.isdecimal() and int(length):  # else "max" or "-1"
            found.append(int(granted) / int(length))
    return min(found, default=None)


# ---- caches ----


class Caches(NamedTuple):
    """Bytes of the caches for data.

    Attributes:
        l2: of one core.
        l3: shared by several cores; 0 where there is none.
    """

    l2: int
    l3: int


@cache
def caches() -> Caches:
    """The sizes of the second and third level, as the system tells them; modest guesses where it does not."""
    sizes = dict(_described()) or {
        2: _configured("SC_LEVEL2_CACHE_SIZE"),
        3: _configured("SC_LEVEL3_CACHE_SIZE"),
    }
    if not sizes.get(2):
        return Caches(1 << 20, 8 << 20)
    return Caches(sizes[2], sizes.get(3, 0))


def _described() -> Iterator[tuple[int, int]]:
    """(level, bytes) of each cache that holds data, as Linux describes them."""
    for index in range(10):
        try:
            level, kind, size = (_read(f"index{index}/{name}") for name in ("level", "type", "size"))
        except OSError:
            return
        if kind != "Instruction":
            yield int(level), _bytes(size)


def _read(name: str) -> str:
    with open(f"{_CACHES}/{name}") as file:
        return file.read().strip()


def _bytes(text: str) -> int:
    """`512K` in bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)


def _configured(name: str) -> int:
    """What the C library says of a cache; 0 if it does not know."""
    try:
        return max(0, os.sysconf(name))
    except (AttributeError, ValueError, OSError):
        return 0


# ---- instructions, as LLVM knows them ----


@cache
def _host() -> tuple[str, dict[str, bool], str]:
    """The CPU's name, which features it has, and the versions of LLVM and llvmlite.

    Raises:
        ImportError: without llvmlite.
    """
    import llvmlite
    import llvmlite.binding as llvm

    try:
        found = dict(llvm.get_host_cpu_features())
    except RuntimeError:  # LLVM cannot ask this kind of CPU; its name says enough
        found = {}
    version = ".".join(map(str, llvm.llvm_version_info))
    return llvm.get_host_cpu_name(), found, f"LLVM {version} (llvmlite {llvmlite.__version__})"


def features() -> tuple[str, str]:
    """The CPU's name and its features in LLVM's notation, `+avx2,-sse4a,...`."""
    name, found, _ = _host()
    return name, ",".join(("+" if has else "-") + feature for feature, has in sorted(found.items()))


@cache
def vector_bytes() -> int:
    """Width of a vector register in bytes: 64 with AVX-512, 32 with AVX2, 16 otherwise (SSE2, NEON), also without llvmlite."""
    try:
        _, found, _ = _host()
    except ImportError:
        return 16
    if all(found.get(f"avx512{part}") for part in ("f", "bw", "dq", "vl")):
        return 64
    return 32 if found.get("avx2") else 16


def compiler() -> str:
    """The versions of LLVM and llvmlite.

    Raises:
        ImportError: without llvmlite.
    """
    return _host()[2]


@cache
def target() -> str:
    """All that machine code depends on beside its source: system, CPU, features, LLVM.

    Raises:
        ImportError: without llvmlite.
    """
    name, listed = features()
    return f"{sys.platform} {name} {listed} {compiler()}"
