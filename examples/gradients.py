"""Automatic differentiation: gradients of scalars and vectors, detaching, control flow, higher orders, own functions."""

import torch
from torch.autograd.functional import hessian, jacobian

# ---- a scalar function of a vector ----

x = torch.arange(4.0, requires_grad=True)
print(x.grad)
y = 2 * torch.dot(x, x)
print(y)
y.backward()
print(x.grad, x.grad == 4 * x)

x.grad.zero_()  # gradients add up until they are cleared
y = x.sum()
y.backward()
print(x.grad)

# ---- a vector function needs a direction ----

x.grad.zero_()
y = x * x
y.backward(gradient=torch.ones(len(y)))
print(x.grad)

# ---- a part of the computation that counts as constant ----

x.grad.zero_()
y = x * x
u = y.detach()
z = u * x
z.sum().backward()
print(x.grad == u)
x.grad.zero_()
y.sum().backward()
print(x.grad == 2 * x)
with torch.no_grad():
    print((x * 2).requires_grad)


# ---- control flow ----


def f(a):
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


torch.manual_seed(1)
a = torch.randn(size=(), requires_grad=True)
d = f(a)
d.backward()
print(a.grad == d / a, a.grad)

# ---- higher orders ----

t = torch.tensor(2.0, requires_grad=True)
(first,) = torch.autograd.grad(t**4, t, create_graph=True)
(second,) = torch.autograd.grad(first, t, create_graph=True)
(third,) = torch.autograd.grad(second, t)
print(first, second, third)


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


p = torch.tensor([0.5, 0.25])
print(jacobian(rosenbrock, p), hessian(rosenbrock, p), sep="\n")


# ---- a function with a derivative of its own ----


class Clip(torch.autograd.Function):
    """Clamps to [-1, 1], and lets gradients through everywhere."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * torch.where(x.abs() > 1, 0.1, 1.0)


x = torch.tensor([-3.0, 0.5, 2.0], requires_grad=True)
Clip.apply(x).sum().backward()
print(x.grad)
print(
    torch.autograd.gradcheck(
        lambda t: (t.sin() * t).sum(), torch.linspace(0, 1, 5, dtype=torch.float64, requires_grad=True)
    )
)

# ---- hooks, and the graph ----

x = torch.ones(2, requires_grad=True)
y = (x * 3).relu()
y.register_hook(lambda g: g * 10)
y.sum().backward()
print(x.grad, y, y.grad_fn.name(), y.grad_fn.next_functions[0][0].name())
