"""What `import rushlight` leaves for later, and that nobody can tell."""

import os
import pickle
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import torch

import rushlight as T
from rushlight import late, streams

#: what making a tensor and computing with it takes
CORE = set(
    """arithmetic autocasting broadcasting complex_half construct creation kinds kinds.binary kinds.elementwise kinds.method kinds.overlap kinds.pointwise
    promotion properties scalars spec values views writing""".split()
)
HEAVY = """
llvmlite ml_dtypes platformdirs rich safetensors scipy torch multiprocessing concurrent zipfile unittest asyncio
rushlight.amp rushlight.autograd rushlight.cli rushlight.codegen.llvm rushlight.coverage rushlight.distributions rushlight.func
rushlight.graph.fuse rushlight.linalg rushlight.native rushlight.nn rushlight.optim rushlight.printing rushlight.random
rushlight.serialization rushlight.special rushlight.storage rushlight.streams rushlight.utils
""".split()


def python(code):
    """What a fresh interpreter prints."""
    by_default = {**os.environ, "RUSHLIGHT_TIER": "auto"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=by_default
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- what is left for later ----


def test_an_import_loads_what_every_program_needs_and_no_more():
    loaded = python("import sys, rushlight; print(*sys.modules)").split()
    assert [name for name in HEAVY if name in loaded] == []
    ours = {name.removeprefix("rushlight.ops.") for name in loaded if name.startswith("rushlight.ops.")}
    assert ours == CORE


def test_small_arithmetic_loads_no_compiler_and_no_types_it_does_not_use():
    code = "import sys, rushlight as T; x = T.ones(3, requires_grad=True); (x * 2).sum().backward(); print(x.grad, *sys.modules)"
    loaded = python(code).split()
    assert not {"llvmlite", "ml_dtypes", "rushlight.native.jit"} & set(loaded)


# ---- names are what they would be had all been loaded ----

_DESCRIBE = """
import importlib, pkgutil, types
import rushlight, rushlight.streams
if {first!r} == "modules":
    for found in pkgutil.walk_packages(rushlight.__path__, "rushlight."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
def described(value):
    value = getattr(value, "fget", value)
    kind = type(value).__name__
    return kind, getattr(value, "__module__", None), getattr(value, "__qualname__", None), hash(str(value.__doc__)) if callable(value) else 0
spaces = [rushlight, rushlight.Tensor, rushlight.autograd, rushlight.cuda, rushlight.utils, rushlight.streams, rushlight.distributions]
for space in spaces:
    names = sorted(space.__all__) if isinstance(space, types.ModuleType) else sorted(vars(space))
    for name in names:
        print(space.__name__, name, *described(getattr(space, name, None)))
"""


def test_names_do_not_depend_on_what_was_loaded_first(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    alone = python(_DESCRIBE.format(first="names")).splitlines()
    after = python(_DESCRIBE.format(first="modules")).splitlines()
    own = {line for line in after if " module rushlight." in line or line.split()[2] == "module"}
    assert set(alone) <= set(after) and set(after) - set(alone) <= own


def test_listings_are_complete_from_the_start():
    code = "import rushlight as T; print(*dir(T)); print(*dir(T.Tensor)); print(*T.__all__)"
    names, members, starred = (set(line.split()) for line in python(code).splitlines())
    assert {"add", "sort", "svd", "Generator", "bfloat16", "load", "vmap"} <= names & starred
    assert {"nn", "optim", "autograd", "random"} <= names - starred  # as in PyTorch
    assert {"add", "sort", "svd", "real", "data", "backward", "__matmul__", "__repr__"} <= members
    assert {name for name in dir(T.Tensor) if not name.startswith("_")} <= members


@pytest.mark.parametrize("space", [T, T.autograd, T.cuda, T.utils, T.distributions, streams])
def test_every_listed_name_is_there(space):
    for name in dir(space):
        assert getattr(space, name, T) is not T or name == "rushlight"


def test_every_member_of_tensor_is_there():
    for name, member in list(vars(T.Tensor).items()):
        if isinstance(member, late.Method):
            found = member.settle()
            assert vars(T.Tensor)[name] is found and hasattr(found, "__get__")
            assert hasattr(found, "__set__") is isinstance(member, late.Property), name


def test_a_star_import_gives_everything():
    code = "from rushlight import *\nprint(sort is __import__('rushlight').sort, zeros(1).sort().values, vmap, bfloat16, 'nn' in vars())"
    printed = python(code)
    assert printed.startswith("True tensor([0.]) <function vmap") and printed.split()[-2:] == [
        "torch.bfloat16",
        "False",
    ]


def test_a_name_is_found_once_and_stays():
    code = (
        "import rushlight as T; from rushlight import sort; before = 'sort' in vars(T)\n"
        "print(before, T.sort is sort, T.Tensor.sort is T.Tensor.sort, type(vars(T.Tensor)['sort']).__name__)"
    )
    assert python(code).split() == ["True", "True", "True", "function"]


def test_a_missing_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'rushlight' has no attribute 'no_such_name'"):
        T.no_such_name
    with pytest.raises(AttributeError):
        T.ones(1).no_such_name


@pytest.mark.parametrize("name", ["det", "svd", "matrix_exp", "conj", "sort", "conv2d", "get_num_threads"])
def test_functions_are_called_what_they_are_called(name):
    assert getattr(T, name).__name__ == name == getattr(torch, name).__name__


def test_late_functions_are_pickled_by_name():
    code = "import pickle, rushlight as T; print(all(pickle.loads(pickle.dumps(f)) is f for f in (T.det, T.sort, T.cat, T.svd)))"
    assert python(code) == "True\n"


# ---- members of Tensor before their first use ----


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("x = T.ones(2); x.data = T.zeros(2); print(x.tolist())", "[0.0, 0.0]"),
        ("x = T.zeros(1, dtype=T.complex64); x.real = 3; print(x.tolist())", "[(3+0j)]"),
        ("x = T.fft.rfft(T.ones(2, requires_grad=True)).real; x += 1; x.sum().backward(); print(x.tolist())", "[3.0, 1.0]"),
        ("x = T.ones(2); x.requires_grad = True; print(x.requires_grad)", "True"),
        ("x = T.ones(2); x.grad = T.zeros(2); del x.grad; print(x.grad)", "None"),
        ("x = T.ones(2); x.mode = 'mine'; print(x.mode)", "mine"),
        ("x = T.ones(2); x.__dict__['sort'] = 5; print(x.sort)", "5"),
        ("x = T.ones(2); print(x == 1, 2 ** x, x[0], len(x), (x @ x).item())", "tensor([True, True]) tensor([2., 2.]) tensor(1.) 2 2.0"),
        ("x = T.tensor([1, 2]); x **= 2; x |= 8; x <<= 1; print(x)", "tensor([18, 24])"),
        ("print(T.Tensor([1, 2]), T.Tensor.__new__ is T.ones(1).__new__)", "tensor([1., 2.]) True"),
        ("print(callable(T.Tensor.sort), T.Tensor.real.__class__.__name__, hasattr(T.Tensor, 'det'))", "True property True"),
    ],
)  # fmt: skip
def test_members_work_when_they_are_used_first(code, printed):
    assert python(f"import rushlight as T\n{code}").strip() == printed


