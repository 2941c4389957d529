"""Names that few programs use, against PyTorch: recurrent functions, smooth resizing, hub, overrides, bases of losses."""

import itertools

import pytest
import torch
from both import same

import rushlight

BOTH = (torch, rushlight)


def layers(lib, kind, layers, both, bias, projection=0):
    lib.manual_seed(0)
    options = {"num_layers": layers, "bidirectional": both, "bias": bias}
    module = getattr(lib.nn, kind)(3, 4, **options, **({"proj_size": projection} if projection else {}))
    return module.double()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    ("count", "both", "bias"), [*itertools.product((1, 2), (False, True), (False, True))]
)
def test_recurrent_functions(kind, count, both, bias):
    def run(lib):
        module = layers(lib, kind, count, both, bias)
        weights = list(module.parameters())
        x = lib.arange(30.0, dtype=lib.float64).view(5, 2, 3) / 10
        h = lib.full((count * (1 + both), 2, 4), 0.1, dtype=lib.float64, requires_grad=True)
        function = {"LSTM": lib.lstm, "GRU": lib.gru, "RNN": lib.rnn_tanh}[kind]
        state = (h, h * 2) if kind == "LSTM" else h
        found = function(x, state, weights, bias, count, 0.0, False, both, False)
        turned = function(x.transpose(0, 1), state, weights, bias, count, 0.0, False, both, True)
        packed = lib.nn.utils.rnn.pack_padded_sequence(x, [5, 3])
        parts = function(packed.data, packed.batch_sizes, state, weights, bias, count, 0.0, True, both)
        sum(t.sum() for t in (*found, *turned, *parts)).backward()
        return [*found, *turned, *parts, h.grad, *[w.grad for w in weights]]

    same(run)


def test_projections():
    def run(lib):
        module = layers(lib, "LSTM", 1, False, True, projection=2)
        x = lib.ones(3, 1, 3, dtype=lib.float64)
        h, c = lib.zeros(1, 1, 2, dtype=lib.float64), lib.zeros(1, 1, 4, dtype=lib.float64)
        return list(lib.lstm(x, (h, c), list(module.parameters()), True, 1, 0.0, False, False, False))

    same(run)


@pytest.mark.parametrize("bias", [True, False])
def test_cells(bias):
    def run(lib):
        lib.manual_seed(1)
        x, h = lib.randn(2, 3, dtype=lib.float64), lib.randn(2, 4, dtype=lib.float64)
        found = []
        for name, gates in (("lstm_cell", 4), ("gru_cell", 3), ("rnn_tanh_cell", 1), ("rnn_relu_cell", 1)):
            shapes = [(4 * gates, 3), (4 * gates, 4)] + [(4 * gates,)] * 2 * bias
            weights = [lib.randn(shape, dtype=lib.float64) for shape in shapes]
            made = getattr(lib, name)(x, (h, h + 1) if name == "lstm_cell" else h, *weights)
            found += made if isinstance(made, tuple) else [made]
        return found

    same(run)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("align", [None, True, False])
