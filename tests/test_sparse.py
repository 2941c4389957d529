"""Sparse tensors in the COO layout against PyTorch: making, converting, arithmetic, products, gradients, printing."""

import copy
import pickle

import numpy as np
import pytest
import torch
from both import same

import rushlight

BOTH = (torch, rushlight)
PLACES = [[0, 1, 1, 0], [2, 0, 2, 2]]


def example(lib, coalesced=True, dtype=None):
    made = lib.sparse_coo_tensor(PLACES, [3.0, 4.0, 5.0, 0.5], (2, 3), dtype=dtype or lib.float64)
    return made.coalesce() if coalesced else made


def shown(lib, value):
    return repr(value) if isinstance(value, lib.Tensor) else value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "call",
    """
s
u
u.coalesce()
s.indices()
s.values()
u.indices()
u.values()
u._indices()
u._values()
(s._nnz(), s.sparse_dim(), s.dense_dim(), s.is_coalesced(), u.is_coalesced())
(s.is_sparse, str(s.layout), s.shape, s.dim(), s.numel(), str(s.dtype), len(s), s.size(0), s.is_leaf)
s.to_dense()
u.to_dense()
s.t()
s.T.coalesce()
s.transpose(0, 1).to_dense()
s[0]
s[1].to_dense()
s[-1][2]
s[5]
s.index_select(1, T.tensor([2, 0]))
s * 2
2 * s
s / 4
-s
s + s
(s + u).to_dense()
s + T.ones(2, 3, dtype=T.float64)
T.ones(2, 3, dtype=T.float64) + s
s - s
s.add(s, alpha=3)
s * T.arange(6.0, dtype=T.float64).view(2, 3)
s * s
s.abs()
s.sqrt()
s ** 2
s.tanh()
s.float()
s.to(T.float16)
s.sum()
T.sparse.sum(s)
T.sparse.sum(s, 0)
T.sparse.sum(s, 1)
T.sparse.sum(s, (0, 1))
s.norm()
s @ T.ones(3, dtype=T.float64)
s @ T.arange(6.0, dtype=T.float64).view(3, 2)
u @ T.arange(6.0, dtype=T.float64).view(3, 2)
s.mm(T.eye(3, dtype=T.float64))
T.mm(s, T.eye(3, dtype=T.float64))
T.matmul(s, T.eye(3, dtype=T.float64))
T.spmm(s, T.eye(3, dtype=T.float64))
T.sparse.mm(s, T.eye(3, dtype=T.float64))
T.sparse.mm(s, s.t())
s @ s.t()
T.sparse.addmm(T.ones(2, 2, dtype=T.float64), s, T.ones(3, 2, dtype=T.float64))
T.addmm(T.ones(2, 2, dtype=T.float64), s, T.ones(3, 2, dtype=T.float64), alpha=2)
T.sparse.softmax(s, 1)
T.sparse.log_softmax(s, 1)
T.cat([s, s])
T.cat([s, s], 1)
s.mm(T.ones(2, 2))
s.clone()
s.detach()
T.eye(3).to_sparse()
T.arange(8.0).view(2, 2, 2).to_sparse(1)
T.arange(8.0).view(2, 2, 2).to_sparse(2).to_dense()
T.zeros(2, 2).to_sparse()
T.zeros(2, 2).to_sparse().to_dense()
T.sparse_coo_tensor((2, 3))
T.sparse_coo_tensor(T.tensor(PLACES), T.ones(4))
T.sparse_coo_tensor(PLACES, T.arange(8.0).view(4, 2))
T.sparse_coo_tensor(PLACES, T.arange(8.0).view(4, 2)).coalesce().to_dense()
T.sparse_coo_tensor(PLACES, T.ones(3))
T.sparse_coo_tensor(PLACES, T.ones(4), requires_grad=True)
T.sparse.FloatTensor(T.tensor(PLACES), T.ones(4), T.Size([2, 3])).to_dense()
s.numpy()
s.requires_grad_()
""".strip().splitlines(),
)
def test_values(call):
    def run(lib):
        names = {"T": lib, "s": example(lib), "u": example(lib, False), "PLACES": PLACES}
        return shown(lib, eval(call, names))

    same(run)


