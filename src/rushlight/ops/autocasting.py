"""Operations that choose their precision: what `torch.autocast` does to their arguments.

Inside of it products and convolutions take bfloat16 (or float16), and losses, factorizations and some others float32;
all other operations take what they get. Which do what is PyTorch's choice for CPUs.

Note [Short paths]: the products of float32 matrices have short paths, which take the types in `BLAS`. While some thread
is inside of autocast float32 is not among them, so that those products come by the public forms, which ask here. So
nothing has to be asked where nothing is cast.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, complex64, complex128, dtype, float32, float64

__all__ = ["BLAS", "STATE", "SWITCH", "cast", "changed", "policy", "run"]

#: types that NumPy gives to BLAS; see Note [Short paths]
BLAS = {float32, float64, complex64, complex128}

#: computed in the type that autocast was given
_LOWER = frozenset(
    """
    addbmm addmm baddbmm bmm chain_matmul linalg.multi_dot linalg.vecdot matmul mm
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d prelu
    nn.functional.linear nn.functional.scaled_dot_product_attention
    """.split()
)

#: computed in float32
_FULL = frozenset(
    """
    cdist cholesky cholesky_inverse cholesky_solve ctc_loss geqrf inverse lu lu_solve nanquantile ormqr pinverse polar prod qr
    quantile stft svd trace triangular_solve view_as_complex
    fft.fft fft.fft2 fft.fftn fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ihfft fft.irfft fft.irfft2 fft.irfftn fft.rfft
    fft.rfft2 fft.rfftn
    linalg.cholesky linalg.cholesky_ex linalg.cond linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh
    linalg.householder_product linalg.inv linalg.inv_ex linalg.lstsq linalg.matrix_rank linalg.qr linalg.solve linalg.svd
    linalg.svdvals linalg.tensorinv linalg.tensorsolve
    nn.functional.adaptive_avg_pool3d nn.functional.adaptive_max_pool3d nn.functional.avg_pool3d
    nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits nn.functional.cosine_embedding_loss
    nn.functional.cross_entropy nn.functional.ctc_loss nn.functional.grid_sample nn.functional.hinge_embedding_loss
    nn.functional.huber_loss nn.functional.kl_div nn.functional.l1_loss nn.functional.margin_ranking_loss
    nn.functional.max_pool3d nn.functional.max_unpool1d nn.functional.max_unpool2d nn.functional.max_unpool3d
    nn.functional.mse_loss nn.functional.multi_margin_loss nn.functional.multilabel_margin_loss nn.functional.nll_loss
    nn.functional.poisson_nll_loss nn.functional.smooth_l1_loss nn.functional.soft_margin_loss
    nn.functional.triplet_margin_loss
    """.split()
)


class _State(threading.local):
    """What autocast is in this thread: the type that products take, None outside of it; and the type last chosen."""

    fast: dtype | None = None
    chosen: dtype | None = None


class _Switch:
    """Whether some thread is inside of autocast; read by every operation that autocast concerns."""

    __slots__ = ("on", "threads")

    def __init__(self) -> None:
        self.on = False
        self.threads: set[int] = set()


STATE = _State()
SWITCH = _Switch()
_LOCK = threading.Lock()


def changed(fast: dtype | None, chosen: dtype | None) -> tuple[dtype | None, dtype | None]:
    """Let products take the type `fast` in this thread, or what they get; returns what was before."""
    before = STATE.fast, STATE.chosen
    STATE.fast, STATE.chosen = fast, chosen
    with _LOCK:
        (SWITCH.threads.discard if fast is None else SWITCH.threads.add)(threading.get_ident())
        SWITCH.on = bool(SWITCH.threads)
        (BLAS.discard if SWITCH.on else BLAS.add)(float32)
    return before


def policy(name: str) -> bool | None:
    """Whether an operation takes the lower precision; None if autocast does not concern it."""
    return True if name in _LOWER else False if name in _FULL else None


def run(function: Callable, lower: bool, args: tuple, kwargs: dict) -> Any:
    """The operation in its precision, and what it consists of as it is; with `out=` it computes what it gets."""
    fast = STATE.fast
    kind = (fast if lower else None) or float32
    STATE.fast = None
    try:
        if kwargs.get("out") is not None:
            return function(*args, **kwargs)
        return function(*cast(args, kind), **{name: cast(value, kind) for name, value in kwargs.items()})
    finally:
        STATE.fast = fast


def cast(value: Any, kind: dtype) -> Any:
    """A tensor of floats in this type, unless it is float64; in sequences, too. All else as it is."""
    if isinstance(value, Tensor):
        plain = value._dtype.category == FLOATING and value._dtype is not float64
        return value.to(kind) if plain and value._dtype is not kind else value
    if type(value) in (tuple, list):
        return type(value)([cast(entry, kind) for entry in value])
    return value
