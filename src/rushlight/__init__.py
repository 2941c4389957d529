"""Rushlight: PyTorch's tensor, light. `import rushlight as torch`."""

from __future__ import annotations

import gc

__version__ = "0.1.0"

# What is imported stays: to look for garbage in it, now and once at the end, would take a tenth of the time.
_collecting = gc.isenabled()
gc.disable()

# Some modules are named as functions and classes of this namespace are (tensor, layout, device).
# They are loaded first, so that the names below stand.
import rushlight.layout
import rushlight.tensor  # gives Tensor its methods
from rushlight import late

# ---- types and modes ----
from rushlight.buffer import Tensor
from rushlight.dtypes import (
    bfloat16,
    complex32,
    complex64,
    complex128,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
    uint16,
    uint32,
    uint64,
)
from rushlight.dtypes import bool_ as bool
from rushlight.dtypes import can_cast as can_cast
from rushlight.runtime.deferral import eager

explain = late.function("explanation", "explain")
from rushlight.size import Size
from rushlight.tape.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

float = float32
double = float64
half = float16
short = int16
int = int32
long = int64
chalf = complex32
cfloat = complex64
cdouble = complex128

from math import e, inf, nan, pi

newaxis = None

# ---- elementwise ----
from rushlight import special
from rushlight.ops.activations import celu, hardshrink, prelu, relu, rrelu, selu, threshold
from rushlight.ops.arithmetic import (
    add,
    div,
    divide,
    floor_divide,
    fmod,
    gcd,
    lcm,
    mul,
    multiply,
    neg,
    negative,
    positive,
    reciprocal,
    remainder,
    rsub,
    sub,
    subtract,
    true_divide,
)
from rushlight.ops.bits import (
    bitwise_and,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
)
from rushlight.ops.clamping import addcdiv, addcmul, clamp, clamp_max, clamp_min, clip, lerp, nan_to_num
from rushlight.ops.comparison import (
    allclose,
    eq,
    equal,
    fmax,
    fmin,
    ge,
    greater,
    greater_equal,
    gt,
    isclose,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    le,
    less,
    less_equal,
    lt,
    maximum,
    minimum,
    ne,
    not_equal,
    signbit,
)
from rushlight.ops.complexes import (
    angle,
    complex,
    conj_physical,
    is_conj,
    is_neg,
    polar,
    resolve_conj,
    resolve_neg,
)
from rushlight.ops.complexes import conj_function as conj
from rushlight.ops.complexes import imag_function as imag
from rushlight.ops.complexes import real_function as real
from rushlight.ops.functions import (
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    deg2rad,
    exp,
    exp2,
    expm1,
    hypot,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    logit,
    rad2deg,
    sigmoid,
    sin,
    sinc,
    sinh,
    tan,
    tanh,
    xlogy,
)
from rushlight.ops.powers import float_power, pow, rsqrt, sqrt, square
from rushlight.ops.rounding import ceil, fix, floor, frac, frexp, heaviside, ldexp, nextafter, round, trunc
from rushlight.ops.signs import abs, absolute, copysign, sgn, sign
from rushlight.ops.special_functions import digamma, erf, erfc, erfinv, i0, lgamma, mvlgamma, polygamma

from rushlight.ops.inplace import (
    abs_,
    acos_,
    acosh_,
    addmv_,
    arccos_,
    arccosh_,
    arcsin_,
    arcsinh_,
    arctan_,
    arctanh_,
    as_strided_,
    asin_,
    asinh_,
    atan_,
    atanh_,
    ceil_,
    celu_,
    clamp_,
    clamp_max_,
    clamp_min_,
    clip_,
    conj_physical_,
    cos_,
    cosh_,
    deg2rad_,
    erf_,
    erfc_,
    exp2_,
    exp_,
    expm1_,
    fix_,
    floor_,
    frac_,
    gcd_,
    i0_,
    lcm_,
    ldexp_,
    log10_,
    log1p_,
    log2_,
    log_,
    logit_,
    nan_to_num_,
    neg_,
    negative_,
    rad2deg_,
    reciprocal_,
    relu_,
    round_,
    rrelu_,
    rsqrt_,
    selu_,
    sigmoid_,
    sin_,
    sinc_,
    sinh_,
    sqrt_,
    square_,
    tan_,
    tanh_,
    threshold_,
    trunc_,
    xlogy_,
)

