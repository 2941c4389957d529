"""The memory pool: blocks come back when the last alias dies, are reused, bounded, and never read before they are written."""

import gc
import itertools
import os
import platform
import subprocess
import sys
import textwrap
import threading
from collections import deque

import numpy as np
import pytest
import torch

import rushlight as T
from rushlight import memory
from rushlight.memory import LARGE, POOL, block_size
from rushlight.runtime import results

MB = 1 << 20
F32 = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def empty_pool():
    """Nothing kept, and nothing in use but what other tests hold."""
    gc.collect()
    memory.empty_cache()
    memory.reset_peak_stats()
    POOL.highest = POOL.in_use
    yield
    memory.set_limit(None)
    memory.empty_cache()


@pytest.fixture
def poisoned():
    POOL.poison = True
    yield
    POOL.poison = False


def in_use_since(before):
    return memory.stats().in_use - before.in_use


# ---- blocks ----


def test_addresses():
    """As NumPy says them."""
    whole = np.arange(24.0).reshape(2, 3, 4)
    of_a_subclass = np.ma.masked_array([1.0, 2.0])
    for a in (
        whole,
        whole[1:, ::-1],
        whole.T,
        whole[:, :0],
        np.empty(0),
        np.array(1),
        whole.view(np.uint8),
        of_a_subclass,
    ):
        assert memory.address(a) == a.__array_interface__["data"][0]


def test_size_classes_waste_an_eighth_at_most():
    for n in (LARGE, LARGE + 1, 3 * MB, 64 * MB, 64 * MB + 1, 5_000_000_000):
        assert n <= block_size(n) <= n * 1.125 and block_size(block_size(n)) == block_size(n)
        assert block_size(n) % 4096 == 0


def test_freed_memory_is_reused_and_aligned():
    x = T.ones(1024, 1024) * 2
    address = x.data_ptr()
    assert address % 64 == 0
    del x
    before = memory.stats()
    y = T.ones(1024, 1024)
    assert y.data_ptr() == address
    assert memory.stats().reused == before.reused + 1 and memory.stats().mapped == before.mapped


def test_huge_blocks_begin_on_a_huge_page():
    if memory._HUGE_PAGES is not None:
        assert memory.array((4 * MB,), F32).__array_interface__["data"][0] % (2 * MB) == 0


def test_small_results_never_touch_the_pool():
    before = memory.stats()
    x = T.ones(511, 513)
    y = (x * x).exp().cumsum(0) + x.clone()
    assert memory.stats() == before and y._a.nbytes < LARGE


def test_the_limit_of_zero_switches_the_pool_off():
    memory.set_limit(0)
    before = memory.stats()
    x = T.ones(1024, 1024)
    y = x * x
    assert memory.stats() == before and y[0, 0] == 1


def test_fresh_zeros_and_recycled_zeros():
    assert not T.zeros(1024, 1024)._a.any()
    x = T.full((1024, 1024), 7.0)
    del x
    assert not T.zeros(1024, 1024)._a.any()


# ---- who keeps a block alive ----

ALIASES = {
    "detach": lambda x: x.detach(),
    "view": lambda x: x[3:, 5],
    "view of a view": lambda x: x[3:].t()[5:].reshape(-1),
    "data": lambda x: x.data,
    "numpy": lambda x: x.numpy(),
    "slice of numpy": lambda x: x.numpy()[5:, ::2].T,
    "reinterpreted numpy": lambda x: x.numpy().view(np.int32)[1:],
    "numpy subclass": lambda x: x.numpy().view(np.matrix)[1:],
    "memoryview": lambda x: memoryview(x.numpy()[2:]),
    "numpy on a memoryview": lambda x: np.asarray(memoryview(x.numpy())[2:]),
    "array interface": lambda x: np.asarray(Interface(x.numpy())),
    "DLPack to NumPy": lambda x: np.from_dlpack(x),
    "DLPack to PyTorch": lambda x: torch.from_dlpack(x),
    "from_numpy": lambda x: torch.from_numpy(x.numpy())[1:],
    "storage": lambda x: x.untyped_storage(),
    "as_strided": lambda x: x.as_strided((10,), (2,), 4),
    "real part": lambda x: T.view_as_complex(x.view(-1, 2)).real,
    "autograd": lambda x: (x.requires_grad_() * 2).exp().grad_fn,
    "transposed result": lambda x: x.t()[1:],
}


