// One stream to two: each output takes its copy of a word when it likes, the word is done when both have.
//
// So the faster output runs one word ahead at most. Latency 0: valid and ready pass through, the only state
// is which output has taken the word that stands at the input. One word a cycle.
module duplicate_streams #(
    parameter int unsigned WIDTH = 8
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [WIDTH-1:0] s_axis_tdata,
    input  logic             s_axis_tvalid,
    output logic             s_axis_tready,

    output logic [WIDTH-1:0] m_axis_0_tdata,
    output logic             m_axis_0_tvalid,
    input  logic             m_axis_0_tready,

    output logic [WIDTH-1:0] m_axis_1_tdata,
    output logic             m_axis_1_tvalid,
    input  logic             m_axis_1_tready
);
  if (WIDTH < 1) begin : check_width
    $fatal(1, "duplicate_streams: WIDTH = %0d must be at least 1", WIDTH);
  end

  logic taken_0_q, taken_1_q;  // before this cycle
  logic taken_0, taken_1;      // by the end of it

  assign taken_0 = taken_0_q || (m_axis_0_tvalid && m_axis_0_tready);
  assign taken_1 = taken_1_q || (m_axis_1_tvalid && m_axis_1_tready);

  assign m_axis_0_tdata = s_axis_tdata;
  assign m_axis_1_tdata = s_axis_tdata;
  assign m_axis_0_tvalid = s_axis_tvalid && !taken_0_q;
  assign m_axis_1_tvalid = s_axis_tvalid && !taken_1_q;
  // Without a look at s_axis_tvalid: an output that is ready will take the word when it comes.
  assign s_axis_tready = (taken_0_q || m_axis_0_tready) && (taken_1_q || m_axis_1_tready);

  always_ff @(posedge ap_clk) begin
    taken_0_q <= taken_0 && !s_axis_tready;
    taken_1_q <= taken_1 && !s_axis_tready;
    if (!ap_rst_n) begin
      taken_0_q <= 1'b0;
      taken_1_q <= 1'b0;
    end
  end
endmodule
