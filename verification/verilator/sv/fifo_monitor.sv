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

  localparam int unsigned CHUNKS = (WIDTH + 31) / 32;
  typedef logic [32*CHUNKS-1:0] chunks_t;

  // Words in and out since the last reset, and the most that were inside: the runtime reads them by name.
  longint unsigned entered /*verilator public_flat_rd*/;
  longint unsigned left  /*verilator public_flat_rd*/;
  longint unsigned peak  /*verilator public_flat_rd*/;
  int tap;
  bit captures;
  initial tap = tap_open($sformatf("%m"), int'(WIDTH), int'(DEPTH));

  logic push, pop;
  assign push = s_axis_tvalid && s_axis_tready;
  assign pop  = m_axis_tvalid && m_axis_tready;

  chunks_t data;
  assign data = chunks_t'(s_axis_tdata);

  // offered_q, word_q: a word that is offered stays, unchanged, until it is taken; without a reset in between.
  logic offered_q = 1'b0;
  logic [WIDTH-1:0] word_q;

  // One process, and nothing to do in it while nothing moves: there are hundreds of these.
  always_ff @(posedge ap_clk)
    if (!ap_rst_n) begin
      captures <= tap_captures() != 0;
      entered <= 0;
      left <= 0;
      peak <= 0;
      offered_q <= 1'b0;
    end else if (s_axis_tvalid || pop || offered_q) begin
      automatic longint unsigned inside_now = entered + 64'(push) - left - 64'(pop);
      entered <= entered + 64'(push);
      left <= left + 64'(pop);
      if (inside_now > peak) peak <= inside_now;
      if (captures && push)
        for (int unsigned i = 0; i < CHUNKS; ++i) tap_data(tap, int'(i), int'(data[32*i+:32]));

      offered_q <= s_axis_tvalid && !s_axis_tready;
      if (!s_axis_tready) word_q <= s_axis_tdata;
      if (offered_q) begin
        kept_valid : assert (s_axis_tvalid) else $fatal(1, "%m: TVALID fell before TREADY");
        kept_data : assert (s_axis_tdata == word_q) else $fatal(1, "%m: TDATA changed before TREADY");
      end
    end

  // An unused net: the monitor has the ports of the module that it is bound to.
  logic unused_tdata;
  assign unused_tdata = ^m_axis_tdata;
endmodule

bind fifo fifo_monitor #(.WIDTH(WIDTH), .DEPTH(DEPTH)) monitor (.*);
