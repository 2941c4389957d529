"""Names that libraries on PyTorch import or call, beside what programs do: each does what it does in a group of one, or without a GPU."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch.utils.checkpoint
from both import same

import rushlight
import rushlight.utils.checkpoint
from rushlight.distributed.algorithms.join import Join, Joinable, JoinHook
from rushlight.distributed.nn import functional as collectives


def _program(T: Any) -> Any:
    class Named(T.Tensor):
        @staticmethod
        def __new__(cls: Any, data: Any, requires_grad: bool = True, tag: Any = None) -> Any:
            made = T.Tensor._make_subclass(cls, data, requires_grad)
            made.tag = tag
            return made

    data = T.ones(2)
    named = Named(data, tag=3)
    (named * data).sum().backward()
    data[0] = 5
    return type(named).__name__, named.tag, named.is_leaf, named.requires_grad, named.grad, named.tolist()


def test_make_subclass() -> None:
    same(_program)
    same(lambda T: T.Tensor._make_subclass(int, T.ones(2)), text=False)
    same(lambda T: T.Tensor._make_subclass(T.Tensor, 3), text=False)
    same(lambda T: T.Tensor._make_subclass(T.Tensor, T.ones(2, dtype=T.int64), True), text=False)


def test_parameters_with_constructors_of_their_own() -> None:
    def program(T: Any) -> Any:
        class Tagged(T.nn.Parameter):
            def __new__(cls: Any, data: Any, requires_grad: bool = True, tag: Any = None) -> Any:
                made = T.nn.Parameter.__new__(cls, data, requires_grad)
                made.tag = tag
                return made

        class Other(T.nn.Parameter):
            def __init__(self, data: Any) -> None:
                super().__init__()

        module = T.nn.Module()
        module.weight = Tagged(T.ones(2), tag=7)
        return (
            module.weight.tag,
            [name for name, _ in module.named_parameters()],
            Other(T.ones(1)).requires_grad,
        )

    same(program)


def test_states_of_accelerators() -> None:
    same(lambda T: T.utils.checkpoint.get_device_states(T.ones(2), 3))
    same(lambda T: T.utils.checkpoint.set_device_states([], []))


def test_switch_of_attention_in_its_older_form() -> None:
    def program(T: Any) -> Any:
        with T.backends.cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False):
            inside = T.backends.cuda.flash_sdp_enabled(), T.backends.cuda.math_sdp_enabled()
        return inside, T.backends.cuda.flash_sdp_enabled()

    same(program)


@pytest.fixture
def group_of_one() -> Any:
    rushlight.distributed.init_process_group(
        "gloo", store=rushlight.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    rushlight.distributed.destroy_process_group()


def test_collectives_pass_gradients(group_of_one: Any) -> None:
    for collective in (
        lambda x: collectives.broadcast(x, 0),
        lambda x: collectives.gather(x)[0],
        lambda x: collectives.scatter([x]),
        lambda x: collectives.reduce(x, 0),
        lambda x: collectives.reduce_scatter(x, [x]),
        lambda x: collectives.all_gather(x)[0],
        lambda x: collectives.all_to_all([x], [x])[0],
        lambda x: collectives.all_to_all_single(x, x),
        lambda x: collectives.all_reduce(x),
    ):
        x = rushlight.tensor([1.0, 2.0], requires_grad=True)
        made = collective(x)
        (made * made).sum().backward()
        assert made.tolist() == [1, 2] and made is not x
        assert x.grad.tolist() == [2, 4]


def test_collectives_want_a_group() -> None:
    with pytest.raises(ValueError, match="init_process_group"):
        collectives.all_reduce(rushlight.ones(2))


def test_joining_nobody() -> None:
    told = []

    class Hook(JoinHook):
        def post_hook(self, is_last_joiner: bool) -> None:
            told.append(is_last_joiner)

    class Model(Joinable):
        def join_hook(self, **kwargs: Any) -> JoinHook:
            told.append(kwargs)
            return Hook()

    model = Model()
    with Join([model], divide=2):
        Join.notify_join_context(model)
    with Join([model], enable=False):
        pass
    assert told == [{"divide": 2}, True, {}]
    with pytest.raises(ValueError, match="at least one"):
        Join([])


def test_the_package_holds_itself(tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text("import torch\ndef f(x: torch.torch.Tensor): ...\nprint(torch.torch is torch)\n")
    found = subprocess.run(
        [sys.executable, "-m", "rushlight", str(program)], capture_output=True, text=True, check=True
    )
    assert found.stdout == "True\n"
    assert rushlight.serialization.MAP_LOCATION is not None
    assert torch.utils.checkpoint is not rushlight.utils.checkpoint
