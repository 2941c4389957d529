"""Gradients that are sparse, and the optimisers that take them, against PyTorch."""

import copy

import numpy as np
import pytest
import torch

import rushlight

BOTH = (torch, rushlight)


def embedding(lib, **options):
    weight = lib.arange(15, dtype=lib.float64).reshape(5, 3).sin()
    return lib.nn.Embedding(5, 3, sparse=True, dtype=lib.float64, _weight=weight, **options)


def told(lib, t):
    """What a gradient is: dense, or at which places."""
    if t is None or not t.is_sparse:
        return None if t is None else np.array(t.detach().tolist())
    whole = t.detach().coalesce()
    values = np.array(whole.values().tolist())
    return whole.indices().tolist(), values, tuple(t.shape), str(t.dtype), t.requires_grad


def check(run):
    """Both libraries say the same."""
    expected, found = (run(lib) for lib in BOTH)
    assert len(expected) == len(found)
    for x, y in zip(expected, found):
        if isinstance(x, tuple):
            assert x[0] == y[0] and x[2:] == y[2:]
            x, y = x[1], y[1]
        if isinstance(x, np.ndarray):
            np.testing.assert_allclose(y, x, rtol=1e-12, atol=1e-15)
        else:
            assert x == y


CASES = {
    "twice the same row": lambda T, e: e(T.tensor([[1, 1, 2]])).square().sum(),
    "no row": lambda T, e: e(T.zeros(0, dtype=T.int64)).sum(),
    "int32": lambda T, e: e(T.tensor([4, 0], dtype=T.int32)).sum(),
    "two uses": lambda T, e: (e(T.tensor([1, 2])) * e(T.tensor([3, 1]))).sum(),
    "dense beside": lambda T, e: e(T.tensor([1, 2])).sum() + e.weight.square().sum(),
    "dense before": lambda T, e: e.weight.square().sum() + e(T.tensor([1, 2])).sum(),
    "dense between": lambda T, e: e(T.tensor([1])).sum() + e.weight.sum() + e(T.tensor([2])).sum(),
}


@pytest.mark.parametrize("case", CASES)
def test_backward(case):
    def run(T):
        e = embedding(T)
        loss = CASES[case](T, e)
        loss.backward(retain_graph=True)
        first = told(T, e.weight.grad)
        loss.backward()
        second = told(T, e.weight.grad)
        (asked,) = T.autograd.grad(CASES[case](T, e), e.weight)
        return first, second, told(T, asked)

    check(run)


def test_nothing_is_added_up_before_it_must():
    def run(T):
        e = embedding(T)
        e(T.tensor([[2, 1], [2, 0]])).sum().backward()
        g = e.weight.grad
        return g._indices().tolist(), g._values().tolist(), g.is_coalesced()

    check(run)


@pytest.mark.parametrize("first", [True, False])
def test_sparse_and_dense_add_up(first):
    def run(T):
        e = embedding(T)
        losses = [e(T.tensor([1, 1, 2])).sum(), e.weight.square().sum()]
        for loss in losses if first else losses[::-1]:
            loss.backward()
        return (told(T, e.weight.grad),)

    check(run)


def test_the_sum_is_the_same_object():
    for T in BOTH:
        e = embedding(T)
        e(T.tensor([1])).sum().backward()
        held = e.weight.grad
        e(T.tensor([2])).sum().backward()
        assert e.weight.grad is held and held._nnz() == 2


@pytest.mark.parametrize(
    "options", [{"padding_idx": 1}, {"padding_idx": -1}, {"max_norm": 1.0}], ids=lambda o: next(iter(o))
)
def test_options(options):
    def run(T):
        e = embedding(T, **options)
        e(T.tensor([1, 4, 1, 2])).square().sum().backward()
        return told(T, e.weight.grad), told(T, e.weight)

    check(run)


def test_frequency_is_refused():
    for T in BOTH:
        loss = embedding(T, scale_grad_by_freq=True)(T.tensor([1, 1])).sum()
        with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse gradients"):
            loss.backward()


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
def test_bags(mode, weighted):
    def run(T):
        weight = T.arange(15, dtype=T.float64).reshape(5, 3).sin()
        bag = T.nn.EmbeddingBag.from_pretrained(weight, freeze=False, sparse=True, mode=mode, padding_idx=2)
        each = T.tensor([1.0, 2.0, 3.0, 4.0], dtype=T.float64) if weighted else None
        made = bag(T.tensor([1, 1, 2, 3]), T.tensor([0, 2]), per_sample_weights=each)
        made.square().sum().backward()
        return (told(T, bag.weight.grad),)

    if mode == "sum" or not weighted:
        check(run)


