// finn-hlslib's headers name Vitis HLS's `half` whether or not a layer uses it. Ours are integers: a name is enough.
#ifndef HALF_H
#define HALF_H
#include <cstdint>

struct half {
  uint16_t bits;
};
#endif
