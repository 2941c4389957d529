"""Windows, spectrograms, histograms, slopes and switches, against PyTorch."""

import math
import warnings

import numpy as np
import pytest
from both import same

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def normal(T, *shape, seed=0):
    values = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return T.tensor(values.tolist(), dtype=T.float64).reshape(shape)


def digits(value):
    """Numbers to ten places, zeros without a sign."""
    if isinstance(value, (list, tuple)):
        return [digits(part) for part in value]
    if isinstance(value, complex):
        return [digits(value.real), digits(value.imag)]
    return round(value, 10) + 0.0


@program
def windows(T):
    names = "hann hamming blackman bartlett kaiser".split()
    return [
        digits(getattr(T, f"{name}_window")(n, periodic, dtype=T.float64).tolist())
        for name in names
        for n in (0, 1, 2, 5, 8)
        for periodic in (True, False)
    ]


@program
def windows_with_options(T):
    return (
        digits(T.hamming_window(5, True, 0.4, 0.6, dtype=T.float64).tolist()),
        digits(T.kaiser_window(5, False, beta=3.0, dtype=T.float64).tolist()),
        T.hann_window(4).dtype,
        T.hann_window(4, requires_grad=True).requires_grad,
    )


@program
def signal_windows(T):
    W = T.signal.windows
    made = [
        f(n, sym=sym, dtype=T.float64)
        for f in (
            W.bartlett,
            W.blackman,
            W.cosine,
            W.exponential,
            W.gaussian,
            W.hamming,
            W.hann,
            W.kaiser,
            W.nuttall,
        )
        for n in (0, 1, 2, 5, 6)
        for sym in (True, False)
    ]
    made += [
        W.general_cosine(7, a=[0.4, 0.3, 0.2], dtype=T.float64),
        W.general_hamming(6, alpha=0.6, sym=False, dtype=T.float64),
        W.exponential(6, center=1.0, tau=2.0, sym=False, dtype=T.float64),
        W.gaussian(5, std=0.7, dtype=T.float64),
        W.kaiser(5, beta=2.0, dtype=T.float64),
    ]
    return [digits(t.tolist()) for t in made]


@program
def spectrograms(T):
    x, w = normal(T, 2, 30), T.hann_window(8, dtype=T.float64)
    found = []
    for options in (
        {},
        {"hop_length": 3, "window": w},
        {"win_length": 6, "window": w[:6], "center": False},
        {"normalized": True, "window": w, "onesided": False},
        {"window": w, "pad_mode": "constant"},
    ):
        found.append(T.stft(x, 8, return_complex=True, **options))
    found.append(T.stft(x[0], 8, window=w, return_complex=True))
    found.append(T.stft(x[0] + 1j, 8, window=w))
    parts = T.view_as_real(found[1])
    return (
        [digits(t.tolist()) for t in found],
        digits(parts.tolist()),
        digits(T.stft(x, 8, window=w, return_complex=False).tolist()),
    )


@program
def spectrograms_turned_back(T):
    x, w = normal(T, 2, 32), T.hann_window(8, dtype=T.float64)
    found = []
    for options in (
        {"window": w},
        {"hop_length": 3, "window": w},
        {"window": w, "normalized": True},
        {"window": w, "onesided": False},
        {"hop_length": 2, "win_length": 6, "window": w[:6]},
    ):
        spectra = T.stft(x, 8, return_complex=True, **options)
        found += [T.istft(spectra, 8, **options), T.istft(spectra, 8, length=25, **options)]
    spectra = T.stft(x[0], 8, window=w, return_complex=True).requires_grad_()
    T.istft(spectra, 8, window=w).square().sum().backward()
    return [digits(t.tolist()) for t in found], digits(spectra.grad.abs().tolist())


