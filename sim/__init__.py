"""The fixed-point dataflow machine: bits, cycles, events, tiles and costs. Imports golden and nothing above."""
