"""C++ simulation apart from FINN: units, programs, streams, windows against the RTL's gold, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cppsim_env import use_sibling_hlslib
from tests.window_gold import Shape
from verification.cppsim.compile import CompileError, unit_name
from verification.cppsim.headers import cache_folder
from verification.cppsim.layer import HlsLayer, ParameterMemory, Port, WindowLayer
from verification.cppsim.program import CppsimError, Program, build_program, run_program
from verification.errors import VerificationError
from verification.packing import pack, unpack

use_sibling_hlslib()

WORDS, BITS = 6, 12
COPY = "void copy(hls::stream<ap_uint<12>> &in0_V, hls::stream<ap_uint<12>> &out0_V) {%s}"
LOOP = "for (int i = 0; i < 6; i++) out0_V.write(in0_V.read() + 1);"
ADD = """void add(hls::stream<ap_uint<12>> &in0_V, hls::stream<ap_uint<12>> &in1_V,
hls::stream<ap_uint<12>> &out0_V) {
  for (int i = 0; i < 6; i++) out0_V.write(in0_V.read() + in1_V.read());
}"""


def port(tensor: str, words: int = WORDS, bits: int = BITS) -> Port:
    return Port(tensor, bits, words)


def layer(
    body: str = LOOP, name: str = "copy", source: str = "x", target: str = "y", words: int = WORDS
) -> HlsLayer:
    text = COPY.replace("copy", name) % body
    return HlsLayer(name, (port(source),), (port(target, words),), top=name, source=text)


def run(program: Program, tensors: list[str], **inputs: NDArray) -> dict[str, list[int]]:
    """Values of streams of 12 bits, one a word."""
    beats = {name: pack(values.reshape(-1, 1), BITS) for name, values in inputs.items()}
    words = run_program(program, build_program(program), beats, tensors)
    return {name: unpack(words[name], BITS, 1, signed=False).reshape(-1).tolist() for name in tensors}


X = np.arange(12) * 300  # two frames


def test_layers_are_chained_and_frames_follow_each_other() -> None:
    program = Program((layer(name="first", target="m"), layer(name="second", source="m")))
    assert program.inputs == ["x"]
    assert run(program, ["m", "y"], x=X) == {"m": (X + 1).tolist(), "y": (X + 2).tolist()}


def test_frames_are_shared_out_and_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program((layer(),))
    values, told = np.arange(7 * WORDS) % 4096, list[int]()
    beats = {"x": pack(values.reshape(-1, 1), BITS)}
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    words = run_program(program, build_program(program), beats, ["y"], told.append)
    assert unpack(words["y"], BITS, 1, signed=False).reshape(-1).tolist() == (values + 1).tolist()
    assert sum(told) == 7


def test_equal_layers_share_a_unit_whatever_their_names_and_memories(tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        (tmp_path / name).write_text(f"00{number}\n")
    units = set()
    for name in ("one", "two"):
        memory = ParameterMemory(tmp_path / name, BITS, rounds=WORDS)
        text = ADD.replace("add", name)
        units.add(HlsLayer(name, (port("x"),), (port("y"),), name, text, parameters=memory).unit())
    assert len(units) == 1
    assert layer("return;").unit() not in units
    assert unit_name(units.pop()) != unit_name(layer().unit())


def test_a_parameter_memory_is_read_round_and_round(tmp_path: Path) -> None:
    (tmp_path / "memblock.dat").write_text("001\n7ff\n")
    memory = ParameterMemory(tmp_path / "memblock.dat", BITS, rounds=3)
    program = Program((HlsLayer("add", (port("x"),), (port("y"),), "add", ADD, parameters=memory),))
    want = (X + np.tile([1, 0x7FF], 6)) % 4096
    assert run(program, ["y"], x=X) == {"y": want.tolist()}


def test_two_streams_in_and_streams_of_vectors() -> None:
    vector = "hls::stream<hls::vector<ap_uint<4>, 3>> &"
    names = ", ".join(vector + name for name in ("in0_V", "out0_V", "out1_V"))
    source = f"void dup({names}) {{ StreamingDup(in0_V, out0_V, out1_V); }}"
    outputs = (port("a"), port("b"))
    dup = HlsLayer("dup", (port("x"),), outputs, "dup", source, element="ap_uint<4>")
    add = HlsLayer("add", outputs, (port("y"),), "add", ADD)
    got = run(Program((dup, add)), ["a", "b", "y"], x=X)
    assert got == {"a": X.tolist(), "b": X.tolist(), "y": (2 * X % 4096).tolist()}


@pytest.mark.parametrize(
    ("body", "words", "message"),
    [
        ("for (int i = 0; i < 7; i++) in0_V.read();", 6, "copy: stream x is read while it is empty"),
        (
            "for (int i = 0; i < 4; i++) out0_V.write(in0_V.read());",
            6,
            "copy: its input has 2 words left over",
        ),
        (LOOP, 5, "stream y carries 6 words, not 5"),
        (LOOP + "abort();", 6, "PROGRAM was killed (signal 6)"),
    ],
)
def test_a_layer_that_misuses_its_streams_is_named(body: str, words: int, message: str) -> None:
    program = Program((layer(body, words=words),))
    with pytest.raises(CppsimError) as error:
        run(program, ["y"], x=X)
    assert str(error.value) == message.replace("PROGRAM", build_program(program).name)


def test_parameters_that_are_not_all_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "memblock.dat").write_text("001\n002\n")
    memory = ParameterMemory(tmp_path / "memblock.dat", BITS, rounds=4)
    program = Program((HlsLayer("add", (port("x"),), (port("y"),), "add", ADD, parameters=memory),))
    with pytest.raises(CppsimError) as error:
        run(program, ["y"], x=X)
    assert str(error.value) == "add: the stream of parameters has 2 words left over"


def test_a_compile_error_is_one_line_with_layer_reason_and_log() -> None:
    with pytest.raises(CompileError) as error:
        build_program(Program((layer("no_such_function();", name="MVAU_7"),)))
    log = cache_folder() / "MVAU_7.log"
    reason = "'no_such_function' was not declared in this scope"
    assert str(error.value) == f"MVAU_7: g++ failed: {reason}; log: {log}"
    assert "no_such_function" in log.read_text()


def test_layers_that_differ_about_a_stream_are_an_error() -> None:
    second = HlsLayer("second", (port("y", 3, 24),), (port("z"),), "second", "")
    with pytest.raises(VerificationError) as error:
        Program((layer(), second))
    assert str(error.value) == "second: 'y' carries 6 words of 12 bits, not 3 of 24"


# --- the faster functions of ap_int (verification/cppsim/cpp/ap_common.h) ---

WIDE = 200
WIDTHS = (1, 12, 63, 64, 65, 128, 130, 200)  # bits
NUMBERS = """
template <int W>
void ranges(ap_uint<200> const &x, hls::stream<ap_uint<200>> &out) {
  ap_uint<W> const word = x;
  ap_int<W> const number = x;
  for (int low = 0; low < W; low += 7) {
    for (int high = low; high < W; high += 13) out.write(word(high, low));
  }
  out.write(number(W - 1, 0));
  out.write(word(0, W - 1));  // reversed
  out.write(ap_uint<W>(ap_int<W>(number - 1)));
  out.write(ap_int<W>(number + number));  // its sign goes on
  out.write(ap_uint<W>(word + word));
  out.write(ap_int<W>(number >> (W / 2)));
}
void numbers(hls::stream<ap_uint<200>> &in0_V, hls::stream<ap_uint<200>> &out0_V) {
  ap_uint<200> const x = in0_V.read();
  CALLS
}"""


def signed(value: int, bits: int) -> int:
    value %= 2**bits
    return value - 2**bits * (value >> (bits - 1))


def numbers_of(x: int, bits: int) -> list[int]:
    """What `ranges` writes, in integers without end."""
    word, number = x % 2**bits, signed(x, bits)
    cut = [
        word >> low & (2 ** (high - low + 1) - 1)
        for low in range(0, bits, 7)
        for high in range(low, bits, 13)
    ]
    turned = int(f"{word:0{bits}b}"[::-1], 2)
    results = [word, turned, (number - 1) % 2**bits, signed(2 * number, bits), 2 * word % 2**bits]
    return [value % 2**WIDE for value in (*cut, *results, number >> (bits // 2))]


def test_ranges_and_sums_are_those_of_unlimited_integers() -> None:
    rng = np.random.default_rng(3)
    values = [0, 1, 2**WIDE - 1, *(int.from_bytes(rng.bytes(WIDE // 8), "little") for _ in range(5))]
    want = [[number for bits in WIDTHS for number in numbers_of(x, bits)] for x in values]
    source = NUMBERS.replace("CALLS", " ".join(f"ranges<{bits}>(x, out0_V);" for bits in WIDTHS))
    ports = port("x", 1, WIDE), port("y", len(want[0]), WIDE)
    program = Program((HlsLayer("numbers", ports[:1], ports[1:], "numbers", source),))
    size = WIDE // 8
    beats = np.frombuffer(b"".join(x.to_bytes(size, "little") for x in values), np.uint8).reshape(-1, size)
    words = run_program(program, build_program(program), {"x": beats}, ["y"])["y"]
    got = [int.from_bytes(word.tobytes(), "little") for word in words]
    assert got == [number for numbers in want for number in numbers]


# --- windows, against the gold of the benches of window.sv and window_parallel.sv ---

SHAPES = {
    "stride1": Shape(H=5, W=4, CHANNELS=6, SIMD=2, KERNEL=3, STRIDE=1, PAD=1),
    "stride2": Shape(H=6, W=7, CHANNELS=4, SIMD=4, KERNEL=3, STRIDE=2, PAD=1, BITS=3),
    "no_pad": Shape(H=4, W=5, CHANNELS=2, SIMD=1, KERNEL=2, STRIDE=2, PAD=0, BITS=8),
    "whole_picture": Shape(H=3, W=3, CHANNELS=4, SIMD=2, KERNEL=3, STRIDE=1, PAD=0),
    "wide": Shape(H=4, W=4, CHANNELS=20, SIMD=10, KERNEL=5, STRIDE=1, PAD=2, BITS=7),  # words of over 64 bits
}
ORDERS = {
    "serial": (0, 1, 2, 3, 4, 5, 6),
    "depthwise": (0, 1, 2, 5, 3, 4, 6),
    "parallel": (0, 1, 2, 5, 3, 4, 6),
}


def window(name: str, shape: Shape, order: str) -> WindowLayer:
    rows, columns = shape.places
    taps, bits = shape.KERNEL**2, shape.SIMD * shape.BITS
    words = rows * columns * taps * shape.groups
    members = {"height": shape.H, "width": shape.W, "channels": shape.CHANNELS, "simd": shape.SIMD}
    members |= {"kernel_h": shape.KERNEL, "kernel_w": shape.KERNEL, "stride_h": shape.STRIDE}
    members |= {"stride_w": shape.STRIDE, "top": shape.PAD, "left": shape.PAD, "out_height": rows}
    members |= {"out_width": columns, "depthwise": int(order != "serial")}
    source = Port(f"{name}.in", bits, shape.H * shape.W * shape.groups)
    parallel = order == "parallel"
    target = Port(f"{name}.out", bits * taps if parallel else bits, words // taps if parallel else words)
    return WindowLayer(name, (source,), (target,), members)


@pytest.fixture(scope="module")
def windows() -> dict[tuple[str, str], tuple[NDArray, NDArray]]:
    """Elements that came and those that the gold says, by shape and order; all in one program."""
    cases = {(name, order): f"{name}_{order}" for name in SHAPES for order in ORDERS}
    layers = tuple(window(label, SHAPES[name], order) for (name, order), label in cases.items())
    frames = {name: shape.frames(2, seed) for seed, (name, shape) in enumerate(SHAPES.items())}
    inputs = {f"{label}.in": SHAPES[name].beats(frames[name]) for (name, _), label in cases.items()}
    program = Program(layers)
    words = run_program(program, build_program(program), inputs, [f"{label}.out" for label in cases.values()])
    results = {}
    for (name, order), label in cases.items():
        shape, stream = SHAPES[name], program.streams[f"{label}.out"]
        got = unpack(words[stream.tensor], shape.BITS, stream.bits // shape.BITS, signed=False)
        results[name, order] = got, shape.windows(frames[name]).transpose(ORDERS[order])
    return results


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", SHAPES)
def test_windows_equal_the_rtls(
    windows: dict[tuple[str, str], tuple[NDArray, NDArray]], name: str, order: str
) -> None:
    got, want = windows[name, order]
    assert got.size == want.size
    assert (got.reshape(-1) == want.reshape(-1)).all()