class Interface:
    def __init__(self, a):
        self.__array_interface__, self.kept = a.__array_interface__, a


@pytest.mark.parametrize("make", ALIASES.values(), ids=ALIASES)
def test_a_block_comes_back_when_the_last_alias_dies(make):
    before = memory.stats()
    x = T.ones(1024, 1024)
    x = x + 1  # neither a leaf of a factory nor shared
    held = make(x)
    del x
    gc.collect()
    assert in_use_since(before) >= block_size(4 * MB)
    others = [T.zeros(1024, 1024) for _ in range(3)]
    if isinstance(held, (np.ndarray, memoryview)):
        assert np.asarray(held).reshape(-1).view(F32)[0] == 2
    elif isinstance(held, (torch.Tensor, T.Tensor)):
        assert held.reshape(-1)[0] == 2
    del held, others
    gc.collect()
    assert in_use_since(before) == 0


def test_cycles_hold_their_blocks_until_collected():
    before = memory.stats()

    class Node:
        pass

    a, b = Node(), Node()
    a.other, b.other, a.x, b.base = b, a, T.ones(1024, 1024), T.ones(600, 600)._a.base
    del a, b
    assert in_use_since(before) > 0
    gc.collect()
    assert in_use_since(before) == 0


def test_what_a_finaliser_saves_stays_alive():
    saved = []

    class Saves:
        def __del__(self):
            saved.append(self.x)

    s = Saves()
    s.x, s.itself = T.full((1024, 1024), 5.0), s
    del s
    gc.collect()
    others = [T.zeros(1024, 1024) for _ in range(3)]
    assert saved[0]._a.min() == 5 and len(others) == 3


def test_a_gradient_is_kept_without_a_copy_only_if_nobody_shares_it():
    x = T.ones(1024, 1024, requires_grad=True)
    seen = []
    y = x * 1
    y.register_hook(lambda g: seen.append(g))
    (y * 3).backward(T.ones(1024, 1024))
    x.grad.zero_()
    assert seen[0]._a.min() == 3
    memory.empty_cache()
    x.grad = None
    before = memory.stats()
    (x * 3).backward(T.ones(1024, 1024))
    assert in_use_since(before) == block_size(4 * MB) and x.grad._a.max() == 3


def test_ownership():
    a = memory.array((1024, 1024), F32)
    assert memory.owned(a) and memory.owned(np.ones(3))
    b = a[1:]
    assert not memory.owned(a) and not memory.owned(b) and not memory.owned(np.ones(3)[1:])


# ---- accounts and bounds ----


def test_stats_add_up():
    before = memory.stats()
    x, y = T.ones(1024, 1024), T.ones(2048, 1024)
    after = memory.stats()
    assert after.in_use - before.in_use == block_size(4 * MB) + block_size(8 * MB)
    assert after.peak - before.in_use == after.in_use - before.in_use
    del x
    assert memory.stats().pooled == block_size(4 * MB) and memory.stats().peak == after.peak
    memory.reset_peak_stats()
    assert memory.stats().peak == memory.stats().in_use == before.in_use + block_size(8 * MB)
    memory.empty_cache()
    assert memory.stats().pooled == 0 and y[0, 0] == 1


def test_no_more_is_kept_than_the_limit_and_the_oldest_goes_first():
    tensors = [T.ones(1024, 256 * k) for k in (4, 5, 6, 7)]
    addresses = [t.data_ptr() for t in tensors]
    memory.set_limit(13 * MB)
    for t in tensors:
        del t
    tensors.reverse()
    while tensors:
        tensors.pop()  # 4 MB first
    assert memory.stats().pooled == 13 * MB  # those of 6 and 7
    assert T.ones(1024, 256 * 7).data_ptr() == addresses[3]
    memory.set_limit(1)
    assert memory.stats().pooled == 0 and memory.get_limit() == 1


