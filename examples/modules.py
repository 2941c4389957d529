"""The builder's guide: blocks and layers of one's own, parameters, initialisation, sharing, lazy layers, hooks."""

import torch
from torch import nn
from torch.nn import functional as F

# ---- blocks ----


class MySequential(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        for number, layer in enumerate(layers):
            self.add_module(str(number), layer)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


class FixedHidden(nn.Module):
    """A layer used twice, a constant matrix, and control flow."""

    def __init__(self):
        super().__init__()
        self.rand_weight = torch.rand((20, 20))
        self.linear = nn.LazyLinear(20)

    def forward(self, x):
        x = self.linear(x)
        x = F.relu(x @ self.rand_weight + 1)
        x = self.linear(x)
        while x.abs().sum() > 1:
            x /= 2
        return x.sum()


torch.manual_seed(0)
X = torch.rand(2, 20)
net = MySequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 4))
print(net, net(X), sep="\n")
chimera = nn.Sequential(MySequential(nn.LazyLinear(16), nn.Tanh()), nn.LazyLinear(20), FixedHidden())
print(chimera)
print(chimera(X))
print(chimera)

# ---- layers ----


class CentredLayer(nn.Module):
    def forward(self, X):
        return X - X.mean()


class MyLinear(nn.Module):
    def __init__(self, inputs, units):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, units))
        self.bias = nn.Parameter(torch.randn(units))

    def forward(self, X):
        return F.relu(torch.matmul(X, self.weight) + self.bias)


centred = nn.Sequential(MyLinear(20, 8), CentredLayer())
print(
    f"{centred(X).mean().abs().item() < 1e-6}",
    centred[0].weight.shape,
    [name for name, _ in centred.named_parameters()],
)

# ---- parameters ----

net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
print(net[0].weight)
net(X)
print(net[2].state_dict())
print(type(net[2].bias).__name__, net[2].bias.data, net[2].weight.grad is None)
print([(name, tuple(param.shape)) for name, param in net.named_parameters()])

shared = nn.Linear(8, 8)
net = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1))
print(torch.equal(net[2].weight.data, net[4].weight.data), len(list(net.parameters())))
net[2].weight.data[0, 0] = 100
print(net[4].weight.data[0, 0], sum(p.numel() for p in net.parameters()))

# ---- initialisation ----


def init_normal(module):
    if type(module) is nn.Linear:
        nn.init.normal_(module.weight, mean=0, std=0.01)
        nn.init.zeros_(module.bias)


def init_own(module):
    if type(module) is nn.Linear:
        print("init", *((name, tuple(param.shape)) for name, param in module.named_parameters()))
        nn.init.uniform_(module.weight, -10, 10)
        module.weight.data *= module.weight.data.abs() >= 5


net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
net.apply(init_normal)
print(net[0].weight.data[0], net[0].bias.data[0])
net[0].apply(lambda m: nn.init.xavier_uniform_(m.weight))
net[2].apply(lambda m: nn.init.constant_(m.weight, 42))
print(net[0].weight.data[0], net[2].weight.data)
net.apply(init_own)
print(net[0].weight[:2])

# ---- hooks, freezing, modes ----

seen = []
handle = net[1].register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
net(torch.ones(3, 4))
handle.remove()
net(torch.ones(3, 4))
print(seen)
for param in net[0].parameters():
    param.requires_grad = False
net(torch.ones(3, 4)).sum().backward()
print(net[0].weight.grad, net[2].bias.grad)
print(net.training, net.eval().training, next(net.double().parameters()).dtype)
blocks = nn.ModuleDict({"a": nn.ModuleList([nn.Linear(2, 2), nn.Dropout(0.5)]), "b": nn.Identity()})
print(blocks, "\n", list(blocks.state_dict()))
