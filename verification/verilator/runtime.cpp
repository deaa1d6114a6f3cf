// See runtime.h. The same for every design.
#include "runtime.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "design.h"
#include "svdpi.h"
#include "verilated.h"
#include "verilated_syms.h"

#if VM_TRACE_FST
#include "verilated_fst_c.h"
#endif

namespace {

thread_local std::string printed;  // by the design, last
thread_local Sim *current = nullptr;  // whose design is being evaluated, for its taps

struct Random {  // SplitMix64
  uint64_t state = 0;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
};

struct Channel : StreamPins {
  std::vector<uint8_t> data;     // input: pushed; output: collected
  std::vector<uint64_t> cycles;  // of each beat transferred
  std::vector<uint64_t> lasts;
  uint64_t packet = 0, expected = 0, pace_beats = 0, pace_cycles = 0;
  Random random;
  uint32_t permille = 0, longest = 1;
  uint64_t pause = 0;
  bool wait_for_valid = false, held = false;
  std::vector<uint8_t> held_data;
  bool held_last = false;

  size_t beat_bytes() const { return (bits + 7) / 8; }
  uint64_t pushed() const { return data.size() / beat_bytes(); }

  bool pauses() {
    if (pause) return pause--, true;
    if (!permille || random.next() % 1000 >= permille) return false;
    pause = random.next() % longest;
    return true;
  }

  void offer(uint64_t since_start) {
    const uint64_t beat = cycles.size();
    const bool early = pace_beats && since_start * pace_beats < beat * pace_cycles;
    const bool offers = beat < pushed() && (held || (!early && !pauses()));
    *valid = held = offers;
    if (!offers) return;
    std::memcpy(tdata, data.data() + beat * beat_bytes(), beat_bytes());
    if (last) *last = packet && (beat + 1) % packet == 0;
  }

  void forget() {
    data.clear(), cycles.clear(), lasts.clear();
    held = false, pause = 0;
  }
};

struct Tap {
  std::string name;
  int bits;
  uint64_t depth, limit;
  const uint64_t *entered, *left, *peak;  // counted in the design: a call for every word would be slow
  std::vector<uint8_t> data;
  uint64_t expected = 0;
};

}  // namespace

struct Sim {
  VerilatedContext context;
  std::unique_ptr<Design> design;
  std::vector<Channel> streams;
  std::vector<Tap> taps;
  std::map<std::string, uint64_t> limits;
  std::string message;
  uint64_t cycle = 0, start = 0;
  bool capture = false, fresh = true, awaits_taps = false;
#if VM_TRACE_FST
  std::unique_ptr<VerilatedFstC> trace;
#endif

  // Makes this the simulation whose design runs: several may be open in a process.
  void enter() {
    current = this;
    Verilated::threadContextp(&context);
  }

  void eval() { design->eval(); }

  void dump([[maybe_unused]] uint64_t time) {
#if VM_TRACE_FST
    if (trace) trace->dump(time);
#endif
  }

  void edge() {
    *design->clock = 1;
    eval();
    dump(2 * cycle + 1);
    *design->clock = 0;
    ++cycle;
  }

  void broken(const Channel &stream, const char *rule) {
    message = stream.name + std::string(": ") + rule + " in cycle " + std::to_string(cycle);
    throw std::runtime_error(message);
  }

  // What AXI-Stream asks of an output: an offered beat stays, unchanged, until it is taken.
  void check(Channel &stream) {
    if (stream.held) {
      if (!*stream.valid) broken(stream, "TVALID fell before TREADY");
      if (std::memcmp(stream.held_data.data(), stream.tdata, stream.beat_bytes()))
        broken(stream, "TDATA changed before TREADY");
      if (stream.last && stream.held_last != bool(*stream.last)) broken(stream, "TLAST changed before TREADY");
    }
    if (*stream.valid && stream.keep)
      for (size_t bit = 0; bit < stream.beat_bytes(); ++bit)
        if (!(stream.keep[bit / 8] >> bit % 8 & 1)) broken(stream, "TKEEP is not full");
    stream.held = *stream.valid && !*stream.ready;
    if (!stream.held) return;
    stream.held_data.assign(stream.tdata, stream.tdata + stream.beat_bytes());
    stream.held_last = stream.last && *stream.last;
  }

  void step() {
    for (auto &stream : streams) {
      if (stream.is_input)
        stream.offer(cycle - start);
      else
        *stream.ready = !stream.wait_for_valid && !stream.pauses();
    }
    eval();
    bool again = false;
    for (auto &stream : streams)
      if (!stream.is_input && stream.wait_for_valid) {
        *stream.ready = *stream.valid && !stream.pauses();
        again |= *stream.ready;
      }
    if (again) eval();
    dump(2 * cycle);
    for (auto &stream : streams) {
      if (!stream.is_input) check(stream);
      if (!*stream.valid || !*stream.ready) continue;
      stream.cycles.push_back(cycle);
      stream.held = false;
      if (stream.is_input) continue;
      if (stream.last && *stream.last) stream.lasts.push_back(stream.cycles.size() - 1);
      stream.data.insert(stream.data.end(), stream.tdata, stream.tdata + stream.beat_bytes());
    }
    edge();
  }