@program
def histograms(T):
    x = T.tensor([1.0, 2.0, 2.0, 3.5, -1.0, 5.0])
    weight = T.arange(6.0)
    return [
        tuple(T.histogram(x, 4)),
        tuple(T.histogram(x, 3, range=(0.0, 3.0))),
        tuple(T.histogram(x, 3, range=(0.0, 3.0), weight=weight, density=True)),
        tuple(T.histogram(x, T.tensor([1.0, 2.0, 3.5]), weight=weight)),
        tuple(T.histogram(T.tensor([]), 2)),
        tuple(T.histogram(T.tensor([2.0, 2.0]), 3)),
        tuple(x.double().histogram(2)),
        T.histogram(x, 2).hist,
    ]


@program
def slopes(T):
    x, y = normal(T, 5, 4), normal(T, 6)
    places = T.tensor([0.0, 1.0, 3.0, 3.5, 4.0, 7.0], dtype=T.float64)
    found = [
        T.gradient(x),
        T.gradient(x, spacing=2.0),
        T.gradient(x, spacing=[2.0, 0.5], edge_order=2),
        T.gradient(x, dim=1),
        T.gradient(x, dim=[1, 0], spacing=(2, 3)),
        T.gradient(y, spacing=(places,)),
        T.gradient(y, spacing=(places,), edge_order=2),
        T.gradient(T.arange(5) ** 2),
    ]
    leaf = y.clone().requires_grad_()
    T.gradient(leaf, edge_order=2)[0].sin().sum().backward()
    return [digits([part.tolist() for part in f]) for f in found], digits(leaf.grad.tolist())


@program
def bounded_slices(T):
    x = normal(T, 3, 4, 2).requires_grad_()
    found = [T.renorm(x, p, dim, 1.5) for p in (1, 2, 3.0, math.inf) for dim in (0, 1, -1)]
    found[1].sin().sum().backward()
    y = normal(T, 2, 3)
    y.renorm_(2, 0, 0.5)
    return [digits(t.tolist()) for t in found], digits(x.grad.tolist()), digits(y.tolist())


@program
def diagonals_filled(T):
    return (
        T.zeros(3, 3).fill_diagonal_(2),
        T.zeros(7, 3).fill_diagonal_(2),
        T.zeros(7, 3).fill_diagonal_(2, wrap=True),
        T.zeros(2, 5).fill_diagonal_(1, wrap=True),
        T.zeros(2, 2, 2).fill_diagonal_(1),
        T.zeros(3, 4).t().fill_diagonal_(1),
    )


@program
def switches(T):
    found = [T.get_float32_matmul_precision(), T.are_deterministic_algorithms_enabled()]
    T.set_float32_matmul_precision("high")
    T.set_float32_matmul_precision("any")
    found.append(T.get_float32_matmul_precision())
    T.set_float32_matmul_precision("highest")
    for mode in ("warn", "error", 1, 0):
        T.set_deterministic_debug_mode(mode)
        found += [T.get_deterministic_debug_mode(), T.is_deterministic_algorithms_warn_only_enabled()]
    T.use_deterministic_algorithms(True)
    found.append(T.get_deterministic_debug_mode())
    T.use_deterministic_algorithms(True, warn_only=True)
    found.append(T.get_deterministic_debug_mode())
    T.use_deterministic_algorithms(False)
    return found


@program
def functions_of_kernels(T):
    x, y, w = normal(T, 2, 3, 6), normal(T, 2, 3, 6, 6), normal(T, 3)
    T.manual_seed(0)
    found = [
        T.dropout(x, 0.5, True),
        T.alpha_dropout(x, 0.5, True),
        T.feature_alpha_dropout(x, 0.5, True),
        T.dropout(x, 0.5, False),
        T.embedding(x[0], T.tensor([2, 0])),
        T.batch_norm(x, w, w, None, None, True, 0.1, 1e-5, False),
        T.batch_norm(x, None, None, w, w.abs(), False, 0.1, 1e-5, False),
        T.instance_norm(x, w, w, None, None, True, 0.1, 1e-5, False),
        T.adaptive_max_pool1d(x, 2),
        T.adaptive_avg_pool1d(x, 2),
        T.avg_pool1d(x, 2),
        T.max_pool1d(x, 2),
        T.max_pool2d(y, 2, 1),
        T.max_pool3d(y, 2),
        T.channel_shuffle(y[:, :2], 2),
        T.pdist(x[0]),
    ]
    return [
        digits(t.tolist()) if hasattr(t, "tolist") else [digits(part.tolist()) for part in t] for t in found
    ]


