"""A multilayer perceptron with dropout and weight decay, and what each does to the weights; on the digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load_data():
    digits = load_digits()
    X = torch.tensor(digits.data / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    return X[:1400], y[:1400], X[1400:], y[1400:]


def init_weights(m):
    if type(m) is nn.Linear:
        nn.init.xavier_uniform_(m.weight)
        nn.init.zeros_(m.bias)


def make_net(dropout=0.2):
    net = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return net.apply(init_weights)


def make_optimizer(net, weight_decay=1e-4):
    """Adam; weights decay, biases do not."""
    weights = [p for name, p in net.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in net.named_parameters() if name.endswith("bias")]
    return torch.optim.Adam([{"params": weights, "weight_decay": weight_decay}, {"params": biases}], lr=2e-3)


def train_step(net, optimizer, X, y):
    loss = nn.functional.cross_entropy(net(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@torch.no_grad()
def evaluate(net, X, y):
    net.eval()
    right = (net(X).argmax(dim=1) == y).float().mean().item()
    net.train()
    return right


def train(dropout, weight_decay, epochs=4):
    torch.manual_seed(0)
    X, y, X_test, y_test = load_data()
    loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
    net = make_net(dropout)
    optimizer = make_optimizer(net, weight_decay)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    for epoch in range(epochs):
        losses = [train_step(net, optimizer, X_batch, y_batch).item() for X_batch, y_batch in loader]
        print(
            f"epoch {epoch + 1}, lr {scheduler.get_last_lr()[0]:.4f}, loss {sum(losses) / len(losses):.4f},"
            f" test {evaluate(net, X_test, y_test):.4f}"
        )
        scheduler.step()
    squares = sum((p**2).sum() for p in net.parameters() if p.ndim == 2)
    print(f"sum of squared weights {squares.item():.2f}")
    return net


def main():
    for dropout, weight_decay in ((0.0, 0.0), (0.2, 0.0), (0.2, 1e-2)):
        print(f"dropout {dropout}, weight decay {weight_decay}")
        net = train(dropout, weight_decay)
    print(net)


if __name__ == "__main__":
    main()
