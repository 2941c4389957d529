"""Datasets, samplers and loaders against live PyTorch: order, draws from the generator, batches, errors."""

from __future__ import annotations

import os
import time
import warnings
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.data
from both import same

import rushlight
import rushlight.utils.data

Point = namedtuple("Point", "x y")


def classes(T: Any) -> dict[str, Any]:
    """Datasets written by a user, for one of the libraries."""
    D = T.utils.data

    class Stream(D.IterableDataset):
        def __iter__(self) -> Any:
            info = D.get_worker_info()
            return iter(range(7)) if info is None else iter(range(info.id, 7, info.num_workers))

    class Long(Stream):
        def __len__(self) -> int:
            return 3

    class Squares(D.Dataset):
        def __len__(self) -> int:
            return 9

        def __getitem__(self, at: int) -> Any:
            return {"x": T.tensor([at, at**2]), "name": f"n{at}", "y": (at, float(at))}

    class Many(Squares):
        def __getitems__(self, at: list) -> list:
            return [-i for i in at]

    class Plain(D.Dataset):
        pass

    return locals()


def namespace(T: Any) -> dict[str, Any]:
    ds = T.utils.data.TensorDataset(T.arange(10), T.arange(20.0).view(10, 2))
    return {"T": T, "D": T.utils.data, "np": np, "ds": ds, "Point": Point, "OrderedDict": OrderedDict} | {
        name: value for name, value in classes(T).items() if name[0].isupper() and name not in ("T", "D")
    }