@program
def a_margin_of_one_class(T):
    loss = T.nn.functional.multilabel_margin_loss
    return [loss(T.tensor(0.5), T.tensor(y), reduction=r) for y in (0, -1) for r in ("none", "mean", "sum")]


@program
def functions_in_place(T):
    names = [n for n in dir(T) if n.endswith("_") and not n.startswith("_") and hasattr(T, n[:-1])]
    one = "abs_ acos_ ceil_ clamp_ cos_ exp_ floor_ frac_ neg_ relu_ round_ sigmoid_ sin_ sqrt_ tanh_ trunc_ selu_".split()
    found = []
    for name in one:
        x = T.tensor([0.25, 0.5], dtype=T.float64)
        args = (0.3,) if name == "clamp_" else ()
        found.append((name, getattr(T, name)(x, *args) is x, digits(x.tolist()), name in names))
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(PROGRAMS[name])


ERRORS = {
    "negative window": lambda T: T.hann_window(-1),
    "periodic of integers": lambda T: type(T.hann_window(4, dtype=T.int64)),
    "negative M": lambda T: T.signal.windows.hann(-1),
    "M of integers": lambda T: T.signal.windows.cosine(3, dtype=T.int64),
    "no coefficients": lambda T: T.signal.windows.general_cosine(3, a=[]),
    "std": lambda T: T.signal.windows.gaussian(3, std=0.0),
    "tau": lambda T: T.signal.windows.exponential(3, tau=0.0),
    "center": lambda T: T.signal.windows.exponential(3, center=1.0),
    "beta": lambda T: T.signal.windows.kaiser(3, beta=-1.0),
    "return_complex": lambda T: T.stft(T.ones(20), 8),
    "hop": lambda T: T.stft(T.ones(20), 8, hop_length=0, return_complex=True),
    "long window": lambda T: T.stft(T.ones(20), 8, win_length=9, return_complex=True),
    "other window": lambda T: T.stft(T.ones(20), 8, window=T.ones(3), return_complex=True),
    "real spectra": lambda T: T.istft(T.ones(5, 3), 8),
    "histogram of integers": lambda T: T.histogram(T.arange(3), 2),
    "no bins": lambda T: T.histogram(T.ones(3), 0),
    "range": lambda T: T.histogram(T.ones(3), 2, range=(3.0, 0.0)),
    "edge order": lambda T: T.gradient(T.ones(3), edge_order=3),
    "few elements": lambda T: T.gradient(T.ones(1)),
    "spacings": lambda T: T.gradient(T.ones(3, 3), spacing=[1.0, 2.0, 3.0]),
    "dims twice": lambda T: T.gradient(T.ones(3, 3), dim=(0, 0)),
    "norm": lambda T: T.renorm(T.ones(2, 2), -1, 0, 1),
    "bound": lambda T: T.renorm(T.ones(2, 2), 2, 0, -1),
    "vector": lambda T: T.renorm(T.ones(2), 2, 0, 1),
    "diagonal of a vector": lambda T: T.ones(2).fill_diagonal_(1),
    "diagonal of a box": lambda T: T.ones(2, 2, 3).fill_diagonal_(1),
    "debug mode": lambda T: T.set_deterministic_debug_mode("x"),
    "debug number": lambda T: T.set_deterministic_debug_mode(5),
    "deterministic": lambda T: T.use_deterministic_algorithms(3),
}
#: PyTorch's words are about its own options and arguments
OTHER_WORDS = {"periodic of integers", "hop", "long window", "other window", "real spectra"}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(lambda T: ERRORS[name](T), text=name not in OTHER_WORDS)
