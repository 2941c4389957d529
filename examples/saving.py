"""Saving and loading: tensors, models, optimisers; a run that is interrupted and goes on as if it had not been."""

import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 32)
        self.output = nn.Linear(32, 5)
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        self.steps += 1
        return self.output(F.relu(self.hidden(x)))


def train(net, optimizer, X, y, steps):
    for _ in range(steps):
        loss = F.cross_entropy(net(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def tensors(folder):
    x, y = torch.arange(4), torch.zeros(2, 3)
    torch.save(x, folder / "x.pt")
    print(torch.load(folder / "x.pt"))
    torch.save({"x": x, "list": [x, y], "note": "two tensors, one storage"}, folder / "dict.pt")
    loaded = torch.load(folder / "dict.pt")
    loaded["x"][0] = 99
    print(loaded)


def checkpoint(folder):
    torch.manual_seed(0)
    X, y = torch.randn(64, 20), torch.randint(5, (64,))
    net = MLP()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    print(f"loss after 5 steps {train(net, optimizer, X, y, 5):.5f}")
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()}, folder / "checkpoint.pt")
    print(f"loss after 10 steps {train(net, optimizer, X, y, 5):.5f}")

    other = MLP()
    other_optimizer = torch.optim.AdamW(other.parameters(), lr=1e-2)
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    print(other.load_state_dict(saved["model"]), list(saved["model"]))
    other_optimizer.load_state_dict(saved["optimizer"])
    print(f"the same from the file {train(other, other_optimizer, X, y, 5):.5f}")
    same = all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values()))
    print("every bit the same:", same, net.steps.item(), other.steps.item())


def mismatch():
    try:
        nn.Linear(3, 2).load_state_dict({"weight": torch.zeros(2, 2), "gain": torch.ones(1)})
    except RuntimeError as error:
        print(error)
    print(nn.Linear(3, 2).load_state_dict({"weight": torch.zeros(2, 3)}, strict=False))


def main():
    with tempfile.TemporaryDirectory() as name:
        tensors(Path(name))
        checkpoint(Path(name))
    mismatch()


if __name__ == "__main__":
    main()
