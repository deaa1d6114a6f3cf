// StreamingDup of newer finn-hlslib: the word that comes in goes out on every stream. Free-running: a call a word.
#ifndef DUP_HPP
#define DUP_HPP
#include <hls_stream.h>

template <typename T, typename... Out>
void StreamingDup(hls::stream<T> &in, Out &...out) {
  if (in.empty()) return;
  T const word = in.read();
  (out.write(word), ...);
}
#endif
