"""Crossbars with wires and read noise: one matrix and a law, against solving and drawing.

    python benchmarks/crossbar_circuit.py [--repeats N] [--quick]

The array: 256x32 signed weights as two planes of devices (one-sided differential pair, on/off 100, Gaussian weights,
largest at full conductance), 1 ohm a segment, 4096 Gaussian drives, double precision.

"wires" counts everything from the conductances to 4096 outputs: two factorisations, two effective matrices, the product
with their difference. The baseline solves the nodal equations as circuit simulators do that keep no matrix: for every
64 drives SciPy's SuperLU (in its symmetric mode, the fastest of the settings tried) factorises both planes anew and
solves for each drive; the matrices are assembled beforehand, outside its time. 4 of its 64 batches are measured and the
whole is extrapolated from their mean.

"noise" compares a product in double precision with the same and read noise of 1 % of every conductance in law, normals
included: without wires, with wires to the tolerance the noise model has by itself, and to a tenth of it. One row draws
every device anew for every drive, as simulators without a law must; 64 of 4096 drives are measured, the whole is
extrapolated. "law" is the time to make a law once per programmed array.
"""

import argparse
import statistics

from common import Row, arguments, compared, finish, machine, rounds, wall

# isort: split
import numpy as np
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu

from striate.sim.crossbar.circuit import Circuit, effective_conductance
from striate.sim.crossbar.streams import Stream, read_stream
from striate.sim.crossbar.wires.noise import TOLERANCE, ReadNoise, draw, total

ROWS, COLUMNS, DRIVES = 256, 32, 4096
BATCH, BATCHES = 64, 4
OHM = 1.0
BRUTE = 64
SHAPES = ((128, 8), (128, 64), (256, 32))


def planes(rows: int, columns: int, on_ohm: float) -> list[np.ndarray]:
    """Conductances of the two planes, siemens."""
    weights = np.random.default_rng(0).normal(size=(rows, columns))
    weights /= np.abs(weights).max()
    return [(0.01 + 0.99 * np.maximum(sign * weights, 0)) / on_ohm for sign in (1, -1)]


def nodal(g: np.ndarray) -> csc_matrix:
    """The nodal matrix, row by row: w_ij and b_ij side by side."""
    m, n = g.shape
    w = 2 * (np.arange(m)[:, None] * n + np.arange(n))
    b = w + 1
    joins = [
        (w, b, g),
        (w[:, 1:], w[:, :-1], np.full((m, n - 1), 1 / OHM)),
        (b[1:], b[:-1], np.full((m - 1, n), 1 / OHM)),
    ]
    ends = np.zeros(2 * m * n)
    ends[w[:, 0]] = ends[b[-1]] = 1 / OHM
    places, values = [np.tile(np.arange(2 * m * n), (2, 1))], [ends]
    for one, other, siemens in joins:
        one, other, siemens = one.ravel(), other.ravel(), siemens.ravel()
        places += [np.stack(pair) for pair in ((one, one), (other, other), (one, other), (other, one))]
        values += [siemens, siemens, -siemens, -siemens]
    return coo_matrix((np.concatenate(values), np.concatenate(places, axis=1)), shape=(2 * m * n,) * 2).tocsc()


def solved(matrix: csc_matrix, drives: np.ndarray) -> np.ndarray:
    """Currents (batch, n) of one plane for drives (batch, m): one factorisation, one solution per drive."""
    right = np.zeros((2 * ROWS * COLUMNS, len(drives)))
    right[2 * COLUMNS * np.arange(ROWS)] = drives.T / OHM
    factor = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    volts = factor.solve(right)
    return volts[2 * (ROWS - 1) * COLUMNS + 1 + 2 * np.arange(COLUMNS)].T / OHM


