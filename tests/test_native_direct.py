"""Jobs as functions: what they take, what they decline, who does them, and what they leave behind."""

import gc
import os
import sys
import threading

import numpy as np
import pytest

import rushlight as T
from rushlight.native import direct, handover, jit, threads

pytestmark = pytest.mark.skipif(
    not jit.available() or direct._start() is None, reason="there are no such functions here"
)

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)

#: adds its scalar to as many float64 elements as its size says, from the first array to the second, task by task
ADD = """
define void @kernel(ptr %params, i64 %first, i64 %last) {
entry:
  %from = load ptr, ptr %params
  %to.at = getelementptr i64, ptr %params, i64 1
  %to = load ptr, ptr %to.at
  %scalar.at = getelementptr i64, ptr %params, i64 3
  %scalar = load double, ptr %scalar.at
  %step.at = getelementptr i64, ptr %params, i64 4
  %step = load i64, ptr %step.at
  br label %next
next:
  %n = phi i64 [ %first, %entry ], [ %n1, %one ]
  %more = icmp slt i64 %n, %last
  br i1 %more, label %one, label %end
one:
  %at = mul i64 %n, %step
  %from.n = getelementptr double, ptr %from, i64 %at
  %x = load double, ptr %from.n
  %y = fadd double %x, %scalar
  %to.n = getelementptr double, ptr %to, i64 %at
  store double %y, ptr %to.n
  %n1 = add i64 %n, 1
  br label %next
end:
  ret void
}
"""


def adder(array, scalar=0.5, made=True, begins=(0, 0), step=1, scratch=0):
    """x + scalar of arrays like `array`; begins and step: where it begins, and to which element it goes on."""
    given = [(array.shape, array.strides, array.dtype)] * (1 if made else 2)
    phases = [(array.size, np.array([step]).tobytes())]
    job = direct.Job(
        jit.load("add", ADD, lambda: ADD).address,
        given,
        (array.shape, F64) if made else None,
        begins,
        np.array([scalar]).tobytes(),
        phases,
        scratch,
    )
    return direct.caller(job)


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 1, 4), (1,) * 32])
def test_it_makes_an_array(shape):
    a = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    made = adder(a)(a)
    assert type(made) is np.ndarray and made.dtype is F64 and made.base is None
    assert made.flags.c_contiguous and made.flags.owndata and made.flags.writeable
    np.testing.assert_array_equal(made, a + 0.5)


def test_it_writes_to_an_array():
    a, out = np.arange(6.0), np.zeros(6)
    assert adder(a, made=False)(a, out) is out
    assert out.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


def test_it_begins_where_it_is_told():
    a = np.arange(6.0)
    assert adder(a, begins=(40, 40), step=-1)(a).tolist() == (a + 0.5).tolist()


def test_scratch_memory_is_on_the_stack_or_nowhere():
    a = np.arange(6.0)
    assert adder(a, scratch=1 << 14)(a).tolist() == (a + 0.5).tolist()
    assert adder(a, scratch=1 << 15) is None


class Other(np.ndarray):
    pass


@pytest.mark.parametrize(
    "given",
    [
        (),
        (None,),
        (3.0,),
        ("array",),
        ([0.0] * 12,),
        (np.zeros((3, 4)),) * 2,
        (np.zeros((4, 3)),),
        (np.zeros((4, 3)).T,),
        (np.zeros((3, 8))[:, ::2],),
        (np.zeros((3, 4))[::-1],),
        (np.zeros(12),),
        (np.zeros((1, 3, 4)),),
        (np.zeros(()),),
        (np.zeros((0, 4)),),
        (np.zeros((3, 4), np.int64),),
        (np.zeros((3, 4), ">f8"),),
        (np.zeros((3, 4), "datetime64[s]"),),
        (np.zeros((3, 4)).view(Other),),
    ],
)
def test_anything_else_is_declined(given):
    assert adder(np.zeros((3, 4)))(*given) is None


def test_no_reference_is_lost_or_kept():
    a, out = np.arange(6.0), np.zeros(6)
    makes, writes = adder(a), adder(a, made=False)
    counted = (a, out, None, F64, makes, writes)
    gc.collect()
    gc.disable()  # what it finds would take references with it
    try:
        before = [sys.getrefcount(x) for x in counted]
        for _ in range(1000):
            makes(a), writes(a, out), makes(out[1:]), makes()
        after = [sys.getrefcount(x) for x in counted]
    finally:
        gc.enable()
    assert all(abs(x - y) < 100 for x, y in zip(before, after))


