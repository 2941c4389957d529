"""`torch.distributed` with one process: what PyTorch's group of one gives, and the refusal of larger ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rushlight
from rushlight import distributed as dist

SOURCE = str(Path(__file__).parents[1] / "src")

PROGRAM = """
import os, sys
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP

def say(call):
    try:
        print(call())
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])

def new(*values):
    return torch.tensor(values or [0.0, 0.0])

for call in (dist.get_rank, dist.get_world_size, dist.get_backend, dist.barrier, dist.destroy_process_group):
    say(call)
say(lambda: dist.all_reduce(new()))
say(lambda: DDP(torch.nn.Linear(1, 1)))
say(lambda: dist.init_process_group("gloo"))
say(lambda: dist.init_process_group("nccl", init_method="file://" + sys.argv[1], rank=0, world_size=1))
say(lambda: dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1))
say(lambda: dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1))
for call in (dist.get_rank, dist.get_world_size, dist.get_backend, dist.is_initialized, dist.is_available, dist.barrier):
    say(call)
t = new(1.0, 2.0)
for op in (dist.ReduceOp.SUM, dist.ReduceOp.MAX, dist.ReduceOp.MIN, dist.ReduceOp.PRODUCT):
    say(lambda: dist.all_reduce(t, op=op))
say(lambda: dist.all_reduce(t, async_op=True).wait())
say(lambda: dist.broadcast(t, 0))
say(lambda: dist.broadcast(t, src=1))
say(lambda: dist.reduce(t, 0))
out = new()
for call in (
    lambda: dist.all_gather([out], t),
    lambda: dist.all_gather_into_tensor(out, t),
    lambda: dist.gather(t, [out]),
    lambda: dist.scatter(out, [t]),
    lambda: dist.reduce_scatter(out, [t]),
    lambda: dist.reduce_scatter_tensor(out, t),
    lambda: dist.all_to_all_single(out, t),
    lambda: dist.all_to_all([out], [t]),
):
    out.zero_()
    say(call)
    print(out)
say(lambda: dist.all_gather([out, out], t))
say(lambda: dist.all_gather([new(1.0)], t))
say(lambda: dist.all_gather([new(1, 2)], t))
say(lambda: dist.gather(t))
say(lambda: dist.gather(t, [out], dst=1))
say(lambda: dist.scatter(out))
say(lambda: dist.all_reduce([1]))
say(lambda: dist.send(t, 0))
objects = [None]
say(lambda: dist.all_gather_object(objects, {"a": 1}))
print(objects)
say(lambda: dist.broadcast_object_list(objects, src=0))
say(lambda: dist.gather_object("x", objects))
print(objects)
say(lambda: dist.scatter_object_list(objects, ["y"]))
print(objects)
own = dist.new_group([0])
print(dist.get_rank(own), dist.get_world_size(own), own.rank(), own.size(), dist.get_process_group_ranks(own), dist.get_backend(own))
say(lambda: dist.new_group([0, 1]))
say(lambda: dist.all_reduce(t, group=own))
say(lambda: dist.all_reduce(t, group=dist.group.WORLD))
print(t, dist.Backend("gloo"), dist.Backend.NCCL, dist.is_nccl_available(), dist.is_mpi_available(), dist.is_backend_available("gloo"))
torch.manual_seed(0)
inner = torch.nn.Sequential(torch.nn.Linear(2, 2))
net = DDP(inner)
print(list(net.state_dict()), net.module is inner, net(torch.ones(1, 2)), net)
with net.no_sync():
    print(net.require_backward_grad_sync)
    net(torch.ones(1, 2)).sum().backward()
net(torch.ones(1, 2)).sum().backward()
print(inner[0].weight.grad, net.require_backward_grad_sync, net.eval().training, inner.training)
say(lambda: DDP(torch.nn.ReLU()))
say(lambda: net.weight)
print(list(torch.utils.data.distributed.DistributedSampler(list(range(5)))))
say(dist.destroy_process_group)
print(dist.is_initialized(), dist.group.WORLD)
say(dist.get_rank)
sys.stdout.flush()
os._exit(0)  # without waiting for PyTorch's threads
"""


def lines(path, *command, **variables):
    env = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")} | variables
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command], capture_output=True, env=env, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def test_a_group_of_one(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    ours = lines(path, "-m", "rushlight", path, tmp_path / "a", PYTHONPATH=SOURCE)
    assert ours == lines(path, path, tmp_path / "b")


@pytest.fixture
def told(monkeypatch):
    def tell(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    yield tell
    if dist.is_initialized():
        dist.destroy_process_group()


def test_larger_groups_are_refused(told):
    told(RANK="0", WORLD_SIZE="2")
    with pytest.raises(NotImplementedError, match=r"group of 2 processes.*multiprocessing"):
        dist.init_process_group("gloo")
    with pytest.raises(NotImplementedError, match="group of 3 processes"):
        dist.init_process_group("gloo", world_size=3, rank=1, store=dist.HashStore())
    assert not dist.is_initialized()


def test_what_torchrun_says(told):
    told(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0")
    dist.init_process_group()
    assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, "gloo")


def test_stores():
    store = dist.HashStore()
    store.set("a", "b")
    assert store.get("a") == b"b" and store.add("n", 2) == 2 and store.add("n", 3) == 5
    assert store.num_keys() == 2 and store.delete_key("a") and not store.delete_key("a")
    with pytest.raises(RuntimeError, match="no key 'a'"):
        store.get("a")


def test_what_is_missing_is_said_to_be():
    with pytest.raises(NotImplementedError, match="groups of one process"):
        dist.init_device_mesh
    assert not hasattr(rushlight.distributed, "no_such_name")


@pytest.mark.parametrize("lib", ["torch", "rushlight"])
def test_parts_for_gpus_that_are_not_there(lib):
    import importlib

    torch = importlib.import_module(lib)
    parallel = torch.nn.parallel
    assert parallel.scatter([1, "a"], [0, 1]) == [[1, "a"], [1, "a"]]
    kwargs = importlib.import_module(f"{lib}.nn.parallel.scatter_gather").scatter_kwargs
    assert kwargs((), {"a": 1}, [0]) == (((),), ({"a": 1},))
    for call in (lambda: parallel.scatter(torch.ones(2), [0]), lambda: parallel.gather([torch.ones(2)], 0)):
        with pytest.raises((AttributeError, RuntimeError, AssertionError)):
            call()


def test_modules_on_devices_that_are_not_there():
    net = rushlight.nn.Linear(2, 1)
    assert rushlight.nn.parallel.data_parallel(net, rushlight.ones(3, 2)).shape == (3, 1)