def test_gradients_of_products():
    def run(lib):
        values = lib.tensor([3.0, 4.0, 5.0, 0.5], dtype=lib.float64, requires_grad=True)
        dense = lib.arange(6.0, dtype=lib.float64).view(3, 2).requires_grad_()
        matrix = lib.sparse_coo_tensor(PLACES, values, (2, 3))
        made = lib.sparse.mm(matrix, dense)
        (made * lib.arange(1.0, 5.0, dtype=lib.float64).view(2, 2)).sum().backward()
        return [repr(matrix).partition("grad_fn=")[2], made.grad_fn.name(), made, values.grad, dense.grad]

    same(run)


def test_gradients_are_right():
    def product(values, dense):
        matrix = rushlight.sparse_coo_tensor(PLACES, values, (2, 3))
        return rushlight.sparse.mm(matrix, dense), (matrix * 2).coalesce().to_dense(), matrix.sum()

    generator = rushlight.Generator().manual_seed(0)
    values = rushlight.randn(4, dtype=rushlight.float64, generator=generator, requires_grad=True)
    dense = rushlight.randn(3, 2, dtype=rushlight.float64, generator=generator, requires_grad=True)
    assert rushlight.autograd.gradcheck(product, (values, dense))
    assert rushlight.autograd.gradgradcheck(product, (values, dense))


def test_a_graph_network_trains():
    def run(lib):
        lib.manual_seed(0)
        edges = lib.tensor([[0, 1, 1, 2, 2, 3, 0, 1, 2, 3], [1, 0, 2, 1, 3, 2, 0, 1, 2, 3]])
        degree = lib.bincount(edges[0]).double()
        weights = (degree[edges[0]] * degree[edges[1]]).rsqrt()
        graph = lib.sparse_coo_tensor(edges, weights, (4, 4))
        first, second = lib.nn.Linear(3, 8).double(), lib.nn.Linear(8, 2).double()
        optimizer = lib.optim.Adam([*first.parameters(), *second.parameters()], lr=0.05)
        x, labels = lib.randn(4, 3, dtype=lib.float64), lib.tensor([0, 0, 1, 1])
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            out = lib.spmm(graph, second(lib.relu(lib.spmm(graph, first(x)))))
            loss = lib.nn.functional.cross_entropy(out, labels)
            loss.backward()
            optimizer.step()
            losses.append(f"{loss.item():.8f}")
        return losses

    same(run)


def test_large_products():
    draws = np.random.default_rng(0)
    places = draws.integers(0, 300, (2, 5000))
    values, dense = draws.standard_normal(5000), draws.standard_normal((300, 7))
    matrix = rushlight.sparse_coo_tensor(
        rushlight.from_numpy(places), rushlight.from_numpy(values), (300, 300)
    )
    wanted = np.zeros((300, 300))
    np.add.at(wanted, tuple(places), values)
    assert np.allclose(matrix.to_dense().numpy(), wanted)
    assert np.allclose((matrix @ rushlight.from_numpy(dense)).numpy(), wanted @ dense)
    assert np.allclose((matrix.coalesce() @ matrix.t()).to_dense().numpy(), wanted @ wanted.T)
    assert np.allclose((rushlight.from_numpy(dense.T.copy()) @ matrix).numpy(), dense.T @ wanted)


def test_copies():
    s = example(rushlight)
    for made in (copy.deepcopy(s), pickle.loads(pickle.dumps(s))):
        assert repr(made) == repr(s)
        made.values().zero_()
        assert s.values().sum() > 0


@pytest.mark.parametrize("name", ["exp", "view", "mean", "item"])
def test_what_is_missing_says_so(name):
    with pytest.raises(NotImplementedError, match="to_dense"):
        getattr(example(rushlight), name)()


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ([[0, 5], [0, 1]], "found index 5"),
        ([[0, -1], [0, 1]], "negative index -1"),
        ([0, 1], "sparse_dim x nnz"),
    ],
)
def test_places_outside_are_refused(places, told):
    with pytest.raises(RuntimeError, match=told):
        rushlight.sparse_coo_tensor(places, rushlight.ones(2), (2, 3))


def test_batches_still_work():
    x = rushlight.arange(6.0).view(3, 2)
    assert rushlight.vmap(rushlight.dot)(x, x).tolist() == [1, 13, 41]
    with pytest.raises(RuntimeError):
        rushlight.vmap(lambda v: v.to_sparse().to_dense())(x)


@pytest.mark.parametrize("kind", ["int64", "int32", "bool", "complex64", "complex128", "float64", "uint8"])
def test_dtypes_as_text(kind: str) -> None:
    same(lambda T: str(T.eye(2).to(getattr(T, kind)).to_sparse()))
