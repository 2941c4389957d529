"""torch.func against PyTorch: derivatives of functions, batches of examples, modules as functions, and their errors."""

import collections
import warnings

import numpy as np
import pytest
import torch
from both import same
from torch.testing._internal.common_methods_invocations import op_db

import rushlight
import rushlight.func

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def normal(T, *shape, seed=0):
    values = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return T.tensor(values.tolist(), dtype=T.float64)


def unsigned(value):
    """Zeros without their sign, which depends on the order of multiplications."""
    return [unsigned(part) for part in value] if isinstance(value, (list, tuple)) else value + 0.0


# ---- derivatives ----


@program
def gradient_of_a_gradient_of_a_gradient(T):
    grad = T.func.grad
    return grad(grad(grad(lambda x: x**5)))(T.tensor(2.0))


@program
def an_inner_gradient_does_not_see_the_outer_input_as_its_own(T):
    grad = T.func.grad
    return grad(lambda x: x * grad(lambda y: x * y * y)(x))(T.tensor(3.0))


@program
def gradient_with_value_and_auxiliary_output(T):
    f = lambda x, y, scale=1: ((x * y).sum() * scale, {"both": x + y})
    found = T.func.grad_and_value(f, argnums=(1, 0), has_aux=True)(
        normal(T, 3), normal(T, 3, seed=1), scale=2
    )
    return found, T.func.grad(f, has_aux=True)(normal(T, 3), T.ones(3, dtype=T.float64))


@program
def gradient_of_a_dictionary(T):
    f = lambda p, x: (T.tanh(p["w"] @ x + p["b"][0])).sum()
    return T.func.grad(f)({"w": normal(T, 2, 3), "b": [normal(T, 2)]}, normal(T, 3))


@program
def unused_inputs_get_zeros(T):
    return T.func.grad(lambda x, y: (y * y).sum(), argnums=(0, 1))(normal(T, 2), normal(T, 2, seed=1))


@program
def results_stay_in_the_callers_graph_only(T):
    w = normal(T, 3).requires_grad_()
    through = T.func.grad(lambda x: (w * x * x).sum())(normal(T, 3, seed=1))
    alone = T.func.grad_and_value(lambda x: (x * x).sum())(normal(T, 3))
    with T.no_grad():
        off = T.func.grad(lambda x: (w * x * x).sum())(normal(T, 3, seed=1))
    return through.requires_grad, T.autograd.grad(through.sum(), w), alone, off


@program
def no_grad_counts_inside_only(T):
    def f(x):
        with T.no_grad():
            constant = x**2
        return (x * constant).sum()

    with T.no_grad():
        return T.func.grad(f)(normal(T, 3))


@program
def values_are_readable_inside_a_gradient(T):
    return T.func.grad(lambda x: x.sum() * x.max().item())(T.tensor([1.0, 3.0]))


@program
def vector_jacobian_products(T):
    f = lambda x, y: {"a": (x * y).sin(), "b": (x.sum(),)}
    output, pull = T.func.vjp(f, normal(T, 3), normal(T, 3, seed=1))
    v = {"a": normal(T, 3, seed=2), "b": (T.tensor(2.0, dtype=T.float64),)}
    return output, pull(v), pull(v)


@program
def vjp_with_auxiliary_output(T):
    output, pull, aux = T.func.vjp(lambda x: (x.sin(), x.cos()), normal(T, 3), has_aux=True)
    return output, pull(T.ones(3, dtype=T.float64)), aux


@program
def jacobian_vector_products(T):
    f = lambda x, y: ((x * y).sin(), x.sum() + y)
    return T.func.jvp(f, (normal(T, 3), normal(T, 3, seed=1)), (normal(T, 3, seed=2), normal(T, 3, seed=3)))


@program
def jvp_of_a_jvp(T):
    f = lambda x: (x**3).cos()
    g = lambda x: T.func.jvp(f, (x,), (T.ones_like(x),))[1]
    return T.func.jvp(g, (normal(T, 3),), (normal(T, 3, seed=1),))


