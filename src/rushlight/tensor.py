"""`Tensor`: one explicit line per method.

The class itself is declared in `rushlight.buffer`, below everything that makes tensors;
here it gets its methods. An operation's function serves as method where the signatures
agree; `.method`, `.operator`, `.reflected` and `.inplace` are its other forms.
"""

from __future__ import annotations

from rushlight.autograd import api
from rushlight.buffer import Tensor
from rushlight.ops import affine, contractions, elementwise, products, sampling, views
from rushlight.ops import extremes, reductions, scans, softmaxes
from rushlight.ops import conversion, copying, creation, properties, values
from rushlight.ops.kinds.elementwise import inplace_operator


class _Methods:
    # ---- elementwise ----
    add = elementwise.add
    add_ = elementwise.add.inplace
    exp = elementwise.exp.method
    exp_ = elementwise.exp.inplace
    __add__ = elementwise.add.operator
    __radd__ = elementwise.add.reflected
    __iadd__ = inplace_operator(elementwise.add)
    __mul__ = elementwise.mul.operator
    __rmul__ = elementwise.mul.reflected
    __neg__ = elementwise.neg.method
    __truediv__ = elementwise.div.operator
    # ---- end elementwise ----

    # ---- reductions, scans, sorting ----
    sum = reductions.sum.method
    mean = reductions.mean.method
    prod = reductions.prod
    nansum = reductions.nansum
    nanmean = reductions.nanmean
    any = reductions.any
    all = reductions.all
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
    broadcast_to = views.broadcast_to
    detach = views.detach
    clone = copying.clone
    contiguous = copying.contiguous
    is_contiguous = copying.is_contiguous
    copy_ = copying.copy_
    fill_ = copying.fill_
    zero_ = copying.zero_
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
    cfloat = conversion.to_cfloat
    cdouble = conversion.to_cdouble
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
    shape = properties.shape
    dtype = properties.dtype
    device = properties.device
    layout = properties.layout
    ndim = properties.ndim
    nbytes = properties.nbytes
    itemsize = properties.itemsize
    is_leaf = properties.is_leaf
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
    grad = api.grad_property
    grad_fn = api.grad_fn_property
    backward = api.backward
    # ---- end autograd ----

    # ---- Python and NumPy protocols, printing ----
    # ---- end protocols ----


for _name, _value in vars(_Methods).items():
    if _name not in ("__dict__", "__weakref__", "__module__", "__doc__", "__qualname__"):
        setattr(Tensor, _name, _value)

Tensor.__module__ = "rushlight"
