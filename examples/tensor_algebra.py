"""Tensors: making them, reshaping, broadcasting, indexing, sums along axes, products and norms."""

import torch

# ---- making and reshaping ----

x = torch.arange(12, dtype=torch.float32)
X = x.reshape(3, 4)
print(x.shape, x.numel(), X)
print(torch.zeros((2, 3)), torch.ones((2, 3), dtype=torch.int64), torch.eye(2))
torch.manual_seed(0)
print(torch.randn(2, 3), torch.randint(10, (5,)), torch.randperm(6))

# ---- elementwise, with broadcasting ----

u = torch.tensor([1.0, 2.0, 4.0, 8.0])
v = torch.full((4,), 2.0)
print(u + v, u - v, u * v, u / v, u**v, torch.exp(u), sep="\n")
column, row = torch.arange(3).reshape(3, 1), torch.arange(2).reshape(1, 2)
print(column + row, X > 5, (X > 5).sum())

# ---- indexing and writing ----

print(X[-1], X[1:3], X[:, 1], X[X > 7], X[[0, 2], [1, 3]], sep="\n")
X[1, 2] = 17
X[:2, :] *= 2
print(X, torch.cat((X, X), dim=0).shape, torch.stack((X, X), dim=1).shape)

# ---- memory ----

before = id(X)
X = X + 1
print(id(X) == before)
before = id(X)
X += 1
print(id(X) == before)
rows = X.view(12)
rows[0] = -1
print(X[0, 0], X.T.is_contiguous(), X.T.contiguous().is_contiguous())
A = X.numpy()
A[0, 0] = 7
print(X[0], type(A).__name__, torch.tensor([3.5]).item(), int(torch.tensor([3.5])))

# ---- sums along axes ----

A = torch.arange(6, dtype=torch.float32).reshape(2, 3)
print(A.sum(), A.sum(axis=0), A.sum(axis=1), A.sum(axis=[0, 1]), A.mean(axis=0), sep="\n")
print(A / A.sum(axis=1, keepdims=True), A.cumsum(axis=0), A.max(dim=1), A.argmax(), sep="\n")
print(A.var(dim=1), A.std(unbiased=False), A.median(), A.quantile(0.25))

# ---- products ----

a, b = torch.arange(3.0), torch.ones(3)
print(torch.dot(a, b), torch.mv(A, a), A @ a, torch.mm(A, torch.ones(3, 2)), A @ A.T, sep="\n")
batch = torch.arange(12.0).reshape(2, 2, 3)
print(torch.bmm(batch, batch.transpose(1, 2)), torch.einsum("bij,bkj->bik", batch, batch), torch.outer(a, b))

# ---- norms and linear algebra ----

w = torch.tensor([3.0, -4.0])
print(
    torch.norm(w), torch.abs(w).sum(), torch.norm(torch.ones((4, 9))), torch.linalg.norm(w, ord=float("inf"))
)
S = torch.tensor([[4.0, 1.0], [1.0, 3.0]])
print(torch.linalg.det(S), torch.linalg.inv(S), torch.linalg.solve(S, w), torch.linalg.eigvalsh(S), sep="\n")
