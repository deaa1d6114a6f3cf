// What every unit of a simulated network includes: finn-hlslib, and the words that go into and out of its streams.
// Precompiled once with network.h (verification/cppsim/compile.py): these headers are most of what g++ reads.
#ifndef CHAIN_H
#define CHAIN_H

#define HLS_CONSTEXPR_ENABLE
#define AP_INT_MAX_W 8191  // FINN's limit of a stream's width
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "half.h"  // before finn-hlslib, which expects it in ap_int.h
#include "bnn-library.h"
#include "activations.hpp"
#include "dup.hpp"
#include "flatten.hpp"
#include "mvau.hpp"
#include "streamtools.h"
#include "vvau.hpp"
#include "weights.hpp"

namespace chain {

using Bytes = std::vector<uint8_t>;
constexpr size_t bytes_of(unsigned bits) { return (bits + 7) / 8; }

// A word <-> its bytes, the least significant first.
template <int W>
ap_uint<W> to_word(uint8_t const *bytes) {
  ap_uint<W> word = 0;
  for (int low = 0; low < W; low += 64) {
    int const high = std::min(W, low + 64) - 1;
    uint64_t part = 0;
    std::memcpy(&part, bytes + low / 8, bytes_of(high - low + 1));
    word.range(high, low) = part;
  }
  return word;
}

template <int W>
void from_word(ap_uint<W> const &word, uint8_t *bytes) {
  for (int low = 0; low < W; low += 64) {
    int const high = std::min(W, low + 64) - 1;
    uint64_t const part = word.range(high, low).to_uint64();
    std::memcpy(bytes + low / 8, &part, bytes_of(high - low + 1));
  }
}

// The words of a layer's parameter memory, as the memory streamer beside the layer sends them, round and round.
class Memory {
  Bytes bytes_;

 public:
  Memory() = default;
  explicit Memory(Bytes bytes) : bytes_(std::move(bytes)) {}

  template <int W>
  void feed(hls::stream<ap_uint<W>> &to, size_t rounds) const {
    std::vector<ap_uint<W>> words;
    for (size_t at = 0; at < bytes_.size(); at += bytes_of(W)) words.push_back(to_word<W>(&bytes_[at]));
    for (size_t round = 0; round < rounds; round++) {
      for (auto const &word : words) to.write(word);
    }
  }
};

// A stream of words <-> one of vectors of N elements, the first in the lowest bits: `aggregate compact=bit`.
template <int W, typename T, size_t N>
void unpack(hls::stream<ap_uint<W>> &in, hls::stream<hls::vector<T, N>> &out) {
  while (!in.empty()) {
    auto const word = in.read();
    hls::vector<T, N> elements;
    for (size_t i = 0; i < N; i++) {
      ap_uint<T::width> const bits = word.range((i + 1) * T::width - 1, i * T::width);
      elements[i] = T(bits);
    }
    out.write(elements);
  }
}

template <int W, typename T, size_t N>
void pack(hls::stream<hls::vector<T, N>> &in, hls::stream<ap_uint<W>> &out) {
  while (!in.empty()) out.write(flatten(in.read()));
}

template <typename T>
void expect_empty(hls::stream<T> const &stream, char const *what) {
  if (stream.empty()) return;
  throw std::runtime_error(std::string(what) + " has " + std::to_string(stream.size()) + " words left over");
}

}  // namespace chain

#include "window.h"
#endif
