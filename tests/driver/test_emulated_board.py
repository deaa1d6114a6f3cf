"""The emulated board under pynq and the driver, with the tiny network that a build has packaged."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pynq
import pytest

from driver import DeployError, DeviceTimeoutError, FaceAccelerator, InputError
from driver.board import Board
from driver.deploy import open_deployment
from driver.emulated import EmulatedDevice, EmulationError
from driver.emulated.device import RTL
from driver.emulated.faults import HANG, NO_LAST, SLAVE_ERROR, Fault, error, short
from driver.emulated.memory import FILL
from driver.evaluate import check_expected, read_expected
from driver.images import Pictures
from tests.driver.scripted_fabric import ScriptedFabric
from tests.driver.tiny import BUILD_PYTHON, ROOT, tiny_deploy

FABRICS = {"rtl": "Verilated accelerator", "integers": "integer executor"}


@pytest.fixture(scope="module")
def deploy() -> Path:
    return tiny_deploy()


@pytest.fixture(scope="module", params=FABRICS)
def shared(request: pytest.FixtureRequest, deploy: Path) -> Iterator[EmulatedDevice]:
    device = EmulatedDevice(deploy, request.param)
    yield device
    device.close()


@pytest.fixture
def device(shared: EmulatedDevice) -> Iterator[EmulatedDevice]:
    """Each fabric in turn; a test must leave no buffer."""
    yield shared
    assert shared.memory.buffers == 0


@pytest.fixture
def scripted(deploy: Path) -> EmulatedDevice:
    return EmulatedDevice(deploy, ScriptedFabric())


def samples(deploy: Path) -> tuple[np.ndarray, np.ndarray]:
    """Faces (N, 32, 32, 3), and the accumulators (N, 16) that the build's executor made of them."""
    expected = read_expected(deploy / "samples" / "expected.npz")
    with Pictures(deploy / "samples") as pictures:
        return np.stack([pictures.read(name) for name in expected.names]), expected.accumulators


def test_real_faces_give_the_integers_of_the_build(device: EmulatedDevice, deploy: Path) -> None:
    expected = read_expected(deploy / "samples" / "expected.npz")
    with FaceAccelerator(deploy, device, batch_size=3) as accelerator:
        with Pictures(deploy / "samples") as pictures:
            assert check_expected(accelerator, pictures, expected) == 8 * 16
        faces, accumulators = samples(deploy)
        host = accelerator.deployment
        floats = accumulators * host.scale + host.offset
        want = floats / np.linalg.norm(floats, axis=1, keepdims=True)
        assert np.array_equal(accelerator.embed(faces), want.astype(np.float32))
        assert accelerator.recoveries == 0


def test_the_device_says_what_it_is(deploy: Path) -> None:
    for name, words in FABRICS.items():
        device = EmulatedDevice(deploy, name)
        assert device.name == f"emulated Pynq-Z2 ({words})"
        assert repr(device) == f"<EmulatedDevice: Pynq-Z2, {words} of 'driver-tests'>"


def load(device: EmulatedDevice) -> pynq.Overlay:
    """The overlay, as the driver loads it."""
    return Board(open_deployment(device.emulated_bitfile.parents[1]), device).overlay


def test_pynq_alone_cannot_set_the_clock_of_a_zynq_7000(scripted: EmulatedDevice) -> None:
    """Once it can, `Board` need not help it."""
    with pytest.raises(TypeError, match=r"^unsupported operand type\(s\) for /: 'float' and 'NoneType'$"):
        pynq.Overlay(str(scripted.emulated_bitfile), device=scripted)


