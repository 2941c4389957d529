"""The words of a kernel: its kinds, verbs and monoids."""

from __future__ import annotations

#: NumPy's characters of the kinds ("E": bfloat16) and how they are printed
NAMES = {
    "?": "bool",
    "b": "i8",
    "B": "u8",
    "h": "i16",
    "H": "u16",
    "i": "i32",
    "I": "u32",
    "q": "i64",
    "Q": "u64",
    "e": "f16",
    "E": "bf16",
    "f": "f32",
    "d": "f64",
}

#: verb -> number of arguments. Arithmetic is that of the kind; comparisons give bool; "select" takes a bool first.
VERBS = {
    **dict.fromkeys("add sub mul div rem pow atan2 hypot fmod copysign nextafter".split(), 2),
    **dict.fromkeys(
        "maximum minimum fmax fmin".split(), 2
    ),  # NaN goes through the first two, past the last two
    **dict.fromkeys("and or xor shl shr".split(), 2),
    **dict.fromkeys("lt le gt ge eq ne".split(), 2),
    **dict.fromkeys("neg abs sign not isnan sqrt rsqrt floor ceil trunc rint square".split(), 1),
    **dict.fromkeys("exp exp2 expm1 log log2 log10 log1p sigmoid tanh erf erfc ndtr".split(), 1),
    **dict.fromkeys("gelu gelu_slope gelu_tanh silu softplus".split(), 1),
    **dict.fromkeys("sin cos tan asin acos atan sinh cosh asinh acosh atanh".split(), 1),
    "select": 3,
    "fma": 3,
}
COMPARISONS = frozenset("lt le gt ge eq ne isnan".split())

#: what reductions and scans combine with: name -> (identity for floats, associative)
MONOIDS = frozenset("sum prod max min any all".split())