  bool done() const {
    for (const auto &stream : streams)
      if (!stream.is_input && stream.cycles.size() < stream.expected) return false;
    if (awaits_taps)
      for (const auto &tap : taps)
        if (*tap.left < tap.expected) return false;
    return true;
  }

  // Grows with every beat on any stream or tap.
  uint64_t transfers() const {
    uint64_t sum = 0;
    for (const auto &stream : streams) sum += stream.cycles.size();
    for (const auto &tap : taps) sum += *tap.entered + *tap.left;
    return sum;
  }
};

// The taps of the design, see fifo_monitor.sv and fifo_model.sv.
extern "C" int tap_open(const char *name, int bits, int depth) {
  std::string fifo(name);
  fifo.resize(fifo.rfind('.'));  // of the monitor, whose instance is in the FIFO's
  const auto words = static_cast<uint64_t>(depth);
  const auto *monitor = static_cast<const VerilatedScope *>(svGetScope());
  const auto counter = [&](const char *variable) {
    return static_cast<const uint64_t *>(monitor->varFind(variable)->datap());
  };
  current->taps.push_back({fifo, bits, words, words, counter("entered"), counter("left"), counter("peak")});
  return static_cast<int>(current->taps.size()) - 1;
}
extern "C" int tap_limit_of(const char *name, int depth) {
  auto limit = current->limits.find(name);
  return limit == current->limits.end() ? depth : static_cast<int>(std::min<uint64_t>(depth, limit->second));
}
extern "C" int tap_captures() { return current->capture; }
extern "C" void tap_data(int tap, int chunk, int word) {
  Tap &t = current->taps[tap];
  const int bytes = std::min(4, (t.bits + 7) / 8 - 4 * chunk);
  const auto *raw = reinterpret_cast<const uint8_t *>(&word);
  t.data.insert(t.data.end(), raw, raw + bytes);
}

// What Verilator calls for $stop, $fatal and failed assertions: it would end the process. And for memory files
// that are missing or too short: it would go on with zeros.
void vl_finish(const char *, int, const char *) {}
void vl_fatal(const char *file, int line, const char *scope, const char *text) {
  std::string where = std::string(file) + ":" + std::to_string(line) + ": ";
  if (scope && *scope) where += std::string(scope) + ": ";
  if (current && current->message.empty()) current->message = where + text;  // the first is the cause
  throw std::runtime_error(text);
}

void vl_warn(const char *file, int line, const char *scope, const char *text) {
  vl_fatal(file, line, scope, text);
}

void vl_stop(const char *file, int line, const char *scope) {
  vl_fatal(file, line, scope, printed.empty() ? "assertion failed" : printed.c_str());
}
// What a design prints goes nowhere but into the message of the failure that follows it.
int sim_printf(const char *format, ...) {
  char text[500];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  printed = text;
  while (!printed.empty() && printed.back() == '\n') printed.pop_back();
  return length;
}

#define STREAM (sim->streams[stream])

Sim *sim_open([[maybe_unused]] const char *trace) {
  auto sim = std::make_unique<Sim>();
  sim->enter();
#if VM_TRACE_FST
  sim->context.traceEverOn(true);
#endif
  sim->design = make_design(sim->context);
  for (const StreamPins &pins : sim->design->streams) sim->streams.push_back({pins});
  for (auto &stream : sim->streams)
    if (stream.is_input && stream.keep) std::memset(stream.keep, 0xff, (stream.beat_bytes() + 7) / 8);
#if VM_TRACE_FST
  if (trace) {
    sim->trace = std::make_unique<VerilatedFstC>();
    sim->design->trace(sim->trace.get());
    sim->trace->open(trace);
  }
#endif
  try {
    *sim->design->reset_n = 0;
    sim->eval();  // runs the initial blocks, which read the memory files
  } catch (const std::exception &) {  // the message stands, and the first run returns it
  }
  return sim.release();
}

void sim_close(Sim *sim) {
  sim->enter();
#if VM_TRACE_FST
  if (sim->trace) sim->trace->close();
#endif
  sim->design->final();
  delete sim;
  current = nullptr;
}

const char *sim_message(const Sim *sim) { return sim->message.c_str(); }
int sim_streams(const Sim *sim) { return static_cast<int>(sim->streams.size()); }
const char *sim_stream_name(const Sim *sim, int stream) { return STREAM.name; }
int sim_stream_bits(const Sim *sim, int stream) { return STREAM.bits; }
int sim_stream_is_input(const Sim *sim, int stream) { return STREAM.is_input; }
uint64_t sim_cycle(const Sim *sim) { return sim->cycle; }

