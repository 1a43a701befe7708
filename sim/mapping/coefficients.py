"""Cells that one of each thing takes, by family. `benchmarks/synthesis.py` writes this file from real runs; at present
it is set by hand near four of them.
"""

COEFFICIENTS: dict[str, dict[str, dict[str, float]]] = {
    "ecp5": {
        "lut": {
            "board": 2500.0,
            "tiles": 900.0,
            "gather_bits": 2.5,
            "scatter_bits": 6.0,
            "detect_bits": 6.0,
            "update_bits": 4.0,
            "operand_bits": 3.0,
            "stores": 6.0,
            "address_bits": 2.0,
            "table_bits": 0.2,
        },
        "ff": {
            "board": 1200.0,
            "tiles": 500.0,
            "gather_bits": 4.5,
            "scatter_bits": 5.0,
            "detect_bits": 8.0,
            "update_bits": 5.0,
            "operand_bits": 3.0,
        },
    },
    "ice40": {
        "lut": {
            "board": 2680.0,
            "tiles": 1440.0,
            "gather_bits": 4.0,
            "scatter_bits": 9.6,
            "detect_bits": 9.6,
            "update_bits": 6.4,
            "operand_bits": 4.8,
            "stores": 1.6,
            "address_bits": 3.2,
            "table_bits": 0.3,
        },
        "ff": {
            "board": 1330.0,
            "tiles": 500.0,
            "gather_bits": 4.5,
            "scatter_bits": 5.0,
            "detect_bits": 8.0,
            "update_bits": 5.0,
            "operand_bits": 3.0,
            "stores": 1.0,
        },
    },
}
"""Family -> "lut" or "ff" -> feature (`estimate.features`) -> cells."""
BOARD_BLOCKS: dict[str, int] = {"ecp5": 1, "ice40": 1, "gowin": 1}
"""Family -> memory blocks of the serial link and the core."""
