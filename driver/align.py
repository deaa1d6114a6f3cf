"""Alignment: a photograph and five points in it -> the face as the network was trained to see it.

The similarity transform that brings the points nearest to ArcFace's template (insightface's `norm_crop`),
then a bilinear warp; what lies outside of the photograph is black. Coordinates are x, y in pixels, whole
numbers being the centres of pixels, as in OpenCV.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.errors import InputError

SIZE = 112  # side of the template's image
# Left eye, right eye, nose, left and right corner of the mouth, as seen in the image.
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)


def similarity(source: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float64]:
    """The rotation, scale and shift (2, 3) that bring points (N, 2) nearest to others, by least squares.

    Umeyama's (1991), without reflections. With complex numbers it is target = turn * source + shift. Raises
    InputError if the points of the source coincide.

    >>> similarity(np.array([[0, 0], [1, 0]]), np.array([[5, 5], [5, 7]])).tolist()
    [[0.0, -2.0, 5.0], [2.0, 0.0, 5.0]]
    """
    p, q = (np.asarray(points, np.float64) @ (1, 1j) for points in (source, target))
    centred = p - p.mean()
    size = (centred.conj() @ centred).real
    if not size > 0:
        raise InputError("landmarks", np.asarray(source).tolist(), "the points coincide; give five of a face")
    turn = (centred.conj() @ (q - q.mean())) / size
    shift = q.mean() - turn * p.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align(image: NDArray[np.uint8], landmarks: Any, size: int = SIZE) -> NDArray[np.uint8]:
    """The face (size, size, 3) in an RGB image (H, W, 3). landmarks: (5, 2), in the order of TEMPLATE.

    Raises InputError.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != TEMPLATE.shape or not np.isfinite(points).all():
        rule = "give x, y of both eyes, the nose and both corners of the mouth"
        raise InputError("landmarks", points.tolist(), rule)
    forward = similarity(points, TEMPLATE * size / SIZE)
    y, x = np.mgrid[:size, :size].reshape(2, -1)
    sources = np.linalg.inv(forward[:, :2]) @ (np.stack([x, y]) - forward[:, 2:])
    return _bilinear(image, *sources).reshape(size, size, 3)


def _bilinear(image: NDArray[np.uint8], x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.uint8]:
    """The image (H, W, 3) at the points x, y (N,), black outside. Pillow's would round down."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((1, 2), (1, 2), (0, 0)))
    x, y = np.clip(x, -1, width) + 1, np.clip(y, -1, height) + 1
    column, row = x.astype(np.intp), y.astype(np.intp)
    right, down = (x - column)[:, None], (y - row)[:, None]
    upper = padded[row, column] * (1 - right) + padded[row, column + 1] * right
    lower = padded[row + 1, column] * (1 - right) + padded[row + 1, column + 1] * right
    return np.rint(upper * (1 - down) + lower * down).astype(np.uint8)
