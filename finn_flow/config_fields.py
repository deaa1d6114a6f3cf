"""Types of configuration fields beyond JSON's own: what they accept, and how the schema says it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from model.table import BLOCKS, FLOAT_BITS, residual_streams

STREAMS = len(residual_streams())
PART_PATTERN = r"^xc(7|zu|ku|vu|au|k\d)"
MAX_FPS = 1e9  # above any clock
BACKENDS = ("rtl", "hls")
_BACKEND: dict[str, Any] = {"enum": list(BACKENDS)}
_WIDTH: dict[str, Any] = {"type": "integer", "minimum": 2, "maximum": 8}


def _list_of(count: int) -> dict[str, Any]:
    return {"type": "array", "items": _WIDTH, "minItems": count, "maxItems": count}


def _widths(value: object, count: int, rule: str) -> tuple[int, ...]:
    """`value` if it is `count` widths, else ValueError."""
    widths = value if isinstance(value, list | tuple) else (value,)
    if FLOAT_BITS in widths:
        raise ValueError(f"{rule}; {FLOAT_BITS} (float) cannot be exported, it is for training")
    if len(widths) != count or not all(type(width) is int and 2 <= width <= 8 for width in widths):
        raise ValueError(rule)
    return tuple(widths)


def _block_bits(value: object) -> tuple[int, ...]:
    widths = value if isinstance(value, list | tuple) else [value] * BLOCKS
    return _widths(widths, BLOCKS, f"must be 2..8, one number or a list of {BLOCKS}")


def _stream_bits(value: object) -> tuple[int, ...] | None:
    *others, last = map(str, residual_streams())
    streams = f"the residual streams that blocks {', '.join(others)} and {last} open"
    rule = f"must be a list of {STREAMS} numbers 2..8, for {streams}, or null"
    return None if value is None else _widths(value, STREAMS, rule)


def _target_fps(value: object) -> object:
    if value is None or value == "max":
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < MAX_FPS:
        return float(value)
    raise ValueError('must be a number of frames per second above 0, or "max" for as many as fit')


def _backend(value: object) -> object:
    names = value.values() if isinstance(value, dict) else [value]
    if all(isinstance(name, str) and name in BACKENDS for name in names):
        return value
    raise ValueError('must be "rtl" or "hls", one for all layers or an object by layer, {"MVAU_3": "hls"}')


def _part(value: str) -> str:
    if not re.match(PART_PATTERN, value):
        example = "xczu7ev-ffvc1156-2-e"
        raise ValueError(f"must be the part number of a 7-series or UltraScale device, such as {example}")
    return value


BlockBits = Annotated[
    tuple[int, ...], BeforeValidator(_block_bits), WithJsonSchema({"anyOf": [_WIDTH, _list_of(BLOCKS)]})
]
StreamBits = Annotated[
    tuple[int, ...] | None,
    BeforeValidator(_stream_bits),
    WithJsonSchema({"anyOf": [_list_of(STREAMS), {"type": "null"}]}),
]
TargetFps = Annotated[
    float | Literal["max"] | None,
    BeforeValidator(_target_fps),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": MAX_FPS}, {"const": "max"}]}
    ),
]
Backend = Annotated[
    str | dict[str, str],
    BeforeValidator(_backend),
    WithJsonSchema({"anyOf": [_BACKEND, {"type": "object", "additionalProperties": _BACKEND}]}),
]
Part = Annotated[str, AfterValidator(_part), WithJsonSchema({"type": "string", "pattern": PART_PATTERN})]
