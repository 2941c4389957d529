"""Short-time Fourier transforms: the spectra of overlapping pieces of a signal, and back."""

from __future__ import annotations

import math
import warnings
from typing import Any

from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.dtypes import COMPLEX
from rushlight.ops.creation import ones
from rushlight.ops.fourier import fft, ifft, irfft, rfft
from rushlight.ops.padding import constant_pad_nd, pad

_NO_WINDOW = (
    "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. Other "
    "windows such as torch.hann_window or torch.hamming_window are recommended to reduce spectral leakage.To suppress this "
    "warning and use a rectangular window, explicitly set `window=torch.ones(n_fft, device=<device>)`."
)


@for_batches
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The spectra of pieces of `n_fft` samples, `hop_length` apart: (frequencies, pieces), after a batch dimension.

    Args:
        hop_length: n_fft // 4, if None.
        win_length, window: the weights of a piece's samples; ones, if None. A shorter window is centred.
        center: pad the signal (by `pad_mode`) so that piece t is centred at sample t * hop_length.
        normalized: divide by the root of n_fft.
        onesided: give half of the spectra; by default for real signals and windows.
        return_complex: must be True for real signals; False gives real and imaginary parts apart.

    Raises:
        RuntimeError: sizes that do not fit, or `return_complex` missing.

    Example:
        >>> import rushlight as torch
        >>> torch.stft(torch.ones(8), 4, window=torch.ones(4), return_complex=True).shape
        torch.Size([3, 9])
    """
    if window is None:
        warnings.warn(_NO_WINDOW, stacklevel=2)
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    told = return_complex is not None
    complex_out = return_complex if told else _is_complex(input, window)
    if not told and not complex_out:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further require that "
            "return_complex=True in a future PyTorch release."
        )
    x = input.unsqueeze(0) if input.dim() == 1 else input
    if center and x.dim() == 2:
        x = pad(x.unsqueeze(1), (n_fft // 2, n_fft // 2), mode=pad_mode).squeeze(1)
    _check_sizes("stft", x, n_fft, hop, length, window)
    pieces = x.unfold(-1, n_fft, hop)
    weights = _centred(window, length, n_fft)
    pieces = pieces if weights is None else pieces * weights
    half = onesided if onesided is not None else not _is_complex(x, window)
    if half and pieces.is_complex():
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    out = (rfft if half else fft)(pieces, norm="ortho" if normalized else None).transpose(1, 2)
    out = out.squeeze(0) if input.dim() == 1 else out
    return out if complex_out else _parts(out)


def _parts(t: Any) -> Tensor:
    from rushlight.ops.complexes import view_as_real

    return view_as_real(t)


def _is_complex(*tensors: Any) -> bool:
    return any(t is not None and t._dtype.category == COMPLEX for t in tensors)


def _check_sizes(name: str, x: Tensor, n_fft: int, hop: int, length: int, window: Any) -> None:
    if x._dtype.category < 2 or x.dim() > 2 or x.dim() < 1:
        raise RuntimeError(
            f"{name}: expected a tensor of floating point or complex values of 1 or 2 dimensions"
        )
    if not 0 < n_fft <= x.shape[-1]:
        raise RuntimeError(f"{name}: expected 0 < n_fft <= {x.shape[-1]}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    _check_window(name, n_fft, length, window)


def _check_window(name: str, n_fft: int, length: int, window: Any) -> None:
    if not 0 < length <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got win_length={length}")
    if window is not None and (window.dim() != 1 or window.shape[0] != length):
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={length}, but got window with size "
            f"{list(window.shape)}"
        )


def _centred(window: Any, length: int, n_fft: int) -> Any:
    """The window in the middle of n_fft weights; None stands for ones."""
    if length == n_fft:
        return window
    left = (n_fft - length) // 2
    return constant_pad_nd(ones(length) if window is None else window, (left, n_fft - length - left))


@for_batches
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal whose `stft` is nearest to `input`: overlapping pieces added, over their weights. Griffin and Lim, 1984.

    Raises:
        RuntimeError: sizes that do not fit, or somewhere no window is above zero.

    Example:
        >>> import rushlight as torch
        >>> x, w = torch.arange(8.), torch.hann_window(4)
        >>> torch.istft(torch.stft(x, 4, window=w, return_complex=True), 4, window=w).round(decimals=4)
        tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    if window is None:
        warnings.warn(_NO_WINDOW, stacklevel=2)
    hop = n_fft // 4 if hop_length is None else hop_length
    span = n_fft if win_length is None else win_length
    if not _is_complex(input):
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    spectra = input.unsqueeze(0) if input.dim() == 2 else input
    half = onesided if onesided is not None else spectra.shape[-2] != n_fft
    wanted = n_fft // 2 + 1 if half else n_fft
    if spectra.dim() != 3 or spectra.shape[-2] != wanted:
        raise RuntimeError(
            "istft: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when "
            f"onesided=True, but got {spectra.shape[-2]}"
        )
    if not 0 < hop <= span:
        raise RuntimeError("istft: expected 0 < hop_length <= win_length")
    _check_window("istft", n_fft, span, window)
    if return_complex and half:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    pieces = _pieces(spectra.transpose(1, 2), n_fft, normalized, half, return_complex)
    weights = _centred(window, span, n_fft)
    weights = ones(n_fft, dtype=pieces.real.dtype) if weights is None else weights
    signal = _overlapped(pieces * weights, hop)
    power = _overlapped((weights * weights).expand(1, pieces.shape[1], n_fft), hop)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else signal.shape[-1] - (n_fft // 2 if center else 0)
    signal, power = signal[:, start:end], power[:, start:end]
    if signal.shape[-1] and power.abs().min() < 1e-11:
        raise RuntimeError(
            f"istft: window overlap add min: {float(power.abs().min())}: no window may be zero everywhere at a sample"
        )
    out = signal / power
    if length is not None and out.shape[-1] < length:
        out = constant_pad_nd(out, (0, length - out.shape[-1]))
    return out.squeeze(0) if input.dim() == 2 else out


def _pieces(spectra: Any, n_fft: int, normalized: bool, half: bool, complex_out: bool) -> Any:
    norm = "ortho" if normalized else None
    if half:
        return irfft(spectra, n_fft, norm=norm)
    made = ifft(spectra, norm=norm)
    return made if complex_out else made.real


def _overlapped(pieces: Any, hop: int) -> Any:
    """Pieces (batch, count, length) added where they lie, `hop` apart; each lies in as many blocks of `hop` as it takes."""
    batch, count, length = pieces.shape
    blocks = math.ceil(length / hop)
    cut = constant_pad_nd(pieces, (0, blocks * hop - length)).reshape(batch, count, blocks, hop)
    total: Any = 0
    for n in range(blocks):
        total = total + constant_pad_nd(cut[:, :, n], (0, 0, n, blocks - 1 - n))
    return total.reshape(batch, -1)[:, : (count - 1) * hop + length]
