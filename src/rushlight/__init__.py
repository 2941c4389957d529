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

# ---- reductions, scans, sorting ----

# ---- products, linear algebra ----

# ---- views ----
from rushlight.ops.broadcasting import broadcast_tensors, broadcast_to
from rushlight.ops.views import (
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
from rushlight.ops.promotion import result_type
from rushlight.ops.properties import (
    get_device,
    is_complex,
    is_floating_point,
    is_inference,
    is_nonzero,
    is_same_size,
    is_signed,
    is_tensor,
    numel,
)

import sys

if rushlight.absent.LastFinder not in sys.meta_path:
    sys.meta_path.append(rushlight.absent.LastFinder)  # type: ignore[arg-type]
del sys

if gc.get_freeze_count() == 0:
    gc.freeze()  # both together make everything old
    gc.unfreeze()
if _collecting:
    gc.enable()
del gc, _collecting

#: looked up when they are first asked for, to keep `import rushlight` quick
_LATE = {
    # ---- elementwise ----
    "ops.bits": (
        "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor "
        "logical_and logical_not logical_or logical_xor"
    ),
    "ops.comparison": (
        "allclose eq equal fmax fmin ge greater greater_equal gt isclose isfinite isinf isnan isneginf "
        "isposinf isreal le less less_equal lt maximum minimum ne not_equal signbit"
    ),
    "ops.powers": "float_power pow rsqrt sqrt square",
    "ops.activations": (
        "hardshrink prelu relu rrelu threshold rrelu_=rrelu.inplace threshold_=threshold.inplace"
    ),
    "ops.smooth_activations": "celu selu celu_=celu.inplace selu_=selu.inplace",
    "ops.clamping": "addcdiv addcmul clamp clamp_max clamp_min clip lerp nan_to_num",
    "ops.complexes": (
        "angle complex conj_physical is_conj is_neg polar resolve_conj resolve_neg conj=conj_function "
        "imag=imag_function real=real_function view_as_complex view_as_real"
    ),
    "ops.functions": (
        "acos acosh arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh cos "
        "cosh deg2rad exp exp2 expm1 hypot log log1p log2 log10 logaddexp logaddexp2 logit rad2deg "
        "sigmoid sin sinc sinh tan tanh xlogy"
    ),
    "ops.incomplete_gamma": "igamma igammac",
    "ops.rounding": "ceil fix floor frac frexp heaviside ldexp nextafter round trunc",
    "ops.signs": "abs absolute copysign sgn sign",
    "ops.special_functions": "digamma erf erfc erfinv i0 lgamma mvlgamma polygamma",
    # in-place forms as functions: `torch.exp_(x)` is `x.exp_()`
    "tensor:Tensor": (
        "abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided_ asin_ "
        "asinh_ atan_ atanh_ ceil_ clamp_ clamp_max_ clamp_min_ clip_ conj_physical_ cos_ cosh_ "
        "deg2rad_ erf_ erfc_ exp2_ exp_ expm1_ fix_ floor_ frac_ gcd_ i0_ lcm_ ldexp_ log10_ log1p_ log2_ "
        "log_ logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_ round_ rsqrt_ "
        "sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ trunc_ xlogy_"
    ),
    # ---- reductions, scans, sorting ----
    "ops.reductions": "all any count_nonzero mean nanmean nansum prod sum",
    "ops.scans": "cumprod cumsum",
    "ops.binning": "histogram histogramdd",
    "ops.counted_positions": "nonzero_static",
    "ops.hashing": "hash_tensor",
    "ops.segments": "_segment_reduce=segment_reduce segment_reduce",
    "ops.differences": "cumulative_trapezoid diff trapezoid trapz",
    "ops.extremes": "amax amin aminmax argmax argmin max min",
    "ops.running_extremes": "cummax cummin",
    "ops.norms": "dist norm norm_except_dim",
    "ops.quantiles": "nanquantile quantile",
    "ops.searching": "bincount bucketize histc isin searchsorted unique unique_consecutive",
    "ops.softmaxes": "log_softmax logcumsumexp logsumexp softmax",
    "ops.sorting": "argsort kthvalue median mode msort nanmedian sort topk",
    "ops.statistics": "corrcoef cov std std_mean var var_mean",
    # ---- products, linear algebra ----
    "ops.contractions": "bmm dot mm mv vdot",
    "ops.matmul": "matmul",
    "ops.affine": "addbmm addmm addmv addr baddbmm",
    "ops.cholesky": "cholesky=torch_cholesky cholesky_inverse cholesky_solve",
    "ops.einsum": "einsum",
    "ops.factorizations": "qr=torch_qr svd=torch_svd",
    "ops.householder": "geqrf orgqr=householder_product ormqr",
    "ops.files": "from_file",
    "ops.low_rank": "lobpcg pca_lowrank svd_lowrank",
    "ops.lu": "lu lu_solve lu_unpack",
    "ops.linear_algebra": "det=torch_det inverse logdet pinverse slogdet=torch_slogdet triangular_solve",
    "ops.matrix_functions": "frobenius_norm matrix_exp=torch_matrix_exp nuclear_norm",
    "ops.rare_methods": "is_distributed",
    "ops.distances": "cdist cosine_similarity pairwise_distance",
    "ops.products": "chain_matmul cross ger inner kron matrix_power outer tensordot trace",
    # ---- views ----
    "ops.copies": (
        "alias_copy as_strided_copy detach_copy diagonal_copy expand_copy permute_copy select_copy "
        "split_copy split_with_sizes_copy squeeze_copy t_copy transpose_copy unbind_copy unfold_copy "
        "unsqueeze_copy view_as_complex_copy view_as_real_copy view_copy"
    ),
    "ops.memory": "detach_ resize_as_",
    "ops.reshaping": (
        "atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes cartesian_prod combinations flatten "
        "meshgrid ravel unflatten"
    ),
    "ops.slicing": (
        "chunk dsplit hsplit narrow narrow_copy select split split_with_sizes tensor_split unbind "
        "unsafe_chunk unsafe_split unsafe_split_with_sizes vsplit"
    ),
    "ops.striding": "as_strided as_strided_scatter diagonal diagonal_scatter select_scatter slice_scatter",
    "ops.transposes": "adjoint",
    "ops.triangles": "diag diag_embed diagflat tril triu vander",
    # ---- creation, conversion ----
    "ops.copying": "clone fill fill_ zero_",
    "ops.legacy": (
        "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor "
        "LongTensor ShortTensor set_default_tensor_type typename"
    ),
    "dtypes": "bfloat16 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu",
    "ops.sequences": "arange eye linspace logspace range tril_indices triu_indices",
    "ops.windows": "bartlett_window blackman_window hamming_window hann_window kaiser_window",
    # ---- indexing, joining ----
    "ops.gathering": "gather index_select take take_along_dim unravel_index",
    "ops.scattering": "index_put index_put_ put scatter scatter_add",
    "ops.joining": "cat column_stack concat concatenate dstack hstack row_stack stack vstack",
    "ops.repeating": "repeat_interleave tile",
    "ops.turning": "flip fliplr flipud roll rot90",
    "ops.masking": "argwhere masked_fill masked_scatter masked_select nonzero where",
    "ops.rows": "index_add index_copy index_fill",
    "ops.scatter_reductions": "index_reduce scatter_reduce",
    "ops.slopes": "gradient renorm",
    # ---- layers ----
    "ops.alignment": "ctc_loss",
    "ops.convolution": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "ops.kernel_forms": (
        "adaptive_max_pool1d alpha_dropout alpha_dropout_ batch_norm dropout dropout_ embedding "
        "feature_alpha_dropout feature_alpha_dropout_ instance_norm"
    ),
    "ops.kernel_losses": (
        "binary_cross_entropy_with_logits cosine_embedding_loss hinge_embedding_loss kl_div margin_ranking_loss "
        "poisson_nll_loss triplet_margin_loss"
    ),
    "ops.native_norms": "native_batch_norm native_dropout native_group_norm native_layer_norm",
    "nn.kernel_forms": (
        "affine_grid_generator conv_tbc convolution grid_sampler grid_sampler_2d grid_sampler_3d "
        "max_pool1d_with_indices"
    ),
    "ops.layers": "bilinear",
    "ops.channel_norms": "group_norm",
    "ops.normalisation": "layer_norm rms_norm",
    "ops.padding": "constant_pad_nd",
    "ops.adaptive_pooling": "adaptive_avg_pool1d",
    "ops.pooling": "avg_pool1d max_pool1d max_pool2d max_pool3d",
    "ops.resampling": "pixel_shuffle pixel_unshuffle",
    "nn.functional": "channel_shuffle pdist",
    "sparse": "sparse_coo_tensor=coo_tensor spmm",
    "nn.recurrent_functions": "gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell",
    # ---- random ----
    "ops.sampling": (
        "Generator bernoulli default_generator multinomial normal poisson rand rand_like randint "
        "randint_like randn randn_like randperm"
    ),
    "ops.rejection_sampling": "_sample_dirichlet _standard_gamma binomial",
    "random": "get_rng_state initial_seed manual_seed seed set_rng_state",
    # ---- signals ----
    "ops.spectrogram": "istft stft",
    # ---- autograd, precision, threads ----
    "autograd.anomaly": "is_anomaly_check_nan_enabled is_anomaly_enabled set_anomaly_enabled",
    "func": "vmap",
    "control_flow": "cond",
    "amp": "GradScaler",
    "amp.autocast_mode": (
        "autocast clear_autocast_cache get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype "
        "is_autocast_cache_enabled is_autocast_cpu_enabled is_autocast_enabled"
    ),
    "compiler": "compile",
    "cuda": "OutOfMemoryError",
    "switches": (
        "are_deterministic_algorithms_enabled get_deterministic_debug_mode get_float32_matmul_precision "
        "is_deterministic_algorithms_warn_only_enabled is_warn_always_enabled "
        "set_deterministic_debug_mode set_float32_matmul_precision set_flush_denormal set_warn_always "
        "use_deterministic_algorithms"
    ),
    "native.threads": "get_num_interop_threads get_num_threads set_num_interop_threads set_num_threads",
    # ---- protocols, printing, saving ----
    "interop.dlpack": "from_dlpack to_dlpack",
    "printing": "set_printoptions",
    "serialization": "load save",
    "storage": (
        "BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage ComplexFloatStorage "
        "DoubleStorage FloatStorage Storage=FloatStorage HalfStorage IntStorage LongStorage ShortStorage TypedStorage "
        "UntypedStorage is_storage"
    ),
    "explanation": "explain",
    # ---- lists of tensors, conditions, symbols ----
    "ops.foreach": (
        "_foreach_add=add _foreach_add_=add_ _foreach_sub=sub _foreach_sub_=sub_ _foreach_mul=mul "
        "_foreach_mul_=mul_ _foreach_div=div _foreach_div_=div_ _foreach_pow=pow _foreach_pow_=pow_ "
        "_foreach_sqrt=sqrt _foreach_sqrt_=sqrt_ _foreach_rsqrt=rsqrt _foreach_rsqrt_=rsqrt_ "
        "_foreach_neg=neg _foreach_neg_=neg_ _foreach_abs=abs _foreach_abs_=abs_ _foreach_exp=exp "
        "_foreach_exp_=exp_ _foreach_log=log _foreach_log_=log_ _foreach_sign=sign _foreach_sign_=sign_ "
        "_foreach_reciprocal=reciprocal _foreach_reciprocal_=reciprocal_ _foreach_maximum=maximum "
        "_foreach_maximum_=maximum_ _foreach_minimum=minimum _foreach_minimum_=minimum_ "
        "_foreach_clamp_min=clamp_min _foreach_clamp_min_=clamp_min_ _foreach_clamp_max=clamp_max "
        "_foreach_clamp_max_=clamp_max_ _foreach_addcmul=foreach_addcmul "
        "_foreach_addcmul_=foreach_addcmul_ _foreach_addcdiv=foreach_addcdiv "
        "_foreach_addcdiv_=foreach_addcdiv_ _foreach_lerp=foreach_lerp _foreach_lerp_=foreach_lerp_ "
        "_foreach_norm=foreach_norm _foreach_copy_=foreach_copy_ _foreach_zero_=foreach_zero_"
    ),
    "conditions": "_assert _assert_async _check _check_index _check_is_size _check_not_implemented _check_tensor_all"
    " _check_tensor_all_with _check_type"
    " _check_value _check_with",
    "symbolic": (
        "SymBool SymFloat SymInt sym_float sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum"
    ),
    "futures": "Future",
    # ---- classes that say themselves what operations mean ----
    "overriding": "DisableTorchFunction DisableTorchFunctionSubclass",
}

__getattr__, __dir__ = late.names(
    "rushlight",
    _LATE,
    modules="_C __config__ __future__ _dynamo _inductor accelerator amp autograd backends compiler cpu cuda distributed distributions fft func functional futures hub jit library linalg masked mps multiprocessing native nn onnx optim pickling "
    "overrides printing profiler quasirandom random return_types serialization signal sparse special storage streams switches testing types utils version xpu",
)

__all__ = [name for name, value in globals().items() if name[0] != "_" and not isinstance(value, type(late))]
__all__ += [name for name in late.listed(_LATE) if name[0] != "_"]
