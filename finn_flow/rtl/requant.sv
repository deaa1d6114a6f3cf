// Re-quantisation of CHANNELS channels, PE a cycle (finn_flow/ops/requant.py):
//
//   y = clamp((x * scale[c] + (bias[c] << BIAS_SHIFT)) >>> (SHIFT + shift[c]), OUT_MIN, OUT_MAX)    >>> rounds down
//
// Channels come PE a word, lane p of word f is channel f * PE + p; CHANNELS / PE words a pixel. PARAMETERS
// is a $readmemh file with a line per word f, lane p in bits p * LANE_BITS and up:
//
//   | shift (SHIFT_BITS, unsigned) | bias (BIAS_BITS, signed) | scale (SCALE_BITS) |     LANE_BITS in all
//
// One shift for all channels (SHIFT_BITS = 0) needs no shifter: (scale, bias, shift) and (2 scale, 2 bias,
// shift + 1) are the same function, and a multiplier of a DSP takes a wider scale for nothing.
//
// Latency 5 cycles, one word a cycle. The multiply-add has the registers of a DSP48 (A, B, C, M, P).
module requant #(
    parameter int unsigned CHANNELS = 4,
    parameter int unsigned PE = 2,
    parameter int unsigned IN_BITS = 12,
    parameter bit IN_SIGNED = 1'b1,
    parameter int unsigned OUT_BITS = 4,
    parameter bit OUT_SIGNED = 1'b0,  // OUT_MIN..OUT_MAX are the range of OUT_BITS, signed or not
    parameter int unsigned SCALE_BITS = 8,
    parameter bit SCALE_SIGNED = 1'b0,
    parameter int unsigned BIAS_BITS = 16,
    parameter int unsigned BIAS_SHIFT = 0,
    parameter int unsigned SHIFT_BITS = 4,
    parameter int unsigned SHIFT = 0,
    parameter PARAMETERS = "",  // memory file
    parameter RAM_STYLE = "auto"  // auto, distributed, block
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
    $fatal(1, "requant: CHANNELS = %0d must be a multiple of PE = %0d", CHANNELS, PE);
  end
  if (IN_BITS < 1 || OUT_BITS < 1 || SCALE_BITS < 1 || BIAS_BITS < 1) begin : check_bits
    $fatal(1, "requant: IN_BITS = %0d, OUT_BITS = %0d, SCALE_BITS = %0d, BIAS_BITS = %0d must be at least 1",
           IN_BITS, OUT_BITS, SCALE_BITS, BIAS_BITS);
  end

  localparam int unsigned FOLD = CHANNELS / PE;
  localparam int unsigned FOLD_BITS = FOLD > 1 ? $clog2(FOLD) : 1;
  localparam int unsigned LANE_BITS = SCALE_BITS + BIAS_BITS + SHIFT_BITS;
  localparam int unsigned STAGES = 5;
  // Signed from here on: an unsigned operand gets a sign bit.
  localparam int unsigned X_BITS = IN_BITS + 32'(!IN_SIGNED);
  localparam int unsigned MULTIPLIER_BITS = SCALE_BITS + 32'(!SCALE_SIGNED);
  localparam int unsigned PRODUCT_BITS = X_BITS + MULTIPLIER_BITS;
  localparam int unsigned ADDEND_BITS = BIAS_BITS + BIAS_SHIFT;
  localparam int unsigned SUM_BITS = (PRODUCT_BITS > ADDEND_BITS ? PRODUCT_BITS : ADDEND_BITS) + 1;
  localparam int unsigned MAGNITUDE_BITS = OUT_BITS - 32'(OUT_SIGNED);

  typedef logic [FOLD_BITS-1:0] fold_t;
  typedef logic [LANE_BITS-1:0] lane_t;
  typedef logic [(SHIFT_BITS > 0 ? SHIFT_BITS : 1)-1:0] shift_t;
  typedef logic signed [X_BITS-1:0] x_t;
  typedef logic signed [MULTIPLIER_BITS-1:0] multiplier_t;
  typedef logic signed [BIAS_BITS-1:0] bias_t;
  typedef logic signed [PRODUCT_BITS-1:0] product_t;
  typedef logic signed [SUM_BITS-1:0] sum_t;
  typedef logic [OUT_BITS-1:0] out_t;

  function automatic out_t clamp(sum_t value);
    sum_t above = value >>> MAGNITUDE_BITS;  // 0 (or, of a negative number that fits, -1)
    out_t limit = {OUT_BITS{!value[SUM_BITS-1]}};
    if (OUT_SIGNED) limit[OUT_BITS-1] = value[SUM_BITS-1];
    return above == '0 || (OUT_SIGNED && above == '1) ? out_t'(value) : limit;
  endfunction

  // Vivado reads rom_style of a ROM. Yosys reads ram_style before it, and calls LUTs that are only read registers.
  localparam string ASKED = RAM_STYLE;
  localparam string ROM_RAM_STYLE = ASKED == "distributed" ? "registers" : ASKED;
  (* rom_style = RAM_STYLE, ram_style = ROM_RAM_STYLE *) logic [PE*LANE_BITS-1:0] memory[FOLD];
  initial if (PARAMETERS != "") $readmemh(PARAMETERS, memory, 0, FOLD - 1);

  logic [STAGES-1:0] valid_q;
  logic moves;
  fold_t fold_q;
  logic [PE*LANE_BITS-1:0] word_q;

  assign s_axis_tready = !m_axis_tvalid || m_axis_tready;
  assign m_axis_tvalid = valid_q[STAGES-1];
  assign moves = s_axis_tready && (s_axis_tvalid || valid_q != '0);

  always_ff @(posedge ap_clk) if (moves) word_q <= memory[fold_q];

  for (genvar p = 0; p < PE; ++p) begin : g_lane  // scalars: a simulator copies arrays
    lane_t lane;
    x_t x_q;
    product_t product_q;
    bias_t bias_q;
    shift_t product_shift_q, sum_shift_q;
    sum_t sum_q, shifted_q;
    out_t out_q;

    assign lane = word_q[p*LANE_BITS+:LANE_BITS];
    assign m_axis_tdata[p*OUT_BITS+:OUT_BITS] = out_q;

    always_ff @(posedge ap_clk)
      if (moves) begin
        x_q <= x_t'({!IN_SIGNED ? 1'b0 : s_axis_tdata[(p+1)*IN_BITS-1], s_axis_tdata[p*IN_BITS+:IN_BITS]});
        product_q <= x_q * multiplier_t'({SCALE_SIGNED && lane[SCALE_BITS-1], lane[SCALE_BITS-1:0]});
        bias_q <= bias_t'(lane[SCALE_BITS+:BIAS_BITS]);
        product_shift_q <= shift_t'(lane >> (SCALE_BITS + BIAS_BITS));
        sum_q <= sum_t'(product_q) + (sum_t'(bias_q) <<< BIAS_SHIFT);
        sum_shift_q <= product_shift_q;
        shifted_q <= (sum_q >>> SHIFT) >>> sum_shift_q;
        out_q <= clamp(shifted_q);
      end
  end

  always_ff @(posedge ap_clk) begin
    if (moves) valid_q <= {valid_q[STAGES-2:0], s_axis_tvalid};
    if (s_axis_tvalid && s_axis_tready) fold_q <= fold_q == fold_t'(FOLD - 1) ? '0 : fold_q + fold_t'(1);
    if (!ap_rst_n) begin
      valid_q <= '0;
      fold_q <= '0;
    end
  end
endmodule