def test_pynq_finds_the_dma_and_its_registers(scripted: EmulatedDevice) -> None:
    overlay = load(scripted)
    assert list(overlay.ip_dict) == ["axi_dma_0", "processing_system7_0"]
    assert type(overlay.axi_dma_0) is pynq.lib.dma.DMA
    assert overlay.axi_dma_0.buffer_max_size == 2**26 - 1
    registers = overlay.axi_dma_0.register_map
    assert (registers.MM2S_DMACR.RS, registers.MM2S_DMASR.Halted, registers.S2MM_DMASR.Idle) == (1, 0, 0)
    assert pynq.Clocks.fclk0_mhz == 100.0


def test_a_zynq_ultrascale_board_loads_too(deploy: Path, tmp_path: Path) -> None:
    code = (
        "from finn_flow.boards import find_board; from finn_flow.hwh import hwh; "
        "from finn_flow.netlist import DmaStream as S; "
        "print(hwh('tiny', find_board('ZCU104'), S(128, 24), S(32, 16)))"
    )
    command = [BUILD_PYTHON, "-c", code]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folder = changed(deploy, tmp_path, board="ZCU104")
    (folder / "emulation" / "accelerator.hwh").write_text(text)
    device = EmulatedDevice(folder, ScriptedFabric())
    overlay = load(device)
    assert list(overlay.ip_dict) == ["axi_dma_0", "zynq_ultra_ps_e_0"]
    assert overlay.axi_dma_0.mmio.base_addr == 0xA000_0000
    assert pynq.Clocks.fclk0_mhz == pytest.approx(100, abs=0.01)
    buffer = pynq.allocate(32, np.uint8, target=device)
    with pytest.raises(RuntimeError, match=r"Starting address must be aligned to 16 bytes\.$"):
        overlay.axi_dma_0.sendchannel.transfer(buffer, start=4)


def test_loading_again_starts_the_fabric_anew(scripted: EmulatedDevice) -> None:
    overlay = load(scripted)
    overlay.axi_dma_0.write(0x30, 0)
    overlay.download()
    assert scripted.fabric.programmed == 2
    assert overlay.axi_dma_0.read(0x34) == 1  # halted, as after power-up


def test_pynq_allocates_and_frees(scripted: EmulatedDevice) -> None:
    buffer = pynq.allocate((3, 5), np.int16, target=scripted)
    assert (buffer.shape, buffer.dtype, buffer.device_address) == ((3, 5), np.int16, 0x1000_0000)
    assert buffer[1:].device_address == 0x1000_000A
    assert (scripted.memory.buffers, scripted.memory.bytes) == (1, 30)
    buffer.freebuffer()
    assert scripted.memory.buffers == 0
    with pynq.allocate(4, target=scripted):
        assert scripted.memory.buffers == 1
    assert scripted.memory.buffers == 0
    dropped = pynq.allocate(4, target=scripted)
    assert scripted.memory.buffers == 1
    del dropped
    assert scripted.memory.buffers == 0


def test_a_host_without_flush_and_invalidate_sees_old_data(scripted: EmulatedDevice) -> None:
    buffer = pynq.allocate(2, np.uint8, target=scripted)
    buffer[:] = 7
    dram = scripted.memory.at(buffer.device_address, 2)
    assert dram.tolist() == [FILL, FILL]
    buffer[1:].flush()
    assert dram.tolist() == [FILL, 7]
    dram[:] = 9
    assert buffer.tolist() == [7, 7]
    buffer.invalidate()
    assert buffer.tolist() == [9, 9]


def test_pynq_channels_move_a_packet(scripted: EmulatedDevice) -> None:
    dma = load(scripted).axi_dma_0
    out, into = (pynq.allocate(8, np.uint8, target=scripted) for _ in range(2))
    scripted.fabric.give(b"accelera")
    out[:] = range(8)
    dma.recvchannel.transfer(into)
    dma.sendchannel.transfer(out)
    dma.sendchannel.wait()
    dma.recvchannel.wait()
    assert scripted.fabric.offered == [(bytes(range(8)), True)]
    assert into.tobytes() == b"accelera"
    assert dma.recvchannel.transferred == 8
    scripted.dma.receive.faults = iter([error(SLAVE_ERROR)])
    dma.recvchannel.transfer(into)
    with pytest.raises(RuntimeError, match=r"^DMA Slave Error \(cannot access memory map interface\)$"):
        dma.recvchannel.wait()


