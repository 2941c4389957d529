"""Kernels on several threads: every task once, whatever else happens."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")
import rushlight as T
from rushlight.native import jit, portable, threads

COUNT = """
define void @kernel(ptr %params, i64 %first, i64 %last) {
entry:
  br label %loop
loop:
  %i = phi i64 [%first, %entry], [%n, %loop]
  %at = getelementptr i64, ptr %params, i64 %i
  %x = load i64, ptr %at
  %y = add i64 %x, 1
  store i64 %y, ptr %at
  %n = add i64 %i, 1
  %more = icmp slt i64 %n, %last
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


@pytest.fixture(scope="module")
def count():
    """A kernel that adds 1 to each element."""
    return jit.load("count", COUNT, lambda: COUNT).address


@pytest.fixture(autouse=True)
def threads_as_before():
    before = T.get_num_threads()
    yield
    T.set_num_threads(before)


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_every_task_is_done_once(count, n):
    T.set_num_threads(n)
    for tasks in (0, 1, 2, 3, 100, 100_000):
        x = np.zeros(tasks, np.int64)
        for _ in range(20):
            threads.run(count, x.ctypes.data, tasks)
        assert (x == 20).all()


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_every_task_is_done_once_where_workers_wait_in_python(count, n):
    pool = portable.Portable(threads.kernel)
    pool.resize(n)
    for tasks in (1, 2, 3, 100, 100_000):
        x = np.zeros(tasks, np.int64)
        for _ in range(20):
            pool.run(count, x.ctypes.data, tasks)
        assert (x == 20).all()
