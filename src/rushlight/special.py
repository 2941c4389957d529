"""`torch.special`: functions of mathematical physics and statistics; many are `torch`'s own under another name."""

from __future__ import annotations

from rushlight import late
from rushlight.ops.functions import exp2, expm1, log1p, logit, sinc, xlogy
from rushlight.ops.functions import sigmoid as expit
from rushlight.ops.incomplete_gamma import igamma as gammainc
from rushlight.ops.incomplete_gamma import igammac as gammaincc
from rushlight.ops.rounding import round
from rushlight.ops.softmaxes import log_softmax, logsumexp, softmax
from rushlight.ops.special_functions import (
    digamma,
    entr,
    erf,
    erfc,
    erfcx,
    erfinv,
    i0,
    i0e,
    i1,
    i1e,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
    xlog1py,
    zeta,
)
from rushlight.ops.special_functions import digamma as psi
from rushlight.ops.special_functions import lgamma as gammaln
from rushlight.ops.special_functions import mvlgamma as multigammaln

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammainc",
    "gammaincc",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
    "zeta",
]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.special")
