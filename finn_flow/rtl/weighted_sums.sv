// Streams of activations in, PE sums a STEPS beats out, with weights from a ROM that is read once through:
//
//   m[p] = sum over STEPS beats and SIMD activations a beat of weight * activation (lanes as in dot_product.sv)
//
// The ROM has WORDS words, a multiple of STEPS, one for each beat, and starts over after the last. A line of the
// file WEIGHTS is a word in hexadecimal, weight p * SIMD + s in its bits from (p * SIMD + s) * WEIGHT_BITS on.
//
// II 1 beat, STEPS cycles a result; a result is offered 3 + ceil(log4(SIMD)) cycles after its last beat.
module weighted_sums #(
    parameter int unsigned PE = 1,
    parameter int unsigned SIMD = 1,
    parameter int unsigned LANES = 1,  // 1: all PE see the same activations, PE: each its own
    parameter int unsigned STEPS = 1,
    parameter int unsigned WORDS = 1,
    parameter int unsigned ACT_BITS = 4,
    parameter bit ACT_SIGNED = 1'b0,
    parameter int unsigned WEIGHT_BITS = 4,
    parameter int unsigned ACC_BITS = 16,
    parameter bit DSP = 1'b1,  // 0: products are made of LUTs
    parameter WEIGHTS = "",  // memory file
    parameter RAM_STYLE = "auto"  // auto, distributed, block
) (
    input logic ap_clk,
    input logic ap_rst_n,

    input  logic [LANES*SIMD*ACT_BITS-1:0] s_axis_tdata,
    input  logic                           s_axis_tvalid,
    output logic                           s_axis_tready,

    output logic [PE*ACC_BITS-1:0] m_axis_tdata,
    output logic                   m_axis_tvalid,
    input  logic                   m_axis_tready
);
  if (STEPS < 1 || WORDS < STEPS || WORDS % STEPS != 0) begin : check_words
    $fatal(1, "weighted_sums: WORDS = %0d must be a multiple of STEPS = %0d", WORDS, STEPS);
  end

  localparam int unsigned ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int unsigned STEP_BITS = STEPS > 1 ? $clog2(STEPS) : 1;
  typedef logic [ADDRESS_BITS-1:0] address_t;
  typedef logic [STEP_BITS-1:0] step_t;

  // Vivado reads rom_style of a ROM. Yosys reads ram_style before it, and calls LUTs that are only read registers.
  localparam string ASKED = RAM_STYLE;
  localparam string ROM_RAM_STYLE = ASKED == "distributed" ? "registers" : ASKED;
  (* rom_style = RAM_STYLE, ram_style = ROM_RAM_STYLE *) logic [PE*SIMD*WEIGHT_BITS-1:0] rom[WORDS];
  initial if (WEIGHTS != "") $readmemh(WEIGHTS, rom, 0, WORDS - 1);

  address_t address_q;
  step_t step_q;
  logic [PE*SIMD*WEIGHT_BITS-1:0] weights_q;
  logic [LANES*SIMD*ACT_BITS-1:0] activations_q;
  logic valid_q, first_q, last_q, take, last;

  assign take = s_axis_tvalid && s_axis_tready;
  assign last = step_q == step_t'(STEPS - 1);

  always_ff @(posedge ap_clk) begin
    if (take) begin
      weights_q <= rom[address_q];
      activations_q <= s_axis_tdata;
    end
  end

  always_ff @(posedge ap_clk) begin
    if (s_axis_tready) valid_q <= s_axis_tvalid;
    if (take) begin
      first_q <= step_q == '0;
      last_q <= last;
      step_q <= last ? '0 : step_q + step_t'(1);
      address_q <= address_q == address_t'(WORDS - 1) ? '0 : address_q + address_t'(1);
    end
    if (!ap_rst_n) begin
      valid_q <= 1'b0;
      step_q <= '0;
      address_q <= '0;
    end
  end

  dot_product #(
      .PE(PE),
      .SIMD(SIMD),
      .LANES(LANES),
      .ACT_BITS(ACT_BITS),
      .ACT_SIGNED(ACT_SIGNED),
      .WEIGHT_BITS(WEIGHT_BITS),
      .ACC_BITS(ACC_BITS),
      .DSP(DSP)
  ) dot_products (
      .ap_clk,
      .ap_rst_n,
      .weights(weights_q),
      .activations(activations_q),
      .first(first_q),
      .last(last_q),
      .valid(valid_q),
      .ready(s_axis_tready),
      .m_axis_tdata,
      .m_axis_tvalid,
      .m_axis_tready
  );
endmodule
