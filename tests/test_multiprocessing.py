"""`torch.multiprocessing`: processes that compute with tensors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
import torch.nn.modules.utils
from both import same

import rushlight
import rushlight.multiprocessing
import rushlight.nn.modules.utils

SOURCE = str(Path(__file__).parents[1] / "src")

PROGRAM = """
import os, sys
import torch
import torch.multiprocessing as mp

def double(t):
    return t * 2

def note(rank, folder):
    with open(os.path.join(folder, str(rank)), "w") as file:
        file.write(str(torch.full((2,), rank)))

def fail(rank):
    sys.exit(rank)

def put(queue, seen):
    queue.put({"t": torch.arange(3), "p": torch.nn.Parameter(torch.ones(1))})
    seen.wait()  # PyTorch's tensors need the process that made them

if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool:
        print(pool.map(double, [torch.ones(2), torch.arange(2)]))
    queue = mp.get_context("fork").Queue()
    seen = mp.get_context("fork").Event()
    process = mp.get_context("fork").Process(target=put, args=(queue, seen))
    process.start()
    print(queue.get())
    seen.set()
    process.join()
    mp.spawn(note, args=(sys.argv[1],), nprocs=2)
    print([open(os.path.join(sys.argv[1], str(rank))).read() for rank in range(2)])
    try:
        mp.spawn(fail, nprocs=2, join=True)
    except Exception as error:
        print(isinstance(error, RuntimeError) or "ProcessException" in str(type(error).__mro__), "exit code 1" in str(error))
    print(mp.cpu_count() > 0, mp.get_sharing_strategy(), sorted(mp.get_all_sharing_strategies()))
"""


def run(*command, **variables):
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=os.environ | variables, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processes_get_and_give_tensors(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found = run("-m", "rushlight", path, tmp_path / "a", PYTHONPATH=SOURCE)
    assert found == run(path, tmp_path / "b")


def test_a_way_to_share_that_is_none_is_refused():
    for T in (torch, rushlight):
        with pytest.raises((AssertionError, ValueError)):
            T.multiprocessing.set_sharing_strategy("no such way")


def test_what_layers_of_ones_own_take():
    def program(T):
        utils = T.nn.modules.utils
        net = T.nn.DataParallel(T.nn.Linear(2, 1))
        state = net.state_dict()
        utils.consume_prefix_in_state_dict_if_present(state, "module.")
        return (
            utils._pair(3),
            utils._pair([1, 2]),
            utils._single((4,)),
            utils._triple(1),
            utils._quadruple(2),
            utils._reverse_repeat_tuple((1, 2), 2),
            list(state),
            dict(state._metadata),
        )

    same(program)


def test_an_error_that_programs_catch():
    def program(T):
        return issubclass(
            T.cuda.OutOfMemoryError, RuntimeError
        ), T.OutOfMemoryError is T.cuda.OutOfMemoryError

    same(program)