void sim_reset(Sim *sim, uint64_t cycles) {
  sim->enter();
  for (auto &tap : sim->taps) {
    tap.data.clear();
    auto limit = sim->limits.find(tap.name);
    tap.limit = limit == sim->limits.end() ? tap.depth : limit->second;
  }
  for (auto &stream : sim->streams) {
    stream.forget();
    *(stream.is_input ? stream.valid : stream.ready) = 0;
  }
  *sim->design->reset_n = 0;
  try {
    for (uint64_t i = 0; i < cycles; ++i) sim->eval(), sim->edge();
  } catch (const std::exception &) {  // the message stands, and the next run returns it
  }
  *sim->design->reset_n = 1;
  sim->fresh = true;
}

void sim_push(Sim *sim, int stream, const uint8_t *beats, uint64_t count) {
  STREAM.data.insert(STREAM.data.end(), beats, beats + count * STREAM.beat_bytes());
}
void sim_packet(Sim *sim, int stream, uint64_t packet) { STREAM.packet = packet; }
void sim_pace(Sim *sim, int stream, uint64_t beats, uint64_t cycles) {
  STREAM.pace_beats = beats;
  STREAM.pace_cycles = cycles;
}
void sim_stall(Sim *sim, int stream, uint64_t seed, uint32_t permille, uint32_t longest) {
  STREAM.random.state = seed;
  STREAM.permille = permille;
  STREAM.longest = longest ? longest : 1;
  STREAM.pause = 0;
}
void sim_wait_for_valid(Sim *sim, int stream, int yes) { STREAM.wait_for_valid = yes; }
void sim_expect(Sim *sim, int stream, uint64_t beats) { STREAM.expected = beats; }

int sim_run(Sim *sim, uint64_t max_cycles, uint64_t idle_cycles) {
  if (!sim->message.empty()) return SIM_BROKEN;
  sim->enter();
  if (sim->fresh) sim->start = sim->cycle;
  sim->fresh = false;
  const uint64_t end = sim->cycle + max_cycles;
  // Looked at now and then, since there are hundreds of taps: a stall shows up to an eighth late.
  const uint64_t period = std::max<uint64_t>(1, idle_cycles / 8);
  uint64_t seen = sim->transfers(), since = sim->cycle, look = since + period;
  try {
    while (!sim->done()) {
      if (sim->cycle >= end) return SIM_LIMIT;
      sim->step();
      if (sim->cycle < look) continue;
      look = sim->cycle + period;
      const uint64_t now = sim->transfers();
      if (now != seen) seen = now, since = sim->cycle;
      if (sim->cycle - since >= idle_cycles) return SIM_STALLED;
    }
  } catch (const std::exception &error) {
    if (sim->message.empty()) sim->message = error.what();
    return SIM_BROKEN;
  }
  return SIM_DONE;
}

uint64_t sim_beats(const Sim *sim, int stream) { return STREAM.cycles.size(); }
void sim_read(const Sim *sim, int stream, uint64_t first, uint64_t count, uint8_t *beats, uint64_t *cycles) {
  const size_t bytes = STREAM.beat_bytes();
  if (beats) std::memcpy(beats, STREAM.data.data() + first * bytes, count * bytes);
  std::memcpy(cycles, STREAM.cycles.data() + first, count * sizeof(uint64_t));
}
uint64_t sim_lasts(const Sim *sim, int stream, uint64_t *numbers, uint64_t room) {
  for (uint64_t i = 0; i < std::min<uint64_t>(room, STREAM.lasts.size()); ++i) numbers[i] = STREAM.lasts[i];
  return STREAM.lasts.size();
}

int sim_taps(const Sim *sim) { return static_cast<int>(sim->taps.size()); }
const char *sim_tap_name(const Sim *sim, int tap) { return sim->taps[tap].name.c_str(); }
int sim_tap_bits(const Sim *sim, int tap) { return sim->taps[tap].bits; }
uint64_t sim_tap_beats(const Sim *sim, int tap) { return *sim->taps[tap].entered; }
uint64_t sim_tap_occupancy(const Sim *sim, int tap) { return *sim->taps[tap].entered - *sim->taps[tap].left; }
uint64_t sim_tap_peak(const Sim *sim, int tap) { return *sim->taps[tap].peak; }
uint64_t sim_tap_depth(const Sim *sim, int tap) { return sim->taps[tap].limit; }
void sim_tap_limit(Sim *sim, const char *name, uint64_t depth) {
  if (depth)
    sim->limits[name] = depth;
  else
    sim->limits.erase(name);
}
void sim_tap_expect(Sim *sim, int tap, uint64_t beats) {
  sim->taps[tap].expected = beats;
  sim->awaits_taps = std::any_of(sim->taps.begin(), sim->taps.end(), [](const Tap &t) { return t.expected; });
}
void sim_tap_capture(Sim *sim, int yes) { sim->capture = yes; }
void sim_tap_read(const Sim *sim, int tap, uint64_t first, uint64_t count, uint8_t *beats) {
  const size_t bytes = (sim->taps[tap].bits + 7) / 8;
  std::memcpy(beats, sim->taps[tap].data.data() + first * bytes, count * bytes);
}
