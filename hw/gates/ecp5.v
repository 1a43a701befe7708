// Models of the ECP5 cells that Yosys has no model of, for simulation of a synthesised netlist in Verilator or Icarus.
//
// Written from Lattice's sysMEM and sysDSP usage guides for ECP5 (FPGA-TN-02204, FPGA-TN-02205). What a synthesised
// design here does not use is refused at the beginning of the simulation, not guessed.

// 18 x 18 multiplier without registers: P = A * B, each factor signed where its SIGNED input is high.
module MULT18X18D (
    input A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17, B0, B1, B2, B3, B4, B5, B6,
    B7, B8, B9, B10, B11, B12, B13, B14, B15, B16, B17, C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13,
    C14, C15, C16, C17, SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CLK1, CLK2, CLK3, CE0, CE1, CE2, CE3, RST0, RST1,
    RST2, RST3, SRIA0, SRIA1, SRIA2, SRIA3, SRIA4, SRIA5, SRIA6, SRIA7, SRIA8, SRIA9, SRIA10, SRIA11, SRIA12, SRIA13,
    SRIA14, SRIA15, SRIA16, SRIA17, SRIB0, SRIB1, SRIB2, SRIB3, SRIB4, SRIB5, SRIB6, SRIB7, SRIB8, SRIB9, SRIB10,
    SRIB11, SRIB12, SRIB13, SRIB14, SRIB15, SRIB16, SRIB17, output P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11,
    P12, P13, P14, P15, P16, P17, P18, P19, P20, P21, P22, P23, P24, P25, P26, P27, P28, P29, P30, P31, P32, P33,
    P34, P35
);
    parameter REG_INPUTA_CLK = "NONE";
    parameter REG_INPUTA_CE = "CE0";
    parameter REG_INPUTA_RST = "RST0";
    parameter REG_INPUTB_CLK = "NONE";
    parameter REG_INPUTB_CE = "CE0";
    parameter REG_INPUTB_RST = "RST0";
    parameter REG_INPUTC_CLK = "NONE";
    parameter REG_INPUTC_CE = "CE0";
    parameter REG_INPUTC_RST = "RST0";
    parameter REG_PIPELINE_CLK = "NONE";
    parameter REG_PIPELINE_CE = "CE0";
    parameter REG_PIPELINE_RST = "RST0";
    parameter REG_OUTPUT_CLK = "NONE";
    parameter REG_OUTPUT_CE = "CE0";
    parameter REG_OUTPUT_RST = "RST0";
    parameter CLK0_DIV = "ENABLED";
    parameter CLK1_DIV = "ENABLED";
    parameter CLK2_DIV = "ENABLED";
    parameter CLK3_DIV = "ENABLED";
    parameter HIGHSPEED_CLK = "NONE";
    parameter GSR = "ENABLED";
    parameter CAS_MATCH_REG = "FALSE";
    parameter SOURCEB_MODE = "B_SHIFT";
    parameter MULT_BYPASS = "DISABLED";
    parameter RESETMODE = "SYNC";

    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
    wire signed [18:0] a_wide = {SIGNEDA & a[17], a};
    wire signed [18:0] b_wide = {SIGNEDB & b[17], b};
    wire signed [37:0] product = a_wide * b_wide;
    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = product[35:0];

    initial begin
        if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_INPUTC_CLK != "NONE" || REG_PIPELINE_CLK != "NONE" || REG_OUTPUT_CLK != "NONE") begin
            $display("MULT18X18D: a register is used, which this model does not have"); $stop;
        end
        if (MULT_BYPASS != "DISABLED") begin $display("MULT18X18D: MULT_BYPASS is not modelled"); $stop; end
    end
    always @* if (SOURCEA || SOURCEB) begin $display("MULT18X18D: shifted operands are not modelled"); $stop; end
endmodule

