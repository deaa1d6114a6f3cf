// Sliding windows over a zero-padded picture, as finn_flow/rtl/window.sv and window_parallel.sv send them.
//
// In: words of SIMD channels in raster order. Out, for each place of the window: serial, SIMD channels a word, tap by
// tap, all groups of channels of a tap together; if depthwise, all taps of a group together. Parallel, a word holds
// all taps of a group, SIMD channels each, the first tap in the lowest bits.
#ifndef WINDOW_H
#define WINDOW_H

namespace chain {

struct WindowShape {
  int height, width, channels, simd, kernel_h, kernel_w, stride_h, stride_w;
  int top, left, out_height, out_width;
  bool depthwise;
};

// `channels` of `shape.simd` at a tap of the window at (oy, ox); zero outside of the picture.
template <int W>
ap_uint<W> window_word(
    std::vector<ap_uint<W>> const &picture, WindowShape const &shape, int oy, int ox, int tap, int group) {
  int const y = oy * shape.stride_h - shape.top + tap / shape.kernel_w;
  int const x = ox * shape.stride_w - shape.left + tap % shape.kernel_w;
  if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) return 0;
  return picture[(y * shape.width + x) * (shape.channels / shape.simd) + group];
}

template <int IN, int OUT>
void window(hls::stream<ap_uint<IN>> &in, hls::stream<ap_uint<OUT>> &out, WindowShape const &shape) {
  int const groups = shape.channels / shape.simd, taps = shape.kernel_h * shape.kernel_w;
  std::vector<ap_uint<IN>> picture;
  for (int i = 0; i < shape.height * shape.width * groups; i++) picture.push_back(in.read());
  for (int place = 0; place < shape.out_height * shape.out_width; place++) {
    int const oy = place / shape.out_width, ox = place % shape.out_width;
    if constexpr (OUT > IN) {
      for (int group = 0; group < groups; group++) {
        ap_uint<OUT> word = 0;
        for (int tap = 0; tap < taps; tap++) {
          word.range((tap + 1) * IN - 1, tap * IN) = window_word(picture, shape, oy, ox, tap, group);
        }
        out.write(word);
      }
    } else {
      for (int i = 0; i < taps * groups; i++) {
        int const tap = shape.depthwise ? i % taps : i / groups, group = shape.depthwise ? i / taps : i % groups;
        out.write(window_word(picture, shape, oy, ox, tap, group));
      }
    }
  }
}

}  // namespace chain
#endif
