"""LeNet, fitted to the 8 x 8 digits: convolutions, average pooling, batch normalisation in a second version."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load_data():
    digits = load_digits()
    X = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(digits.target)
    return X[:768], y[:768], X[1400:], y[1400:]


def init_cnn(module):
    if type(module) in (nn.Linear, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


def make_net():
    net = nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(64, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )
    return net.apply(init_cnn)


def make_modern_net():
    return nn.Sequential(
        nn.LazyConv2d(8, kernel_size=3, padding=1),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.LazyConv2d(16, kernel_size=3),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


def make_optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


def train_step(net, optimizer, X, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(X), y)
    loss.backward()
    optimizer.step()
    return loss


def train(net, epochs):
    X, y, X_test, y_test = load_data()
    loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
    optimizer = make_optimizer(net)
    for epoch in range(epochs):
        net.train()
        losses = [train_step(net, optimizer, X_batch, y_batch).item() for X_batch, y_batch in loader]
        net.eval()
        with torch.no_grad():
            right = (net(X_test).argmax(1) == y_test).float().mean().item()
        print(f"epoch {epoch + 1}, loss {sum(losses) / len(losses):.4f}, test {right:.3f}")


def shapes(net):
    X = torch.zeros(1, 1, 8, 8)
    for layer in net:
        X = layer(X)
        print(f"{type(layer).__name__:>18} {tuple(X.shape)}")


def main():
    torch.manual_seed(0)
    net = make_net()
    shapes(net)
    train(net, 3)
    net = make_modern_net()
    shapes(net.eval())
    train(net, 3)


if __name__ == "__main__":
    main()
