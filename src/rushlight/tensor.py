"""`Tensor`: one explicit line per member; those of elementwise operations are in `rushlight.elementwise_members`.

The class itself is declared in `rushlight.buffer`, below everything that makes tensors;
here it gets its methods. An operation's function serves as method where the signatures
agree; `.method`, `.operator`, `.reflected` and `.inplace` are its other forms.
"""

from __future__ import annotations

from types import FunctionType

from rushlight import late
from rushlight.absent import MissingMethod
from rushlight.buffer import Tensor
from rushlight.elementwise_members import ElementwiseMembers
from rushlight.interop import numpy_protocol
from rushlight.ops import (
    broadcasting,
    creation,
    properties,
    values,
    views,
)

# These modules are loaded when one of their names is first used.
affine = late.module("ops.affine")
binning = late.module("ops.binning")
cholesky = late.module("ops.cholesky")
contractions = late.module("ops.contractions")
conversion = late.module("ops.conversion")
copying = late.module("ops.copying")
counted_positions = late.module("ops.counted_positions")
differences = late.module("ops.differences")
element_by_element = late.module("ops.element_by_element")
extremes = late.module("ops.extremes")
running_extremes = late.module("ops.running_extremes")
factorizations = late.module("ops.factorizations")
gathering = late.module("ops.gathering")
hashing = late.module("ops.hashing")
householder = late.module("ops.householder")
incomplete_gamma = late.module("ops.incomplete_gamma")
indexing = late.module("ops.indexing")
legacy = late.module("ops.legacy")
linear_algebra = late.module("ops.linear_algebra")
masking = late.module("ops.masking")
products_of_all = late.module("ops.matmul")
old_lu = late.module("ops.lu")
matrix_functions = late.module("ops.matrix_functions")
memory = late.module("ops.memory")
norms = late.module("ops.norms")
products = late.module("ops.products")
quantiles = late.module("ops.quantiles")
rare_methods = late.module("ops.rare_methods")
reductions = late.module("ops.reductions")
removed = late.module("ops.removed")
repeating = late.module("ops.repeating")
reshaping = late.module("ops.reshaping")
rows = late.module("ops.rows")
random_filling = late.module("ops.random_filling")
sampling = late.module("ops.sampling")
scans = late.module("ops.scans")
scatter_reductions = late.module("ops.scatter_reductions")
scattering = late.module("ops.scattering")
searching = late.module("ops.searching")
slicing = late.module("ops.slicing")
slopes = late.module("ops.slopes")
softmaxes = late.module("ops.softmaxes")
sorting = late.module("ops.sorting")
spectrogram = late.module("ops.spectrogram")
statistics = late.module("ops.statistics")
striding = late.module("ops.striding")
transposes = late.module("ops.transposes")
triangles = late.module("ops.triangles")
turning = late.module("ops.turning")
api = late.module("autograd.api")
dlpack = late.module("interop.dlpack")
hooks = late.module("autograd.hooks")
pickling = late.module("pickling")
printing = late.module("printing")
sharing = late.module("sharing")
storage = late.module("storage")


