"""LBFGS: quasi-Newton steps from the last few gradients. Nocedal and Wright, Numerical Optimization, chapters 3 and 7."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.optim.optimizer import Optimizer, check_lr, number

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Quasi-Newton steps; `step(closure)` evaluates the closure many times. One group of parameters only.

    Raises:
        ValueError: there are several groups.

    Example:
        >>> import rushlight as torch
        >>> w = torch.zeros(2, requires_grad=True)
        >>> optimizer = torch.optim.LBFGS([w])
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (w - 3).square().sum()
        ...     loss.backward()
        ...     return loss
        >>> loss = optimizer.step(closure)
        >>> w
        tensor([3., 3.], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        check_lr(lr, defaults)
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    # ---- the parameters as one vector ----

    def _gradient(self) -> Tensor:
        parts = [
            rushlight.zeros_like(p).view(-1) if p.grad is None else p.grad.to_dense().reshape(-1)
            for p in self._params
        ]
        return rushlight.cat([rushlight.view_as_real(g).view(-1) if g.is_complex() else g for g in parts])

    def _move(self, direction: Tensor, by: Any) -> None:
        at = 0
        for p in self._params:
            real = rushlight.view_as_real(p) if p.is_complex() else p
            real.add_(direction[at : at + real.numel()].view_as(real), alpha=by)
            at += real.numel()

    def _evaluate(
        self, closure: Callable, start: list[Tensor], by: float, direction: Tensor
    ) -> tuple[float, Tensor]:
        """Loss and gradient `by` along the direction from `start`, where the parameters are put back."""
        self._move(direction, by)
        loss = float(number(closure()))
        g = self._gradient()
        for p, before in zip(self._params, start):
            p.copy_(before)
        return loss, g

    # ---- steps ----

    def step(self, closure: Callable) -> Any:
        """Up to `max_iter` quasi-Newton steps; returns the first loss."""
        with rushlight.no_grad():
            return self._iterate(rushlight.enable_grad()(closure))

    def _iterate(self, closure: Callable) -> Any:
        group = self.param_groups[0]
        tolerance = group["tolerance_grad"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = closure()
        loss, evaluations = float(number(first)), 1
        state["func_evals"] += 1
        g = self._gradient()
        if g.abs().max() <= tolerance:
            return first
        d, t = state.get("d"), state.get("t")
        iterations = 0
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            d = _direction(state, g, d, t, group["history_size"])
            previous_loss = loss
            state["prev_flat_grad"] = g.clone()
            t = min(1.0, 1.0 / g.abs().sum()) * group["lr"] if state["n_iter"] == 1 else group["lr"]
            slope = g.dot(d)
            if slope > -group["tolerance_change"]:
                break
            if group["line_search_fn"] is None:
                self._move(d, t)
                count = 0
                if iterations != group["max_iter"]:
                    # the last evaluation would not be used
                    loss = float(number(closure()))
                    g = self._gradient()
                    count = 1
            elif group["line_search_fn"] != "strong_wolfe":
                raise RuntimeError("only 'strong_wolfe' is supported")
            else:
                start = [p.clone() for p in self._params]
                loss, g, t, count = strong_wolfe(
                    lambda by, start=start, d=d: self._evaluate(closure, start, by, d), t, d, loss, g, slope
                )
                self._move(d, t)
            evaluations += count
            state["func_evals"] += count
            if (
                evaluations >= group["max_eval"]
                or g.abs().max() <= tolerance
                or d.mul(t).abs().max() <= group["tolerance_change"]
                or abs(loss - previous_loss) < group["tolerance_change"]
            ):
                break
        state["d"], state["t"], state["prev_loss"] = d, t, previous_loss
        return first


def _direction(state: dict[str, Any], g: Tensor, d: Any, t: Any, size: int) -> Tensor:
    """-H g for the inverse Hessian H that the last steps suggest: the two loops of Nocedal's algorithm 7.4."""
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return g.neg()
    changes, moves, ro = state["old_dirs"], state["old_stps"], state["ro"]
    y, s = g.sub(state["prev_flat_grad"]), d.mul(t)
    curvature = y.dot(s)
    if curvature > 1e-10:
        if len(changes) == size:
            for memory in (changes, moves, ro):
                memory.pop(0)
        changes.append(y)
        moves.append(s)
        ro.append(1.0 / curvature)
        state["H_diag"] = curvature / y.dot(y)
    q = g.neg()
    weights = state.setdefault("al", [None] * size)
    for at in reversed(range(len(changes))):
        weights[at] = moves[at].dot(q) * ro[at]
        q.add_(changes[at], alpha=-weights[at])
    r = q.mul(state["H_diag"])
    for at in range(len(changes)):
        r.add_(moves[at], alpha=weights[at] - changes[at].dot(r) * ro[at])
    return r


