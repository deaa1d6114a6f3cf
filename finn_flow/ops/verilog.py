"""Verilog text that a person can read: modules with AXI streams, instances, and the wrapper of a layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Pins = dict[str, str]
ENDS = ("tdata", "tvalid", "tready")  # of a stream


def padded(bits: int) -> int:
    """Width of TDATA: whole bytes, as AXI-Stream asks."""
    return -(-bits // 8) * 8


def module(
    name: str, widths: Mapping[str, int], body: Sequence[str], comment: str, packets: bool = False
) -> str:
    """A module with clock, reset and streams. widths: bits of TDATA by stream.

    packets: with TLAST and TKEEP, and attributes that tell Vivado's block designs clock and reset (UG994).
    A stream whose name starts with `s` or `in` is an input.
    """
    ports = [line for stream, width in widths.items() for line in _declare(stream, width, packets)]
    clock, reset = _attributes(widths) if packets else ("", "")
    head = ",\n".join([f"{clock}    input ap_clk", f"{reset}    input ap_rst_n", *ports])
    return "\n".join([comment, f"module {name} (", head, ");", *body, "endmodule", ""])


def _attributes(streams: Iterable[str]) -> tuple[str, str]:
    form = '    (* X_INTERFACE_INFO = "xilinx.com:signal:{}:1.0 {} {}", X_INTERFACE_PARAMETER = "{}" *)\n'
    buses = f"ASSOCIATED_BUSIF {':'.join(streams)}, ASSOCIATED_RESET ap_rst_n"
    return (
        form.format("clock", "ap_clk", "CLK", buses),
        form.format("reset", "ap_rst_n", "RST", "POLARITY ACTIVE_LOW"),
    )


def instance(
    module_name: str, name: str, pins: Mapping[str, str], parameters: Mapping[str, int | str] | None = None
) -> str:
    """An instance; ap_clk and ap_rst_n are connected by name."""
    settings = ", ".join(f".{key}({value})" for key, value in (parameters or {}).items())
    every = {"ap_clk": "ap_clk", "ap_rst_n": "ap_rst_n", **pins}
    connections = ",\n".join(f"    .{pin}({wire})" for pin, wire in every.items())
    return f"  {module_name} {f'#({settings}) ' if settings else ''}{name} (\n{connections}\n  );"


def _declare(stream: str, width: int, packets: bool) -> list[str]:
    to, back = ("input", "output") if stream.startswith(("s", "in")) else ("output", "input")
    packet = [f"    {to} [{width // 8 - 1}:0] {stream}_tkeep", f"    {to} {stream}_tlast"]
    return [
        f"    {to} [{width - 1}:0] {stream}_tdata",
        *(packet if packets else []),
        f"    {to} {stream}_tvalid",
        f"    {back} {stream}_tready",
    ]


def wrapper(
    name: str, module_name: str, parameters: Mapping[str, int | str], widths: Mapping[str, int]
) -> str:
    """A module `name` with FINN's ports around one instance of `module_name`.

    widths: bits of each stream, inputs in0_V, in1_V, ..., then outputs out0_V, ...; the module calls them
    s_axis and m_axis, numbered where there are several. TDATA is padded to bytes, with zeros.
    """
    inputs = [port for port in widths if port.startswith("in")]
    outputs = [port for port in widths if port.startswith("out")]
    own = {**_numbered("s_axis", inputs), **_numbered("m_axis", outputs)}
    pins: Pins = {}
    for port, bits in widths.items():
        pins[f"{own[port]}_tdata"] = f"{port}_tdata[{bits - 1}:0]"
        pins |= {f"{own[port]}_{end}": f"{port}_{end}" for end in ("tvalid", "tready")}
    fill = [
        f"  assign {port}_tdata[{padded(widths[port]) - 1}:{widths[port]}] = 0;"
        for port in outputs
        if padded(widths[port]) > widths[port]
    ]
    body = [instance(module_name, "layer", pins, parameters), *fill]
    tdata = {port: padded(bits) for port, bits in widths.items()}
    return module(name, tdata, body, f"// Generated: {name}, see {module_name}.sv")


def _numbered(base: str, ports: list[str]) -> dict[str, str]:
    return {port: base if len(ports) == 1 else f"{base}_{i}" for i, port in enumerate(ports)}
