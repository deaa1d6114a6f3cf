// The reverse of flatten.hpp's flatten(), which newer finn-hlslib has: FINN's own cppsim reads words with it.
#ifndef UNFLATTEN_H
#define UNFLATTEN_H
#include <ap_int.h>
#include <cstddef>

template <typename T, size_t N, int W>
void unflatten(T (&elements)[N], ap_uint<W> const &word) {
  for (size_t i = 0; i < N; i++) {
    ap_uint<T::width> const bits = word.range((i + 1) * T::width - 1, i * T::width);
    elements[i] = T(bits);
  }
}
#endif
