"""Kernels on several threads: every task once, whatever else happens."""

import os
import platform
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import torch

pytest.importorskip("llvmlite")
import rushlight as T
from rushlight.native import cpu, handover, jit, portable, threads

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def kernel(body, before=""):
    """The address of a kernel that does `body` with each element %x of an int64 array, and stores %y."""
    text = f"""
    {before}
    define void @kernel(ptr %params, i64 %first, i64 %last) {{
    entry:
      br label %loop
    loop:
      %i = phi i64 [%first, %entry], [%n, %loop]
      %at = getelementptr i64, ptr %params, i64 %i
      %x = load i64, ptr %at
      {body}
      store i64 %y, ptr %at
      %n = add i64 %i, 1
      %more = icmp slt i64 %n, %last
      br i1 %more, label %loop, label %done
    done:
      ret void
    }}"""
    return jit.load("test", text, lambda: text).address


COUNT = "%y = add i64 %x, 1"
SLOW = "%y = add i64 %x, 1\n      call i32 @usleep(i32 2000)"
WHO = "%y = call i64 @pthread_self()\n      call i32 @usleep(i32 1000)"
USLEEP = "declare i32 @usleep(i32)"
WHO_NEEDS = USLEEP + "\n    declare i64 @pthread_self()"
TURN = "%y = atomicrmw add ptr @turn, i64 1 monotonic"


@pytest.fixture(autouse=True)
def threads_as_before():
    before = T.get_num_threads()
    yield
    T.set_num_threads(before)


@pytest.fixture(params=["futex", "portable"])
def pool(request, monkeypatch):
    """Both ways to wait, made anew."""
    if request.param == "futex" and not handover.supported():
        pytest.skip("for Linux only")
    monkeypatch.setattr(handover, "supported", lambda: request.param == "futex")
    monkeypatch.setattr(threads, "_pool", None)


def run(address, x, in_order=False):
    threads.run(address, x.ctypes.data, x.size, in_order)
    return x


def python(code, seconds=100, **environment):
    """What a fresh interpreter prints; it must end by itself, without a word on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "RUSHLIGHT_NUM_THREADS": "3",
            **environment,
        },
    )
    assert done.returncode == 0 and done.stderr == "", (done.returncode, done.stderr)
    return done.stdout


PRELUDE = f"""
import os, sys, threading, time
import numpy as np
from rushlight.native import jit, threads
TEXT = '''
define void @kernel(ptr %params, i64 %first, i64 %last) {{
entry:
  br label %loop
loop:
  %i = phi i64 [%first, %entry], [%n, %loop]
  %at = getelementptr i64, ptr %params, i64 %i
  %x = load i64, ptr %at
  {COUNT}
  store i64 %y, ptr %at
  %n = add i64 %i, 1
  %more = icmp slt i64 %n, %last
  br i1 %more, label %loop, label %done
done:
  ret void
}}'''
COUNT = jit.load("count", TEXT, lambda: TEXT).address
def works(tasks=1000, times=20):
    x = np.zeros(tasks, np.int64)
    for _ in range(times):
        threads.run(COUNT, x.ctypes.data, tasks)
    return bool((x == times).all())
