"""Calls that PyTorch refuses, and calls near to them: both libraries answer alike, in value or in error."""

import numpy as np
import pytest
import torch
from both import same

import rushlight

CALLS = """
resolve_conj('t')
resolve_neg('t')
F.adaptive_avg_pool2d('t', 5)
F.adaptive_avg_pool2d(f(1, 1, 1, 1), (-1, 0))
F.adaptive_max_pool1d('t', 5)
F.adaptive_max_pool1d(f(1, 1, 1), -1)
F.adaptive_max_pool2d(f(1, 1, 1), (1, -1))
F.adaptive_max_pool3d('t', 5)
F.channel_shuffle('t', 2)
F.cosine_embedding_loss('t', f(5, 5), f(5))
F.cosine_embedding_loss(f(5, 5), f(5, 5), 't')
F.embedding_bag(i(5), f(3), i(1), mode='sum')
F.embedding_bag(i(5), f(3, 2), i(1) + 7, mode='sum')
F.embedding_bag(i(5) + 7, f(3, 2), i(1), mode='sum')
F.embedding_bag(f(5), f(3, 2), i(1), mode='sum')
F.embedding_bag(i(5, 1), f(3, 2), mode='sum', padding_idx=8)
F.embedding_bag(i(5, 1), f(3, 2), mode='sum', padding_idx=-3)
F.grid_sample('t', f(2, 5, 5, 2), align_corners=False)
F.grid_sample(f(2, 5, 5, 2), 't', align_corners=False)
F.hinge_embedding_loss('t', f(5))
F.hinge_embedding_loss(f(5), 't')
F.margin_ranking_loss('t', f(5), f(5))
F.max_unpool1d(f(8, 8), i(8, 7), 3, 2, 0)
F.max_unpool1d(f(4), i(4), 3, 2, 0)
F.max_unpool1d(f(1, 1, 2), i(1, 1, 2) + 99, 3, 2, 0)
F.max_unpool2d(f(1, 1, 4, 4), i(1, 1, 4, 1), 3, 2, 0)
F.max_unpool2d(f(1, 1, 4, 4), f(1, 1, 4, 4), 3, 2, 0)
F.max_unpool2d(f(4, 4), i(4, 4), 3, 2, 0)
F.max_unpool2d(f(1, 1, 0, 4), i(1, 1, 0, 4), 3, 2, 0)
F.max_unpool2d(f(0, 1, 2, 2), i(0, 1, 2, 2), 3, 2, 0)
F.max_unpool2d(f(1, 1, 2, 2), i(1, 1, 2, 2) - 1, 3, 2, 0)
F.max_unpool2d(f(1, 1, 2, 2), i(1, 1, 2, 2), 3, 2, 0, output_size=(50, 50))
F.max_unpool2d(f(1, 1, 2, 2), i(1, 1, 2, 2), 3, 2, 0, output_size=(1, 5, 5))
F.max_unpool2d(f(1, 1, 2, 2), i(1, 1, 2, 2), 3, 2, 0, output_size=(1, 1, 6, 4))
F.max_unpool2d(i(1, 1, 2, 2), i(1, 1, 2, 2), 2)
F.max_unpool3d(f(1, 1, 2, 2, 2), i(1, 1, 2, 2, 2), 3, 0, 0)
F.multi_margin_loss(f(5, 4), f(5), weight=f(()))
F.multi_margin_loss(f(5, 4), i(5), weight=f(3))
F.multi_margin_loss(f(5, 4), i(4))
F.multi_margin_loss(f(5, 4), i(5, 1))
F.multi_margin_loss(f(5, 4), f(5))
F.multi_margin_loss(f(5, 0), i(5))
F.multi_margin_loss(f(2, 3, 4), i(5))
F.multi_margin_loss(f(4), i(()), reduction='none')
F.multi_margin_loss(i(4), i(1))
F.multi_margin_loss(f(4).double(), i(1), weight=f(4))
F.multilabel_margin_loss(f(0), i(0))
F.multilabel_margin_loss(f(5), f(5))
F.multilabel_margin_loss(f(5), i(5) + 7)
F.multilabel_margin_loss(f(5), i(5) - 7)
F.multilabel_margin_loss(f(5), i(5) - 1)
F.multilabel_margin_loss(f(2, 3, 4), i(2, 3, 4))
F.multilabel_margin_loss('t', i(5))
F.pdist('t')
F.pdist(f(3))
F.pdist(i(3, 3))
F.pdist(f(3, 3), p=-1)
F.pdist(f(1, 3))
F.pdist(f(3, 0))
F.pdist(f(3, 2).half())
F.poisson_nll_loss('t', f(5))
F.poisson_nll_loss(f(5), 't')
F.triplet_margin_with_distance_loss('t', f(5, 10), f(5, 10))
F.triplet_margin_with_distance_loss(f(5, 10), f(10), f(5, 10))
normal(f(3), f(3), out=i(3))
normal(f(3), f(3), out=f(3).double())
normal(f(3), 2.0, out=f(2))
normal(2.0, f(3), out=f(0))
normal(f(4, 3), 1.0, out=f(4))
normal(f(4, 3), 1.0, out=f(4, 3).t().contiguous().t())
normal(1.0, 1.0, (3,), out=f(3).double())
normal(1.0, -f(3), out=f(3))
rand(3, out=i(3))
rand(30, out=f(30, 2)[:, 1])
randn(3, out=i(3))
randn(3, out=f(3).double())
randn(3, out=f(3).double(), dtype=T.float32)
randn(20, out=f(20, 2)[:, 1])
randn(5, 5, out=f(5, 5).t())
segment_reduce('t', 'max', axis=0, lengths=f(3))
""".strip().splitlines()


