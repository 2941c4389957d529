"""Plain descent: SGD, its average, and Rprop, which looks at signs only."""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.optim.optimizer import ParameterWise, check, check_lr, count, decayed, number, steps

__all__ = ["ASGD", "SGD", "Rprop"]


class SGD(ParameterWise):
    """p -= lr * g; with momentum, g is a running sum. Nesterov's form looks one step ahead.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> import rushlight as torch
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = torch.optim.SGD([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.7000])
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        check_lr(lr, defaults)
        check("momentum value", momentum, momentum >= 0.0)
        check("weight_decay value", weight_decay, weight_decay >= 0.0)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": None} if group["momentum"] != 0 else {}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        g = decayed(p, g, group)
        momentum = group["momentum"]
        if momentum != 0:
            held = state.get("momentum_buffer")
            if held is None:
                held = state["momentum_buffer"] = g.clone().detach()
            else:
                held.mul_(momentum).add_(g, alpha=1 - group["dampening"])
            g = g.add(held, alpha=momentum) if group["nesterov"] else held
        p.add_(g, alpha=-number(group["lr"]))

    #: momentum is a sparse sum then
    update_sparse = update

    def check_sparse(self, group: dict[str, Any]) -> None:
        if group["weight_decay"] != 0:
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead.\n"
                f"SGD: weight_decay is {group['weight_decay']}, which gives every element a gradient; sparse ones need 0"
            )


class ASGD(ParameterWise):
    """SGD with a decreasing rate, whose average over the steps is in the state as `ax`. Polyak and Juditsky, 1992."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        check_lr(lr, defaults)
        check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": steps(p),
            "eta": steps(p).fill_(number(group["lr"])),
            "mu": steps(p).fill_(1.0),
            "ax": rushlight.zeros_like(p),
        }

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        at = count(state)
        g = decayed(p, g, group)
        lr, lambd, eta, ax, mu = number(group["lr"]), group["lambd"], state["eta"], state["ax"], state["mu"]
        rate = eta.item()
        p.mul_(1 - lambd * rate)
        p.add_(g, alpha=-rate)
        if mu.item() != 1:
            ax.add_(p.sub(ax).mul_(mu))
        else:
            ax.copy_(p)
        eta.fill_(lr / ((1 + lambd * lr * at) ** group["alpha"]))
        mu.fill_(1 / max(1, at - group["t0"]))


class Rprop(ParameterWise):
    """A step size for each element, which grows while the gradient keeps its sign. Riedmiller and Braun, 1993."""

    lanes = False  # it looks at signs, and masks

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        check_lr(lr, defaults)
        check("eta values", f"{etas[0]}, {etas[1]}", 0.0 < etas[0] < 1.0 < etas[1])
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        lr = number(group["lr"])
        return {
            "step": steps(p),
            "prev": rushlight.zeros_like(p),
            "step_size": rushlight.full_like(p, complex(lr, lr) if p.is_complex() else lr),
        }

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        count(state)
        shrink, grow = group["etas"]
        low, high = group["step_sizes"]
        agreement = g.mul(state["prev"])
        turned = agreement.lt(0)
        factor = rushlight.ones_like(g).masked_fill_(agreement.gt(0), grow).masked_fill_(turned, shrink)
        size = state["step_size"].mul_(factor).clamp_(low, high)
        g = g.masked_fill(turned, 0)
        p.addcmul_(g.sign(), size, value=-1)
        state["prev"].copy_(g)
