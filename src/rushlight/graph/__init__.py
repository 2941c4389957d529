"""Deferred work: expressions, which of them share one loop, and the kernels made of them."""
