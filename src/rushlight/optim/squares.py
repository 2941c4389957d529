"""Steps divided by the root of a sum or mean of squared gradients: Adagrad, RMSprop, Adadelta."""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.optim.optimizer import ParameterWise, check, check_lr, count, decayed, number, steps

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class Adagrad(ParameterWise):
    """p -= lr * g / (sqrt(sum of g**2) + eps). Duchi et al., 2011."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        check_lr(lr, defaults)
        check("lr_decay value", lr_decay, 0.0 <= lr_decay)
        check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        check(
            "initial_accumulator_value value",
            initial_accumulator_value,
            0.0 <= initial_accumulator_value,
        )
        check("epsilon value", eps, 0.0 <= eps)
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self.start(p, group)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        first = group["initial_accumulator_value"]
        filled = rushlight.full_like(p, complex(first, first) if p.is_complex() else first)
        return {"step": steps(p), "sum": filled}

    def share_memory(self) -> None:
        """Let processes share the sums."""
        for state in self.state.values():
            state["sum"].share_memory_()

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        at = count(state)
        g = decayed(p, g, group)
        rate = number(group["lr"]) / (1 + (at - 1) * group["lr_decay"])
        root = state["sum"].addcmul_(g, g, value=1).sqrt().add_(group["eps"])
        p.addcdiv_(g, root, value=-rate)

    def check_sparse(self, group: dict[str, Any]) -> None:
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")

    def update_sparse(self, p: Tensor, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        at = count(state)
        rate = number(group["lr"]) / (1 + (at - 1) * group["lr_decay"])
        g = g.coalesce()
        state["sum"].add_(g.pow(2))
        root = state["sum"].sparse_mask(g).values().sqrt_().add_(group["eps"])
        p.add_(g.with_values(g.values() / root), alpha=-rate)


class RMSprop(ParameterWise):
    """p -= lr * g / (sqrt(running mean of g**2) + eps); `centered` takes the variance. Tieleman and Hinton, 2012."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        check_lr(lr, defaults)
        check("epsilon value", eps, 0.0 <= eps)
        check("momentum value", momentum, 0.0 <= momentum)
        check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        check("alpha value", alpha, 0.0 <= alpha)
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        made = {"step": steps(p), "square_avg": rushlight.zeros_like(p)}
        if group["momentum"] > 0:
            made["momentum_buffer"] = rushlight.zeros_like(p)
        if group["centered"]:
            made["grad_avg"] = rushlight.zeros_like(p)
        return made

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        count(state)
        g = decayed(p, g, group)
        lr, alpha = number(group["lr"]), group["alpha"]
        square = state["square_avg"].mul_(alpha).addcmul_(g, g, value=1 - alpha)
        if group["centered"]:
            mean = state["grad_avg"].lerp_(g, 1 - alpha)
            square = square.addcmul(mean, mean, value=-1)
        root = square.sqrt().add_(group["eps"])
        if group["momentum"] > 0:
            p.add_(state["momentum_buffer"].mul_(group["momentum"]).addcdiv_(g, root), alpha=-lr)
        else:
            p.addcdiv_(g, root, value=-lr)


class Adadelta(ParameterWise):
    """RMSprop whose rate is the root mean square of past steps. arXiv:1212.5701."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        check_lr(lr, defaults)
        check("rho value", rho, 0.0 <= rho <= 1.0)
        check("epsilon value", eps, 0.0 <= eps)
        check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": steps(p),
            "square_avg": rushlight.zeros_like(p),
            "acc_delta": rushlight.zeros_like(p),
        }

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        count(state)
        g = decayed(p, g, group)
        rho, eps = group["rho"], group["eps"]
        root = state["square_avg"].mul_(rho).addcmul_(g, g, value=1 - rho).add(eps).sqrt_()
        delta = state["acc_delta"].add(eps).sqrt_().div_(root).mul_(g)
        state["acc_delta"].mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.add_(delta, alpha=-number(group["lr"]))
