// Included before everything else: Verilator prints through this (runtime.cpp), not to the terminal.
#pragma once
int sim_printf(const char *format, ...);
#define VL_PRINTF sim_printf