def test_a_subclass_reaches_the_late_method_that_it_overrides():
    code = (
        "import rushlight as T\n"
        "class Mine(T.Tensor):\n"
        "    def sort(self): return 'mine', super().sort()[0].tolist()\n"
        "    @property\n"
        "    def data(self): return super().data.tolist()\n"
        "x = T.tensor([2., 1.]).as_subclass(Mine) if hasattr(T.Tensor, 'as_subclass') else Mine([2., 1.])\n"
        "print(x.sort(), x.data)"
    )
    assert python(code).strip() == "('mine', [1.0, 2.0]) [2.0, 1.0]"


def test_what_a_program_puts_in_place_of_a_method_stays():
    code = (
        "import rushlight as T\n"
        "late = vars(T.Tensor)['sort']\n"
        "T.Tensor.sort = lambda self: 'mine'\n"
        "late.__get__(T.ones(1))\n"
        "print(T.ones(1).sort())"
    )
    assert python(code).strip() == "mine"


# ---- bfloat16 ----


@pytest.mark.parametrize(
    "code",
    [
        "print(type(T.bfloat16) is T.dtype, T.ones(2, dtype=T.bfloat16).sum().item())",
        "x = T.ones(2).bfloat16(); print(type(x.dtype) is T.dtype, x.sum().item())",
        "x = T.BFloat16Tensor([1, 1]); print(x.dtype is T.bfloat16, (x + 0).sum().item())",
        "import ml_dtypes, numpy as np; a = np.ones(2, ml_dtypes.bfloat16)\n"
        "x = T.from_numpy(a); print(type(x.dtype) is T.dtype, x.sum().item())",
        "import ml_dtypes, numpy as np; a = np.ones(2, ml_dtypes.bfloat16); print((T.ones(2) == a).all().item(), 2.0)",
        "import pickle; x = pickle.loads(pickle.dumps(T.ones(2, dtype=T.bfloat16))); print(x.dtype is T.bfloat16, x.sum().item())",
        "x = T.rand(2).to(T.bfloat16) * 0 + 1; print(x.dtype == T.bfloat16, x.double().sum().item())",
        "x = T.ones(2, dtype=T.int32).type('torch.BFloat16Tensor'); print(x.dtype is T.bfloat16, x.sum().item())",
        "print(T.promote_types(T.bfloat16, T.int8) is T.bfloat16, T.bfloat16.itemsize * 1.0)",
        "with T.eager(): x = T.ones(1000, 1000).bfloat16()\nprint((x + x).dtype is T.bfloat16, (x + x).max().item())",
        "x = T.ones(1000, 1000).bfloat16(); print((x + x).dtype is T.bfloat16, (x + x).max().item())",
    ],
)
def test_bfloat16_comes_when_it_is_used(code):
    assert python(f"import rushlight as T\n{code}").split() == ["True", "2.0"]


