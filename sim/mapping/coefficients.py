"""Cells that one of each thing takes, by family: written by `benchmarks/synthesis.py` from real runs."""

COEFFICIENTS: dict[str, dict[str, dict[str, float]]] = {
    "ecp5": {
        "lut": {
            "board": 2077,
            "tiles": 623.5,
            "gather_bits": 1.476,
            "detect_bits": 3.305,
            "update_bits": 8.109,
            "links": 2.563,
            "stores": 10.11,
            "address_bits": 18.84,
        },
        "ff": {
            "board": 918,
            "tiles": 712.1,
            "gather_bits": 2.952,
            "scatter_bits": 1.347,
            "detect_bits": 8.093,
            "update_bits": 7.478,
            "links": 1.449,
            "stores": 0.2023,
            "address_bits": 11.66,
        },
    },
    "ice40": {
        "lut": {
            "tiles": 724.1,
            "gather_bits": 1.714,
            "detect_bits": 3.838,
            "update_bits": 9.418,
            "links": 2.977,
            "stores": 11.74,
            "address_bits": 21.88,
            "board": 2629,
        },
        "ff": {
            "tiles": 788.7,
            "gather_bits": 3.269,
            "scatter_bits": 1.492,
            "detect_bits": 8.964,
            "update_bits": 8.282,
            "links": 1.605,
            "stores": 0.224,
            "address_bits": 12.91,
            "board": 599.2,
        },
    },
    "gowin": {
        "lut": {
            "tiles": 877.3,
            "gather_bits": 2.077,
            "detect_bits": 4.651,
            "update_bits": 11.41,
            "links": 3.607,
            "stores": 14.22,
            "address_bits": 26.51,
            "board": 2628,
        },
        "ff": {
            "tiles": 655.9,
            "gather_bits": 2.719,
            "scatter_bits": 1.24,
            "detect_bits": 7.455,
            "update_bits": 6.888,
            "links": 1.335,
            "stores": 0.1863,
            "address_bits": 10.74,
            "board": 1328,
        },
    },
}
"""Family -> "lut" or "ff" -> feature (`estimate.features`) -> cells."""
BOARD_BLOCKS: dict[str, int] = {"ecp5": 1, "ice40": 1, "gowin": 1}
"""Family -> memory blocks of the serial link and the core."""
