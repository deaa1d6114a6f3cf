"""The command line: `python -m driver verify A.jpg B.jpg`. `--help` lists the commands.

Every failure is one line on standard error and exit code 2. A pair that does not match, and a face of nobody
in the gallery, is exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from driver.accelerator import FaceAccelerator
from driver.deploy import Deployment, open_deployment
from driver.detect import find_detector
from driver.errors import DriverError, InputError
from driver.evaluate import check_expected, evaluate_pairs, read_expected
from driver.gallery import Gallery
from driver.images import Pictures, Pixels, face_of, read_image, read_landmarks
from driver.protocol import read_pairs

SAME, DIFFERENT, FAILED = 0, 1, 2  # exit codes
CHOSEN_FOR = "accuracy"  # the threshold of a deployment that is taken where none is given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except DriverError as error:
        if options.debug:
            raise
        print("error:", str(error).replace("\n", " "), file=sys.stderr)
        return FAILED


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    common, device, faces, threshold, gallery = _parents()
    top = argparse.ArgumentParser(prog="python -m driver", description="Face recognition on the board.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], about: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(name, parents=parents, help=about)
        added.set_defaults(run=run)
        return added

    command("info", _info, "check the deploy folder and say what is in it", common)
    command("throughput", _throughput, "measure, in FINN's terms", device)
    verify = command("verify", _verify, "whether two faces are of one person", faces, threshold)
    verify.add_argument("first", type=Path)
    verify.add_argument("second", type=Path)
    enrol = command("enrol", _enrol, "add a person to a gallery", faces, threshold, gallery)
    enrol.add_argument("name")
    enrol.add_argument("images", type=Path, nargs="+")
    identify = command("identify", _identify, "who of a gallery it is", faces, gallery)
    identify.add_argument("images", type=Path, nargs="+")
    add = command("evaluate", _evaluate, "compare with the build's integers; accuracy", device).add_argument
    add("--images", type=Path, metavar="DIR", help="folder or zip of aligned faces (default: the samples)")
    add("--expected", type=Path, metavar="FILE", help="integers of the build (default: the samples')")
    add("--pairs", type=Path, metavar="FILE", help="pairs.txt as LFW has it")
    add("--flip", action="store_true", help="add the embedding of the mirror image")
    return top


def _parents() -> tuple[argparse.ArgumentParser, ...]:
    """Options that commands share: of all, of those on the device, with faces, a threshold, a gallery."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--deploy", type=Path, default=Path(), metavar="DIR", help="deploy folder (default: .)"
    )
    common.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    device = argparse.ArgumentParser(add_help=False, parents=[common])
    device.add_argument("--batch-size", type=int, default=16, metavar="N", help="frames sent at a time")
    faces = argparse.ArgumentParser(add_help=False, parents=[device])
    faces.add_argument("--landmarks", type=Path, metavar="FILE", help="a line per image: name, 5 times x y")
    threshold = argparse.ArgumentParser(add_help=False)
    threshold.add_argument("--threshold", type=float, metavar="COSINE", help="default: the deployment's")
    gallery = argparse.ArgumentParser(add_help=False)
    gallery.add_argument("--gallery", type=Path, required=True, metavar="FILE", help="a .npz file")
    return common, device, faces, threshold, gallery


def _info(options: argparse.Namespace) -> int:
    deployment = open_deployment(options.deploy)
    facts = {
        "name": deployment.name,
        "board": deployment.board,
        "bitfile": "not built" if deployment.bitfile is None else deployment.bitfile.name,
        "clock": f"{deployment.clock_mhz:g} MHz",
        "input": f"{deployment.input.shape} {deployment.input.datatype}, {deployment.input.bits} bits a beat",
        "output": f"{deployment.output.shape} {deployment.output.datatype}, as int32",
        "simulated": f"{deployment.fps:.0f} fps, latency {deployment.latency_s * 1e3:.2f} ms",
        "thresholds": ", ".join(f"{v:.3f} ({k})" for k, v in deployment.thresholds.items()) or "not measured",
        "files": f"{len(deployment.manifest['files'])}, all as they were packaged",
    }
    for name, value in facts.items():
        print(f"{name:<10} {value}")
    return SAME


