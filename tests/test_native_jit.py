"""Compiled kernels: from text to machine code once, then from memory and from disk."""

import os
import re
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from rushlight.native import cache, cpu, jit, llvm, threads

JUNK = b"\x7fELF\x02\x01\x01" + bytes(500)


@pytest.fixture(autouse=True)
def cache_of_this_test(tmp_path, monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(jit, "_LOADED", {})


def module(body, before=""):
    """A kernel whose loop over %i does `body`."""
    return f"""
    define void @kernel(ptr %params, i64 %first, i64 %last) {{
    entry:
      br label %loop
    loop:
      %i = phi i64 [%first, %entry], [%n, %loop]
      %at = getelementptr double, ptr %params, i64 %i
      %x = load double, ptr %at
      {body}
      store double %y, ptr %at
      %n = add i64 %i, 1
      %more = icmp slt i64 %n, %last
      br i1 %more, label %loop, label %done
    done:
      ret void
    }}
    {before}"""


def multiply_add(a):
    """x[i] = a * x[i] + x[i]."""
    return module(f"%m = fmul double %x, {a:.1f}\n      %y = fadd double %m, %x")


def load(text, name="test"):
    return jit.load(name, text, lambda: text)


def compute(text, x):
    threads.kernel(load(text).address)(x.ctypes.data, 0, x.size)
    return x


#: for interpreters that are to find these packages, and to decide by default what is computed how
_ANEW = {"PYTHONPATH": os.pathsep.join(sys.path), "RUSHLIGHT_TIER": "auto"}


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, **_ANEW, **environment},
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


# ---- what a kernel does ----


def test_a_kernel_computes_the_tasks_it_is_given():
    function = load(multiply_add(2))
    x = np.arange(100.0)
    threads.kernel(function.address)(x.ctypes.data, 10, 90)
    assert (x[10:90] == 3 * np.arange(10.0, 90)).all() and x[9] == 9 and x[90] == 90


def test_nothing_is_contracted():
    x = np.random.default_rng(0).random(1000)
    assert (compute(multiply_add(3), x.copy()) == x * 3 + x).all()
    for kind in ("double", "<8 x double>", "<16 x float>"):
        text = f"""
        define void @kernel(ptr %p, i64 %first, i64 %last) {{
          %x = load {kind}, ptr %p, align 4
          %m = fmul {kind} %x, %x
          %y = fadd {kind} %m, %x
          %z = fsub {kind} %y, %m
          store {kind} %z, ptr %p, align 4
          ret void
        }}"""
        assert not re.search(r"v?f(n?m(add|sub)|ml[as])", llvm.assembly(text))


def test_explicit_vectors_use_the_widest_registers():
    text = """
    define void @kernel(ptr %p, i64 %first, i64 %last) {
      %x = load <16 x float>, ptr %p, align 4
      %y = fmul <16 x float> %x, %x
      store <16 x float> %y, ptr %p, align 4
      ret void
    }"""
    registers = {64: r"\bv?%?zmm0", 32: r"%?ymm0", 16: r"(%?xmm0|v0\.)"}
    assert re.search(registers[cpu.vector_bytes()], llvm.assembly(text))


@pytest.mark.parametrize(
    "intrinsic, reference",
    [
        ("sqrt", np.sqrt),
        ("floor", np.floor),
        ("ceil", np.ceil),
        ("trunc", np.trunc),
        ("rint", np.rint),
        ("roundeven", np.rint),
        ("fabs", np.abs),
    ],
)
def test_intrinsics_resolve(intrinsic, reference):
    name = f"@llvm.{intrinsic}.f64(double"
    text = module(f"%y = call double {name} %x)", f"declare double {name})")
    x = np.abs(np.random.default_rng(1).normal(size=100) * 10)
    assert (compute(text, x.copy()) == reference(x)).all()


