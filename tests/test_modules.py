"""Every layer and loss of torch.nn against live PyTorch: first values, repr, state, forward, backward, copies."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import rushlight
import rushlight.nn

warnings.filterwarnings("ignore", message="Lazy modules")


def of(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


X = of(0, 3, 4)
IMAGE = of(1, 2, 4, 6, 6)
VOLUME = of(2, 1, 2, 4, 5, 4)
ROW = of(3, 2, 4, 9)
STEPS = of(4, 5, 3, 4)
CLASSES = np.array([0, 2, 1])
SIGNS = np.array([1.0, -1.0, 1.0])
Y = of(5, 3, 4)
UNIT = np.random.default_rng(6).random((3, 4))

#: expression of nn -> inputs
LAYERS: dict[str, tuple] = {
    # ---- linear ----
    "nn.Identity(1, a=2)": (X,),
    "nn.Linear(4, 5)": (X,),
    "nn.Linear(4, 5, bias=False)": (STEPS,),
    "nn.Bilinear(4, 4, 2)": (X, Y),
    "nn.Bilinear(4, 4, 2, False)": (X, Y),
    "nn.LazyLinear(3)": (X,),
    "nn.LazyLinear(3, bias=False)": (X,),
    "nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Sequential(nn.Linear(3, 1)))": (X,),
    "nn.Sequential(OrderedDict(a=nn.Linear(4, 3), b=nn.ReLU()))": (X,),
    "nn.Embedding(5, 3)": (CLASSES,),
    "nn.Embedding(5, 3, padding_idx=-3, max_norm=1.0, scale_grad_by_freq=True)": (CLASSES,),
    "nn.EmbeddingBag(5, 3)": (np.array([[0, 2], [1, 4], [4, 4]]),),
    "nn.EmbeddingBag(5, 3, mode='sum', padding_idx=4)": (np.array([0, 4, 2, 2, 4]), np.array([0, 3, 3])),
    "nn.EmbeddingBag(5, 3, mode='max', include_last_offset=True)": (
        np.array([0, 4, 2, 2]),
        np.array([0, 3, 4]),
    ),
    "nn.EmbeddingBag(5, 3, padding_idx=1)": (np.array([[0, 1], [1, 1]]),),
    "nn.ChannelShuffle(2)": (IMAGE,),
    # ---- activations ----
    **{
        f"nn.{name}": (X,)
        for name in (
            "ReLU() ReLU6() RReLU() Hardtanh() Hardtanh(-0.5,0.5) Sigmoid() Hardsigmoid() Tanh() SiLU() Mish() Hardswish() ELU() "
            "ELU(2.0) CELU() CELU(0.5) SELU() GLU() GLU(1) GELU() GELU('tanh') Hardshrink() LeakyReLU() LeakyReLU(0.3) "
            "LogSigmoid() Softplus() Softplus(2,1) Softshrink() PReLU() PReLU(4,0.1) Softsign() Tanhshrink() Softmin(1) "
            "Softmax(dim=0) LogSoftmax(-1) Threshold(0.1,20)"
        ).split()
    },
    "nn.Softmax2d()": (IMAGE,),
    # ---- dropout ----
    "nn.Dropout(0.3)": (X,),
    "nn.Dropout1d()": (ROW,),
    "nn.Dropout2d(0.2)": (IMAGE,),
    "nn.Dropout3d()": (VOLUME,),
    "nn.AlphaDropout()": (X,),
    "nn.FeatureAlphaDropout()": (IMAGE,),
    # ---- moving elements ----
    "nn.Flatten()": (IMAGE,),
    "nn.Flatten(0, 1)": (IMAGE,),
    "nn.Unflatten(1, (2, 2))": (IMAGE,),
    "nn.PixelShuffle(2)": (IMAGE,),
    "nn.PixelUnshuffle(2)": (IMAGE,),
    "nn.Unfold(3, padding=1)": (IMAGE,),
    "nn.Fold((4, 4), 2)": (of(7, 2, 8, 9),),
    "nn.Upsample(scale_factor=2)": (IMAGE,),
    "nn.Upsample(size=(3, 4), mode='bilinear')": (IMAGE,),
    "nn.UpsamplingNearest2d(scale_factor=2)": (IMAGE,),
    "nn.UpsamplingBilinear2d(size=(9, 9))": (IMAGE,),
    # ---- padding ----
    "nn.ZeroPad1d(2)": (ROW,),
    "nn.ZeroPad2d((1, 0, 2, 1))": (IMAGE,),
    "nn.ZeroPad3d(1)": (VOLUME,),
    "nn.ConstantPad1d((1, 2), 3.5)": (ROW,),
    "nn.ConstantPad2d(1, -1.0)": (IMAGE,),
    "nn.ConstantPad3d(1, 2.0)": (VOLUME,),
    "nn.ReflectionPad1d(2)": (ROW,),
    "nn.ReflectionPad2d((1, 2, 0, 1))": (IMAGE,),
    "nn.ReflectionPad3d(1)": (VOLUME,),
    "nn.ReplicationPad1d(2)": (ROW,),
    "nn.ReplicationPad2d(1)": (IMAGE,),
    "nn.ReplicationPad3d(1)": (VOLUME,),
    "nn.CircularPad1d(2)": (ROW,),
    "nn.CircularPad2d(1)": (IMAGE,),
    "nn.CircularPad3d(1)": (VOLUME,),
    # ---- pooling ----
    "nn.MaxPool1d(2)": (ROW,),
    "nn.MaxPool2d(2, padding=1)": (IMAGE,),
    "nn.MaxPool2d(3, 2, ceil_mode=True)": (IMAGE,),
    "nn.MaxPool2d((2, 1), return_indices=True)": (IMAGE,),
    "nn.MaxPool3d(2)": (VOLUME,),
    "nn.AvgPool1d(3, 2)": (ROW,),
    "nn.AvgPool2d(2, divisor_override=3)": (IMAGE,),
    "nn.AvgPool2d(3, 2, 1, count_include_pad=False)": (IMAGE,),
    "nn.AvgPool3d((1, 2, 2))": (VOLUME,),
    "nn.LPPool1d(2, 3)": (np.abs(ROW),),
    "nn.LPPool2d(2, (3, 2), 1)": (np.abs(IMAGE),),
    "nn.LPPool3d(2, 2)": (np.abs(VOLUME),),
    "nn.AdaptiveAvgPool1d(4)": (ROW,),
    "nn.AdaptiveAvgPool2d((None, 4))": (IMAGE,),
    "nn.AdaptiveAvgPool3d(2)": (VOLUME,),
    "nn.AdaptiveMaxPool1d(4)": (ROW,),
    "nn.AdaptiveMaxPool2d(3)": (IMAGE,),
    "nn.AdaptiveMaxPool3d(2)": (VOLUME,),
    # ---- normalisation ----
    "nn.BatchNorm1d(4)": (X,),
    "nn.BatchNorm1d(4, momentum=None)": (ROW,),
    "nn.BatchNorm1d(4, bias=False)": (ROW,),
    "nn.BatchNorm2d(4)": (IMAGE,),
    "nn.BatchNorm2d(4, affine=False)": (IMAGE,),
    "nn.BatchNorm2d(4, track_running_stats=False)": (IMAGE,),
    "nn.BatchNorm3d(2, 0.1, 0.5)": (VOLUME,),
    "nn.LazyBatchNorm1d()": (X,),
    "nn.LazyBatchNorm2d()": (IMAGE,),
    "nn.InstanceNorm1d(4)": (ROW,),
    "nn.InstanceNorm2d(4, affine=True, track_running_stats=True)": (IMAGE,),
    "nn.InstanceNorm2d(4, affine=True, bias=False)": (IMAGE[0],),
    "nn.InstanceNorm3d(2)": (VOLUME,),
    "nn.LayerNorm(4)": (X,),
    "nn.LayerNorm((6, 6), bias=False)": (IMAGE,),
    "nn.LayerNorm([4], elementwise_affine=False)": (X,),
    "nn.RMSNorm(4)": (X,),
    "nn.RMSNorm((6, 6), 0.1, False)": (IMAGE,),
    "nn.GroupNorm(2, 4)": (IMAGE,),
    "nn.GroupNorm(4, 4, affine=False)": (IMAGE,),
    "nn.GroupNorm(1, 4, bias=False)": (IMAGE,),
    "nn.LocalResponseNorm(2)": (IMAGE,),
    # ---- convolution ----
    "nn.Conv1d(4, 3, 3)": (ROW,),
    "nn.Conv1d(4, 4, 2, groups=4, padding='same')": (ROW,),
    "nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=(1, 2), groups=2)": (IMAGE,),
    "nn.Conv2d(4, 2, 3, padding='valid', bias=False)": (IMAGE,),
    "nn.Conv2d(4, 2, 3, padding=1, padding_mode='reflect')": (IMAGE,),
    "nn.Conv2d(4, 2, 3, padding='same', padding_mode='circular')": (IMAGE,),
    "nn.Conv3d(2, 3, 2)": (VOLUME,),
    "nn.ConvTranspose1d(4, 3, 3)": (ROW,),
    "nn.ConvTranspose2d(4, 2, 3, 2, 1, 1, groups=2)": (IMAGE,),
    "nn.ConvTranspose2d(4, 2, 3, dilation=2, bias=False)": (IMAGE,),
    "nn.ConvTranspose3d(2, 1, 2)": (VOLUME,),
    "nn.LazyConv1d(3, 3)": (ROW,),
    "nn.LazyConv2d(3, kernel_size=3, padding=1, bias=False)": (IMAGE,),
    "nn.LazyConvTranspose2d(3, 2, 2)": (IMAGE,),
    # ---- distances ----
    "nn.CosineSimilarity()": (X, Y),
    "nn.CosineSimilarity(0, 0.1)": (X, Y),
    "nn.PairwiseDistance(1.0, keepdim=True)": (X, Y),
}

LOSSES: dict[str, tuple] = {
    "nn.L1Loss({})": (X, Y),
    "nn.MSELoss({})": (X, Y),
    "nn.SmoothL1Loss({}, beta=0.5)": (X, Y),
    "nn.HuberLoss({}, delta=0.5)": (X, Y),
    "nn.NLLLoss({})": (X, CLASSES),
    "nn.NLLLoss(weight=T.arange(4.0), ignore_index=2, {})": (X, CLASSES),
    "nn.CrossEntropyLoss({})": (X, CLASSES),
    "nn.CrossEntropyLoss(label_smoothing=0.1, {})": (X, CLASSES),
    "nn.CrossEntropyLoss(T.arange(1.0, 5.0), {})": (X, UNIT),
    "nn.BCELoss({})": (UNIT, UNIT[:, ::-1].copy()),
    "nn.BCELoss(weight=T.arange(4.0), {})": (UNIT, UNIT[:, ::-1].copy()),
    "nn.BCEWithLogitsLoss({})": (X, UNIT),
    "nn.BCEWithLogitsLoss(pos_weight=T.arange(4.0), {})": (X, UNIT),
    "nn.MultiLabelSoftMarginLoss({})": (X, UNIT.round()),
    "nn.KLDivLoss({})": (X, UNIT),
    "nn.KLDivLoss(log_target=True, {})": (X, Y),
    "nn.PoissonNLLLoss({})": (X, UNIT),
    "nn.PoissonNLLLoss(False, True, {})": (UNIT + 0.1, UNIT * 5),
    "nn.GaussianNLLLoss({})": (X, Y, UNIT + 0.1),
    "nn.HingeEmbeddingLoss({})": (X[:, 0].copy(), SIGNS),
    "nn.MarginRankingLoss(0.5, {})": (X[:, 0].copy(), X[:, 1].copy(), SIGNS),
    "nn.SoftMarginLoss({})": (X[:, 0].copy(), SIGNS),
    "nn.CosineEmbeddingLoss(0.2, {})": (X, Y, SIGNS),
    "nn.MultiMarginLoss(2, {})": (X, CLASSES),
    "nn.MultiLabelMarginLoss({})": (X, np.array([[3, 0, -1, 1], [-1, 0, 1, 2], [1, 2, 3, 0]])),
    "nn.TripletMarginLoss(swap=True, {})": (X, Y, UNIT),
    "nn.TripletMarginWithDistanceLoss(distance_function=nn.CosineSimilarity(), {})": (X, Y, UNIT),
}
CASES = LAYERS | {
    loss.replace("{}", f"reduction='{reduction}'"): inputs
    for loss, inputs in LOSSES.items()
    for reduction in ("mean", "sum", "none")
}


def make(T: Any, expression: str) -> Any:
    from collections import OrderedDict

    T.manual_seed(3)
    return eval(expression, {"nn": T.nn, "T": T, "OrderedDict": OrderedDict})


def tensors(T: Any, inputs: tuple) -> list:
    floats = [T.tensor(a, dtype=T.float32 if a.dtype.kind == "f" else None) for a in inputs]
    return [
        t.requires_grad_() if t.is_floating_point() and a is not SIGNS else t for t, a in zip(floats, inputs)
    ]


def leaves(value: Any) -> list:
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in leaves(part)]
    return [] if value is None else [value]


def numbers(t: Any) -> np.ndarray:
    return np.asarray(t.detach().tolist(), dtype=float).reshape(tuple(t.shape))


def state(module: Any) -> dict:
    return {name: numbers(t) for name, t in module.state_dict().items()}


def equal_state(a: Any, b: Any, tolerance: float = 0.0) -> None:
    wanted, found = state(a), state(b)
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, tolerance, tolerance, err_msg=name)


@pytest.mark.parametrize("expression", CASES)
def test_layer(expression: str) -> None:
    inputs = CASES[expression]
    warnings.simplefilter("ignore")
    pair = [make(torch, expression), make(rushlight, expression)]
    assert repr(pair[1]) == repr(pair[0])
    if "Lazy" not in expression:
        equal_state(*pair)
    for training in (True, True, False):
        results = []
        for T, module in zip((torch, rushlight), pair):
            T.manual_seed(5)
            module.train(training)
            module.zero_grad()
            given = tensors(T, inputs)
            made = leaves(module(*given))
            floats = [t for t in made if t.is_floating_point()]
            for t in floats:
                if t.requires_grad:
                    (t * T.arange(t.numel(), dtype=t.dtype).view(t.shape).cos()).sum().backward(
                        retain_graph=True
                    )
            gradients = [x.grad for x in given] + [p.grad for p in module.parameters()]
            results.append([made, [g for g in gradients if g is not None]])
        for wanted, found in zip(leaves(results[0]), leaves(results[1]), strict=True):
            assert str(found.dtype) == str(wanted.dtype)
            np.testing.assert_allclose(numbers(found), numbers(wanted), 2e-5, 2e-5)
        equal_state(*pair, 1e-5)
        assert repr(pair[1]) == repr(pair[0])
    _copies(*pair)


def _copies(wanted: Any, found: Any) -> None:
    """Deep copies and pickles are equal and share nothing; the state loads into PyTorch and back."""
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert repr(other) == repr(found)
        equal_state(found, other)
        mine = {t.data_ptr() for t in found.state_dict().values() if t.numel()}
        assert not mine & {t.data_ptr() for t in other.state_dict().values() if t.numel()}
    file = io.BytesIO()
    rushlight.save(found.state_dict(), file)
    file.seek(0)
    assert str(wanted.load_state_dict(torch.load(file))) == "<All keys matched successfully>"
    assert str(found.load_state_dict(found.state_dict())) == "<All keys matched successfully>"
    assert found.state_dict()._metadata == wanted.state_dict()._metadata


MISSING = {
    "AdaptiveLogSoftmaxWithLoss",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LinearCrossEntropyLoss",
} | {
    "LinearCrossEntropyOptions",
    "DataParallel",
}


def test_names() -> None:
    """What PyTorch's torch.nn has and Rushlight's has not is listed above."""
    wanted = set(torch.nn.modules.__all__)
    assert wanted - set(rushlight.nn.modules.__all__) <= MISSING
    assert not set(rushlight.nn.modules.__all__) - wanted
