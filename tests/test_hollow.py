"""Names that libraries import and seldom use: they can be imported, asked after and derived from, and not called."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.tensor.placement_types
from both import same

import rushlight
from rushlight.distributed import placements
from rushlight.interop import hollow

_PROGRAM = """
import torch
from torch import fx
from torch.fx.node import Target
from torch.jit.annotations import BroadcastingList2, List
from torch.distributed.tensor import DTensor, Shard
from torch.onnx import symbolic_opset11, symbolic_helper
from torch.ao.quantization import QuantStub
from torch.utils.model_zoo import tqdm
import torch.nn.attention.flex_attention as flex

class Mine(fx.Tracer):
    def trace(self, root: Target | None, sizes: BroadcastingList2[int] = 3):
        return root

@fx.wrap
def kept(x):
    return x

@symbolic_helper.parse_args("v", "i")
def shown(g, x):
    return x

print(kept(3), shown(None, 4), isinstance(3, (fx.Proxy, DTensor)), Shard(1), hasattr(torch, "fx"), torch.fx.node is not None)
for make in (Mine, fx.Proxy, QuantStub, flex.flex_attention, torch.cuda.CUDAGraph):
    try:
        make()
    except NotImplementedError as error:
        print(str(error).split(" yet")[0])
"""


def test_under_the_alias(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(_PROGRAM)
    ran = subprocess.run(
        [sys.executable, "-m", "rushlight", "run", str(path)], capture_output=True, text=True
    )
    assert ran.stdout.splitlines() == [
        "3 4 False S(1) True True",
        *(
            f"Rushlight does not have torch.{name}"
            for name in (
                "fx.Tracer",
                "fx.Proxy",
                "ao.quantization.QuantStub",
                "nn.attention.flex_attention.flex_attention",
                "cuda.CUDAGraph",
            )
        ),
    ], ran.stderr


@pytest.mark.parametrize("module", sorted(hollow.NAMES))
def test_pytorch_has_what_is_listed(module: str) -> None:
    theirs = importlib.import_module(module)
    listed = hollow.NAMES[module].split() + hollow.UNCHANGED.get(module, "").split()
    assert [name for name in listed if not hasattr(theirs, name)] == []


def test_placements() -> None:
    theirs: Any = torch.distributed.tensor.placement_types
    for make in (
        lambda P: P.Shard(1),
        lambda P: P.Replicate(),
        lambda P: P.Partial(),
        lambda P: P.Partial("max"),
    ):
        one, other = make(theirs), make(placements)
        for show in (repr, str):
            assert show(other) == show(one)
        for ask in ("is_shard", "is_replicate", "is_partial"):
            assert getattr(other, ask)() == getattr(one, ask)()
        assert other == make(placements)
        assert len({other, make(placements)}) == 1


_EIGHT = "float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu".split()


@pytest.mark.parametrize("name", _EIGHT)
def test_types_that_are_only_named(name: str) -> None:
    def facts(T: Any) -> Any:
        found = getattr(T, name)
        limits = T.finfo(found)
        return (
            str(found), found.itemsize, found.is_floating_point, found.is_signed, found.is_complex, limits.bits,
            limits.max, limits.min, limits.tiny, limits.resolution, limits.dtype,
        )  # fmt: skip

    same(facts)
    own = getattr(rushlight, name)
    assert pickle.loads(pickle.dumps(own)) is own
    for make in (
        lambda: rushlight.zeros(2, dtype=own),
        lambda: rushlight.tensor([1.0], dtype=own),
        lambda: rushlight.randn(2, dtype=own),
        lambda: rushlight.ones(2).to(own),
        lambda: rushlight.ones(2).view(own),
        lambda: rushlight.ones(2).sum(dtype=own),
        lambda: rushlight.promote_types(own, rushlight.int8),
        lambda: rushlight.set_default_dtype(own),
    ):
        with pytest.raises(NotImplementedError, match=name.replace("float8", "(?i:float8)")):
            make()
    assert rushlight.get_default_dtype() is rushlight.float32


def test_onnx_names_of_operations() -> None:
    same(lambda T: T.onnx.register_custom_op_symbolic("mine::half", lambda g, x: x, 11))
    with pytest.raises(ValueError, match="must match the format domain::name"):
        rushlight.onnx.register_custom_op_symbolic("half", lambda g, x: x, 11)
