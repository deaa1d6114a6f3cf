// Watches every `fifo` of a simulated design: reports its transfers to the runtime (runtime.cpp) and asserts the
// rules of AXI-Stream on both sides. Bound from outside, so that the design stays what is synthesised.
module fifo_monitor #(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 2
) (
    input logic ap_clk,
    input logic ap_rst_n,
    input logic [WIDTH-1:0] s_axis_tdata,
    input logic s_axis_tvalid,
    input logic s_axis_tready,
    input logic [WIDTH-1:0] m_axis_tdata,
    input logic m_axis_tvalid,
    input logic m_axis_tready
);
  import "DPI-C" context function int tap_open(input string name, input int bits, input int depth);
  import "DPI-C" function int tap_captures();
  import "DPI-C" function void tap_data(input int tap, input int chunk, input int data);
  import "DPI-C" function void tap_transfer(input int tap, input int enters, input int leaves);

  localparam int unsigned CHUNKS = (WIDTH + 31) / 32;
  typedef logic [32*CHUNKS-1:0] chunks_t;

  int tap;
  bit captures;
  initial tap = tap_open($sformatf("%m"), int'(WIDTH), int'(DEPTH));

  chunks_t data;
  assign data = chunks_t'(s_axis_tdata);

  always_ff @(posedge ap_clk)
    if (!ap_rst_n) captures <= tap_captures() != 0;
    else if ((s_axis_tvalid && s_axis_tready) || (m_axis_tvalid && m_axis_tready)) begin
      tap_transfer(tap, int'(s_axis_tvalid && s_axis_tready), int'(m_axis_tvalid && m_axis_tready));
      if (captures && s_axis_tvalid && s_axis_tready)
        for (int unsigned i = 0; i < CHUNKS; ++i) tap_data(tap, int'(i), int'(data[32*i+:32]));
    end

  // A word that is offered stays, unchanged, until it is taken; without a reset in between.
  logic offered_q = 1'b0;
  logic [WIDTH-1:0] word_q;
  always_ff @(posedge ap_clk) begin
    offered_q <= ap_rst_n && s_axis_tvalid && !s_axis_tready;
    if (s_axis_tvalid && !s_axis_tready) word_q <= s_axis_tdata;
    if (ap_rst_n && offered_q) begin
      kept_valid : assert (s_axis_tvalid) else $fatal(1, "%m: TVALID fell before TREADY");
      kept_data : assert (s_axis_tdata == word_q) else $fatal(1, "%m: TDATA changed before TREADY");
    end
  end

  // An unused net: the monitor has the ports of the module that it is bound to.
  logic unused_tdata;
  assign unused_tdata = ^m_axis_tdata;
endmodule

bind fifo fifo_monitor #(.WIDTH(WIDTH), .DEPTH(DEPTH)) monitor (.*);
