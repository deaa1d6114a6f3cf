"""The accelerator's class on a fake device, under the real pynq."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pynq
import pytest

from driver import ClosedError, DeployError, DeviceError, DeviceTimeoutError, FaceAccelerator, InputError
from driver.deploy import open_deployment
from tests.driver.deployments import EMBEDDING, SIZE, make_deployment, write_manifest
from tests.driver.fake_device import ERROR, HANG, SHORT, FakeDevice, accumulators


def expected(faces: np.ndarray) -> np.ndarray:
    return accumulators((faces.astype(np.int16) - 128).astype(np.int8), EMBEDDING)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 11])
def test_execute_gives_the_integers_of_every_frame(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, count: int
) -> None:
    got = accelerator.execute(faces[:count])
    assert got.dtype == np.int32
    assert np.array_equal(got, expected(faces[:count]))
    assert device.batches == -(-count // 4)


def test_execute_takes_pixels_minus_128_as_they_are(accelerator: FaceAccelerator, faces: np.ndarray) -> None:
    signed = (faces.astype(np.int16) - 128).astype(np.int8)
    assert np.array_equal(accelerator.execute(signed), expected(faces))


def test_execute_takes_frames_that_are_not_contiguous(
    accelerator: FaceAccelerator, faces: np.ndarray
) -> None:
    mirrored = faces[::2, :, ::-1]
    assert not mirrored.flags.c_contiguous
    assert np.array_equal(accelerator.execute(mirrored), expected(mirrored))


def test_embed_scales_and_normalises(accelerator: FaceAccelerator, deploy: Path, faces: np.ndarray) -> None:
    deployment = open_deployment(deploy)
    raw = expected(faces) * deployment.scale + deployment.offset
    got = accelerator.embed(faces)
    assert got.dtype == np.float32
    assert np.array_equal(got, (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32))
    assert np.array_equal(accelerator.embed(faces[3]), got[3])


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((2, 8, 8, 3)), "batch = 'float64': give uint8 pixels, or int8 pixels minus 128"),
        (np.zeros((2, 8, 8, 3), np.int64), "batch = 'int64': give uint8 pixels, or int8 pixels minus 128"),
        (np.zeros((8, 8, 3), np.uint8), "batch = (8, 8, 3): give an array of shape (N, 8, 8, 3)"),
        (np.zeros((2, 3, 8, 8), np.uint8), "batch = (2, 3, 8, 8): give an array of shape (N, 8, 8, 3)"),
        (np.zeros((2, 8, 8, 4), np.uint8), "batch = (2, 8, 8, 4): give an array of shape (N, 8, 8, 3)"),
        (
            [np.zeros((8, 8, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)],
            "batch = 'a list of 2': its images differ in shape",
        ),
        ([], "batch = 'float64': give uint8 pixels, or int8 pixels minus 128"),
    ],
)
def test_a_bad_batch_is_refused_before_anything_is_sent(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, batch: Any, message: str
) -> None:
    with pytest.raises(InputError) as error:
        accelerator.execute(batch)
    assert str(error.value) == message
    assert device.batches == 0
    assert np.array_equal(accelerator.execute(faces), expected(faces))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 3), np.int8), "images = 'int8': give uint8 RGB pixels"),
        (np.zeros((8, 8), np.uint8), "images = (8, 8): give an array of shape (N, 8, 8, 3)"),
    ],
)
def test_bad_images_are_refused(accelerator: FaceAccelerator, images: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as error:
        accelerator.embed(images)
    assert str(error.value) == message


@pytest.mark.parametrize("fault", [HANG, SHORT, ERROR])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_fault_is_recovered_from_and_no_frame_is_lost(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, fault: str, place: int
) -> None:
    device.faults.extend([None] * place + [fault])
    assert np.array_equal(accelerator.execute(faces), expected(faces))
    assert (device.resets, device.downloads, accelerator.recoveries) == (1, 2, 1)


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (HANG, DeviceTimeoutError, "the accelerator's output did not end in time (DMA status 0x0)"),
        (SHORT, DeviceError, "the accelerator ended its output after 252 of 256 bytes"),
        (ERROR, DeviceError, "the DMA's output stopped: slave error (memory refused the access)"),
    ],
)
def test_a_fault_twice_is_raised_and_the_next_call_works(
    accelerator: FaceAccelerator,
    device: FakeDevice,
    faces: np.ndarray,
    fault: str,
    kind: type[DeviceError],
    message: str,
) -> None:
    device.faults.extend([None, fault, fault])  # the batch after the first is sent again, and fails again
    with pytest.raises(kind) as error:
        accelerator.execute(faces[:8])
    assert str(error.value) == message
    device.faults.clear()
    assert np.array_equal(accelerator.execute(faces), expected(faces))


def test_the_time_out_is_the_devices_if_it_names_one(deploy: Path, device: FakeDevice) -> None:
    device.timeout_s = 123.0  # type: ignore[attr-defined]
    with FaceAccelerator(deploy, device) as accelerator:
        assert accelerator.timeout_s == 123.0
    with FaceAccelerator(deploy, device, timeout_s=1.5) as accelerator:
        assert accelerator.timeout_s == 1.5


def test_an_interrupted_call_leaves_a_usable_accelerator(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("driver.accelerator.unpack", interrupt)
        with pytest.raises(KeyboardInterrupt):
            accelerator.execute(faces)
    assert np.array_equal(accelerator.execute(faces), expected(faces))
    assert device.resets == 1


def test_a_dma_that_ignores_its_reset_is_said_so(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driver.dma.RESET_S", 0.001)
    device.faults.append(HANG)
    device.deaf = True
    with pytest.raises(DeviceTimeoutError) as error:
        accelerator.execute(faces)
    assert str(error.value) == "the DMA does not answer to its reset; is the clock of the design running?"
    with pytest.raises(DeviceTimeoutError):  # the DMA may still write there, so the buffers stay
        accelerator.close()
    assert len(device.buffers) == 4
    device.deaf = False
    assert np.array_equal(accelerator.execute(faces), expected(faces))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "batch_size = 0: give a whole number from 1 on"),
        (-1, "batch_size = -1: give a whole number from 1 on"),
        (2.0, "batch_size = 2.0: give a whole number from 1 on"),
        (True, "batch_size = True: give a whole number from 1 on"),
        ("4", "batch_size = '4': give a whole number from 1 on"),
    ],
)
def test_a_bad_batch_size_is_refused(
    accelerator: FaceAccelerator, deploy: Path, device: FakeDevice, value: Any, message: str
) -> None:
    with pytest.raises(InputError) as error:
        accelerator.batch_size = value
    assert str(error.value) == message
    assert accelerator.batch_size == 4
    with pytest.raises(InputError) as error:
        FaceAccelerator(deploy, device, batch_size=value)
    assert str(error.value) == message


def test_a_new_batch_size_makes_new_buffers(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray
) -> None:
    before = set(device.buffers)
    accelerator.batch_size = 6
    assert len(device.buffers) == 4
    assert not before & set(device.buffers)
    assert accelerator.ishape_normal() == (6, SIZE, SIZE, 3)
    assert np.array_equal(accelerator.execute(faces), expected(faces))


def test_a_batch_that_a_dma_transfer_cannot_hold_is_refused(deploy: Path) -> None:
    frame = SIZE * SIZE * 3
    small = FakeDevice(deploy / "bitfile" / "finn-accel.bit", frame, EMBEDDING, c_sg_length_width="10")
    with pytest.raises(InputError) as error:
        FaceAccelerator(deploy, small, batch_size=6)
    assert str(error.value) == "batch_size = 6: give at most 5; the DMA's transfers hold no more"
    assert small.buffers == {}


def test_memory_that_cannot_be_had_leaves_the_old_buffers(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, allocate = set(device.buffers), device.allocate

    def scarce(shape: Any, dtype: Any, **options: Any) -> Any:
        if len(device.buffers) == 6:
            raise RuntimeError("Failed to allocate Memory!")
        return allocate(shape, dtype, **options)

    monkeypatch.setattr(device, "allocate", scarce)
    with pytest.raises(DeviceError) as error:
        accelerator.batch_size = 100
    message = "no memory for batches of 100 frames (Failed to allocate Memory!); take smaller ones"
    assert str(error.value) == message
    assert set(device.buffers) == before
    assert np.array_equal(accelerator.execute(faces), expected(faces))


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_a_time_out_is_more_than_nothing(deploy: Path, device: FakeDevice, value: float) -> None:
    with pytest.raises(InputError) as error:
        FaceAccelerator(deploy, device, timeout_s=value)
    assert str(error.value) == f"timeout_s = {value!r}: give seconds, more than 0"
    assert device.downloads == 0


def test_a_closed_accelerator_says_so(deploy: Path, device: FakeDevice, faces: np.ndarray) -> None:
    accelerator = FaceAccelerator(deploy, device)
    accelerator.close()
    accelerator.close()
    assert device.buffers == {}

    def resize() -> None:
        accelerator.batch_size = 2

    for call in (lambda: accelerator.execute(faces), accelerator.throughput_test, resize):
        with pytest.raises(ClosedError) as error:
            call()
        assert str(error.value) == "the accelerator is closed; open it again"


def test_another_overlay_in_its_place_is_noticed(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, tmp_path: Path
) -> None:
    other = tmp_path / "other.bit"
    other.write_bytes(b"other")
    pynq.Overlay(str(other), device=device)
    device.log = []
    with pytest.raises(ClosedError) as error:
        accelerator.execute(faces)
    assert str(error.value) == "another overlay was loaded on this device; open the accelerator again"
    accelerator._stale = True  # as after a hang
    accelerator.close()
    assert device.log == []  # its registers are not touched: they are another design's
    assert device.buffers == {}


def test_a_bitfile_that_cannot_be_programmed_again_is_said_so(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: Any) -> None:
        raise OSError("FPGA manager is busy")

    device.faults.append(HANG)
    with monkeypatch.context() as patch:
        patch.setattr(device, "download", download)
        with pytest.raises(DeviceError) as error:
            accelerator.execute(faces)
    assert str(error.value) == "the bitfile cannot be programmed again: FPGA manager is busy"
    assert np.array_equal(accelerator.execute(faces), expected(faces))


def test_the_bitfile_may_be_given_in_place_of_the_folder(deploy: Path, device: FakeDevice) -> None:
    with FaceAccelerator(deploy / "bitfile" / "finn-accel.bit", device) as accelerator:
        assert accelerator.deployment.folder == deploy
        assert accelerator.overlay.bitfile_name == str(deploy / "bitfile" / "finn-accel.bit")
        assert accelerator.device is device


def test_nothing_is_programmed_if_a_file_was_changed(deploy: Path, device: FakeDevice) -> None:
    (deploy / "bitfile" / "finn-accel.bit").write_bytes(b"bitz")
    with pytest.raises(DeployError, match="SHA-256"):
        FaceAccelerator(deploy, device)
    assert device.downloads == 0


def test_a_build_without_bitfile_needs_an_emulated_device(tmp_path: Path) -> None:
    deploy = make_deployment(tmp_path / "deploy", bitfile=None)
    device = FakeDevice(deploy / "bitfile" / "finn-accel.bit", SIZE * SIZE * 3, EMBEDDING)
    with FaceAccelerator(deploy, device):
        pass
    device.emulated_bitfile = None
    with pytest.raises(DeployError) as error:
        FaceAccelerator(deploy, device)
    assert str(error.value) == f"{deploy}: holds no bitfile; build it where Vivado is on the PATH"


def test_a_design_without_the_dma_is_named(deploy: Path, device: FakeDevice) -> None:
    write_manifest(deploy, dma="axi_dma_7")
    bitfile = deploy / "bitfile" / "finn-accel.bit"
    with pytest.raises(DeployError) as error:
        FaceAccelerator(deploy, device)
    assert str(error.value) == f"{bitfile}: no IP 'axi_dma_7' in its .hwh; copy both files again"


def test_a_dma_with_one_channel_is_named(deploy: Path) -> None:
    bitfile = deploy / "bitfile" / "finn-accel.bit"
    device = FakeDevice(bitfile, SIZE * SIZE * 3, EMBEDDING, c_include_s2mm="0")
    with pytest.raises(DeployError) as error:
        FaceAccelerator(deploy, device)
    assert str(error.value) == f"{bitfile}: axi_dma_0 is not an AXI DMA with both channels"


def test_on_a_board_the_processors_clock_is_set_and_read(
    deploy: Path, device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = SimpleNamespace(fclk0_mhz=142.0)
    monkeypatch.setattr(pynq, "Clocks", clocks)
    monkeypatch.setattr(pynq.ps, "CPU_ARCH_IS_SUPPORTED", True)
    device.emulated_bitfile = None  # the bitfile itself, as on a board
    with FaceAccelerator(deploy, device) as accelerator:
        assert clocks.fclk0_mhz == 100.0
        clocks.fclk0_mhz = 99.0  # the nearest that its dividers reach
        assert accelerator.fclk_mhz == pytest.approx(99.0)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (OSError("Root permissions required."), "Root permissions required."),
        (KeyError(), "KeyError"),
        (DeviceError("as it is"), None),
    ],
)
def test_what_keeps_pynq_from_loading_is_one_line(
    deploy: Path, device: FakeDevice, monkeypatch: pytest.MonkeyPatch, trouble: Exception, words: str | None
) -> None:
    def download(*_: Any) -> None:
        raise trouble

    monkeypatch.setattr(device, "download", download)
    with pytest.raises(DeviceError) as error:
        FaceAccelerator(deploy, device)
    bitfile = deploy / "bitfile" / "finn-accel.bit"
    assert str(error.value) == (f"pynq cannot load {bitfile}: {words}" if words else "as it is")


def test_without_a_device_it_says_where_to_run(deploy: Path) -> None:
    with pytest.raises(DeviceError) as error:
        FaceAccelerator(deploy)
    assert str(error.value) == "pynq finds no device; run on the board, or on an emulated one"


def test_threads_share_one_accelerator(accelerator: FaceAccelerator, faces: np.ndarray) -> None:
    results: dict[int, list[np.ndarray]] = {}

    def work(number: int) -> None:
        results[number] = [accelerator.execute(faces[number:]) for _ in range(25)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]
    for number, many in results.items():
        assert all(np.array_equal(got, expected(faces[number:])) for got in many)


def test_the_next_batch_is_packed_and_sent_while_one_is_inside(
    accelerator: FaceAccelerator, device: FakeDevice, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    dma = accelerator._dma
    for name in ("send", "receive", "finish_send", "finish_receive"):
        method = getattr(dma, name)
        monkeypatch.setattr(dma, name, lambda *a, n=name, m=method: (events.append(n), m(*a))[1])
    monkeypatch.setattr("driver.accelerator.pack", lambda *a: events.append("pack"))
    accelerator.execute(faces[:8])
    assert events == [
        *("pack", "send", "receive"),
        *("pack", "finish_send", "send", "finish_receive", "receive"),
        *("finish_send", "finish_receive"),
    ]
