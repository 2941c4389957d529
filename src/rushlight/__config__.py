"""`torch.__config__`: how this was built. Programs look for the names of libraries in it."""

from __future__ import annotations

__all__ = ["parallel_info", "show"]


def show() -> str:
    """What Rushlight computes with.

    Example:
        >>> import rushlight as torch
        >>> "USE_CUDA=0" in torch.__config__.show()
        True
    """
    import numpy as np

    from rushlight.version import __version__

    try:
        from importlib.metadata import version

        compiler = f"llvmlite {version('llvmlite')}"
    except ImportError:
        compiler = "none"
    lines = f"TORCH_VERSION={__version__}, USE_CUDA=0, USE_CUDNN=OFF, USE_MKL=OFF, USE_MKLDNN=OFF, USE_MPI=OFF, USE_NCCL=OFF"
    return f"PyTorch answered by Rushlight:\n  - NumPy {np.__version__}\n  - Compiler of kernels: {compiler}\n  - Build settings: {lines}\n"


def parallel_info() -> str:
    """How many threads compute.

    Example:
        >>> import rushlight as torch
        >>> print(torch.__config__.parallel_info().split(" : ")[0].splitlines()[1].strip())
        at::get_num_threads()
    """
    from rushlight.native.threads import get_num_threads

    return f"ATen/Parallel:\n\tat::get_num_threads() : {get_num_threads()}\n"
