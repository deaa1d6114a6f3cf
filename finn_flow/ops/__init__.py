"""Our FINN custom ops: qonnx finds them by the domain `finn_flow.ops`."""

from finn_flow.finn_env import prepare_finn

prepare_finn()

from finn_flow.ops.requant import Requant  # noqa: E402  finn must be prepared first

__all__ = ["Requant"]
