// The frame of a simulated network's program: reads what comes in, runs the layers one after the other, frame by
// frame, and writes what its streams carry.
//
//   network FOLDER FRAMES
//
// FOLDER holds N.in for each stream N that no layer of the program writes, LAYER.mem for each memory, and an empty
// N.out for each stream to write. All hold whole bytes a word, the least significant first.
#ifndef NETWORK_H
#define NETWORK_H
#include "chain.h"

namespace chain {

class Frames {
  std::string folder_, layer_;
  std::map<int, std::ifstream> inputs_;
  std::map<int, std::ofstream> outputs_;
  std::map<std::string, Memory> memories_;
  std::map<std::string, double> seconds_;
  std::chrono::steady_clock::time_point start_;

  std::string path(std::string const &name) const { return folder_ + "/" + name; }

 public:
  explicit Frames(std::string folder) : folder_(std::move(folder)) {}

  std::string const &layer() const { return layer_; }

  // What the next lines run, for errors and times. Empty: none.
  void enter(std::string const &layer) {
    auto const now = std::chrono::steady_clock::now();
    if (!layer_.empty()) seconds_[layer_] += std::chrono::duration<double>(now - start_).count();
    layer_ = layer;
    start_ = now;
  }

  Memory const &memory(std::string const &layer) {
    if (!memories_.count(layer)) {
      std::ifstream file(path(layer + ".mem"), std::ios::binary);
      memories_[layer] = Memory(Bytes(std::istreambuf_iterator<char>(file), {}));
    }
    return memories_[layer];
  }

  template <int W>
  void load(hls::stream<ap_uint<W>> &stream, int number, size_t words) {
    auto &file = inputs_[number];
    if (!file.is_open()) file.open(path(std::to_string(number) + ".in"), std::ios::binary);
    Bytes bytes(words * bytes_of(W));
    if (!file.read(reinterpret_cast<char *>(bytes.data()), bytes.size()))
      throw std::runtime_error(path(std::to_string(number) + ".in") + " ends early");
    for (size_t i = 0; i < words; i++) stream.write(to_word<W>(&bytes[i * bytes_of(W)]));
  }

  // Check that a stream carries a frame; write it if it is asked for.
  template <int W>
  void tap(hls::stream<ap_uint<W>> &stream, int number, size_t words) {
    enter("");
    if (stream.size() != words) {
      throw std::runtime_error(
          "stream " + stream.name() + " carries " + std::to_string(stream.size()) + " words, not " +
          std::to_string(words));
    }
    auto const name = path(std::to_string(number) + ".out");
    if (!outputs_.count(number)) {
      bool const wanted = std::ifstream(name).good();
      outputs_[number] = wanted ? std::ofstream(name, std::ios::binary) : std::ofstream();
    }
    if (!outputs_[number].is_open()) return;
    Bytes bytes;
    bytes.resize(words * bytes_of(W));
    size_t at = 0;
    for (auto word = stream.begin(); word != stream.end(); ++word, at += bytes_of(W)) from_word<W>(*word, &bytes[at]);
    if (!outputs_[number].write(reinterpret_cast<char const *>(bytes.data()), bytes.size()).flush())
      throw std::runtime_error(name + " cannot be written");
  }

  void write_times() const {
    std::ofstream file(path("seconds.txt"));
    for (auto const &[layer, seconds] : seconds_) file << layer << " " << seconds << "\n";
  }
};

inline int run(int argc, char **argv, void (*frame)(Frames &)) {
  if (argc != 3) {
    std::cerr << "usage: network FOLDER FRAMES\n";
    return 2;
  }
  Frames frames(argv[1]);
  try {
    for (int i = 0; i < std::stoi(argv[2]); i++) {
      frame(frames);
      std::cout << i + 1 << std::endl;
    }
    frames.write_times();
  } catch (std::exception const &error) {
    std::cerr << (frames.layer().empty() ? "" : frames.layer() + ": ") << error.what() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace chain
#endif
