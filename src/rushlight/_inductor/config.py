"""The settings of `torch._inductor`, which programs give and read back; of no effect."""

from __future__ import annotations

from types import SimpleNamespace

coordinate_descent_tuning = False
epilogue_fusion = True
force_disable_caches = False
freezing = False
fx_graph_cache = True
max_autotune = False
max_autotune_gemm = False
shape_padding = True
cpp = SimpleNamespace(threads=-1)
triton = SimpleNamespace(cudagraphs=False, unique_kernel_names=True)
