"""The memristor machine: the same network on crossbars of programmed conductances, read in both directions.

From the cell up: `device` (presets), `weights` (a matrix of weights as conductances), `program` (what writing, faults
and time make of them), `circuit` (wires), `noise` (what a read adds), `periphery` (converters), `array` (one block of
crossbars), `layer` (the convolution), `loop` (the network). Beside them `cost`, and `pulses` and `learning` for weights
that are learned in place.
"""
