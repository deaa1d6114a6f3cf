"""Running whole graphs: batches, requested tensors, bounded memory, threads, and input that is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from tests.verification_graphs import build, finn, node, random_integers
from verification.errors import VerificationError
from verification.executor import Executor, executor
from verification.executor.embed import embedder
from verification.executor.plan import Step

SHAPE = (1, 4, 4, 2)  # NHWC
WEIGHTS = np.array([[3, -2], [1, 5]])
LEVELS = np.array([[-8, 0, 9], [-20, -3, 16]])


def chain(layers: int) -> ModelWrapper:
    """MVAU and Thresholding, alternating."""
    vectors = {"numInputVectors": [1, 4, 4], "PE": 1, "SIMD": 1}
    nodes, values, source = [], {"pixels": (SHAPE, "INT4")}, "pixels"
    for layer in range(layers):
        sums, output = f"sums{layer}", f"block{layer}"
        unit = {
            "MW": 2,
            "MH": 2,
            "noActivation": 1,
            "inputDataType": values[source][1],
            "weightDataType": "INT4",
        }
        bank = {
            "NumChannels": 2,
            "numSteps": 3,
            "inputDataType": "INT9",
            "weightDataType": "INT9",
            "ActVal": -2,
        }
        nodes += [
            finn("MVAU", [source, "w"], sums, name=f"MVAU_{layer}", outputDataType="INT9", **unit, **vectors),
            finn(
                "Thresholding",
                [sums, "t"],
                output,
                name=f"T_{layer}",
                outputDataType="INT2",
                **bank,
                **vectors,
            ),
        ]
        values |= {sums: (SHAPE, "INT9"), output: (SHAPE, "INT2")}
        source = output
    return build(nodes, values, {"w": (WEIGHTS, "INT4"), "t": (LEVELS, "INT9")})


def gold(x: np.ndarray, layers: int) -> list[np.ndarray]:
    """What each layer of `chain` gives."""
    outputs = []
    for _ in range(layers):
        x = ((x @ WEIGHTS)[..., None] >= LEVELS).sum(-1) - 2
        outputs.append(x)
    return outputs


def pixels(frames: int, seed: int = 0) -> np.ndarray:
    return random_integers(np.random.default_rng(seed), "INT4", (frames, *SHAPE[1:]))


@dataclass
class Watched:
    """A step that notes what was held when it began."""

    step: Step
    seen: list[dict[str, torch.Tensor]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.step, name)

    def run(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        self.seen.append(dict(tensors))
        return self.step.run(tensors)


def watch(target: Executor) -> list[dict[str, torch.Tensor]]:
    seen: list[dict[str, torch.Tensor]] = []
    target.steps = tuple(Watched(step, seen) for step in target.steps)  # type: ignore[misc]
    return seen


def test_outputs_and_requested_tensors_in_int64() -> None:
    x = pixels(5)
    got = Executor(chain(3)).run(x, ["block0", "pixels", "block2"])
    assert sorted(got) == ["block0", "block2", "pixels"]
    outputs = gold(x, 3)
    assert (got["pixels"] == x).all()
    assert (got["block0"] == outputs[0]).all()
    assert (got["block2"] == outputs[2]).all()
    assert {values.dtype for values in got.values()} == {np.dtype(np.int64)}


@pytest.mark.parametrize("convert", [np.int8, np.int16, np.int64, np.float32, np.float64, torch.from_numpy])
def test_integers_in_any_numeric_type(convert: Any) -> None:
    x = pixels(2)
    assert (Executor(chain(1)).run(convert(x))["block0"] == gold(x, 1)[0]).all()


def test_unsigned_pixels_and_any_memory_order() -> None:
    x = np.abs(pixels(2)).clip(max=7).astype(np.uint8)
    flipped = x[:, ::-1, ::-1].transpose(0, 2, 1, 3)
    assert (Executor(chain(1)).run(flipped)["block0"] == gold(flipped.astype(int), 1)[0]).all()


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
def test_groups_of_frames_join_to_the_batch(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "GROUP_ELEMENTS", 2 * 32 + 1)  # two frames
    x = pixels(frames)
    target = Executor(chain(2))
    seen = watch(target)
    assert (target.run(x)["block1"] == gold(x, 2)[1]).all()
    assert max(len(tensor) for held in seen for tensor in held.values()) <= 2


def test_a_frame_gives_the_same_in_any_batch() -> None:
    x = pixels(6)
    target = Executor(chain(2))
    whole = target.run(x)["block1"]
    assert all((target.run(x[i : i + 1])["block1"][0] == whole[i]).all() for i in range(6))


def test_memory_depends_neither_on_depth_nor_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "GROUP_ELEMENTS", 32)  # one frame
    target = Executor(chain(30))
    seen = watch(target)
    target.run(pixels(4), ["block3"])
    assert len(seen) == 4 * 60
    assert {len(held) for held in seen} == {1}
    assert {tensor.shape for held in seen for tensor in held.values()} == {(1, 4, 4, 2)}


def test_a_tensor_is_held_until_its_last_use() -> None:
    kinds = {"NumChannels": 2, "PE": 1, "inputDataType": "INT4", "numInputVectors": [1, 4, 4]}
    shapes = {"lhs_shape": SHAPE, "rhs_shape": SHAPE, "out_shape": SHAPE, "out_dtype": "INT6"}
    nodes = [
        finn("DuplicateStreams", ["x"], ["a", "b", "unused"], NumOutputStreams=3, **kinds),
        finn("ElementwiseAdd", ["b", "b"], "c", lhs_dtype="INT4", rhs_dtype="INT4", **shapes),
        finn("ElementwiseAdd", ["c", "a"], "y", lhs_dtype="INT5", rhs_dtype="INT4", name="last", **shapes),
    ]
    values = {name: (SHAPE, None) for name in ("a", "b", "unused", "c", "y")}
    target = Executor(build(nodes, {"x": (SHAPE, "INT4"), **values}))
    seen = watch(target)
    x = pixels(1)
    assert (target.run(x)["y"] == 3 * x).all()
    assert [sorted(held) for held in seen] == [["x"], ["a", "b"], ["a", "c"]]


def test_a_data_set_streams_through_one_batch_at_a_time() -> None:
    taken = []

    def batches() -> Iterator[np.ndarray]:
        for number in range(10**9):
            taken.append(number)
            yield pixels(2, seed=number)

    results = Executor(chain(1)).stream(batches(), ["sums0"])
    assert taken == []
    for number in range(3):
        result = next(results)
        assert taken == list(range(number + 1))
        assert (result["sums0"] == pixels(2, seed=number) @ WEIGHTS).all()


def test_torch_has_its_threads_back_afterwards() -> None:
    def in_a_new_thread() -> int:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        return found[0]

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        Executor(chain(1)).run(pixels(2))
        assert (torch.get_num_threads(), in_a_new_thread()) == (3, 3)
    finally:
        torch.set_num_threads(before)


def test_producers_and_streams_are_in_topological_order() -> None:
    target = Executor(chain(2))
    assert list(target.streams) == ["pixels", "sums0", "block0", "sums1", "block1"]
    assert [str(node) for node in target.producers.values()][:2] == ["MVAU_0 (MVAU)", "T_0 (Thresholding)"]
    assert target.streams["pixels"].layout == "NHWC"


def test_a_weight_quantised_in_the_graph_costs_no_step() -> None:
    quant = node(
        "Quant",
        ["w", "s", "z", "b"],
        "q",
        "qonnx.custom_op.general",
        signed=1,
        narrow=0,
        rounding_mode="ROUND",
    )
    constants = {"w": [[0.26], [0.9]], "s": 0.5, "z": 0.0, "b": 4.0}
    typed = {name: (np.array(value), None) for name, value in constants.items()}
    values = {"x": ((1, 2, 1), "INT4"), "q": ((2, 1), None), "y": ((1, 2, 1), None)}
    target = Executor(build([quant, node("Mul", ["x", "q"], "y")], values, typed))
    assert [step.node.kind for step in target.steps] == ["Mul"]
    assert target.run(np.array([[[3], [-4]]]))["y"].tolist() == [[[1.5], [-4.0]]]


SHAPES = "frames must have shape (N, 4, 4, 2), not"


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 4, 2), int), f"pixels: {SHAPES} (4, 4, 2)"),
        (np.zeros((1, 2, 4, 4), int), f"pixels: {SHAPES} (1, 2, 4, 4)"),
        (np.zeros((0, 4, 4, 2), int), f"pixels: {SHAPES} (0, 4, 4, 2)"),
        (np.full((1, 4, 4, 2), 8), "pixels: 8 is outside INT4 (-8..7)"),
        (np.full((1, 4, 4, 2), -9.0), "pixels: -9 is outside INT4 (-8..7)"),
        (np.full((1, 4, 4, 2), 0.5), "pixels: 0.5 is not an integer"),
        (np.full((1, 4, 4, 2), np.nan), "pixels: nan is not an integer"),
        (np.full((1, 4, 4, 2), np.inf), "pixels: inf is not an integer"),
        (np.full((1, 4, 4, 2), "1"), "pixels: frames must be numbers, not <U1"),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames: np.ndarray, message: str) -> None:
    with pytest.raises(VerificationError) as error:
        Executor(chain(1)).run(frames)
    assert str(error.value) == message


def test_an_unknown_tensor_is_refused() -> None:
    with pytest.raises(VerificationError) as error:
        Executor(chain(1)).run(pixels(1), ["block0", "w"])
    assert str(error.value) == "'w' is not a tensor of the graph that depends on 'pixels'"


def broken(change: str) -> ModelWrapper:
    """`chain(1)` with one thing wrong."""
    model = chain(1)
    first, second = model.graph.node
    match change:
        case "op":
            second.op_type = "GlobalAccPool_hls"
        case "order":
            model.graph.node.reverse()
        case "inputs":
            model.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, (1,)))
        case "output":
            model.graph.output.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (2, 2)))
        case "type":
            del model.graph.quantization_annotation[:]
        case "shape":
            del model.graph.value_info[:]
        case "attribute":
            del first.attribute[:]
            second.attribute.remove(next(a for a in second.attribute if a.name == "outputDataType"))
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("op", "T_0 (GlobalAccPool_hls): the executor's op table has no GlobalAccPool"),
        ("order", "T_0 (Thresholding): its input 'sums0' comes from no earlier node"),
        ("inputs", "the graph must have one input, not 2: pixels, extra"),
        ("output", "graph output 'w' does not depend on the input 'pixels'"),
        ("type", "graph input 'pixels' must be annotated with an integer type"),
        ("shape", "tensor 'sums0' has no shape; run qonnx's InferShapes"),
        ("attribute", "T_0 (Thresholding): attribute 'outputDataType' is missing"),
    ],
)
def test_graphs_that_cannot_run_are_refused(change: str, message: str) -> None:
    with pytest.raises(VerificationError) as error:
        Executor(broken(change))
    assert str(error.value) == message


def test_an_unnamed_node_goes_by_its_output() -> None:
    model = broken("op")
    model.graph.node[1].name = ""
    with pytest.raises(VerificationError, match=r"^block0 \(GlobalAccPool_hls\): "):
        Executor(model)


def test_a_tensor_of_another_shape_than_declared_is_named() -> None:
    model = chain(1)
    model.set_tensor_shape("sums0", (1, 4, 5, 2))
    with pytest.raises(VerificationError) as error:
        Executor(model).run(pixels(1))
    assert str(error.value) == "'sums0' is declared with shape (4, 5, 2) a frame, but has (4, 4, 2)"


def test_the_first_error_of_many_groups_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "GROUP_ELEMENTS", 32)
    x = pixels(64)
    x[5, 0, 0, 0], x[40, 0, 0, 0] = 9, 11
    with pytest.raises(VerificationError) as error:
        Executor(chain(1)).run(x)
    assert str(error.value) == "pixels: 9 is outside INT4 (-8..7)"


def test_an_unknown_data_type_is_named() -> None:
    model = chain(1)
    next(a for a in model.graph.node[0].attribute if a.name == "outputDataType").s = b"INTX"
    with pytest.raises(VerificationError) as error:
        Executor(model)
    assert str(error.value) == "MVAU_0 (MVAU): outputDataType is 'INTX', which is no data type"


def test_embeddings_are_scaled_accumulators_from_images_in_nchw() -> None:
    model = chain(1)
    scale, offset = np.linspace(0.1, 1, 32), np.linspace(-3, 2, 32)
    x = pixels(3)
    got = embedder(Executor(model), scale, offset)(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    assert (got == gold(x, 1)[0].reshape(3, 32) * scale + offset).all()


def test_scale_and_offset_of_another_network_are_refused() -> None:
    with pytest.raises(VerificationError) as error:
        embedder(Executor(chain(1)), np.ones(32), np.ones(31))
    assert str(error.value) == "scale and offset must have shape (32,), not (32,) and (31,)"
