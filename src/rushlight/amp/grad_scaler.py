"""`GradScaler`: losses scaled up, so that gradients of half precision do not vanish. Micikevicius et al., arXiv:1710.03740."""

from __future__ import annotations

import warnings
from typing import Any

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import float16, float32
from rushlight.tape.modes import no_grad

__all__ = ["GradScaler"]


class GradScaler:
    """Scales losses by a number that halves when gradients overflow, and doubles when they have not for long.

    With "cuda" a warning says that there is no GPU, and all is passed through.

    Raises:
        AssertionError: factors that would not grow or shrink the scale.

    Example:
        >>> import rushlight as torch
        >>> w = torch.nn.Parameter(torch.ones(1))
        >>> optimizer = torch.optim.SGD([w], lr=0.5)
        >>> scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        >>> scaler.scale(w.sum()).backward()
        >>> w.grad
        tensor([4.])
        >>> scaler.step(optimizer)
        >>> scaler.update()
        >>> w.data, scaler.get_scale()
        (tensor([0.5000]), 4.0)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        if enabled and device == "cuda":
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2
            )
            enabled = False
        self._enabled = enabled
        if not enabled:
            return
        assert growth_factor > 1.0, "The growth factor must be > 1.0."
        assert backoff_factor < 1.0, "The backoff factor must be < 1.0."
        self._scale = float(init_scale)
        self._used = False
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        self._begin()

    def _begin(self) -> None:
        """Know nothing of any optimizer: before the first step, and after each `update`."""
        self._overflowed: dict[int, bool] = {}
        self._stepped: set[int] = set()

    def _check_used(self, name: str) -> None:
        if not self._used:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use scaler.scale(loss or "
                "outputs) earlier in the iteration."
            )

    # ---- forward ----

    def scale(self, outputs: Any) -> Any:
        """A loss, or each of several, times the scale."""
        if not self._enabled:
            return outputs
        self._used = True
        if isinstance(outputs, Tensor):
            return outputs * _number(self._scale)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(output) for output in outputs])
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    # ---- step ----

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, say to clip them; `step` does it otherwise.

        Raises:
            RuntimeError: that was done since the last `update`, or the step was made.
            ValueError: gradients in float16, which could not show their true size.
        """
        if not self._enabled:
            return
        self._check_used("unscale_")
        key = id(optimizer)
        if key in self._stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if key in self._overflowed:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        self._overflowed[key] = self._unscaled(optimizer)

    @no_grad()
    def _unscaled(self, optimizer: Any) -> bool:
        """Whether a gradient is not finite."""
        inverse = _number(1.0 / self._scale)
        overflowed = False
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                grad = parameter.grad
                if grad is not None:
                    if grad.dtype is float16:
                        raise ValueError("Attempting to unscale FP16 gradients.")
                    overflowed = overflowed or not bool(grad.isfinite().all())
                    grad.mul_(inverse)
        return overflowed

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)` with true gradients, unless one of them is not finite.

        Raises:
            RuntimeError: it was made since the last `update`, or has a closure.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_used("step")
        key = id(optimizer)
        if key in self._stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if key not in self._overflowed:
            self.unscale_(optimizer)
        if not any(p.grad is not None for group in optimizer.param_groups for p in group["params"]):
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None if self._overflowed[key] else optimizer.step(*args, **kwargs)
        self._stepped.add(key)
        return result

    def update(self, new_scale: Any = None) -> None:
        """Change the scale by what was found since the last `update`; or set it.

        Raises:
            AssertionError: nothing was scaled, or found out since then.
        """
        if not self._enabled:
            return
        self._check_used("update")
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            assert self._overflowed, "No inf checks were recorded prior to update."
            self._adapt(any(self._overflowed.values()))
        self._begin()

    def _adapt(self, overflowed: bool) -> None:
        if overflowed:
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
            return
        self._growth_tracker += 1
        if self._growth_tracker == self._growth_interval:
            grown = self._scale * self._growth_factor
            if grown <= _LARGEST:
                self._scale = grown
            self._growth_tracker = 0

    # ---- settings ----

    def get_scale(self) -> float:
        """The scale; 1 if disabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether losses are scaled."""
        return self._enabled

    def get_growth_factor(self) -> float:
        """By what the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Let the scale grow by this."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """By what the scale shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Let the scale shrink by this."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many steps without an overflow the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Let the scale grow after so many steps without an overflow."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The scale and its settings; nothing if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the scale and settings of another scaler.

        Raises:
            RuntimeError: that one was disabled, and this one is not.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]


#: the scale grows no further than float32 goes
_LARGEST = 3.4028234663852886e38


def _number(value: float) -> Tensor:
    """A 0-d float32 tensor, as which PyTorch keeps the scale."""
    import numpy as np

    return new_tensor(np.array(value, np.float32), float32)
