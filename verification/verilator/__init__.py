"""Cycle-accurate simulation of SystemVerilog designs with AXI streams, by Verilator."""

from verification.verilator.xsi import install

__all__ = ["install"]
