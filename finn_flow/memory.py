"""What a memory takes by its geometry, whatever layer it is in."""

from __future__ import annotations

from finn_flow.resource_counts import Resources

LUT_DEPTH = 64  # words of one bit that a LUT6 holds
AUTO_LUT_DEPTH = 128  # deepest memory that ram_style "auto" leaves in LUTs (FINN's VVAU.bram_estimation)
BRAM18_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))  # (width, depth)
URAM_SHAPE = (72, 4096)


def memory(width: int, depth: int, style: str, dual_port: bool = False) -> Resources:
    """A memory of `depth` words; style: FINN's ram_style. dual_port: written and read in the same cycle."""
    if style == "auto":
        style = "distributed" if depth <= AUTO_LUT_DEPTH else "block"
    if style == "block":
        shapes = (-(-width // w) * -(-depth // d) for w, d in BRAM18_SHAPES)
        return Resources(bram18=min(shapes))
    if style == "ultra":
        return Resources(uram=-(-width // URAM_SHAPE[0]) * -(-depth // URAM_SHAPE[1]))
    blocks = -(-depth // LUT_DEPTH)
    # 4 LUTs with a shared write port hold 3 bits; words beyond the first blocks need a read multiplexer.
    columns = 4 * -(-width // 3) if dual_port else width
    return Resources(lut=blocks * columns + width * ((blocks - 1) // 4))
