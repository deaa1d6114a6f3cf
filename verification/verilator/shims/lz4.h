// What Verilator's FST writer calls of LZ4, so that a waveform needs no library: valid LZ4 blocks of one run of
// literals, which any reader decompresses. The file is larger than it could be.
#pragma once
#include <cstring>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

inline int LZ4_compress_default(const char *source, char *target, int size, int) {
  char *out = target;
  if (size < 15) {
    *out++ = static_cast<char>(size << 4);
  } else {
    *out++ = static_cast<char>(0xf0);
    int rest = size - 15;
    for (; rest >= 255; rest -= 255) *out++ = static_cast<char>(255);
    *out++ = static_cast<char>(rest);
  }
  std::memcpy(out, source, size);
  return static_cast<int>(out - target) + size;
}