# ---- reductions, scans, sorting ----
from rushlight import return_types
from rushlight.ops.differences import cumulative_trapezoid, diff, trapezoid, trapz
from rushlight.ops.extremes import amax, amin, aminmax, argmax, argmin, cummax, cummin, max, min
from rushlight.ops.norms import dist, norm, norm_except_dim
from rushlight.ops.quantiles import nanquantile, quantile
from rushlight.ops.reductions import all, any, count_nonzero, mean, nanmean, nansum, prod, sum
from rushlight.ops.scans import cumprod, cumsum
from rushlight.ops.searching import bincount, bucketize, histc, isin, searchsorted, unique, unique_consecutive
from rushlight.ops.softmaxes import log_softmax, logcumsumexp, logsumexp, softmax
from rushlight.ops.sorting import argsort, kthvalue, median, mode, msort, nanmedian, sort, topk
from rushlight.ops.statistics import corrcoef, cov, std, std_mean, var, var_mean

# ---- products, linear algebra ----
from rushlight.ops.affine import addbmm, addmm, addmv, addr, baddbmm
from rushlight.ops.contractions import bmm, dot, matmul, mm, mv, vdot
from rushlight.ops.einsum import einsum
from rushlight.ops.late import (
    _sample_dirichlet,
    _standard_gamma,
    binomial,
    igamma,
    igammac,
    adaptive_avg_pool1d,
    adaptive_max_pool1d,
    alpha_dropout,
    avg_pool1d,
    batch_norm,
    dropout,
    embedding,
    feature_alpha_dropout,
    instance_norm,
    channel_shuffle,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    pdist,
    bartlett_window,
    bilinear,
    blackman_window,
    cholesky,
    cholesky_inverse,
    cholesky_solve,
    constant_pad_nd,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cosine_similarity,
    ctc_loss,
    det,
    geqrf,
    gradient,
    group_norm,
    hamming_window,
    hann_window,
    histogram,
    inverse,
    istft,
    kaiser_window,
    layer_norm,
    logdet,
    matrix_exp,
    orgqr,
    pairwise_distance,
    pinverse,
    pixel_shuffle,
    pixel_unshuffle,
    qr,
    renorm,
    rms_norm,
    slogdet,
    stft,
    svd,
    triangular_solve,
)
from rushlight.ops.products import (
    cdist,
    chain_matmul,
    cross,
    ger,
    inner,
    kron,
    matrix_power,
    outer,
    tensordot,
    trace,
)

# ---- views ----
from rushlight.ops.copies import (
    alias_copy,
    as_strided_copy,
    detach_copy,
    diagonal_copy,
    expand_copy,
    permute_copy,
    select_copy,
    split_copy,
    split_with_sizes_copy,
    squeeze_copy,
    t_copy,
    transpose_copy,
    unbind_copy,
    unfold_copy,
    unsqueeze_copy,
    view_as_complex_copy,
    view_as_real_copy,
    view_copy,
)
from rushlight.ops.copying import clone, fill, fill_, zero_
from rushlight.ops.memory import detach_, resize_as_
from rushlight.ops.reshaping import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    broadcast_shapes,
    cartesian_prod,
    combinations,
    flatten,
    meshgrid,
    ravel,
    unflatten,
    view_as_complex,
    view_as_real,
)
from rushlight.ops.slicing import (
    chunk,
    dsplit,
    hsplit,
    narrow,
    narrow_copy,
    select,
    split,
    split_with_sizes,
    tensor_split,
    unbind,
    unsafe_chunk,
    unsafe_split,
    unsafe_split_with_sizes,
    vsplit,
)
from rushlight.ops.striding import (
    as_strided,
    as_strided_scatter,
    diagonal,
    diagonal_scatter,
    select_scatter,
    slice_scatter,
)
from rushlight.ops.triangles import diag, diag_embed, diagflat, tril, triu, vander
from rushlight.ops.views import (
    adjoint,
    broadcast_tensors,
    broadcast_to,
    detach,
    moveaxis,
    movedim,
    permute,
    reshape,
    squeeze,
    swapaxes,
    swapdims,
    t,
    transpose,
    unsqueeze,
)

