"""`Tensor`: one explicit line per method.

The class itself is declared in `rushlight.buffer`, below everything that makes tensors;
here it gets its methods. An operation's function serves as method where the signatures
agree; `.method`, `.operator`, `.reflected` and `.inplace` are its other forms.
"""

from __future__ import annotations

from rushlight import pickling, printing, storage
from rushlight.absent import MissingMethod
from rushlight.autograd import api, hooks
from rushlight.buffer import Tensor
from rushlight.interop import dlpack, numpy_protocol
from rushlight.ops import (
    activations,
    affine,
    arithmetic,
    bits,
    clamping,
    comparison,
    complexes,
    contractions,
    conversion,
    copying,
    creation,
    differences,
    extremes,
    functions,
    gathering,
    indexing,
    joining,
    late,
    legacy,
    masking,
    memory,
    norms,
    powers,
    products,
    properties,
    quantiles,
    reductions,
    reshaping,
    rounding,
    rows,
    sampling,
    scans,
    scatter_reductions,
    scattering,
    searching,
    signs,
    slicing,
    softmaxes,
    sorting,
    special_functions,
    statistics,
    striding,
    triangles,
    values,
    views,
)
from rushlight.ops.kinds.elementwise import inplace_operator, operator, reflected
from rushlight.ops.kinds.short import method_of