@pytest.mark.parametrize("name, reference", [("pow", np.power), ("fmod", np.fmod), ("atan2", np.arctan2)])
def test_the_c_library_resolves(name, reference):
    text = module(
        f"%y = call double @{name}(double %x, double 1.5)", f"declare double @{name}(double, double)"
    )
    x = np.random.default_rng(2).random(100) * 10
    np.testing.assert_allclose(compute(text, x.copy()), reference(x, 1.5), rtol=1e-15)


def test_memory_functions_resolve():
    text = """
    declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
    define void @kernel(ptr %params, i64 %first, i64 %last) {
      call void @llvm.memset.p0.i64(ptr %params, i8 0, i64 %last, i1 false)
      ret void
    }"""
    x = np.ones(100, np.uint8)
    assert (compute(text, x) == 0).all()


def test_several_symbols():
    text = "define i64 @two() {\n ret i64 2\n}\ndefine i64 @three() {\n ret i64 3\n}"
    function = jit.load("numbers", text, lambda: text, ("two", "three"))
    assert function.address == function.symbols["two"] != function.symbols["three"]


# ---- once ----


def test_memory_first_then_disk_then_the_compiler(monkeypatch):
    calls = []

    def ir():
        calls.append(1)
        return multiply_add(3)

    before = jit.stats()
    first = jit.load("a", "3x + x", ir)
    assert jit.load("b", "3x + x", ir) is first
    monkeypatch.setattr(jit, "_LOADED", {})
    again = jit.load("c", "3x + x", ir)
    after = jit.stats()
    assert len(calls) == 1 and again.address != first.address
    assert [a - b for a, b in zip(after[:3], before[:3])] == [1, 1, 1]
    assert after.compile_seconds > before.compile_seconds and after.load_seconds > before.load_seconds


def test_the_directory_serves_other_processes():
    code = f"""
        from rushlight.native import jit
        text = {multiply_add(4)!r}
        jit.load("x", text, lambda: text)
        print(jit.stats()[:3])
    """
    assert python(code) == "(1, 0, 0)\n"
    assert python(code) == "(0, 1, 0)\n"


def test_identity_is_text_machine_interface_and_sources(monkeypatch):
    load(multiply_add(5))
    for thing, name, value in (
        (jit, "ABI", -1),
        (cpu, "target", lambda: "another machine"),
        (jit, "_sources", lambda: "other sources"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(jit, "_LOADED", {})
            patch.setattr(thing, name, value)
            before = jit.stats().compiled
            load(multiply_add(5))
            assert jit.stats().compiled == before + 1


def test_the_sources_of_the_code_generator_count(tmp_path, monkeypatch):
    (tmp_path / "native").mkdir()
    (tmp_path / "codegen").mkdir()
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "native" / "jit.py"))
    digests = set()
    for text in ("a = 1", "a = 2", "a = 1"):
        (tmp_path / "codegen" / "kernel.py").write_text(text)
        digests.add(jit._sources.__wrapped__())
    assert len(digests) == 2


def test_threads_that_ask_at_once_compile_once():
    calls, found = [], []
    barrier = threading.Barrier(8)

    def ir():
        calls.append(1)
        return multiply_add(6)

    def ask():
        barrier.wait()
        found.append(jit.load("x", "6x + x", ir))

    asking = [threading.Thread(target=ask) for _ in range(8)]
    [thread.start() for thread in asking]
    [thread.join() for thread in asking]
    assert len(calls) == 1 and len(found) == 8 and len(set(map(id, found))) == 1


def test_processes_that_compile_at_once(tmp_path):
    code = textwrap.dedent(f"""
        import sys
        from rushlight.native import jit
        assert jit.available()
        print("ready", flush=True)
        sys.stdin.readline()
        for a in range(20):
            text = {multiply_add(7)!r}.replace("7.0", f"{{a}}.0")
            jit.load("x", text, lambda: text)
        print(sum(jit.stats()[:2]))
    """)
    environment = {**os.environ, **_ANEW}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes) for _ in range(3)]
    assert all(process.stdout.readline() == "ready\n" for process in processes)
    [(process.stdin.write("go\n"), process.stdin.flush()) for process in processes]
    assert [process.communicate(timeout=100)[0] for process in processes] == ["20\n"] * 3
    assert cache.usage().entries == 20 and len(os.listdir(tmp_path / "cache")) == 20