PROGRAMS = """
list(D.DataLoader(ds, 3))
list(D.DataLoader(ds, 3, shuffle=True))
list(D.DataLoader(ds, 3, True, drop_last=True))
[list(l) + list(l) for l in [D.DataLoader(range(10), 4, shuffle=True)]]
list(D.DataLoader(range(10), 3, shuffle=True, generator=T.Generator().manual_seed(3)))
list(D.DataLoader(range(10), 3, generator=T.Generator().manual_seed(3)))
list(D.DataLoader(range(5), batch_size=None))
list(D.DataLoader(ds, batch_size=None, shuffle=True))
list(D.DataLoader(ds, 2, sampler=[3, 1, 4]))
list(D.DataLoader(ds, batch_sampler=[[3, 1], [4]]))
list(D.DataLoader(ds, sampler=D.BatchSampler(D.RandomSampler(ds), 4, False), batch_size=None))
list(D.DataLoader(ds, 4, collate_fn=len))
list(D.DataLoader(ds, 4, collate_fn=lambda batch: [a for a, b in batch]))
list(D.DataLoader(Squares(), 4))
list(D.DataLoader(Many(), 4))
list(D.DataLoader(D.Subset(Many(), [3, 1, 2]), 2))
list(D.DataLoader(Stream(), 3))
list(D.DataLoader(Stream(), 3, drop_last=True))
list(D.DataLoader(Stream(), batch_size=None))
list(D.DataLoader([np.ones(2), np.zeros(2)], 2))
[len(D.DataLoader(ds, n, drop_last=d)) for n in (1, 3, 10, 11) for d in (True, False)]
len(D.DataLoader(Long(), 2)), len(D.DataLoader(Long(), 2, drop_last=True))
len(D.DataLoader(Stream()))
list(D.RandomSampler(range(5)))
list(D.RandomSampler(range(5), True, 70))
list(D.RandomSampler(range(5), num_samples=12))
[list(D.RandomSampler(range(5), generator=g)) for g in [T.Generator().manual_seed(1)] * 3]
list(D.WeightedRandomSampler([.1, .5, .4], 5))
list(D.WeightedRandomSampler([.1, .5, .4], 2, False))
list(D.SubsetRandomSampler([4, 5, 6]))
list(D.SequentialSampler(range(3)))
[list(D.BatchSampler(range(7), 3, d)) for d in (True, False)]
[len(D.BatchSampler(range(n), 3, d)) for d in (True, False) for n in range(8)]
[list(x) for x in D.random_split(range(10), [4, 6])]
[list(x) for x in D.random_split(range(10), [.34, .33, .33], T.Generator().manual_seed(1))]
ds[2:4]
len(ds + ds), (ds + ds)[13], (ds + ds)[-1]
D.ConcatDataset([range(3), range(5)])[4]
list(D.ChainDataset([Stream(), Stream()]))
list(Stream() + Stream())
D.StackDataset(range(3), range(3, 6))[1], D.StackDataset(a=range(3))[1]
D.Subset(ds, [1, 3])[[0, 1]]
D.default_collate([{'a': 1, 'b': [1., 2]}, {'a': 2, 'b': [3., 4]}])
D.default_collate([(1, 'a', b'q', True), (2, 'b', b'r', False)])
D.default_collate([Point(1, 2.0), Point(3, 4.0)])
D.default_collate([OrderedDict(a=1), OrderedDict(a=2)])
D.default_collate([np.float32(2)] * 2)
D.default_collate([np.ones(2), np.zeros(2)])
D.default_collate([[1, [2]], [3, [4]]])
D.default_collate([T.ones(2), T.zeros(2)])
D.default_convert([1, {'a': np.ones(2)}, (np.int32(3), 'x'), Point(1, np.ones(1))])
D.get_worker_info()
D.DataLoader(ds, batch_size=2, batch_sampler=[[0]])
D.DataLoader(ds, shuffle=True, sampler=[1])
D.DataLoader(Stream(), shuffle=True)
D.DataLoader(Stream(), sampler=[1])
D.DataLoader(Stream(), batch_sampler=[1])
D.DataLoader(ds, batch_size=None, drop_last=True)
D.DataLoader(ds, num_workers=-1)
D.DataLoader(ds, timeout=-1)
D.DataLoader(ds, prefetch_factor=3)
D.DataLoader(ds, persistent_workers=True)
D.DataLoader(ds, batch_size=0)
D.DataLoader(ds, drop_last=3)
D.DataLoader([], shuffle=True)
D.DataLoader(ds, num_workers=1, prefetch_factor=-1)
D.DataLoader(ds, multiprocessing_context='fork')
D.DataLoader(ds, num_workers=1, multiprocessing_context='foo')
list(D.DataLoader(Plain()))
next(iter(D.DataLoader(ds, timeout=3)))
setattr(D.DataLoader(ds), 'batch_size', 3)
D.default_collate([object()])
D.default_collate([[1, 2], [1]])
D.default_collate([T.ones(2), T.ones(3)])
D.default_collate([np.array(['a'])])
D.default_collate([])
D.TensorDataset(T.ones(1), T.ones(2))
D.random_split(range(5), [1, 2])
D.random_split(range(5), [.5, .7])
D.ConcatDataset([])
D.ConcatDataset([Stream()])
D.ConcatDataset([range(3)])[5]
D.ConcatDataset([range(3)])[-5]
D.RandomSampler(ds, replacement=3)
D.RandomSampler(ds, num_samples=-1)
D.RandomSampler([])
D.WeightedRandomSampler([1.], -1)
D.WeightedRandomSampler(T.ones(2, 2), 1)
D.WeightedRandomSampler([1.], 1, 3)
D.BatchSampler([1], 0, False)
D.BatchSampler([1], 1, 3)
list(D.DistributedSampler(range(7), num_replicas=2, rank=1, shuffle=False))
list(D.DistributedSampler(range(7), 2, 0, seed=3)), len(D.DistributedSampler(range(7), 2, 0, drop_last=True))
list(D.DistributedSampler(range(2), 5, 4, shuffle=False)), list(D.DistributedSampler(range(9), 4, 3, drop_last=True))
(s := D.DistributedSampler(range(9), 2, 1), s.set_epoch(3), list(s), list(s))[2:]
D.DistributedSampler(range(2), 2, 2)
type(iter(D.DataLoader(ds))).__name__
D.StackDataset()
D.StackDataset([1], [1, 2])
D.StackDataset([1], a=[1])
list(D.ChainDataset([[1]]))
D.Dataset()[0]
D.IterableDataset()
""".strip().splitlines()


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(program: str) -> None:
    """The result, and that the generator was drawn from as often."""

    def run(T: Any) -> Any:
        T.manual_seed(2)
        found = eval(program, namespace(T))
        return [found, T.rand(2)]

    same(run)


def test_split_may_be_empty() -> None:
    for T in (torch, rushlight):
        with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
            T.utils.data.random_split(range(1), [0.5, 0.5])


def test_stream_longer_than_it_said() -> None:
    for T in (torch, rushlight):
        loader = T.utils.data.DataLoader(classes(T)["Long"]())
        len(loader)
        with pytest.warns(UserWarning, match="was reported to be 3"):
            list(loader)


