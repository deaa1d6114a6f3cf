// hls4ml's header of this name with two functions of ap_int several times as fast: the bits are the same.
//
// clearUnusedBits, which ends every operation, is volatile there, so that no number ever stays in a register.
// And word(high, low) of more than 64 bits, by which kernels take apart thresholds and weights, copies, shifts and
// masks whole words; ap_int.h reads all ranges through one macro.
#define clearUnusedBits(...)                                                                         \
  clearUnusedBits(__VA_ARGS__) __VA_OPT__({                                                          \
    if constexpr (_AP_W <= 64) {                                                                     \
      this->VAL = decltype(this->VAL)(chain::extend<_AP_W, _AP_S>(this->VAL));                       \
    } else {                                                                                         \
      this->pVal[(_AP_W - 1) / 64] = chain::extend<_AP_W, _AP_S>(this->pVal[(_AP_W - 1) / 64]);      \
    }                                                                                                \
  } INLINE void clear_unused_bits_of_volatile(__VA_ARGS__))

#ifndef CHAIN_AP_COMMON_H
#define CHAIN_AP_COMMON_H
#include <cstdint>

namespace chain {

// The highest 64 bits of a number of W bits, the bits beyond it as its sign says.
template <int W, bool S>
inline uint64_t extend(uint64_t word) {
  constexpr int SPARE = (64 - W % 64) % 64;
  return S ? uint64_t(int64_t(word << SPARE) >> SPARE) : word << SPARE >> SPARE;
}

}  // namespace chain

#include_next <ap_common.h>

namespace chain {

// Bits high to low of a word, as hls4ml's own. C++17, for FINN's own simulation takes this header, too.
template <int W, bool S>
inline auto range(ap_private<W, S> const &word, int low, int high) {
  if constexpr (W <= 64) {
    return word.range(high, low);
  } else {
    if (high < low) return word.range(high, low).get();  // reversed
    constexpr int WORDS = (W + 63) / 64;
    int const count = high - low + 1, from = low / 64, shift = low % 64;
    ap_private<W, false> bits(0);
    for (int to = 0; to * 64 < count && from + to < WORDS; to++) {
      uint64_t value = word.get_pVal(from + to) >> shift;
      if (shift && from + to + 1 < WORDS) value |= word.get_pVal(from + to + 1) << (64 - shift);
      int const spare = 64 * (to + 1) - count;
      bits.set_pVal(to, spare > 0 ? value << spare >> spare : value);
    }
    return bits;
  }
}

}  // namespace chain

#undef _AP_ROOT_op_get_range
#define _AP_ROOT_op_get_range(Val, Lo, Hi) chain::range(Val, Lo, Hi)
#endif
#undef clearUnusedBits
