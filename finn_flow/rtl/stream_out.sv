// Where the accelerator hands its results to a DMA: words of PE accumulators -> int32, OUT_BITS a beat.
//
// A frame has BEATS beats. TLAST is on the last beat of a frame whose word on s_last says so (see stream_in), and
// nowhere else. TKEEP is full.
//
// Latency 1 cycle from the word that completes a beat. II: BEATS cycles a frame, or its number of words where those
// are more.
module stream_out #(
    parameter int unsigned PE          = 1,
    parameter int unsigned ACC_BITS    = 16,
    parameter bit          ACC_SIGNED  = 1,
    parameter int unsigned OUT_BITS    = 32,
    parameter int unsigned BEATS       = 128
) (
    input  logic ap_clk,
    input  logic ap_rst_n,

    input  logic [PE*ACC_BITS-1:0] s_axis_tdata,
    input  logic                   s_axis_tvalid,
    output logic                   s_axis_tready,

    input  logic s_last_tdata,
    input  logic s_last_tvalid,
    output logic s_last_tready,

    output logic [  OUT_BITS-1:0] m_axis_tdata,
    output logic [OUT_BITS/8-1:0] m_axis_tkeep,
    output logic                  m_axis_tlast,
    output logic                  m_axis_tvalid,
    input  logic                  m_axis_tready
);
  if (ACC_BITS > 32) begin : check_acc_bits
    $fatal(1, "stream_out: ACC_BITS = %0d must be at most 32", ACC_BITS);
  end
  if (OUT_BITS % 32 != 0 || OUT_BITS == 0) begin : check_out_bits
    $fatal(1, "stream_out: OUT_BITS = %0d must be a multiple of 32", OUT_BITS);
  end
  if (BEATS < 1 || BEATS * OUT_BITS % (32 * PE) != 0) begin : check_frame
    $fatal(1, "stream_out: BEATS = %0d of %0d bits are not whole words of %0d", BEATS, OUT_BITS, 32 * PE);
  end

  localparam int unsigned COUNT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  typedef logic [COUNT_BITS-1:0] count_t;

  logic [PE*32-1:0] extended;
  count_t count_q;
  logic is_end, converter_valid, converter_ready, give;

  always_comb
    for (int unsigned p = 0; p < PE; ++p)
      extended[32*p+:32] = ACC_SIGNED
          ? 32'(signed'(s_axis_tdata[ACC_BITS*p+:ACC_BITS]))
          : 32'(s_axis_tdata[ACC_BITS*p+:ACC_BITS]);

  width_converter #(
      .IN_BITS (PE * 32),
      .OUT_BITS(OUT_BITS)
  ) converter (
      .ap_clk,
      .ap_rst_n,
      .s_axis_tdata (extended),
      .s_axis_tvalid,
      .s_axis_tready,
      .m_axis_tdata,
      .m_axis_tvalid(converter_valid),
      .m_axis_tready(converter_ready)
  );

  assign is_end = count_q == count_t'(BEATS - 1);
  assign m_axis_tvalid = converter_valid && (!is_end || s_last_tvalid);
  assign m_axis_tlast = is_end && s_last_tdata;
  assign m_axis_tkeep = '1;
  assign give = m_axis_tvalid && m_axis_tready;
  assign converter_ready = m_axis_tready && (!is_end || s_last_tvalid);
  assign s_last_tready = give && is_end;

  always_ff @(posedge ap_clk) begin
    if (give) count_q <= is_end ? '0 : count_q + count_t'(1);
    if (!ap_rst_n) count_q <= '0;
  end
endmodule