@program
def jvp_of_what_does_not_depend_on_the_input(T):
    return T.func.jvp(lambda x: T.ones(2), (T.ones(3),), (T.ones(3),))


@program
def jvp_of_an_integer_output(T):
    return T.func.jvp(lambda x: x.long(), (T.ones(3),), (T.ones(3),))


@program
def jvp_with_auxiliary_output(T):
    return T.func.jvp(lambda x: (x.exp(), x * 2), (T.zeros(2),), (T.ones(2),), has_aux=True)


@program
def forward_over_reverse(T):
    f = lambda x: (x.sin() * x.roll(1)).sum()
    return T.func.jvp(T.func.grad(f), (normal(T, 4),), (normal(T, 4, seed=1),))


@program
def linearized(T):
    f = lambda x, y: {"a": (x * y).sin(), "b": [x.sum()]}
    output, push = T.func.linearize(f, normal(T, 3), normal(T, 3, seed=3))
    return output, push(normal(T, 3, seed=1), normal(T, 3, seed=2)), push(normal(T, 3), normal(T, 3))


@program
def jacobians_both_ways(T):
    f = lambda w, x: T.tanh(w @ x)
    w, x = normal(T, 4, 3), normal(T, 3)
    found = [j(f, argnums=a)(w, x) for j in (T.func.jacrev, T.func.jacfwd) for a in (0, 1, (0, 1), (1,))]
    return unsigned(found)


@program
def jacobians_of_containers(T):
    f = lambda p: {"out": (p["a"] ** 2, p["b"].sum() * p["a"])}
    p = {"a": normal(T, 2), "b": normal(T, 3)}
    return T.func.jacrev(f)(p), T.func.jacfwd(f)(p)


@program
def jacobians_with_auxiliary_output(T):
    f = lambda x: (x**2, x.exp())
    return T.func.jacrev(f, has_aux=True)(normal(T, 2)), T.func.jacfwd(f, has_aux=True)(normal(T, 2))


@program
def jacobians_in_chunks(T):
    f = lambda x: (x**2, x.sum())
    return [T.func.jacrev(f, chunk_size=n)(normal(T, 5)) for n in (1, 2, 5, 9, None)]


@program
def jacobians_of_scalars_and_of_nothing(T):
    x = T.tensor(2.0)
    return T.func.jacrev(T.exp)(x), T.func.jacfwd(T.exp)(x), T.func.hessian(T.exp)(x)


@program
def hessian_of_rosenbrock(T):
    f = lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    return T.func.hessian(f)(normal(T, 5)), T.func.jacrev(T.func.jacrev(f))(normal(T, 5))


@program
def hessian_of_two_arguments(T):
    return T.func.hessian(lambda x, y: x[0] * x[1] * y.sum() ** 2, argnums=(0, 1))(normal(T, 2), normal(T, 3))


# ---- batches ----


@program
def gradients_of_each_example(T):
    loss = lambda w, x, y: ((w @ x - y) ** 2).mean()
    batch = normal(T, 7, 3), normal(T, 7, 4)
    return T.func.vmap(T.func.grad(loss), in_dims=(None, 0, 0))(normal(T, 4, 3), *batch)


@program
def gradients_of_each_image(T):
    F = T.nn.functional

    def loss(p, x, y):
        h = F.max_pool2d(F.relu(F.conv2d(x.unsqueeze(0), p["w"], p["b"], padding=1)), 2)
        return F.cross_entropy(h.flatten(1), y.unsqueeze(0))

    p = {"w": normal(T, 4, 3, 3, 3), "b": normal(T, 4)}
    f = T.func.vmap(T.func.grad_and_value(loss), in_dims=(None, 0, 0))
    return f(p, normal(T, 5, 3, 4, 4), T.tensor([0, 3, 15, 7, 2]))


@program
def hessians_and_jacobians_of_each_example(T):
    f = lambda x: T.nn.functional.gelu(normal(T, 3, 3) @ x).softmax(0)
    x = normal(T, 2, 3)
    scalar = T.func.hessian(lambda x: f(x).pow(2).sum())
    return T.func.vmap(scalar)(x), T.func.vmap(T.func.jacrev(f))(x), T.func.vmap(T.func.jacfwd(f))(x)


