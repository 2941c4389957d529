"""Kernels as machine code: in memory, else from disk, else compiled now.

Note [Kernel]: a kernel is an LLVM module that defines `void @kernel(ptr %params, i64 %first, i64 %last)` and does tasks first
to last - 1 of a job that `params` describes. Tasks are independent: any thread may do any range of them, in any order. It
may call what is in every process that runs Python: the C library and its libm (`memset`, `memcpy`, `fmod`, `pow`).
- Intrinsics for `fabs`, `sqrt`, and on NEON and from SSE4.1 on `floor`, `ceil`, `trunc`, `rint`, `nearbyint`, `roundeven` and
  `round`, become instructions, vectors included; without SSE4.1 the latter call libm.
- float to half and back are instructions on NEON and with F16C. Elsewhere, and for double to half on x86, LLVM calls compiler
  support routines, which a process need not have: go through float, and through integers on such old machines.
- float to bfloat is to be written with integers: on x86 LLVM calls a support routine, or, with AVX512-BF16, uses an
  instruction that takes subnormals for zeros.

Note [Identity]: two kernels are one if their canonical texts are equal. On disk, the target, LLVM's version and the sources of
the code generator are part of the name, so that nothing stale is ever found. They are read once, when first needed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from rushlight import debug
from rushlight.lock import LOCK
from rushlight.native import cache as disk
from rushlight.native import cpu, llvm

__all__ = ["ABI", "Function", "Stats", "available", "load", "stats"]

#: how kernels are called; part of their identity on disk
ABI = 1


@dataclass(frozen=True, slots=True)
class Function:
    """Machine code, valid until the process ends.

    Attributes:
        name: for people: profiles, error messages.
        address: of `@kernel`, or the first symbol asked for.
        symbols: all addresses by name.
    """

    name: str
    address: int
    symbols: dict[str, int]


class Stats(NamedTuple):
    """What was asked for, and how it was answered.

    Attributes:
        compiled: kernels that LLVM compiled.
        from_disk: kernels loaded from the cache directory.
        in_memory: requests for a kernel that was there already.
        compile_seconds: spent making IR, compiling and linking it.
        load_seconds: spent reading and linking kernels from disk.
    """

    compiled: int
    from_disk: int
    in_memory: int
    compile_seconds: float
    load_seconds: float


class _Counts:
    """The running numbers behind `Stats`."""

    def __init__(self) -> None:
        self.compiled = self.from_disk = self.in_memory = 0
        self.compile_seconds = self.load_seconds = 0.0


_COUNTS = _Counts()
_LOADED: dict[str, Function] = {}


@cache
def available() -> bool:
    """Whether kernels can be compiled here: `RUSHLIGHT_TIER` is not "numpy", and llvmlite loads.

    The first call imports it, so ask only where a kernel is wanted.
    """
    if os.environ.get("RUSHLIGHT_TIER") == "numpy":
        return False
    with LOCK:
        try:
            llvm.prepare()
        except (ImportError, OSError, RuntimeError):
            return False
        return True


def load(name: str, text: str, ir: Callable[[], str], symbols: tuple[str, ...] = ("kernel",)) -> Function:
    """The function that `text` describes.

    Args:
        name: for people; not part of the identity.
        text: the canonical description; equal texts must mean equal code. See Note [Identity].
        ir: makes the LLVM module of Note [Kernel]; called only if the function is neither in memory nor on disk.
        symbols: what the module defines for callers.

    Raises:
        RuntimeError: LLVM refuses the module, or it needs something that is not in this process.
    """
    found = _LOADED.get(text)
    if found is not None:
        _COUNTS.in_memory += 1
        return found
    with LOCK:
        found = _LOADED.get(text)
        if found is None:
            found = _LOADED[text] = _made(name, text, ir, symbols)
        return found


def _made(name: str, text: str, ir: Callable[[], str], symbols: tuple[str, ...]) -> Function:
    return _from_disk(name, text, symbols) or _compiled(name, text, ir, symbols)


def _from_disk(name: str, text: str, symbols: tuple[str, ...]) -> Function | None:
    began = time.perf_counter()
    code = disk.get(_key(text))
    if code is None:
        return None
    try:
        function = _linked(name, code, symbols)
    except RuntimeError:  # an object that another process found sound, and that does not load into this one
        return None
    _COUNTS.from_disk += 1
    _COUNTS.load_seconds += time.perf_counter() - began
    return function


def _compiled(name: str, text: str, ir: Callable[[], str], symbols: tuple[str, ...]) -> Function:
    began = time.perf_counter()
    try:
        module = ir()
        debug.say(4, f"IR of {name}\n{module}")
        debug.say(5, lambda: f"assembly of {name}\n{llvm.assembly(module)}")
        code = llvm.compiled(module)
        function = _linked(name, code, symbols)
    except RuntimeError as error:
        raise RuntimeError(f"kernel {name} does not compile: {error}") from error
    disk.put(_key(text), code)
    _COUNTS.compiled += 1
    _COUNTS.compile_seconds += time.perf_counter() - began
    return function


def _linked(name: str, code: bytes, symbols: tuple[str, ...]) -> Function:
    addresses = llvm.linked(name, code, symbols)
    return Function(name, addresses[symbols[0]], addresses)


# ---- identity ----


def _key(text: str) -> str:
    """The name under which a kernel is kept on disk; see Note [Identity]."""
    whole = "\0".join([str(ABI), cpu.target(), _sources(), text])
    return hashlib.sha256(whole.encode()).hexdigest()


@cache
def _sources() -> str:
    """A digest of the sources that decide what code a text stands for: the code generator's and these."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for folder in (here, here.parent / "codegen"):
        for path in sorted(folder.rglob("*.py*")):  # .pyc where a distribution has nothing else
            if path.parent.name != "__pycache__":
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


# ---- for profilers and tests ----


def stats() -> Stats:
    """What was asked for since the process began, and how it was answered."""
    c = _COUNTS
    return Stats(c.compiled, c.from_disk, c.in_memory, c.compile_seconds, c.load_seconds)
