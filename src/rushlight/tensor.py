"""`Tensor`: one explicit line per method.

The class itself is declared in `rushlight.buffer`, below everything that makes tensors;
here it gets its methods. An operation's function serves as method where the signatures
agree; `.method`, `.operator`, `.reflected` and `.inplace` are its other forms.
"""

from __future__ import annotations

from rushlight.autograd import api
from rushlight.buffer import Tensor
from rushlight.ops import contractions, elementwise, reductions, sampling, views
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
    sum = reductions.sum
    # ---- end reductions ----

    # ---- products, linear algebra ----
    mm = contractions.mm
    # ---- end products ----

    # ---- views ----
    view = views.view
    reshape = views.reshape
    expand = views.expand
    t = views.t
    detach = views.detach
    # ---- end views ----

    # ---- creation, conversion, properties ----
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
