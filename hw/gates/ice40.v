// Models of the iCE40 memory and multiplier for simulation of a synthesised netlist in Verilator or Icarus.
//
// Written from Lattice's memory and DSP function usage guides for iCE40 (TN1250, TN1295), in terms of what a word holds
// and what a product is. Settings that no synthesised design here uses are refused, not guessed.

// 4 Kbit: 256 rows of 16 bits. In mode m a word is 16 / 2^m bits, one of each group of 2^m neighbours of a row; the
// address bits above the row say which one, and the word's bits lie at one place of each group of the data ports.
//
// What is read and written in the same cycle is undefined: here those bits are inverted.
module SB_RAM40_4K (
    output [15:0] RDATA, input RCLK, RCLKE, RE, input [10:0] RADDR,
    input WCLK, WCLKE, WE, input [10:0] WADDR, input [15:0] MASK, WDATA
);
    parameter [1:0] WRITE_MODE = 0;
    parameter [1:0] READ_MODE = 0;
    parameter INIT_FILE = "";  // not read
    parameter [255:0] INIT_0 = 256'b0;
    parameter [255:0] INIT_1 = 256'b0;
    parameter [255:0] INIT_2 = 256'b0;
    parameter [255:0] INIT_3 = 256'b0;
    parameter [255:0] INIT_4 = 256'b0;
    parameter [255:0] INIT_5 = 256'b0;
    parameter [255:0] INIT_6 = 256'b0;
    parameter [255:0] INIT_7 = 256'b0;
    parameter [255:0] INIT_8 = 256'b0;
    parameter [255:0] INIT_9 = 256'b0;
    parameter [255:0] INIT_A = 256'b0;
    parameter [255:0] INIT_B = 256'b0;
    parameter [255:0] INIT_C = 256'b0;
    parameter [255:0] INIT_D = 256'b0;
    parameter [255:0] INIT_E = 256'b0;
    parameter [255:0] INIT_F = 256'b0;

    localparam WRITE_STEP = 1 << WRITE_MODE, READ_STEP = 1 << READ_MODE;
    localparam WRITE_PLACE = WRITE_MODE == 0 ? 0 : (1 << WRITE_MODE) / 2 - 1;
    localparam READ_PLACE = READ_MODE == 0 ? 0 : (1 << READ_MODE) / 2 - 1;

    reg [15:0] rows [0:255];
    integer n;
    wire [4095:0] init = {INIT_F, INIT_E, INIT_D, INIT_C, INIT_B, INIT_A, INIT_9, INIT_8,
                          INIT_7, INIT_6, INIT_5, INIT_4, INIT_3, INIT_2, INIT_1, INIT_0};
    initial for (n = 0; n < 256; n = n + 1) rows[n] = init[16 * n +: 16];

    wire [2:0] write_column = WADDR[10:8] & (WRITE_STEP - 1), read_column = RADDR[10:8] & (READ_STEP - 1);
    reg [15:0] chosen, value;  // bits of the row that a write changes, and to what
    integer b;
    always @* begin
        chosen = 16'b0;
        value = 16'b0;
        for (b = 0; b < 16; b = b + 1)
            if (b % WRITE_STEP == write_column) begin
                chosen[b] = WRITE_MODE == 0 ? ~MASK[b] : 1'b1;
                value[b] = WDATA[b - b % WRITE_STEP + WRITE_PLACE];
            end
    end
    wire writes = WCLKE & WE;
    always @(posedge WCLK)
        if (writes) rows[WADDR[7:0]] <= rows[WADDR[7:0]] & ~chosen | value & chosen;

    reg [15:0] row = 16'b0;
    reg [2:0] column = 3'b0;
    always @(posedge RCLK)
        if (RCLKE & RE) begin
            row <= rows[RADDR[7:0]] ^ (writes && WADDR[7:0] == RADDR[7:0] ? chosen : 16'b0);
            column <= read_column;
        end
    reg [15:0] out;
    integer r;
    always @* begin
        out = 16'b0;
        for (r = 0; r < 16; r = r + READ_STEP) out[r + READ_PLACE] = row[r + column];
    end
    assign RDATA = out;
endmodule

// 16 x 16 multiplier (or two of 8 x 8) between input registers and two 16-bit adders, which together add 32 bits.
module SB_MAC16 (
    input CLK, CE, input [15:0] C, A, B, D, input AHOLD, BHOLD, CHOLD, DHOLD, IRSTTOP, IRSTBOT, ORSTTOP, ORSTBOT,
    input OLOADTOP, OLOADBOT, ADDSUBTOP, ADDSUBBOT, OHOLDTOP, OHOLDBOT, CI, ACCUMCI, SIGNEXTIN,
    output [31:0] O, output CO, ACCUMCO, SIGNEXTOUT
);
    parameter [0:0] NEG_TRIGGER = 0;
    parameter [0:0] A_REG = 0, B_REG = 0, C_REG = 0, D_REG = 0;
    parameter [0:0] TOP_8x8_MULT_REG = 0, BOT_8x8_MULT_REG = 0;
    parameter [0:0] PIPELINE_16x16_MULT_REG1 = 0, PIPELINE_16x16_MULT_REG2 = 0;
    parameter [1:0] TOPOUTPUT_SELECT = 0, TOPADDSUB_LOWERINPUT = 0, TOPADDSUB_CARRYSELECT = 0;
    parameter [1:0] BOTOUTPUT_SELECT = 0, BOTADDSUB_LOWERINPUT = 0, BOTADDSUB_CARRYSELECT = 0;
    parameter [0:0] TOPADDSUB_UPPERINPUT = 0, BOTADDSUB_UPPERINPUT = 0, MODE_8x8 = 0, A_SIGNED = 0, B_SIGNED = 0;

    wire clock = NEG_TRIGGER ? ~CLK : CLK;

    // inputs, each through a register or past it
    reg [15:0] held_a = 0, held_b = 0, held_c = 0, held_d = 0;
    always @(posedge clock or posedge IRSTTOP)
        if (IRSTTOP) {held_a, held_c} <= 32'b0;
        else if (CE) begin
            if (~AHOLD) held_a <= A;
            if (~CHOLD) held_c <= C;
        end
    always @(posedge clock or posedge IRSTBOT)
        if (IRSTBOT) {held_b, held_d} <= 32'b0;
        else if (CE) begin
            if (~BHOLD) held_b <= B;
            if (~DHOLD) held_d <= D;
        end
    wire [15:0] a = A_REG ? held_a : A, b = B_REG ? held_b : B, c = C_REG ? held_c : C, d = D_REG ? held_d : D;

    // products: signed numbers one bit wider than the factors
    wire signed [16:0] a_wide = {A_SIGNED & a[15], a}, b_wide = {B_SIGNED & b[15], b};
    wire signed [8:0] a_top = {A_SIGNED & a[15], a[15:8]}, b_top = {B_SIGNED & b[15], b[15:8]};
    wire signed [8:0] a_bot = {A_SIGNED & a[7], a[7:0]}, b_bot = {B_SIGNED & b[7], b[7:0]};
    wire signed [33:0] full = a_wide * b_wide;
    wire signed [17:0] top = a_top * b_top, bot = a_bot * b_bot;
    reg [31:0] full_1 = 0, full_2 = 0;
    reg [15:0] top_1 = 0, bot_1 = 0;
    wire [31:0] after_1 = PIPELINE_16x16_MULT_REG1 ? full_1 : full[31:0];
    always @(posedge clock or posedge IRSTTOP) if (IRSTTOP) top_1 <= 16'b0; else if (CE) top_1 <= top[15:0];
    always @(posedge clock or posedge IRSTBOT)
        if (IRSTBOT) {bot_1, full_1, full_2} <= 80'b0;
        else if (CE) begin
            bot_1 <= bot[15:0];
            full_1 <= full[31:0];
            full_2 <= after_1;
        end
    wire [31:0] product = PIPELINE_16x16_MULT_REG2 ? full_2 : after_1;
    wire [15:0] product_top = TOP_8x8_MULT_REG ? top_1 : top[15:0];
    wire [15:0] product_bot = BOT_8x8_MULT_REG ? bot_1 : bot[15:0];

    // the lower adder, then the upper one with its carry; a subtraction complements the second term and the sum
    reg [15:0] kept_top = 0, kept_bot = 0;
    function [15:0] pick(input [1:0] which, input [15:0] zero, one, two, three);
        pick = which == 0 ? zero : which == 1 ? one : which == 2 ? two : three;
    endfunction
    wire [15:0] first_bot = pick(BOTADDSUB_LOWERINPUT, b, product_bot, product[15:0], {16{SIGNEXTIN}});
    wire [15:0] second_bot = BOTADDSUB_UPPERINPUT ? d : kept_bot;
    wire carry_bot = BOTADDSUB_CARRYSELECT == 0 ? 1'b0 : BOTADDSUB_CARRYSELECT == 1 ? 1'b1
                     : BOTADDSUB_CARRYSELECT == 2 ? ACCUMCI : CI;
    wire [16:0] sum_bot = {1'b0, first_bot} + {1'b0, ADDSUBBOT ? ~second_bot : second_bot} + {16'b0, carry_bot};
    wire [15:0] next_bot = OLOADBOT ? d : ADDSUBBOT ? ~sum_bot[15:0] : sum_bot[15:0];
    wire [15:0] first_top = pick(TOPADDSUB_LOWERINPUT, a, product_top, product[31:16], {16{first_bot[15]}});
    wire [15:0] second_top = TOPADDSUB_UPPERINPUT ? c : kept_top;
    wire carry_top = TOPADDSUB_CARRYSELECT == 0 ? 1'b0 : TOPADDSUB_CARRYSELECT == 1 ? 1'b1
                     : TOPADDSUB_CARRYSELECT == 2 ? sum_bot[16] : sum_bot[16] ^ ADDSUBBOT;
    wire [16:0] sum_top = {1'b0, first_top} + {1'b0, ADDSUBTOP ? ~second_top : second_top} + {16'b0, carry_top};
    wire [15:0] next_top = OLOADTOP ? c : ADDSUBTOP ? ~sum_top[15:0] : sum_top[15:0];
    always @(posedge clock or posedge ORSTTOP)
        if (ORSTTOP) kept_top <= 16'b0; else if (CE & ~OHOLDTOP) kept_top <= next_top;
    always @(posedge clock or posedge ORSTBOT)
        if (ORSTBOT) kept_bot <= 16'b0; else if (CE & ~OHOLDBOT) kept_bot <= next_bot;

    assign O[31:16] = pick(TOPOUTPUT_SELECT, next_top, kept_top, product_top, product[31:16]);
    assign O[15:0] = pick(BOTOUTPUT_SELECT, next_bot, kept_bot, product_bot, product[15:0]);
    assign ACCUMCO = sum_top[16];
    assign CO = sum_top[16] ^ ADDSUBTOP;
    assign SIGNEXTOUT = first_top[15];

    localparam EIGHT = TOPOUTPUT_SELECT == 2 || BOTOUTPUT_SELECT == 2 || TOPADDSUB_LOWERINPUT == 1
                       || BOTADDSUB_LOWERINPUT == 1;
    localparam SIXTEEN = TOPOUTPUT_SELECT == 3 || BOTOUTPUT_SELECT == 3 || TOPADDSUB_LOWERINPUT == 2
                         || BOTADDSUB_LOWERINPUT == 2;
    initial begin
        if (EIGHT && !MODE_8x8) begin $display("SB_MAC16: half a product of 16 bits is not modelled"); $stop; end
        if (SIXTEEN && MODE_8x8) begin $display("SB_MAC16: a product of 16 bits in 8-bit mode is not modelled"); $stop; end
        if (SIXTEEN && (TOP_8x8_MULT_REG != PIPELINE_16x16_MULT_REG1 || BOT_8x8_MULT_REG != PIPELINE_16x16_MULT_REG1))
        begin
            $display("SB_MAC16: a product of 16 bits with half its registers is not modelled"); $stop;
        end
    end
    always @(posedge clock)
        if (SIXTEEN && (PIPELINE_16x16_MULT_REG1 || PIPELINE_16x16_MULT_REG2) && IRSTTOP != IRSTBOT) begin
            $display("SB_MAC16: half a reset is not modelled"); $stop;
        end
endmodule
