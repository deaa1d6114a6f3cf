// PE dot products, each over SIMD activations a beat and one or more beats:
//
//   sums[p] = sum over beats and s of weights[p * SIMD + s] * activations[s * LANES + p % LANES]
//
// LANES is 1 where all PE see the same activations, and PE where each has its own. Weights are signed. Element i
// of a vector is in the bits from i times its width on. Sums are modulo 2**ACC_BITS: only results have to fit.
//
// A beat is taken whenever `valid` and `ready`; `first` and `last` mark the beats that begin and end a sum. II 1,
// latency 2 + ceil(log4(SIMD)): products, a tree that adds four terms a cycle, accumulators. A result waits in the
// output register while the next one is accumulated; only when that is done too does the pipeline stand still.
//
// Terms are ints with the PE side by side: synthesis drops the bits that nothing needs, and simulation adds four
// of them with one instruction. What packs several products into a DSP replaces this module and no other.
module dot_product #(
    parameter int unsigned PE = 1,
    parameter int unsigned SIMD = 1,
    parameter int unsigned LANES = 1,  // activations a product column: 1 or PE
    parameter int unsigned ACT_BITS = 4,
    parameter bit ACT_SIGNED = 1'b0,
    parameter int unsigned WEIGHT_BITS = 4,
    parameter int unsigned ACC_BITS = 16  // at most 32
) (
    input logic ap_clk,
    input logic ap_rst_n,

    input  logic [ PE*SIMD*WEIGHT_BITS-1:0] weights,
    input  logic [LANES*SIMD*ACT_BITS-1:0] activations,
    input  logic                            first,
    input  logic                            last,
    input  logic                            valid,
    output logic                            ready,

    output logic [PE*ACC_BITS-1:0] m_axis_tdata,
    output logic                   m_axis_tvalid,
    input  logic                   m_axis_tready
);
  if (LANES != 1 && LANES != PE) begin : check_lanes
    $fatal(1, "dot_product: LANES = %0d must be 1 or PE = %0d", LANES, PE);
  end
  if (ACC_BITS > 32) begin : check_accumulator
    $fatal(1, "dot_product: ACC_BITS = %0d must be at most 32", ACC_BITS);
  end

  localparam int unsigned LEVELS = ($clog2(SIMD) + 1) / 2;  // ceil(log4(SIMD))

  logic [LEVELS:0] valid_q, first_q, last_q;  // bit l: of the beat whose terms are in g_level[l]
  logic finish, blocked;
  int   accumulator_q[PE];

  assign finish = valid_q[LEVELS] && last_q[LEVELS];
  assign blocked = m_axis_tvalid && !m_axis_tready;
  assign ready = !(finish && blocked);

  always_ff @(posedge ap_clk) begin
    if (ready) begin
      valid_q <= (LEVELS + 1)'({valid_q, valid});
      first_q <= (LEVELS + 1)'({first_q, first});
      last_q  <= (LEVELS + 1)'({last_q, last});
    end
    m_axis_tvalid <= finish || blocked;
    if (!ap_rst_n) begin
      valid_q <= '0;
      m_axis_tvalid <= 1'b0;
    end
  end

  for (genvar level = 0; level <= LEVELS; level++) begin : g_level
    localparam int unsigned TERMS = (SIMD + 4 ** level - 1) / 4 ** level;
    int terms_q[TERMS*PE];

    if (level == 0) begin : g_products
      always_ff @(posedge ap_clk) begin
        if (ready && valid) begin
          automatic int products[TERMS*PE];
          for (int unsigned s = 0; s < SIMD; s++)
            for (int unsigned p = 0; p < PE; p++)
              products[s*PE+p] = 32'($signed(weights[(p*SIMD+s)*WEIGHT_BITS+:WEIGHT_BITS])) *
                  (ACT_SIGNED ? 32'($signed(activations[(s*LANES+p%LANES)*ACT_BITS+:ACT_BITS]))
                              : 32'(activations[(s*LANES+p%LANES)*ACT_BITS+:ACT_BITS]));
          terms_q <= products;
        end
      end
    end else begin : g_sums
      localparam int unsigned BELOW = (SIMD + 4 ** (level - 1) - 1) / 4 ** (level - 1);

      always_ff @(posedge ap_clk) begin
        if (ready && valid_q[level-1]) begin
          automatic int sums[TERMS*PE];
          for (int unsigned i = 0; i < TERMS * PE; i++) sums[i] = 0;
          for (int unsigned i = 0; i < BELOW; i++)
            for (int unsigned p = 0; p < PE; p++) sums[i/4*PE+p] += g_level[level-1].terms_q[i*PE+p];
          terms_q <= sums;
        end
      end
    end
  end

  always_ff @(posedge ap_clk) begin
    if (ready && valid_q[LEVELS]) begin
      automatic int sums[PE];
      for (int unsigned p = 0; p < PE; p++)
        sums[p] = g_level[LEVELS].terms_q[p] + (first_q[LEVELS] ? 0 : accumulator_q[p]);
      accumulator_q <= sums;
      if (last_q[LEVELS])
        for (int unsigned p = 0; p < PE; p++) m_axis_tdata[p*ACC_BITS+:ACC_BITS] <= ACC_BITS'(sums[p]);
    end
  end
endmodule
