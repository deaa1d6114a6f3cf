// Sliding windows of a picture with zero padding, a whole window of one group of channels a cycle.
//
// In: word (y, x, cf) of an H x W picture in raster order, CF = CHANNELS / SIMD words a pixel, frame after frame.
// Out: for oy, ox, cf one beat, the channels cf * SIMD + s of all the window's pixels: element
// (ky * KERNEL + kx) * SIMD + s is of pixel (oy * STRIDE - PAD + ky, ox * STRIDE - PAD + kx), zero outside of the
// picture. This is the depthwise order; with SIMD = CHANNELS it is that of an ordinary convolution, too.
//
// KERNEL banks hold a row of the picture each, W * CF words: row y of all frames together is in bank y % KERNEL. For
// each row of windows, all columns of KERNEL words are read once from left to right, a column a cycle. `history`
// holds the KERNEL - 1 columns before, for each group. Pad takes no cycles: rows of it are masked when a column is
// read, columns of it in the window. The windows that reach past the right edge leave with the first columns of the
// next row, or by themselves (a flush) while the next row has not come. Rows are counted on from frame to frame: those
// below a picture have the numbers of the next one's first rows.
//
// Latency 3 cycles from the word in a window's lower right corner, II = H * W * CF.
module window_parallel #(
    parameter int unsigned H = 8,         // rows of the picture
    parameter int unsigned W = 8,         // pixels of a row, at least PAD
    parameter int unsigned CHANNELS = 1,
    parameter int unsigned SIMD = 1,      // channels of a word, divides CHANNELS
    parameter int unsigned BITS = 4,      // of a channel
    parameter int unsigned KERNEL = 3,    // the window is KERNEL x KERNEL
    parameter int unsigned STRIDE = 1,
    parameter int unsigned PAD = 1,       // on each of the four sides, less than half of KERNEL
    parameter RAM_STYLE = "auto",         // of the rows: auto, distributed, block, ultra
    parameter HISTORY_RAM_STYLE = "auto"  // CF words of KERNEL * (KERNEL - 1) * SIMD * BITS bits
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [SIMD*BITS-1:0] s_axis_tdata,
    input  logic                 s_axis_tvalid,
    output logic                 s_axis_tready,

    output logic [KERNEL*KERNEL*SIMD*BITS-1:0] m_axis_tdata,
    output logic                               m_axis_tvalid,
    input  logic                               m_axis_tready
);
  if (SIMD < 1 || CHANNELS < SIMD || CHANNELS % SIMD != 0) begin : check_simd
    $fatal(1, "window_parallel: SIMD = %0d must divide CHANNELS = %0d", SIMD, CHANNELS);
  end
  if (BITS < 1) begin : check_bits
    $fatal(1, "window_parallel: BITS = %0d must be at least 1", BITS);
  end
  if (STRIDE < 1) begin : check_stride
    $fatal(1, "window_parallel: STRIDE = %0d must be at least 1", STRIDE);
  end
  if (KERNEL < 2) begin : check_kernel
    $fatal(1, "window_parallel: KERNEL = %0d must be at least 2", KERNEL);
  end
  if (2 * PAD >= KERNEL) begin : check_pad
    $fatal(1, "window_parallel: PAD = %0d must be less than half of KERNEL = %0d", PAD, KERNEL);
  end
  if (H < 1 || W < 1 || W < PAD || H + 2 * PAD < KERNEL || W + 2 * PAD < KERNEL) begin : check_picture
    $fatal(1, "window_parallel: H x W = %0d x %0d with PAD = %0d must hold KERNEL = %0d, and W be at least PAD",
           H, W, PAD, KERNEL);
  end

  localparam int CF = int'(CHANNELS / SIMD), LINE = int'(W) * CF, WORD_BITS = int'(SIMD * BITS);
  localparam int ROWS = int'(H), COLUMNS = int'(W), K = int'(KERNEL), P = int'(PAD);
  localparam int S = STRIDE < 1 ? 1 : int'(STRIDE);  // 0 is refused above, if what follows is well-formed
  localparam int OH = (ROWS + 2 * P - K) / S + 1;
  localparam int OW = (COLUMNS + 2 * P - K) / S + 1;

  // Last row and column of the first and of the last window; rows from the last windows of a frame to the next ones.
  localparam int FIRST = K - 1 - P;
  localparam int LAST_ROW = (OH - 1) * S + FIRST, LAST_COLUMN = (OW - 1) * S + FIRST;
  localparam int FRAME = ROWS - (OH - 1) * S;
  localparam int TAIL = LAST_COLUMN < COLUMNS ? 0 : LAST_COLUMN - (COLUMNS - 1);  // columns past the right edge

  typedef logic [(LINE > 1 ? $clog2(LINE) : 1)-1:0] line_t;
  typedef logic [(CF > 1 ? $clog2(CF) : 1)-1:0] group_t;
  typedef logic [$clog2(K)-1:0] bank_t;
  typedef logic [$clog2(ROWS+P+1)-1:0] row_t;
  typedef logic [(COLUMNS + TAIL > 1 ? $clog2(COLUMNS+TAIL) : 1)-1:0] column_t;
  typedef logic signed [$clog2(2*K+2*S+P)+1:0] lead_t;
  typedef logic [WORD_BITS-1:0] word_t;
  typedef logic [K-1:0][WORD_BITS-1:0] taps_t;  // of one column, from above
  typedef taps_t [K-1:0] window_t;  // columns from the left
  typedef taps_t [K-2:0] history_t;

  function automatic bank_t bank(int number);
    return bank_t'((number % K + K) % K);
  endfunction

  function automatic logic [COLUMNS+TAIL-1:0] window_ends();  // in which columns
    logic [COLUMNS+TAIL-1:0] ends = '0;
    for (int n = 0; n < OW; n++) ends[FIRST+n*S] = 1'b1;
    return ends;
  endfunction
  localparam logic [COLUMNS+TAIL-1:0] WINDOW_ENDS = window_ends();

  function automatic bank_t rotated(bank_t from, bank_t by);
    logic [$bits(bank_t):0] sum = (1 + $bits(bank_t))'(from) + (1 + $bits(bank_t))'(by);
    return sum >= (1 + $bits(bank_t))'(K) ? bank_t'(sum - (1 + $bits(bank_t))'(K)) : bank_t'(sum);
  endfunction

  function automatic lead_t past(row_t row);  // rows below the picture
    return int'(row) < ROWS ? '0 : lead_t'(int'(row) - (ROWS - 1));
  endfunction

  // Write side: the word's place in its row, the row's bank, and how many rows further down this is than the lowest
  // of the windows (lead_q), than the lowest that lies in the picture (lead_inside_q).
  line_t write_q;
  bank_t write_bank_q;
  lead_t lead_q, lead_inside_q, lead_step, inside_step;
  logic push, line_written, running_q;

  // Read side: the column and its place in the row; the lowest row of the windows and the bank of the highest.
  // tail_q: columns that the previous row still needs to the right of its edge.
  line_t read_q;
  group_t group_q;
  column_t column_q, tail_q, ends_at;
  row_t bottom_q, bottom_d;
  bank_t top_bank_q;
  logic here, flush, flushing_q, step, group_last, line_read, frame_read, move;

  // Pipeline: words of the banks, then the window.
  logic words_valid_q, words_emit_q;
  bank_t words_top_q;
  logic [K-1:0] words_rows_q, words_columns_q, window_columns_q;
  word_t words_q[K];
  taps_t taps_d, taps_q;
  history_t before_q, after;
  window_t window;

  assign push = s_axis_tvalid && s_axis_tready;
  assign line_written = push && write_q == line_t'(LINE - 1);
  assign s_axis_tready = running_q && (lead_q < 1 || (lead_q == 1 && write_q < read_q));
  assign move = m_axis_tready || !m_axis_tvalid;

  assign here = lead_inside_q > 0 || (lead_inside_q == 0 && read_q < write_q);
  assign flush = group_q == '0 ? tail_q != '0 && column_q == '0 && !here : flushing_q;
  assign step = move && (flush || here);
  assign group_last = group_q == group_t'(CF - 1);
  assign line_read = step && !flush && read_q == line_t'(LINE - 1);
  assign frame_read = bottom_q == row_t'(LAST_ROW);
  assign bottom_d = frame_read ? row_t'(FIRST) : bottom_q + row_t'(S);
  assign ends_at = tail_q == '0 ? column_q : column_t'(COLUMNS + TAIL) - tail_q;
  assign lead_step = frame_read ? lead_t'(FRAME) : lead_t'(S);
  assign inside_step = lead_step + past(bottom_q) - past(bottom_d);

  for (genvar b = 0; b < K; b++) begin : banks
    (* ram_style = RAM_STYLE *) word_t memory[LINE];
    always_ff @(posedge ap_clk) begin
      if (push && write_bank_q == bank_t'(b)) memory[write_q] <= s_axis_tdata;
      if (step) words_q[b] <= memory[read_q];
    end
  end

  always_comb
    for (int ky = 0; ky < K; ky++)
      taps_d[ky] = words_rows_q[ky] ? words_q[rotated(words_top_q, bank_t'(ky))] : '0;

  assign window = {taps_q, before_q};
  assign after = window[K-1:1];
  if (CF == 1) begin : one_group
    always_ff @(posedge ap_clk) if (move && words_valid_q) before_q <= after;
  end else begin : groups
    (* ram_style = HISTORY_RAM_STYLE *) history_t history[CF];
    group_t words_group_q, window_group_q;
    logic window_valid_q;
    always_ff @(posedge ap_clk) begin
      if (step) words_group_q <= group_q;
      if (move) begin
        window_group_q <= words_group_q;
        window_valid_q <= words_valid_q;
        if (window_valid_q) history[window_group_q] <= after;
        if (words_valid_q) before_q <= history[words_group_q];
      end
    end
  end

  always_comb
    for (int ky = 0; ky < K; ky++)
      for (int kx = 0; kx < K; kx++)
        m_axis_tdata[(ky*K+kx)*WORD_BITS+:WORD_BITS] = window_columns_q[kx] ? window[kx][ky] : '0;

  always_ff @(posedge ap_clk) begin
    running_q <= 1'b1;
    if (push) write_q <= line_written ? '0 : write_q + 1'b1;
    if (line_written) write_bank_q <= rotated(write_bank_q, bank_t'(1));
    if (line_written || line_read) begin
      lead_q <= lead_q + lead_t'({1'b0, line_written}) - (line_read ? lead_step : '0);
      lead_inside_q <= lead_inside_q + lead_t'({1'b0, line_written}) - (line_read ? inside_step : '0);
    end

    if (step) begin
      group_q <= group_last ? '0 : group_q + 1'b1;
      flushing_q <= flush;
      if (!flush) read_q <= line_read ? '0 : read_q + 1'b1;
      if (group_last && !flush) column_q <= line_read ? '0 : column_q + 1'b1;
      if (line_read) tail_q <= column_t'(TAIL);
      else if (group_last && tail_q != '0) tail_q <= tail_q - 1'b1;
    end
    if (line_read) begin
      bottom_q <= bottom_d;
      top_bank_q <= rotated(top_bank_q, frame_read ? bank(FRAME) : bank(S));
    end

    if (step) begin
      words_emit_q <= WINDOW_ENDS[ends_at];
      words_top_q <= top_bank_q;
      for (int k = 0; k < K; k++) begin
        words_rows_q[k] <= int'(bottom_q) >= K - 1 - k && int'(bottom_q) < ROWS + K - 1 - k;
        words_columns_q[k] <= int'(ends_at) >= K - 1 - k && int'(ends_at) < COLUMNS + K - 1 - k;
      end
    end
    if (move) begin
      words_valid_q <= step;
      m_axis_tvalid <= words_valid_q && words_emit_q;
      if (words_valid_q) taps_q <= taps_d;
      window_columns_q <= words_columns_q;
    end

    if (!ap_rst_n) begin
      running_q <= 1'b0;
      write_q <= '0;
      write_bank_q <= '0;
      lead_q <= lead_t'(-FIRST);
      lead_inside_q <= lead_t'(-FIRST) + past(row_t'(FIRST));
      group_q <= '0;
      flushing_q <= 1'b0;
      read_q <= '0;
      column_q <= '0;
      tail_q <= '0;
      bottom_q <= row_t'(FIRST);
      top_bank_q <= bank(-P);
      words_valid_q <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end
  end
endmodule