def test_without_tlast_pynq_waits_for_ever(deploy: Path) -> None:
    """In a process of its own, since nothing but its end ends the wait."""
    code = """
import pynq
from driver.board import Board
from driver.deploy import open_deployment
from driver.emulated import EmulatedDevice
from driver.emulated.faults import NO_LAST
from tests.driver.scripted_fabric import ScriptedFabric
device = EmulatedDevice(DEPLOY, ScriptedFabric())
dma = Board(open_deployment(DEPLOY), device).dma
device.dma.receive.faults = iter([NO_LAST])
device.fabric.give(bytes(16))
buffer = pynq.allocate(4, target=device)
dma.recvchannel.transfer(buffer)
print("waiting", flush=True)
dma.recvchannel.wait()
print("done", flush=True)
"""
    command = [sys.executable, "-c", code.replace("DEPLOY", repr(str(deploy)))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.kill()
        assert process.stdout.read() == ""


@pytest.mark.parametrize(
    ("channel", "fault"),
    [
        *(("receive", fault) for fault in (HANG, NO_LAST, short(20), error(SLAVE_ERROR))),
        *(("send", fault) for fault in (HANG, NO_LAST, short(2000), error(SLAVE_ERROR))),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_the_driver_recovers_and_loses_no_frame(
    device: EmulatedDevice, deploy: Path, channel: str, fault: Fault
) -> None:
    faces, expected = samples(deploy)
    with FaceAccelerator(deploy, device, batch_size=2, timeout_s=0.2) as accelerator:
        getattr(device.dma, channel).faults = iter([None, fault])
        assert np.array_equal(accelerator.execute(faces[:5]), expected[:5])
        assert accelerator.recoveries == 1


def test_two_faults_in_a_row_are_an_error_and_the_device_is_usable(
    device: EmulatedDevice, deploy: Path
) -> None:
    faces, expected = samples(deploy)
    with FaceAccelerator(deploy, device, batch_size=2, timeout_s=0.2) as accelerator:
        device.dma.receive.faults = iter([HANG, HANG])
        with pytest.raises(DeviceTimeoutError, match=r"^the accelerator's output did not end in time"):
            accelerator.execute(faces[:2])
        assert np.array_equal(accelerator.execute(faces[:2]), expected[:2])


def test_the_verilog_takes_the_cycles_that_the_build_measured(deploy: Path) -> None:
    faces, _ = samples(deploy)
    device = EmulatedDevice(deploy, RTL)
    with FaceAccelerator(deploy, device, batch_size=3) as accelerator:
        cycles = []
        for count in (1, 3):
            before = device.fabric.cycles
            accelerator.execute(faces[:count])
            cycles.append(device.fabric.cycles - before)
        manifest = accelerator.deployment.manifest
    assert cycles[1] - cycles[0] == 2 * manifest["interval_cycles"]
    assert 0 <= cycles[0] - manifest["latency_cycles"] <= 2
    device.close()
    assert device.fabric.cycles is None


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_there_are_no_other_registers(scripted: EmulatedDevice, write: bool) -> None:
    load(scripted)
    mmio = pynq.MMIO(0x4200_0000, 16, device=scripted)
    rule = "no register at 0x42000004; a board ends the program with a bus error"
    with pytest.raises(EmulationError, match=f"^{rule}$"):
        mmio.write(4, 1) if write else mmio.read(4)


def test_before_an_overlay_is_loaded_there_is_no_dma(scripted: EmulatedDevice) -> None:
    with pytest.raises(EmulationError, match=r"^no overlay is loaded$"):
        _ = scripted.dma


def test_a_fabric_that_nobody_knows(deploy: Path) -> None:
    with pytest.raises(InputError, match=r"^fabric = 'fast': give 'rtl' or 'integers'$"):
        EmulatedDevice(deploy, "fast")


def test_a_deploy_folder_without_an_emulation(tmp_path: Path) -> None:
    path = tmp_path / "emulation" / "emulation.json"
    reason = f"[Errno 2] No such file or directory: '{path}'"
    rule = "package the build again on the machine that shall emulate it"
    with pytest.raises(DeployError, match=f"^{re.escape(f'{path}: cannot be read ({reason}); {rule}')}$"):
        EmulatedDevice(tmp_path)


def changed(deploy: Path, tmp_path: Path, **settings: object) -> Path:
    """A deploy folder with other settings of its emulation."""
    folder = tmp_path / "deploy"
    shutil.copytree(deploy, folder)
    path = folder / "emulation" / "emulation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return folder


def test_a_damaged_memory_file_is_named(deploy: Path, tmp_path: Path) -> None:
    folder = changed(deploy, tmp_path)
    (folder / "emulation" / "MVAU_3_weights.dat").unlink()
    device = EmulatedDevice(folder, RTL)
    with (
        FaceAccelerator(folder, device) as accelerator,
        pytest.raises(EmulationError, match=r"^the accelerator: .*MVAU_3_weights\.dat"),
    ):
        accelerator.execute(samples(deploy)[0])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ["/nowhere/python"],
            "/nowhere/python does not start: No such file or directory; "
            "it is that of the environment which built the network",
        ),
        ([sys.executable, "-c", "raise SystemExit(3)"], "the integer executor ended, exit code 3"),
    ],
    ids=["no Python", "ends at once"],
)
def test_a_worker_that_does_not_start(deploy: Path, tmp_path: Path, command: list[str], message: str) -> None:
    folder = changed(deploy, tmp_path, worker={"command": command, "environment": {}})
    device = EmulatedDevice(folder, "integers")
    with pytest.raises(EmulationError, match=f"^{re.escape(message)}$"):
        FaceAccelerator(folder, device)


