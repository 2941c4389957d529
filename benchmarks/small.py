"""Every usual operation on small matrices: Rushlight beside PyTorch's eager mode, one thread.

    python benchmarks/small.py [--sides 3 100] [--only REGEX] [--rounds 9] [--seconds 0.004] [--all]

Each operation runs on float32 and float64 matrices (and int64, where the notes use integers), as it stands, and with its
backward pass where it has one: `(operation).backward(g)`, where g was made before. How the two libraries are held against
each other, `turns.py` says. The table is sorted by the ratio of the times; without `--all` it ends where Rushlight is
not slower. What is slower is listed with the reason.
"""

from __future__ import annotations

import argparse
import functools
import re
import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

from turns import LIBRARIES, Samples, answer_questions, measure, ratio, times

# ---- the operations ----

#: what the notes do, on matrices of integers
NOTES = (
    "torch.tensor([[1, 2, 3], [2, 2, 2], [3, 3, 3]])",
    "torch.tensor(2.0, requires_grad=True)",
    "A.clone()",
    "A + B",
    "A * B",
    "A * 2",
    "A.sum()",
    "A.sum(axis=[0, 1])",
    "A.sum(axis=0)",
    "A.sum(axis=1)",
    "A.sum(axis=0).shape",
    "A.float()",
    "A.float().mean()",
    "A.sum() / A.numel()",
    "A.cumsum(axis=0)",
    "A.cumsum(axis=1)",
    "A.flatten().cumsum(0)",
    "torch.mm(A, B)",
    "torch.stack([A, A])",
    "torch.bmm(torch.stack([A, A]), torch.stack([B, B]))",
    "torch.mul(A, B)",
    "torch.dot(A[0], B[0])",
    "torch.mv(A, B[0])",
    "torch.matmul(A, B)",
)

