"""How operations are done for a batch, by the shape of what they do."""

from __future__ import annotations

from rushlight.func.rules import (
    custom,
    dims,
    elementwise,
    indexing,
    layers,
    losses,
    products,
    randomness,
    views,
)

__all__ = ["custom", "dims", "elementwise", "indexing", "layers", "losses", "products", "randomness", "views"]
