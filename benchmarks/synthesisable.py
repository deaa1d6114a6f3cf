"""FINN's Verilog as Yosys' front end takes it: without what checks a simulation."""

from __future__ import annotations

import re

# Yosys' black boxes of vendor primitives have no parameters, which a count of cells does not need.
PRIMITIVES = '`pragma diagnostic ignore="-Wundefined-param-override"\n'
_INITIAL = re.compile(r"\binitial\s+begin\b")
_ASSERT = re.compile(r"\bassert\s*\(")


def synthesisable(text: str) -> str:
    """All of the changes below, no directive inside a module, and an attribute as Yosys spells it."""
    text = re.sub(r"`default_nettype \w+", "", text).replace("(* RAM_STYLE =", "(* ram_style =")
    return PRIMITIVES + with_function_outside(with_port_widths(without_checks(text)))


def without_checks(text: str) -> str:
    """Without `initial` blocks, but for those that read a memory file, and without immediate assertions.

    >>> without_checks("initial begin if(A < 1) begin $error; $finish; end end wire x;")
    '; wire x;'
    >>> without_checks("always_ff @(posedge clk) assert(a || (b)) else begin $error; end")
    'always_ff @(posedge clk) ;'
    """
    for pattern, span in ((_INITIAL, _block_end), (_ASSERT, _assertion_end)):
        parts, position = [], 0
        for match in pattern.finditer(text):
            if match.start() < position:
                continue
            end = span(text, match)
            if "$readmem" not in text[match.start() : end]:
                parts.append(text[position : match.start()] + ";")
                position = end
        text = "".join(parts) + text[position:]
    return text


def with_port_widths(text: str) -> str:
    """With numbers as widths of ports whose parameters are declared below them.

    >>> with_port_widths("module m(input [W-1:0] x);\\nparameter W = 8;")
    'module m(input [7:0] x);\\nparameter W = 8;'
    """
    for name, value in re.findall(r"^parameter (\w+) = (\d+);", text, re.MULTILINE):
        text = text.replace(f"[{name}-1:0]", f"[{int(value) - 1}:0]")
    return text


def with_function_outside(text: str) -> str:
    """add_multi.sv, with the function that a constant of its generate block calls before that block."""
    function = re.search(
        r"\t*typedef int unsigned  leaf_load_t.*endfunction : init_leaf_loads\n", text, re.DOTALL
    )
    if function is None:
        return text
    block = text.index("\tif(L < 1) begin")
    return text[:block] + function[0] + text[block : function.start()] + text[function.end() :]


def _closing(text: str, start: int, words: str, opening: str) -> int:
    """Behind the word that closes what begins at `start`. words: a pattern of opening and closing ones."""
    depth = 0
    for match in re.compile(rf'"[^"\n]*"|//[^\n]*|{words}').finditer(text, start):
        if match[0][0] in '"/':
            continue
        depth += 1 if match[0] == opening else -1
        if depth == 0:
            return match.end()
    raise ValueError(f"nothing closes {text[start : start + 40]!r}")


def _block_end(text: str, match: re.Match[str]) -> int:
    return _closing(text, match.start(), r"\b(begin|end)\b", "begin")


def _assertion_end(text: str, match: re.Match[str]) -> int:
    end = _closing(text, match.start(), r"[()]", "(")
    rest = re.compile(r"\s*else\s+begin\b").match(text, end)
    return _block_end(text, rest) if rest else text.index(";", end) + 1
