"""Adam and its relatives: running means of the gradient and of its square (or largest size)."""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.optim.optimizer import (
    ParameterWise,
    check,
    check_betas,
    check_lr,
    count,
    decayed,
    number,
    steps,
)

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


class _Moments(ParameterWise):
    """What all share: state `exp_avg` and `exp_avg_sq`, and their update."""

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": steps(p), "exp_avg": _zeros(p), "exp_avg_sq": _zeros(p)}

    def moments(
        self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """The running means after this gradient. Weight decay is done here, too: on the gradient or the parameter."""
        if group["weight_decay"] != 0 and group.get("decoupled_weight_decay"):
            p.mul_(1 - number(group["lr"]) * group["weight_decay"])
        else:
            g = decayed(p, g, group)
        beta1, beta2 = map(number, group["betas"])
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        mean.lerp_(g, 1 - beta1)
        square.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        return mean, square


def _zeros(p: Tensor) -> Tensor:
    return rushlight.zeros_like(p, memory_format=rushlight.preserve_format)


def _check(lr: Any, betas: Any, eps: float, weight_decay: float, defaults: dict[str, Any]) -> None:
    check_lr(lr, defaults)
    check("epsilon value", eps, 0.0 <= eps)
    check_betas(betas)
    check("weight_decay value", weight_decay, 0.0 <= weight_decay)


def _check_tensor(name: str, value: Any, defaults: dict[str, Any]) -> None:
    if isinstance(value, Tensor) and defaults["foreach"] and not defaults["capturable"]:
        raise ValueError(f"{name} as a Tensor is not supported for capturable=False and foreach=True")


def _as_numbers(betas: Any, defaults: dict[str, Any]) -> tuple[Any, ...]:
    """Both as numbers; ValueError unless they are of one kind, floats or tensors of one element."""
    first, second = betas
    if not any(isinstance(first, kind) and isinstance(second, kind) for kind in (float, Tensor)):
        raise ValueError("betas must be either both floats or both Tensors")
    for at, beta in enumerate(betas):
        _check_tensor(f"betas[{at}]", beta, defaults)
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"Tensor betas[{at}] must be 1-element")
    return tuple([beta.squeeze() if isinstance(beta, Tensor) else beta for beta in betas])


class Adam(_Moments):
    """p -= lr * m / (sqrt(v) + eps) for bias-corrected means m of g and v of g**2. arXiv:1412.6980.

    With `amsgrad`, v is the largest so far.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> import rushlight as torch
        >>> w = torch.zeros(1, requires_grad=True)
        >>> optimizer = torch.optim.Adam([w], lr=0.1)
        >>> (w - 1).square().sum().backward()
        >>> optimizer.step()
        >>> w
        tensor([0.1000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        _check_tensor("lr", lr, defaults)
        _check(lr, betas, eps, weight_decay, defaults)
        defaults["betas"] = _as_numbers(betas, defaults)
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        made = super().start(p, group)
        return made | {"max_exp_avg_sq": _zeros(p)} if group["amsgrad"] else made

    def check_sparse(self, group: dict[str, Any]) -> None:
        raise RuntimeError("Adam does not support sparse gradients, please consider SparseAdam instead")

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        at = count(state)
        mean, square = self.moments(p, g, state, group)
        beta1, beta2 = map(number, group["betas"])
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            square = largest.copy_(largest.maximum(square))
        scale = square.sqrt().div_((1 - beta2**at) ** 0.5).add_(group["eps"])
        p.addcdiv_(mean, scale, value=-(number(group["lr"]) / (1 - beta1**at)))


class AdamW(Adam):
    """Adam whose weight decay acts on the parameters, not on the gradient. arXiv:1711.05101."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )


class Adamax(ParameterWise):
    """Adam with the largest size of the gradient, forgotten slowly, in place of its mean square. arXiv:1412.6980."""

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        _check(lr, betas, eps, weight_decay, defaults)
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": steps(p), "exp_avg": _zeros(p), "exp_inf": _zeros(p)}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        at = count(state)
        g = decayed(p, g, group)
        beta1, beta2 = group["betas"]
        mean, largest = state["exp_avg"], state["exp_inf"]
        mean.lerp_(g, 1 - beta1)
        largest.mul_(beta2)
        largest.copy_(largest.maximum(g.abs().add_(group["eps"])))
        p.addcdiv_(mean, largest, value=-(number(group["lr"]) / (1 - beta1**at)))


class NAdam(_Moments):
    """Adam with Nesterov momentum. Dozat, 2016."""

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        _check(lr, betas, eps, weight_decay, defaults)
        check("momentum_decay value", momentum_decay, 0.0 <= momentum_decay)
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": steps(p),
            "mu_product": steps(p).fill_(1.0),
            "exp_avg": _zeros(p),
            "exp_avg_sq": _zeros(p),
        }

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        at = count(state)
        beta1, beta2 = group["betas"]
        lr, decay = number(group["lr"]), group["momentum_decay"]
        now, ahead = (beta1 * (1.0 - 0.5 * (0.96 ** (t * decay))) for t in (at, at + 1))
        state["mu_product"] *= now
        product = state["mu_product"].item()
        coupled = group["weight_decay"] != 0 and not group["decoupled_weight_decay"]
        seen = g.add(p, alpha=group["weight_decay"]) if coupled else g
        mean, square = self.moments(p, g, state, group)
        scale = square.div(1 - beta2**at).sqrt_().add_(group["eps"])
        p.addcdiv_(seen, scale, value=(-lr * (1.0 - now) / (1.0 - product)))
        p.addcdiv_(mean, scale, value=(-lr * ahead / (1.0 - product * ahead)))


class RAdam(_Moments):
    """Adam whose adaptive rate is rectified while its variance is not known well. arXiv:1908.03265."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        _check(lr, betas, eps, weight_decay, defaults)
        super().__init__(params, defaults)

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        at = count(state)
        mean, square = self.moments(p, g, state, group)
        beta1, beta2 = group["betas"]
        left = 1 - beta2**at
        step = mean / (1 - beta1**at) * number(group["lr"])
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * at * (beta2**at) / left
        if length > 5.0:
            rectified = (
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            ) ** 0.5
            step = step * ((left**0.5) / square.sqrt().add_(group["eps"])) * rectified
        p.add_(step, alpha=-1.0)
