"""The memristor machine: the same network on crossbars of programmed conductances, read in both directions.

From the cell up: `device` (which memristor), `weights` (a matrix of weights as conductances), `program` (what writing,
faults and time make of them), `circuit` (wires), `periphery` (converters), `array` (one block of crossbars), `layer`
(the convolution), `loop` (the network). Beneath them the rooms `devices` and `wires`, beside them `cost`, and
`learning` for weights that are learned in place.
"""