def test_what_it_made_outlives_it():
    a = np.arange(6.0)
    made = [adder(a, float(n))(a) for n in range(100)]
    assert [m[0] for m in made] == list(range(100))


def test_keywords_are_refused():
    with pytest.raises(TypeError):
        adder(np.zeros(3))(np.zeros(3), out=np.zeros(3))


def test_threads_call_at_once():
    wrong = []

    def work(n):
        a = np.full(50, float(n))
        call = adder(a)
        wrong.extend(n for _ in range(500) if call(a).tolist() != [n + 0.5] * 50)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_another_python_or_numpy_does_without(monkeypatch):
    direct._start.cache_clear()
    monkeypatch.setattr(direct, "_tried", lambda start: False)
    try:
        assert adder(np.zeros(3)) is None
    finally:
        monkeypatch.undo()
        direct._start.cache_clear()
    assert adder(np.zeros(3)) is not None


# ---- numbers, memory ----


def scaled(given, kinds=(F64,)):
    """x + number, of a number that is given."""
    job = direct.Job(
        jit.load("add", ADD, lambda: ADD).address,
        given,
        ((6,), F64),
        (0, 0),
        bytes(8 * len(kinds)),
        [(6, np.array([1]).tobytes())],
    )
    return direct.caller(job)


LINE = ((6,), (8,), F64)


def test_numbers_are_given_anywhere():
    a = np.arange(6.0)
    assert scaled([LINE, direct.Number(F64)])(a, np.float64(0.25)).tolist() == (a + 0.25).tolist()
    assert scaled([direct.Number(F64), LINE])(np.float64(-3), a).tolist() == (a - 3).tolist()


@pytest.mark.parametrize("number", [0.5, 1, None, np.float32(1), np.int64(1), np.array(1.0), np.zeros(6)])
def test_numbers_of_other_types_are_declined(number):
    assert scaled([LINE, direct.Number(F64)])(np.arange(6.0), number) is None


#: writes the word of its scalar to the second array
KEEP = """
define void @kernel(ptr %params, i64 %first, i64 %last) {
  %to.at = getelementptr i64, ptr %params, i64 1
  %to = load ptr, ptr %to.at
  %word.at = getelementptr i64, ptr %params, i64 3
  %word = load i64, ptr %word.at
  store i64 %word, ptr %to
  ret void
}
"""


@pytest.mark.parametrize("kind", "?bBhHiIqQfd")
def test_numbers_fill_words(kind):
    kind = np.dtype(kind)
    number = kind.type(-1) if kind.kind in "if" else np.array([255] * 8, np.uint8).view(kind)[0]
    code = jit.load("keep", KEEP, lambda: KEEP).address
    given = [LINE, direct.Number(kind)]
    job = direct.Job(code, given, ((8,), np.dtype(np.uint8)), (0, 0), bytes(8), [(1, b"")])
    made = direct.caller(job)(np.zeros(6), number)
    assert made.tobytes() == number.tobytes() + bytes(8 - kind.itemsize)


#: copies one element from the first array to the scratch memory, and from there to the second, once for each phase
THROUGH = """
define void @kernel(ptr %params, i64 %first, i64 %last) {
  %from = load ptr, ptr %params
  %to.at = getelementptr i64, ptr %params, i64 1
  %to = load ptr, ptr %to.at
  %scratch.at = getelementptr i64, ptr %params, i64 2
  %scratch = load ptr, ptr %scratch.at
  %x = load double, ptr %from
  store double %x, ptr %scratch
  %y = load double, ptr %scratch
  store double %y, ptr %to
  ret void
}
"""


def test_memory_is_any_array():
    code = jit.load("through", THROUGH, lambda: THROUGH).address
    job = direct.Job(code, [LINE, LINE, direct.Memory()], None, (0, 0), b"", [(1, b"")])
    call, a, out = direct.caller(job), np.arange(3.0, 9.0), np.zeros(6)
    for memory in (np.zeros(1), np.zeros((4, 5), np.uint64), np.zeros(64, np.uint8)):
        assert call(a, out, memory) is out and out[0] == 3 and memory.view(np.float64).flat[0] == 3
        out[0] = 0
    assert call(a, out, 8) is None and call(a, out, None) is None and call(a, memory, out) is None


# ---- other threads ----


@pytest.fixture
def threads_used():
    before = T.get_num_threads()
    yield T.set_num_threads
    T.set_num_threads(before)


def shared(array):
    """The adder of a large array, whose tasks are shared out."""
    job = direct.Job(
        jit.load("add", ADD, lambda: ADD).address,
        [(array.shape, array.strides, array.dtype)],
        (array.shape, F64),
        (0, 0),
        np.array([0.5]).tobytes(),
        [(array.size, np.array([1]).tobytes())],
        crew=threads.crew(),
    )
    return direct.caller(job)


