"""The whole accelerator in simulation: every stream, its ends, stalls, resets, and that it can fail."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from finn_flow.fifo_sizing import (
    bypass_fifos,
    close,
    depths_for,
    first_deadlock,
    least_depths,
    measure_peaks,
    steady_interval,
)
from tests.accelerators import Generated, generate
from tests.rtl_bench import STALLS
from verification.accelerator import SINK, SOURCE, Accelerator
from verification.errors import MismatchError
from verification.verilator.simulation import StalledError

IDLE = 4096


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate(tmp_path_factory.mktemp("accelerator"), 20_000)


@pytest.fixture(scope="module")
def study(generated: Generated) -> Iterator[Accelerator]:
    with generated.open(study=True) as accelerator:
        yield accelerator


@pytest.fixture(scope="module")
def depths(generated: Generated, study: Accelerator) -> dict[str, int]:
    """What a study says, by FIFO."""
    peaks = measure_peaks(study, generated.frames(2), generated.interval, lambda n: None)
    return depths_for(study, peaks)


@pytest.fixture(scope="module")
def real(generated: Generated, study: Accelerator, depths: dict[str, int]) -> Iterator[Accelerator]:
    """The accelerator as it is synthesised."""
    tensors = {name: node.inputs[0] for name, node in study.fifos.items()}
    with generated.open({tensors[name]: depth for name, depth in depths.items()}) as accelerator:
        yield accelerator


@pytest.fixture(autouse=True)
def no_stalls(request: pytest.FixtureRequest) -> None:
    """Every test starts from the settings of a fresh simulation."""
    for name in {"study", "real"} & set(request.fixturenames):
        accelerator = request.getfixturevalue(name)
        accelerator.simulation.stall(SOURCE, 0, 0)
        accelerator.simulation.stall(SINK, 0, 0)
        accelerator.simulation.wait_for_valid(SINK, False)
        accelerator.simulation.capture(False)
        if name == "study":
            accelerator.limit(dict.fromkeys(accelerator.fifos, 0))


def run(accelerator: Accelerator, generated: Generated, frames: np.ndarray, slower: int = 20):
    return accelerator.run(frames, slower * (len(frames) + 3) * generated.interval, 10 * generated.interval)


def expected(accelerator: Accelerator, frames: np.ndarray) -> np.ndarray:
    return accelerator.executor.run(frames)["accumulators"].reshape(len(frames), -1)


@pytest.mark.parametrize("stall", STALLS)
def test_every_stream_equals_the_executor_under_stalls(
    real: Accelerator, generated: Generated, stall: str
) -> None:
    setting, frames = STALLS[stall], generated.frames(3, 5)
    real.simulation.stall(SOURCE, 3, *setting.source)
    real.simulation.stall(SINK, 4, *setting.sink)
    real.simulation.wait_for_valid(SINK, setting.wait_for_valid)
    real.simulation.capture()
    result = run(real, generated, frames)
    elements = sum(len(real.order(name).positions) for name in real.fifos)
    assert real.compare(frames, result) == 3 * (elements + real.embedding)
    real.simulation.idle(2000)
    assert real.simulation.beats(SINK) == 3 * real.embedding  # nothing left over


def test_the_rate_is_the_estimate_from_the_second_frame_on(real: Accelerator, generated: Generated) -> None:
    intervals = steady_interval(real, generated.frames(2), generated.interval, lambda n: None)
    assert all(close(interval, generated.interval) for interval in intervals)


def test_a_batch_ends_with_tlast_and_only_there(real: Accelerator, generated: Generated) -> None:
    result = run(real, generated, generated.frames(4))
    assert len(result.accumulators) == 4
    assert real.simulation.lasts(SINK) == [4 * real.embedding - 1]


def test_batches_end_one_by_one(real: Accelerator, generated: Generated) -> None:
    frames = generated.frames(4)
    real.start(frames)
    beats = len(frames.tobytes()) // real.simulation.ports[SOURCE].bytes
    real.simulation.packet(SOURCE, beats // 2)
    real.simulation.run({SINK: 4 * real.embedding}, 100 * generated.interval, 10 * generated.interval)
    assert real.simulation.lasts(SINK) == [2 * real.embedding - 1, 4 * real.embedding - 1]


def test_a_frame_does_not_depend_on_the_one_before(real: Accelerator, generated: Generated) -> None:
    a, b = generated.frames(2, 8)
    together = run(real, generated, np.stack([a, b, a])).accumulators
    alone = run(real, generated, b[None]).accumulators
    assert (together[0] == together[2]).all()
    assert (together[1] == alone[0]).all()
    assert (together[0] != together[1]).any()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.4])
def test_reset_in_mid_frame_leaves_no_trace(real: Accelerator, generated: Generated, share: float) -> None:
    frames = generated.frames(2, 9)
    real.start(frames)
    with pytest.raises(StalledError, match="out of cycles"):
        real.finish(2, int(share * generated.interval))
    assert (run(real, generated, frames).accumulators == expected(real, frames)).all()


def test_a_truncated_frame_waits_and_a_reset_mends_it(real: Accelerator, generated: Generated) -> None:
    frames = generated.frames(1)
    real.simulation.reset()
    data = np.frombuffer(frames.tobytes(), np.uint8).reshape(-1, real.simulation.ports[SOURCE].bytes)
    real.simulation.push(SOURCE, data[: len(data) // 2])
    with pytest.raises(
        StalledError, match=r"nothing moved for 4096 cycles .* ready but not valid: Streaming"
    ):
        real.finish(1, 100 * generated.interval, IDLE)
    assert (run(real, generated, frames).accumulators == expected(real, frames)).all()


def test_models_of_fifos_give_the_same_cycles_as_the_fifos(
    real: Accelerator, study: Accelerator, depths: dict[str, int], generated: Generated
) -> None:
    frames = generated.frames(3)
    study.limit(depths)
    of_model, of_real = run(study, generated, frames), run(real, generated, frames)
    assert of_model.latency == of_real.latency
    assert of_model.intervals == of_real.intervals


def test_one_word_less_than_the_least_depth_is_a_deadlock_that_names_the_edge(
    study: Accelerator, depths: dict[str, int], generated: Generated
) -> None:
    bypasses, frames = bypass_fifos(study.model), generated.frames(1)
    assert len(bypasses) == 12
    least = least_depths(study, bypasses, depths, frames, generated.interval)
    assert first_deadlock(study, bypasses, {**depths, **least}, frames) is None
    searched = [name for name in bypasses if least[name] > 2]
    assert searched
    for name in (searched[0], searched[-1]):
        less = {**depths, name: least[name] - 1}
        assert first_deadlock(study, bypasses, less, frames) == name
        study.limit(less)
        with pytest.raises(
            StalledError, match=rf"valid but not ready: .*{name} \({study.fifos[name].inputs[0]}\)"
        ):
            study.run(frames, 100 * generated.interval, IDLE)


@pytest.mark.parametrize("layer", ["MVAU_3", "VVAU_5"])
def test_a_flipped_weight_bit_is_located(generated: Generated, real: Accelerator, layer: str) -> None:
    """The same library reads a memory file of which one bit differs."""
    path = generated.folder / f"{layer}_weights.dat"
    right = path.read_text()
    lines = right.splitlines()
    lines[0] = f"{int(lines[0], 16) ^ 4:0{len(lines[0])}x}"
    path.write_text("\n".join(lines) + "\n")
    try:
        with Accelerator(real.library, generated.folder, real.model) as wrong:
            wrong.simulation.capture()
            frames = generated.frames(2)
            with pytest.raises(MismatchError) as error:
                wrong.compare(frames, run(wrong, generated, frames))
    finally:
        path.write_text(right)
    assert error.value.node == layer


def test_a_wrong_graph_is_located(generated: Generated, real: Accelerator) -> None:
    """A swapped channel: the executor's graph has two columns of a weight exchanged."""
    model = real.model
    weights = model.get_initializer("block1.weight")
    swapped = weights.copy()
    swapped[:, [0, 1]] = weights[:, [1, 0]]
    model.set_initializer("block1.weight", swapped)
    try:
        with Accelerator(real.library, generated.folder, model) as wrong:
            wrong.simulation.capture()
            frames = generated.frames(2)
            with pytest.raises(
                MismatchError, match=r"MVAU_0: 'block1.acc' first differs at frame 0, channel [01]"
            ):
                wrong.compare(frames, run(wrong, generated, frames))
    finally:
        model.set_initializer("block1.weight", weights)


def test_a_dropped_beat_is_seen(real: Accelerator, generated: Generated) -> None:
    frames = generated.frames(2)
    real.simulation.reset()
    data = np.frombuffer(frames.tobytes(), np.uint8).reshape(-1, real.simulation.ports[SOURCE].bytes)
    real.simulation.packet(SOURCE, 0)
    real.simulation.push(SOURCE, np.delete(data, 5, axis=0))
    with pytest.raises(StalledError):
        real.finish(2, 100 * generated.interval, IDLE)


def test_the_netlist_is_an_instance_a_node(generated: Generated, real: Accelerator) -> None:
    text = (generated.folder / "dataflow.v").read_text()
    instances = re.findall(r"^  \w+ (?:#\(.*\) )?(\w+) \($", text, re.MULTILINE)
    assert instances == [node.name for node in real.model.graph.node]
    assert len(text.splitlines()) > 1000