def test_a_pickled_bfloat16_is_an_ordinary_type_elsewhere():
    code = "import pickle, rushlight.dtypes as d; print(type(pickle.loads({!r})) is d.dtype)"
    assert python(code.format(pickle.dumps(T.bfloat16))) == "True\n"


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_limits_are_those_of_pytorch(name):
    ours, theirs = T.finfo(getattr(T, name)), torch.finfo(getattr(torch, name))
    for limit in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
        assert getattr(ours, limit) == getattr(theirs, limit)
    x = T.ones(1, dtype=getattr(T, name))
    assert x.fill_(ours.max).item() == ours.max
    if name != "float64":
        with pytest.raises(RuntimeError, match="without overflow"):
            x.fill_(ours.max * 1.01)


def test_arrays_of_types_that_tensors_lack_are_refused():
    with pytest.raises(TypeError):
        T.from_numpy(np.ones(2, ml_dtypes.float8_e5m2))


# ---- threads and forks ----


def test_threads_may_ask_for_the_same_names_at_once():
    code = """
import threading, rushlight as T
gate, found = threading.Barrier(8), []
def ask():
    gate.wait()
    found.append((T.svd, T.Tensor.sort, T.nn.Linear, T.ones(3).bfloat16().sum().item(), T.linalg.det, T.ones(2, 2).logdet().dtype))
threads = [threading.Thread(target=ask) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(found), len(set(found)))
"""
    assert python(code).split() == ["8", "1"]


def test_no_module_takes_the_engines_lock_while_it_is_imported():
    """See Note [Late imports]: two threads could wait for one another."""
    code = """
import importlib, pkgutil, threading
import rushlight
from rushlight.lock import LOCK
names = [m.name for m in pkgutil.walk_packages(rushlight.__path__, "rushlight.", onerror=print) if not m.name.endswith("__main__")]
at = []
def load():
    for name in names:
        at.append(name)
        importlib.import_module(name)
    at.append("")
with LOCK:
    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(60)
    print(at[-1] or "done", flush=True)
import os; os._exit(0)
"""
    assert python(code) == "done\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_waits_for_what_another_thread_is_loading():
    code = """
import os, threading, time
import rushlight as T
from rushlight import late, streams
from rushlight import late
begun, ended, plain = threading.Event(), [], late.import_module
def slowly(name):
    begun.set(); time.sleep(0.3); found = plain(name); ended.append(name)
    return found
late.import_module = slowly
thread = threading.Thread(target=lambda: T.svd)
thread.start(); begun.wait()
child = os.fork()
if child == 0:
    late.import_module = plain
    T.svd(T.eye(2)); os._exit(7 if ended else 8)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])); thread.join()
"""
    assert python(code) == "7\n"
