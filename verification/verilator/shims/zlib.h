// What Verilator's FST writer calls of zlib, so that a waveform needs no library: valid streams of stored blocks.
// The writer keeps its data as it is where that is smaller, which it then always is.
#pragma once
#include <cstdint>
#include <cstring>

using uLong = unsigned long;
using uLongf = unsigned long;
using Bytef = unsigned char;
constexpr int Z_OK = 0;

inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

inline int compress2(Bytef *target, uLongf *target_size, const Bytef *source, uLong size, int) {
  Bytef *out = target;
  *out++ = 0x78;
  *out++ = 0x01;
  uint32_t a = 1, b = 0;  // Adler-32
  for (uLong i = 0; i < size; ++i) a = (a + source[i]) % 65521, b = (b + a) % 65521;
  uLong done = 0;
  do {
    const uLong length = size - done < 65535 ? size - done : 65535;
    *out++ = done + length == size;
    *out++ = static_cast<Bytef>(length), *out++ = static_cast<Bytef>(length >> 8);
    *out++ = static_cast<Bytef>(~length), *out++ = static_cast<Bytef>(~length >> 8);
    std::memcpy(out, source + done, length);
    out += length, done += length;
  } while (done < size);
  for (int shift = 24; shift >= 0; shift -= 8) *out++ = static_cast<Bytef>((b << 16 | a) >> shift);
  *target_size = static_cast<uLong>(out - target);
  return Z_OK;
}
