// Sliding windows of a picture with zero padding, one word a cycle.
//
// In: word (y, x, cf) of an H x W picture in raster order, CF = CHANNELS / SIMD words a pixel, frame after frame.
// Out: for each place (oy, ox) of the window the words of pixel (oy * STRIDE - PAD + ky, ox * STRIDE - PAD + kx),
// zero outside of the picture:
//   DEPTHWISE = 0: for oy, ox, ky, kx, cf        DEPTHWISE = 1: for oy, ox, cf, ky, kx
//
// The picture runs through one cyclic buffer of BUFFER words. Places in it are counted from the window's upper left
// corner, pad included, as if the rows of pad lay in the stream: a window then always covers SPAN words, and when it
// moves (by STEP, at the end of a row by ROW, of the frame by FRAME words) what is left behind makes room.
//
// Latency 3 cycles from the last word that a tap waits for. With OH x OW windows a frame,
//   II = max(H * W * CF, OH * OW * KERNEL^2 * CF + OH * (OW - 1) * gap(STEP) + (OH - 1) * gap(ROW) + gap(FRAME))
// where gap is what GAP_FREE_* exceeds BUFFER by: 0 with GAPLESS = 1. With GAPLESS = 0 this is exact for PAD = 0, and
// an upper bound with pad, whose taps wait for nothing.
module window #(
    parameter int unsigned H = 8,         // rows of the picture
    parameter int unsigned W = 8,         // pixels of a row
    parameter int unsigned CHANNELS = 1,
    parameter int unsigned SIMD = 1,      // channels of a word, divides CHANNELS
    parameter int unsigned BITS = 4,      // of a channel
    parameter int unsigned KERNEL = 3,    // the window is KERNEL x KERNEL
    parameter int unsigned STRIDE = 1,
    parameter int unsigned PAD = 1,       // on each of the four sides
    parameter bit DEPTHWISE = 1'b0,       // channels outside of the taps
    parameter bit GAPLESS = 1'b1,         // 0: the least buffer, see II
    parameter RAM_STYLE = "auto"          // auto, distributed, block, ultra
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [SIMD*BITS-1:0] s_axis_tdata,
    input  logic                 s_axis_tvalid,
    output logic                 s_axis_tready,

    output logic [SIMD*BITS-1:0] m_axis_tdata,
    output logic                 m_axis_tvalid,
    input  logic                 m_axis_tready
);
  if (SIMD < 1 || CHANNELS < SIMD || CHANNELS % SIMD != 0) begin : check_simd
    $fatal(1, "window: SIMD = %0d must divide CHANNELS = %0d", SIMD, CHANNELS);
  end
  if (BITS < 1) begin : check_bits
    $fatal(1, "window: BITS = %0d must be at least 1", BITS);
  end
  if (STRIDE < 1) begin : check_stride
    $fatal(1, "window: STRIDE = %0d must be at least 1", STRIDE);
  end
  if (KERNEL < 2) begin : check_kernel
    $fatal(1, "window: KERNEL = %0d must be at least 2", KERNEL);
  end
  if (PAD >= KERNEL) begin : check_pad
    $fatal(1, "window: PAD = %0d must be less than KERNEL = %0d", PAD, KERNEL);
  end
  if (H < 1 || W < 1 || H + 2 * PAD < KERNEL || W + 2 * PAD < KERNEL) begin : check_picture
    $fatal(1, "window: H x W = %0d x %0d with PAD = %0d must hold KERNEL = %0d", H, W, PAD, KERNEL);
  end

  function automatic int larger(int a, int b);
    return a > b ? a : b;
  endfunction

  localparam int CF = int'(CHANNELS / SIMD);
  localparam int ROWS = int'(H), COLUMNS = int'(W), K = int'(KERNEL), S = int'(STRIDE), P = int'(PAD);
  localparam int OH = (ROWS + 2 * P - K) / S + 1;
  localparam int OW = (COLUMNS + 2 * P - K) / S + 1;

  // In words: what a window covers, where the frame's first word is in its first window, and how far it moves.
  localparam int SPAN = ((K - 1) * COLUMNS + K) * CF;
  localparam int FIRST = (P * COLUMNS + P) * CF;
  localparam int STEP = S * CF;
  localparam int ROW = S * (COLUMNS - (OW - 1)) * CF;
  localparam int FRAME = ((ROWS - (OH - 1) * S) * COLUMNS - (OW - 1) * S) * CF;

  // By how much a word's place in the window exceeds its turn: a full buffer of GAP_FREE_* words holds, when the
  // window moves, so much of what comes into it that the rest is written in time (2 cycles pass until it begins).
  localparam int LATE = DEPTHWISE ? (K - 1) * (CF - 1 + larger(COLUMNS * CF - K, 0))
                                  : (K - 1) * larger(COLUMNS - K, 0) * CF;
  localparam int GAP_FREE_STEP = STEP + LATE + 2;
  localparam int GAP_FREE_ROW = ROW + LATE + 2;
  localparam int GAP_FREE_FRAME = FRAME + larger(LATE, FIRST) + 2;
  localparam int BUFFER = GAPLESS
      ? larger(SPAN, larger(GAP_FREE_STEP, larger(GAP_FREE_ROW, GAP_FREE_FRAME))) : SPAN;

  localparam int COUNT_BITS = $clog2(BUFFER + larger(ROW, larger(FRAME, larger(-ROW, -FRAME))) + SPAN) + 1;
  localparam int X_BITS = $clog2(COLUMNS + K + S) + 1, Y_BITS = $clog2(ROWS + K + S) + 1;
  typedef logic [$clog2(BUFFER)-1:0] address_t;
  typedef logic [$clog2(2*BUFFER)-1:0] sum_t;
  typedef logic signed [COUNT_BITS-1:0] count_t;
  typedef logic signed [X_BITS-1:0] x_t;
  typedef logic signed [Y_BITS-1:0] y_t;
  typedef logic [$clog2(K)-1:0] tap_t;
  typedef logic [$clog2(CF+1)-1:0] group_t;

  function automatic address_t wrapped(sum_t sum);
    return sum >= sum_t'(BUFFER) ? address_t'(sum - sum_t'(BUFFER)) : address_t'(sum);
  endfunction

  function automatic sum_t modulo(int distance);  // of constants, negative ones too
    return sum_t'((distance % BUFFER + BUFFER) % BUFFER);
  endfunction

  (* ram_style = RAM_STYLE *) logic [SIMD*BITS-1:0] memory[BUFFER];
  logic [SIMD*BITS-1:0] word_q;

  // Write side. room_q: free words; it learns of a move of the window when the last word of the window is read.
  address_t write_q;
  count_t room_q, room_d;
  logic push;

  // Read side: the tap whose turn it is, its pixel (y_q, x_q), its place from the window's corner (offset_q); where
  // the corner is in the buffer; and how many words from there on are written.
  tap_t ky_q, kx_q;
  group_t cf_q;
  x_t x_q;
  y_t y_q;
  count_t offset_q, ahead_q, move_by;
  address_t corner_q;
  logic begins_q;  // the next word is the frame's first, for which the frame must have begun to come in
  logic kx_step, kx_wrap, ky_wrap, cf_last, window_end, row_end, frame_end;
  logic outside, issue, move;

  // Pipeline: address, then word.
  address_t address_q;
  count_t release_q;
  logic issued_q, address_outside_q, word_outside_q;

  assign push = s_axis_tvalid && s_axis_tready;
  assign move = m_axis_tready || !m_axis_tvalid;
  assign m_axis_tdata = word_outside_q ? '0 : word_q;

  assign cf_last = cf_q == group_t'(CF - 1);
  assign kx_step = DEPTHWISE || cf_last;
  assign kx_wrap = kx_step && kx_q == tap_t'(K - 1);
  assign ky_wrap = kx_wrap && ky_q == tap_t'(K - 1);
  assign window_end = ky_wrap && cf_last;
  assign row_end = x_q == x_t'((OW - 1) * S - P + K - 1);
  assign frame_end = row_end && y_q == y_t'((OH - 1) * S - P + K - 1);

  assign outside = x_q < 0 || x_q >= x_t'(COLUMNS) || y_q < 0 || y_q >= y_t'(ROWS);
  assign issue = move && (begins_q ? ahead_q > count_t'(FIRST) : outside || offset_q < ahead_q);
  assign move_by = frame_end ? count_t'(FRAME) : row_end ? count_t'(ROW) : count_t'(STEP);
  assign room_d = room_q - count_t'(push) + (move ? release_q : '0);

  always_ff @(posedge ap_clk) begin
    if (push) memory[write_q] <= s_axis_tdata;
    if (move) word_q <= memory[address_q];
  end

  always_ff @(posedge ap_clk) begin
    if (push) write_q <= wrapped(sum_t'(write_q) + 1'b1);
    room_q <= room_d;
    s_axis_tready <= room_d > 0;
    ahead_q <= ahead_q + count_t'(push) - (issue && window_end ? move_by : '0);

    if (issue) begin
      begins_q <= window_end && frame_end;
      if (DEPTHWISE ? ky_wrap : 1'b1) cf_q <= cf_last ? '0 : cf_q + 1'b1;
      if (kx_step) begin
        kx_q <= kx_wrap ? '0 : kx_q + 1'b1;
        x_q <= kx_wrap ? x_q - x_t'(K - 1) : x_q + 1'b1;
      end
      if (kx_wrap) begin
        ky_q <= ky_wrap ? '0 : ky_q + 1'b1;
        y_q <= ky_wrap ? y_q - y_t'(K - 1) : y_q + 1'b1;
      end
      if (DEPTHWISE)
        offset_q <= offset_q + (ky_wrap ? count_t'(1 + CF - SPAN)
                              : kx_wrap ? count_t'((COLUMNS - K + 1) * CF) : count_t'(CF));
      else offset_q <= offset_q + (kx_wrap ? count_t'((COLUMNS - K) * CF + 1) : count_t'(1));
      if (window_end) begin
        offset_q <= '0;
        corner_q <= wrapped(sum_t'(corner_q) + (frame_end ? modulo(FRAME) : row_end ? modulo(ROW) : modulo(STEP)));
        x_q <= row_end ? x_t'(-P) : x_q + x_t'(S - (K - 1));
        if (row_end) y_q <= frame_end ? y_t'(-P) : y_q + y_t'(S - (K - 1));
      end
    end

    if (move) begin
      issued_q <= issue;
      address_q <= wrapped(sum_t'(corner_q) + sum_t'(offset_q));
      address_outside_q <= outside;
      release_q <= issue && window_end ? move_by : '0;
      m_axis_tvalid <= issued_q;
      word_outside_q <= address_outside_q;
    end

    if (!ap_rst_n) begin
      write_q <= '0;
      room_q <= count_t'(BUFFER - FIRST);
      s_axis_tready <= 1'b0;
      ahead_q <= count_t'(FIRST);
      begins_q <= 1'b1;
      cf_q <= '0;
      kx_q <= '0;
      ky_q <= '0;
      x_q <= x_t'(-P);
      y_q <= y_t'(-P);
      offset_q <= '0;
      corner_q <= address_t'(modulo(-FIRST));
      issued_q <= 1'b0;
      release_q <= '0;
      m_axis_tvalid <= 1'b0;
    end
  end
endmodule