@program
def a_gradient_through_a_batch_of_gradients(T):
    f = lambda w: (T.func.vmap(T.func.grad(lambda x: (w * x).sin().sum()))(normal(T, 5, 3)) ** 2).sum()
    return T.func.grad(f)(normal(T, 3))


@program
def batches_of_batches(T):
    f = T.vmap(T.vmap(lambda x, y: x * y, in_dims=(None, 0)), in_dims=(0, None))
    three = T.vmap(T.vmap(T.vmap(lambda a, b: a @ b, (0, None)), (1, 0)), (None, 0))
    return f(T.arange(3), T.arange(4)), three(normal(T, 2, 3, 4), normal(T, 5, 3, 4))


@program
def containers_in_and_out(T):
    f = T.vmap(
        lambda d, l: {"s": d["a"] + l[0], "t": (l[1].sum(),)},
        in_dims=({"a": 0}, [1, None]),
        out_dims={"s": 1, "t": 0},
    )
    return f({"a": normal(T, 3, 2)}, [normal(T, 2, 3), normal(T, 4)])


@program
def dimensions_in_and_out(T):
    x = normal(T, 3, 4, 2)
    return [
        T.vmap(lambda x: (x, x.sum()), in_dims=i, out_dims=(o, 0))(x) for i in (0, 1, -1) for o in (0, 1, -1)
    ]


@program
def outputs_that_are_the_same_for_all(T):
    f = lambda x: (x, T.ones(2), 3.5)
    return T.vmap(f, out_dims=(0, 0, None))(T.zeros(3)), T.vmap(f, out_dims=(0, None, None))(T.zeros(3))


@program
def in_chunks(T):
    return T.vmap(lambda x: (x.sum(), x * 2), chunk_size=2, out_dims=(0, 1))(normal(T, 5, 3))


@program
def an_empty_batch(T):
    x = T.ones(0, 3, 2)
    return [T.vmap(f)(x) for f in (T.sum, lambda x: T.cdist(x, x), lambda x: x.reshape(6), lambda x: x[1])]


@program
def scalars_of_a_batch_yield_to_tensors_with_dimensions(T):
    f = lambda s, x: (s * x, s + 1, s.float() * x.double(), s > x)
    return T.vmap(f)(T.ones(3, dtype=T.float64), T.ones(3, 2))


@program
def reading_by_index(T):
    x, table = normal(T, 4, 3, 5), normal(T, 6, 5)
    i, j = T.tensor([0, 1, 2, 1]), T.tensor([[0, 1], [1, 2], [2, 2], [0, 0]])
    own = [
        lambda x, i, j: x[i],
        lambda x, i, j: x[:, i],
        lambda x, i, j: x[j, :],
        lambda x, i, j: x[:, j],
        lambda x, i, j: x[j, j],
        lambda x, i, j: x[..., j],
        lambda x, i, j: x[None, j, None],
        lambda x, i, j: table[j],
        lambda x, i, j: table[:, j],
        lambda x, i, j: table[i, 1:],
        lambda x, i, j: x[T.tensor([0, 2])],
        lambda x, i, j: x[..., T.tensor([0, 2])],
        lambda x, i, j: x[T.tensor([0, 2]), None, :, None][T.tensor([0, 1]), :, T.tensor([[0, 2]])],
        lambda x, i, j: x[None, 1, ::2],
        lambda x, i, j: x[[0, 1], [2, 3]],
        lambda x, i, j: x[T.tensor([True, False, True])],
        lambda x, i, j: x.index_select(1, j),
        lambda x, i, j: x.gather(1, T.stack([j, j, j])),
        lambda x, i, j: x.take_along_dim(j.unsqueeze(0), 1),
    ]
    return [T.vmap(f)(x, i, j) for f in own]


@program
def writing_by_index(T):
    def f(x, i):
        y = x.clone()
        y[i] = 0.0
        y[1:] += x[:-1]
        y[:, 0] = x[0]
        y[:, i] = x[i]
        return y.masked_fill(x < -1, 5.0).scatter_add(0, i.reshape(1, 1), x[:1, :1])

    return T.vmap(f)(normal(T, 5, 3, 3), T.tensor([0, 1, 2, 0, 1]))


