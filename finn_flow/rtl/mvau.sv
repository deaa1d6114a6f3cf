// Matrix times vector: MH sums over MW activations, PE sums and SIMD activations a cycle.
//
//   y[n * PE + p] = sum over i < MW of W[n * PE + p][i] * x[i]          n < NF = MH / PE
//
// A vector comes in SF = MW / SIMD beats, element s of beat f is x[f * SIMD + s]. It is kept while the first PE
// sums are made from it, and replayed NF - 1 times for the others, which leave in NF beats. W is signed; line
// n * SF + f of the file WEIGHTS is a word in hexadecimal that holds W[n * PE + p][f * SIMD + s] in the bits from
// (p * SIMD + s) * WEIGHT_BITS on.
//
// II SF * NF cycles a vector. A result is offered 3 + ceil(log4(SIMD)) cycles after its last beat.
module mvau #(
    parameter int unsigned MW = 1,  // inputs
    parameter int unsigned MH = 1,  // outputs
    parameter int unsigned PE = 1,  // divides MH
    parameter int unsigned SIMD = 1,  // divides MW
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

    input  logic [SIMD*ACT_BITS-1:0] s_axis_tdata,
    input  logic                     s_axis_tvalid,
    output logic                     s_axis_tready,

    output logic [PE*ACC_BITS-1:0] m_axis_tdata,
    output logic                   m_axis_tvalid,
    input  logic                   m_axis_tready
);
  if (MW % SIMD != 0) begin : check_simd
    $fatal(1, "mvau: SIMD = %0d must divide MW = %0d", SIMD, MW);
  end
  if (MH % PE != 0) begin : check_pe
    $fatal(1, "mvau: PE = %0d must divide MH = %0d", PE, MH);
  end

  localparam int unsigned SF = MW / SIMD;
  localparam int unsigned NF = MH / PE;

  logic [SIMD*ACT_BITS-1:0] beat;
  logic beat_valid, beat_ready;

  if (NF == 1) begin : g_once
    assign beat = s_axis_tdata;
    assign beat_valid = s_axis_tvalid;
    assign s_axis_tready = beat_ready;
  end else begin : g_replay
    localparam int unsigned STEP_BITS = SF > 1 ? $clog2(SF) : 1;
    localparam int unsigned PASS_BITS = $clog2(NF);
    typedef logic [STEP_BITS-1:0] step_t;
    typedef logic [PASS_BITS-1:0] pass_t;

    (* ram_style = "distributed" *) logic [SIMD*ACT_BITS-1:0] vector[SF];
    step_t step_q;
    pass_t pass_q;
    logic loads_q, take, last_step, last_pass;  // loads_q: pass_q == 0

    assign beat = loads_q ? s_axis_tdata : vector[step_q];
    assign beat_valid = s_axis_tvalid || !loads_q;
    assign s_axis_tready = beat_ready && loads_q;
    assign take = beat_valid && beat_ready;
    assign last_step = step_q == step_t'(SF - 1);
    assign last_pass = pass_q == pass_t'(NF - 1);

    always_ff @(posedge ap_clk) begin
      if (take && loads_q) vector[step_q] <= s_axis_tdata;
    end

    always_ff @(posedge ap_clk) begin
      if (take) step_q <= last_step ? '0 : step_q + step_t'(1);
      if (take && last_step) begin
        pass_q  <= last_pass ? '0 : pass_q + pass_t'(1);
        loads_q <= last_pass;
      end
      if (!ap_rst_n) begin
        step_q  <= '0;
        pass_q  <= '0;
        loads_q <= 1'b1;
      end
    end
  end

  weighted_sums #(
      .PE(PE),
      .SIMD(SIMD),
      .LANES(1),
      .STEPS(SF),
      .WORDS(SF * NF),
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
      .s_axis_tdata (beat),
      .s_axis_tvalid(beat_valid),
      .s_axis_tready(beat_ready),
      .m_axis_tdata,
      .m_axis_tvalid,
      .m_axis_tready
  );
endmodule