def test_kept_blocks_do_not_make_the_process_larger_than_its_peak():
    sizes = [1 * MB, 3 * MB, 2 * MB, 5 * MB, 4 * MB, 1 * MB]
    most = 0
    for size in sizes * 2:
        held = memory.array((size,), np.dtype(np.uint8))
        stats = memory.stats()
        most = max(most, stats.in_use)
        assert stats.in_use + stats.pooled <= most
        del held


@pytest.mark.parametrize(
    ("wrong", "error"), [(-1, ValueError), ("1", TypeError), (1.5, TypeError), (True, TypeError)]
)
def test_wrong_limits(wrong, error):
    limit = memory.get_limit()
    with pytest.raises(error, match="set_limit"):
        memory.set_limit(wrong)
    assert memory.get_limit() == limit


def test_the_default_limit_is_a_part_of_the_memory():
    assert 0 < memory.default_limit() == memory.get_limit() < 1 << 50


# ---- no memory ----


def test_a_failed_allocation_empties_the_cache_and_tries_again(monkeypatch):
    x = T.ones(1024, 1024)
    del x
    assert memory.stats().pooled
    failures, make = [OSError(12, "Cannot allocate memory")], POOL.make

    def fail_once(size):
        if failures:
            raise failures.pop()
        assert memory.stats().pooled == 0
        return make(size)

    monkeypatch.setattr(POOL, "make", fail_once)
    assert T.ones(2048, 2048)[5, 5] == 1 and not failures


def test_no_memory_at_all(monkeypatch):
    x = T.ones(1024, 1024)
    y = T.ones(1024, 1024)
    del y

    def fail(size):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(POOL, "make", fail)
    before = memory.stats()
    for attempt in (lambda: memory.array((2048, 2048), F32), lambda: x.double()[0], lambda: (x * 2)[0]):
        with pytest.raises(
            MemoryError, match=r"you tried to allocate \d+ bytes.*\n.* hold \d+ bytes; \d+ more were kept"
        ) as caught:
            attempt()
        assert isinstance(caught.value, RuntimeError)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator: can't allocate memory") as caught:
        T.empty(2048, 2048)
    assert type(caught.value) is RuntimeError
    assert memory.stats().in_use == before.in_use and x[0, 0] == 1


def run(code, *, silent=True):
    """Run a program in a process of its own; its standard output."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and (not silent or not done.stderr), done.stderr
    return done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is not enforced elsewhere")
def test_a_real_limit_on_memory():
    assert (
        run("""
        import resource
        import rushlight as T
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + (200 << 20), resource.RLIM_INFINITY))
        T.memory.set_limit(1 << 30)
        x = [T.ones(1024, 1024) for _ in range(30)]
        x.clear()
        assert T.memory.stats().pooled > 100 << 20
        y = T.ones(1024, 1024, 32)  # 128 MB: only if what is kept goes back first
        assert T.memory.stats().pooled == 0
        try:
            (y + y)[0]
        except MemoryError as error:
            print("in use", T.memory.stats().in_use >> 20, isinstance(error, RuntimeError))
        z = T.ones(1024, 1024) + 1
        print(z[0, 0].item())
        del y, z
        x = [T.ones(1024, 1024) for _ in range(30)]
        x.clear()
        w = T.ones(512, 512, dtype=T.complex64).expand(40, 512, 512) + 1  # 80 MB by NumPy itself
        print(w[3, 3, 3].item().real, T.memory.stats().pooled >> 22)
        try:
            (T.ones(512, 512).expand(800, 512, 512) + 1)[0]
        except MemoryError as error:
            print(str(error).split(" bytes")[0])
    """)
        == """in use 128 True
