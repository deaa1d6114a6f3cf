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
    turn = np.linalg.inv(
        forward[:, :2]
    )  # Pillow wants the way back: where in the photograph a pixel comes from,
    shift = 0.5 - turn @ (forward[:, 2] + 0.5)  # counted from the corner of a pixel, not from its centre
    matrix = (*turn[0], shift[0], *turn[1], shift[1])
    photo = Image.fromarray(image)
    face = photo.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(face, np.uint8)
