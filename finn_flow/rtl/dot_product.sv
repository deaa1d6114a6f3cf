// PE dot products, each over SIMD activations a beat and one or more beats:
//
//   sums[p] = sum over beats and s of weights[p * SIMD + s] * activations[s * LANES + p % LANES]
//
// LANES is 1 where all PE see the same activations, and PE where each has its own. Weights are signed. Element i
// of a vector is in the bits from i times its width on. Sums are modulo 2**ACC_BITS: only results have to fit.
//
// A beat is taken whenever `valid` and `ready`; `first` and `last` mark the beats that begin and end a sum. II 1,
// latency 2 + ceil(log4(SIMD)): products, a tree that adds four terms a cycle, accumulators. A result waits in the
// output register while the next one is accumulated; only when that is done too does the pipeline stand still.
//
// With DSP = 0, products are made of LUTs: sums of shifted operands or, up to the 6 inputs of a LUT, a table, whose
// products are added in pairs before their register. With DSP = 1 they are multiplications, for the DSP48s. One with
// LANES = 1 makes the products of an activation and PACKED weights at once, those of every COLUMNS-th PE: its wide
// operand has a weight every FIELD bits. All but the top one are biased by 2**(WEIGHT_BITS-1), which makes them
// positive, so that wires alone pack them. A product may have a bit more than its field: the carry into the next one
// (0 or 1; 0 or -1 if activations are signed), which shows in the parity of that field. Fields F, carries C and
// activations A are added apart, and
//
//   sum of PE p = F[p] + 2**FIELD * C[p + COLUMNS] - C[p] - 2**(WEIGHT_BITS-1) * A
//
// without 2**FIELD * C and A in the top field, without C[p] in the lowest. Where fields have room for that bit, there
// are no carries.
//
// Terms are ints side by side: synthesis drops the bits that nothing needs, and simulation adds several of them with
// one instruction; fields are added two to an int first, and all carries of a product are in one.
module dot_product #(
    parameter int unsigned PE = 1,
    parameter int unsigned SIMD = 1,
    parameter int unsigned LANES = 1,  // activations a product column: 1 or PE
    parameter int unsigned ACT_BITS = 4,
    parameter bit ACT_SIGNED = 1'b0,
    parameter int unsigned WEIGHT_BITS = 4,
    parameter int unsigned ACC_BITS = 16,  // at most 32
    parameter bit DSP = 1'b1  // 0: products are made of LUTs
) (
    input logic ap_clk,
    input logic ap_rst_n,

    input  logic [ PE*SIMD*WEIGHT_BITS-1:0] weights,
    input  logic [LANES*SIMD*ACT_BITS-1:0] activations,
    input  logic                            first,
    input  logic                            last,
    input  logic                            valid,
    output logic                            ready,

    output logic [PE*ACC_BITS-1:0] m_axis_tdata,
    output logic                   m_axis_tvalid,
    input  logic                   m_axis_tready
);
  if (LANES != 1 && LANES != PE) begin : check_lanes
    $fatal(1, "dot_product: LANES = %0d must be 1 or PE = %0d", LANES, PE);
  end
  if (ACC_BITS > 32) begin : check_accumulator
    $fatal(1, "dot_product: ACC_BITS = %0d must be at most 32", ACC_BITS);
  end

  function automatic int larger(int a, int b);
    return a > b ? a : b;
  endfunction

  function automatic int smaller(int a, int b);
    return a < b ? a : b;
  endfunction

  // What fits in the wide operand of a DSP48E1, 25 bits (the 27 of a DSP48E2 hold hardly ever more), and in an int as
  // a sum of four, with fields for a product but for its top bit and for a count of SIMD carries; wider if there is room.
  localparam int PRODUCT_BITS = int'(WEIGHT_BITS + ACT_BITS), ROOM = 25 - int'(WEIGHT_BITS);
  localparam int LEAST_FIELD = larger(PRODUCT_BITS - 1, $clog2(SIMD + 1));
  localparam int FIT = smaller(1 + ROOM / LEAST_FIELD, larger(29 / LEAST_FIELD, smaller(31 / LEAST_FIELD, 2)));
  localparam int MOST = DSP && LANES == 1 ? larger(FIT, 1) : 1;
  localparam int FIELD = larger(LEAST_FIELD, smaller(ROOM / larger(MOST - 1, 1), PRODUCT_BITS));
  localparam bit CARRY = ACT_SIGNED || FIELD < PRODUCT_BITS;
  localparam int COLUMNS = (int'(PE) + MOST - 1) / MOST;
  localparam int PACKED = (int'(PE) + COLUMNS - 1) / COLUMNS, TOP = PACKED - 1;
  localparam int FIELDS = PACKED * COLUMNS;
  localparam int SUMS = PACKED > 1 ? FIELDS + COLUMNS + 1 : FIELDS;  // fields, words of carries, activations
  localparam int GROUPS = (int'(SIMD) + 3) / 4;
  localparam int LEVELS = ($clog2(SIMD) + 1) / 2;  // ceil(log4(SIMD))

  function automatic int in_fields(int value, int lowest, int highest, int step);
    int word = 0;
    for (int i = lowest; i <= highest; i += step) word |= value << i * FIELD;
    return word;
  endfunction

  function automatic int every_other(int bits, int top);  // field up to the top one, of which the sign belongs to it
    return in_fields((1 << bits) - 1, 0, top - 1, 2) | (top >= 0 && top % 2 == 0 ? -1 << top * FIELD : 0);
  endfunction

  localparam bit TABULATED = !DSP && PRODUCT_BITS <= 6;
  localparam int FIELD_MASK = (1 << FIELD) - 1;
  localparam int BIASES = in_fields(1 << (WEIGHT_BITS - 1), 0, TOP - 1, 1);
  localparam int PARITIES = CARRY ? in_fields(1, 1, TOP, 1) : 0;
  localparam int EVEN = every_other(FIELD, TOP), ODD = every_other(FIELD, TOP - 1);  // of two and of four:
  localparam int EVEN_2 = every_other(FIELD + 1, TOP), ODD_2 = every_other(FIELD + 1, TOP - 1);
  localparam int SUM_MASK = (1 << (FIELD + 2)) - 1;

  typedef logic signed [TOP*FIELD+WEIGHT_BITS-1:0] operand_t;
  typedef int four_t[4];

  logic [LEVELS:0] valid_q, first_q, last_q;  // bit l: of the beat whose terms are in g_level[l]
  logic finish, blocked;
  logic [ACC_BITS-1:0] accumulator_q[PE];

  assign finish = valid_q[LEVELS] && last_q[LEVELS];
  assign blocked = m_axis_tvalid && !m_axis_tready;
  assign ready = !(finish && blocked);

  always_ff @(posedge ap_clk) begin
    if (ready) begin
      valid_q <= (LEVELS + 1)'({valid_q, valid});
      first_q <= (LEVELS + 1)'({first_q, first});
      last_q  <= (LEVELS + 1)'({last_q, last});
    end
    m_axis_tvalid <= finish || blocked;
    if (!ap_rst_n) begin
      valid_q <= '0;
      m_axis_tvalid <= 1'b0;
    end
  end

  // Of each weight and activation; an index that counts upwards would be inverted by Yosys.
  localparam int INDEX_BITS = TABULATED ? PRODUCT_BITS : 1, PAIRS = 1 << INDEX_BITS;
  typedef logic [INDEX_BITS-1:0] index_t;
  typedef logic signed [PRODUCT_BITS-1:0] products_t[PAIRS-1:0];
  function automatic products_t all_products();
    for (int i = 0; i < PAIRS; i++) begin
      automatic logic signed [WEIGHT_BITS-1:0] weight = WEIGHT_BITS'(i >> ACT_BITS);
      automatic logic [ACT_BITS-1:0] activation = ACT_BITS'(i);
      all_products[i] = PRODUCT_BITS'(int'(weight) * (ACT_SIGNED ? 32'($signed(activation)) : 32'(activation)));
    end
  endfunction
  localparam products_t PRODUCTS = all_products();

  function automatic int product(int weight, int activation);
    bit by_weight = WEIGHT_BITS <= ACT_BITS;
    int few = by_weight ? weight : activation, many = by_weight ? activation : weight, sum = 0;
    int top = by_weight ? int'(WEIGHT_BITS) - 1 : int'(ACT_BITS) - 1;
    if (DSP) return weight * activation;
    if (TABULATED) return 32'(PRODUCTS[index_t'({weight, activation[ACT_BITS-1:0]})]);
    for (int b = 0; b < top; b++) sum += few[b] ? many << b : 0;
    return by_weight || ACT_SIGNED ? sum - (few[top] ? many << top : 0) : sum + (few[top] ? many << top : 0);
  endfunction

  function automatic int count(four_t bits);  // in each field
    int two = bits[0] ^ bits[1], three = two ^ bits[2];
    int twos = bits[0] & bits[1] | two & bits[2], more = three & bits[3];
    return three ^ bits[3] | (twos ^ more) << 1 | (twos & more) << 2;
  endfunction

  // Stage 1: products, and what their fields' parities would be without carries.
  int products_q[SIMD*COLUMNS], parities_q[SIMD*COLUMNS], activations_q[SIMD*LANES];

  always_ff @(posedge ap_clk) begin
    if (ready && valid) begin
      automatic int a[SIMD*LANES], w[SIMD*COLUMNS], odd[SIMD*LANES], products[SIMD*COLUMNS], parities[SIMD*COLUMNS];
      for (int i = 0; i < SIMD * LANES; i++) begin
        a[i] = ACT_SIGNED ? 32'($signed(activations[i*ACT_BITS+:ACT_BITS])) : 32'(activations[i*ACT_BITS+:ACT_BITS]);
        odd[i] = a[i][0] ? PARITIES : 0;
      end
      for (int s = 0; s < SIMD; s++)
        for (int c = 0; c < COLUMNS; c++) begin
          automatic operand_t operand = '0;
          for (int p = c; p < PE; p += COLUMNS)
            operand[p/COLUMNS*FIELD+:WEIGHT_BITS] = weights[(p*SIMD+s)*WEIGHT_BITS+:WEIGHT_BITS];
          w[s*COLUMNS+c] = 32'(operand ^ operand_t'(BIASES));
        end
      for (int s = 0; s < SIMD; s++)
        for (int c = 0; c < COLUMNS; c++) products[s*COLUMNS+c] = product(w[s*COLUMNS+c], a[s*LANES+c%LANES]);
      if (TABULATED)
        for (int s = 1; s < SIMD; s += 2)
          for (int c = 0; c < COLUMNS; c++) begin
            products[(s-1)*COLUMNS+c] += products[s*COLUMNS+c];
            products[s*COLUMNS+c] = 0;
          end
      for (int s = 0; s < SIMD; s++)
        for (int c = 0; c < COLUMNS; c++) parities[s*COLUMNS+c] = w[s*COLUMNS+c] & odd[s*LANES+c%LANES];
      products_q <= products;
      parities_q <= parities;
      activations_q <= a;
    end
  end

  // Up to four products are added.
  int gathered[GROUPS*SUMS];

  always_comb
    for (int g = 0; g < GROUPS; g++) begin
      for (int c = 0; c < COLUMNS; c++) begin
        automatic four_t even = '{default: 0}, odd = '{default: 0}, carries = '{default: 0};
        automatic int halves[2];
        for (int s = 4 * g; s < 4 * g + 4 && s < SIMD; s++) begin
          even[s%4] = products_q[s*COLUMNS+c] & EVEN;
          odd[s%4] = (products_q[s*COLUMNS+c] >>> FIELD) & ODD;
          carries[s%4] = (products_q[s*COLUMNS+c] ^ parities_q[s*COLUMNS+c]) & PARITIES;
        end
        halves[0] = (even[0] + even[1] & EVEN_2) + (even[2] + even[3] & EVEN_2);
        halves[1] = (odd[0] + odd[1] & ODD_2) + (odd[2] + odd[3] & ODD_2);
        for (int i = 0; i < PACKED; i++) begin
          automatic int field = halves[i%2] >>> (i - i % 2) * FIELD;
          gathered[g*SUMS+i*COLUMNS+c] = i == TOP ? field : field & SUM_MASK;
        end
        if (PACKED > 1) gathered[g*SUMS+FIELDS+c] = count(carries);
      end
      if (PACKED > 1) begin
        gathered[g*SUMS+SUMS-1] = 0;
        for (int s = 4 * g; s < 4 * g + 4 && s < SIMD; s++) gathered[g*SUMS+SUMS-1] += activations_q[s];
      end
    end

  // The other levels of the tree
  for (genvar level = 1; level <= LEVELS; level++) begin : g_level
    localparam int TERMS = (int'(SIMD) + 4 ** level - 1) / 4 ** level;
    int terms_q[TERMS*SUMS];

    if (level == 1) begin : g_first
      always_ff @(posedge ap_clk) if (ready && valid_q[0]) terms_q <= gathered;
    end else begin : g_other
      localparam int BELOW = (int'(SIMD) + 4 ** (level - 1) - 1) / 4 ** (level - 1);

      always_ff @(posedge ap_clk) begin
        if (ready && valid_q[level-1]) begin
          automatic int sums[TERMS*SUMS];
          for (int i = 0; i < TERMS * SUMS; i++) sums[i] = 0;
          for (int i = 0; i < BELOW; i++)
            for (int p = 0; p < SUMS; p++) sums[i/4*SUMS+p] += g_level[level-1].terms_q[i*SUMS+p];
          terms_q <= sums;
        end
      end
    end
  end

  int totals[SUMS];
  if (LEVELS == 0) begin : g_no_tree
    assign totals = gathered;
  end else begin : g_tree
    assign totals = g_level[LEVELS].terms_q;
  end

  // 2**FIELD * C[p + COLUMNS] - C[p] is two counts side by side, the lower one inverted, less FIELD_MASK.
  always_ff @(posedge ap_clk) begin
    if (ready && valid_q[LEVELS]) begin
      automatic int sums[PE];
      automatic int correction = (totals[SUMS-1] <<< WEIGHT_BITS - 1) + (ACT_SIGNED ? -FIELD_MASK : FIELD_MASK);
      for (int p = 0; p < PE; p++) begin
        automatic int counts = PACKED > 1 ? totals[FIELDS+p%COLUMNS] >> p / COLUMNS * FIELD : 0;
        sums[p] = totals[p];
        if (p < FIELDS - COLUMNS) begin
          counts = (counts & (1 << 2 * FIELD) - 1) ^ FIELD_MASK;
          sums[p] += (ACT_SIGNED ? -counts : counts) - correction;
        end else sums[p] -= ACT_SIGNED ? -counts : counts;
        sums[p] += first_q[LEVELS] ? 0 : int'(accumulator_q[p]);
      end
      for (int p = 0; p < PE; p++) accumulator_q[p] <= ACC_BITS'(sums[p]);
      if (last_q[LEVELS])
        for (int p = 0; p < PE; p++) m_axis_tdata[p*ACC_BITS+:ACC_BITS] <= ACC_BITS'(sums[p]);
    end
  end
endmodule