2.0
2.0 0
DefaultCPUAllocator: can't allocate memory: you tried to allocate 838860800
"""
    )


# ---- threads, forks, exits ----


def test_threads_share_the_pool():
    before = memory.stats()
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        held = deque(maxlen=3)
        for k in range(60):
            n = int(rng.integers(1, 5)) * 256
            x = T.full((1024, n), float(seed * 1000 + k))
            held.append((x + 1, seed * 1000 + k + 1))
            if any(t._a.min() != v or t._a.max() != v for t, v in held):
                wrong.append((seed, k))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(switch)
    gc.collect()
    assert not wrong and in_use_since(before) == 0


@pytest.mark.skipif(not hasattr(memory.os, "fork"), reason="no fork")
def test_a_fork_in_the_middle():
    assert (
        run("""
        import os, sys, threading, warnings
        warnings.simplefilter("ignore")
        import rushlight as T
        held, kept = T.full((1024, 1024), 3.0), T.ones(1024, 1024)
        del kept
        stop = threading.Event()

        def churn():
            while not stop.is_set():
                T.ones(1024, 768) + 1

        worker = threading.Thread(target=churn, daemon=True)
        worker.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                stats = T.memory.stats()
                ok = stats.pooled == 0 and stats.in_use >= 4 << 20
                x = T.ones(1024, 1024) + 1
                x[0]  # computed by now
                del x
                held.fill_(9)
                ok = ok and T.memory.stats().pooled == 8 << 20 and held._a.min() == 9
                before = T.memory.stats().in_use
                del held
                ok = ok and before - T.memory.stats().in_use == 4 << 20
                os._exit(0 if ok else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        worker.join()
        print(held._a.min(), T.memory.stats().in_use >> 20)
    """)
        == "3.0 4\n"
    )


def test_exit_is_silent():
    assert (
        run("""
        import threading, time
        import rushlight as T

        class Node: pass

        a, b = Node(), Node()
        a.b, b.a, a.x = b, a, T.ones(1024, 1024)
        y = (T.ones(1024, 1024, requires_grad=True) * 2).exp()
        T.keep = T.ones(1024, 1024)
        a.array = T.ones(1024, 1024).numpy()[1:]
        import builtins
        builtins.late = T.ones(1024, 1024)
        threading.Thread(target=lambda: [T.ones(1024, 1024) * 2 for _ in iter(int, 1)], daemon=True).start()
        time.sleep(0.05)
        print("done")
    """)
        == "done\n"
    )


def test_the_environment_chooses():
    code = "import rushlight as T; x = T.ones(1024, 1024) * 2; print(T.memory.get_limit(), T.memory.stats().mapped)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=memory.os.environ | {"RUSHLIGHT_POOL": "0"},
    )
    assert found.stdout == "0 0\n"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=memory.os.environ | {"RUSHLIGHT_POOL": "lots"},
    )
    assert "RUSHLIGHT_POOL must be a number of bytes" in found.stderr


# ---- the results are NumPy's, and hold nothing that was there before ----


def layouts(shape):
    a = np.random.default_rng(0).random(shape, np.float32)
    for order in itertools.permutations(range(len(shape))):
        yield np.ascontiguousarray(a.transpose(np.argsort(order))).transpose(order)
    wide = np.random.default_rng(1).random([n + 1 for n in shape], np.float32)
    yield wide[tuple(slice(1, None) for _ in shape)]
    yield np.broadcast_to(a[:1], shape)
    yield np.broadcast_to(a[..., :1], shape)


@pytest.mark.parametrize("shape", [(512, 520), (8, 64, 520), (512, 1, 520), (1, 520, 512)])
def test_bits_and_strides_are_numpys(shape):
    def same(found, wanted):
        assert found.shape == wanted.shape and found.strides == wanted.strides and found.dtype == wanted.dtype
        assert found.tobytes() == wanted.tobytes()

    arrays = list(layouts(shape))
    for x in arrays:
        same(results.elementwise(np.sqrt, F32, x), np.sqrt(x))
        same(results.elementwise(lambda x: np.exp(x * 2), F32, x), np.exp(x * 2))
        same(results.converted(x, np.dtype(np.float64)), x.astype(np.float64))
        same(results.elementwise(np.add, F32, 2.0, x), 2.0 + x)
        for y in arrays:
            same(results.elementwise(np.add, F32, x, y), x + y)
            same(results.elementwise(np.multiply, F32, x, y[:1]), x * y[:1])
            same(results.elementwise(np.less, np.dtype(bool), x[..., :1], y), x[..., :1] < y)


PROGRAMS = {
    "map": lambda L, a, b: (a * b + a).exp() - 2 * b / (1 + a.abs()),
    "functions": lambda L, a, b: a.sigmoid() * b.tanh() + L.nn.functional.gelu(a) + a.clamp(0.2, 0.7) + L.relu(b - 0.5),
    "powers": lambda L, a, b: a**2 + 3 * a + b**0.5 + 2.0**a,
    "compare": lambda L, a, b: L.where(a < b, a, b) + (a == b).float() + L.maximum(a, b),
    "scans": lambda L, a, b: a.cumsum(0) + b.cumsum(1) + (a + 1).log().cumsum(0).double(),
    "scans in double": lambda L, a, b: a.double().cumsum(0) + b.double().cumsum(1),
    "half": lambda L, a, b: (a.half() * b.half() + 1).float(),
    "bfloat16": lambda L, a, b: (a.bfloat16() * b.bfloat16() - 1).float(),
    "integers": lambda L, a, b: (a * 100).int() // 7 + (b * 100).long() % 5,
    "complex": lambda L, a, b: (L.complex(a, b) * L.complex(b, a)).abs(),
    "copies": lambda L, a, b: a.clone() + b.t().contiguous().t() + a.t().clone().t(),
    "joins": lambda L, a, b: L.cat((a, b), 1)[:, 3:].sum(0) + L.stack((a, b))[:, :, 1].sum(),
    "products": lambda L, a, b: a @ b.t() @ a,
    "factories": lambda L, a, b: L.zeros_like(a) + L.ones(a.shape) + L.full_like(b, 3.0) + a.new_zeros(a.shape),
    "in place": lambda L, a, b: a.clone().mul_(b).add_(a).sub_(L.zeros_like(a)),
    "reductions": lambda L, a, b: (a - a.mean(0)) / a.std(0) + a.softmax(1) + b.sum(1, keepdim=True),
    "mean rows": lambda L, a, b: a.reshape(2, -1, b.shape[1]).sum(0).repeat(2, 1) * b,
    "broadcast": lambda L, a, b: a * b[0] + b[:, :1] * a[:1] + a[:, 3:4],
    "transposed": lambda L, a, b: (a.t() * 2).exp().t() + (a.t() + b.t()).t(),
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_no_operation_reads_what_was_there_before(program, poisoned):
    """Freed memory is filled with NaN; a result that is not written everywhere would show it."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((520, 530), np.float32) for _ in range(2))
    for _ in range(2):  # in fresh memory, then in recycled memory
        x, y = T.tensor(a, requires_grad=True), T.tensor(b, requires_grad=True)
        u, v = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
        found, wanted = program(T, x, y), program(torch, u, v)
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=2e-4, atol=2e-4)
        if wanted.requires_grad:
            found.backward(T.ones_like(found))
            wanted.backward(torch.ones_like(wanted))
            for ours, theirs in ((x, u), (y, v)):
                if theirs.grad is None:
                    assert ours.grad is None
                else:
                    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-3, atol=1e-3)
    assert memory.stats().reused


def test_large_and_small_results_have_the_same_bits():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((600, 600), np.float32)
    for name in "exp sin tanh sigmoid log1p sqrt relu erf square".split():
        whole = getattr(T.tensor(a), name)()._a
        parts = np.concatenate([getattr(T.tensor(a[k : k + 100]), name)()._a for k in range(0, 600, 100)])
        assert whole.tobytes() == parts.tobytes(), name


# ---- below the pool ----


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have rules of their own")
def test_arrays_below_the_pool_are_not_faulted_in_again() -> None:
    """Four arrays of 400 kB, of 98 pages each, made and freed a hundred times."""
    program = """
        import resource
        import rushlight
        import numpy as np

        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(100):
                kept = [np.full(100_000, 1, np.float32) for _ in range(4)]
                del kept
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        faults()
        print(faults())
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env=plain,
    )
    assert int(out.stdout) < 2000
