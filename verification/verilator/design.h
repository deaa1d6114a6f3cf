// What the runtime knows of a design. `build.py` writes one class of it per design, around Verilator's.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

class VerilatedContext;
class VerilatedFstC;

struct StreamPins {  // absent pins are null
  const char *name;
  bool is_input;
  int bits;
  uint8_t *tdata, *valid, *ready, *last, *keep;
};

struct Design {
  uint8_t *clock = nullptr, *reset_n = nullptr;
  std::vector<StreamPins> streams;

  virtual ~Design() = default;
  virtual void eval() = 0;
  virtual void final() = 0;
  virtual void trace(VerilatedFstC *file) = 0;
};

std::unique_ptr<Design> make_design(VerilatedContext &context);