@pytest.mark.parametrize(
    ("shape", "dim", "index"),
    [((2, 3), 1, [[0, 2], [1, 1]]), ((2, 3), 0, [[1, 0, 1]]), ((4,), 0, [3, 3, 0]), ((2, 3), -1, [[2], [0]])],
)
def test_gather(shape, dim, index):
    def run(T):
        x = T.arange(float(np.prod(shape)), dtype=T.float64).reshape(shape).requires_grad_()
        made = x.gather(dim, T.tensor(index), sparse_grad=True)
        made.square().sum().backward()
        return told(T, made), told(T, x.grad)

    check(run)


def test_gather_of_a_single_element():
    x = rushlight.tensor(3.0, requires_grad=True)
    x.gather(0, rushlight.tensor([0]), sparse_grad=True).sum().backward()
    assert x.grad.item() == 1 and x.grad.shape == ()


def test_behind_other_operations_it_is_dense():
    """Where the weight is itself computed, what is before it gets a dense gradient of the same elements."""
    found = []
    for T in BOTH:
        e = embedding(T)
        T.nn.functional.embedding(T.tensor([1, 2, 1]), e.weight * 2, sparse=True).sum().backward()
        found.append(e.weight.grad.to_dense().tolist())
    assert found[0] == found[1]


def test_hooks():
    def run(T):
        e, seen = embedding(T), []
        e.weight.register_hook(lambda g: seen.append(told(T, g)))
        e.weight.register_hook(lambda g: g * 2)
        e(T.tensor([1, 2])).sum().backward()
        return (*seen, told(T, e.weight.grad))

    check(run)


def test_second_gradients():
    def run(T):
        e = embedding(T)
        (g,) = T.autograd.grad(e(T.tensor([1, 2, 1])).pow(3).sum(), e.weight, create_graph=True)
        (second,) = T.autograd.grad(g.to_dense().sum(), e.weight)
        return told(T, g), told(T, second)

    check(run)


def test_zero_grad():
    for T in BOTH:
        e = embedding(T)
        e(T.tensor([1])).sum().backward()
        e.zero_grad(set_to_none=False)
        assert e.weight.grad.is_sparse and e.weight.grad._nnz() == 0
        optimizer = T.optim.SGD(e.parameters(), 0.1)
        e(T.tensor([2])).sum().backward()
        optimizer.zero_grad(set_to_none=False)
        assert e.weight.grad._nnz() == 0
        optimizer.zero_grad()
        assert e.weight.grad is None


def test_a_gradient_may_be_assigned():
    for T in BOTH:
        w = T.ones(2, 2, requires_grad=True)
        w.grad = T.eye(2).to_sparse()
        assert w.grad.is_sparse
        with pytest.raises(RuntimeError, match="size"):
            w.grad = T.eye(3).to_sparse()
        with pytest.raises(RuntimeError, match="dtype"):
            w.grad = T.eye(2, dtype=T.float64).to_sparse()


# ---- adding to what is dense ----


@pytest.mark.parametrize("alpha", [1, -0.5])
def test_dense_plus_sparse(alpha):
    def run(T):
        e = embedding(T)
        e(T.tensor([1, 1, 2])).square().sum().backward()
        with T.no_grad():
            made = T.add(e.weight, e.weight.grad, alpha=alpha)
            e.weight.add_(e.weight.grad, alpha=alpha)
            less = e.weight - e.weight.grad
            e.weight.sub_(e.weight.grad)
        return told(T, made), told(T, e.weight), told(T, less)

    check(run)


def test_sizes_must_be_equal():
    for T in BOTH:
        with pytest.raises(RuntimeError, match="size"):
            T.ones(2, 3).add_(T.eye(2).to_sparse())


def test_in_place():
    def run(T):
        s = T.eye(3, dtype=T.float64).to_sparse()
        held, found = s, []
        s.mul_(3).div_(2).add_(s, alpha=2).sub_(T.eye(3, dtype=T.float64).to_sparse())
        found.append(told(T, s.coalesce()))
        s *= 2
        found.append(told(T, s.coalesce()))
        s.copy_(T.ones(3, 3, dtype=T.float64).to_sparse())
        assert s is held
        return *found, told(T, s.coalesce()), told(T, s.zero_().to_dense())

    check(run)


def test_sparse_mask():
    def run(T):
        mask = T.tensor([[0.0, 1.0], [1.0, 0.0]]).to_sparse()
        x = T.arange(4.0, dtype=T.float64).reshape(2, 2).requires_grad_()
        made = x.sparse_mask(mask)
        made.to_dense().square().sum().backward()
        return told(T, made.detach()), told(T, x.grad)

    check(run)
    with pytest.raises(RuntimeError, match="incompatible sizes"):
        rushlight.ones(3).sparse_mask(rushlight.eye(2).to_sparse())
    with pytest.raises(TypeError):
        rushlight.ones(2).sparse_mask(rushlight.ones(2))


# ---- optimisers ----

