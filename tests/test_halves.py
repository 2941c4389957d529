"""float16 and bfloat16 from a few thousand elements on, where loops convert them: the same bits as PyTorch, whatever the layout."""

import numpy as np
import pytest
import torch

import rushlight

BOTH = (torch, rushlight)
#: numbers at every turn: halves between two neighbours, the ends of their range, what is beside no number
CORNERS = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    65504.0,
    65519.9,
    65520.0,
    6e-8,
    2.9e-8,
    3e-39,
    3.4e38,
    float("inf"),
    float("-inf"),
    float("nan"),
]


def numbers(T, kind, dtype="float32"):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(70, 90)) * np.exp2(rng.integers(-20, 17, (70, 90)))
    x.reshape(-1)[: len(CORNERS)] = CORNERS
    if dtype in ("int64", "int32", "uint8"):
        x = np.nan_to_num(x, nan=0, posinf=9, neginf=3) % 200
    t = T.tensor(x.astype(dtype))
    return t if kind is None else t.to(getattr(T, kind))


def words(t):
    """The bits, all that are no number as one."""
    wide = t.isnan() if t.dtype.is_floating_point else t != t
    found = t.masked_fill(wide, 0) if t.dtype.is_floating_point else t
    strides = tuple(t.stride())
    width = {1: "uint8", 2: "int16", 4: "int32", 8: "int64"}[t.element_size()]
    library = torch if isinstance(t, torch.Tensor) else rushlight
    raw = (
        found.contiguous().view(getattr(library, width)).tolist()
        if t.dtype is not library.bool
        else found.tolist()
    )
    return str(t.dtype).replace("rushlight", "torch"), strides, wide.tolist(), raw


LAYOUTS = {
    "rows": lambda t: t,
    "turned": lambda t: t.t(),
    "every other": lambda t: t[::2, ::3],
    "broadcast": lambda t: t[:1].expand(80, -1),
    "few": lambda t: t[:2, :3],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("other", ["float32", "float64", "int64", "int32", "uint8"])
def test_conversions(kind, other, layout):
    found = []
    for T in BOTH:
        there = LAYOUTS[layout](numbers(T, None, other))
        half = there.to(getattr(T, kind))
        back = LAYOUTS[layout](numbers(T, kind)).to(getattr(T, "float32" if other != "float64" else other))
        into = T.empty(there.shape, dtype=getattr(T, kind)).copy_(there)
        found.append([words(t) for t in (half, back, into)])
    assert found[0] == found[1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "call",
    [
        "x + y", "x * y", "x - 2", "3 / x", "x / y", "x > y", "x == y", "-x", "x.abs()", "x.sqrt()", "x.maximum(y)", "x.clamp(-1, 1)",
        "x.relu()", "x * x.float()", "T.where(x > y, x, y)", "T.where(x > y, x, 0)", "x.masked_fill(x > 0, 7)", "x.round()",
        "x.clone().add_(y)", "x.clone().mul_(0.1)", "x.addcmul(y, y, value=0.5)", "x.float().mul(2).to(x.dtype)", "x.floor()",
        "T.lerp(x, y, 0.25)", "x.long()", "x.bool()", "(x + y) * y - x",
    ],
)  # fmt: skip
def test_operations(call, kind, layout):
    found = []
    for T in BOTH:
        x = LAYOUTS[layout](numbers(T, kind)).clamp(-2e4, 2e4)
        y = LAYOUTS[layout](numbers(T, kind).flip(0)).clamp(-3.0, 3.0)
        if call == "x.long()":
            x = x.nan_to_num(0)
        found.append(words(eval(call, {"T": T, "x": x, "y": y})))
    assert found[0] == found[1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "call",
    [
        "x.max(1)", "x.min(0)", "x.median(1)", "x.kthvalue(2, 0)", "x.topk(2, 1)", "x.topk(2, 0, largest=False)", "x.sort(1)",
        "x.sort(dim=0, descending=True, stable=True)", "(x.argmax(1), x.argmin(0), x.argmax())", "(x.median(), x.nanmedian())", "(x.unique(),)",
        "T.nn.functional.adaptive_max_pool2d(x[None, :, :], 2, return_indices=True)",
    ],
)  # fmt: skip
def test_selections(call, kind, layout):
    found = []
    for T in BOTH:
        x = LAYOUTS[layout](numbers(T, kind).clamp(-2e4, 2e4) + 0)  # (any zero may come first)
        found.append([words(t) for t in eval(call, {"T": T, "x": x})])
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "call",
    [
        "F.layer_norm(x, (90,))", "F.layer_norm(x, (90,), x[0], x[1])", "F.batch_norm(x, None, None, training=True)",
        "F.group_norm(x.reshape(1, 70, 90), 7)", "F.instance_norm(x[None])", "F.mse_loss(x, x.flip(0), reduction='none')",
    ],
)  # fmt: skip
def test_what_is_normalised_rounds_once(call, kind):
    """Within a little more than half a unit of what float64 gives, for inputs of 2^14 elements or more, and fewer."""
    for repeats in (1, 3):
        x = rushlight.randn(70, 90).repeat(repeats, 1).to(getattr(rushlight, kind))
        call = call.replace("70", str(70 * repeats))
        F = rushlight.nn.functional
        made, exact = (eval(call, {"x": y, "F": F}) for y in (x, x.double()))
        assert made.dtype is x.dtype
        unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[kind]
        size = exact.abs().clamp(min=2.0**-13)
        assert ((made.double() - exact).abs() <= 1.01 * unit * size).all()


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_products_round_once(kind):
    """The sum of exact products, rounded to the half once: within one unit of it of float64's."""
    for T in BOTH[1:]:
        x = T.randn(80, 90).to(getattr(T, kind))
        y = T.randn(90, 70).to(getattr(T, kind))
        exact = x.double() @ y.double()
        unit = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[kind]
        assert ((x @ y).double() - exact).abs().max() <= unit * exact.abs().max()


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "float16", "bfloat16"])
@pytest.mark.parametrize("size", [(120, 137), (600, 500)])
def test_choices_between_many(kind, size):
    """From 2^14 elements on a choice is a loop, which does not guess."""
    found = []
    for T in BOTH:
        T.manual_seed(0)
        x, y = (T.rand(size).mul(50).to(getattr(T, kind)) for _ in "xy")
        wanted = x.is_floating_point()
        a, b = x.clone().requires_grad_(wanted), y.clone().requires_grad_(wanted)
        made = [
            T.where(x > y, a, b),
            T.where(x.t() > y.t(), x.t(), y.t()),
            a.masked_fill(x > y, 3),
            T.where(x > 9, a, 1),
        ]
        if wanted:
            sum(t.sum() for t in made[:1] + made[2:]).backward()
            made += [a.grad, b.grad]
        found.append([(t.tolist(), t.stride()) for t in made])
    assert found[0] == found[1]