#: differentiable: timed as they stand and with their backward pass
DIFFERENTIABLE = {
    "arithmetic": """
        a + b; a - b; a * b; a / b; a + 1; a - 1; 1 - a; a * 2; a / 2; 1 / a; -a; a + v; a * s; a + a.T
        a**2; a**3; a**0.5; a**b; 2**a; torch.add(a, b, alpha=2); torch.sub(a, b, alpha=2); a % b; torch.fmod(a, b)
        a.square(); a.sqrt(); a.rsqrt(); a.reciprocal(); a.abs(); a.sign(); a.floor(); a.round(); a.trunc(); a.frac()
        torch.maximum(a, b); torch.minimum(a, b); a.clamp(0.2, 0.8); a.clamp(min=0.5); a.clamp_min(0.5)
        torch.lerp(a, b, 0.5); torch.lerp(a, b, c); torch.addcmul(a, b, c); torch.addcdiv(a, b, c); a.nan_to_num()
        torch.mul(a, b); a.add(b); a.hypot(b); torch.copysign(a, b)
    """,
    "functions": """
        a.exp(); a.exp2(); a.expm1(); a.log(); a.log2(); a.log10(); a.log1p(); a.sin(); a.cos(); a.tan(); a.asin()
        a.acos(); a.atan(); a.sinh(); a.cosh(); a.tanh(); a.asinh(); (a + 1).acosh(); a.atanh(); a.erf(); a.erfc()
        torch.atan2(a, b); torch.logaddexp(a, b); torch.xlogy(a, b); a.sigmoid(); torch.logit(a); a.lgamma(); a.digamma()
        a.relu(); F.gelu(a); F.silu(a); F.softplus(a); F.elu(a); F.leaky_relu(a); F.hardtanh(a); F.logsigmoid(a)
    """,
    "reductions": """
        a.sum(); a.sum(0); a.sum(1); a.sum(-1, keepdim=True); a.sum((0, 1)); a.mean(); a.mean(0); a.mean(1)
        a.prod(); a.prod(0); a.prod(1); a.max(); a.min(); a.max(0)[0]; a.max(1)[0]; a.amax(0); a.amax(1); a.amin()
        a.std(); a.var(); a.std(0); a.var(1); torch.var_mean(a, 0)[0]; a.norm(); a.norm(dim=0); torch.linalg.norm(a)
        a.norm(1); a.logsumexp(0); a.logsumexp(1); a.softmax(0); a.softmax(1); a.log_softmax(0); a.log_softmax(1)
        a.nansum(); a.median(); a.median(0)[0]; a.quantile(0.5); a.trace(); a.dist(b)
    """,
    "scans": """
        a.cumsum(0); a.cumsum(1); a.flatten().cumsum(0); a.cumprod(0); a.cumprod(1); a.cummax(0)[0]; a.cummin(1)[0]
        a.logcumsumexp(0); a.logcumsumexp(1); a.diff()
    """,
    "products": """
        torch.mm(a, b); a @ b; a @ v; torch.mv(a, v); torch.dot(a[0], v); torch.bmm(x, y); torch.matmul(x, b)
        torch.outer(a[0], v); torch.addmm(c, a, b); torch.addmv(v, a, v); torch.baddbmm(x, x, y); torch.kron(a[:2], b[:2])
        torch.einsum('ij,jk->ik', a, b); torch.einsum('ij->j', a); torch.einsum('i,j->ij', a[0], v)
        torch.einsum('bij,bjk->bik', x, y); torch.tensordot(a, b, 1); torch.inner(a, b); F.linear(a, b); F.linear(a, b, v)
        torch.cross(a[:, :3], b[:, :3], dim=1)
    """,
    "views": """
        a.view(-1); a.reshape(-1); a.T; a.t(); a.mT; a.transpose(0, 1); a.permute(1, 0); a.unsqueeze(0)
        a.unsqueeze(0).squeeze(0); a.flatten(); a.expand(2, n, n); a[0].expand(n, n); a.narrow(0, 0, 2); a.select(0, 1)
        a.split(2)[0]; a.chunk(2)[0]; a.unbind(0)[0]; a.diagonal(); a.unfold(0, 2, 1); a.as_strided((2, 2), (1, 1))
        a.movedim(0, 1); a.T.contiguous(); a.clone(); a.contiguous(); a.unflatten(0, (1, n)); torch.broadcast_to(v + a[0], (n, n))
        a.swapaxes(0, 1); a.view_as(b); a.expand_as(x)
    """,
    "joining": """
        torch.cat([a, b]); torch.cat([a, b], 1); torch.cat([a, b, c]); torch.stack([a, b]); torch.stack([a, b], 1)
        torch.hstack([a, b]); torch.vstack([a, b]); a.flip(0); a.flip(1); a.roll(1, 0); a.roll(1); a.repeat(2, 1); a.tile(2)
        a.repeat_interleave(2, 0); F.pad(a, (1, 1))
    """,
    "indexing": """
        a[0]; a[1, 2]; a[:, 1]; a[1:, :2]; a[None]; a[..., 0]; a[::2]; a[i]; a[i, i]; a[:, i]; a[m]; a[[0, 2]]
        a.gather(0, k); a.gather(1, k); a.index_select(0, i); a.index_select(1, i); a.take(k); torch.take_along_dim(a, k, 0)
        a.masked_fill(m, 0.0); a.masked_select(m); torch.where(m, a, b); torch.where(m, a, 0.0); a.where(m, b)
        a.scatter(0, k, b); a.scatter_add(0, k, b); a.index_add(0, i, b); a.tril(); a.triu(); torch.diag(a); torch.diag(v + a[0])
        a.sort(0)[0]; a.sort(1)[0]; a.topk(2)[0]; a.kthvalue(2)[0]; a.msort()
    """,
    "in place": """
        a.clone().add_(b); a.clone().mul_(b); a.clone().sub_(1); a.clone().div_(2); a.clone().exp_(); a.clone().sigmoid_()
        a.clone().zero_(); a.clone().fill_(1.0); a.clone().copy_(b); a.clone().clamp_(0.2, 0.8); a.clone().relu_()
        a.clone().masked_fill_(m, 0.0)
    """,
    "chains": """
        (a * b).sum(0); (a * b + a).sum(); a**2 + 3 * a; (2 * a + b).sigmoid() * a; (a - a.mean(0)) / a.std(0)
        F.mse_loss(a, b); F.cross_entropy(a, i); F.layer_norm(a, (n,)); F.linear(a, b, v).relu(); a.double(); a.float()
    """,
}

