"""The `network` of a configuration: what defines a network, and which file holds its parameters.

Free of torch, which takes seconds to import: a mistake in a configuration shows at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from model.errors import UserError
from model.table import BLOCKS, FLOAT_BITS, Stage, residual_streams, stages, stream_bits

DepthwiseStage = Literal["bn_relu", "linear"]

SHIPPED = Path(__file__).parent / "checkpoints"
RENAMED = {"size": "input_size"}  # fields of NetworkSpec that a configuration calls otherwise


@dataclass(frozen=True)
class NetworkSpec:
    """What defines a network besides its parameters. Raises UserError with the field that is wrong.

    weight_bits, act_bits: one width per block of Table I, 2..8 or 32 (float). The activation width of a
        block is that of what it writes; block 10 writes accumulators, so its entry has no effect.
    residual_bits: one width per residual stream, by default that of the block that opens it.
    depthwise: `bn_relu` is MobileFaceNet's depthwise stage; `linear` is the paper's (section II.B): no batch
        norm and no ReLU after the depthwise convolutions of the bottlenecks, and no batch norm after
        block 2's and after the global depthwise convolution.
    width: channel multiplier; size: side of the square input, a multiple of 16; embedding: its length.
    """

    weight_bits: tuple[int, ...]
    act_bits: tuple[int, ...]
    residual_bits: tuple[int, ...] | None = None
    depthwise: DepthwiseStage = "bn_relu"
    width: float = 1.0
    size: int = 112
    embedding: int = 128

    def __post_init__(self) -> None:
        streams = len(residual_streams())
        widths = f"widths of 2..8 or {FLOAT_BITS} (float)"
        default = self.residual_bits is None
        for field, holds, rule in (
            ("weight_bits", _are_widths(self.weight_bits, BLOCKS), f"must be {BLOCKS} {widths}"),
            ("act_bits", _are_widths(self.act_bits, BLOCKS), f"must be {BLOCKS} {widths}"),
            (
                "residual_bits",
                default or _are_widths(self.residual_bits, streams),
                f"must be {streams} {widths}",
            ),
            ("depthwise", self.depthwise in ("bn_relu", "linear"), "must be 'bn_relu' or 'linear'"),
            ("width", type(self.width) in (int, float) and 0.03125 <= self.width <= 8, "must be 0.03125..8"),
            ("size", _is_count(self.size) and self.size % 16 == 0, "must be a multiple of 16 above 0"),
            ("embedding", _is_count(self.embedding), "must be a whole number above 0"),
        ):
            if not holds:
                raise UserError(field, getattr(self, field), rule)

    @property
    def stream_bits(self) -> list[int]:
        return stream_bits(self.act_bits, self.residual_bits)

    @property
    def is_float(self) -> bool:
        """Whether any layer is left unquantised."""
        return FLOAT_BITS in (*self.weight_bits, *self.act_bits[: BLOCKS - 1], *self.stream_bits)

    def stages(self) -> list[Stage]:
        return stages(self.width, self.size, self.embedding)


def _are_widths(bits: object, count: int) -> bool:
    return (
        isinstance(bits, tuple)
        and len(bits) == count
        and all(type(width) is int and (2 <= width <= 8 or width == FLOAT_BITS) for width in bits)
    )


def _is_count(value: object) -> bool:
    """Whether it is a whole number above 0, which True is not."""
    return type(value) is int and value > 0


def spec_of_fields(values: Mapping[str, Any]) -> NetworkSpec:
    """NetworkSpec(**values), where JSON has lists in place of tuples."""
    settled: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return NetworkSpec(**settled)


def spec_of_config(path: Path) -> NetworkSpec:
    """The network of a configuration file, see hw_configs/, read without the build's own packages.

    Raises UserError("config", ...) for a file that holds none, else like `spec_of_section`.
    """
    try:
        network = json.loads(path.read_text(encoding="utf-8"))["network"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"is no configuration with a network ({type(error).__name__}: {error})"
        raise UserError("config", str(path), reason) from None
    return spec_of_section(network)


def spec_of_section(network: object) -> NetworkSpec:
    """The network of a configuration's section `network`; a width given once holds for all blocks.

    Raises UserError("network.<key>", ...) for a key that is missing, unknown or wrong.
    """
    if not isinstance(network, dict):
        raise UserError("network", network, "must be an object, { ... }")
    keys = {field.name: RENAMED.get(field.name, field.name) for field in fields(NetworkSpec)}
    if unknown := [key for key in network if key not in ("checkpoint", *keys.values())]:
        rule = f"unknown key; known keys: checkpoint, {', '.join(keys.values())}"
        raise UserError(f"network.{unknown[0]}", network[unknown[0]], rule)
    values = {name: network[key] for name, key in keys.items() if key in network}
    for name in ("weight_bits", "act_bits"):
        if name not in values:
            raise UserError(f"network.{name}", None, "missing; give 2..8, once or per block")
        if type(values[name]) is int:
            values[name] = (values[name],) * BLOCKS
    try:
        return spec_of_fields(values)
    except UserError as error:
        key = keys[error.field]
        raise UserError(f"network.{key}", network[key], error.rule) from None


def shipped() -> list[str]:
    """Names of the checkpoints that come with the code."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find_checkpoint(field: str, name: str, folder: Path) -> Path:
    """The file of a shipped checkpoint's name (`w4a4`), or of a path relative to `folder`.

    A path has a slash or ends in .safetensors. Raises UserError(field, ...) if there is no such file.
    """
    is_path = "/" in name or name.endswith(".safetensors")
    path = folder / name if is_path else SHIPPED / f"{name}.safetensors"
    if not path.is_file():
        rule = f"no such file: {path}; shipped checkpoints: {', '.join(shipped())}"
        raise UserError(field, name, rule)
    return path