@program
def writes_show_in_the_batch(T):
    x = normal(T, 4, 3)
    out = T.vmap(lambda x: x.mul_(2).add_(x[0].clone()))(x)
    turned = normal(T, 3, 4)
    T.vmap(lambda x: x[1:].zero_(), in_dims=1)(turned)
    return x, out, turned


@program
def layers_with_weights_of_their_own(T):
    F = T.nn.functional
    x = normal(T, 3, 2, 4, 6, 6)
    w, b = normal(T, 3, 5, 4, 3, 3), normal(T, 3, 5)
    affine = normal(T, 3, 4), normal(T, 3, 4, seed=1)
    return [
        T.vmap(lambda x, w, b: F.conv2d(x, w, b, padding=1))(x, w, b),
        T.vmap(lambda w, b: F.conv2d(x[0], w, b, stride=2))(w, b),
        T.vmap(lambda x: F.conv_transpose2d(x, w[0].transpose(0, 1)))(x),
        T.vmap(lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), groups=1))(x, w),
        T.vmap(lambda x, w, b: F.group_norm(x, 2, w, b))(x, *affine),
        T.vmap(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True))(x, *affine),
        T.vmap(lambda x, w, b: F.instance_norm(x, None, None, w, b))(x, *affine),
        T.vmap(lambda x, w, b: F.layer_norm(x.transpose(1, 3), (4,), w, b))(x, *affine),
        T.vmap(lambda w, b: F.linear(x[0, 0, 0], w.flatten(1)[:, :6], b))(w, b),
        T.vmap(lambda x: F.adaptive_avg_pool2d(F.avg_pool2d(x, 2), 2))(x),
        T.vmap(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"))(x),
        T.vmap(lambda x: F.pad(x, (1, 1, 2, 0), mode="reflect"))(x),
    ]


@program
def lookup_with_a_table_of_ones_own(T):
    F = T.nn.functional
    tables, i = normal(T, 3, 6, 4), T.tensor([[0, 1], [2, 3], [5, 5]])
    each = T.vmap(T.func.grad(lambda w, i: F.embedding(i, w).sin().sum()), in_dims=(None, 0))
    return T.vmap(F.embedding)(i, tables), T.vmap(lambda w: F.embedding(i, w))(tables), each(tables[0], i)


@program
def losses_of_each(T):
    F = T.nn.functional
    x, y = normal(T, 3, 5, 4), normal(T, 3, 5, 4, seed=1)
    classes = T.tensor([[0, 1, 2, 3, -100], [3, 3, 3, 1, 0], [-100, 1, 1, 0, 2]])
    found = []
    for reduction in ("mean", "sum", "none"):
        for loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.kl_div):
            found.append(T.vmap(lambda x, y: loss(x, y, reduction=reduction))(x, y))
        found.append(T.vmap(lambda x, c: F.cross_entropy(x, c, reduction=reduction))(x, classes))
        found.append(T.vmap(lambda x, c: F.nll_loss(x.log_softmax(1), c, reduction=reduction))(x, classes))
    return unsigned(found)


@program
def attention_in_a_batch(T):
    T.manual_seed(0)
    m = T.nn.MultiheadAttention(8, 2, batch_first=True, dtype=T.float64)
    return T.vmap(lambda x: m(x, x, x)[0])(normal(T, 3, 2, 5, 8))


@program
def a_loop_over_autograd_grad(T):
    x = normal(T, 3).requires_grad_()
    y = x.sin() * x.sum()
    return T.vmap(lambda v: T.autograd.grad(y, x, v, retain_graph=True)[0])(T.eye(3, dtype=T.float64))


@program
def backward_through_a_batch(T):
    w = normal(T, 3).requires_grad_()
    T.vmap(lambda x: (w * x).sum())(normal(T, 4, 3)).pow(2).sum().backward()
    return w.grad


