"""Memory that processes share, as programs see it."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

import rushlight
from rushlight import multiprocessing as mp

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_everything_moves_along():
    """The storage moves; its views, versions and graph stay."""
    x = rushlight.arange(6.0, requires_grad=True)
    base = x.detach()
    row = base.view(2, 3)[1]
    pending = rushlight.ones(1 << 19) * 2
    assert not x.is_shared() and not row.is_shared()
    assert row.share_memory_() is row
    assert x.is_shared() and base.is_shared() and x.untyped_storage().is_shared()
    base[4] = 40.0
    assert row.tolist() == [3.0, 40.0, 5.0] and x.tolist() == [0.0, 1.0, 2.0, 3.0, 40.0, 5.0]
    where = x.data_ptr()
    assert x.share_memory_().data_ptr() == where == base.data_ptr()
    (x * x).sum().backward()
    assert x.grad.tolist() == [0.0, 2.0, 4.0, 6.0, 80.0, 10.0] and not x.grad.is_shared()
    assert pending.share_memory_().sum().item() == 2 * (1 << 19)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,)])
@pytest.mark.parametrize("dtype", ["bool", "int64", "float16", "bfloat16", "complex64", "complex32"])
def test_every_dtype_and_size(dtype, shape):
    x = rushlight.ones(shape).to(getattr(rushlight, dtype))
    before = x.to(rushlight.complex128).tolist()
    kind = x.dtype
    assert x.share_memory_() is x and x.is_shared() and x.dtype is kind
    assert x.to(rushlight.complex128).tolist() == before


def test_read_only_memory_is_left_alone():
    a = np.arange(3.0)
    a.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # (that it is read-only; said once in a process)
        x = rushlight.from_numpy(a)
    with pytest.raises(RuntimeError, match="read-only"):
        x.share_memory_()


def add_one(rank, tensors):
    for t in tensors:
        t.detach().add_(rank + 1)


@fork
def test_forked_processes_write_for_all():
    """Views that were made before, and gradients' parameters, see it; what is not shared does not."""
    shared, own = rushlight.zeros(4, 1000).share_memory_(), rushlight.zeros(3)
    model = rushlight.nn.Linear(3, 2).share_memory()
    before = model.weight.detach().clone()
    tensors = [shared[1:3], own, model.weight]
    context = multiprocessing.get_context("fork")
    process = context.Process(target=add_one, args=(0, tensors))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert shared.sum().item() == 2000 and own.sum().item() == 0
    assert rushlight.equal(model.weight.detach(), before + 1) and model.weight.is_shared()


def add_to_own_row(rank, tensors):
    """Each process its row: two additions to one number at once may lose one of them."""
    add_one(rank, [t[rank] for t in tensors])


def test_processes_started_afresh_write_for_all():
    x = rushlight.zeros(3, 2, dtype=rushlight.float64).share_memory_()
    own = rushlight.zeros(2, 3)
    weight = rushlight.nn.Parameter(rushlight.ones(2, 3).share_memory_())
    mp.spawn(add_to_own_row, args=([x.t()[:, 1:], own, weight],), nprocs=2)
    assert x.tolist() == [[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]] and own.sum().item() == 0
    assert weight.tolist() == [[2.0] * 3, [3.0] * 3]


def answer(queue, back):
    t, p = queue.get()
    t.add_(1)
    back.put((t.is_shared(), type(p).__name__, p.requires_grad, t.stride()))
    queue.get()


def test_queues_carry_what_is_shared():
    context = multiprocessing.get_context("spawn")
    queue, back = context.Queue(), context.Queue()
    process = context.Process(target=answer, args=(queue, back))
    process.start()
    x = rushlight.zeros(3, 4).share_memory_()
    queue.put((x.t(), rushlight.nn.Parameter(rushlight.ones(2).share_memory_())))
    assert back.get(timeout=60) == (True, "Parameter", True, (1, 4))
    assert x.sum().item() == 12
    queue.put(None)
    process.join(60)
    assert process.exitcode == 0


def shared_files():
    """How many files of shared memory this process has open."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir() or not hasattr(os, "memfd_create"):
        pytest.skip("no list of open files, or shared memory has no name in it")
    gc.collect()
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # (the listing's own, closed by now)
            count += "memfd:rushlight" in os.readlink(folder / name)
    return count


def test_files_are_closed():
    """With the last tensor on it."""
    before = shared_files()
    tensors = [rushlight.zeros(10).share_memory_() for _ in range(20)]
    assert shared_files() >= before + 20
    del tensors
    assert shared_files() == before
