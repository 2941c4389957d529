"""Compiled kernels: from text to machine code once, then from memory and from disk."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from rushlight.native import jit, llvm, threads


@pytest.fixture(autouse=True)
def cache_of_this_test(tmp_path, monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(jit, "_LOADED", {})


def axpy(a, kind="double"):
    """x[i] = a * x[i] + x[i], one task per element."""
    return f"""
    define void @kernel(ptr %params, i64 %first, i64 %last) {{
    entry:
      br label %loop
    loop:
      %i = phi i64 [%first, %entry], [%n, %loop]
      %at = getelementptr {kind}, ptr %params, i64 %i
      %x = load {kind}, ptr %at
      %y = fmul {kind} %x, {a:.1f}
      %z = fadd {kind} %y, %x
      store {kind} %z, ptr %at
      %n = add i64 %i, 1
      %more = icmp slt i64 %n, %last
      br i1 %more, label %loop, label %done
    done:
      ret void
    }}"""


def made_once(text):
    calls = []

    def ir():
        calls.append(text)
        return text

    return calls, ir


def test_a_kernel_computes():
    function = jit.load("axpy", "axpy 2", lambda: axpy(2))
    x = np.arange(100.0)
    threads.kernel(function.address)(x.ctypes.data, 10, 90)
    assert (x[10:90] == 3 * np.arange(10.0, 90)).all() and x[9] == 9 and x[90] == 90


def test_memory_first_then_disk_then_the_compiler(monkeypatch):
    before = jit.stats()
    calls, ir = made_once(axpy(3))
    first = jit.load("axpy", axpy(3), ir)
    assert jit.load("axpy", axpy(3), ir) is first
    monkeypatch.setattr(jit, "_LOADED", {})
    again = jit.load("axpy", axpy(3), ir)
    after = jit.stats()
    assert len(calls) == 1 and again.address != first.address
    assert (after.compiled, after.in_memory, after.from_disk) == (
        before.compiled + 1,
        before.in_memory + 1,
        before.from_disk + 1,
    )
    assert after.compile_seconds > before.compile_seconds and after.load_seconds > before.load_seconds


def test_equal_sums_are_not_contracted():
    for kind in ("float", "double"):
        made = llvm.assembly(axpy(3, kind))
        assert "fma" not in made.lower() and "fmla" not in made.lower()
