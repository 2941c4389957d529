"""Steps that see a parameter as a matrix: Adafactor, Muon; or some of its rows: SparseAdam."""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.optim.optimizer import ParameterWise, check, check_betas, count, number, steps

__all__ = ["Adafactor", "Muon", "SparseAdam"]


class _Whole(ParameterWise):
    """An optimiser whose update needs the whole parameter at once."""

    def _step_group(self, at: int, group: dict[str, Any]) -> None:
        for p, g, sparse in self._gradients(group):
            update = self.update_sparse if sparse else self.update
            update(p, -g if group.get("maximize") else g, self._state_of(p, group), group)


def _check(name: str, value: Any, bound: str, valid: bool) -> None:
    if not valid:
        raise ValueError(f"{name} should be {bound} but is: {value}")


def _check_lr(lr: Any) -> None:
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    _check("Learning rate", lr, ">= 0", 0.0 <= lr)


class Adafactor(_Whole):
    """Adam without a first moment, whose second is kept as a row's and a column's. Shazeer and Stern, arXiv:1804.04235.

    Example:
        >>> import rushlight as torch
        >>> w = torch.nn.Parameter(torch.ones(2, 2))
        >>> optimizer = torch.optim.Adafactor([w], lr=0.1)
        >>> w.square().sum().backward()
        >>> optimizer.step()
        >>> w[0, 0] < 1
        tensor(True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        _check_lr(lr)
        _check("beta2_decay", beta2_decay, "<= 0", 0.0 >= beta2_decay)
        _check("epsilon1", eps[0], ">= 0", eps[0] is None or 0.0 <= eps[0])
        _check("epsilon2", eps[1], ">= 0", 0.0 <= eps[1])
        _check("Clipping threshold d", d, ">= 1", 1.0 <= d)
        _check("weight_decay", weight_decay, ">= 0", 0.0 <= weight_decay)
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        if p.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        g = p._grad
        if g.dim() < 2:
            return {"step": steps(p), "variance": rushlight.zeros_like(g)}
        return {
            "step": steps(p),
            "row_var": g.new_zeros((*g.shape[:-1], 1)),
            "col_var": g.new_zeros((*g.shape[:-2], 1, g.shape[-1])),
        }

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Algorithms 4 and 5 of the paper, with relative step sizes."""
        at = count(state)
        lr, (least, smallest) = number(group["lr"]), group["eps"]
        least = rushlight.finfo(p.dtype).eps if least is None else least
        rate = max(smallest, p.norm(2).item() / p.numel() ** 0.5) * min(lr, 1 / at**0.5)
        if group["weight_decay"] != 0:
            p.mul_(1 - lr * group["weight_decay"])
        second = _second_moment(g, state, at ** group["beta2_decay"], least)
        change = second.clamp_(min=least * least).rsqrt_().mul_(g)
        clip = max(1.0, change.norm(2).item() / (change.numel() ** 0.5 * group["d"]))
        p.add_(change, alpha=-rate / clip)


def _second_moment(g: Tensor, state: dict[str, Any], weight: float, least: float) -> Tensor:
    """The running mean of g**2: of a matrix, the product of its row and column means."""
    if g.dim() < 2:
        return state["variance"].lerp_(g * g, weight).clone()
    rows, columns = state["row_var"], state["col_var"]
    rows.lerp_(rushlight.norm(g, dim=-1, keepdim=True).square_().div_(g.size(-1)), weight)
    columns.lerp_(rushlight.norm(g, dim=-2, keepdim=True).square_().div_(g.size(-2)), weight)
    return (rows @ columns).div_(rows.mean(dim=-2, keepdim=True).clamp_(min=least))


class Muon(_Whole):
    """Momentum whose direction is made orthogonal, for matrices only. K. Jordan et al., "Muon", 2024.

    Raises:
        ValueError: a parameter is no matrix.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        _check_lr(lr)
        _check("momentum", momentum, ">= 0", 0.0 <= momentum)
        _check("weight decay", weight_decay, ">= 0", 0.0 <= weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": rushlight.zeros_like(p._grad)}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, momentum = number(group["lr"]), group["momentum"]
        mean = state["momentum_buffer"].lerp_(g, 1 - momentum)
        direction = g.lerp(mean, momentum) if group["nesterov"] else mean
        direction = _orthogonal(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
        p.mul_(1 - lr * group["weight_decay"])
        p.add_(direction, alpha=-lr * _factor(p, group["adjust_lr_fn"]))


def _orthogonal(g: Tensor, coefficients: tuple, repeats: int, eps: float) -> Tensor:
    """Nearly U V^T of g's singular value decomposition, in bfloat16, by the quintic Newton-Schulz iteration."""
    if repeats >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = g.size(0) > g.size(1)
    x = g.bfloat16()
    x = x.T if tall else x
    x = x.div(x.norm().clamp(min=eps))
    for _ in range(repeats):
        gram = x @ x.T
        x = rushlight.addmm(x, rushlight.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def _factor(p: Tensor, rule: str | None) -> float:
    """What the rate is multiplied with for a matrix of this shape."""
    rows, columns = p.shape
    return (
        0.2 * math.sqrt(max(rows, columns))
        if rule == "match_rms_adamw"
        else math.sqrt(max(1, rows / columns))
    )


class SparseAdam(_Whole):
    """Adam for sparse gradients: the moments of what is not in a gradient, and the parameter there, stay as they are.

    Raises:
        ValueError: a setting out of range, or a parameter that is sparse itself.

    Example:
        >>> import rushlight as torch
        >>> rows = torch.nn.Embedding(3, 1, sparse=True, _weight=torch.zeros(3, 1))
        >>> optimizer = torch.optim.SparseAdam(rows.parameters(), lr=0.1)
        >>> rows(torch.tensor([1])).sum().backward()
        >>> optimizer.step()
        >>> rows.weight.detach().T
        tensor([[ 0.0000, -0.1000,  0.0000]])
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check("learning rate", lr, 0.0 < lr)
        check("epsilon value", eps, 0.0 < eps)
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        sparse = [
            [at, n]
            for at, group in enumerate(self.param_groups)
            for n, p in enumerate(group["params"])
            if p.is_sparse
        ]
        if sparse:
            raise ValueError(
                f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors"
            )

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": rushlight.zeros_like(p), "exp_avg_sq": rushlight.zeros_like(p)}

    def check_sparse(self, group: dict[str, Any]) -> None:
        pass

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")

    def update_sparse(self, p: Tensor, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Algorithm 1 of arXiv:1412.6980 for the elements that are in the gradient."""
        state["step"] += 1
        at, (beta1, beta2) = state["step"], map(number, group["betas"])
        g = g.coalesce()
        values = g.values()
        means = []
        for name, value, beta in (("exp_avg", values, beta1), ("exp_avg_sq", values.square(), beta2)):
            before = state[name].sparse_mask(g).values()
            change = value.sub(before).mul_(1 - beta)
            state[name].add_(g.with_values(change))
            means.append(change.add_(before))
        mean, square = means
        rate = number(group["lr"]) * math.sqrt(1 - beta2**at) / (1 - beta1**at)
        p.add_(g.with_values(mean.div_(square.sqrt_().add_(group["eps"])).mul_(-rate)))
