"""A language model of characters with a recurrent network: LSTM, gradient clipping, and text written by the model."""

import torch
from torch import nn
from torch.nn import functional as F

TEXT = """
A rushlight is a pith of rush, dipped in kitchen fat and left to dry. It costs next to nothing, it burns for half an
hour, and it gives enough light to read by. Whoever could not afford a torch, or did not need one, lit a rush instead:
for the way to bed, for a letter, for the last page of a book. It was held at a slant in an iron clip, so that it would
neither drip nor go out, and moved along as it burned down. The light was small and near, and it was there at once.
"""
CHARS = sorted(set(TEXT))
NUMBER = {char: number for number, char in enumerate(CHARS)}
CORPUS = torch.tensor([NUMBER[char] for char in TEXT])


class CharRNN(nn.Module):
    def __init__(self, vocabulary, embedding=16, hidden=64):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.LSTM(embedding, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, tokens, state=None):
        output, state = self.rnn(self.embedding(tokens), state)
        return self.head(output), state


def batch(size=16, length=24):
    starts = torch.randint(len(CORPUS) - length, (size,))
    windows = torch.stack([CORPUS[start : start + length + 1] for start in starts])
    return windows[:, :-1], windows[:, 1:]


def make_net():
    return CharRNN(len(CHARS))


def make_optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-2)


def train_step(net, optimizer, X, y):
    logits, _ = net(X)
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
    optimizer.step()
    return loss


@torch.no_grad()
def write(net, prefix, count):
    """The most likely next character, again and again."""
    text, state = prefix, None
    tokens = torch.tensor([[NUMBER[char] for char in prefix]])
    for _ in range(count):
        logits, state = net(tokens, state)
        tokens = logits[:, -1:].argmax(-1)
        text += CHARS[tokens.item()]
    return text


def main():
    torch.manual_seed(0)
    net = make_net()
    optimizer = make_optimizer(net)
    for step in range(1, 101):
        loss = train_step(net, optimizer, *batch())
        if step % 10 == 0:
            print(f"step {step:3}, loss {loss.item():.3f}, perplexity {loss.exp().item():.2f}")
    print(write(net, "A rush", 40).replace("\n", " "))
    for kind in (nn.RNN, nn.GRU):
        torch.manual_seed(1)
        rnn = kind(5, 7, num_layers=2, bidirectional=True)
        output, h = rnn(torch.randn(4, 3, 5))
        output.sum().backward()
        print(
            kind.__name__,
            tuple(output.shape),
            tuple(h.shape),
            f"{output.mean().item():.5f}",
            f"{rnn.weight_hh_l1.grad.norm().item():.4f}",
        )


if __name__ == "__main__":
    main()