def test_a_worker_that_dies_is_named_and_started_again(deploy: Path) -> None:
    faces, expected = samples(deploy)
    device = EmulatedDevice(deploy, "integers")
    with FaceAccelerator(deploy, device) as accelerator:
        os.kill(device.fabric._worker.pid, signal.SIGKILL)
        device.fabric._worker.wait()
        with pytest.raises(EmulationError, match=r"^the integer executor ended, exit code -9$"):
            accelerator.execute(faces[:1])
        assert np.array_equal(accelerator.execute(faces[1:3]), expected[1:3])
    assert device.memory.buffers == 0


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(deploy: Path) -> None:
    faces, expected = samples(deploy)
    device = EmulatedDevice(deploy, "integers")
    with FaceAccelerator(deploy, device) as accelerator:
        worker = device.fabric._worker
        assert (
            os.getpgid(worker.pid) == worker.pid
        )  # so that an interrupt from the terminal does not reach it
        worker.stdout = Interrupted(worker.stdout)
        with pytest.raises(KeyboardInterrupt):
            accelerator.execute(faces[:2])
        assert np.array_equal(accelerator.execute(faces[2:4]), expected[2:4])


class Interrupted:
    """A pipe that is read from when Ctrl-C is pressed."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.close = pipe.close

    def read(self, size: int) -> bytes:
        raise KeyboardInterrupt


@pytest.mark.parametrize(("fabric", "words"), FABRICS.items())
def test_an_environment_variable_chooses_the_emulated_board(
    deploy: Path, monkeypatch: pytest.MonkeyPatch, fabric: str, words: str
) -> None:
    monkeypatch.setenv("QMFN_EMULATED", fabric)
    with FaceAccelerator(deploy) as accelerator:
        assert accelerator.device.name == f"emulated Pynq-Z2 ({words})"
    accelerator.device.close()