#: without a derivative, or not of floats
PLAIN = {
    "comparison": """
        a == b; a != b; a < b; a <= 0.5; a > b; a >= b; torch.eq(a, b); a.isnan(); a.isinf(); a.isfinite(); torch.equal(a, b)
        torch.allclose(a, b); torch.isclose(a, b); m & m; m | m; m ^ m; ~m; m.logical_not(); torch.logical_and(m, m)
        a.signbit(); a.ceil(); a // b; a.floor_divide(2)
    """,
    "integer": """
        k + k; k * 2; k // 2; k % 2; k & 1; k | k; k << 1; -k; k.abs(); k < k; k.sum(); k.sum(0); k.sum(1); k.max(); k.max(0)
        k.cumsum(0); k.cumsum(1); k.prod(); torch.mm(k, k); k.float(); k.to(torch.int32); k.double(); k.bool(); k.clamp(0, 1)
        k / 2; k.mean(dtype=torch.float32); k.sort(0); k.unique(); k.flatten().bincount(); F.one_hot(i)
    """,
    "reductions": """
        a.argmax(); a.argmax(0); a.argmin(1); a.max(0); a.min(1); m.any(); m.all(); m.any(0); m.all(1); a.count_nonzero()
        torch.aminmax(a); m.sum(); m.sum(0); a.cummax(0); a.argsort(); a.sort(); a.topk(2); a.nonzero(); m.nonzero()
        a.unique(); torch.searchsorted(a.flatten(), v); torch.bucketize(a, v); torch.var_mean(a)
        torch.std_mean(a); a.histc(4)
    """,
    "creation": """
        torch.zeros(n, n); torch.ones(n, n); torch.empty(n, n); torch.full((n, n), 2.0); torch.zeros_like(a)
        torch.ones_like(a); torch.empty_like(a); torch.full_like(a, 2.0); torch.arange(n); torch.arange(0, 1, 0.1)
        torch.linspace(0, 1, n); torch.eye(n); torch.rand(n, n); torch.randn(n, n); torch.randint(0, 9, (n, n)); torch.randperm(n)
        torch.tensor(1.0); torch.tensor([1.0, 2.0, 3.0]); torch.tensor(rows); torch.tensor(array); torch.as_tensor(array)
        torch.from_numpy(array); a.new_zeros(n, n); a.new_ones(n); a.new_tensor([1.0, 2.0]); torch.rand_like(a)
        torch.tril(torch.ones(n, n)); torch.meshgrid(v, v, indexing='ij'); torch.zeros(n, n, dtype=torch.float64)
    """,
    "values": """
        s.item(); a[1, 2].item(); a.tolist(); v.tolist(); float(s); int(s); bool(s); len(a); a.shape; a.size(0); a.dtype; a.ndim
        a.numel(); a.stride(); a.is_contiguous(); a.data_ptr(); a.numpy(); a.detach(); a.requires_grad; a.device; a.dim()
        a.to(torch.float64); a.to(torch.float32); a.int(); a.long(); a.bool(); a.half(); a.type_as(b); a.cpu(); a._version
        for row in a: pass; repr(s)
    """,
    "in place": """
        w.add_(z); w.add_(0); w.__iadd__(0); w.__isub__(z); w.mul_(o); w.__imul__(1); w.div_(o); w.__itruediv__(1); w.sub_(z); w.zero_(); w.fill_(1.0)
        w.copy_(b); w.clamp_(0, 1); w.sigmoid_(); w.exp_(); w.relu_(); w.sqrt_(); w.neg_(); w.abs_(); w.pow_(1); w.tanh_()
        w.add_(b, alpha=0); w.addcmul_(b, z); w.lerp_(b, 0.5); w[0] = 1; w[0] = v; w[:, 1] = 0; w[m] = 0.0; w[i] = 1.0
        w[1, 2] = 3; w.masked_fill_(m, 0.0); w.index_add_(0, i, z); w.scatter_(0, k, b); w.index_fill_(0, i, 0.0)
        w.requires_grad_(False); w.uniform_(); w.normal_(); w.t_(); w.cumsum_(0)
    """,
    "out": """
        torch.add(a, b, out=w); torch.mul(a, b, out=w); torch.mm(a, b, out=w); torch.sum(a, 0, out=q); torch.exp(a, out=w)
        torch.cumsum(a, 0, out=w)
    """,
}


class Case(NamedTuple):
    code: str
    dtype: str
    side: int
    backward: bool

    @property
    def run(self) -> str:
        """What is timed."""
        return f"({self.code}).backward(g); a.grad = x.grad = None" if self.backward else self.code


def cases(sides: list[int]) -> Iterator[Case]:
    for side in sides:
        for code in NOTES:
            yield Case(code, "int64", side, False)
        for dtype in ("float32", "float64"):
            for code in statements(DIFFERENTIABLE):
                yield Case(code, dtype, side, False)
                yield Case(code, dtype, side, True)
            for code in statements(PLAIN):
                yield Case(code, dtype, side, False)


def statements(groups: dict[str, str]) -> Iterator[str]:
    for text in groups.values():
        for line in text.split("\n"):
            yield from filter(None, map(str.strip, line.split(";")))


def names(torch: Any, code: str, dtype: str, side: int, backward: bool) -> dict[str, Any]:
    """What the code of a case may name: `w` is to be written to, `g` the gradient of the result."""
    known = matrices(torch, dtype, side, backward)
    known = {**known, "w": known["b"].clone()}
    if backward:
        known["g"] = torch.ones(eval(code, known).shape, dtype=known["b"].dtype)
    return known


