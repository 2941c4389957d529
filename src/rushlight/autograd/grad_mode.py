"""`torch.autograd.grad_mode`: the modes under PyTorch's old name for them."""

from rushlight.tape.modes import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled"]