OPTIMISERS = """
SGD(P, 0.1)
SGD(P, 0.1, momentum=0.9)
SGD(P, 0.1, momentum=0.9, dampening=0.5)
SGD(P, 0.1, momentum=0.9, nesterov=True)
SGD(P, 0.1, maximize=True)
Adagrad(P, 0.1)
Adagrad(P, 0.1, lr_decay=0.1, initial_accumulator_value=0.5, eps=1e-3)
Adagrad(P, 0.1, maximize=True)
SparseAdam(P)
SparseAdam(P, lr=0.1, betas=(0.5, 0.8), eps=1e-4)
SparseAdam(P, lr=0.1, maximize=True)
SGD(P, 0.1, weight_decay=0.1)
Adagrad(P, 0.1, weight_decay=0.1)
Adam(P)
AdamW(P)
Adamax(P)
NAdam(P)
RAdam(P)
RMSprop(P)
Rprop(P)
ASGD(P)
Adadelta(P)
Adafactor(P)
""".split("\n")[1:-1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("expression", OPTIMISERS)
def test_optimisers(expression):
    def run(T):
        e = embedding(T)
        optimizer = eval("O." + expression, {"O": T.optim, "P": list(e.parameters())})
        found = []
        for step in range(4):
            optimizer.zero_grad()
            e(T.tensor([1, 1, step])).square().sum().backward()
            before = told(T, e.weight)
            try:
                optimizer.step()
            except RuntimeError as error:
                assert (told(T, e.weight) == before).all()
                return (str(error).splitlines()[0],)
            found.append(told(T, e.weight))
            if step == 1:
                saved = copy.deepcopy(optimizer.state_dict())
                optimizer.load_state_dict(saved)
        state = optimizer.state[e.weight]
        names = sorted(state)
        for name in names:
            value = state[name]
            dense = isinstance(value, T.Tensor)
            found.append(told(T, value.to_dense()) if dense else value)
        return *found, names

    check(run)


def test_lbfgs():
    def run(T):
        e = embedding(T)
        optimizer = T.optim.LBFGS(e.parameters(), max_iter=3)

        def closure():
            optimizer.zero_grad()
            loss = e(T.tensor([1, 2])).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        return (told(T, e.weight),)

    check(run)


def test_sparse_and_dense_parameters_together():
    def run(T):
        e = embedding(T)
        line = T.nn.Linear(3, 2, dtype=T.float64)
        with T.no_grad():
            for n, p in enumerate(line.parameters()):
                p.fill_(0.1 * (n + 1))
        optimizer = T.optim.SGD([*e.parameters(), *line.parameters()], 0.1, momentum=0.9)
        for step in range(5):
            optimizer.zero_grad()
            if step != 2:
                line(e(T.tensor([1, step]))).square().sum().backward()
            else:
                line(e.weight).square().sum().backward()
                e.weight.grad = e.weight.grad.to_sparse(1)
            optimizer.step()
        return told(T, e.weight), *[told(T, p) for p in line.parameters()]

    check(run)


@pytest.mark.parametrize(
    "options", [{"lr": -1}, {"lr": 0}, {"eps": 0}, {"betas": (1.0, 0.9)}, {"betas": (0.9, -0.1)}], ids=str
)
def test_settings_out_of_range(options):
    messages = []
    for T in BOTH:
        with pytest.raises(ValueError) as error:
            T.optim.SparseAdam([T.ones(2, requires_grad=True)], **options)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_parameters_of_sparse_adam():
    for T in BOTH:
        with pytest.raises(ValueError, match=r"Sparse params at indices \[\[0, 0\]\]"):
            T.optim.SparseAdam([T.eye(2).to_sparse()])
        w = T.ones(2, requires_grad=True)
        w.sum().backward()
        with pytest.raises(RuntimeError, match="does not support dense gradients"):
            T.optim.SparseAdam([w]).step()


# ---- operators whose other operand is not like others ----


@pytest.mark.parametrize("op", "+ - * / // % ** == != < <= > >=".split())
def test_a_parameter_beside_an_entry_of_a_batch(op):
    """An operator asks the other operand, where it stands for a batch and the first is of a class of its own."""
    found = []
    for T in BOTH:
        p = T.nn.Parameter(T.tensor([1.0, 2.0, 3.0]))
        x = T.tensor([[1.0, 5.0, 2.0], [4.0, 2.0, 0.5]])
        found += [T.func.vmap(eval(f"lambda x: p {op} x", {"p": p}))(y).tolist() for y in (x, x.long())]
    np.testing.assert_array_equal(found[:2], found[2:])


def test_a_parameter_beside_a_sparse_tensor():
    for T in BOTH:
        p = T.nn.Parameter(T.ones(2))
        assert (p + T.tensor([0.0, 2.0]).to_sparse()).tolist() == [1, 3]


@pytest.mark.parametrize("T", [torch, rushlight])
def test_places_stay_when_the_indices_are_written_to(T):
    table, x = T.nn.Embedding(10, 3, sparse=True), T.tensor([7, 1, 3])
    table(x).sum().backward()
    x[0] = 8
    assert table.weight.grad._indices().tolist() == [[7, 1, 3]]