# ---- line search ----


def strong_wolfe(
    evaluate: Callable,
    t: Any,
    d: Tensor,
    loss: float,
    g: Tensor,
    slope: Any,
    decrease: float = 1e-4,
    flatten: float = 0.9,
    least: float = 1e-9,
    most: int = 25,
) -> tuple[float, Tensor, Any, int]:
    """A step along `d` that lowers the loss enough and flattens its slope enough, by cubic interpolation.

    1. Lengthen the step until an interval must contain such a step.
    2. Shrink the interval about the lower end.
    """
    reach = d.abs().max()
    start_loss, start_slope = loss, slope
    low_t, low_loss, low_g, low_slope = 0, loss, g.clone(), slope
    new_loss, new_g = evaluate(t)
    count = 1
    new_slope = new_g.dot(d)
    done = False
    tries = 0
    while tries < most:
        too_high = new_loss > start_loss + decrease * t * start_slope or tries > 1 and new_loss >= low_loss
        if not too_high and abs(new_slope) <= -flatten * start_slope:
            ends = [(t, new_loss, new_g, new_slope)]
            done = True
            break
        if too_high or new_slope >= 0:
            ends = [(low_t, low_loss, low_g, low_slope), (t, new_loss, new_g.clone(), new_slope)]
            break
        bounds = (t + 0.01 * (t - low_t), t * 10)
        ahead = _cubic(low_t, low_loss, low_slope, t, new_loss, new_slope, bounds)
        low_t, low_loss, low_g, low_slope = t, new_loss, new_g.clone(), new_slope
        t = ahead
        new_loss, new_g = evaluate(t)
        count += 1
        new_slope = new_g.dot(d)
        tries += 1
    else:
        ends = [(0, start_loss, g, start_slope), (t, new_loss, new_g, new_slope)]
    # the interval's ends: `low` has the smaller loss
    low, high = (0, 1) if ends[0][1] <= ends[-1][1] else (1, 0)
    stuck = False
    while not done and tries < most:
        if abs(ends[1][0] - ends[0][0]) * reach < least:
            break
        t = _cubic(ends[0][0], ends[0][1], ends[0][3], ends[1][0], ends[1][1], ends[1][3])
        left, right = min(ends[0][0], ends[1][0]), max(ends[0][0], ends[1][0])
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            # near an end of the interval twice, or beyond it: go to a tenth from that end
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new_loss, new_g = evaluate(t)
        count += 1
        new_slope = new_g.dot(d)
        tries += 1
        found = (t, new_loss, new_g.clone(), new_slope)
        if new_loss > start_loss + decrease * t * start_slope or new_loss >= ends[low][1]:
            ends[high] = found
            low, high = (0, 1) if ends[0][1] <= ends[1][1] else (1, 0)
            continue
        if abs(new_slope) <= -flatten * start_slope:
            done = True
        elif new_slope * (ends[high][0] - ends[low][0]) >= 0:
            ends[high] = ends[low]
        ends[low] = found
    best_t, best_loss, best_g, _ = ends[low] if len(ends) > 1 else ends[0]
    return best_loss, best_g, best_t, count


def _cubic(x1: Any, f1: Any, g1: Any, x2: Any, f2: Any, g2: Any, bounds: Any = None) -> Any:
    """Where the cubic through two points with two slopes is smallest, within bounds. Nocedal and Wright, (3.59)."""
    low, high = bounds if bounds is not None else (x1, x2) if x1 <= x2 else (x2, x1)
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = square.sqrt()
    if x1 <= x2:
        at = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        at = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(at, low), high)
