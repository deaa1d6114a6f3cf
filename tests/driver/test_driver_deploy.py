"""The checks of a deploy folder: each way in which it can be wrong has its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driver import DeployError
from driver.deploy import open_deployment
from tests.driver.deployments import EMBEDDING, manifest_of, write_manifest


def test_a_good_folder_is_read(deploy: Path) -> None:
    deployment = open_deployment(deploy)
    assert (deployment.name, deployment.board, deployment.dma) == ("toy", "Pynq-Z2", "axi_dma_0")
    assert deployment.bitfile == deploy / "bitfile" / "finn-accel.bit"
    assert (deployment.input.shape, deployment.input.frame_bytes, deployment.input.beats) == (
        (8, 8, 3),
        192,
        48,
    )
    assert (deployment.output.shape, deployment.output.frame_bytes, deployment.output.beats) == (
        (16,),
        64,
        16,
    )
    assert deployment.latency_s == 1e-5
    assert deployment.thresholds == {"accuracy": 0.5}
    assert deployment.scale.dtype == deployment.offset.dtype == np.float64


def test_files_that_the_manifest_does_not_name_are_let_be(deploy: Path) -> None:
    (deploy / "notes.txt").write_text("mine")
    open_deployment(deploy)


def without(field: str) -> Callable[[Path], None]:
    def change(deploy: Path) -> None:
        manifest = manifest_of(deploy)
        del manifest[field]
        (deploy / "manifest.json").write_text(json.dumps(manifest))

    return change


def having(**changes: Any) -> Callable[[Path], None]:
    return lambda deploy: write_manifest(deploy, **changes)


def short_vectors(deploy: Path) -> None:
    np.savez(deploy / "host.npz", scale=np.ones(3), offset=np.ones(3))
    write_manifest(deploy)


def pickled_vectors(deploy: Path) -> None:
    np.savez(deploy / "host.npz", scale=np.array([{}], object), offset=np.ones(EMBEDDING))
    write_manifest(deploy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: (d / "manifest.json").unlink(),
            "{d}: no manifest.json there; give the deploy folder of a build",
        ),
        (
            lambda d: (d / "manifest.json").write_text("{"),
            "{d}/manifest.json: cannot be read (Expecting property name enclosed in double quotes: line 1 "
            "column 2 "
            "(char 1)); copy the deploy folder again",
        ),
        (
            lambda d: (d / "manifest.json").write_text("[]"),
            "{d}/manifest.json: format None; this driver reads format 1, install the wheel beside it",
        ),
        (
            having(format=2),
            "{d}/manifest.json: format 2; this driver reads format 1, install the wheel beside it",
        ),
        (having(files={}), "{d}/manifest.json: names no files; package the build again"),
        (
            having(files={"../x": "0"}),
            "{d}/manifest.json: '../x' is outside of the deploy folder",
        ),
        (
            having(files={"/etc/passwd": "0"}),
            "{d}/manifest.json: '/etc/passwd' is outside of the deploy folder",
        ),
        (lambda d: (d / "host.npz").unlink(), "{d}/host.npz: missing; copy the deploy folder again"),
        (
            lambda d: (d / "bitfile" / "finn-accel.hwh").write_text("<hw/>"),
            "{d}/bitfile/finn-accel.hwh: its SHA-256 is not that of the manifest; copy the deploy folder "
            "again",
        ),
        (without("clock_mhz"), "{d}/manifest.json: lacks 'clock_mhz'; package the build again"),
        (without("thresholds"), "{d}/manifest.json: lacks 'thresholds'; package the build again"),
        (
            having(bitfile="other.bit"),
            "{d}/manifest.json: bitfile 'other.bit' is not among its files; package the build again",
        ),
        (
            having(output={"shape": [1, 3], "datatype": "INT20", "stream_bits": 64}),
            "{d}/manifest.json: a frame of 12 bytes is not whole beats of 64 bits; package the build again",
        ),
        (
            having(output={"shape": [1, 16], "datatype": "INT20", "stream_bits": 0}),
            "{d}/manifest.json: a frame of 64 bytes is not whole beats of 0 bits; package the build again",
        ),
        (
            short_vectors,
            "{d}/manifest.json: host.npz has (3,) and (3,), not 16 numbers each; package the build again",
        ),
        (
            pickled_vectors,
            "{d}/manifest.json: Object arrays cannot be loaded when allow_pickle=False; package the build "
            "again",
        ),
    ],
)
def test_a_wrong_folder_is_one_line(deploy: Path, change: Callable[[Path], Any], message: str) -> None:
    change(deploy)
    with pytest.raises(DeployError) as error:
        open_deployment(deploy)
    assert str(error.value) == message.format(d=deploy)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeployError) as error:
        open_deployment(tmp_path / "nothing")
    assert (
        str(error.value) == f"{tmp_path}/nothing: no such file or folder; give the deploy folder of a build"
    )
