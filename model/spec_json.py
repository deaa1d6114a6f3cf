"""The network of a build configuration, read without the build's own packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.errors import UserError
from model.network import NetworkSpec
from model.table import BLOCKS

FIELDS = {
    "residual_bits": ("residual_bits", None),
    "depthwise": ("depthwise", "bn_relu"),
    "width": ("width", 1.0),
    "input_size": ("size", 112),
    "embedding": ("embedding", 128),
}


def spec_of_config(path: Path) -> NetworkSpec:
    """The `network` of a configuration file, see hw_configs/. Raises UserError("network", ...)."""
    try:
        network = json.loads(path.read_text(encoding="utf-8"))["network"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"is no configuration with a network ({type(error).__name__}: {error})"
        raise UserError("config", str(path), reason) from None
    return spec_from_json(network)


def spec_from_json(network: dict[str, Any]) -> NetworkSpec:
    """Widths given once hold for all blocks. Raises UserError with the field that is wrong."""
    try:
        values: dict[str, Any] = {name: network.get(key, default) for key, (name, default) in FIELDS.items()}
        values |= {name: _per_block(network[name]) for name in ("weight_bits", "act_bits")}
        if values["residual_bits"] is not None:
            values["residual_bits"] = tuple(values["residual_bits"])
        return NetworkSpec(**values)
    except KeyError as error:
        raise UserError(f"network.{error.args[0]}", None, "missing; give 2..8, once or per block") from None
    except (TypeError, ValueError) as error:
        raise UserError("network", network, str(error)) from None


def _per_block(bits: int | list[int]) -> tuple[int, ...]:
    return (bits,) * BLOCKS if isinstance(bits, int) else tuple(bits)
