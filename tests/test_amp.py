"""Mixed precision on the CPU: which types operations choose, and how losses are scaled, as in PyTorch."""

import threading
import warnings

import pytest
import torch
from both import same

import rushlight

#: an operation of the tensors x (2, 2), v (2), b (1, 2, 2), image (1, 1, 3, 3), all of them float32
CALLS = """
T.mm(x, x)
x @ x
x @ v
v @ x
v @ v
T.matmul(x, v)
x.matmul(b)
T.bmm(b, b)
b @ b
T.mv(x, v)
T.dot(v, v)
T.outer(v, v)
T.addmm(v, x, x)
T.addmm(x, x, x, beta=2)
T.addmv(v, x, v)
T.baddbmm(b, b, b)
T.addbmm(x, b, b)
T.einsum('ij,jk', x, x)
T.tensordot(x, x, 1)
T.linalg.multi_dot([x, x, x])
T.linalg.vecdot(v, v)
T.linalg.matrix_power(x, 3)
F.linear(x, x)
F.linear(x, x, v)
F.linear(b, x, v)
F.conv1d(b, b)
F.conv2d(image, image)
F.conv3d(image[None], image[None])
F.conv_transpose1d(b, b)
F.conv_transpose2d(image, image)
F.scaled_dot_product_attention(b, b, b)
F.prelu(x, v[:1])
x + x
x * 2
x.sum()
x.mean(0)
T.softmax(x, 0)
F.log_softmax(x, 0)
F.relu(x)
F.gelu(x)
F.layer_norm(x, (2,))
F.max_pool2d(image, 2)
F.avg_pool2d(image, 2)
T.cat([x, x])
T.stack([x, x.to(h)])
F.cross_entropy(x, T.tensor([0, 1]))
F.nll_loss(x, T.tensor([0, 1]))
F.mse_loss(x, x + 1)
F.l1_loss(x, x + 1)
F.smooth_l1_loss(x, x + 1)
F.huber_loss(x, x + 1)
F.binary_cross_entropy(x.sigmoid(), x.sigmoid())
F.binary_cross_entropy_with_logits(x, x)
F.kl_div(x, x)
F.poisson_nll_loss(x, x)
F.cosine_embedding_loss(x, x, v)
F.margin_ranking_loss(v, v, v)
F.soft_margin_loss(x, x)
F.hinge_embedding_loss(x, x)
F.triplet_margin_loss(x, x, x + 1)
T.prod(x)
x.prod(0)
T.cdist(b, b)
T.trace(x)
T.linalg.inv(x)
T.linalg.solve(x, v)
T.linalg.svdvals(x)
T.linalg.qr(x)[0].shape
T.fft.rfft(v)
T.quantile(v, 0.5)
T.polar(v, v)
T.linalg.norm(x)
T.nn.Linear(2, 1).requires_grad_(False)(x).dtype
T.nn.Conv2d(1, 1, 2)(image).dtype
T.nn.MultiheadAttention(2, 1)(b, b, b)[0].dtype
T.nn.TransformerEncoderLayer(2, 1, 4, batch_first=True).train()(b).dtype
T.nn.Bilinear(2, 2, 1)(x, x).dtype
[t.dtype for t in (lambda o, s: (o, *s))(*T.nn.LSTM(2, 3)(b))]
T.nn.GRU(2, 3)(b)[0].dtype
T.nn.RNN(2, 3)(b)[0].dtype
T.nn.LSTMCell(2, 3)(x)[0].dtype
x.double() @ x.double()
T.mm(x.double(), x)
x.to(T.float16) @ x.to(T.bfloat16)
T.mm(x.to(h), x)
T.mm(x.long(), x.long())
T.mm(x, x, out=T.empty(2, 2))
""".strip().splitlines()


def operands(T):
    x = T.tensor([[1.0, 2.0], [3.0, 5.0]])
    image = T.arange(9.0).reshape(1, 1, 3, 3) / 8
    return {
        "T": T,
        "F": T.nn.functional,
        "x": x,
        "v": x[1] / 4,
        "b": x[None],
        "image": image,
        "h": T.bfloat16,
    }