@pytest.mark.parametrize("call", CALLS)
def test_both_answer_alike(call):
    def run(lib):
        lib.manual_seed(0)
        names = {
            name: getattr(lib, name) for name in ("normal", "rand", "randn", "resolve_conj", "resolve_neg")
        }
        names |= {"segment_reduce": lib.segment_reduce, "F": lib.nn.functional, "T": lib, "f": lib.ones}
        return eval(call, names | {"i": lambda *size: lib.zeros(*size, dtype=lib.int64)})

    same(run)


#: arguments of a wrong kind, one in a call; `_` is where they go
KINDS = {
    "bool": """
F.avg_pool1d(f(1, 1, 4), 2, ceil_mode=_)
F.max_pool2d(f(1, 1, 4, 4), 2, ceil_mode=_)
F.avg_pool3d(f(1, 1, 4, 4, 4), 2, count_include_pad=_)
F.batch_norm(f(2, 3), None, None, training=_)
F.dropout(f(3), 0.5, _)
F.kl_div(f(3), f(3), log_target=_)
F.rrelu(f(3), training=_)
F.scaled_dot_product_attention(f(2, 3, 4), f(2, 3, 4), f(2, 3, 4), is_causal=_)
T.linalg.cholesky(2 * T.eye(2), upper=_)
T.linalg.svd(f(2, 2), full_matrices=_)
T.linalg.solve_triangular(T.eye(2), f(2, 1), upper=_)
T.combinations(f(3), 2, _)
T.unique_consecutive(f(3), return_counts=_)
f(3).put(i(1), f(1), _)
f(3).scatter_reduce(0, i(3), f(3), "sum", include_self=_)
T.searchsorted(f(3), f(3), right=_)
T.bucketize(f(3), f(3), out_int32=_)
T.histogram(f(3), 3, density=_)
T.sort(f(3), stable=_)
""",
    "int": """
T.diag(f(3), _)
T.diagonal(f(3, 3), _)
T.cov(f(2, 3), correction=_)
T.rot90(f(2, 2), _)
T.unsqueeze(f(3), _)
T.transpose(f(2, 3), _, 1)
T.narrow(f(3), _, 0, 1)
T.chunk(f(4), _)
T.kthvalue(f(3), _)
T.multinomial(f(3), _)
T.fft.fft(f(4), dim=_)
f(4).unfold(_, 2, 1)
f(2, 3).swapaxes(0, _)
f(3).random_(0, _)
F.pixel_shuffle(f(1, 4, 2, 2), _)
F.group_norm(f(2, 4), _)
""",
    "float": """
F.layer_norm(f(2, 3), (3,), eps=_)
F.group_norm(f(2, 4), 2, eps=_)
F.batch_norm(f(2, 3), T.zeros(3), f(3), momentum=_)
F.cosine_similarity(f(2, 3), f(2, 3), eps=_)
F.pad(f(3), (1, 1), value=_)
T.nan_to_num(f(3), _)
T.logit(f(3) / 2, _)
T.cdist(f(2, 3), f(2, 3), _)
f(3).normal_(_)
f(3).normal_(0.0, _)
f(3).uniform_(0.0, _)
f(3).exponential_(_)
f(3).log_normal_(_)
f(3).cauchy_(_)
f(3).bernoulli_(_)
f(3).bernoulli(_)
""",
    "Tensor": """
F.conv2d(f(1, 1, 4, 4), f(1, 1, 2, 2), _)
F.batch_norm(f(2, 3), T.zeros(3), f(3), _)
F.batch_norm(f(2, 3), _, f(3))
F.layer_norm(f(2, 3), (3,), _)
F.instance_norm(f(2, 3, 4), weight=_)
F.nll_loss(f(2, 3), i(2), _)
F.bilinear(f(2, 3), f(2, 3), f(4, 3, 3), _)
T.diff(f(3), 1, 0, _)
T.cov(f(2, 3), fweights=_)
T.dist(f(3), _)
T.linalg.ldl_solve(T.eye(2), _, f(2, 1))
T.histogram(f(3), 3, weight=_)
""",
    "ints": """
F.avg_pool2d(f(1, 1, 4, 4), _)
F.max_pool1d(f(1, 1, 4), 2, _)
F.adaptive_avg_pool1d(f(1, 1, 4), _)
F.adaptive_max_pool2d(f(1, 1, 4, 4), _)
F.pad(f(3), _)
F.layer_norm(f(2, 3), _)
T.as_strided(f(4), _, (1,))
T.rot90(f(2, 2), 1, _)
T.fft.fft2(f(2, 2), _)
T.fft.fft2(f(2, 2), dim=_)
""",
    "str": """
F.gelu(f(3), approximate=_)
F.pad(f(1, 1, 4), (1, 1), _)
T.linalg.eigh(T.eye(2), _)
T.meshgrid(f(2), f(2), indexing=_)
T.fft.fft(f(4), norm=_)
T.fft.fftn(f(4), norm=_)
T.searchsorted(f(3), f(3), side=_)
""",
}
WRONG = {
    "text": "'a'", "complex": "1j", "list": "[1, 2.5]", "large": "10**30", "fraction": "1.5", "true": "True", "nothing": "None",
    "vector": "f(2)", "number in a tensor": "T.tensor(1)", "fraction in a tensor": "T.tensor(0.5)", "negative": "-7", "nan": "float('nan')",
    "followed": "T.tensor(0.5, requires_grad=True)", "whole NumPy number": "np.int64(1)", "NumPy number": "np.float32(0.5)",
    "NumPy truth": "np.bool_(True)", "set": "{1}",
}  # fmt: skip


