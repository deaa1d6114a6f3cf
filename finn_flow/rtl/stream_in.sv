// Where the accelerator takes its frames from a DMA: IN_BITS of packed bytes a beat -> words of OUT_BITS.
//
// A frame has BEATS beats and is whole words, so that none holds parts of two frames. TLAST ends a batch: only the
// last beat of a frame may carry it; whether it does goes out on m_last, one word a frame, for stream_out to end the
// output's batch with. TKEEP is full by contract.
//
// Latency 1 cycle from the beat that completes a word. II: BEATS cycles a frame, or its number of words where those
// are more.
module stream_in #(
    parameter int unsigned IN_BITS  = 32,
    parameter int unsigned OUT_BITS = 24,
    parameter int unsigned BEATS    = 9408
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [  IN_BITS-1:0] s_axis_tdata,
    input  logic [IN_BITS/8-1:0] s_axis_tkeep,
    input  logic                 s_axis_tlast,
    input  logic                 s_axis_tvalid,
    output logic                 s_axis_tready,

    output logic [OUT_BITS-1:0] m_axis_tdata,
    output logic                m_axis_tvalid,
    input  logic                m_axis_tready,

    output logic m_last_tdata,
    output logic m_last_tvalid,
    input  logic m_last_tready
);
  if (IN_BITS < 8 || IN_BITS % 8 != 0) begin : check_in_bits
    $fatal(1, "stream_in: IN_BITS = %0d must be a multiple of 8", IN_BITS);
  end
  if (BEATS < 1) begin : check_beats
    $fatal(1, "stream_in: BEATS = %0d must be at least 1", BEATS);
  end
  // Else the rest of a frame would be taken for the beginning of the next.
  if (BEATS * IN_BITS % OUT_BITS != 0) begin : check_frame
    $fatal(1, "stream_in: BEATS = %0d of %0d bits are not whole words of %0d", BEATS, IN_BITS, OUT_BITS);
  end

  localparam int unsigned COUNT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  typedef logic [COUNT_BITS-1:0] count_t;

  count_t count_q;
  logic is_end, free, take, converter_ready;

  // The word on m_last waits in a register; the end of the next frame waits for it to leave.
  assign is_end = count_q == count_t'(BEATS - 1);
  assign free = !is_end || !m_last_tvalid;
  assign s_axis_tready = converter_ready && free;
  assign take = s_axis_tvalid && s_axis_tready;

  width_converter #(
      .IN_BITS (IN_BITS),
      .OUT_BITS(OUT_BITS)
  ) converter (
      .ap_clk,
      .ap_rst_n,
      .s_axis_tdata,
      .s_axis_tvalid(s_axis_tvalid && free),
      .s_axis_tready(converter_ready),
      .m_axis_tdata,
      .m_axis_tvalid,
      .m_axis_tready
  );

  always_ff @(posedge ap_clk) begin
    if (m_last_tready) m_last_tvalid <= 1'b0;
    if (take) begin
      count_q <= is_end ? '0 : count_q + count_t'(1);
      if (is_end) begin
        m_last_tvalid <= 1'b1;
        m_last_tdata  <= s_axis_tlast;
      end
    end
    if (!ap_rst_n) begin
      count_q <= '0;
      m_last_tvalid <= 1'b0;
    end
  end

  logic unused_tkeep;
  assign unused_tkeep = &s_axis_tkeep;
endmodule
