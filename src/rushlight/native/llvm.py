"""LLVM, through llvmlite: from the text of a module to machine code, and from that to addresses.

Functions here are called by one thread at a time; `jit` sees to it.

Note [Arithmetic]: nothing here may change a bit of a result. LLVM contracts `fmul` and `fadd` to a fused operation only
where the text allows it by flags or asks for it by `llvm.fmuladd`; no option given here allows more. The passes below respect
IEEE arithmetic as long as no instruction carries a fast-math flag.

Note [Widths]: on some CPUs with 512-bit vectors LLVM itself would rather use 256. Explicit vectors stay whole all the same,
unless a function asks for less with the attribute "min-legal-vector-width".

Note [Leaks]: code is never unloaded. A thread may sit in it while the interpreter, at its end, takes objects apart.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from rushlight.native import cpu

__all__ = ["assembly", "compiled", "linked", "prepare"]

#: llvmlite 0.45's, which reads the language that kernels are written in
_OLDEST = (20, 0, 0)
#: What cleans up after a code generator that writes plainly. GVN and instruction combining took 3 ms a kernel and saved nothing.
_PASSES = ("sroa", "simplify_cfg")

_NUMBERS = itertools.count()


@cache
def _llvm() -> Any:
    """llvmlite's binding, ready for this machine.

    Raises:
        ImportError: it is not installed, does not load, or is too old.
    """
    try:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    except (OSError, RuntimeError, AttributeError) as error:  # a broken library, an unknown machine
        raise ImportError(f"llvmlite does not load: {error}") from error
    if llvm.llvm_version_info < _OLDEST:
        raise ImportError(f"llvmlite is too old: it brings LLVM {llvm.llvm_version_info[0]}")
    return llvm


@cache
def _machine() -> Any:
    """Code for exactly this CPU, that may lie anywhere in memory.

    At level 1 a kernel compiles in a tenth less time than at level 3, and takes as long to run: its loops are written as
    they should be.
    """
    name, features = cpu.features()
    target = _llvm().Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=1, reloc="pic", codemodel="default")


@cache
def _linker() -> Any:
    """What loads objects. With `RUSHLIGHT_DEBUG` it prints which functions an object needs that no library has."""
    silent = os.environ.get("RUSHLIGHT_DEBUG", "0") in ("", "0")
    jit_link = (
        sys.platform != "win32"
    )  # it lays the parts of an object side by side, and does not know Windows well
    linker = _llvm().create_lljit_compiler(_machine(), use_jit_link=jit_link, suppress_errors=silent)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(linker))  # Note [Leaks]
    return linker


def prepare() -> None:
    """Do what must be done once.

    Raises:
        ImportError, RuntimeError: there is no LLVM for this machine.
    """
    _linker()


def _optimized(ir: str) -> Any:
    """The module that `ir` describes, checked and cleaned up.

    Raises:
        RuntimeError: `ir` is not a valid module; LLVM's words.
    """
    llvm = _llvm()
    module = llvm.parse_assembly(ir)
    module.triple, module.data_layout = _machine().triple, str(_machine().target_data)
    module.verify()
    builder = llvm.create_pass_builder(_machine(), llvm.create_pipeline_tuning_options(speed_level=2))
    for function in module.functions:
        if not function.is_declaration:
            passes = llvm.create_new_function_pass_manager()
            for name in _PASSES:
                getattr(passes, f"add_{name}_pass")()
            passes.run(function, builder)
    return module


def compiled(ir: str) -> bytes:
    """An object file for this machine.

    Raises:
        RuntimeError: `ir` is not a valid module; LLVM's words.
    """
    module = _optimized(ir)
    with _plain_loops():
        return _machine().emit_object(module)


def assembly(ir: str) -> str:
    """What `compiled` makes, for people to read."""
    module = _optimized(ir)
    with _plain_loops():
        return _machine().emit_assembly(module)


@contextmanager
def _plain_loops() -> Iterator[None]:
    """Without rewriting induction variables, half of the time that machine code takes: a kernel's loops count in the
    way that addresses are made of already. (The option is the process's; others may compile, and find it as it was.)"""
    llvm = _llvm()
    llvm.set_option("", "-disable-lsr=true")
    try:
        yield
    finally:
        llvm.set_option("", "-disable-lsr=false")


def linked(name: str, code: bytes, symbols: tuple[str, ...]) -> dict[str, int]:
    """Load an object file, find what it needs in this process, and return the addresses of `symbols`.

    Args:
        name: for people.

    Raises:
        RuntimeError: something it needs is nowhere, or it lacks a symbol.
    """
    library = _llvm().JITLibraryBuilder().add_object_img(code).add_current_process()
    for symbol in symbols:
        library.export_symbol(symbol)
    loaded = library.link(_linker(), f"{next(_NUMBERS)} {name}")
    loaded.detach()  # Note [Leaks]
    return {symbol: loaded[symbol] for symbol in symbols}