#: where PyTorch looks at an argument in Python before it asks of what kind it is, or has one more signature
OTHERWISE = {
    ("F.batch_norm(f(2, 3), None, None, training=_)", "vector"), ("T.unique_consecutive(f(3), return_counts=_)", "vector"),
    ("F.group_norm(f(2, 4), _)", "vector"), ("F.pad(f(3), (1, 1), value=_)", "large"), ("f(3).bernoulli(_)", "nothing"),
    ("F.adaptive_max_pool2d(f(1, 1, 4, 4), _)", "set"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("call", [call for calls in KINDS.values() for call in calls.split("\n") if call])
def test_arguments_of_a_wrong_kind(call, wrong):
    """Both give something of the same shape, or raise the same class."""

    def answer(lib):
        lib.manual_seed(0)
        names = {"F": lib.nn.functional, "T": lib, "f": lib.ones, "np": np}
        names["i"] = lambda *size: lib.zeros(*size, dtype=lib.int64)
        try:
            made = eval(call.replace("_)", f"{WRONG[wrong]})").replace("_,", f"{WRONG[wrong]},"), names)
        except Exception as error:
            return type(error)
        return [tuple(t.shape) for t in (made if isinstance(made, (tuple, list)) else (made,))]

    found, wanted = answer(rushlight), answer(torch)
    if (call, wrong) in OTHERWISE:
        assert isinstance(found, type) and issubclass(found, (TypeError, OverflowError)) or found == [(3,)]
    else:
        assert found == wanted


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, float("inf")])
def test_pdist(p):
    values = [[0.5, 1.0, -2.0], [3.0, 1.0, 0.25], [0.5, 1.0, 7.0], [-1.0, 2.0, -2.0]]
    answers = []
    for lib in (torch, rushlight):
        x = lib.tensor(values, dtype=lib.float64, requires_grad=True)
        d = lib.pdist(x, p)
        (d * lib.arange(6)).sum().backward()
        answers.append(d.tolist() + x.grad.flatten().tolist())
    assert answers[1] == pytest.approx(answers[0], rel=1e-12)