// 16 x 4 distributed memory: written at the clock's edge, read in the same cycle.
module TRELLIS_DPR16X4 (input [3:0] DI, WAD, RAD, input WRE, WCK, output [3:0] DO);
    parameter WCKMUX = "WCK";
    parameter WREMUX = "WRE";
    parameter [63:0] INITVAL = 64'h0;

    reg [63:0] words = INITVAL;
    wire clock = WCKMUX == "INV" ? ~WCK : WCK;
    wire enable = WREMUX == "INV" ? ~WRE : WREMUX == "1" ? 1'b1 : WREMUX == "0" ? 1'b0 : WRE;
    always @(posedge clock) if (enable) words[4 * WAD +: 4] <= DI;
    assign DO = words[4 * RAD +: 4];
endmodule

// 18 Kbit in 2,048 units of 9 bits, two ports. A port of 18 (36) bits is two (four) units beside each other, its lowest
// address bits are then enables of the units; one of 4, 2 or 1 bits is a part of the low eight bits of a unit. With
// both ports 36 wide, port A writes {DIB, DIA} and port B reads {DOB, DOA}.
//
// Where one port reads what the other writes in the same cycle the bits read are undefined: here they are inverted, so
// that a design that needs them fails; the other bits of the word, and of its unit, are not touched. Bits that both
// ports write in the same cycle would be undefined from then on: that stops the simulation.
module DP16KD (
    input DIA0, DIA1, DIA2, DIA3, DIA4, DIA5, DIA6, DIA7, DIA8, DIA9, DIA10, DIA11, DIA12, DIA13, DIA14, DIA15,
    DIA16, DIA17, ADA0, ADA1, ADA2, ADA3, ADA4, ADA5, ADA6, ADA7, ADA8, ADA9, ADA10, ADA11, ADA12, ADA13, CLKA, CEA,
    OCEA, WEA, RSTA, CSA0, CSA1, CSA2, DIB0, DIB1, DIB2, DIB3, DIB4, DIB5, DIB6, DIB7, DIB8, DIB9, DIB10, DIB11,
    DIB12, DIB13, DIB14, DIB15, DIB16, DIB17, ADB0, ADB1, ADB2, ADB3, ADB4, ADB5, ADB6, ADB7, ADB8, ADB9, ADB10,
    ADB11, ADB12, ADB13, CLKB, CEB, OCEB, WEB, RSTB, CSB0, CSB1, CSB2, output DOA0, DOA1, DOA2, DOA3, DOA4, DOA5,
    DOA6, DOA7, DOA8, DOA9, DOA10, DOA11, DOA12, DOA13, DOA14, DOA15, DOA16, DOA17, DOB0, DOB1, DOB2, DOB3, DOB4,
    DOB5, DOB6, DOB7, DOB8, DOB9, DOB10, DOB11, DOB12, DOB13, DOB14, DOB15, DOB16, DOB17
);
    parameter DATA_WIDTH_A = 18;
    parameter REGMODE_A = "NOREG";
    parameter CSDECODE_A = "0b000";
    parameter WRITEMODE_A = "NORMAL";
    parameter CLKAMUX = "CLKA";
    parameter DATA_WIDTH_B = 18;
    parameter REGMODE_B = "NOREG";
    parameter CSDECODE_B = "0b000";
    parameter WRITEMODE_B = "NORMAL";
    parameter CLKBMUX = "CLKB";
    parameter CEAMUX = "CEA";
    parameter OCEAMUX = "OCEA";
    parameter WEAMUX = "WEA";
    parameter RSTAMUX = "RSTA";
    parameter CEBMUX = "CEB";
    parameter OCEBMUX = "OCEB";
    parameter WEBMUX = "WEB";
    parameter RSTBMUX = "RSTB";
    parameter RESETMODE = "SYNC";
    parameter ASYNC_RESET_RELEASE = "SYNC";
    parameter GSR = "ENABLED";
    parameter WID = 0;
    parameter INIT_DATA = "STATIC";
    parameter [319:0] INITVAL_00 = 320'b0;
    parameter [319:0] INITVAL_01 = 320'b0;
    parameter [319:0] INITVAL_02 = 320'b0;
    parameter [319:0] INITVAL_03 = 320'b0;
    parameter [319:0] INITVAL_04 = 320'b0;
    parameter [319:0] INITVAL_05 = 320'b0;
    parameter [319:0] INITVAL_06 = 320'b0;
    parameter [319:0] INITVAL_07 = 320'b0;
    parameter [319:0] INITVAL_08 = 320'b0;
    parameter [319:0] INITVAL_09 = 320'b0;
    parameter [319:0] INITVAL_0A = 320'b0;
    parameter [319:0] INITVAL_0B = 320'b0;
    parameter [319:0] INITVAL_0C = 320'b0;
    parameter [319:0] INITVAL_0D = 320'b0;
    parameter [319:0] INITVAL_0E = 320'b0;
    parameter [319:0] INITVAL_0F = 320'b0;
    parameter [319:0] INITVAL_10 = 320'b0;
    parameter [319:0] INITVAL_11 = 320'b0;
    parameter [319:0] INITVAL_12 = 320'b0;
    parameter [319:0] INITVAL_13 = 320'b0;
    parameter [319:0] INITVAL_14 = 320'b0;
    parameter [319:0] INITVAL_15 = 320'b0;
    parameter [319:0] INITVAL_16 = 320'b0;
    parameter [319:0] INITVAL_17 = 320'b0;
    parameter [319:0] INITVAL_18 = 320'b0;
    parameter [319:0] INITVAL_19 = 320'b0;
    parameter [319:0] INITVAL_1A = 320'b0;
    parameter [319:0] INITVAL_1B = 320'b0;
    parameter [319:0] INITVAL_1C = 320'b0;
    parameter [319:0] INITVAL_1D = 320'b0;
    parameter [319:0] INITVAL_1E = 320'b0;
    parameter [319:0] INITVAL_1F = 320'b0;
    parameter [319:0] INITVAL_20 = 320'b0;
    parameter [319:0] INITVAL_21 = 320'b0;
    parameter [319:0] INITVAL_22 = 320'b0;
    parameter [319:0] INITVAL_23 = 320'b0;
    parameter [319:0] INITVAL_24 = 320'b0;
    parameter [319:0] INITVAL_25 = 320'b0;
    parameter [319:0] INITVAL_26 = 320'b0;
    parameter [319:0] INITVAL_27 = 320'b0;
    parameter [319:0] INITVAL_28 = 320'b0;
    parameter [319:0] INITVAL_29 = 320'b0;
    parameter [319:0] INITVAL_2A = 320'b0;
    parameter [319:0] INITVAL_2B = 320'b0;
    parameter [319:0] INITVAL_2C = 320'b0;
    parameter [319:0] INITVAL_2D = 320'b0;
    parameter [319:0] INITVAL_2E = 320'b0;
    parameter [319:0] INITVAL_2F = 320'b0;
    parameter [319:0] INITVAL_30 = 320'b0;
    parameter [319:0] INITVAL_31 = 320'b0;
    parameter [319:0] INITVAL_32 = 320'b0;
    parameter [319:0] INITVAL_33 = 320'b0;
    parameter [319:0] INITVAL_34 = 320'b0;
    parameter [319:0] INITVAL_35 = 320'b0;
    parameter [319:0] INITVAL_36 = 320'b0;
    parameter [319:0] INITVAL_37 = 320'b0;
    parameter [319:0] INITVAL_38 = 320'b0;
    parameter [319:0] INITVAL_39 = 320'b0;
    parameter [319:0] INITVAL_3A = 320'b0;
    parameter [319:0] INITVAL_3B = 320'b0;
    parameter [319:0] INITVAL_3C = 320'b0;
    parameter [319:0] INITVAL_3D = 320'b0;
    parameter [319:0] INITVAL_3E = 320'b0;
    parameter [319:0] INITVAL_3F = 320'b0;

    reg [8:0] units [0:2047];
    integer n;
    wire [20479:0] init = {INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00};
    initial
        for (n = 0; n < 1024; n = n + 1) begin  // 16 words of 18 bits in 20 bits each in an INITVAL
            units[2 * n] = init[20 * n +: 9];
            units[2 * n + 1] = init[20 * n + 9 +: 9];
        end

    localparam WIDE = DATA_WIDTH_A == 36;  // the pseudo dual port
    wire clock_a = CLKAMUX == "INV" ? ~CLKA : CLKA;
    wire clock_b = CLKBMUX == "INV" ? ~CLKB : CLKB;
    wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [35:0] data_a = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    wire [35:0] data_b = {18'b0, DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
    wire chosen_a = {CSA2, CSA1, CSA0} == 3'b000;
    wire chosen_b = {CSB2, CSB1, CSB0} == 3'b000;
    wire write_a = CEA & WEA & chosen_a;
    wire write_b = CEB & WEB & chosen_b & ~WIDE;

    // first unit of a port's word, and what is enabled of each of up to four units, by bit
    function [10:0] first(input integer width, input [13:0] address);
        first = width == 36 ? {address[13:5], 2'b0} : width == 18 ? {address[13:4], 1'b0} : address[13:3];
    endfunction
    function [35:0] enables(input integer width, input [13:0] address);
        case (width)
            36: enables = {{9{address[3]}}, {9{address[2]}}, {9{address[1]}}, {9{address[0]}}};
            18: enables = {18'b0, {9{address[1]}}, {9{address[0]}}};
            9: enables = 36'h1ff;
            4: enables = 36'hf << {address[2], 2'b0};
            2: enables = 36'h3 << {address[2:1], 1'b0};
            default: enables = 36'h1 << address[2:0];
        endcase
    endfunction
    function [35:0] placed(input integer width, input [13:0] address, input [35:0] data);
        placed = width == 4 ? data[3:0] << {address[2], 2'b0} : width == 2 ? data[1:0] << {address[2:1], 1'b0}
               : width == 1 ? data[0] << address[2:0] : data;
    endfunction
    function [35:0] picked(input integer width, input [13:0] address, input [35:0] word);
        case (width)
            36: picked = word;
            18: picked = word[17:0];
            9: picked = word[8:0];
            4: picked = word[7:0] >> {address[2], 2'b0} & 4'hf;
            2: picked = word[7:0] >> {address[2:1], 1'b0} & 2'h3;
            default: picked = word[7:0] >> address[2:0] & 1'h1;
        endcase
    endfunction

    wire [10:0] first_a = first(DATA_WIDTH_A, address_a), first_b = first(DATA_WIDTH_B, address_b);
    wire [35:0] bits_a = enables(DATA_WIDTH_A, address_a), bits_b = enables(DATA_WIDTH_B, address_b);
    wire [35:0] put_a = placed(DATA_WIDTH_A, address_a, data_a), put_b = placed(DATA_WIDTH_B, address_b, data_b);
    wire [35:0] old_a = {units[first_a | 11'd3], units[first_a | 11'd2], units[first_a | 11'd1], units[first_a]};
    wire [35:0] old_b = {units[first_b | 11'd3], units[first_b | 11'd2], units[first_b | 11'd1], units[first_b]};
    wire [35:0] new_a = old_a & ~bits_a | put_a & bits_a, new_b = old_b & ~bits_b | put_b & bits_b;

    // bits of a port's units that the other port writes in this cycle
    function [35:0] clash(input [10:0] mine, input [10:0] other, input [35:0] bits, input writes);
        integer i, j;
        begin
            clash = 36'b0;
            for (i = 0; i < 4; i = i + 1)
                for (j = 0; j < 4; j = j + 1)
                    if (writes && (mine | i[10:0]) == (other | j[10:0])) clash[9 * i +: 9] = clash[9 * i +: 9] | bits[9 * j +: 9];
        end
    endfunction
    wire [35:0] clash_a = clash(first_a, first_b, bits_b, write_b), clash_b = clash(first_b, first_a, bits_a, write_a);

    // narrow words touch their own bits only: the other port may write others of the same unit
    always @(posedge clock_a)
        if (write_a) begin
            case (DATA_WIDTH_A)
                4: units[first_a][{address_a[2], 2'b0} +: 4] <= data_a[3:0];
                2: units[first_a][{address_a[2:1], 1'b0} +: 2] <= data_a[1:0];
                1: units[first_a][address_a[2:0]] <= data_a[0];
                default: begin
                    if (|bits_a[8:0]) units[first_a] <= put_a[8:0];
                    if (|bits_a[17:9]) units[first_a | 11'd1] <= put_a[17:9];
                    if (|bits_a[26:18]) units[first_a | 11'd2] <= put_a[26:18];
                    if (|bits_a[35:27]) units[first_a | 11'd3] <= put_a[35:27];
                end
            endcase
        end
    always @(posedge clock_b)
        if (write_b) begin
            case (DATA_WIDTH_B)
                4: units[first_b][{address_b[2], 2'b0} +: 4] <= data_b[3:0];
                2: units[first_b][{address_b[2:1], 1'b0} +: 2] <= data_b[1:0];
                1: units[first_b][address_b[2:0]] <= data_b[0];
                default: begin
                    if (|bits_b[8:0]) units[first_b] <= put_b[8:0];
                    if (|bits_b[17:9]) units[first_b | 11'd1] <= put_b[17:9];
                end
            endcase
        end
    always @(posedge clock_a)
        if (write_a && |(clash_a & bits_a)) begin $display("DP16KD: both ports write the same bits"); $stop; end

    // the output of a port: kept, new or old word while the port writes; then perhaps a register
    wire clear_a = RESETMODE == "ASYNC" & RSTA, clear_b = RESETMODE == "ASYNC" & RSTB;
    reg [35:0] read_a = 36'b0, read_b = 36'b0, held_a = 36'b0, held_b = 36'b0;
    always @(posedge clock_a or posedge clear_a)
        if (clear_a) read_a <= 36'b0;
        else if (RSTA) read_a <= 36'b0;
        else if (CEA & chosen_a) begin
            if (!WEA) read_a <= picked(DATA_WIDTH_A, address_a, old_a ^ clash_a);
            else if (WRITEMODE_A == "WRITETHROUGH") read_a <= picked(DATA_WIDTH_A, address_a, new_a ^ clash_a);
            else if (WRITEMODE_A == "READBEFOREWRITE") read_a <= picked(DATA_WIDTH_A, address_a, old_a ^ clash_a);
        end
    always @(posedge clock_a or posedge clear_a)
        if (clear_a) held_a <= 36'b0;
        else if (RSTA) held_a <= 36'b0;
        else if (OCEA) held_a <= read_a;
    always @(posedge clock_b or posedge clear_b)
        if (clear_b) read_b <= 36'b0;
        else if (RSTB) read_b <= 36'b0;
        else if (CEB & chosen_b) begin
            if (!WEB) read_b <= picked(DATA_WIDTH_B, address_b, old_b ^ clash_b);
            else if (WRITEMODE_B == "WRITETHROUGH") read_b <= picked(DATA_WIDTH_B, address_b, new_b ^ clash_b);
            else if (WRITEMODE_B == "READBEFOREWRITE") read_b <= picked(DATA_WIDTH_B, address_b, old_b ^ clash_b);
        end
    always @(posedge clock_b or posedge clear_b)
        if (clear_b) held_b <= 36'b0;
        else if (RSTB) held_b <= 36'b0;
        else if (OCEB) held_b <= read_b;
    wire [35:0] out_a = REGMODE_A == "OUTREG" ? held_a : read_a, out_b = REGMODE_B == "OUTREG" ? held_b : read_b;
    localparam BOTH = DATA_WIDTH_B == 36;
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = BOTH ? out_b[17:0] : out_a[17:0];
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = BOTH ? out_b[35:18] : out_b[17:0];

    initial begin
        if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") begin $display("DP16KD: CSDECODE is not modelled"); $stop; end
    end
endmodule
