"""The float engine alone: milliseconds a step, on one core.

    python benchmarks/golden.py [--repeats N] [--quick]

A step's time is the CPU time of a long run less that of a short one over the difference of their steps, so that making
the arrays is left out. W2 takes the smaller step 1/256: stride 1 is 32 times overcomplete.
"""

from common import Row, arguments, compared, cpu, finish, machine, rounds
from networks import ETA, W1, W2, dictionary, picture

from striate.golden.lca import Engine, LcaParams, Outcome, encode


def main() -> None:
    """Measure both engines on both networks."""
    options, where = arguments(__doc__, 9), machine()
    image = picture((128, 128))
    rows: list[Row] = []
    for name, eta, target in ((W1, ETA, 1.5), (W2, 1 / 256, 5.0)):
        atoms = dictionary(name)

        def per_step(engine: Engine, few: int, many: int, eta: float = eta, atoms=atoms) -> float:
            times = []
            for steps in (few, many):
                params = LcaParams(eta=eta, steps=steps)
                times.append(cpu(lambda p=params: encode(image, atoms, p, engine=engine)))
            return (times[1] - times[0]) / (many - few)

        run = encode(image, atoms, LcaParams(eta=eta, steps=100))
        assert run.outcome is not Outcome.DIVERGED, name
        medians = rounds(
            {
                "golden, fast": lambda f=per_step: f("fast", 20, 100),
                "golden, reference": lambda f=per_step: f("reference", 2, 12),
            },
            options.repeats,
        )
        pairs = atoms.geometry((128, 128)).pairs
        notes = {"golden, fast": f"target {target} ms; {atoms.source}" if name == W2 else f"target {target} ms"}
        for row in compared(f"{name}, float64, one step", medians, options.repeats, "golden, fast", notes):
            seconds = row.pop("seconds")
            row["ms_per_step"] = seconds * 1e3
            row["dense_GFLOP_per_s"] = 4 * pairs / seconds / 1e9
            rows.append(row)
    finish("golden", rows, where, options)


if __name__ == "__main__":
    main()
