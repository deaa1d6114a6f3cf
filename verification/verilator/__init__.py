"""Cycle-accurate simulation of SystemVerilog designs with AXI streams, by Verilator."""
