"""What programs ask about GPUs and mixed precision: answered as PyTorch without a GPU answers."""

import warnings

import pytest
import torch
from both import same

import rushlight

if torch.cuda.is_available():
    pytest.skip("this PyTorch has a GPU to speak of", allow_module_level=True)

ASKED = [
    "cuda.is_available()",
    "cuda.device_count()",
    "cuda.is_initialized()",
    "cuda.is_bf16_supported()",
    "cuda.memory_allocated()",
    "cuda.max_memory_allocated()",
    "cuda.memory_reserved()",
    "cuda.manual_seed(3)",
    "cuda.manual_seed_all(3)",
    "cuda.seed()",
    "cuda.seed_all()",
    "cuda.empty_cache()",
    "cuda.synchronize()",
    "cuda.current_device()",
    "cuda.get_device_name()",
    "cuda.get_device_properties(0)",
    "cuda.get_device_capability()",
    "backends.mps.is_available()",
    "backends.mps.is_built()",
    "backends.cuda.is_built()",
    "backends.cuda.matmul.allow_tf32",
    "backends.cudnn.is_available()",
    "backends.cudnn.version()",
    "backends.cudnn.enabled",
    "backends.cudnn.benchmark",
    "backends.cudnn.deterministic",
    "backends.cudnn.allow_tf32",
    "is_autocast_enabled()",
    "pi, T.e, T.inf, T.newaxis",
    "isnan(T.tensor(T.nan))",
]


@pytest.mark.parametrize("expression", ASKED)
def test_it_answers_as_pytorch_without_a_gpu(expression):
    same(lambda T: eval(f"T.{expression}", {"T": T}))


def test_seeding_a_gpu_leaves_the_cpu_alone():
    def program(T):
        T.manual_seed(0)
        T.cuda.manual_seed(7)
        T.cuda.manual_seed_all(8)
        return T.rand(3)

    same(program)


def said(program, T):
    """The result, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = program(T)
    return result, [(each.category.__name__, str(each.message)) for each in caught]


def train(T, scaler, context):
    T.manual_seed(0)
    net = T.nn.Linear(3, 2)
    optimizer = T.optim.SGD(net.parameters(), lr=0.1)
    with context:
        loss = net(T.ones(4, 3)).square().mean()
        inside = T.is_autocast_enabled(), str(loss.dtype)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    return (
        inside,
        scaler.is_enabled(),
        scaler.get_scale(),
        scaler.state_dict(),
        [p.tolist() for p in net.parameters()],
    )


@pytest.mark.parametrize(
    ("scaler", "context"),
    [
        ("T.amp.GradScaler('cuda')", "T.autocast('cuda', dtype=T.float16)"),
        ("T.cuda.amp.GradScaler()", "T.cuda.amp.autocast()"),
        ("T.cuda.amp.GradScaler(enabled=False)", "T.cuda.amp.autocast(enabled=False)"),
        ("T.amp.GradScaler('cpu', enabled=False)", "T.amp.autocast('cpu', enabled=False)"),
    ],
)
def test_mixed_precision_is_off(scaler, context):
    def program(T):
        return train(T, eval(scaler, {"T": T}), eval(context, {"T": T}))

    assert said(program, rushlight) == said(program, torch)


def test_autocast_decorates():
    def program(T):
        @T.cuda.amp.autocast()
        def twice(x, by=2):
            """doc"""
            return x * by

        return twice(T.ones(2), by=3).tolist(), twice.__name__, twice.__doc__

    assert said(program, rushlight) == said(program, torch)


def test_what_would_change_precision_says_that_it_is_not_there():
    with pytest.raises(NotImplementedError, match="bfloat16"):
        rushlight.autocast("cpu")
    with pytest.raises(NotImplementedError, match="enabled=False"):
        rushlight.amp.GradScaler("cpu")
    for T in (rushlight, torch):
        with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
            T.autocast(0)
        with pytest.raises(RuntimeError):
            T.autocast("nowhere")


def test_switches_can_be_set():
    rushlight.backends.cudnn.benchmark = rushlight.backends.cudnn.benchmark
    rushlight.backends.cuda.matmul.allow_tf32 = rushlight.backends.cuda.matmul.allow_tf32