@pytest.mark.parametrize("half", ["float32", "bfloat16"])
@pytest.mark.parametrize("call", CALLS)
def test_operations_choose_their_type(call, half):
    def program(T):
        given = operands(T)
        for name in ("x", "v", "b", "image"):
            given[name] = given[name].to(getattr(T, half))
        with T.autocast("cpu"):
            found = eval(call, given)
        # The values of halves differ in the last place, as those of other sums do.
        return found.dtype if isinstance(found, T.Tensor) else found

    if half == "bfloat16" and ("T.nn." in call or "long" in call):
        pytest.skip("modules hold float32")
    same(program, text=False)


def test_values_are_those_of_converted_operands():
    x = rushlight.rand(5, 7)
    w = rushlight.rand(7, 3)
    with rushlight.autocast("cpu"):
        found = x @ w
    assert found.equal(x.bfloat16() @ w.bfloat16())


def test_gradients_come_back_in_float32():
    def program(T):
        w = T.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        with T.autocast("cpu"):
            loss = T.nn.functional.mse_loss(w @ w, T.zeros(2, 2))
        loss.backward()
        return loss, w.grad

    same(program)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_contexts_nest(kind):
    def program(T):
        x, seen = T.ones(2, 2), []

        def note():
            seen.append((x @ x).dtype)
            seen.append((T.is_autocast_enabled("cpu"), T.is_autocast_cpu_enabled(), T.is_autocast_enabled()))
            seen.append((T.get_autocast_dtype("cpu"), T.get_autocast_cpu_dtype()))

        with T.autocast("cpu", dtype=getattr(T, kind)):
            note()
            with T.autocast("cpu", enabled=False):
                note()
                with T.amp.autocast("cpu"):
                    note()
            note()
        note()
        return seen, T.amp.is_autocast_available("cpu")

    same(program)


def test_it_ends_with_an_error():
    def program(T):
        context = T.autocast("cpu")
        for _ in range(2):
            with pytest.raises(KeyError), context:
                raise KeyError
        return T.is_autocast_cpu_enabled(), (T.ones(2, 2) @ T.ones(2, 2)).dtype

    same(program)


def test_it_decorates():
    def program(T):
        @T.autocast("cpu")
        def twice(x):
            """doc"""
            return x @ x

        return twice(T.eye(2)), twice.__name__, twice.__doc__, (T.eye(2) @ T.eye(2)).dtype

    same(program)


def test_other_threads_compute_as_they_did():
    found = []
    x = rushlight.ones(2, 2)
    with rushlight.autocast("cpu"):
        thread = threading.Thread(
            target=lambda: found.append((x @ x, rushlight.nn.functional.mse_loss(x, x)))
        )
        thread.start()
        thread.join()
    assert [t.dtype for t in found[0]] == [rushlight.float32, rushlight.float32]


def test_types_that_cannot_be_are_warned_of():
    def program(T):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with T.autocast("cpu", dtype=T.float64):
                kind = (T.ones(1, 1) @ T.ones(1, 1)).dtype
        return kind, [str(each.message) for each in caught]

    same(program)


@pytest.mark.parametrize("inputs", [None, "float16"])
def test_functions_remember_it(inputs):
    def program(T):
        seen = []

        class Product(T.autograd.Function):
            @staticmethod
            @T.amp.custom_fwd(device_type="cpu", cast_inputs=inputs and getattr(T, inputs))
            def forward(ctx, x):
                ctx.save_for_backward(x)
                seen.append((x.dtype, T.is_autocast_cpu_enabled()))
                return x @ x

            @staticmethod
            @T.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g):
                seen.append((g.dtype, T.is_autocast_cpu_enabled()))
                return (g @ ctx.saved_tensors[0]).float() * 2

        x = T.eye(2, requires_grad=True)
        with T.autocast("cpu"):
            out = Product.apply(x)
        out.sum().backward()
        return seen, out, x.grad

    same(program)


# ---- the scaler ----


def parameters(T, grads=(1.0, 2.0)):
    w = T.nn.Parameter(T.ones(len(grads)))
    return w, T.optim.SGD([w], lr=0.5), (w * T.tensor(grads)).sum()


