"""A tiny GPT: causal self-attention, pre-normalised blocks, AdamW with warm-up and cosine decay, sampling. The task is
to sort: given six digits, the model continues with the same digits in order."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

LENGTH, DIGITS = 6, 3


class CausalSelfAttention(nn.Module):
    def __init__(self, width, heads, block_size):
        super().__init__()
        self.heads = heads
        self.attend = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        mask = torch.tril(torch.ones(block_size, block_size))
        self.register_buffer("mask", mask.view(1, 1, block_size, block_size))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.attend(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
        scores = scores.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        return self.project(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, width, heads, block_size):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads, block_size)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary, block_size, layers=2, heads=2, width=32):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(block_size, width)
        self.blocks = nn.Sequential(*[Block(width, heads, block_size) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        self.apply(self._init)

    def _init(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, numbers):
        x = self.tokens(numbers) + self.positions(torch.arange(numbers.size(1)))
        return self.head(self.ln_f(self.blocks(x)))

    @torch.no_grad()
    def generate(self, numbers, count):
        for _ in range(count):
            probabilities = F.softmax(self(numbers)[:, -1, :], dim=-1)
            numbers = torch.cat((numbers, torch.multinomial(probabilities, num_samples=1)), dim=1)
        return numbers


def batch(size=32):
    given = torch.randint(DIGITS, (size, LENGTH))
    whole = torch.cat((given, given.sort(1)[0]), dim=1)
    X, y = whole[:, :-1].clone(), whole[:, 1:].clone()
    y[:, : LENGTH - 1] = -1  # nothing is learned from the given digits
    return X, y


def make_net():
    return GPT(DIGITS, 2 * LENGTH - 1)


def make_optimizer(net):
    decay = [p for p in net.parameters() if p.dim() >= 2]
    rest = [p for p in net.parameters() if p.dim() < 2]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))


def train_step(net, optimizer, X, y):
    loss = F.cross_entropy(net(X).view(-1, DIGITS), y.reshape(-1), ignore_index=-1)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    return loss


def rate(step, warmup=10, last=60):
    return min(step / warmup, 0.5 * (1 + math.cos(math.pi * step / last)))


def main():
    torch.manual_seed(0)
    net = make_net()
    optimizer = make_optimizer(net)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step + 1))
    print(f"{sum(p.numel() for p in net.parameters())} parameters")
    for step in range(1, 49):
        loss = train_step(net, optimizer, *batch())
        scheduler.step()
        if step % 6 == 0:
            print(f"step {step:3}, loss {loss.item():.3f}")
    given = torch.randint(DIGITS, (4, LENGTH))
    print(net.generate(given, LENGTH))


if __name__ == "__main__":
    main()
