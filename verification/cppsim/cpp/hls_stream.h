// hls::stream as C++ simulation sees it: a queue without limit.
//
// In the place of hls4ml's, which answers a read of an empty stream with a default value and a line of text: here
// that is an error. It is also faster, being no std::deque, and lets a simulation look at what is inside.
#ifndef HLS_STREAM_H
#define HLS_STREAM_H
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace hls {
template <typename T>
class stream {
  std::string name_;
  std::vector<T> words_;
  size_t next_ = 0;

 public:
  explicit stream(std::string name = "inside a layer") : name_(std::move(name)) {}
  stream(stream const &) = delete;
  stream &operator=(stream const &) = delete;

  std::string const &name() const { return name_; }
  bool empty() const { return next_ == words_.size(); }
  bool full() const { return false; }
  size_t size() const { return words_.size() - next_; }
  auto begin() const { return words_.begin() + next_; }
  auto end() const { return words_.end(); }

  T read() {
    if (empty()) throw std::runtime_error("stream " + name_ + " is read while it is empty");
    T word = std::move(words_[next_++]);
    if (empty()) {
      words_.clear();
      next_ = 0;
    }
    return word;
  }
  void read(T &word) { word = read(); }
  bool read_nb(T &word) {
    if (empty()) return false;
    word = read();
    return true;
  }
  void write(T const &word) { words_.push_back(word); }
  bool write_nb(T const &word) {
    write(word);
    return true;
  }
  void operator>>(T &word) { read(word); }
  void operator<<(T const &word) { write(word); }
};
}  // namespace hls
#endif