def test_a_scaled_step():
    def program(T):
        w, optimizer, loss = parameters(T)
        scaler = T.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1)
        scaled = scaler.scale(loss)
        scaled.backward()
        before = w.grad.clone()
        scaler.unscale_(optimizer)
        after = w.grad.clone()
        scaler.step(optimizer)
        scaler.update()
        return scaled, before, after, w.data, scaler.get_scale(), scaler.state_dict()

    same(program)


def test_a_step_that_overflows_is_left_out():
    def program(T):
        w, optimizer, loss = parameters(T, (float("inf"), 1.0))
        scaler = T.amp.GradScaler("cpu", init_scale=8.0)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return w.data, scaler.get_scale(), scaler.state_dict()

    same(program)


def test_the_scale_grows_and_shrinks():
    def program(T):
        w, optimizer, _ = parameters(T)
        scaler = T.amp.GradScaler(
            "cpu", init_scale=4.0, growth_factor=3.0, backoff_factor=0.25, growth_interval=2
        )
        scaler.scale(T.ones(1))
        seen = []
        for grad in (1.0, 1.0, float("nan"), 1.0, 1.0, 1.0):
            w.grad = T.full((2,), grad)
            scaler.step(optimizer)
            scaler.update()
            seen.append((scaler.get_scale(), scaler.state_dict()["_growth_tracker"]))
        scaler.update(2.0)
        return seen, scaler.get_scale(), scaler.get_growth_factor(), scaler.get_backoff_factor()

    same(program)


def test_several_losses_and_settings():
    def program(T):
        scaler = T.amp.GradScaler("cpu", init_scale=2.0)
        one = T.ones(1)
        scaler.set_growth_factor(4.0)
        scaler.set_backoff_factor(0.125)
        scaler.set_growth_interval(7)
        other = T.amp.GradScaler("cpu")
        other.load_state_dict(scaler.state_dict())
        other.scale(one)
        return (
            scaler.scale([one, (one * 2, one)]),
            list(scaler.scale(x for x in [one])),
            other.state_dict(),
            other.get_growth_interval(),
        )

    same(program)


WRONG = {
    "nothing scaled": lambda T, s, o: T.amp.GradScaler("cpu").step(o),
    "nothing scaled, update": lambda T, s, o: T.amp.GradScaler("cpu").update(),
    "nothing scaled, unscale": lambda T, s, o: T.amp.GradScaler("cpu").unscale_(o),
    "unscaled twice": lambda T, s, o: (s.unscale_(o), s.unscale_(o)),
    "stepped twice": lambda T, s, o: (s.step(o), s.step(o)),
    "unscaled after the step": lambda T, s, o: (s.step(o), s.unscale_(o)),
    "closure": lambda T, s, o: s.step(o, closure=lambda: 1),
    "update without a step": lambda T, s, o: s.update(),
    "no gradients": lambda T, s, o: (o.zero_grad(), s.step(o)),
    "no tensor": lambda T, s, o: s.scale(3),
    "no state": lambda T, s, o: s.load_state_dict({}),
    "growth": lambda T, s, o: T.amp.GradScaler("cpu", growth_factor=1.0),
    "backoff": lambda T, s, o: T.amp.GradScaler("cpu", backoff_factor=1.0),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_misuse(wrong):
    def program(T):
        _, optimizer, loss = parameters(T)
        scaler = T.amp.GradScaler("cpu")
        scaler.scale(loss).backward()
        wrong(T, scaler, optimizer)

    same(program)


def test_training_in_mixed_precision():
    def program(T):
        T.manual_seed(0)
        net = T.nn.Sequential(T.nn.Linear(4, 8), T.nn.ReLU(), T.nn.Linear(8, 2))
        optimizer = T.optim.SGD(net.parameters(), lr=0.1)
        scaler = T.amp.GradScaler("cpu", init_scale=16.0)
        x, y = T.randn(16, 4), T.randint(0, 2, (16,))
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            with T.autocast("cpu", dtype=T.bfloat16):
                loss = T.nn.functional.cross_entropy(net(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        return losses

    assert program(rushlight) == pytest.approx(program(torch), rel=5e-3)