# ---- what goes wrong ----


@pytest.mark.parametrize("text", ["nonsense", "define void @kernel() {\n %x = add i64 %y, 1\n ret void\n}"])
def test_a_wrong_module_is_refused_by_name(text):
    with pytest.raises(RuntimeError, match="kernel wrong_one does not compile"):
        load(text, "wrong_one")
    load(multiply_add(8))


def test_a_module_without_its_symbol_is_refused():
    with pytest.raises(RuntimeError, match="kernel no_kernel does not compile"):
        load("define void @other() {\n ret void\n}", "no_kernel")


def test_what_no_library_has_is_an_error(capfd):
    text = module(
        "%y = call double @nowhere_to_be_found(double %x)", "declare double @nowhere_to_be_found(double)"
    )
    with pytest.raises(RuntimeError, match="kernel needy does not compile"):
        load(text, "needy")
    load(multiply_add(9))
    assert capfd.readouterr().err == ""


def test_what_no_library_has_is_named_on_request():
    text = module("%y = call double @nowhere_at_all(double %x)", "declare double @nowhere_at_all(double)")
    done = subprocess.run(
        [sys.executable, "-c", f"from rushlight.native import jit; jit.load('x', 'x', lambda: {text!r})"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RUSHLIGHT_DEBUG": "1"},
    )
    assert b"nowhere_at_all" in done.stderr


def test_an_error_of_the_code_generator_passes_through():
    def ir():
        raise KeyError("x")

    with pytest.raises(KeyError):
        jit.load("x", "fails", ir)
    assert load(multiply_add(10)).address


@pytest.mark.parametrize("content", [b"", JUNK, b"\x7fELF"])
def test_an_object_that_does_not_load_is_compiled_again(content, capfd):
    text = multiply_add(11)
    cache.put(jit._key(text), content)
    before = jit.stats()
    assert (compute(text, np.ones(3)) == 12).all()
    assert jit.stats().compiled == before.compiled + 1 and jit.stats().from_disk == before.from_disk
    assert cache.get(jit._key(text)) != content and capfd.readouterr().err == ""


def test_without_a_cache_kernels_are_compiled(monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_CACHE", "0")
    before = jit.stats().compiled
    load(multiply_add(12))
    monkeypatch.setattr(jit, "_LOADED", {})
    load(multiply_add(12))
    assert jit.stats().compiled == before + 2 and cache.usage() == (0, 0)


# ---- with and without llvmlite ----


def test_the_tier_can_be_chosen(monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_TIER", "numpy")
    assert not jit.available.__wrapped__()
    monkeypatch.setenv("RUSHLIGHT_TIER", "jit")
    assert jit.available.__wrapped__()


def test_llvmlite_is_imported_when_it_is_needed():
    printed = python("""
        import sys
        import rushlight
        rushlight.set_num_threads(2)
        x = rushlight.ones(3) + 1
        from rushlight.native import cache, cpu, jit, threads
        cpu.threads(), cpu.caches(), cache.directory()
        print("llvmlite" in sys.modules, jit.available(), "llvmlite" in sys.modules)
    """)
    assert printed == "False True True\n"


@pytest.mark.skipif(os.environ.get("RUSHLIGHT_TIER") == "numpy", reason="loops of our own are switched off")
def test_there_is_a_compiler():
    """Tests of kernels skip without one, which must not hide that there should be one: llvmlite is here."""
    assert jit.available()


@pytest.mark.parametrize("hidden", ["llvmlite", "llvmlite.binding"])
def test_without_llvmlite(hidden):
    printed = python(f"""
        import sys
        sys.modules[{hidden!r}] = None
        import rushlight
        from rushlight.native import cpu, jit
        rushlight.set_num_threads(2)
        print(jit.available(), cpu.vector_bytes(), rushlight.get_num_threads())
        print((rushlight.ones(300, 300) * 2).sum().item())
    """)
    assert printed == "False 16 2\n180000.0\n"


def test_an_old_llvmlite_is_not_used():
    printed = python("""
        import llvmlite.binding
        llvmlite.binding.llvm_version_info = (15, 0, 7)
        from rushlight.native import jit
        print(jit.available())
    """)
    assert printed == "False\n"


# ---- processes ----


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forks_while_others_compile():
    printed = python(f"""
        import os, threading, warnings
        warnings.simplefilter("ignore")  # Python warns of forks in processes with threads
        from rushlight.native import jit
        stop = threading.Event()
        source = {multiply_add(13)!r}
        def compiles(start):
            while not stop.is_set():
                start += 1
                text = source.replace("13.0", f"{{start}}.0")
                jit.load("x", text, lambda: text)
        working = [threading.Thread(target=compiles, args=(1000 * i,)) for i in range(2)]
        [thread.start() for thread in working]
        for i in range(20):
            child = os.fork()
            if child == 0:
                text = source.replace("13.0", f"{{9000 + i}}.0")
                jit.load("x", text, lambda: text)
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        stop.set()
        [thread.join() for thread in working]
        print("done")
    """)
    assert printed == "done\n"


# ---- the machine ----


def test_threads_follow_affinity_and_quota(monkeypatch):
    monkeypatch.setattr(cpu, "_affinity", lambda: 8)
    for quota, expected in ((None, 8), (0.5, 1), (1.0, 1), (2.5, 3), (100.0, 8)):
        monkeypatch.setattr(cpu, "_quota", lambda quota=quota: quota)
        assert cpu.threads() == expected


@pytest.mark.parametrize(
    "quotas, periods, expected",
    [
        (["max 100000\n"], ["max 100000\n"], None),
        (["max 100000", "150000 100000"], ["max 100000", "150000 100000"], 1.5),
        (["-1\n", "200000\n"], ["100000\n", "50000\n"], 4.0),
        ([], [], None),
        (["400000 100000", "200000 100000"], ["400000 100000", "200000 100000"], 2.0),
    ],
)
def test_quotas_of_both_versions(monkeypatch, quotas, periods, expected):
    monkeypatch.setattr(
        cpu.cgroups,
        "read",
        lambda controller, unified, legacy: iter(quotas if legacy.endswith("quota_us") else periods),
    )
    assert cpu._quota() == expected


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_threads_follow_the_affinity_of_the_process():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from rushlight.native import cpu; print(cpu.threads())"
    assert python(code) == "1\n"


def test_cache_sizes_are_read_and_guessed(tmp_path, monkeypatch):
    for index, (level, kind, size) in enumerate(
        [(1, "Data", "48K"), (2, "Unified", "2M"), (3, "Unified", "96M")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, value in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(f"{value}\n")
    monkeypatch.setattr(cpu, "_CACHES", tmp_path)
    assert cpu.caches.__wrapped__() == (2 << 20, 96 << 20)
    monkeypatch.setattr(cpu, "_CACHES", tmp_path / "nothing")
    monkeypatch.setattr(cpu, "_configured", lambda name: 0)
    assert cpu.caches.__wrapped__() == (1 << 20, 8 << 20)
    assert cpu.caches().l2 > 0


def test_the_target_names_cpu_and_llvm():
    import llvmlite.binding

    assert llvmlite.binding.get_host_cpu_name() in cpu.target() and "LLVM" in cpu.target()
    assert cpu.vector_bytes() in (16, 32, 64)
