// Depthwise convolution on windows: a sum for each channel over the KERNEL taps of its own, PE channels and SIMD
// taps a cycle.
//
//   y[c] = sum over t < KERNEL of W[c][t] * x[t][c]
//
// A pixel comes as CHANNELS / PE groups of channels, each in SF = KERNEL / SIMD beats; element k * PE + p of beat f
// of group g is x[f * SIMD + k][g * PE + p]. A group leaves in one beat. W is signed; line g * SF + f of the file
// WEIGHTS is a word in hexadecimal that holds W[g * PE + p][f * SIMD + k] in the bits from
// (p * SIMD + k) * WEIGHT_BITS on.
//
// II SF * CHANNELS / PE cycles a pixel. A result is offered 3 + ceil(log4(SIMD)) cycles after its last beat.
module vvau #(
    parameter int unsigned CHANNELS = 1,
    parameter int unsigned KERNEL = 9,  // taps
    parameter int unsigned PE = 1,  // divides CHANNELS
    parameter int unsigned SIMD = 1,  // divides KERNEL
    parameter int unsigned ACT_BITS = 4,
    parameter bit ACT_SIGNED = 1'b0,
    parameter int unsigned WEIGHT_BITS = 4,
    parameter int unsigned ACC_BITS = 16,  // that hold every y; at most 32
    parameter bit DSP = 1'b1,  // 0: products are made of LUTs
    parameter WEIGHTS = "",  // memory file
    parameter RAM_STYLE = "auto"  // of the weights: auto, distributed, block
) (
    input logic ap_clk,
    input logic ap_rst_n,

    input  logic [PE*SIMD*ACT_BITS-1:0] s_axis_tdata,
    input  logic                        s_axis_tvalid,
    output logic                        s_axis_tready,

    output logic [PE*ACC_BITS-1:0] m_axis_tdata,
    output logic                   m_axis_tvalid,
    input  logic                   m_axis_tready
);
  if (KERNEL % SIMD != 0) begin : check_simd
    $fatal(1, "vvau: SIMD = %0d must divide KERNEL = %0d", SIMD, KERNEL);
  end
  if (CHANNELS % PE != 0) begin : check_pe
    $fatal(1, "vvau: PE = %0d must divide CHANNELS = %0d", PE, CHANNELS);
  end

  weighted_sums #(
      .PE(PE),
      .SIMD(SIMD),
      .LANES(PE),
      .STEPS(KERNEL / SIMD),
      .WORDS(KERNEL / SIMD * (CHANNELS / PE)),
      .ACT_BITS(ACT_BITS),
      .ACT_SIGNED(ACT_SIGNED),
      .WEIGHT_BITS(WEIGHT_BITS),
      .ACC_BITS(ACC_BITS),
      .DSP(DSP),
      .WEIGHTS(WEIGHTS),
      .RAM_STYLE(RAM_STYLE)
  ) weighted (
      .ap_clk,
      .ap_rst_n,
      .s_axis_tdata,
      .s_axis_tvalid,
      .s_axis_tready,
      .m_axis_tdata,
      .m_axis_tvalid,
      .m_axis_tready
  );
endmodule
