"""Images read at points: what `grid_sample` is made of. Three operations, each linear in two tensors and the others' derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.layout import numel
from rushlight.ops.spec import primitive
from rushlight.runtime import point_sampled


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(*images.shape[:2], numel(images.shape[2:]))


def _reading(node: str) -> Any:
    def read(images, weights, *, places, shape):
        """The images at points that lie in this shape: the weighted sum of the elements of each."""
        made = point_sampled.read(_flat(images), places, weights)
        return made.reshape(*made.shape[:2], *shape)

    def to_images(g: Any, images_meta: Any, weights: Any, places: np.ndarray, shape: tuple) -> Any:
        return put_at(g.flatten(2), weights, places=places, shape=tuple(images_meta.shape))

    def to_weights(g: Any, images: Any, places: np.ndarray, shape: tuple) -> Any:
        return weigh_at(images, g.flatten(2), places=places)

    read.__name__ = node
    return primitive(node, vjp=(to_images, to_weights))(read)


@primitive(
    "PutAt",
    vjp=(
        lambda g, weights, places, shape: read_at(g, weights, places=places, shape=places.shape[2:]),
        lambda g, values, places, shape: weigh_at(g, values, places=places),
    ),
)
def put_at(values, weights, *, places, shape):
    """Images of zeros of this shape with weighted values (N, C, P) added where they would be read."""
    made = point_sampled.put(values, places, weights, numel(shape[2:]))
    return made.reshape(shape)


@primitive(
    "WeighAt",
    vjp=(
        lambda g, images_meta, values, places: put_at(
            values, g, places=places, shape=tuple(images_meta.shape)
        ),
        lambda g, images, places: read_at(images, g, places=places, shape=places.shape[2:]),
    ),
)
def weigh_at(images, values, *, places):
    """By how much each weight counts in the sum of values times what is read."""
    return point_sampled.weigh(_flat(images), values, places)


read_at = _reading("ReadAt")
#: by the number of dimensions of a plane
GRID_SAMPLER = {2: _reading("GridSampler2D"), 3: _reading("GridSampler3D")}

__all__ = ["GRID_SAMPLER", "put_at", "read_at", "weigh_at"]