"""


# ---- every task once ----


@pytest.mark.parametrize("n", [1, 2, 3, 8, 20])
def test_every_task_is_done_once(pool, n):
    count = kernel(COUNT)
    T.set_num_threads(n)
    for tasks in (0, 1, 2, 3, 7, 100, 100_000):
        x = np.zeros(tasks, np.int64)
        for i in range(20):
            run(count, x, in_order=i % 3 == 0)
        assert (x == 20).all()


def test_sweeps_turn_round(monkeypatch):
    """What was used last is used first. (Here all workers but the caller's thread are ones that never come.)"""
    if not handover.supported():
        pytest.skip("for Linux only")
    monkeypatch.setattr(threads, "_pool", None)
    monkeypatch.setattr(threads, "start_new_thread", lambda *_: None)
    T.set_num_threads(3)
    turns = kernel(TURN, "@turn = private global i64 0")

    def order(tasks, **how):
        return np.argsort(run(turns, np.zeros(tasks, np.int64), **how)).tolist()

    down, up = [3, 2, 1, 0, 7, 6, 5, 4, 12, 11, 10, 9, 8], list(range(13))
    assert [order(13) for _ in range(3)] == [down, up, down]
    # (in between, jobs of few tasks, and such as want it so)
    assert order(11) == list(range(11)) and order(13, in_order=True) == up
    assert [order(13) for _ in range(2)] == [up, down]
    # of many, several are taken at once: sixteen times by each thread
    assert order(100) == list(range(100))
    found = order(200)
    assert sorted(found) == list(range(200))
    assert found[:8] == [62, 63, 64, 65, 58, 59, 60, 61] and found[-3:] == [133, 134, 135]


def test_the_number_of_threads_may_change_between_jobs(pool):
    count = kernel(COUNT)
    x = np.zeros(1000, np.int64)
    for i in range(200):
        T.set_num_threads(1 + i * 7 % 5)
        run(count, x)
    assert (x == 200).all()


def test_short_jobs_one_after_another(pool):
    """Hand-over and join race with workers that come late."""
    count = kernel(COUNT)
    T.set_num_threads(4)
    x = np.zeros(4, np.int64)
    for i in range(3000):
        run(count, x)
        assert (x == i + 1).all()


def test_workers_take_part_and_no_more_than_allowed(pool):
    who = kernel(WHO, WHO_NEEDS)
    for n in (4, 2, 3):
        T.set_num_threads(n)
        most = 0
        for _ in range(50):  # a busy machine may leave a worker out once
            most = max(most, len(set(run(who, np.zeros(20, np.int64)).tolist())))
            assert most <= n
            if most == n:
                break
        assert most == n


def test_no_more_workers_are_started_than_there_are_tasks(pool):
    T.set_num_threads(2**31 - 1)
    assert T.get_num_threads() == 2**31 - 1
    assert (run(kernel(COUNT), np.zeros(5, np.int64)) == 1).all()
    assert 4 <= threads._pool.workers <= 5 and threads._pool.wanted <= handover.MOST + 1


def test_callers_in_several_threads(pool):
    count = kernel(COUNT)
    T.set_num_threads(3)
    wrong = []

    def calls(tasks):
        x = np.zeros(tasks, np.int64)
        for i in range(300):
            run(count, x)
            if not (x == i + 1).all():
                wrong.append(tasks)

    calling = [threading.Thread(target=calls, args=(tasks,)) for tasks in (2, 3, 50, 1000, 20_000)]
    [thread.start() for thread in calling]
    [thread.join() for thread in calling]
    assert not wrong


def test_other_threads_run_meanwhile(pool):
    """The interpreter is free while kernels compute."""
    slow = kernel(SLOW, USLEEP)
    T.set_num_threads(2)
    done = []
    other = threading.Thread(target=lambda: done.append(time.perf_counter()))
    threading.Timer(0.02, other.start).start()
    run(slow, np.zeros(100, np.int64))
    ended = time.perf_counter()
    other.join()
    assert done[0] < ended


def test_threads_that_cannot_be_started_are_not_needed(pool, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start_new_thread", refuse)
    monkeypatch.setattr(portable, "start_new_thread", refuse)
    T.set_num_threads(4)
    x = np.zeros(100, np.int64)
    for _ in range(3):
        run(kernel(COUNT), x)
    assert (x == 3).all()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads a register of x86")
def test_workers_compute_in_the_callers_floating_point_mode():
    """Whether subnormals are flushed is a setting of each thread; results must not depend on who computes them."""
    before = "declare void @llvm.x86.sse.stmxcsr(ptr)\n    " + USLEEP
    body = "call void @llvm.x86.sse.stmxcsr(ptr %at)\n      call i32 @usleep(i32 1000)\n      %y = load i64, ptr %at"
    mode = kernel(body, before)
    T.set_num_threads(4)
    for flush in (True, False, True, False):
        torch.set_flush_denormal(flush)
        try:
            seen = run(mode, np.zeros(40, np.int64))
        finally:
            torch.set_flush_denormal(False)
        assert set((seen & 0x8000).tolist()) == {0x8000 if flush else 0}


def test_idle_workers_take_no_time(pool):
    T.set_num_threads(4)
    run(kernel(COUNT), np.zeros(100, np.int64))
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_nobody_looks_for_work_where_threads_outnumber_cpus():
    if not handover.supported():
        pytest.skip("for Linux only")
    T.set_num_threads(2)
    run(kernel(COUNT), np.zeros(100, np.int64))

    def field(at):
        return threads.ctypes.c_int32.from_address(threads._pool.state + at).value

    T.set_num_threads(cpu.threads())
    assert 1 <= field(handover.SPINS) < 1_000_000 and field(handover.PATIENCE) == 100_000
    T.set_num_threads(cpu.threads() + 1)
    assert field(handover.SPINS) == field(handover.PATIENCE) == 0


# ---- interrupts and signals ----


@pytest.fixture
def interruptible():
    """A process that a shell started in the background ignores interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@posix
def test_an_interrupt_comes_when_all_is_done(pool, interruptible):
    slow = kernel(SLOW, USLEEP)
    T.set_num_threads(3)
    x = np.zeros(300, np.int64)
    threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run(slow, x)
        time.sleep(10)  # where the signal came late
    begun = x.copy()
    time.sleep(0.05)
    assert (x == begun).all(), "a task was done after the call had ended"
    if isinstance(threads._pool, threads._Futex):
        assert (x == 1).all()
    for _ in range(5):
        assert (run(kernel(COUNT), np.zeros(1000, np.int64)) == 1).all()


@posix
def test_signals_while_kernels_run(pool):
    calls = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(threading.current_thread()))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        count, x = kernel(COUNT), np.zeros(5000, np.int64)
        T.set_num_threads(3)
        for _ in range(2000):
            run(count, x)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert (x == 2000).all() and set(calls) == {threading.main_thread()}


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the threads' masks")
def test_workers_leave_signals_to_others():
    T.set_num_threads(4)
    run(kernel(WHO, WHO_NEEDS), np.zeros(20, np.int64))
    time.sleep(0.05)

    def blocks_interrupts(task):
        with open(f"/proc/self/task/{task}/status") as file:
            mask = next(line for line in file if line.startswith("SigBlk"))
        return bool(int(mask.split()[1], 16) >> (signal.SIGINT - 1) & 1)

    assert sum(map(blocks_interrupts, os.listdir("/proc/self/task"))) >= 3


# ---- fork, exit ----


@posix
@pytest.mark.parametrize("supported", [True, False])
def test_children_start_anew(supported):
    printed = python(f"""
        from rushlight.native import handover
        handover.supported = lambda: {supported} and sys.platform == "linux"
        assert works()
        for _ in range(4):
            child = os.fork()
            if child == 0:
                good = works()
                grandchild = os.fork()
                if grandchild == 0:
                    os._exit(0 if works() else 1)
                good &= os.waitpid(grandchild, 0)[1] == 0
                sys.exit(0 if good else 1)  # the way that takes the interpreter apart
            assert os.waitpid(child, 0)[1] == 0
            assert works()
        print("done")
    """)
    assert printed == "done\n"


@posix
def test_forks_in_the_midst_of_jobs():
    printed = python("""
        stop, good = threading.Event(), []
        def calls():
            while not stop.is_set():
                good.append(works(5000, 3))
        calling = [threading.Thread(target=calls) for _ in range(3)]
        [thread.start() for thread in calling]
        for _ in range(50):
            child = os.fork()
            if child == 0:
                os._exit(0 if works() else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        [thread.join() for thread in calling]
        print(all(good))
    """)
    assert printed == "True\n"


@posix
def test_forks_in_the_midst_of_imports():
    """A child does not wait for what another thread of its parent was importing: the engine comes in on first use."""
    printed = python("""
        import time
        import rushlight as torch
        reached = threading.Event()
        class Slow:
            def find_spec(self, name, path=None, target=None):
                if threading.current_thread() is not threading.main_thread():
                    reached.set()
                    time.sleep(0.02)
        sys.meta_path.insert(0, Slow())
        n = np.arange(1 << 19) % 7
        expected = (n * n + n).sum() + n[:4].sum() + 1 + n[1] + n[1 << 18]
        x = torch.from_numpy(n.astype(np.float32))
        def computes():
            y = (x * x + x).sum() + x.cumsum(0)[3] + torch.softmax(x, 0).sum() + (x + x.view(2, -1).T.reshape(-1))[1]
            return abs(float(y) - expected) < 2
        working = threading.Thread(target=computes)
        working.start()
        forks = 0
        while working.is_alive():
            if reached.wait(0.01):
                reached.clear()
                child = os.fork()
                if child == 0:
                    os._exit(0 if computes() else 1)
                assert os.waitpid(child, 0)[1] == 0
                forks += 1
        print(forks > 0)
    """)
    assert printed == "True\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        PRELUDE
        + textwrap.dedent(f"""
        import multiprocessing
        if __name__ == "__main__":
            assert works()
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                print(all(pool.map(works, [10, 1000, 100_000])))
            assert works()
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RUSHLIGHT_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program],
        capture_output=True,
        text=True,
        timeout=100,
        env=environment,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


EXITS = {
    "at once": "works()",
    "sys.exit in the midst": "works()\nsys.exit(0)",
    "os._exit": "works()\nsys.stdout.flush()\nos._exit(0)",
    "while a daemon thread computes": """
threading.Thread(target=lambda: [works() for _ in range(10**9)], daemon=True).start()
time.sleep(0.05)""",
    "with the last jobs in exit handlers": """
import atexit
atexit.register(lambda: works() or os._exit(9))
works()""",
    "with the first job in an exit handler": """
import atexit
atexit.register(lambda: works() or os._exit(9))""",
    "with a job in a destructor": """
X = np.zeros(100, np.int64)
class Last:
    def __del__(self, run=threads.run, x=X, address=X.ctypes.data, count=COUNT):
        run(count, address, 100)
last = Last()
last.itself = last
works()""",
    "with modules taken apart": """
works()
for name in list(sys.modules):
    if name.startswith(("rushlight", "llvmlite")):
        del sys.modules[name]
del threads, jit
import gc; gc.collect()""",
    "in a thread that is no daemon": """
def later():
    time.sleep(0.1)
    works() or os._exit(9)
threading.Thread(target=later).start()""",
    "with more threads than tasks": "threads.set_num_threads(16)\nworks(5)",
}


@pytest.mark.parametrize(
    "supported, how",
    [(True, how) for how in EXITS] + [(False, "at once"), (False, "while a daemon thread computes")],
)
def test_the_interpreter_ends(supported, how):
    choose = (
        f"from rushlight.native import handover\nif not {supported}: handover.supported = lambda: False\n"
    )
    began = time.perf_counter()
    assert python(choose + EXITS[how], seconds=60) == "" and time.perf_counter() - began < 60


# ---- how many ----


def test_names_are_pytorchs():
    assert T.get_num_threads is threads.get_num_threads and T.set_num_threads is threads.set_num_threads
    T.set_num_threads(3)
    assert T.get_num_threads() == 3
    T.set_num_threads(np.int64(2))
    assert T.get_num_threads() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        0,
        -1,
        1.5,
        True,
        "2",
        None,
        2**31,
        2**40,
        -(2**31),
        -(2**40),
        2**63,
        -(2**70),
        [2],
        np.float32(2),
        2 + 0j,
    ],
)
def test_errors_are_pytorchs(wrong):
    before, theirs = T.get_num_threads(), torch.get_num_threads()
    with pytest.raises(Exception) as expected:
        torch.set_num_threads(wrong)
    assert torch.get_num_threads() == theirs
    with pytest.raises(type(expected.value)) as got:
        T.set_num_threads(wrong)
    assert str(got.value) == str(expected.value) and T.get_num_threads() == before


