"""Tensors and modules on the meta device, against PyTorch: what is known of them, and what is refused."""

import copy
import io

import pytest
import torch
from both import same

import rushlight

BOTH = (torch, rushlight)


def net(lib):
    return lib.nn.Sequential(lib.nn.Conv2d(3, 4, 3), lib.nn.BatchNorm2d(4), lib.nn.Linear(2, 2))


@pytest.mark.parametrize(
    "call",
    """
T.zeros(2, 3, device='meta')
T.ones(2, device='meta', dtype=T.int64)
T.empty((2, 0), device=T.device('meta'))
T.full((2,), 7, device='meta')
T.full((2,), 1.5, device='meta', requires_grad=True)
T.rand(2, 2, device='meta', dtype=T.float64)
T.randn(2, device='meta', requires_grad=True)
T.tensor([1.0, 2.0], device='meta')
T.tensor(3, device='meta')
T.arange(5, device='meta')
T.arange(1, 2, 0.5, device='meta')
T.eye(3, device='meta')
T.linspace(0, 1, 4, device='meta')
T.ones(2, 3).to('meta')
T.ones(2, 3).to('meta', T.float16)
T.ones(2, 3).to(T.float16).to(device='meta')
T.ones(2, 3).to(T.zeros(1, device='meta'))
T.zeros(2, device='meta').double()
T.zeros(2, device='meta').long()
T.nn.Parameter(T.zeros(2, device='meta'))
T.nn.Parameter(T.zeros(2, device='meta'), requires_grad=False)
T.nn.Linear(2, 3, device='meta').weight
T.nn.Embedding(5, 2, device='meta').weight
T.ones(2, 3).t().to('meta').stride()
T.zeros(2, 3, device='meta').is_contiguous()
T.zeros(2, 3, device='meta').device
len(T.zeros(2, 3, device='meta'))
T.zeros(2, 3, device='meta').size(-1)
T.zeros(2, 3, device='meta').nbytes
T.zeros(2, 3, device='meta').element_size()
T.zeros(2, 3, device='meta').data_ptr()
T.zeros(2, 3, device='meta').is_floating_point()
T.zeros(1, device='meta').item()
bool(T.zeros(1, device='meta'))
T.zeros(1, device='meta').numpy()
T.nn.Linear(2, 2).to('meta').to('cpu')
T.nn.Parameter(T.zeros(2, device='meta', dtype=T.int64))
""".strip().splitlines(),
)
def test_what_is_known(call):
    def run(lib):
        found = eval(call, {"T": lib})
        return repr(found) if isinstance(found, lib.Tensor) else found

    same(run)


@pytest.mark.parametrize("name", ["tolist", "cpu", "sum", "exp"])
def test_what_has_no_data_is_not_computed_with(name):
    with pytest.raises(NotImplementedError, match="no data"):
        getattr(rushlight.zeros(2, device="meta"), name)()


def test_modules_without_data_get_memory():
    def run(lib):
        module = lib.nn.Linear(3, 4, device="meta")
        told = [module.weight.is_meta, isinstance(module.weight, lib.nn.Parameter), str(module)]
        emptied = module.to_empty(device="cpu")
        lib.manual_seed(0)
        module.reset_parameters()
        module(lib.ones(2, 3)).sum().backward()
        return [*told, emptied is module, module.weight, module.weight.grad, str(module.weight.device)]

    same(run)


def test_modules_move_to_it():
    def run(lib):
        module = net(lib)
        bare = copy.deepcopy(module).to("meta")
        told = [[repr(t) for t in bare.state_dict().values()], sum(p.numel() for p in bare.parameters())]
        told.append([repr(p) for p in copy.deepcopy(bare).parameters()])
        told.append(str(bare.load_state_dict(module.state_dict(), assign=True)))
        same_data = [bool(lib.equal(a, b)) for a, b in zip(bare.parameters(), module.parameters())]
        return [*told, same_data, [p.requires_grad for p in bare.parameters()]]

    same(run)


def test_filling_does_nothing():
    def run(lib):
        weight = lib.empty(3, 3, device="meta")
        filled = [lib.nn.init.xavier_uniform_(weight), weight.zero_(), weight.copy_(lib.ones(3, 3))]
        return [t is weight for t in filled]

    same(run)


def test_blocks_say_where_tensors_are_made():
    def run(lib):
        with lib.device("meta"):
            module, here = (
                lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.BatchNorm1d(3)),
                lib.get_default_device(),
            )
            real = lib.as_tensor(2.0, device="cpu").to(dtype=lib.float64)
            made = [
                real,
                lib.zeros(2),
                lib.arange(3),
                lib.tensor([1.0]),
                lib.rand(2),
                lib.zeros(1, device="cpu"),
            ]
            with lib.device("cpu"):
                made.append(lib.ones(1))
        made += [lib.zeros(1), *module.state_dict().values()]
        return [str(t.device) for t in made] + [str(here), str(lib.get_default_device())]

    same(run)


def test_blocks_end_with_errors():
    with pytest.raises(AssertionError, match="CUDA"), rushlight.device("cuda"):
        rushlight.zeros(2)
    assert rushlight.zeros(2).device.type == "cpu"


def test_the_default_device():
    for lib in BOTH:
        lib.set_default_device("meta")
        try:
            assert lib.zeros(2).is_meta
        finally:
            lib.set_default_device(None)
        assert not lib.zeros(2).is_meta


def test_ensembles_of_modules():
    def run(lib):
        lib.manual_seed(0)
        models = [
            lib.nn.Sequential(lib.nn.Linear(4, 3), lib.nn.ReLU(), lib.nn.Linear(3, 2)) for _ in range(3)
        ]
        params, buffers = lib.func.stack_module_state(models)
        base = copy.deepcopy(models[0]).to("meta")
        x = lib.rand(3, 5, 4)

        def call(p, b, x):
            return lib.func.functional_call(base, (p, b), (x,))

        one = lib.vmap(call)(params, buffers, x)
        all_of_one = lib.vmap(call, in_dims=(0, 0, None))(params, buffers, x[0])
        return [tuple(one.shape), lib.allclose(all_of_one[1], models[1](x[0]), atol=1e-6)]

    same(run)


def test_they_pickle():
    kept = io.BytesIO()
    import pickle

    pickle.dump([rushlight.zeros(2, device="meta"), rushlight.nn.Linear(2, 1, device="meta")], kept)
    kept.seek(0)
    tensor, module = pickle.load(kept)
    assert tensor.is_meta
    assert module.weight.is_meta
    assert module.weight.requires_grad


@pytest.mark.parametrize(
    "call",
    """
T.rand(2, device='cuda')
T.randn(2, device='cuda')
T.randint(3, (2,), device='cuda')
T.randperm(2, device='cuda')
T.normal(0.0, 1.0, (2,), device='cuda')
T.rand_like(T.ones(2), device='cuda')
T.hann_window(3, device='cuda')
T.arange(2, device='cuda')
T.ones(2).to('cuda')
""".strip().splitlines(),
)
def test_no_numbers_are_drawn_for_other_devices(call):
    same(lambda lib: eval(call, {"T": lib}))
