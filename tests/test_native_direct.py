"""Small jobs as functions: what they take, what they decline, and what they leave behind."""

import gc
import sys
import threading

import numpy as np
import pytest

from rushlight.native import direct, jit

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
    return direct.caller(
        jit.load("add", ADD, lambda: ADD).address,
        given,
        (array.shape, F64) if made else None,
        begins,
        np.array([scalar]).tobytes(),
        phases,
        scratch,
    )


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