# ---- worker processes ----


def seeds(T: Any) -> list:
    import random

    info = T.utils.data.get_worker_info()
    return [
        info.id,
        info.num_workers,
        info.seed,
        T.initial_seed(),
        T.rand(1).item(),
        random.random(),
        np.random.rand(),
    ]


class Worker:
    """A dataset whose samples say what the worker knows."""

    def __init__(self, T: Any) -> None:
        self.T = T

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: int) -> Any:
        return seeds(self.T)


class Failing(Worker):
    def __getitem__(self, at: int) -> Any:
        if at == 1:
            raise KeyError(f"no {at}")
        return at


class Slow(Worker):
    def __getitem__(self, at: int) -> Any:
        time.sleep(60)


class Gone(Worker):
    def __getitem__(self, at: int) -> Any:
        os._exit(3)


def no_workers_today(number: int) -> None:
    raise ValueError("x")


def elsewhere(*args: Any, **kwargs: Any) -> Any:
    def run(T: Any) -> Any:
        T.manual_seed(4)
        names = namespace(T)
        dataset = args[0](T) if isinstance(args[0], type) else eval(args[0], names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [list(T.utils.data.DataLoader(dataset, **kwargs)), T.rand(1)]

    return run


@pytest.mark.parametrize("count", [1, 2])
def test_workers(count: int) -> None:
    same(elsewhere("ds", batch_size=3, num_workers=count, shuffle=True))
    same(elsewhere("Squares()", batch_size=2, num_workers=count, prefetch_factor=1))
    same(elsewhere("Stream()", batch_size=2, num_workers=count))
    same(elsewhere("ds", batch_size=None, num_workers=count, persistent_workers=True))
    same(elsewhere(Worker, batch_size=None, num_workers=count))


def first_line(T: Any, *args: Any, **kwargs: Any) -> tuple:
    try:
        elsewhere(*args, **kwargs)(T)
    except Exception as error:
        return type(error).__name__, str(error).split("\n")[0].split("(pid")[0]
    return ()


@pytest.mark.parametrize(
    "dataset, options",
    [
        (Failing, {}),
        (Slow, {"timeout": 0.5}),
        (Gone, {}),
        ("ds", {"worker_init_fn": no_workers_today}),
    ],
)
def test_worker_errors(dataset: Any, options: dict) -> None:
    found = first_line(rushlight, dataset, num_workers=1, **options)
    assert found and found == first_line(torch, dataset, num_workers=1, **options)


def test_workers_started_afresh() -> None:
    """With "spawn" the dataset and the batches are pickled."""
    loader = rushlight.utils.data.DataLoader(
        rushlight.utils.data.TensorDataset(rushlight.arange(5)),
        2,
        num_workers=1,
        multiprocessing_context="spawn",
    )
    assert [batch[0].tolist() for batch in loader] == [[0, 1], [2, 3], [4]]


def test_early_end_stops_the_workers() -> None:
    loader = rushlight.utils.data.DataLoader(range(100), num_workers=2)
    batches = iter(loader)
    next(batches)
    processes = batches.processes
    del batches
    assert not any(process.is_alive() for process in processes)


class Together:
    def __init__(self, count, short=0):
        self.count, self.short, self.asked = count, short, 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return index

    def __getitems__(self, indices):
        self.asked += 1
        return [10 * index for index in indices][self.short :]


@pytest.mark.parametrize("data", [torch.utils.data, rushlight.utils.data])
def test_stacked_datasets_are_asked_for_several_samples_at_once(data):
    together = Together(6)
    assert data.StackDataset(range(6), together).__getitems__([0, 4]) == [(0, 0), (4, 40)]
    assert data.StackDataset(a=range(6), b=together).__getitems__([5]) == [{"a": 5, "b": 50}]
    loader = data.DataLoader(data.StackDataset(together, list(range(6))), batch_size=3, collate_fn=list)
    assert list(loader) == [[(0, 0), (10, 1), (20, 2)], [(30, 3), (40, 4), (50, 5)]] and together.asked == 4
    with pytest.raises(ValueError, match=r"output size mismatch\. Expected 2, got 1"):
        data.StackDataset(Together(6, short=1)).__getitems__([0, 4])
