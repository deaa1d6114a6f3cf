"""What the host does before and after the accelerator, and the shapes under FINN's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from driver import FaceAccelerator
from driver.deploy import open_deployment
from driver.host import embeddings, pack
from tests.driver.deployments import EMBEDDING
from tests.driver.fake_device import FakeDevice, accumulators

EVERY_PIXEL = np.arange(256, dtype=np.uint8).reshape(1, 8, 8, 4)


def test_every_pixel_is_packed_as_itself_minus_128() -> None:
    buffer = np.zeros((2, 256), np.int8)
    pack(EVERY_PIXEL, buffer)
    assert np.array_equal(buffer[0], np.arange(256) - 128)
    assert not buffer[1].any()


def test_signed_pixels_are_packed_as_they_are() -> None:
    buffer = np.zeros((1, 256), np.int8)
    pack((EVERY_PIXEL.astype(np.int16) - 128).astype(np.int8), buffer)
    assert np.array_equal(buffer[0], np.arange(256) - 128)


def test_an_embedding_of_length_zero_stays_zero(deploy: Path) -> None:
    deployment = open_deployment(deploy)
    deployment.scale[:], deployment.offset[:] = 0, 0
    assert not embeddings(np.ones((2, EMBEDDING), np.int32), deployment).any()


def test_large_accumulators_are_scaled_in_double_precision(deploy: Path) -> None:
    deployment = open_deployment(deploy)
    deployment.scale[:], deployment.offset[:] = 1, 0
    big = np.full((1, EMBEDDING), 2**24 + 1, np.int32)
    big[0, 0] += 1
    assert embeddings(big, deployment)[0, 0] > embeddings(big, deployment)[0, 1] - 1e-9
    assert np.linalg.norm(embeddings(big, deployment)) == pytest.approx(1, abs=1e-6)


def test_io_shape_dict_is_finns(accelerator: FaceAccelerator) -> None:
    assert accelerator.io_shape_dict == {
        "idt": ["DataType['INT8']"],
        "odt": ["DataType['INT20']"],
        "ishape_normal": [(1, 8, 8, 3)],
        "oshape_normal": [(1, 16)],
        "ishape_folded": [(1, 48, 4)],
        "oshape_folded": [(1, 16, 1)],
        "ishape_packed": [(1, 48, 4)],
        "oshape_packed": [(1, 16, 4)],
        "input_dma_name": ["axi_dma_0"],
        "output_dma_name": ["axi_dma_0"],
        "number_of_external_weights": 0,
        "num_inputs": 1,
        "num_outputs": 1,
    }
    assert (accelerator.num_inputs, accelerator.num_outputs) == (1, 1)
    assert (accelerator.idt(), accelerator.odt()) == ("DataType['INT8']", "DataType['INT20']")
    assert accelerator.ishape_folded() == accelerator.ishape_packed() == (4, 48, 4)
    assert (accelerator.oshape_normal(), accelerator.oshape_folded()) == ((4, 16), (4, 16, 1))
    assert accelerator.oshape_packed() == (4, 16, 4)


def test_finns_steps_one_by_one_are_execute(accelerator: FaceAccelerator, faces: np.ndarray) -> None:
    packed = accelerator.pack_input(accelerator.fold_input(faces[:4]))
    accelerator.copy_input_data_to_device(packed)
    accelerator.execute_on_buffers()
    out = np.empty(accelerator.oshape_packed(), np.uint8)
    accelerator.copy_output_data_from_device(out)
    got = accelerator.unfold_output(accelerator.unpack_output(out))
    assert np.array_equal(got, accelerator.execute(faces[:4]))
    assert np.array_equal(got, accumulators(packed.reshape(4, -1), EMBEDDING))


@pytest.mark.parametrize("value", [0, 5])
def test_more_frames_than_the_buffers_hold_are_refused(
    accelerator: FaceAccelerator, device: FakeDevice, value: int
) -> None:
    with pytest.raises(ValueError, match=rf"^batch_size = {value}: give 1 to 4, as the buffers hold$"):
        accelerator.execute_on_buffers(value)
    assert device.batches == 0


def test_throughput_has_finns_keys_and_numbers_that_fit_each_other(accelerator: FaceAccelerator) -> None:
    result = accelerator.throughput_test()
    finn = [
        *("runtime[ms]", "throughput[images/s]", "DRAM_in_bandwidth[MB/s]", "DRAM_out_bandwidth[MB/s]"),
        *("fclk[mhz]", "batch_size", "fold_input[ms]", "pack_input[ms]", "copy_input_data_to_device[ms]"),
        *("copy_output_data_from_device[ms]", "unpack_output[ms]", "unfold_output[ms]"),
    ]
    ours = ["runtime_with_data_movement[ms]", "throughput_with_data_movement[images/s]"]
    assert result.keys() == {*finn, *ours}
    assert all(value > 0 for value in result.values())
    seconds = result["runtime[ms]"] / 1e3
    assert result["throughput[images/s]"] == pytest.approx(4 / seconds)
    assert result["DRAM_in_bandwidth[MB/s]"] == pytest.approx(4 * 192e-6 / seconds)
    assert result["DRAM_out_bandwidth[MB/s]"] == pytest.approx(4 * 64e-6 / seconds)
    assert (result["fclk[mhz]"], result["batch_size"]) == (100.0, 4)
    seconds = result["runtime_with_data_movement[ms]"] / 1e3
    assert result["throughput_with_data_movement[images/s]"] == pytest.approx(8 * 4 / seconds)
