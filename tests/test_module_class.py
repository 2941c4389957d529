"""Module, containers, hooks, state and nn.init against live PyTorch: small programs whose every answer is compared."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from both import same

import rushlight
import rushlight.nn

EXPRESSIONS = """
m().register_buffer(3, None)
m().register_buffer('a.b', None)
m().register_buffer('', None)
m().register_buffer('train', None)
m().register_buffer('x', 3)
m().register_parameter(3, None)
m().register_parameter('a.b', None)
m().register_parameter('', None)
m().register_parameter('train', None)
m().register_parameter('x', T.ones(1))
m().add_module(3, None)
m().add_module('a.b', None)
m().add_module('', None)
m().add_module('train', None)
m().add_module('x', T.ones(1))
setattr(l, 'weight', 3)
setattr(l, 'weight', T.ones(1))
setattr(q, '0', 3)
setattr(nn.BatchNorm1d(2), 'running_mean', 3)
l.foo
delattr(l, 'foo')
m()(1)
m().train(3)
l.to(T.int32)
l.to('foo')
l.double().weight
l.half().bias.dtype, l.float().weight.dtype, l.bfloat16().weight.dtype
l.to(T.float64).bias.dtype, l.to(T.ones(1)).bias.dtype, l.to('cpu', T.float16).bias.dtype
l.to(device='cpu', dtype=T.float64).bias.dtype
l.type(T.float64).weight.dtype
l.load_state_dict(3)
l.load_state_dict({})
l.load_state_dict({'weight': T.ones(2, 2), 'bias': 3, 'foo': 1})
q.load_state_dict({'0.weight': T.ones(3, 2), 'foo': 1, '1.q': 3})
q.load_state_dict({'0.weight': T.ones(3, 2), 'foo.bar': 1, '0.weight.x': 3, '0': 2})
str(l.load_state_dict({'weight': T.ones(3, 2), 'f': 3}, strict=False))
str(l.load_state_dict(l.state_dict()))
repr(l.load_state_dict(l.state_dict(), assign=True))
q.get_submodule('a')
q.get_submodule('0.weight')
q.get_submodule('0').in_features
q.get_parameter('0.a')
q.get_parameter('0.weight').shape
q.get_parameter('0')
q.get_buffer('0')
q.get_buffer('0.weight')
nn.BatchNorm1d(2).get_buffer('running_mean')
[q.set_submodule('0', nn.ReLU()), str(q)]
q.set_submodule('', nn.ReLU())
q[5]
q[-3]
q['a']
str(q[1:]), str(q[-1]), len(q)
nn.Sequential(1)
nn.Sequential(l) + 3
str(nn.Sequential(l) + nn.Sequential(nn.ReLU()))
str(nn.Sequential(l) * 2)
str(nn.Sequential(l).append(nn.ReLU()).extend([nn.Tanh()]).insert(1, nn.ELU()))
[str(nn.Sequential(l, nn.ReLU()).pop(0))]
[d.__delitem__(0) or str(d) for d in [nn.Sequential(l, nn.ReLU(), nn.Tanh())]]
[d.__delitem__(slice(0, 2)) or str(d) for d in [nn.Sequential(l, nn.ReLU(), nn.Tanh())]]
[d.__setitem__(1, nn.Tanh()) or str(d) for d in [nn.Sequential(l, nn.ReLU())]]
[d.__setitem__(0, nn.Tanh()) or str(d) for d in [nn.Sequential(OrderedDict(a=l))]]
nn.ModuleList([1])
nn.ModuleList(3)
nn.ModuleList([l]).extend(3)
nn.ModuleList([l])[4]
nn.ModuleList([l])(3)
str(nn.ModuleList([l, l, nn.ReLU(), l])), len(nn.ModuleList([l, l]))
str(nn.ModuleList([l, nn.ReLU()])[:1]), str(nn.ModuleList([l, nn.ReLU()])[-1])
str(nn.ModuleList([l]) + [nn.ReLU()])
[d.insert(0, nn.ReLU()) or str(d) for d in [nn.ModuleList([l])]]
[d.__delitem__(0) or str(d) for d in [nn.ModuleList([l, nn.ReLU()])]]
str(nn.ModuleList()), str(nn.Sequential()), str(nn.ModuleDict())
nn.ModuleDict({'a': 1})
nn.ModuleDict(3)
nn.ModuleDict([3])
nn.ModuleDict([(1, 2, 3)])
nn.ModuleDict([(1, l)])
str(nn.ModuleDict({'a': l, 'b': nn.ReLU()})), list(nn.ModuleDict({'a': l}).keys()), 'a' in nn.ModuleDict({'a': l})
str(nn.ModuleDict([('x', l)]).pop('x'))
str(nn.ParameterList([T.ones(2, 3), 3, nn.Parameter(T.ones(1))]))
len(nn.ParameterList([1, 2])), nn.ParameterList([1, 2])[-1], nn.ParameterList([1, 2, 3])[1:][0]
nn.ParameterList([1])[3]
nn.ParameterList(3)
[n for n, _ in nn.ParameterList([T.ones(1), T.ones(2)]).named_parameters()]
nn.ParameterList([T.ones(1)])()
str(nn.ParameterDict({'a': T.ones(2), 'b': 3}))
nn.ParameterDict({'a': 1})['b']
nn.ParameterDict(3)
list(nn.ParameterDict({'a': T.ones(1), 'b': T.ones(2)}).state_dict())
nn.ParameterDict({'a': 1}).get('b', 5), nn.ParameterDict({'a': 1}).setdefault('a', 2)
sorted(nn.ParameterDict({'a': 1}) | nn.ParameterDict({'b': 2}))
[n for n, _ in q.named_modules()], [n for n, _ in q.named_children()], [n for n, _ in q.named_parameters()]
[n for n, _ in nn.Sequential(l, l).named_parameters()], len(list(nn.Sequential(l, l).children()))
[n for n, _ in nn.Sequential(l, l).named_parameters(remove_duplicate=False)]
[n for n, _ in nn.Sequential(l, nn.BatchNorm1d(2)).named_buffers(prefix='p')]
[n for n, _ in q.named_parameters(recurse=False)], [n for n, _ in l.named_parameters('x')]
q.state_dict()._metadata
list(q.state_dict(prefix='p.')), q.state_dict(keep_vars=True)['0.weight'].requires_grad
list(l.state_dict({}, 'x.'))
[type(p).__name__ for p in q.parameters()]
[p.requires_grad for p in q.requires_grad_(False).parameters()]
[a for a in dir(l) if not a.startswith('_')].__len__() > 50, 'weight' in dir(l)
list(vars(m())), l.training, q.eval()[1].training, q.train().training
str(nn.Module()), repr(nn.Identity(3))
nn.MSELoss(size_average=False).reduction, nn.MSELoss(reduce=False).reduction
nn.Dropout(2)
nn.Dropout(-0.1)
nn.TripletMarginLoss(margin=-1)
nn.MultiMarginLoss(p=3)
nn.Unflatten(1, 3)
nn.Unflatten(1, (1., 2))
nn.ReLU(1, 2, 3)
nn.ReLU(foo=1)
nn.Threshold(1)
nn.Hardtanh(2, 1)
nn.Softmax2d()(T.ones(2))
nn.Sigmoid(3)
nn.Conv2d(3, 4, 2, groups=2)
nn.Conv2d(4, 3, 2, groups=2)
nn.Conv2d(1, 1, 1, stride=2, padding='same')
nn.Conv2d(1, 1, 1, groups=0)
nn.ConvTranspose2d(1, 1, 1, padding_mode='reflect')
nn.ConvTranspose2d(1, 1, 3, stride=2)(T.ones(1, 1, 4, 4), output_size=(12, 12))
nn.ConvTranspose2d(1, 1, 3, stride=2)(T.ones(1, 1, 4, 4), output_size=(12,))
nn.ConvTranspose2d(1, 1, 3, stride=2)(T.ones(1, 1, 4, 4), output_size=(10, 9)).shape
nn.GroupNorm(3, 4)
nn.BatchNorm1d(2)(T.ones(2, 2, 2, 2))
nn.BatchNorm2d(2)(T.ones(2, 2))
nn.BatchNorm1d(2)(T.ones(1, 2))
nn.InstanceNorm2d(2)(T.ones(2, 2))
nn.InstanceNorm2d(3, affine=True)(T.ones(2, 2, 2, 2))
nn.Embedding(3, 2, 5)
nn.Embedding(3, 2, _weight=T.ones(1, 1))
nn.Embedding.from_pretrained(T.ones(2))
nn.Embedding.from_pretrained(T.ones(2, 3)).weight
nn.LazyLinear(2).weight.shape
nn.LazyConv2d(3, 2)(T.ones(3))
str(nn.LazyLinear(2)), str(nn.LazyConv2d(2, 3)), str(nn.LazyBatchNorm1d())
str(nn.LazyLinear(2).state_dict())
[str(d.double()), d(T.ones(1, 3).double()).dtype] if [d := nn.LazyLinear(2)] else 0
[d.load_state_dict(nn.Linear(5, 2).state_dict()), d.weight.shape] if [d := nn.LazyLinear(2)] else 0
nn.Buffer(T.ones(1)), isinstance(nn.Buffer(T.ones(1)), nn.Buffer), isinstance(T.ones(1), nn.Buffer)
nn.Linear(0, 3)(T.ones(2, 0)).shape
nn.Linear(2, 3, dtype=T.float64)(T.ones(1, 2, dtype=T.float64)).dtype
l(T.ones(2, 5))
nn.utils.parameters_to_vector(l.parameters())
[nn.utils.vector_to_parameters(T.arange(9.), l.parameters()), l.weight, l.bias]
nn.utils.vector_to_parameters(3, l.parameters())
""".strip().splitlines()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression(expression: str) -> None:
    def program(T: Any) -> Any:
        T.manual_seed(0)
        l = T.nn.Linear(2, 3)
        names = {"T": T, "nn": T.nn, "m": T.nn.Module, "l": l, "q": T.nn.Sequential(l, T.nn.Linear(3, 1))}
        return eval(expression, names | {"OrderedDict": OrderedDict})

    same(program)


# ---- programs ----


def before_init(T: Any) -> list:
    class A(T.nn.Module):
        def __init__(self, what: str) -> None:
            eval(what, {"self": self, "nn": T.nn, "T": T})

    seen = []
    for what in (
        "setattr(self, 'l', nn.Linear(1, 1))",
        "setattr(self, 'p', nn.Parameter(T.ones(1)))",
        "self.register_buffer('b', None)",
        "self.register_parameter('b', None)",
        "self.add_module('b', None)",
        "self.parameters",
        "list(self.parameters())",
        "repr(self)",
        "self.foo",
    ):
        try:
            A(what)
            seen.append("fine")
        except AttributeError as error:
            seen.append(str(error))
    return seen


def attributes(T: Any) -> list:
    m = T.nn.Module()
    seen = []
    m.x = 3
    m.x = T.nn.Parameter(T.ones(1))
    seen.append([dict(m.named_parameters()), "x" in m.__dict__])
    m.register_buffer("b", T.zeros(2), persistent=False)
    seen.append([list(m.state_dict()), dict(m.named_buffers())])
    m.b = T.ones(1)
    m.b = None
    seen.append([list(m.named_buffers()), m.b])
    m.x = None
    seen.append([m.x, list(m.parameters())])
    del m.x
    seen.append([hasattr(m, "x")])
    m.c = T.nn.ReLU()
    m.c = None
    m.d = T.nn.Buffer(T.ones(1), persistent=False)
    m.e = T.nn.Buffer(T.ones(1))
    seen.append([list(m.state_dict()), str(m), m._non_persistent_buffers_set])
    return seen


def forward_hooks(T: Any) -> list:
    seen = []
    l = T.nn.Linear(1, 1)
    x = T.ones(1)
    l.register_forward_pre_hook(lambda m, args: seen.append(["pre", args]))
    l.register_forward_pre_hook(lambda m, args: args[0] * 2, prepend=True)
    l.register_forward_pre_hook(lambda m, a, k: (a, {**k, "input": a[0]} if False else k), with_kwargs=True)
    l.register_forward_hook(lambda m, args, out: seen.append(["post", args, out]))
    replace = l.register_forward_hook(lambda m, args, kwargs, out: out + len(kwargs), with_kwargs=True)
    l.register_forward_hook(lambda m, a, o: seen.append("first"), prepend=True)
    l.register_forward_hook(lambda m, a, o: seen.append("always"), always_call=True)
    seen += [l(x), l(input=x) if False else None]
    replace.remove()
    seen.append(l(x))
    try:
        l(T.ones(3))
    except RuntimeError:
        seen.append("raised")
    with l.register_forward_hook(lambda m, a, o: o * 0):
        seen.append(l(x))
    everywhere = T.nn.modules.module.register_module_forward_hook(
        lambda m, a, o: seen.append(type(m).__name__)
    )
    T.nn.Sequential(T.nn.ReLU(), T.nn.Tanh())(x)
    everywhere.remove()
    T.nn.ReLU()(x)
    return seen


def backward_hooks(T: Any) -> list:
    seen = []
    net = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.Tanh(), T.nn.Linear(3, 1)).double()
    for module in net:
        module.register_full_backward_hook(lambda m, i, o: seen.append([type(m).__name__, i, o]))
    net[1].register_full_backward_hook(lambda m, i, o: (i[0] * 2,))
    net[2].register_full_backward_pre_hook(lambda m, o: (o[0] * 3,))
    x = T.ones(4, 2).double()
    net(x).sum().backward()
    seen += [p.grad for p in net.parameters()]
    net.zero_grad()
    x.requires_grad_()
    y = net(x)
    seen.append([type(y.grad_fn).__name__])
    y.sum().backward()
    seen.append(x.grad)
    bilinear = T.nn.Bilinear(2, 2, 1).double()
    bilinear.register_full_backward_hook(lambda m, i, o: seen.append([i, o]))
    bilinear(x, T.ones(4, 2).double()).sum().backward()
    net[0].register_full_backward_hook(lambda m, i, o: (None, None))
    try:
        net(x).sum().backward()
    except RuntimeError as error:
        seen.append(str(error))
    with T.no_grad():
        seen.append(net(x).requires_grad)
    return seen


def state_hooks(T: Any) -> list:
    seen = []
    m = T.nn.Sequential(T.nn.Linear(1, 1))
    m.register_state_dict_pre_hook(lambda *a: seen.append(["pre", *a[1:]]))
    m[0].register_state_dict_post_hook(lambda m, d, prefix, meta: d.update({prefix + "more": 1}))
    m._register_state_dict_hook(lambda m, d, prefix, meta: seen.append([prefix, dict(meta)]))
    seen.append(list(m.state_dict()))
    m.register_load_state_dict_pre_hook(lambda m, d, prefix, *rest: seen.append([prefix, len(rest)]))
    m[0]._register_load_state_dict_pre_hook(lambda d, prefix, *rest: d.pop(prefix + "more"))
    m.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    saved = m.state_dict()
    del saved["0.bias"]
    seen.append(str(m.load_state_dict(saved)))
    return seen


def extra_state(T: Any) -> list:
    class Counting(T.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    a, b = T.nn.Sequential(Counting()), T.nn.Sequential(Counting())
    a[0].count = 5
    b.load_state_dict(a.state_dict())
    seen = [list(a.state_dict()), b[0].count]
    for given in ({}, {"0._extra_state": {"count": 1}, "_extra_state": 2}):
        try:
            b.load_state_dict(given)
        except RuntimeError as error:
            seen.append(str(error))
    return seen


def sharing(T: Any) -> list:
    """Conversion keeps the parameters the same objects; copies share nothing; ties survive copying."""
    m = T.nn.Linear(2, 2)
    weight = m.weight
    m(T.ones(1, 2)).sum().backward()
    m.double()
    seen = [m.weight is weight, weight.dtype, weight.grad.dtype, weight.grad]
    m.register_buffer("steps", T.tensor(3))
    m.half()
    seen += [m.steps.dtype, m.float().weight.grad.dtype]
    m.tied = m.weight
    other = copy.deepcopy(m)
    seen += [
        other.tied is other.weight,
        other.weight is m.weight,
        other.weight.requires_grad,
        len(list(other.parameters())),
    ]
    third = pickle.loads(pickle.dumps(m))
    seen += [third.tied is third.weight, third.training, str(third)]
    m.zero_grad()
    seen.append(m.weight.grad)
    m(T.ones(1, 2)).sum().backward()
    m.zero_grad(set_to_none=False)
    seen.append(m.weight.grad)
    assigned = {"weight": T.ones(2, 2).double(), "bias": T.nn.Parameter(T.ones(2)), "steps": T.tensor(4)}
    del m.tied
    m.load_state_dict(assigned, assign=True)
    seen += [m.weight.dtype, m.weight.requires_grad, m.bias is assigned["bias"], m.steps]
    order = []
    T.nn.Sequential(T.nn.ReLU(), T.nn.Sequential(T.nn.Tanh())).apply(lambda m: order.append(type(m).__name__))
    return [*seen, order]


def clipping(T: Any) -> list:
    def fresh() -> list:
        a, b, c = (T.arange(n, dtype=T.float32).requires_grad_() for n in (3.0, 4.0, 2.0))
        ((a**2).sum() + (b**3).sum()).backward()
        return [a, b, c]

    seen = []
    clip = T.nn.utils.clip_grad_norm_
    for norm in (2, 1, float("inf"), 0.5, 3.0):
        params = fresh()
        seen += [clip(params, 1.0, norm), [p.grad for p in params]]
    params = fresh()
    seen += [clip(iter(params), 1e6), params[0].grad, clip([], 1.0), clip(params[0], 0.1)]
    T.nn.utils.clip_grad_value_(params, 0.05)
    seen.append([p.grad for p in params])
    params[0].grad[0] = float("nan")
    seen += [clip(params, 1.0), T.nn.utils.get_total_norm([T.ones(2), T.ones(3)])]
    clip(params, 1.0, error_if_nonfinite=True)
    return seen


PROGRAMS = [
    before_init,
    attributes,
    forward_hooks,
    backward_hooks,
    state_hooks,
    extra_state,
    sharing,
    clipping,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_program(program: Any) -> None:
    def run(T: Any) -> Any:
        T.manual_seed(0)
        return program(T)

    same(run)


# ---- first values ----

SHAPES = [(5, 3), (4, 3, 2), (6, 2, 3, 3)]
INIT = """
uniform_(t, -1, 2)
normal_(t, 1, 0.5)
trunc_normal_(t)
trunc_normal_(t, 0.5, 2.0, -1, 1.5)
trunc_normal_(t, 0.0, 1.0, 1, 3)
trunc_normal_(t, 1.0, 2.0, 1, 1.5)
trunc_normal_(t, -1.0, 0.5, 0, 2)
constant_(t, 0.3)
ones_(t)
zeros_(t)
xavier_uniform_(t)
xavier_uniform_(t, 2.0)
xavier_normal_(t)
kaiming_uniform_(t)
kaiming_uniform_(t, 0.3, 'fan_out')
kaiming_uniform_(t, nonlinearity='relu')
kaiming_normal_(t, mode='fan_out', nonlinearity='relu')
kaiming_normal_(t, nonlinearity='tanh')
sparse_(t, 0.4)
eye_(t)
dirac_(t)
dirac_(t, 2)
kaiming_uniform_(t, mode='foo')
kaiming_uniform_(t, nonlinearity='foo')
normal_(t, generator=T.Generator().manual_seed(1))
xavier_uniform_(t[0, 0] if t.dim() == 3 else t)
calculate_gain('leaky_relu', 0.2)
calculate_gain('selu'), init.calculate_gain('tanh'), init.calculate_gain('conv1d')
calculate_gain('foo')
calculate_gain('leaky_relu', True)
""".strip().splitlines()


@pytest.mark.parametrize("expression", INIT)
def test_init(expression: str) -> None:
    def run(T: Any) -> Any:
        seen = []
        for shape in SHAPES:
            T.manual_seed(1)
            t = T.nn.Parameter(T.zeros(shape))
            try:
                seen.append(eval("init." + expression, {"init": T.nn.init, "t": t, "T": T}))
            except ValueError as error:
                seen.append(str(error))
            seen += [t.detach(), T.rand(1)]
        return seen

    same(run)


def test_orthogonal() -> None:
    """Equal up to what two LAPACKs round differently."""
    for shape in [(5, 3), (3, 5), (4, 2, 3)]:
        for T in (torch, rushlight):
            T.manual_seed(1)
        a, b = (T.nn.init.orthogonal_(T.empty(shape), 2.0) for T in (torch, rushlight))
        np.testing.assert_allclose(b.tolist(), a.tolist(), 1e-4, 1e-5)


def test_import_is_lazy() -> None:
    import subprocess
    import sys

    code = "import sys, rushlight; print([m for m in sys.modules if m.startswith(('rushlight.nn', 'rushlight.optim', 'rushlight.utils.data'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_constructors_take_pytorchs_arguments() -> None:
    """Every argument name and default of a layer's constructor that is written out is PyTorch's."""
    for name in rushlight.nn.modules.__all__:
        ours, theirs = getattr(rushlight.nn, name), getattr(torch.nn, name, None)
        if theirs is None:
            continue
        wanted = _defaults(theirs.__init__)
        found = (
            ours.settings
            if hasattr(ours, "settings")
            and ours.__init__ is rushlight.nn.modules.stateless.Stateless.__init__
            else _defaults(ours.__init__)
        )
        if wanted and found:
            assert {k: _plain(v) for k, v in found.items()} == {k: _plain(v) for k, v in wanted.items()}, name


def _defaults(function: Any) -> dict:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        return {}
    return {p.name: p.default for p in parameters}


def _plain(value: Any) -> Any:
    if value is inspect.Parameter.empty or value is rushlight.nn.modules.stateless.NEEDED:
        return "needed"
    return getattr(value, "__name__", value) if not callable(value) else "function"


warnings.filterwarnings("ignore", message="Lazy modules")


def test_examples() -> None:
    """The examples in the docstrings of nn, optim and utils.data print what they say."""
    import doctest
    import importlib
    import pkgutil

    import rushlight.optim
    import rushlight.utils.data

    tried = 0
    for package in (rushlight.nn, rushlight.optim, rushlight.utils.data):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            results = doctest.testmod(importlib.import_module(info.name))
            assert not results.failed, info.name
            tried += results.attempted
    assert tried > 100