def test_tensors_are_no_numbers_of_threads():
    for library in (T, torch):
        with pytest.raises(RuntimeError, match="expects an int, but got Tensor"):
            library.set_num_threads(library.tensor(2))


@pytest.mark.parametrize(
    "chosen, openmp, expected",
    [
        (None, None, 2),
        ("", "", 2),
        ("5", None, 5),
        ("5", "1", 5),
        (None, "1", 1),
        (None, "16", 2),
        (None, "1,4", 1),
        (None, "nonsense", 2),
        (None, "0", 2),
        (None, "-3", 2),
    ],
)
def test_the_default(monkeypatch, chosen, openmp, expected):
    monkeypatch.setattr(cpu, "threads", lambda: 2)
    for name, value in (("RUSHLIGHT_NUM_THREADS", chosen), ("OMP_NUM_THREADS", openmp)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(threads, "_threads", None)
    assert T.get_num_threads() == expected


@pytest.mark.parametrize("chosen", ["0", "-1", "many", "1.5"])
def test_a_wrong_default_is_an_error(monkeypatch, chosen):
    monkeypatch.setenv("RUSHLIGHT_NUM_THREADS", chosen)
    monkeypatch.setattr(threads, "_threads", None)
    with pytest.raises(ValueError, match="RUSHLIGHT_NUM_THREADS must be a positive number"):
        T.get_num_threads()
    T.set_num_threads(1)


def test_workers_are_no_threads_of_the_program():
    T.set_num_threads(4)
    before = threading.active_count()
    run(kernel(COUNT), np.zeros(100, np.int64))
    assert threading.active_count() == before


# ---- other machines ----


@pytest.mark.parametrize("machine", handover._MACHINES)
def test_the_hand_over_compiles_for_every_machine_it_is_for(monkeypatch, machine):
    """Nothing is called but the kernel, the system, and what the module defines."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    monkeypatch.setattr(platform, "machine", lambda: machine)
    module = llvm.parse_assembly(handover.text())
    module.verify()
    target = llvm.Target.from_triple(f"{machine}-unknown-linux-gnu")
    made = target.create_target_machine(reloc="pic", codemodel="default").emit_assembly(module)
    called = set(re.findall(r"^\s+(?:callq?|bl)\s+([\w.]+)", made, re.MULTILINE))
    assert called == {"own", "work", "syscall", "sched_yield", "clock_gettime", "now"}
