// Stream FIFO: DEPTH words of WIDTH bits, first word falls through.
//
// Latency 1 cycle, one word a cycle in and out at the same time. Both handshakes come from registers, so that it
// also cuts the combinational paths between two layers.
//
// Two words are two registers. More are a memory, which reads the word that will be at the head after the next
// edge; a word that is written in that very cycle has not reached its output yet and is taken from `bypass_q`.
module fifo #(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 2,
    parameter RAM_STYLE = "auto"  // auto, distributed, block, ultra
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
  if (WIDTH < 1) begin : check_width
    $fatal(1, "fifo: WIDTH = %0d must be at least 1", WIDTH);
  end
  if (DEPTH < 2) begin : check_depth
    $fatal(1, "fifo: DEPTH = %0d must be at least 2 for a word a cycle", DEPTH);
  end

  logic push, pop;
  assign push = s_axis_tvalid && s_axis_tready;
  assign pop  = m_axis_tvalid && m_axis_tready;

  // Nothing changes, and a simulation has nothing to do, while no word moves; but TREADY rises by itself after reset.
  logic active;
  assign active = push || pop || !s_axis_tready;

  if (DEPTH == 2) begin : g_registers
    logic [WIDTH-1:0] head_q, next_q;
    assign m_axis_tdata = head_q;

    always_ff @(posedge ap_clk) begin
      if (active) begin
        s_axis_tready <= !m_axis_tvalid || pop || (s_axis_tready && !push);
        m_axis_tvalid <= push || (m_axis_tvalid && (!pop || !s_axis_tready));
        if (pop || !m_axis_tvalid) head_q <= s_axis_tready ? s_axis_tdata : next_q;
        if (push) next_q <= s_axis_tdata;
      end
      if (!ap_rst_n) begin
        s_axis_tready <= 1'b0;
        m_axis_tvalid <= 1'b0;
      end
    end
  end else begin : g_memory
    localparam int unsigned ADDRESS_BITS = $clog2(DEPTH);
    localparam int unsigned COUNT_BITS = $clog2(DEPTH + 1);
    typedef logic [ADDRESS_BITS-1:0] address_t;
    typedef logic [COUNT_BITS-1:0] count_t;

    function automatic address_t successor(address_t address);
      return address == address_t'(DEPTH - 1) ? '0 : address + address_t'(1);
    endfunction

    (* ram_style = RAM_STYLE *) logic [WIDTH-1:0] memory[DEPTH];
    logic [WIDTH-1:0] head_q, bypass_q;
    logic use_bypass_q;
    address_t write_q, read_q, read_d;
    count_t count_q;

    assign read_d = pop ? successor(read_q) : read_q;
    assign m_axis_tdata = use_bypass_q ? bypass_q : head_q;

    always_ff @(posedge ap_clk) begin
      if (push) begin
        memory[write_q] <= s_axis_tdata;
        bypass_q <= s_axis_tdata;
      end
      if (push || pop) begin
        head_q <= memory[read_d];
        use_bypass_q <= push && write_q == read_d;
      end
    end

    always_ff @(posedge ap_clk) begin
      if (active) begin
        automatic count_t count = count_q + count_t'(push) - count_t'(pop);
        if (push) write_q <= successor(write_q);
        read_q <= read_d;
        count_q <= count;
        s_axis_tready <= count != count_t'(DEPTH);
        m_axis_tvalid <= count != '0;
      end
      if (!ap_rst_n) begin
        write_q <= '0;
        read_q <= '0;
        count_q <= '0;
        s_axis_tready <= 1'b0;
        m_axis_tvalid <= 1'b0;
      end
    end
  end
endmodule
