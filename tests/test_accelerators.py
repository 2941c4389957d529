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
    *[
        f"cuda.{call}"
        for call in """max_memory_reserved() memory_stats() get_arch_list() get_gencode_flags() is_tf32_supported() get_rng_state_all()
        set_rng_state_all([]) set_rng_state(T.get_rng_state()) set_stream(None) current_stream() default_stream() initial_seed()
        get_rng_state() mem_get_info() ipc_collect() set_per_process_memory_fraction(0.5) set_sync_debug_mode(0) init()
        get_sync_debug_mode() Stream() Event() device(0).__enter__() device(-1).__enter__() device(0).idx
        stream(None).__enter__()""".split("\n        ")
        for call in call.split()
    ],
    *[
        f"accelerator.{name}()"
        for name in """is_available device_count current_accelerator current_device_index current_device_idx set_device_index
        set_device_idx get_device_capability current_stream synchronize empty_cache memory_stats memory_allocated memory_reserved
        max_memory_allocated max_memory_reserved reset_peak_memory_stats reset_accumulated_memory_stats""".split()
        if name not in ("set_device_index", "set_device_idx")
    ],
    "accelerator.set_device_index(0)",
    "accelerator.device_index(0).__enter__()",
    "accelerator.device_index(None).__enter__()",
    *[
        f"mps.{name}()"
        for name in "is_available device_count empty_cache synchronize seed get_rng_state".split()
    ],
    *[f"mps.{name}()" for name in ("current_allocated_memory", "driver_allocated_memory")],
    "mps.manual_seed(3)",
    *[
        f"cpu.{name}()"
        for name in "is_available is_initialized device_count current_device synchronize".split()
    ],
    "cpu.set_device(0)",
    "cpu.Stream().record_event()",
    "version.cuda, T.version.hip, T.version.debug",
    "get_device(T.ones(2))",
    "get_autocast_dtype('cpu'), T.get_autocast_dtype('cuda'), T.get_autocast_cpu_dtype(), T.get_autocast_gpu_dtype()",
    "get_autocast_dtype('nothing')",
    "is_autocast_cache_enabled(), T.is_autocast_cpu_enabled(), T.clear_autocast_cache()",
    "backends.cuda.flash_sdp_enabled(), T.backends.cuda.math_sdp_enabled()",
    "distributed.is_initialized(), T.distributed.is_torchelastic_launched()",
    "set_num_interop_threads(0)",
    "set_num_interop_threads('2')",
    "amp.custom_fwd(device_type=3)",
    "testing.__name__.partition('.')[2]",
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


def test_devices_that_have_no_precision_to_choose():
    for T in (rushlight, torch):
        with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
            T.autocast(0)
        with pytest.raises(RuntimeError):
            T.autocast("nowhere")


def test_switches_can_be_set():
    rushlight.backends.cudnn.benchmark = rushlight.backends.cudnn.benchmark
    rushlight.backends.cuda.matmul.allow_tf32 = rushlight.backends.cuda.matmul.allow_tf32


def test_switches_hold_what_they_are_set_to():
    def program(T):
        T.backends.cuda.enable_flash_sdp(False)
        seen = [T.backends.cuda.flash_sdp_enabled(), T.backends.cuda.mem_efficient_sdp_enabled()]
        T.backends.cuda.enable_flash_sdp(True)
        with T.backends.mkldnn.flags(enabled=False):
            seen.append(T.backends.mkldnn.enabled)
        return seen, T.backends.mkldnn.enabled, T.backends.cuda.flash_sdp_enabled()

    same(program)


def test_interop_threads_are_a_word():
    before = rushlight.get_num_interop_threads()
    rushlight.set_num_interop_threads(3)
    assert rushlight.get_num_interop_threads() == 3
    rushlight.set_num_interop_threads(before)


def test_functions_that_speak_of_autocast():
    def program(T):
        class Double(T.autograd.Function):
            @staticmethod
            @T.amp.custom_fwd(device_type="cuda", cast_inputs=T.float16)
            def forward(ctx, x):
                return x * 2

            @staticmethod
            @T.amp.custom_bwd(device_type="cuda")
            def backward(ctx, g):
                return g * 2

        x = T.ones(2, requires_grad=True)
        Double.apply(x).sum().backward()
        return x.grad

    same(program)


def test_streams_of_the_cpu():
    def program(T):
        s = T.cpu.Stream(2)
        with T.cpu.stream(s):
            inside = T.cpu.current_stream() is s
        s.wait_stream(s)
        return inside, T.cpu.current_stream() is s, s.record_event()

    same(program)
    event = rushlight.cpu.Event()
    event.record()
    assert event.query() and event.synchronize() is None and event.wait() is None
    rushlight.cpu.Stream().wait_event(event)


def test_the_quickstart_picks_the_cpu():
    def program(T):
        device = T.accelerator.current_accelerator().type if T.accelerator.is_available() else "cpu"
        return T.ones(2, device=device)

    same(program)


def test_libraries_that_are_not_used():
    b = rushlight.backends
    assert not (b.mkl.is_available() or b.mkldnn.is_available() or b.openmp.is_available())