@program
def a_custom_function_for_batches(T):
    class Cube(T.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return 3 * ctx.saved_tensors[0] ** 2 * g

    class Last(T.autograd.Function):
        @staticmethod
        def forward(x):
            return x[-1]

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def vmap(info, in_dims, x):
            return x.movedim(in_dims[0], 0)[:, -1] + info.batch_size, 0

    x = normal(T, 4, 3)
    return T.vmap(Cube.apply)(x), T.vmap(T.func.grad(lambda x: Cube.apply(x).sum()))(x), T.vmap(Last.apply)(x)


# ---- modules ----


def small(T):
    T.manual_seed(1)
    return T.nn.Sequential(T.nn.Linear(3, 4), T.nn.Tanh(), T.nn.BatchNorm1d(4), T.nn.Linear(4, 2))


@program
def calling_a_module_with_other_parameters(T):
    m = small(T)
    zeros = {name: T.zeros_like(p) for name, p in m.named_parameters()}
    buffers = {"2.running_mean": T.ones(4)}
    before = m(T.ones(2, 3))
    out = T.func.functional_call(m, (zeros, buffers), T.ones(2, 3))
    T.func.functional_call(m, buffers, (T.zeros(2, 3),))
    return out, buffers, T.allclose(m(T.ones(2, 3)), before)


@program
def tied_parameters(T):
    class Tied(T.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = T.nn.Parameter(T.ones(2))
            self.b = self.a

        def forward(self, x):
            return self.a + self.b * x

    call = T.func.functional_call
    one = {"a": T.full((2,), 3.0)}
    return call(Tied(), one, T.ones(2)), call(Tied(), one, T.ones(2), tie_weights=False)


@program
def an_ensemble(T):
    models = [T.nn.Linear(3, 2) for _ in range(4)]
    for seed, m in enumerate(models):
        with T.no_grad():
            m.weight.copy_(normal(T, 2, 3, seed=seed))
            m.bias.copy_(normal(T, 2, seed=seed))
    params, buffers = T.func.stack_module_state(models)
    call = lambda p, b, x: T.func.functional_call(models[0], (p, b), (x,))
    return params, buffers, T.vmap(call, in_dims=(0, 0, None))(params, buffers, T.ones(5, 3))


@program
def gradients_of_a_module_for_each_example(T):
    m = T.func.replace_all_batch_norm_modules_(small(T)).double()
    params = {k: v.detach() for k, v in m.named_parameters()}
    loss = lambda p, x: T.func.functional_call(m, p, (x,)).square().mean()
    return T.vmap(T.func.grad(loss), in_dims=(None, 0))(params, normal(T, 3, 2, 3))


# ---- random numbers ----

DRAWS = {
    "rand": lambda T, x: x + T.rand(4),
    "rand without dimensions": lambda T, x: x + T.rand(()),
    "rand_like": lambda T, x: x + T.rand_like(x),
    "rand_like of what is the same for all": lambda T, x: x + T.rand_like(T.ones(4)),
    "randn": lambda T, x: T.randn(20) + x.sum(),
    "randint": lambda T, x: x + T.randint(0, 9, (4,)),
    "randint_like": lambda T, x: T.randint_like(x, 9),
    "randperm": lambda T, x: x + T.randperm(4),
    "multinomial": lambda T, x: T.multinomial(x + 0.5, 2),
    "bernoulli": lambda T, x: T.bernoulli(x + 0.5),
    "poisson": lambda T, x: T.poisson(x + 3),
    "normal": lambda T, x: T.normal(x, 1.0),
    "normal of numbers": lambda T, x: x[0] + T.normal(0.0, 1.0, (5,)),
    "normal_": lambda T, x: x.clone().normal_(),
    "uniform_": lambda T, x: x.clone().uniform_(1, 2),
    "bernoulli_": lambda T, x: x.clone().bernoulli_(0.3),
    "bernoulli_ of probabilities": lambda T, x: x.clone().bernoulli_(x + 0.5),
    "exponential_": lambda T, x: x.clone().exponential_(),
    "normal_ of what is the same for all": lambda T, x: x + T.empty(4).normal_(),
    "dropout": lambda T, x: T.nn.functional.dropout(x + 1, 0.5),
    "dropout2d": lambda T, x: T.nn.functional.dropout2d((x + 1).reshape(1, 4, 1, 1), 0.5),
    "alpha_dropout": lambda T, x: T.nn.functional.alpha_dropout(x + 1, 0.5, True),
    "dropout in evaluation": lambda T, x: T.nn.functional.dropout(x + 1, 0.5, False),
    "rrelu": lambda T, x: T.nn.functional.rrelu(x - 1, training=True),
    "attention": lambda T, x: T.nn.functional.scaled_dot_product_attention(
        *[x.reshape(1, 2, 2) + 1] * 3, dropout_p=0.5
    ),
}


@pytest.mark.parametrize("randomness", ["same", "different"])
@pytest.mark.parametrize("name", DRAWS)
def test_random_numbers(name, randomness):
    def run(T):
        T.manual_seed(3)
        return T.vmap(lambda x: DRAWS[name](T, x), randomness=randomness)(T.zeros(3, 4)), T.rand(2)

    same(run)


@pytest.mark.parametrize("name", [name for name in DRAWS if name != "rrelu"])
def test_random_numbers_are_refused(name):
    same(lambda T: T.vmap(lambda x: DRAWS[name](T, x))(T.zeros(3, 4)))


def test_random_numbers_of_nested_batches():
    def run(T):
        found = []
        for outer in ("same", "different"):
            for inner in ("same", "different"):
                T.manual_seed(0)
                f = T.vmap(T.vmap(lambda x: x + T.randn(3), randomness=inner), randomness=outer)
                found.append(f(T.zeros(2, 4, 3)))
        return found

    same(run)


# ---- errors ----

ERRORS = {
    "item": lambda T, x: T.vmap(lambda x: x.sum().item())(x),
    "float": lambda T, x: T.vmap(lambda x: float(x.sum()))(x),
    "if": lambda T, x: T.vmap(lambda x: x if x.sum() > 0 else -x)(x),
    "tolist": lambda T, x: T.vmap(lambda x: x.tolist())(x),
    "mask": lambda T, x: T.vmap(lambda x: x[x > 0])(x),
    "nonzero": lambda T, x: T.vmap(lambda x: x.nonzero())(x),
    "masked_select": lambda T, x: T.vmap(lambda x: T.masked_select(x, x > 0))(x),
    "equal": lambda T, x: T.vmap(lambda x: T.equal(x, x))(x),
    "backward": lambda T, x: T.vmap(lambda x: x.sum().backward())(x),
    "requires_grad_": lambda T, x: T.vmap(lambda x: x.requires_grad_())(x),
    "copy_": lambda T, x: T.vmap(lambda x: T.zeros(4).copy_(x))(x),
    "write to what is the same": lambda T, x: T.vmap(lambda x: T.zeros(4).__setitem__(0, x[0]))(x),
    "no batch rule of a Function": lambda T, x: T.vmap(_plain_function(T).apply)(x),
    "not a tensor out": lambda T, x: T.vmap(lambda x: 3)(x),
    "out_dims": lambda T, x: T.vmap(lambda x: (x, x), out_dims=(0, 0, 0))(x),
    "out_dims of a number": lambda T, x: T.vmap(lambda x: x, out_dims="a")(x),
    "out_dims None": lambda T, x: T.vmap(lambda x: x, out_dims=None)(x),
    "in_dims": lambda T, x: T.vmap(T.add, in_dims=(0, 0, 0))(x, x),
    "in_dims of a list": lambda T, x: T.vmap(T.add, in_dims=[0, 0])(x, x),
    "in_dims out of range": lambda T, x: T.vmap(T.sum, in_dims=2)(x),
    "in_dims of a number": lambda T, x: T.vmap(T.add, in_dims=(0, 0))(x, 3),
    "in_dims of a string": lambda T, x: T.vmap(T.add, in_dims=(0, "a"))(x, x),
    "nothing to map": lambda T, x: T.vmap(T.add, in_dims=(None, None))(x, x),
    "no inputs": lambda T, x: T.vmap(T.add)(),
    "sizes": lambda T, x: T.vmap(T.add)(x, x[:2]),
    "randomness": lambda T, x: T.vmap(T.add, randomness="any")(x, x),
    "chunk_size": lambda T, x: T.vmap(T.add, chunk_size=0)(x, x),
    "batch norm": lambda T, x: T.vmap(T.nn.BatchNorm1d(4))(x.reshape(3, 1, 4).repeat(1, 2, 1)),
    "grad of no scalar": lambda T, x: T.func.grad(lambda x: x)(x),
    "grad of a number": lambda T, x: T.func.grad(lambda x: x.sum().item())(x),
    "grad at integers": lambda T, x: T.func.grad(lambda x: x.sum())(x.long()),
    "grad at a number": lambda T, x: T.func.grad(lambda x: x)(3.0),
    "grad without aux": lambda T, x: T.func.grad(lambda x: x.sum(), has_aux=True)(x),
    "grad with a number as aux": lambda T, x: T.func.grad(lambda x: (x.sum(), 1), has_aux=True)(x),
    "argnums": lambda T, x: T.func.grad(lambda x: x.sum(), argnums=3)(x),
    "argnums twice": lambda T, x: T.func.grad(lambda x, y: x.sum(), argnums=(0, 0))(x, x),
    "argnums of none": lambda T, x: T.func.grad(lambda x, y: x.sum(), argnums=())(x, x),
    "argnums of a string": lambda T, x: T.func.grad(lambda x: x.sum(), argnums="x")(x),
    "in place on the input": lambda T, x: T.func.grad(lambda x: x.add_(1).sum())(x),
    "vjp of integers": lambda T, x: T.func.vjp(lambda x: x.long(), x),
    "vjp of nothing": lambda T, x: T.func.vjp(lambda x: None, x),
    "vjp with another structure": lambda T, x: T.func.vjp(lambda x: x * 2, x)[1]((x,)),
    "vjp with another shape": lambda T, x: T.func.vjp(lambda x: x * 2, x)[1](x[0]),
    "jvp with another shape": lambda T, x: T.func.jvp(lambda x: x * 2, (x,), (x[0],)),
    "jvp with another structure": lambda T, x: T.func.jvp(lambda x: x * 2, (x,), (x, x)),
    "jvp of no tuple": lambda T, x: T.func.jvp(lambda x: x * 2, x, x),
    "jvp at integers": lambda T, x: T.func.jvp(lambda x: x * 2.0, (x.long(),), (x,)),
    "jvp of numbers": lambda T, x: T.func.jvp(lambda x: 3.0, (x,), (x,)),
    "strict jvp": lambda T, x: T.func.jvp(lambda y: x, (x,), (x,), strict=True),
    "jacobian of complex": lambda T, x: T.func.jacrev(lambda x: x)(x + 0j),
    "jacobian to complex": lambda T, x: T.func.jacfwd(lambda x: x + 1j)(x),
    "jacobian in chunks of none": lambda T, x: T.func.jacrev(lambda x: x, chunk_size=0),
    "call with two values": lambda T, x: T.func.functional_call(T.nn.Linear(1, 1), ({"a": x}, {"a": x}), x),
    "call with no dictionary": lambda T, x: T.func.functional_call(T.nn.Linear(1, 1), 3, x),
    "call with unknown names": lambda T, x: T.func.functional_call(
        T.nn.Linear(1, 1), {"b": x}, x, strict=True
    ),
    "stack nothing": lambda T, x: T.func.stack_module_state([]),
    "stack two kinds": lambda T, x: T.func.stack_module_state([T.nn.Linear(1, 1), T.nn.Identity()]),
    "stack two modes": lambda T, x: T.func.stack_module_state([T.nn.Linear(1, 1), T.nn.Linear(1, 1).eval()]),
}


def _plain_function(T):
    class Plain(T.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    return Plain


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    same(lambda T: ERRORS[name](T, T.arange(12.0).reshape(3, 4) - 5))


# ---- every operation ----

#: what has no value to compare, or whose size depends on values
UNCOMPARED = frozenset(
    "empty empty_like new_empty empty_strided new_empty_strided empty_permuted unique unique_consecutive nonzero argwhere "
    "masked_select resize_ resize_as_ __radd__ __rmul__ __rsub__ __rand__ __ror__ __rxor__ bernoulli multinomial normal "
    "rand_like randn_like randint_like poisson uniform cauchy exponential geometric log_normal nn.functional.rrelu "
    "nn.functional.batch_norm native_batch_norm nn.functional.instance_norm nn.functional.fractional_max_pool2d "
    "nn.functional.fractional_max_pool3d sparse.mm".split()
    # (batch norms refuse running statistics without the batch, as PyTorch's do; fractional pooling draws where it pools;
    # the samples of sparse.mm are in the CSR layout)
)


def operation(name):
    found = rushlight
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None and hasattr(rushlight.Tensor, name):
        return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)
    return found


def ours(value):
    if isinstance(value, torch.Tensor):
        return rushlight.from_numpy(value.detach().numpy().copy())
    if isinstance(value, (list, tuple)):
        return type(value)(ours(part) for part in value)
    if isinstance(value, dict):
        return {key: ours(part) for key, part in value.items()}
    if isinstance(value, torch.dtype):
        return getattr(rushlight, str(value).removeprefix("torch."))
    return value


def tensors(value):
    if isinstance(value, (rushlight.Tensor, torch.Tensor)):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [t for part in parts for t in tensors(part)]


def filled(value, source):
    if isinstance(value, rushlight.Tensor):
        return next(source)
    if type(value) in (list, tuple):
        return type(value)(filled(part, source) for part in value)
    if isinstance(value, dict):
        return {key: filled(part, source) for key, part in value.items()}
    return value


def turned(t):
    """The same elements in another order; integers, which may be positions, stay."""
    return t.reshape(-1).flip([0]).reshape(t.shape) if t.numel() and t.is_floating_point() else t.clone()


OPERATIONS = collections.defaultdict(list)
for _info in op_db:
    if _info.name not in UNCOMPARED and "dropout" not in _info.name and operation(_info.name) is not None:
        OPERATIONS[_info.name].append(_info)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_batch_is_its_entries_stacked(name):
    """PyTorch's sample inputs in batches of two; where an operation refuses an entry, nothing is compared."""
    for info in OPERATIONS[name]:
        kinds = [k for k in (torch.float64, torch.int64, torch.bool) if k in info.dtypes]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = list(info.sample_inputs("cpu", kinds[0])) if kinds else []
            for sample in samples[:: max(1, len(samples) // 3)]:
                masked = name == "__getitem__" and any(t.dtype == torch.bool for t in tensors(sample.args[0]))
                if sample.kwargs.get("dropout_p") or masked:
                    continue
                compare(operation(name), [ours([sample.input, *sample.args]), ours(sample.kwargs)])


def compare(function, arguments):
    given = tensors(arguments)
    pairs = [rushlight.stack([t, turned(t)]) for t in given]
    for chosen in (lambda n: True, lambda n: n == 0, lambda n: n > 0):
        batch = [pair for n, pair in enumerate(pairs) if chosen(n)]
        if not batch:
            continue

        def run(*entries, chosen=chosen):
            source = iter(entries)
            whole = iter([next(source) if chosen(n) else t for n, t in enumerate(given)])
            args, kwargs = filled(arguments, whole)
            return tensors(function(*args, **kwargs))

        try:
            wanted = [rushlight.stack(outs) for outs in zip(*[run(*[b[n] for b in batch]) for n in (0, 1)])]
        except Exception:
            continue
        if not wanted:
            continue
        found = rushlight.vmap(lambda *entries: tuple(run(*entries)))(*batch)
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted):
            assert a.dtype is b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-7, 1e-9)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_programs(name):
    same(PROGRAMS[name])


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_renorm_takes_each_entry_for_itself(dim):
    batch = rushlight.randn(4, 3, 5)
    wanted = rushlight.stack([entry.renorm(2, dim, 1.0) for entry in batch])
    found = rushlight.vmap(lambda entry: entry.renorm(2, dim, 1.0))(batch)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), 1e-6)
