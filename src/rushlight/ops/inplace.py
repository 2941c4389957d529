"""In-place forms as functions: `torch.exp_(x)` is `x.exp_()`."""

from __future__ import annotations

from rushlight.ops import (
    activations,
    affine,
    arithmetic,
    clamping,
    complexes,
    functions,
    memory,
    powers,
    rounding,
    signs,
    special_functions,
)

abs_ = signs.abs.inplace
acos_ = functions.acos.inplace
acosh_ = functions.acosh.inplace
addmv_ = affine.addmv.inplace
arccos_ = functions.arccos.inplace
arccosh_ = functions.arccosh.inplace
arcsin_ = functions.arcsin.inplace
arcsinh_ = functions.arcsinh.inplace
arctan_ = functions.arctan.inplace
arctanh_ = functions.arctanh.inplace
as_strided_ = memory.as_strided_
asin_ = functions.asin.inplace
asinh_ = functions.asinh.inplace
atan_ = functions.atan.inplace
atanh_ = functions.atanh.inplace
ceil_ = rounding.ceil.inplace
celu_ = activations.celu.inplace
clamp_ = clamping.clamp.inplace
clamp_max_ = clamping.clamp_max.inplace
clamp_min_ = clamping.clamp_min.inplace
clip_ = clamping.clip.inplace
conj_physical_ = complexes.conj_physical.inplace
cos_ = functions.cos.inplace
cosh_ = functions.cosh.inplace
deg2rad_ = functions.deg2rad.inplace
erf_ = special_functions.erf.inplace
erfc_ = special_functions.erfc.inplace
exp2_ = functions.exp2.inplace
exp_ = functions.exp.inplace
expm1_ = functions.expm1.inplace
fix_ = rounding.fix.inplace
floor_ = rounding.floor.inplace
frac_ = rounding.frac.inplace
gcd_ = arithmetic.gcd.inplace
i0_ = special_functions.i0.inplace
lcm_ = arithmetic.lcm.inplace
ldexp_ = rounding.ldexp.inplace
log10_ = functions.log10.inplace
log1p_ = functions.log1p.inplace
log2_ = functions.log2.inplace
log_ = functions.log.inplace
logit_ = functions.logit.inplace
nan_to_num_ = clamping.nan_to_num.inplace
neg_ = arithmetic.neg.inplace
negative_ = arithmetic.negative.inplace
rad2deg_ = functions.rad2deg.inplace
reciprocal_ = arithmetic.reciprocal.inplace
relu_ = activations.relu.inplace
round_ = rounding.round.inplace
rrelu_ = activations.rrelu.inplace
rsqrt_ = powers.rsqrt.inplace
selu_ = activations.selu.inplace
sigmoid_ = functions.sigmoid.inplace
sin_ = functions.sin.inplace
sinc_ = functions.sinc.inplace
sinh_ = functions.sinh.inplace
sqrt_ = powers.sqrt.inplace
square_ = powers.square.inplace
tan_ = functions.tan.inplace
tanh_ = functions.tanh.inplace
threshold_ = activations.threshold.inplace
trunc_ = rounding.trunc.inplace
xlogy_ = functions.xlogy.inplace

__all__ = [
    "abs_",
    "acos_",
    "acosh_",
    "addmv_",
    "arccos_",
    "arccosh_",
    "arcsin_",
    "arcsinh_",
    "arctan_",
    "arctanh_",
    "as_strided_",
    "asin_",
    "asinh_",
    "atan_",
    "atanh_",
    "ceil_",
    "celu_",
    "clamp_",
    "clamp_max_",
    "clamp_min_",
    "clip_",
    "conj_physical_",
    "cos_",
    "cosh_",
    "deg2rad_",
    "erf_",
    "erfc_",
    "exp2_",
    "exp_",
    "expm1_",
    "fix_",
    "floor_",
    "frac_",
    "gcd_",
    "i0_",
    "lcm_",
    "ldexp_",
    "log10_",
    "log1p_",
    "log2_",
    "log_",
    "logit_",
    "nan_to_num_",
    "neg_",
    "negative_",
    "rad2deg_",
    "reciprocal_",
    "relu_",
    "round_",
    "rrelu_",
    "rsqrt_",
    "selu_",
    "sigmoid_",
    "sin_",
    "sinc_",
    "sinh_",
    "sqrt_",
    "square_",
    "tan_",
    "tanh_",
    "threshold_",
    "trunc_",
    "xlogy_",
]
