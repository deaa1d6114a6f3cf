from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, save

from model.errors import UserError
from model.teacher import align, combined, directions, load_teacher, normalised


def random(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def rotation(size: int, seed: int) -> NDArray[np.float32]:
    return np.asarray(np.linalg.qr(random(size, size, seed=seed))[0], np.float32)


def onnx_file(path: Path, size: int) -> Path:
    """An ONNX network whose embedding is the mean colour."""
    image = helper.make_tensor_value_info("rgb", TensorProto.FLOAT, ["n", 3, size, size])
    out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])
    node = helper.make_node("ReduceMean", ["rgb"], ["embedding"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph([node], "mean", [image], [out])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def test_an_onnx_teacher_sees_rgb_pixels(tmp_path: Path) -> None:
    embed, name = load_teacher(onnx_file(tmp_path / "mean.onnx", 8), 8)
    faces = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_allclose(embed(faces), faces.mean((1, 2)), rtol=1e-6)
    _, other = load_teacher(onnx_file(tmp_path / "mean.onnx", 16), 16)
    assert name != other


def test_an_onnx_teacher_of_another_size(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "mean.onnx", 8)
    message = r"^teacher = '.*mean.onnx': takes \[\['n', 3, 8, 8\]\], not one batch of \(3, 16, 16\)$"
    with pytest.raises(UserError, match=message):
        load_teacher(path, 16)


def test_align_finds_a_rotation() -> None:
    vectors, turn = random(200, 5), rotation(5, 1)
    found = align(vectors, 3 * vectors @ turn)
    np.testing.assert_allclose(found, turn, atol=1e-5)
    np.testing.assert_allclose(found @ found.T, np.eye(5), atol=1e-5)


def test_the_first_teacher_stays_where_the_student_already_is() -> None:
    first = random(200, 5)
    student = first + 0.5 * random(200, 5, seed=1)
    turn = rotation(5, 2)
    one, two = directions([first, first @ turn], student)
    np.testing.assert_array_equal(one, np.eye(5))
    np.testing.assert_allclose(two, turn.T, atol=1e-5)
    np.testing.assert_allclose(combined([first, first @ turn], [one, two]), normalised(first), atol=1e-5)


def test_an_unrelated_teacher_is_turned_to_the_student() -> None:
    student, turn = random(200, 5), rotation(5, 3)
    assert (normalised(student) * normalised(student @ turn)).sum(1).mean() < 0.25
    (found,) = directions([student @ turn], student)
    np.testing.assert_allclose(found, turn.T, atol=1e-5)