needs_crew = pytest.mark.skipif(not handover.supported(), reason="workers wait in Python here")


@needs_crew
def test_jobs_are_handed_over_once_there_are_workers(threads_used):
    a = np.arange(1000.0)
    call = shared(a)
    for count in (1, 3, 2, 1, 4):
        threads_used(count)
        nothing = jit.load("nothing", NOTHING, lambda: NOTHING).address
        threads.run(nothing, 0, 100)  # (starts them)
        for _ in range(100):
            assert (call(a) == a + 0.5).all()


@needs_crew
def test_jobs_are_declined_where_workers_are_to_be_started(threads_used, monkeypatch):
    threads_used(2)
    monkeypatch.setattr(threads, "_pool", None)
    a = np.arange(1000.0)
    call = shared(a)
    assert call(a) is None
    threads_used(1)
    assert (call(a) == a + 0.5).all()
    threads_used(3)
    assert call(a) is None
    threads.run(jit.load("nothing", NOTHING, lambda: NOTHING).address, 0, 100)
    assert (call(a) == a + 0.5).all()


NOTHING = "define void @kernel(ptr %params, i64 %first, i64 %last) {\n  ret void\n}\n"


@needs_crew
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_declines_until_it_has_workers_of_its_own(threads_used):
    threads_used(2)
    nothing = jit.load("nothing", NOTHING, lambda: NOTHING).address
    threads.run(nothing, 0, 100)
    a = np.arange(1000.0)
    call = shared(a)
    assert (call(a) == a + 0.5).all()
    child = os.fork()
    if not child:
        right = call(a) is None
        threads.run(nothing, 0, 100)
        os._exit(0 if right and (call(a) == a + 0.5).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (call(a) == a + 0.5).all()


#: waits until the first array's element is not 0, and writes what it is to the second; not for ever
WAIT = """
define void @kernel(ptr %params, i64 %first, i64 %last) {
entry:
  %from = load ptr, ptr %params
  %to.at = getelementptr i64, ptr %params, i64 1
  %to = load ptr, ptr %to.at
  br label %look
look:
  %n = phi i64 [ 0, %entry ], [ %n1, %look ]
  %x = load volatile double, ptr %from
  %n1 = add i64 %n, 1
  %some = fcmp une double %x, 0.0
  %long = icmp sgt i64 %n1, 20000000000
  %enough = or i1 %some, %long
  br i1 %enough, label %end, label %look
end:
  store double %x, ptr %to
  ret void
}
"""


@needs_crew
def test_other_python_threads_run_meanwhile(threads_used):
    threads_used(1)
    code = jit.load("wait", WAIT, lambda: WAIT).address
    job = direct.Job(code, [LINE], ((1,), F64), (0, 0), b"", [(1, b"")], crew=threads.crew())
    call, a = direct.caller(job), np.zeros(6)
    began = threading.Event()

    def act():
        began.wait()
        a[0] = 7

    other = threading.Thread(target=act)
    other.start()
    began.set()
    assert call(a).tolist() == [7]
    other.join()


@needs_crew
@pytest.mark.parametrize("count", [1, 2, 3])
def test_large_tensors_take_this_way_when_they_come_again(threads_used, monkeypatch, count):
    def run(*args):
        ran.append(args)
        return before(*args)

    rng = np.random.default_rng(0)
    x, y = (T.tensor(rng.random((700, 600))) for _ in range(2))
    works = [
        lambda: x * y,
        lambda: x + 1,
        lambda: x.clone(),
        lambda: x - y[0],
        lambda: T.sigmoid(2 * x + y) * x,
        lambda: x.t() + y.t(),
        lambda: x.sum(),
        lambda: x.sum(0),
        lambda: x.mean(0),
        lambda: x.amax(1),
        lambda: (x * y).sum(0),
        lambda: x.softmax(1),
        lambda: x.cumsum(0),
        lambda: x.t().cumsum(1),
        lambda: x.double().var(0),
    ]
    threads_used(1)
    with T.eager():
        wanted = [work().clone() for work in works]
    threads_used(count)
    for work in works:
        assert work().numel()
    for work in works * 2:
        work().tolist()
    before = threads.run
    ran = []
    with monkeypatch.context() as patch:
        patch.setattr(threads, "run", run)
        found = []
        for work in works:
            found.append(work())
            found[-1].data_ptr()
    assert not ran
    for ours, theirs in zip(found, wanted):
        assert T.equal(ours, theirs)
