// Words of IN_BITS to words of OUT_BITS, any two widths, the same bits in the same order: lowest first.
//
// A buffer of units, the greatest common divisor of both widths:
//
//   |       | unit | unit | ... | unit |    `count_q` units, the next OUT_UNITS of which leave at the bottom
//           ^ a word of IN_UNITS enters here
//
// The word enters above what stays when an output word leaves in the same cycle, which must be less than an
// output word; so it can enter at OUT_UNITS places, and at one only if OUT_BITS divides IN_BITS.
//
// Latency 1 cycle from the input word that completes an output word. II of n bits:
// max(n / IN_BITS, n / OUT_BITS) cycles, with no bubble. Bits that do not fill a word wait for more.
module width_converter #(
    parameter int unsigned IN_BITS  = 24,
    parameter int unsigned OUT_BITS = 32
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [IN_BITS-1:0] s_axis_tdata,
    input  logic               s_axis_tvalid,
    output logic               s_axis_tready,

    output logic [OUT_BITS-1:0] m_axis_tdata,
    output logic                m_axis_tvalid,
    input  logic                m_axis_tready
);
  if (IN_BITS < 1 || OUT_BITS < 1) begin : check_bits
    $fatal(1, "width_converter: IN_BITS = %0d, OUT_BITS = %0d must be at least 1", IN_BITS, OUT_BITS);
  end

  function automatic int unsigned common_divisor(int unsigned a, int unsigned b);
    int unsigned rest;
    while (b != 0) begin
      rest = a % b;
      a = b;
      b = rest;
    end
    return a;
  endfunction

  localparam int unsigned UNIT_BITS = common_divisor(IN_BITS, OUT_BITS);
  localparam int unsigned IN_UNITS = IN_BITS / UNIT_BITS;
  localparam int unsigned OUT_UNITS = OUT_BITS / UNIT_BITS;
  localparam int unsigned UNITS = IN_UNITS + OUT_UNITS - 1;  // an input word on the most that may stay
  localparam int unsigned COUNT_BITS = $clog2(UNITS + 1);
  typedef logic [COUNT_BITS-1:0] count_t;
  typedef logic [UNITS*UNIT_BITS-1:0] units_t;

  units_t buffer_q;
  count_t count_q, stay;
  logic push, pop;

  assign m_axis_tdata = buffer_q[OUT_BITS-1:0];
  assign m_axis_tvalid = count_q >= count_t'(OUT_UNITS);
  assign pop = m_axis_tvalid && m_axis_tready;
  assign stay = pop ? count_q - count_t'(OUT_UNITS) : count_q;
  assign s_axis_tready = stay < count_t'(OUT_UNITS);
  assign push = s_axis_tvalid && s_axis_tready;

  // Units above those that count hold anything: every word is written over them, which saves multiplexers.
  always_ff @(posedge ap_clk)
    if (push || pop) begin
      automatic units_t word = '0;
      for (int unsigned place = 0; place < OUT_UNITS; ++place)
        if (stay == count_t'(place)) word = units_t'(s_axis_tdata) << (place * UNIT_BITS);
      if (pop) buffer_q <= buffer_q >> OUT_BITS;
      for (int unsigned unit = 0; unit < UNITS; ++unit)
        if (push && (unit >= OUT_UNITS || stay <= count_t'(unit)))
          buffer_q[unit*UNIT_BITS+:UNIT_BITS] <= word[unit*UNIT_BITS+:UNIT_BITS];
    end

  always_ff @(posedge ap_clk) begin
    count_q <= push ? stay + count_t'(IN_UNITS) : stay;
    if (!ap_rst_n) count_q <= '0;
  end
endmodule
