"""Linear regression from scratch: data with noise, minibatches, squared loss, stochastic gradient descent."""

import random

import torch


def synthetic_data(w, b, count):
    """Inputs from a normal distribution; y = Xw + b + noise."""
    X = torch.normal(0, 1, (count, len(w)))
    y = torch.matmul(X, w) + b
    y += torch.normal(0, 0.01, y.shape)
    return X, y.reshape((-1, 1))


def batches(size, features, labels):
    indices = list(range(len(features)))
    random.shuffle(indices)
    for start in range(0, len(indices), size):
        chosen = torch.tensor(indices[start : start + size])
        yield features[chosen], labels[chosen]


def linreg(X, w, b):
    return torch.matmul(X, w) + b


def squared_loss(y_hat, y):
    return (y_hat - y.reshape(y_hat.shape)) ** 2 / 2


def sgd(params, lr, size):
    with torch.no_grad():
        for param in params:
            param -= lr * param.grad / size
            param.grad.zero_()


def make_params():
    w = torch.normal(0, 0.01, size=(2, 1), requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    return w, b


def train_step(params, X, y, lr=0.03):
    loss = squared_loss(linreg(X, *params), y)
    loss.sum().backward()
    sgd(params, lr, len(y))
    return loss


def main():
    random.seed(0)
    torch.manual_seed(0)
    true_w, true_b = torch.tensor([2, -3.4]), 4.2
    features, labels = synthetic_data(true_w, true_b, 1000)
    print("features:", features[0], "\nlabel:", labels[0])
    params = w, b = make_params()
    for epoch in range(3):
        for X, y in batches(10, features, labels):
            train_step(params, X, y)
        with torch.no_grad():
            loss = squared_loss(linreg(features, w, b), labels)
            print(f"epoch {epoch + 1}, loss {float(loss.mean()):.6f}")
    print(f"error in estimating w: {true_w - w.reshape(true_w.shape)}")
    print(f"error in estimating b: {true_b - b}")


if __name__ == "__main__":
    main()
