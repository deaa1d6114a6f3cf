// The C interface of a simulated design: one shared library per design, loaded with ctypes or dlopen.
//
// A design is a module with ap_clk, ap_rst_n and AXI streams (NAME_tdata, _tvalid, _tready, and optionally
// _tlast, _tkeep). A beat is ceil(bits / 8) bytes, least significant first. Streams are numbered from 0 in the
// order of the module's ports. Inputs offer what was pushed; outputs collect what comes. A stream that is told
// nothing runs at full rate. Taps are streams inside the design (FIFOs) that report to the runtime.
//
// One thread at a time per Sim. Functions that return an int return one of SIM_*, unless said otherwise;
// sim_message() then says more.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct Sim Sim;

enum {
  SIM_DONE = 0,     // every output has the beats that it was to collect
  SIM_LIMIT = 1,    // max_cycles went by first
  SIM_STALLED = 2,  // idle_cycles, or up to an eighth more, went by without a transfer on any stream or tap
  SIM_BROKEN = 3,   // an AXI-Stream rule was broken, or an assertion of the design failed
};

// The design, before its first reset. Memory files are read relative to the current folder. trace: file to write
// the waveform to (needs a design built with tracing), or NULL.
Sim *sim_open(const char *trace);
void sim_close(Sim *sim);
const char *sim_message(const Sim *sim);

int sim_streams(const Sim *sim);
const char *sim_stream_name(const Sim *sim, int stream);
int sim_stream_bits(const Sim *sim, int stream);
int sim_stream_is_input(const Sim *sim, int stream);  // 1 or 0

// Hold reset for some cycles. Beats not yet taken and beats collected are forgotten, the cycle count goes on.
void sim_reset(Sim *sim, uint64_t cycles);
uint64_t sim_cycle(const Sim *sim);

// Input: append beats. A packet of `packet` beats ends with TLAST (0: never).
void sim_push(Sim *sim, int stream, const uint8_t *beats, uint64_t count);
void sim_packet(Sim *sim, int stream, uint64_t packet);
// Input: beat i is not offered before cycle i * cycles / beats, counted from the first run after a reset.
void sim_pace(Sim *sim, int stream, uint64_t beats, uint64_t cycles);
// Either: before a beat (input) or at any time (output), pause with a chance of permille / 1000 for 1..longest
// cycles. 0 permille: never.
void sim_stall(Sim *sim, int stream, uint64_t seed, uint32_t permille, uint32_t longest);
// Output: raise TREADY only while TVALID is high, so that a design whose valid waits for ready stalls.
void sim_wait_for_valid(Sim *sim, int stream, int yes);
// Output: how many beats a run is to collect, counted from the last reset.
void sim_expect(Sim *sim, int stream, uint64_t beats);

int sim_run(Sim *sim, uint64_t max_cycles, uint64_t idle_cycles);

// Beats transferred since the last reset, and for each of them the cycle; `beats` may be NULL. Output: also the
// data. first + count must not exceed sim_beats().
uint64_t sim_beats(const Sim *sim, int stream);
void sim_read(const Sim *sim, int stream, uint64_t first, uint64_t count, uint8_t *beats, uint64_t *cycles);
// Output: numbers of the beats that carried TLAST; returns how many there are, fills at most `room`.
uint64_t sim_lasts(const Sim *sim, int stream, uint64_t *numbers, uint64_t room);

// Taps exist after the first reset.
int sim_taps(const Sim *sim);
const char *sim_tap_name(const Sim *sim, int tap);  // hierarchical, such as TOP.accelerator.fifo_3
int sim_tap_bits(const Sim *sim, int tap);
uint64_t sim_tap_beats(const Sim *sim, int tap);      // that entered since the last reset
uint64_t sim_tap_occupancy(const Sim *sim, int tap);  // now
uint64_t sim_tap_peak(const Sim *sim, int tap);       // greatest since the last reset
uint64_t sim_tap_depth(const Sim *sim, int tap);      // words it can hold
// Depth that a FIFO model has from the next reset on, by hierarchical name; 0: as built. It need not exist yet.
void sim_tap_limit(Sim *sim, const char *name, uint64_t depth);
// How many beats are to leave a tap before a run is done, counted from the last reset.
void sim_tap_expect(Sim *sim, int tap, uint64_t beats);
void sim_tap_capture(Sim *sim, int yes);  // keep the data of every tap, from the next reset on
void sim_tap_read(const Sim *sim, int tap, uint64_t first, uint64_t count, uint8_t *beats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
