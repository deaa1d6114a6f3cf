from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from finn_flow.cost_model import single
from finn_flow.resources import Resources
from finn_flow.synthesis import yosys
from finn_flow.synthesis.cells import cells_resources
from finn_flow.synthesis.yosys import Module, TooLarge, layer_module, synthesise
from verification.errors import VerificationError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QMFN_CACHE", str(tmp_path / "cache"))


def module(tmp_path: Path, model: single.ModelWrapper, name: str) -> Module:
    node = model.graph.node[0]
    node.name = name
    folder = tmp_path / name
    folder.mkdir()
    return layer_module(model, node, folder)


def verilog(tmp_path: Path, name: str, text: str) -> Module:
    path = tmp_path / f"{name}.v"
    path.write_text(text)
    return Module(name, (path,), ())


def test_cells_of_every_kind_are_counted_once() -> None:
    cells = {"LUT2": 1, "RAM64M8": 1, "SRL16E": 2, "FDSE": 3, "RAMB36E1": 1, "DSP48E2": 4, "CARRY4": 5}
    assert cells_resources(cells) == Resources(lut=1 + 8 + 2, ff=3, bram18=2, dsp=4)
    with pytest.raises(KeyError, match=r"^'LUT7'$"):
        cells_resources({"LUT7": 1})


def test_layers_side_by_side_cost_what_they_cost_alone(tmp_path: Path) -> None:
    """A FIFO of 64 words of 16 bits by hand: 3 RAM64M8 for 7 bits each, 54 flip-flops, some 50 LUTs.

    ABC does not always find the same LUTs where it has others beside.
    """
    fifo = module(tmp_path, single.fifo(16, 64), "fifo_0")
    add = module(tmp_path, single.add(2, "INT4", "INT4", "INT5"), "add_0")
    (alone,) = synthesise([fifo], "xcup")
    assert alone == Resources(lut=3 * 8 + 50, ff=54)
    other = module(tmp_path, single.fifo(16, 65), "fifo_1")
    beside = synthesise([add, other, fifo], "xcup")
    assert abs(beside[2].lut - alone.lut) <= 2
    assert beside[2] == replace(alone, lut=beside[2].lut)
    assert beside[0] == Resources(lut=13, ff=2 * 5 + 1)


@pytest.mark.parametrize("family", ["xc7", "xcup"])
def test_a_dsp_has_the_registers_of_a_multiply_add(tmp_path: Path, family: yosys.Family) -> None:
    """Of operands, product and sum, on either family."""
    ports = "input k, input signed [15:0] a, b, input signed [31:0] c, output reg signed [32:0] y"
    body = "reg signed [15:0] p, q; reg signed [31:0] m; always @(posedge k) begin "
    body += "p <= a; q <= b; m <= p * q; y <= m + c; end"
    mac = verilog(tmp_path, "mac", f"module mac({ports}); {body} endmodule\n")
    assert synthesise([mac], family) == [Resources(dsp=1)]


def test_a_layer_is_known_by_its_contents_not_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = module(tmp_path, single.thresholding(4, 1, 2, 8, 0), "first")
    same = module(tmp_path, single.thresholding(4, 1, 2, 8, 0), "second")
    other = module(tmp_path, single.thresholding(4, 1, 2, 9, 0), "third")
    assert first.digest == same.digest != other.digest
    cost = synthesise([first], "xcup")
    monkeypatch.setattr(yosys, "WORKER", Path(__file__))  # nothing is run for what is in the cache
    monkeypatch.setitem(first.__dict__, "digest", first.digest)
    monkeypatch.setitem(same.__dict__, "digest", first.digest)
    assert synthesise([same], "xcup") == cost


def test_what_a_deep_rom_holds_does_not_matter(tmp_path: Path) -> None:
    """From as many words on as a LUT holds, unless they are all the same and synthesis drops the ROM."""
    source = tmp_path / "layer.v"
    source.write_text("module layer; endmodule")

    def digest(*words: int) -> str:
        memory = tmp_path / "layer.mem"
        memory.write_text("".join(f"{word:02x}\n" for word in words))
        return Module("layer", (source,), (memory,)).digest

    assert digest(*range(64)) == digest(*range(1, 65))
    assert digest(*range(64)) != digest(*range(65))
    assert digest(*range(63)) != digest(*range(1, 64))
    assert digest(*[1] * 64) != digest(*[2] * 64)


def test_an_error_is_one_line_with_layer_and_log(tmp_path: Path) -> None:
    """Of those that were read together it names the one."""
    wrong = verilog(tmp_path, "wrong", "module wrong(input a, output b); assign b = c; endmodule\n")
    with pytest.raises(VerificationError) as raised:
        synthesise([flip_flop(tmp_path), wrong], "xcup")
    message = str(raised.value)
    match = re.fullmatch(r"wrong: .*use of undeclared identifier 'c'; log: (\S+)", message)
    assert match, message
    assert "undeclared" in Path(match[1]).read_text()


def test_a_memory_of_512_words_is_lut_rams_of_ultrascale(tmp_path: Path) -> None:
    """Yosys alone stops there: its library has the wrong number of address bits."""
    body = """(* ram_style = "distributed" *) reg [1:0] words [0:511];
        always @(posedge k) if (write) words[address] <= word;
        assign out = words[address]; endmodule"""
    ports = "input k, write, input [8:0] address, input [1:0] word, output [1:0] out"
    memory = verilog(tmp_path, "memory", f"module memory({ports}); {body}\n")
    assert synthesise([memory], "xcup") == [Resources(lut=16)]


def test_a_layer_past_the_limit_is_too_large_and_the_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alone, or the limit would be twice as far; a flip-flop takes 4 s on a quiet machine."""
    monkeypatch.setattr(yosys, "BATCH", 1)
    ports = "input k, input [255:0] a, b, output reg [511:0] y"
    huge = verilog(tmp_path, "huge", f"module huge({ports}); always @(posedge k) y <= a * b % 77; endmodule")
    for _ in range(2):  # the second time from the cache
        assert synthesise([huge, flip_flop(tmp_path)], "xcup", seconds=20) == [
            TooLarge("more than 20 s of CPU"),
            Resources(ff=1),
        ]


def flip_flop(folder: Path) -> Module:
    return verilog(
        folder, "bit_q", "module bit_q(input k, a, output reg y); always @(posedge k) y <= a; endmodule"
    )