# ---- creation, conversion ----
from rushlight import storage
from rushlight.device import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    get_default_device,
    layout,
    memory_format,
    preserve_format,
    set_default_device,
    sparse_coo,
    sparse_csr,
    strided,
)
from rushlight.ops.construct import as_tensor, asarray, from_numpy, frombuffer, scalar_tensor, tensor
from rushlight.ops.creation import (
    empty,
    empty_like,
    empty_permuted,
    empty_strided,
    full,
    full_like,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from rushlight.ops.legacy import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    set_default_tensor_type,
    typename,
)
from rushlight.ops.promotion import result_type
from rushlight.ops.properties import (
    is_complex,
    is_floating_point,
    is_inference,
    is_nonzero,
    is_same_size,
    is_signed,
    is_tensor,
    numel,
)
from rushlight.ops.sequences import arange, eye, linspace, logspace, range, tril_indices, triu_indices
from rushlight.storage import (
    BFloat16Storage,
    BoolStorage,
    ByteStorage,
    CharStorage,
    ComplexDoubleStorage,
    ComplexFloatStorage,
    DoubleStorage,
    FloatStorage,
    HalfStorage,
    IntStorage,
    LongStorage,
    ShortStorage,
    TypedStorage,
    UntypedStorage,
    is_storage,
)

# ---- indexing, joining ----
from rushlight.ops.gathering import (
    argwhere,
    gather,
    index_select,
    masked_select,
    nonzero,
    take,
    take_along_dim,
    unravel_index,
)
from rushlight.ops.joining import (
    cat,
    column_stack,
    concat,
    concatenate,
    dstack,
    flip,
    fliplr,
    flipud,
    hstack,
    repeat_interleave,
    roll,
    rot90,
    row_stack,
    stack,
    tile,
    vstack,
)
from rushlight.ops.masking import masked_fill, masked_scatter, where
from rushlight.ops.scatter_reductions import index_reduce, scatter_reduce
from rushlight.ops.rows import index_add, index_copy, index_fill
from rushlight.ops.scattering import (
    index_put,
    index_put_,
    put,
    scatter,
    scatter_add,
)

# ---- random ----
from rushlight import random
from rushlight.ops.sampling import (
    Generator,
    bernoulli,
    default_generator,
    multinomial,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from rushlight.random import get_rng_state, initial_seed, manual_seed, seed, set_rng_state

# ---- autograd ----
from rushlight import autograd
from rushlight.autograd.anomaly import is_anomaly_check_nan_enabled, is_anomaly_enabled, set_anomaly_enabled

vmap = late.function("func", "vmap")

# ---- precision ----
autocast = late.function("amp", "autocast")
is_autocast_enabled = late.function("amp", "is_autocast_enabled")

# ---- threads ----
from rushlight.native.threads import get_num_threads, set_num_threads

# ---- precision, reproducibility ----
from rushlight.switches import (
    are_deterministic_algorithms_enabled,
    get_deterministic_debug_mode,
    get_float32_matmul_precision,
    is_deterministic_algorithms_warn_only_enabled,
    is_warn_always_enabled,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_flush_denormal,
    set_warn_always,
    use_deterministic_algorithms,
)

# ---- protocols, printing, saving ----
from rushlight import serialization, utils
from rushlight.interop.dlpack import from_dlpack, to_dlpack
from rushlight.printing import set_printoptions
from rushlight.serialization import load, save

if gc.get_freeze_count() == 0:
    gc.freeze()  # both together make everything old
    gc.unfreeze()
if _collecting:
    gc.enable()
del gc, _collecting

#: read when they are first asked for, to keep `import rushlight` quick
__getattr__ = late.modules(
    "rushlight",
    "amp",
    "backends",
    "cuda",
    "distributions",
    "fft",
    "func",
    "linalg",
    "nn",
    "optim",
    "profiler",
    "signal",
)