def wires(on_ohm: float, label: str, options: argparse.Namespace, repeats: int) -> list[Row]:
    """Effective matrices against a sparse solution per batch."""
    pair = planes(ROWS, COLUMNS, on_ohm)
    drives = np.random.default_rng(1).normal(size=(DRIVES, ROWS))
    matrices = [nodal(g) for g in pair]

    def effective() -> np.ndarray:
        first, second = (effective_conductance(g, OHM, OHM) for g in pair)
        return drives @ (first - second)

    def sparse(batch: int) -> np.ndarray:
        part = drives[batch * BATCH : (batch + 1) * BATCH]
        return solved(matrices[0], part) - solved(matrices[1], part)

    error = np.abs(sparse(0) - effective()[:BATCH]).max() / np.abs(effective()).max()
    assert error < 1e-10, error
    measured = 1 if options.quick else BATCHES
    names = f"one matrix, {label}", f"sparse LU per batch, {label}"
    medians = rounds(
        {
            names[0]: lambda: wall(effective),
            names[1]: lambda: wall(lambda: [sparse(k) for k in range(measured)]) * DRIVES / BATCH / measured,
        },
        repeats,
    )
    note = f"{measured} of {DRIVES // BATCH} batches measured; results equal to {error:.0e} of the largest"
    return compared(f"wires, {ROWS}x{COLUMNS} pair, {DRIVES} drives", medians, repeats, names[0], {names[1]: note})


def noise(repeats: int) -> list[Row]:
    """A noisy read against a noiseless product."""
    group = f"read noise, {ROWS}x{COLUMNS} pair, {DRIVES} drives"
    drives = np.random.default_rng(1).normal(size=(DRIVES, ROWS))
    generator = read_stream(0, Stream.FORWARD)
    laws, notes = {}, {}
    pair = planes(ROWS, COLUMNS, 1e5)
    ideal = pair[0] - pair[1]
    laws["with read noise, no wire resistance"] = total([ReadNoise(0.01 * g) for g in pair])
    for on_ohm, label in ((1e5, "100 kohm"), (1e4, "10 kohm")):
        wired = planes(ROWS, COLUMNS, on_ohm)
        circuits = [Circuit(g, OHM, OHM) for g in wired]
        for tolerance in (TOLERANCE, TOLERANCE / 10):
            law = total([ReadNoise(0.01 * g, c, tolerance=tolerance) for g, c in zip(wired, circuits, strict=True)])
            name = f"with read noise and wires, {label}, tolerance {tolerance:g}"
            laws[name] = law
            squares = law._forward.outputs.size / COLUMNS
            notes[name] = f"{squares:.1f} squares an output beside the diagonal"

    def noisy(law: ReadNoise) -> np.ndarray:
        currents = drives @ ideal
        currents += draw(generator, law.forward_variance(drives, single=True))
        return currents

    def drawn() -> None:
        for drive in drives[:BRUTE]:
            for g in pair:
                drive @ (g + 0.01 * g * generator.standard_normal(g.shape))

    for law in laws.values():
        law.forward_variance(drives)  # made once per programmed array
    brute = "every device drawn for every drive"
    contestants = {"noiseless product": lambda: wall(lambda: drives @ ideal)}
    contestants |= {name: lambda law=law: wall(lambda: noisy(law)) for name, law in laws.items()}
    contestants[brute] = lambda: wall(drawn) * DRIVES / BRUTE
    notes[brute] = f"no wire resistance; {BRUTE} of {DRIVES} drives measured"
    return compared(group, rounds(contestants, repeats), repeats, "noiseless product", notes)


def making(repeats: int) -> list[Row]:
    """The laws of a pair, once per programmed array."""
    rows: list[Row] = []
    for m, n in SHAPES:
        pair = planes(m, n, 1e5)

        def fresh(direction: str, m: int = m, n: int = n, pair: list[np.ndarray] = pair) -> float:
            def work() -> None:
                law = total([ReadNoise(0.01 * g, Circuit(g, OHM, OHM)) for g in pair])
                getattr(law, f"{direction}_variance")(np.ones((1, m if direction == "forward" else n)))

            return wall(work)

        for direction in ("forward", "backward"):
            fresh(direction)
            rows.append(
                {
                    "group": "law of a pair with wires, 100 kohm, once per programmed array",
                    "what": f"{m}x{n}, {direction}",
                    "seconds": statistics.median(fresh(direction) for _ in range(repeats)),
                    "repeats": repeats,
                    "baseline": "",
                    "note": "circuits, voltages and eigenvectors",
                }
            )
    return rows


def main() -> None:
    """Measure."""
    options, where = arguments(__doc__, 7), machine()
    rows = wires(1e4, "10 kohm", options, options.repeats)
    if not options.quick:
        rows += wires(1e5, "100 kohm", options, options.repeats)
    rows += noise(options.repeats)
    rows += making(options.repeats)
    finish("crossbar_circuit", rows, where, options)


if __name__ == "__main__":
    main()