@functools.cache
def matrices(torch: Any, dtype: str, side: int, backward: bool) -> dict[str, Any]:
    """What all cases of this kind read; the elements of the matrices are in (0, 1)."""
    torch.manual_seed(0)
    kind = torch.float64 if dtype == "float64" else torch.float32
    a, b, c, u = (torch.rand(side, side, dtype=torch.float64).mul(0.9).add(0.05).to(kind) for _ in range(4))
    known = {
        "torch": torch,
        "F": torch.nn.functional,
        "n": side,
        "b": b,
        "c": c,
        "v": u[0].clone(),
        "s": u[1, 1].clone(),
    }
    known |= {
        "a": a.requires_grad_(backward),
        "x": torch.stack([b, c]).requires_grad_(backward),
        "y": torch.stack([c, b]),
    }
    known |= {"m": u > 0.5, "i": torch.arange(side).flip(0), "k": torch.randint(0, side, (side, side))}
    known |= {"z": torch.zeros_like(b), "o": torch.ones_like(b), "q": torch.zeros_like(b[0])}
    known |= {"A": torch.randint(1, 9, (side, side)), "B": torch.randint(1, 9, (side, side))}
    return known | {"rows": b.tolist(), "array": b.numpy()}


# ---- what is slower, and why ----

#: (a regular expression for the code, why it is slower than PyTorch); the first that fits counts
REASONS = (
    (r"data_ptr", "NumPy tells an address through a dictionary that describes the whole array"),
    (r"\.(stride|size|numel|dim|requires_grad_|_version|t_)\(?", "a Python function costs more than PyTorch's whole call"),
    (r"rand|normal_|uniform_", "PyTorch's stream of random numbers is computed by NumPy calls, bit for bit"),
    (r"lgamma|digamma|erf|gelu|logit|quantile|histc|unique", "a function of many NumPy calls"),
    (r"sort|topk|kthvalue|median|msort", "PyTorch's order of equal elements is found in Python where there are any"),
    (r"cumsum|cumprod|cummax|cummin|logcumsumexp|diff", "NumPy's accumulate waits for memory at every step, and float32 passes through float64"),
    (r"lerp|addcmul|alpha=", "one rounding for product and sum, as PyTorch's fused instruction, takes NumPy up to twenty operations"),
    (r"exp|log|sin|cos|tan|sigmoid|silu|softplus|\belu|softmax|hypot|entropy", "computed in double precision, to be within 1 ULP"),
    (r"sum|mean|prod|std|var|norm|dist|trace|inner", "accumulated in double precision, which is a pass of its own"),
    (r"index|gather|scatter|take|\[|mask|where|nonzero|one_hot|repeat", "NumPy's indexing goes element by element"),
    (r"\.half|%|fmod|//", "NumPy has no vector code for it"),
    (r"einsum|tensordot|kron|cross|outer|baddbmm|addmv|linear", "composed of several operations"),
    (r"tensor\(|as_tensor|from_numpy|arange|linspace|full|eye|meshgrid", "arguments are checked and converted in Python"),
)  # fmt: skip


def reason(case: Case) -> str:
    for code, why in REASONS:
        if re.search(code, case.code):
            return why
    return (
        "several NumPy calls and the Python between them"
        if case.side < 30
        else "several passes instead of one"
    )


# ---- the table ----


def main() -> None:
    parser = argparse.ArgumentParser(description="Every usual operation on small matrices, beside PyTorch.")
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[3, 100], help="rows and columns of the matrices"
    )
    parser.add_argument("--only", default="", help="a regular expression that the code must contain")
    parser.add_argument("--rounds", type=int, default=9, help="samples of each case")
    parser.add_argument("--seconds", type=float, default=0.004, help="length of one sample")
    parser.add_argument("--all", action="store_true", help="show also what is not slower")
    parser.add_argument("--worker", choices=LIBRARIES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        answer_questions(options.worker, options.seconds, names)
        return
    chosen = [case for case in cases(options.sides) if re.search(options.only, case.run)]
    samples = measure(__file__, [(case.run, *case) for case in chosen], options.rounds, options.seconds)
    print_table(list(zip(chosen, samples, strict=True)), options.all)


def print_table(measured: list[tuple[Case, Samples]], everything: bool) -> None:
    measured = sorted(measured, key=lambda each: -ratio(each[1]))
    slower = [each for each in measured if ratio(each[1]) > 1]
    print(f"{len(measured)} cases, {len(slower)} of them slower than PyTorch; ", end="")
    print(f"median ratio {statistics.median(ratio(taken) for _, taken in measured):.2f}\n")
    print("| ns a call: median (least) | | side | Rushlight | PyTorch | Rushlight / PyTorch | reason |")
    print("|---|---|---:|---:|---:|---:|---|")
    for case, taken in measured if everything else slower:
        said = f"`{case.code}`{', forward and backward' if case.backward else ''}"
        why = reason(case) if ratio(taken) > 1 else ""
        print(
            f"| {said} | {case.dtype} | {case.side} | {' | '.join(times(taken))} | {ratio(taken):.2f} | {why} |"
        )


if __name__ == "__main__":
    main()
