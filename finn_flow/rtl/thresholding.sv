// Thresholding of CHANNELS channels, PE a cycle, by a pipelined binary search (as FINN's thresholding.sv):
//
//   y = BIAS + number of thresholds T[c][0] <= T[c][1] <= ... <= T[c][2**STAGES - 2] that are <= x
//
// Channels come PE a word, lane p of word f is channel f * PE + p; CHANNELS / PE words a pixel. Where all
// channels have the same thresholds, CHANNELS = PE does for any number of them. Fewer thresholds than
// 2**STAGES - 1 are filled up with a value above every x, for which THRESHOLD_BITS has room.
//
// Stage s knows the s highest bits of the count and finds the next: that bit is 1 if the threshold in the
// middle of what they leave is <= x. Lane p of stage s looks it up in the $readmemh file
// THRESHOLDS_<s>_<p>.dat: a line for each word f and each value of those s bits, the bits counting faster,
//
//   line f * 2**s + bits:   T[f * PE + p][(2 * bits + 1) * 2**(STAGES-1-s) - 1]
//
// in THRESHOLD_BITS, two's complement.
//
// (A file for all lanes would be shorter, but synthesis would see a memory with PE ports.)
//
// Latency STAGES + 1 cycles, one word a cycle.
module thresholding #(
    parameter int unsigned CHANNELS = 4,
    parameter int unsigned PE = 2,
    parameter int unsigned IN_BITS = 12,
    parameter bit IN_SIGNED = 1'b1,
    parameter int unsigned STAGES = 4,
    parameter int unsigned THRESHOLD_BITS = 13,  // signed
    parameter int unsigned OUT_BITS = 4,
    parameter int BIAS = 0,
    parameter THRESHOLDS = "",  // memory files, without _<s>_<p>.dat
    parameter RAM_STYLE = "auto"  // auto, distributed, block (stages of few words: auto)
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [PE*IN_BITS-1:0] s_axis_tdata,
    input  logic                  s_axis_tvalid,
    output logic                  s_axis_tready,

    output logic [PE*OUT_BITS-1:0] m_axis_tdata,
    output logic                   m_axis_tvalid,
    input  logic                   m_axis_tready
);
  if (PE < 1 || CHANNELS < PE || CHANNELS % PE != 0) begin : check_pe
    $fatal(1, "thresholding: CHANNELS = %0d must be a multiple of PE = %0d", CHANNELS, PE);
  end
  if (STAGES < 1 || STAGES > 10) begin : check_stages
    $fatal(1, "thresholding: STAGES = %0d must be in 1..10", STAGES);
  end
  if (IN_BITS < 1 || OUT_BITS < 1 || THRESHOLD_BITS < 1) begin : check_bits
    $fatal(1, "thresholding: IN_BITS = %0d, OUT_BITS = %0d, THRESHOLD_BITS = %0d must be at least 1",
           IN_BITS, OUT_BITS, THRESHOLD_BITS);
  end

  localparam int unsigned FOLD = CHANNELS / PE;
  localparam int unsigned FOLD_BITS = FOLD > 1 ? $clog2(FOLD) : 1;
  localparam int unsigned X_BITS = IN_BITS + 32'(!IN_SIGNED);  // signed from here on
  localparam int unsigned COMPARE_BITS = X_BITS > THRESHOLD_BITS ? X_BITS : THRESHOLD_BITS;
  localparam int unsigned LEAST_BLOCK_WORDS = 256;  // 64 or 128 words are one or two LUTs a bit
  localparam string ASKED = RAM_STYLE;

  typedef logic [FOLD_BITS-1:0] fold_t;
  typedef logic signed [X_BITS-1:0] x_t;
  typedef logic signed [THRESHOLD_BITS-1:0] threshold_t;
  typedef logic signed [COMPARE_BITS-1:0] compare_t;
  typedef logic [STAGES-1:0] count_t;

  // Stage s: the threshold that it has read, for which x and for which bits of the count; the word's number
  threshold_t threshold_q[STAGES][PE];
  x_t x_q[STAGES][PE];
  count_t count_q[STAGES][PE];
  fold_t fold_q[STAGES];
  logic [STAGES:0] valid_q;
  logic moves;
  fold_t next_fold_q;

  assign s_axis_tready = !m_axis_tvalid || m_axis_tready;
  assign m_axis_tvalid = valid_q[STAGES];
  assign moves = s_axis_tready && (s_axis_tvalid || valid_q != '0);

  // The bits of the count that are known once a stage's threshold is there
  function automatic count_t known(count_t count, threshold_t threshold, x_t x);
    return count_t'({count, compare_t'(threshold) <= compare_t'(x)});
  endfunction

  for (genvar s = 0; s < STAGES; ++s) begin : stage
    localparam int unsigned BEFORE = s > 0 ? s - 1 : 0;
    localparam int unsigned WORDS = FOLD << s;
    localparam int unsigned ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam string STAGE_RAM_STYLE = ASKED == "block" && WORDS < LEAST_BLOCK_WORDS ? "auto" : ASKED;
    // Vivado reads rom_style of a ROM. Yosys reads ram_style before it, and calls LUTs that are only read registers.
    localparam string ROM_RAM_STYLE = STAGE_RAM_STYLE == "distributed" ? "registers" : STAGE_RAM_STYLE;
    typedef logic [ADDRESS_BITS-1:0] address_t;

    fold_t fold;
    assign fold = s > 0 ? fold_q[BEFORE] : next_fold_q;
    always_ff @(posedge ap_clk) if (moves) fold_q[s] <= fold;

    for (genvar p = 0; p < PE; ++p) begin : lane
      (* rom_style = STAGE_RAM_STYLE, ram_style = ROM_RAM_STYLE *) logic [THRESHOLD_BITS-1:0] memory[WORDS];
      initial
        if (THRESHOLDS != "") $readmemh($sformatf("%s_%0d_%0d.dat", THRESHOLDS, s, p), memory, 0, WORDS - 1);

      always_ff @(posedge ap_clk)
        if (moves) begin
          automatic x_t x = x_q[BEFORE][p];
          automatic count_t count = known(count_q[BEFORE][p], threshold_q[BEFORE][p], x);
          if (s == 0) begin
            x = x_t'({IN_SIGNED && s_axis_tdata[(p+1)*IN_BITS-1], s_axis_tdata[p*IN_BITS+:IN_BITS]});
            count = '0;
          end
          threshold_q[s][p] <= threshold_t'(memory[address_t'(fold) << s | address_t'(count)]);
          x_q[s][p] <= x;
          count_q[s][p] <= count;
        end
    end
  end

  always_ff @(posedge ap_clk)
    if (moves)
      for (int unsigned p = 0; p < PE; ++p) begin
        automatic count_t count = known(count_q[STAGES-1][p], threshold_q[STAGES-1][p], x_q[STAGES-1][p]);
        m_axis_tdata[p*OUT_BITS+:OUT_BITS] <= OUT_BITS'(BIAS + int'(count));
      end

  always_ff @(posedge ap_clk) begin
    if (moves) valid_q <= {valid_q[STAGES-1:0], s_axis_tvalid};
    if (s_axis_tvalid && s_axis_tready)
      next_fold_q <= next_fold_q == fold_t'(FOLD - 1) ? '0 : next_fold_q + fold_t'(1);
    if (!ap_rst_n) begin
      valid_q <= '0;
      next_fold_q <= '0;
    end
  end
endmodule