def _throughput(options: argparse.Namespace) -> int:
    with _accelerator(options) as accelerator:
        print(json.dumps(accelerator.throughput_test(), indent=2))
    return SAME


def _verify(options: argparse.Namespace) -> int:
    with _accelerator(options) as accelerator:
        threshold = _threshold(options, accelerator.deployment)
        first, second = accelerator.embed(_faces(options, accelerator, [options.first, options.second]))
    cosine = float(first @ second)
    same = cosine >= threshold
    print(f"{'same' if same else 'different'}: cosine {cosine:.4f}, threshold {threshold:.4f}")
    return SAME if same else DIFFERENT


def _enrol(options: argparse.Namespace) -> int:
    with _accelerator(options) as accelerator:
        if options.gallery.exists():
            gallery = Gallery.load(options.gallery)
        else:
            gallery = Gallery(_threshold(options, accelerator.deployment))
        gallery.enrol(options.name, accelerator.embed(_faces(options, accelerator, options.images)))
    gallery.save(options.gallery)
    print(
        f"{options.name}: {len(options.images)} enrolled; {len(gallery)} faces of {len(gallery.names)} people"
    )
    return SAME


def _identify(options: argparse.Namespace) -> int:
    gallery = Gallery.load(options.gallery)
    with _accelerator(options) as accelerator:
        matches = gallery.identify_all(accelerator.embed(_faces(options, accelerator, options.images)))
    for image, match in zip(options.images, matches, strict=True):
        print(f"{image}: {match.name or 'unknown'}, cosine {match.cosine:.4f}")
    return SAME if all(match.name for match in matches) else DIFFERENT


def _evaluate(options: argparse.Namespace) -> int:
    samples = options.deploy / "samples"
    expected = options.expected
    if expected is None and options.images is None:
        expected = samples / "expected.npz"
    if expected is None and options.pairs is None:
        raise InputError("expected", None, "give --expected or --pairs for these images")
    with Pictures(options.images or samples) as pictures, _accelerator(options) as accelerator:
        if expected is not None:
            count = check_expected(accelerator, pictures, read_expected(expected))
            print(f"{count:,} integers equal to {expected}")
        if options.pairs is not None:
            pairs = read_pairs(options.pairs)
            result = evaluate_pairs(accelerator, pictures, pairs, options.flip)
            label = "Accuracy-Flip" if options.flip else "Accuracy"
            print(f"[{options.pairs.stem}]{label}: {result.accuracy:.5f}+-{result.std:.5f}")
            print(f"best threshold: cosine {result.threshold:.4f}, {result.pairs} pairs")
    return SAME


def _accelerator(options: argparse.Namespace) -> FaceAccelerator:
    return FaceAccelerator(options.deploy, batch_size=options.batch_size)


def _faces(options: argparse.Namespace, accelerator: FaceAccelerator, paths: Sequence[Path]) -> Pixels:
    """Aligned faces (N, size, size, 3)."""
    size = accelerator.deployment.input.shape[0]
    landmarks = read_landmarks(options.landmarks) if options.landmarks else {}
    detect = find_detector()
    return np.stack(
        [
            face_of(read_image(path, str(path)), str(path), size, landmarks.get(path.name), detect)
            for path in paths
        ]
    )


def _threshold(options: argparse.Namespace, deployment: Deployment) -> float:
    if options.threshold is not None:
        return float(options.threshold)
    if CHOSEN_FOR not in deployment.thresholds:
        raise InputError("threshold", None, "was not measured for this network; give --threshold")
    return deployment.thresholds[CHOSEN_FOR]
