"""`torch.func`: functions of functions: derivatives (`grad`, `vjp`, `jvp`, `jacrev`, `hessian`) and batches (`vmap`)."""

from __future__ import annotations

from collections.abc import Callable

from rushlight import late
from rushlight.batched import TAKE_OVER, Batched
from rushlight.buffer import Tensor
from rushlight.func import dispatch
from rushlight.func import rules as rules
from rushlight.func.backward import walk_batched
from rushlight.func.jacobians import hessian, jacfwd, jacrev
from rushlight.func.modules import functional_call, replace_all_batch_norm_modules_, stack_module_state
from rushlight.func.rules.randomness import draw
from rushlight.func.transforms import grad, grad_and_value, jvp, linearize, vjp
from rushlight.func.vmap import vmap

dispatch.install()
TAKE_OVER.random = draw
TAKE_OVER.backward = walk_batched


def functionalize(func: Callable, *, remove: str = "mutations") -> Callable:
    """`func` itself: what writes in place here need not be rewritten to be differentiated or batched.

    Raises:
        RuntimeError: `remove` is neither "mutations" nor "mutations_and_views".
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove='"
            f"{remove}'. Valid options are:\n     remove='mutations': all inplace and out= operators will be removed from "
            "the program, and replaced with their out-of-place equivalents.\n     remove='mutations_and_views': In "
            "addition to the above, all aliasing operators {view} will be replaced with their non-aliasing counterparts, "
            "{view}_copy.\n"
        )
    return func


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """The tensor of all entries, of which `vmap` gives one to its function; to look at, not to compute with."""
    while isinstance(tensor, Batched):
        tensor = tensor.inner
        if not recurse:
            break
    return tensor


__all__ = [
    "debug_unwrap",
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.func")
