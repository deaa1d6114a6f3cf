// See rom.txt.
module \$__LUT_ROM_ (...);
  parameter INIT = 0;
  parameter OPTION_ABITS = 6;
  parameter WIDTH = 1;
  input [OPTION_ABITS-1:0] PORT_R_ADDR;
  output [WIDTH-1:0] PORT_R_RD_DATA;

  localparam LUTS = 1 << (OPTION_ABITS - 6);
  wire [LUTS-1:0] low;
  wire [(LUTS > 1 ? LUTS/2 : 1)-1:0] middle;

  generate
    genvar i;
    for (i = 0; i < LUTS; i = i + 1) begin : lut
      LUT6 #(.INIT(INIT[i*64+:64])) rom (
          .I0(PORT_R_ADDR[0]), .I1(PORT_R_ADDR[1]), .I2(PORT_R_ADDR[2]),
          .I3(PORT_R_ADDR[3]), .I4(PORT_R_ADDR[4]), .I5(PORT_R_ADDR[5]), .O(low[i])
      );
    end
    for (i = 0; i < LUTS / 2; i = i + 1) begin : f7
      MUXF7 mux (.I0(low[2*i]), .I1(low[2*i+1]), .S(PORT_R_ADDR[6]), .O(middle[i]));
    end
    if (LUTS == 4) begin : f8
      MUXF8 mux (.I0(middle[0]), .I1(middle[1]), .S(PORT_R_ADDR[7]), .O(PORT_R_RD_DATA[0]));
    end else if (LUTS == 2) begin : pair
      assign PORT_R_RD_DATA[0] = middle[0];
    end else begin : one
      assign PORT_R_RD_DATA[0] = low[0];
    end
  endgenerate
endmodule