class _Members:
    # ---- reductions, scans, sorting ----
    sum = reductions.sum.method
    sum_to_size = reductions.sum_to_size
    mean = reductions.mean.method
    prod = reductions.prod
    nansum = reductions.nansum
    nanmean = reductions.nanmean
    any = reductions.any.method
    hash_tensor = hashing.hash_tensor
    all = reductions.all.method
    count_nonzero = reductions.count_nonzero
    max = extremes.max.method
    min = extremes.min.method
    amax = extremes.amax.method
    amin = extremes.amin.method
    aminmax = extremes.aminmax
    argmax = extremes.argmax
    argmin = extremes.argmin
    cummax = running_extremes.cummax
    cummin = running_extremes.cummin
    softmax = softmaxes.softmax.method
    log_softmax = softmaxes.log_softmax.method
    logsumexp = softmaxes.logsumexp
    logcumsumexp = softmaxes.logcumsumexp
    cumsum = scans.cumsum.method
    cumsum_ = scans.cumsum.inplace
    cumprod = scans.cumprod.method
    cumprod_ = scans.cumprod.inplace
    std = statistics.std.method
    var = statistics.var.method
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
    matmul = products_of_all.matmul
    __matmul__ = products_of_all.operator
    __rmatmul__ = products_of_all.reflected
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
    cholesky_inverse = cholesky.cholesky_inverse
    cholesky_solve = cholesky.cholesky_solve
    cholesky = cholesky.torch_cholesky
    det = linear_algebra.torch_det
    geqrf = householder.geqrf
    igamma = incomplete_gamma.igamma
    igamma_ = incomplete_gamma.igamma_
    igammac = incomplete_gamma.igammac
    igammac_ = incomplete_gamma.igammac_
    fill_diagonal_ = slopes.fill_diagonal_
    histogram = binning.histogram
    istft = spectrogram.istft
    renorm = slopes.renorm
    renorm_ = slopes.renorm_
    stft = spectrogram.stft
    orgqr = householder.householder_product
    ormqr = householder.ormqr
    lu = old_lu.lu
    lu_solve = old_lu.lu_solve
    inverse = linear_algebra.inverse
    logdet = linear_algebra.logdet
    matrix_exp = matrix_functions.torch_matrix_exp
    pinverse = linear_algebra.pinverse
    qr = factorizations.torch_qr
    slogdet = linear_algebra.torch_slogdet
    svd = factorizations.torch_svd
    triangular_solve = linear_algebra.triangular_solve
    # ---- end products ----

    # ---- views ----
    view = views.view
    view_as = views.view_as
    reshape = views.reshape.operation.plain
    reshape_as = views.reshape_as
    t = views.t.operation.plain
    T = transposes.T_property
    mT = transposes.mT_property
    H = transposes.H_property
    mH = transposes.mH_property
    adjoint = transposes.adjoint
    transpose = views.transpose
    swapaxes = views.swapaxes
    swapdims = views.swapdims
    permute = views.permute
    movedim = views.movedim
    moveaxis = views.moveaxis
    squeeze = views.squeeze
    unsqueeze = views.unsqueeze
    expand = broadcasting.expand
    expand_as = broadcasting.expand_as
    broadcast_to = broadcasting.broadcast_to_method
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
    hsplit = slicing.hsplit_method
    vsplit = slicing.vsplit_method
    dsplit = slicing.dsplit_method
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
    data = memory.data_property
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
    __new__ = legacy.new_method  # type: ignore[assignment]
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
    is_shared = sharing.is_shared
    is_pinned = properties.is_pinned
    share_memory_ = sharing.share
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
    masked_select = masking.masked_select
    nonzero = masking.nonzero
    argwhere = masking.argwhere
    nonzero_static = counted_positions.nonzero_static
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
    flip = turning.flip_method
    fliplr = turning.fliplr
    flipud = turning.flipud
    rot90 = turning.rot90
    roll = turning.roll
    repeat = repeating.repeat
    tile = repeating.tile_method
    repeat_interleave = repeating.repeat_interleave
    # ---- end indexing ----

    # ---- random ----
    bernoulli = sampling.bernoulli
    multinomial = sampling.multinomial
    uniform_ = random_filling.uniform_
    normal_ = random_filling.normal_
    random_ = random_filling.random_
    bernoulli_ = random_filling.bernoulli_
    exponential_ = random_filling.exponential_
    cauchy_ = random_filling.cauchy_
    log_normal_ = random_filling.log_normal_
    geometric_ = random_filling.geometric_
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

    # ---- rare ----
    apply_ = element_by_element.apply_
    map_ = element_by_element.map_
    map2_ = element_by_element.map2_
    as_subclass = rare_methods.as_subclass
    _make_subclass = rare_methods._make_subclass
    new = rare_methods.new
    resize = rare_methods.resize
    resize_as = rare_methods.resize_as
    dense_dim = rare_methods.dense_dim
    sparse_dim = rare_methods.sparse_dim
    to_sparse = rare_methods.to_sparse
    to_sparse_coo = rare_methods.to_sparse
    sparse_mask = rare_methods.sparse_mask
    is_distributed = rare_methods.is_distributed
    const_data_ptr = rare_methods.const_data_ptr
    pin_memory = rare_methods.pin_memory
    storage_type = rare_methods.storage_type
    grad_dtype = rare_methods.grad_dtype_property
    name = rare_methods.name_property
    volatile = rare_methods.volatile_property
    eig = removed.eig
    symeig = removed.symeig
    solve = removed.solve
    lstsq = removed.lstsq
    reinforce = removed.reinforce
    coalesce = removed.coalesce
    indices = removed.indices
    values = removed.values
    is_coalesced = removed.is_coalesced
    crow_indices = removed.crow_indices
    col_indices = removed.col_indices
    ccol_indices = removed.ccol_indices
    row_indices = removed.row_indices
    dequantize = removed.dequantize
    xpu = removed.xpu
    # ---- end rare ----

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
    __format__ = printing.format_scalar
    # ---- end protocols ----


for _name, _value in (*vars(ElementwiseMembers).items(), *vars(_Members).items()):
    if _name not in ("__dict__", "__weakref__", "__module__", "__doc__", "__qualname__"):
        late.put(Tensor, _name, _value)

#: what PyTorch's class has and this one lacks
_LACKING = """
index int_repr ipu module_load mtia q_per_channel_axis q_per_channel_scales
q_per_channel_zero_points q_scale q_zero_point qscheme record_stream resize_as_sparse_ slice_inverse
smm sparse_resize_ sparse_resize_and_clear_ sspaddmm to_mkldnn to_padded_tensor
to_sparse_bsc to_sparse_bsr to_sparse_csc to_sparse_csr
""".split()

for _name in _LACKING:
    setattr(Tensor, _name, MissingMethod("torch.Tensor", "Tensor", _name))

for _name, _value in vars(Tensor).items():
    if isinstance(_value, FunctionType) and _value.__name__ not in vars(Tensor):
        _value.__name__ = _name  # what its maker called it says nothing

Tensor.__module__ = "rushlight"
