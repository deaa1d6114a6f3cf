// Sum of two streams, element by element, PE lanes a word:
//
//   y = x0 + x1, its OUT_BITS lowest bits
//
// A word of each is taken in the same cycle: the ready of one stream waits for the valid of the other.
// Latency 1 cycle, one word a cycle.
module elementwise_add #(
    parameter int unsigned PE = 2,
    parameter int unsigned IN0_BITS = 4,
    parameter bit IN0_SIGNED = 1'b0,
    parameter int unsigned IN1_BITS = 4,
    parameter bit IN1_SIGNED = 1'b1,
    parameter int unsigned OUT_BITS = 6  // two's complement, or unsigned if the sum cannot be negative
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [PE*IN0_BITS-1:0] s_axis_0_tdata,
    input  logic                   s_axis_0_tvalid,
    output logic                   s_axis_0_tready,

    input  logic [PE*IN1_BITS-1:0] s_axis_1_tdata,
    input  logic                   s_axis_1_tvalid,
    output logic                   s_axis_1_tready,

    output logic [PE*OUT_BITS-1:0] m_axis_tdata,
    output logic                   m_axis_tvalid,
    input  logic                   m_axis_tready
);
  if (PE < 1 || IN0_BITS < 1 || IN1_BITS < 1 || OUT_BITS < 1) begin : check_bits
    $fatal(1, "elementwise_add: PE = %0d, IN0_BITS = %0d, IN1_BITS = %0d, OUT_BITS = %0d must be at least 1",
           PE, IN0_BITS, IN1_BITS, OUT_BITS);
  end

  // Signed from here on: a sign bit for an unsigned operand, and one bit more for the sum.
  localparam int unsigned IN_BITS = IN0_BITS > IN1_BITS ? IN0_BITS : IN1_BITS;
  localparam int unsigned SUM_BITS = (IN_BITS + 2 > OUT_BITS) ? IN_BITS + 2 : OUT_BITS;
  typedef logic signed [IN0_BITS:0] in0_t;
  typedef logic signed [IN1_BITS:0] in1_t;
  typedef logic signed [SUM_BITS-1:0] sum_t;

  logic free, take;

  assign free = !m_axis_tvalid || m_axis_tready;
  assign take = s_axis_0_tvalid && s_axis_1_tvalid && free;
  assign s_axis_0_tready = s_axis_1_tvalid && free;
  assign s_axis_1_tready = s_axis_0_tvalid && free;

  always_ff @(posedge ap_clk)
    if (take)
      for (int unsigned p = 0; p < PE; ++p) begin
        automatic in0_t x0 =
            in0_t'({IN0_SIGNED && s_axis_0_tdata[(p+1)*IN0_BITS-1], s_axis_0_tdata[p*IN0_BITS+:IN0_BITS]});
        automatic in1_t x1 =
            in1_t'({IN1_SIGNED && s_axis_1_tdata[(p+1)*IN1_BITS-1], s_axis_1_tdata[p*IN1_BITS+:IN1_BITS]});
        m_axis_tdata[p*OUT_BITS+:OUT_BITS] <= OUT_BITS'(sum_t'(x0) + sum_t'(x1));
      end

  always_ff @(posedge ap_clk) begin
    if (free) m_axis_tvalid <= take;
    if (!ap_rst_n) m_axis_tvalid <= 1'b0;
  end
endmodule
