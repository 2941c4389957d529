"""Linear regression with `torch.nn`, on the diabetes data of scikit-learn: ten measurements, one outcome."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils import data


def load_data():
    X, y = load_diabetes(return_X_y=True)
    X = torch.tensor(X, dtype=torch.float32)
    y = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)
    return (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()


def make_net():
    net = nn.Sequential(nn.Linear(10, 1))
    net[0].weight.data.normal_(0, 0.01)
    net[0].bias.data.fill_(0)
    return net


def make_optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.03)


def train_step(net, optimizer, X, y):
    loss = nn.functional.mse_loss(net(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def main():
    torch.manual_seed(42)
    X, y = load_data()
    train, test = data.random_split(data.TensorDataset(X, y), [0.8, 0.2])
    loader = data.DataLoader(train, batch_size=16, shuffle=True)
    net = make_net()
    optimizer = make_optimizer(net)
    X_test, y_test = test[:]
    for epoch in range(5):
        for X_batch, y_batch in loader:
            loss = train_step(net, optimizer, X_batch, y_batch)
        with torch.no_grad():
            held_out = nn.functional.mse_loss(net(X_test), y_test)
        print(f"epoch {epoch + 1}, last batch {loss.item():.4f}, held out {held_out.item():.4f}")
    print(net, "weights", net[0].weight.data, "bias", net[0].bias.data, sep="\n")


if __name__ == "__main__":
    main()
