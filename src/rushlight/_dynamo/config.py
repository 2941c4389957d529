"""The settings of `torch._dynamo`, which programs give and read back; of no effect."""

from __future__ import annotations

accumulated_recompile_limit = 256
assume_static_by_default = True
automatic_dynamic_shapes = True
cache_size_limit = 8
capture_dynamic_output_shape_ops = False
capture_scalar_outputs = False
dynamic_shapes = True
error_on_recompile = False
inline_inbuilt_nn_modules = True
optimize_ddp = True
recompile_limit = 8
suppress_errors = False
verbose = False
