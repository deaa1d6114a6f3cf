// Stands in for `fifo` (finn_flow/rtl/fifo.sv) in studies of its depth: the same behaviour cycle for cycle, with a
// capacity that the runtime sets at each reset, up to DEPTH. fifo_monitor.sv watches it like the real one.
module fifo #(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 2,
    parameter RAM_STYLE = "auto"
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [WIDTH-1:0] s_axis_tdata,
    input  logic             s_axis_tvalid,
    output logic             s_axis_tready,

    output logic [WIDTH-1:0] m_axis_tdata,
    output logic             m_axis_tvalid,
    input  logic             m_axis_tready
);
  import "DPI-C" context function int tap_limit_of(input string name, input int depth);

  localparam int unsigned ADDRESS_BITS = $clog2(DEPTH);
  localparam string UNUSED_STYLE = RAM_STYLE;
  typedef logic [ADDRESS_BITS-1:0] address_t;

  logic [WIDTH-1:0] memory[2**ADDRESS_BITS];
  logic [WIDTH-1:0] head_q;
  address_t write_q, read_q;
  int unsigned count_q, limit_q;
  logic push, pop;

  assign push = s_axis_tvalid && s_axis_tready;
  assign pop = m_axis_tvalid && m_axis_tready;
  assign m_axis_tdata = head_q;

  always_ff @(posedge ap_clk)
    if (!ap_rst_n) begin
      write_q <= '0;
      read_q <= '0;
      count_q <= 0;
      s_axis_tready <= 1'b0;
      m_axis_tvalid <= 1'b0;
      limit_q <= unsigned'(tap_limit_of($sformatf("%m"), int'(DEPTH)));
    end else begin
      if (push || pop) begin
        automatic int unsigned count = count_q + 32'(push) - 32'(pop);
        count_q <= count;
        m_axis_tvalid <= count != 0;
        if (push) begin
          memory[write_q] <= s_axis_tdata;
          write_q <= write_q + 1'b1;
        end
        if (pop) read_q <= read_q + 1'b1;
        if (push && count_q == 32'(pop)) head_q <= s_axis_tdata;
        else if (pop) head_q <= memory[address_t'(read_q+1'b1)];
        s_axis_tready <= count < limit_q;
      end else s_axis_tready <= count_q < limit_q;
    end
endmodule
