// hls::vector as finn-hlslib needs it: N elements side by side. hls4ml's headers have none.
#ifndef HLS_VECTOR_H
#define HLS_VECTOR_H
#include <array>
#include <cstddef>

namespace hls {
template <typename T, size_t N>
class vector : public std::array<T, N> {};
}  // namespace hls
#endif
