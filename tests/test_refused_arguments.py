"""Calls that PyTorch refuses, and calls near to them: both libraries answer alike, in value or in error."""

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
