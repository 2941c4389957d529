"""Softmax regression from scratch, on scikit-learn's handwritten digits (1797 images of 8 x 8)."""

import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


def load_data():
    digits = load_digits()
    X = torch.tensor(digits.data / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    return X[:1400], y[:1400], X[1400:], y[1400:]


def softmax(X):
    X_exp = torch.exp(X - X.max(1, keepdim=True).values)
    return X_exp / X_exp.sum(1, keepdims=True)


def cross_entropy(y_hat, y):
    return -torch.log(y_hat[range(len(y_hat)), y])


def accuracy(y_hat, y):
    return (y_hat.argmax(axis=1).type(y.dtype) == y).float().mean()


class SoftmaxRegression:
    def __init__(self, inputs, outputs):
        self.W = torch.normal(0, 0.01, size=(inputs, outputs), requires_grad=True)
        self.b = torch.zeros(outputs, requires_grad=True)

    def __call__(self, X):
        return softmax(torch.matmul(X.reshape((-1, self.W.shape[0])), self.W) + self.b)

    def parameters(self):
        return [self.W, self.b]


def make_net():
    return SoftmaxRegression(64, 10)


def make_optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.5)


def train_step(net, optimizer, X, y):
    loss = cross_entropy(net(X), y).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def main():
    torch.manual_seed(0)
    X, y, X_test, y_test = load_data()
    loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
    net = make_net()
    optimizer = make_optimizer(net)
    for epoch in range(5):
        total = 0.0
        for X_batch, y_batch in loader:
            total += train_step(net, optimizer, X_batch, y_batch).item() * len(y_batch)
        with torch.no_grad():
            print(
                f"epoch {epoch + 1}, loss {total / len(X):.5f}, train {accuracy(net(X), y):.4f},"
                f" test {accuracy(net(X_test), y_test):.4f}"
            )
    print("predicted", net(X_test[:12]).argmax(1), "\nright    ", y_test[:12])


if __name__ == "__main__":
    main()