def test_volumes_drop_in_place():
    for lib in (torch, rushlight):
        x = lib.ones(2, 3, 4, 5)
        assert lib.nn.functional.dropout3d(x, 0.5, True, True) is x


def test_statistics_of_groups_carry_gradients():
    grads = []
    for lib in (torch, rushlight):
        x = lib.arange(12.0, dtype=lib.float64).sqrt().view(1, 4, 3).requires_grad_()
        sum(t.sum() for t in lib.native_group_norm(x, None, None, 1, 4, 3, 2, 0.5)).backward()
        grads.append(x.grad.flatten().tolist())
    assert grads[1] == pytest.approx(grads[0], rel=1e-12)


def test_bags_in_batches():
    weight = rushlight.arange(10.0).view(5, 2)
    bags = rushlight.tensor([[[0, 1], [1, 2]], [[0, 1], [4, 2]]])
    made = rushlight.vmap(lambda rows: rushlight.nn.functional.embedding_bag(rows, weight, mode="sum"))(bags)
    assert made.tolist() == weight[bags].sum(2).tolist()


def test_native_group_norm_takes_contiguous_elements():
    for order in ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 2, 1), (1, 0, 2, 3)):

        def program(lib, order=order):
            x = lib.arange(48.0).reshape([(2, 6, 2, 2)[d] for d in order])
            x = x.permute([order.index(d) for d in range(4)])
            return lib.native_group_norm(x, None, None, 2, 6, 4, 2, 0.5)[1].shape

        same(program)
    same(lambda lib: lib.native_group_norm(lib.ones(2, 6, 3), None, None, 2, 6, 4, 2, 0.5))


GRADIENTS = """
torch.gradient(f(3) > 0)
torch.gradient(f(3).to(torch.uint8))
torch.gradient(f(3, 3), spacing=[0.1])
torch.gradient(f(3, 3), spacing=[0.1], dim=(1, 0))
torch.gradient(f(3, 3), spacing=[0.1, 0.2, 0.3], dim=(1, 0), edge_order=3)
torch.gradient(f(3, 3), spacing=[0.1, 0.2], dim=0)
torch.gradient(f(3, 3), spacing=[0.1], dim=(0, 0))
torch.gradient(f(3, 3), spacing=[1, 2], dim=(0, 0))
torch.gradient(f(3, 3), spacing=[1, 2], dim=(0, 5))
torch.gradient(f(3, 3), spacing=[f(3, 3), f(3, 3)])
torch.gradient(f(3, 3), spacing=torch.tensor(2.0))
torch.gradient(f(3, 3), dim=(1, 0), edge_order=3)
torch.gradient(f(1, 3))
torch.gradient(f(()))
""".split("\n")[1:-1]


@pytest.mark.parametrize("call", GRADIENTS)
def test_gradient_refuses(call):
    same(lambda lib: eval(call, {"torch": lib, "f": lambda *shape: lib.ones(*shape)}))