@pytest.mark.parametrize(
    "how", [{"size": (3, 5)}, {"size": (16, 11)}, {"scale_factor": (0.4, 1.7)}, {"scale_factor": 0.5}]
)
def test_smooth_resizing(mode, align, how):
    if mode == "lanczos":
        align = None
    answers = []
    for lib in BOTH:
        lib.manual_seed(0)
        x = lib.rand(2, 3, 8, 7, dtype=lib.float64, requires_grad=True)
        y = lib.nn.functional.interpolate(x, mode=mode, align_corners=align, antialias=True, **how)
        (y * lib.arange(y.numel()).view(y.shape)).sum().backward()
        answers.append([*y.flatten().tolist(), *x.grad.flatten().tolist()])
    assert answers[1] == pytest.approx(answers[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("asked", [{}, {"mode": "linear"}, {"mode": "lanczos", "antialias": False}])
def test_smooth_resizing_refused(asked):
    same(lambda lib: lib.nn.functional.interpolate(lib.ones(1, 1, 4, 4), 2, **{"antialias": True, **asked}))


def test_smooth_images_of_bytes():
    made = []
    for lib in BOTH:
        image = lib.tensor([[[[0, 200, 0, 200], [100, 0, 255, 255]]]], dtype=lib.uint8)
        small = [lib.nn.functional.interpolate(image, (1, n), mode="bicubic", antialias=True) for n in (2, 9)]
        made.append([n for t in small for n in t.flatten().tolist()])
    assert made[1] == pytest.approx(made[0], abs=1)  # PyTorch's weights have eight or nine bits


def test_losses_of_a_programs_own():
    def run(lib):
        class Absolute(lib.nn.modules.loss._Loss):
            def __init__(self, size_average=None, reduce=None, reduction="mean"):
                super().__init__(size_average, reduce, reduction)

            def forward(self, x, y):
                return getattr((x - y).abs(), self.reduction)()

        class Weighted(lib.nn.modules.loss._WeightedLoss):
            def forward(self, x, y):
                return (self.weight * (x - y)).sum()

        x, y = lib.tensor([1.0, 4.0]), lib.tensor([2.0, 2.0])
        weighted = Weighted(weight=lib.tensor([1.0, 2.0]), reduction="sum")
        known = [
            isinstance(m, lib.nn.modules.loss._WeightedLoss) for m in (lib.nn.NLLLoss(), lib.nn.L1Loss())
        ]
        return [Absolute(reduction="sum")(x, y), Absolute()(x, y), weighted(x, y), *known, str(weighted)]

    same(run)


def test_subclasses():
    def run(lib):
        class Named(lib.Tensor):
            pass

        x = lib.ones(2, requires_grad=True)
        named = x.as_subclass(Named)
        (named * 3).sum().backward()
        y = lib.zeros(2)
        y.as_subclass(Named)[0] = 5
        return [type(named).__name__, x.grad, y, named.grad_fn.name()]

    same(run)
    same(lambda lib: lib.ones(1).as_subclass(int))
    same(lambda lib: lib.ones(1).as_subclass(3))


def test_overrides():
    def run(lib):
        class Outer:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return cls.__name__, func.__name__, [t.__name__ for t in types], kwargs

        class Inner(Outer):
            pass

        class Silent(Outer):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return NotImplemented

        overrides = lib.overrides

        def double(*xs, by=2):
            if overrides.has_torch_function(xs):
                return overrides.handle_torch_function(double, xs, *xs, by=by)
            return xs[0] * by

        wrapped = overrides.wrap_torch_function(lambda x: (x,))(lambda x: x + 1)
        told = []
        for xs in ((Outer(),), (Outer(), Inner()), (lib.ones(1), Silent(), Outer()), (lib.ones(1),)):
            told.append(double(*xs, by=3))
        try:
            double(Silent())
        except TypeError as error:
            told.append(str(error).partition(" on ")[2].partition(":")[0])
        told += [wrapped(lib.ones(1)), wrapped(Silent()) if False else None]
        told += [overrides.is_tensor_like(v) for v in (lib.ones(1), Outer(), 3, "x")]
        return told

    same(run)
    names = rushlight.overrides.resolve_name
    assert names(rushlight.add) == "torch.add"
    assert names(rushlight.linalg.det) == "torch.linalg.det"
    assert names(rushlight.Tensor.tolist) == "torch.Tensor.tolist"
    assert names(len) is None
    assert rushlight.overrides.is_tensor_method_or_property(rushlight.Tensor.tolist)
    functions = rushlight.overrides.get_overridable_functions()
    assert rushlight.add in functions[rushlight]
    assert rushlight.zeros not in functions[rushlight]


def test_hub(tmp_path, monkeypatch):
    (tmp_path / "hubconf.py").write_text(
        "dependencies = ['math']\nimport part\n"
        "def model(scale=1):\n    'A model.'\n    return part.base * scale\ndef _hidden(): ...\n"
    )
    (tmp_path / "part.py").write_text("base = 20\n")
    repo = str(tmp_path)
    for lib in BOTH:
        assert lib.hub.load(repo, "model", source="local", scale=2) == 40
        with pytest.raises(RuntimeError, match="Cannot find callable other in hubconf"):
            lib.hub.load(repo, "other", source="local")
        with pytest.raises(ValueError, match="Unknown source"):
            lib.hub.load(repo, "model", source="elsewhere")
    assert rushlight.hub.list(repo) == ["model"]
    assert rushlight.hub.help(repo, "model") == "A model."
    with pytest.raises(NotImplementedError, match="does not fetch code"):
        rushlight.hub.load("pytorch/vision", "resnet18")


def test_weights_from_the_net(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    assert rushlight.hub.get_dir() == str(tmp_path / "home" / "hub")
    rushlight.save({"w": rushlight.ones(2)}, tmp_path / "weights.pt")
    url = (tmp_path / "weights.pt").as_uri()
    for _ in range(2):  # fetched, then found
        found = rushlight.hub.load_state_dict_from_url(url, progress=False)
        assert found["w"].tolist() == [1, 1]
    assert (tmp_path / "home" / "hub" / "checkpoints" / "weights.pt").exists()
    with pytest.raises(RuntimeError, match="invalid hash value"):
        rushlight.hub.download_url_to_file(url, tmp_path / "copy.pt", hash_prefix="0" * 20)
    assert not (tmp_path / "copy.pt").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "weights.pt"]
    assert rushlight.utils.model_zoo.load_url is rushlight.hub.load_state_dict_from_url


def test_traces_are_what_was_traced():
    module = rushlight.nn.Linear(2, 1).eval()
    x = rushlight.ones(1, 2)
    assert rushlight.jit.trace(module, x) is module
    assert rushlight.jit.trace_module(module, {"forward": x}) is module
    assert rushlight.jit.freeze(module) is module
    assert rushlight.jit.optimize_for_inference(module) is module
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        rushlight.jit.trace(module, rushlight.ones(3, 3))
    with pytest.raises(RuntimeError, match="eval mode"):
        rushlight.jit.freeze(module.train())


def test_normalisation_of_processes():
    def run(lib):
        lib.manual_seed(0)
        model = lib.nn.Sequential(lib.nn.Linear(3, 3), lib.nn.Sequential(lib.nn.BatchNorm1d(3)))
        made = lib.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return [made is model, str(made), list(made.state_dict())]

    same(run)


def test_what_is_asked_of_other_processors():
    def run(lib):
        from importlib import import_module

        common = import_module(f"{lib.__name__}.nn.common_types")
        collate = import_module(f"{lib.__name__}.utils.data._utils.collate")
        batch = collate.default_collate([lib.ones(1), lib.zeros(1)])
        return [lib.xpu.is_available(), lib.xpu.device_count(), batch, hasattr(common, "_size_2_t")]

    same(run)
    assert rushlight.backends.quantized.engine == "none"


@pytest.mark.parametrize(
    "call",
    """
F.glu(x, 1)
F.glu(x)
F.glu(x[0, 0, 0, 0])
F.glu(x[:, :, :3], 2)
F.glu(x.long())
F.pixel_shuffle(x, 2)
F.pixel_shuffle(x, 1)
F.pixel_unshuffle(x, 2)
F.pixel_unshuffle(x[0], 4)
T.clamp(x[0, 0, 0], -0.5, T.tensor(0.5))
T.clamp(x[0, 0, 0], T.tensor(-0.5), 0.5)
T.clamp(x[0, 0, 0], -0.5, T.tensor([0.5]))
T.clamp(x[0, 0, 0], -0.5, T.tensor(0.5, requires_grad=True))
T.histc(x, 4)
""".strip().splitlines(),
)
def test_operations_are_the_nodes_that_pytorch_has(call):
    def run(lib):
        x = (lib.arange(128.0, dtype=lib.float64).sin()).view(1, 8, 4, 4).requires_grad_()
        made = eval(call, {"F": lib.nn.functional, "T": lib, "x": x})
        if made.grad_fn is None:
            return made
        weights = lib.arange(float(made.numel()), dtype=lib.float64).view(made.shape)
        (first,) = lib.autograd.grad((made * weights).sum(), x, create_graph=True)
        second = lib.autograd.grad(first.square().sum(), x)[0] if first.grad_fn else None
        return [made, made.grad_fn.name(), first, second]

    same(run)