class _Methods:
    # ---- elementwise ----
    add = arithmetic.add
    add_ = arithmetic.add.inplace
    sub = arithmetic.sub
    sub_ = arithmetic.sub.inplace
    subtract = arithmetic.subtract
    subtract_ = arithmetic.subtract.inplace
    mul = arithmetic.mul
    mul_ = arithmetic.mul.inplace
    multiply = arithmetic.multiply
    multiply_ = arithmetic.multiply.inplace
    div = arithmetic.div
    div_ = arithmetic.div.inplace
    divide = arithmetic.divide
    divide_ = arithmetic.divide.inplace
    true_divide = arithmetic.true_divide
    true_divide_ = arithmetic.true_divide.inplace
    floor_divide = arithmetic.floor_divide
    floor_divide_ = arithmetic.floor_divide.inplace
    remainder = arithmetic.remainder
    remainder_ = arithmetic.remainder.inplace
    fmod = arithmetic.fmod
    fmod_ = arithmetic.fmod.inplace
    gcd = arithmetic.gcd
    gcd_ = arithmetic.gcd.inplace
    lcm = arithmetic.lcm
    lcm_ = arithmetic.lcm.inplace
    copysign = signs.copysign
    copysign_ = signs.copysign.inplace
    neg = arithmetic.neg.method
    neg_ = arithmetic.neg.inplace
    negative = arithmetic.negative.method
    negative_ = arithmetic.negative.inplace
    reciprocal = arithmetic.reciprocal.method
    reciprocal_ = arithmetic.reciprocal.inplace
    abs = signs.abs.method
    abs_ = signs.abs.inplace
    absolute = signs.absolute.method
    absolute_ = signs.absolute.inplace
    sign = signs.sign.method
    sign_ = signs.sign.inplace
    sgn = signs.sgn.method
    sgn_ = signs.sgn.inplace
    positive = arithmetic.positive
    pow = powers.pow
    pow_ = powers.pow.inplace
    float_power = powers.float_power
    float_power_ = powers.float_power.inplace
    sqrt = powers.sqrt.method
    sqrt_ = powers.sqrt.inplace
    rsqrt = powers.rsqrt.method
    rsqrt_ = powers.rsqrt.inplace
    square = powers.square.method
    square_ = powers.square.inplace
    exp = functions.exp.method
    exp_ = functions.exp.inplace
    exp2 = functions.exp2.method
    exp2_ = functions.exp2.inplace
    expm1 = functions.expm1.method
    expm1_ = functions.expm1.inplace
    log = functions.log.method
    log_ = functions.log.inplace
    log2 = functions.log2.method
    log2_ = functions.log2.inplace
    log10 = functions.log10.method
    log10_ = functions.log10.inplace
    log1p = functions.log1p.method
    log1p_ = functions.log1p.inplace
    sin = functions.sin.method
    sin_ = functions.sin.inplace
    cos = functions.cos.method
    cos_ = functions.cos.inplace
    tan = functions.tan.method
    tan_ = functions.tan.inplace
    asin = functions.asin.method
    asin_ = functions.asin.inplace
    arcsin = functions.arcsin.method
    arcsin_ = functions.arcsin.inplace
    acos = functions.acos.method
    acos_ = functions.acos.inplace
    arccos = functions.arccos.method
    arccos_ = functions.arccos.inplace
    atan = functions.atan.method
    atan_ = functions.atan.inplace
    arctan = functions.arctan.method
    arctan_ = functions.arctan.inplace
    sinh = functions.sinh.method
    sinh_ = functions.sinh.inplace
    cosh = functions.cosh.method
    cosh_ = functions.cosh.inplace
    tanh = functions.tanh.method
    tanh_ = functions.tanh.inplace
    asinh = functions.asinh.method
    asinh_ = functions.asinh.inplace
    arcsinh = functions.arcsinh.method
    arcsinh_ = functions.arcsinh.inplace
    acosh = functions.acosh.method
    acosh_ = functions.acosh.inplace
    arccosh = functions.arccosh.method
    arccosh_ = functions.arccosh.inplace
    atanh = functions.atanh.method
    atanh_ = functions.atanh.inplace
    arctanh = functions.arctanh.method
    arctanh_ = functions.arctanh.inplace
    deg2rad = functions.deg2rad.method
    deg2rad_ = functions.deg2rad.inplace
    rad2deg = functions.rad2deg.method
    rad2deg_ = functions.rad2deg.inplace
    sinc = functions.sinc.method
    sinc_ = functions.sinc.inplace
    sigmoid = functions.sigmoid.method
    sigmoid_ = functions.sigmoid.inplace
    logaddexp = functions.logaddexp
    logaddexp2 = functions.logaddexp2
    hypot = functions.hypot
    hypot_ = functions.hypot.inplace
    atan2 = functions.atan2
    atan2_ = functions.atan2.inplace
    arctan2 = functions.arctan2
    arctan2_ = functions.arctan2.inplace
    logit = functions.logit
    logit_ = functions.logit.inplace
    xlogy = functions.xlogy
    xlogy_ = functions.xlogy.inplace
    ceil = rounding.ceil.method
    ceil_ = rounding.ceil.inplace
    floor = rounding.floor.method
    floor_ = rounding.floor.inplace
    trunc = rounding.trunc.method
    trunc_ = rounding.trunc.inplace
    fix = rounding.fix.method
    fix_ = rounding.fix.inplace
    frac = rounding.frac.method
    frac_ = rounding.frac.inplace
    round = rounding.round
    round_ = rounding.round.inplace
    heaviside = rounding.heaviside
    heaviside_ = rounding.heaviside.inplace
    ldexp = rounding.ldexp
    ldexp_ = rounding.ldexp.inplace
    nextafter = rounding.nextafter
    nextafter_ = rounding.nextafter.inplace
    frexp = rounding.frexp
    eq = comparison.eq
    eq_ = comparison.eq.inplace
    ne = comparison.ne
    ne_ = comparison.ne.inplace
    lt = comparison.lt
    lt_ = comparison.lt.inplace
    le = comparison.le
    le_ = comparison.le.inplace
    gt = comparison.gt
    gt_ = comparison.gt.inplace
    ge = comparison.ge
    ge_ = comparison.ge.inplace
    not_equal = comparison.not_equal
    not_equal_ = comparison.not_equal.inplace
    less = comparison.less
    less_ = comparison.less.inplace
    less_equal = comparison.less_equal
    less_equal_ = comparison.less_equal.inplace
    greater = comparison.greater
    greater_ = comparison.greater.inplace
    greater_equal = comparison.greater_equal
    greater_equal_ = comparison.greater_equal.inplace
    isnan = comparison.isnan.method
    isinf = comparison.isinf.method
    isfinite = comparison.isfinite.method
    isposinf = comparison.isposinf.method
    isneginf = comparison.isneginf.method
    signbit = comparison.signbit.method
    maximum = comparison.maximum
    minimum = comparison.minimum
    fmax = comparison.fmax
    fmin = comparison.fmin
    isclose = comparison.isclose
    allclose = comparison.allclose
    equal = comparison.equal
    isreal = comparison.isreal
    logical_and = bits.logical_and
    logical_and_ = bits.logical_and.inplace
    logical_or = bits.logical_or
    logical_or_ = bits.logical_or.inplace
    logical_xor = bits.logical_xor
    logical_xor_ = bits.logical_xor.inplace
    bitwise_and = bits.bitwise_and
    bitwise_and_ = bits.bitwise_and.inplace
    bitwise_or = bits.bitwise_or
    bitwise_or_ = bits.bitwise_or.inplace
    bitwise_xor = bits.bitwise_xor
    bitwise_xor_ = bits.bitwise_xor.inplace
    bitwise_left_shift = bits.bitwise_left_shift
    bitwise_left_shift_ = bits.bitwise_left_shift.inplace
    bitwise_right_shift = bits.bitwise_right_shift
    bitwise_right_shift_ = bits.bitwise_right_shift.inplace
    logical_not = bits.logical_not.method
    logical_not_ = bits.logical_not.inplace
    bitwise_not = bits.bitwise_not.method
    bitwise_not_ = bits.bitwise_not.inplace
    conj = complexes.conj
    conj_physical = complexes.conj_physical
    conj_physical_ = complexes.conj_physical.inplace
    angle = complexes.angle.method
    real = complexes.real_property
    imag = complexes.imag_property
    resolve_conj = complexes.resolve_conj
    resolve_neg = complexes.resolve_neg
    is_conj = complexes.is_conj
    is_neg = complexes.is_neg
    clamp = clamping.clamp
    clamp_ = clamping.clamp.inplace
    clip = clamping.clip
    clip_ = clamping.clip.inplace
    clamp_min = clamping.clamp_min
    clamp_min_ = clamping.clamp_min.inplace
    clamp_max = clamping.clamp_max
    clamp_max_ = clamping.clamp_max.inplace
    nan_to_num = clamping.nan_to_num
    nan_to_num_ = clamping.nan_to_num.inplace
    lerp = clamping.lerp
    lerp_ = clamping.lerp.inplace
    addcmul = clamping.addcmul
    addcmul_ = clamping.addcmul.inplace
    addcdiv = clamping.addcdiv
    addcdiv_ = clamping.addcdiv.inplace
    relu = activations.relu.method
    relu_ = activations.relu.inplace
    hardshrink = activations.hardshrink
    prelu = activations.prelu
    erf = special_functions.erf.method
    erf_ = special_functions.erf.inplace
    erfc = special_functions.erfc.method
    erfc_ = special_functions.erfc.inplace
    erfinv = special_functions.erfinv.method
    erfinv_ = special_functions.erfinv.inplace
    lgamma = special_functions.lgamma.method
    lgamma_ = special_functions.lgamma.inplace
    digamma = special_functions.digamma.method
    digamma_ = special_functions.digamma.inplace
    polygamma = special_functions.polygamma_method
    polygamma_ = special_functions.polygamma_inplace
    mvlgamma = special_functions.mvlgamma
    mvlgamma_ = special_functions.mvlgamma.inplace
    i0 = special_functions.i0.method
    i0_ = special_functions.i0.inplace
    __add__ = arithmetic.add.operator
    __radd__ = arithmetic.add.reflected
    __iadd__ = inplace_operator(arithmetic.add)
    __sub__ = arithmetic.sub.operator
    __rsub__ = arithmetic.reflected_sub
    __isub__ = inplace_operator(arithmetic.sub)
    __mul__ = arithmetic.mul.operator
    __rmul__ = arithmetic.mul.reflected
    __imul__ = inplace_operator(arithmetic.mul)
    __truediv__ = arithmetic.true_quotient.operator
    __rtruediv__ = arithmetic.reflected_div
    __itruediv__ = inplace_operator(arithmetic.div)
    __div__ = arithmetic.true_quotient.operator
    __rdiv__ = arithmetic.reflected_div
    __idiv__ = inplace_operator(arithmetic.div)
    __floordiv__ = arithmetic.floor_divide.operator
    __rfloordiv__ = arithmetic.floor_divide.reflected
    __ifloordiv__ = inplace_operator(arithmetic.floor_divide)
    __mod__ = operator(arithmetic.remainder)
    __rmod__ = reflected(arithmetic.remainder)
    __imod__ = inplace_operator(arithmetic.remainder)
    __pow__ = powers.power_operator
    __rpow__ = powers.reflected_power
    __ipow__ = inplace_operator(powers.pow)
    __neg__ = arithmetic.neg.method
    __pos__ = arithmetic.positive
    __abs__ = signs.abs.method
    __invert__ = bits.invert
    __eq__ = comparison.equals
    __ne__ = comparison.ne.operator
    __lt__ = comparison.lt.operator
    __le__ = comparison.le.operator
    __gt__ = comparison.gt.operator
    __ge__ = comparison.ge.operator
    __hash__ = object.__hash__
    __and__ = bits.bitwise_and.operator
    __rand__ = bits.bitwise_and.reflected
    __iand__ = inplace_operator(bits.bitwise_and)
    __or__ = bits.bitwise_or.operator
    __ror__ = bits.bitwise_or.reflected
    __ior__ = inplace_operator(bits.bitwise_or)
    __xor__ = bits.bitwise_xor.operator
    __rxor__ = bits.bitwise_xor.reflected
    __ixor__ = inplace_operator(bits.bitwise_xor)
    __lshift__ = bits.bitwise_left_shift.operator
    __rlshift__ = bits.bitwise_left_shift.reflected
    __ilshift__ = inplace_operator(bits.bitwise_left_shift)
    __rshift__ = bits.bitwise_right_shift.operator
    __rrshift__ = bits.bitwise_right_shift.reflected
    __irshift__ = inplace_operator(bits.bitwise_right_shift)
    # ---- end elementwise ----

    # ---- reductions, scans, sorting ----
    sum = reductions.sum.method
    sum_to_size = reductions.sum_to_size
    mean = reductions.mean.method
    prod = reductions.prod
    nansum = reductions.nansum
    nanmean = reductions.nanmean
    any = method_of(reductions.any)
    all = method_of(reductions.all)
    count_nonzero = reductions.count_nonzero
    max = extremes.max.method
    min = extremes.min.method
    amax = extremes.amax
    amin = extremes.amin
    aminmax = extremes.aminmax
    argmax = extremes.argmax
    argmin = extremes.argmin
    cummax = extremes.cummax
    cummin = extremes.cummin
    softmax = softmaxes.softmax
    log_softmax = softmaxes.log_softmax
    logsumexp = softmaxes.logsumexp
    logcumsumexp = softmaxes.logcumsumexp
    cumsum = scans.cumsum
    cumsum_ = scans.cumsum.inplace
    cumprod = scans.cumprod
    cumprod_ = scans.cumprod.inplace
    std = statistics.std
    var = statistics.var
    cov = statistics.cov
    corrcoef = statistics.corrcoef
    norm = norms.norm
    dist = norms.dist
    sort = sorting.sort
    argsort = sorting.argsort
    msort = sorting.msort
    topk = sorting.topk
    kthvalue = sorting.kthvalue
    median = sorting.median
    nanmedian = sorting.nanmedian
    mode = sorting.mode
    quantile = quantiles.quantile
    nanquantile = quantiles.nanquantile
    diff = differences.diff
    unique = searching.unique
    unique_consecutive = searching.unique_consecutive
    bincount = searching.bincount
    histc = searching.histc
    # ---- end reductions ----

    # ---- products, linear algebra ----
    mm = contractions.mm
    bmm = contractions.bmm
    mv = contractions.mv
    dot = contractions.dot
    vdot = contractions.vdot
    matmul = contractions.matmul
    __matmul__ = contractions.operator
    __rmatmul__ = contractions.reflected
    addmm = affine.addmm
    addmm_ = affine.addmm.inplace
    addmv = affine.addmv
    addmv_ = affine.addmv.inplace
    addr = affine.addr
    addr_ = affine.addr.inplace
    baddbmm = affine.baddbmm
    baddbmm_ = affine.baddbmm.inplace
    addbmm = affine.addbmm
    addbmm_ = affine.addbmm.inplace
    outer = products.outer
    ger = products.ger
    inner = products.inner
    kron = products.kron
    trace = products.trace
    cross = products.cross
    matrix_power = products.matrix_power
    cholesky = late.cholesky
    cholesky_inverse = late.cholesky_inverse
    cholesky_solve = late.cholesky_solve
    det = late.det
    geqrf = late.geqrf
    igamma = late.igamma
    igamma_ = late.igamma_
    igammac = late.igammac
    igammac_ = late.igammac_
    fill_diagonal_ = late.fill_diagonal_
    histogram = late.histogram
    istft = late.istft
    renorm = late.renorm
    renorm_ = late.renorm_
    stft = late.stft
    orgqr = late.orgqr
    inverse = late.inverse
    logdet = late.logdet
    matrix_exp = late.matrix_exp
    pinverse = late.pinverse
    qr = late.qr
    slogdet = late.slogdet
    svd = late.svd
    triangular_solve = late.triangular_solve
    # ---- end products ----

    # ---- views ----
    view = views.view
    view_as = views.view_as
    reshape = views.reshape.operation.plain
    reshape_as = views.reshape_as
    t = views.t.operation.plain
    T = views.T_property
    mT = views.mT_property
    H = views.H_property
    mH = views.mH_property
    adjoint = views.adjoint
    transpose = views.transpose
    swapaxes = views.swapaxes
    swapdims = views.swapdims
    permute = views.permute
    movedim = views.movedim
    moveaxis = views.moveaxis
    squeeze = views.squeeze
    unsqueeze = views.unsqueeze
    expand = views.expand
    expand_as = views.expand_as
    broadcast_to = views.broadcast_to_method
    flatten = reshaping.flatten
    ravel = reshaping.ravel
    unflatten = reshaping.unflatten
    select = slicing.select
    narrow = slicing.narrow
    narrow_copy = slicing.narrow_copy
    split = slicing.split
    split_with_sizes = slicing.split_with_sizes
    chunk = slicing.chunk
    unsafe_split = slicing.unsafe_split
    unsafe_split_with_sizes = slicing.unsafe_split_with_sizes
    unsafe_chunk = slicing.unsafe_chunk
    unbind = slicing.unbind
    tensor_split = slicing.tensor_split
    hsplit = slicing.hsplit
    vsplit = slicing.vsplit
    dsplit = slicing.dsplit
    as_strided = striding.as_strided
    diagonal = striding.diagonal
    unfold = striding.unfold
    select_scatter = striding.select_scatter
    slice_scatter = striding.slice_scatter
    diagonal_scatter = striding.diagonal_scatter
    as_strided_scatter = striding.as_strided_scatter
    tril = triangles.tril
    tril_ = triangles.tril.inplace
    triu = triangles.triu
    triu_ = triangles.triu.inplace
    diag = triangles.diag
    diag_embed = triangles.diag_embed
    diagflat = triangles.diagflat
    clone = copying.clone
    contiguous = copying.contiguous
    is_contiguous = copying.is_contiguous
    copy_ = copying.copy_
    fill_ = copying.fill_
    zero_ = copying.zero_
    detach = views.detach
    detach_ = memory.detach_
    data = memory.data
    set_ = memory.set_
    resize_ = memory.resize_
    resize_as_ = memory.resize_as_
    t_ = memory.t_
    transpose_ = memory.transpose_
    swapaxes_ = memory.swapaxes_
    swapdims_ = memory.swapdims_
    squeeze_ = memory.squeeze_
    unsqueeze_ = memory.unsqueeze_
    as_strided_ = memory.as_strided_
    untyped_storage = storage.of_tensor
    storage = storage.typed_of_tensor
    # ---- end views ----

    # ---- creation, conversion, properties ----
    new_tensor = creation.new_tensor
    new_empty = creation.new_empty
    new_zeros = creation.new_zeros
    new_ones = creation.new_ones
    new_full = creation.new_full
    new_empty_strided = creation.new_empty_strided
    to = conversion.to
    float = conversion.to_float
    double = conversion.to_double
    half = conversion.to_half
    bfloat16 = conversion.to_bfloat16
    int = conversion.to_int
    long = conversion.to_long
    short = conversion.to_short
    char = conversion.to_char
    byte = conversion.to_byte
    bool = conversion.to_bool
    chalf = conversion.to_chalf
    cfloat = conversion.to_cfloat
    cdouble = conversion.to_cdouble
    type = legacy.type_
    type_as = conversion.type_as
    cpu = conversion.cpu
    cuda = conversion.cuda
    item = values.item
    tolist = values.tolist
    numpy = values.numpy
    __int__ = values.to_int
    __float__ = values.to_float
    __complex__ = values.to_complex
    __bool__ = values.to_bool
    __index__ = values.to_index
    __len__ = values.length
    __iter__ = values.iterate
    __contains__ = values.contains
    __reversed__ = values.reverse
    __new__ = legacy.new  # type: ignore[assignment]
    shape = properties.shape
    dtype = properties.dtype
    device = properties.device
    layout = properties.layout
    ndim = properties.ndim
    nbytes = properties.nbytes
    itemsize = properties.itemsize
    _version = properties.version_property
    _base = properties.base
    _is_view = properties.is_view
    size = properties.size
    dim = properties.dim
    ndimension = properties.dim
    numel = properties.numel
    nelement = properties.numel
    stride = properties.stride
    storage_offset = properties.storage_offset
    data_ptr = properties.data_ptr
    element_size = properties.element_size
    is_floating_point = properties.is_floating_point
    is_complex = properties.is_complex
    is_signed = properties.is_signed
    get_device = properties.get_device
    is_nonzero = properties.is_nonzero
    is_same_size = properties.is_same_size
    is_set_to = properties.is_set_to
    is_inference = properties.is_inference
    is_shared = properties.is_shared
    is_pinned = properties.is_pinned
    share_memory_ = properties.itself
    to_dense = properties.itself
    dim_order = properties.dim_order
    is_cpu = properties.always
    is_cuda = properties.never
    is_sparse = properties.never
    is_sparse_csr = properties.never
    is_quantized = properties.never
    is_meta = properties.never
    is_mkldnn = properties.never
    is_mps = properties.never
    is_nested = properties.never
    is_xla = properties.never
    is_xpu = properties.never
    is_ipu = properties.never
    is_maia = properties.never
    is_mtia = properties.never
    is_vulkan = properties.never
    # ---- end creation ----

    # ---- indexing, joining ----
    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem
    __delitem__ = indexing.delitem
    gather = gathering.gather
    index_select = gathering.index_select
    take = gathering.take
    take_along_dim = gathering.take_along_dim
    masked_select = gathering.masked_select
    nonzero = gathering.nonzero
    argwhere = gathering.argwhere
    index_put = scattering.index_put
    index_put_ = scattering.index_put.inplace
    scatter = scattering.scatter
    scatter_ = scattering.scatter.inplace
    scatter_add = scattering.scatter_add
    scatter_add_ = scattering.scatter_add.inplace
    index_add = rows.index_add
    index_add_ = rows.index_add.inplace
    index_copy = rows.index_copy
    index_copy_ = rows.index_copy.inplace
    index_fill = rows.index_fill
    index_fill_ = rows.index_fill.inplace
    put = scattering.put
    put_ = scattering.put.inplace
    masked_fill = masking.masked_fill
    masked_fill_ = masking.masked_fill.inplace
    masked_scatter = masking.masked_scatter
    masked_scatter_ = masking.masked_scatter.inplace
    scatter_reduce = scatter_reductions.scatter_reduce
    scatter_reduce_ = scatter_reductions.scatter_reduce.inplace
    index_reduce = scatter_reductions.index_reduce
    index_reduce_ = scatter_reductions.index_reduce.inplace
    where = masking.where_method
    flip = joining.flip_method
    fliplr = joining.fliplr
    flipud = joining.flipud
    rot90 = joining.rot90
    roll = joining.roll
    repeat = joining.repeat
    tile = joining.tile_method
    repeat_interleave = joining.repeat_interleave
    # ---- end indexing ----

    # ---- random ----
    bernoulli = sampling.bernoulli
    multinomial = sampling.multinomial
    uniform_ = sampling.uniform_
    normal_ = sampling.normal_
    random_ = sampling.random_
    bernoulli_ = sampling.bernoulli_
    exponential_ = sampling.exponential_
    cauchy_ = sampling.cauchy_
    log_normal_ = sampling.log_normal_
    geometric_ = sampling.geometric_
    # ---- end random ----

    # ---- autograd ----
    requires_grad = api.requires_grad_property
    requires_grad_ = api.requires_grad_
    is_leaf = api.is_leaf_property
    grad = api.grad_property
    grad_fn = api.grad_fn_property
    output_nr = api.output_nr_property
    retains_grad = api.retains_grad_property
    retain_grad = api.retain_grad
    backward = api.tensor_backward
    register_hook = hooks.register_hook
    register_post_accumulate_grad_hook = hooks.register_post_accumulate_grad_hook
    # ---- end autograd ----

    # ---- Python and NumPy protocols, printing ----
    __array__ = numpy_protocol.array
    __array_wrap__ = numpy_protocol.array_wrap
    __array_priority__ = numpy_protocol.PRIORITY
    __dlpack__ = dlpack.dlpack
    __dlpack_device__ = dlpack.dlpack_device
    __reduce_ex__ = pickling.reduce_tensor
    __copy__ = pickling.copy_tensor
    __deepcopy__ = pickling.deepcopy_tensor
    __setstate__ = pickling.set_state
    __repr__ = printing.format_tensor
    __str__ = printing.format_tensor
    __format__ = printing.format_scalar
    # ---- end protocols ----


for _name, _value in vars(_Methods).items():
    if _name not in ("__dict__", "__weakref__", "__module__", "__doc__", "__qualname__"):
        setattr(Tensor, _name, _value)

#: what PyTorch's class has and this one lacks
_LACKING = """
apply_ as_subclass ccol_indices coalesce col_indices const_data_ptr crow_indices dense_dim dequantize eig
grad_dtype hash_tensor index indices int_repr ipu is_coalesced is_distributed lstsq lu lu_solve map2_ map_
module_load mtia name new nonzero_static ormqr pin_memory q_per_channel_axis q_per_channel_scales
q_per_channel_zero_points q_scale q_zero_point qscheme record_stream reinforce resize resize_as
resize_as_sparse_ row_indices slice_inverse smm solve sparse_dim sparse_mask sparse_resize_
sparse_resize_and_clear_ sspaddmm storage_type symeig to_mkldnn to_padded_tensor to_sparse to_sparse_bsc
to_sparse_bsr to_sparse_coo to_sparse_csc to_sparse_csr values volatile xpu
""".split()

for _name in _LACKING:
    setattr(Tensor, _name, MissingMethod("torch.Tensor", "Tensor", _name))

Tensor.__module__ = "rushlight"
