"""Alignment against scikit-image's similarity transform and OpenCV's warp."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from skimage.data import astronaut
from skimage.transform import SimilarityTransform

from driver import InputError, align
from driver.align import TEMPLATE, similarity
from driver.detect import find_detector, foremost

# x, y of eyes, nose and mouth corners in scikit-image's astronaut
POINTS = np.array([(204.2, 100.8), (246.7, 103.3), (225.0, 126.7), (205.8, 140.8), (243.3, 140.8)])


@pytest.mark.parametrize("seed", range(20))
def test_similarity_is_scikit_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.uniform(0, 500, (2, 5, 2))
    if seed % 2:  # points that nearly agree, as landmarks do
        target = (source @ [[0.3, 0.4], [-0.4, 0.3]]) + 7 + rng.normal(size=(5, 2))
    transform = SimilarityTransform()
    assert transform.estimate(source, target)
    np.testing.assert_allclose(similarity(source, target), transform.params[:2], rtol=1e-9, atol=1e-9)


def test_mirrored_points_are_not_reflected() -> None:
    matrix = similarity(TEMPLATE * (-1, 1), TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize("size", [112, 32])
def test_the_warp_is_opencvs(size: int) -> None:
    image = astronaut()
    matrix = similarity(POINTS, TEMPLATE * size / 112)
    expected = cv2.warpAffine(image, matrix, (size, size), borderValue=0.0)
    got = align(image, POINTS, size)
    assert got.shape == (size, size, 3)
    assert np.abs(got.astype(int) - expected).max() <= 3  # OpenCV interpolates in steps of 1/32 pixel
    assert np.abs(got.astype(int) - expected).mean() < 0.2


def test_what_is_outside_of_the_photograph_is_black() -> None:
    image = np.full((50, 50, 3), 255, np.uint8)
    face = align(image, TEMPLATE - 60)
    assert not face[:58].any()
    assert not face[:, :58].any()
    assert (face[62:108, 62:108] == 255).all()


def test_a_face_that_is_aligned_already_stays_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    assert np.array_equal(align(image, TEMPLATE), image)


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        ([[0.0, 0.0]] * 4, "give x, y of both eyes, the nose and both corners of the mouth"),
        ([[1.0, float("nan")]] * 5, "give x, y of both eyes, the nose and both corners of the mouth"),
        ([[3.0, 4.0]] * 5, "the points coincide; give five of a face"),
    ],
)
def test_bad_landmarks_are_refused(landmarks: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        align(np.zeros((10, 10, 3), np.uint8), landmarks)
    assert str(error.value) == f"landmarks = {landmarks}: {message}"


def test_the_detector_finds_the_face() -> None:
    detect = find_detector()
    assert detect is not None
    found = detect(astronaut())
    assert found is not None
    assert np.abs(found - POINTS).max() < 6  # of a face 90 pixels wide
    assert detect(np.zeros((100, 100, 3), np.uint8)) is None


def finding(confidence: float, side: int, place: int) -> dict[str, Any]:
    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    points = {name: (place, number) for number, name in enumerate(names)}
    return {"confidence": confidence, "box": [0, 0, side, side], "keypoints": points}


def test_the_largest_face_that_is_sure_is_taken() -> None:
    found = foremost([finding(0.99, 10, 1), finding(0.95, 20, 2), finding(0.5, 30, 3)])
    assert found is not None
    assert found.tolist() == [[2, 0], [2, 1], [2, 2], [2, 3], [2, 4]]
    assert foremost([finding(0.5, 30, 3)]) is None
