"""What the papers say of these solvers, and the verdicts: pure functions of the curves."""

from collections.abc import Sequence

from .claims import Claim, Verdict
from .convergence import HARD, ONE_LABEL, REQUIRED, TURNS, WITHIN, Found

ROUNDING = 1e-12
"""A rise of the objective up to this, relative, is rounding."""


def claims(found: Sequence[Found]) -> tuple[Claim, ...]:
    """All of them, in the order of the page."""
    return tuple(judge(found) for judge in (one_optimum, momentum, never_rises, hard_is_sparser, few_turns,
                                            half_is_sparser))


def one_optimum(found: Sequence[Found]) -> Claim:
    """LCA, ISTA, FISTA, coordinate descent, ADMM: one objective."""
    last = {(f.task.name, label): float(f.curve(label).above(f.best)[-1]) for f in found for label in REQUIRED}
    worst = max(last, key=lambda key: last[key])
    proof = max(f.best_gap for f in found)
    verdict = _verdict(last[worst] + proof <= WITHIN, last[worst] <= 10 * WITHIN)
    return Claim(
        "one-optimum",
        "Soft-threshold LCA, ISTA, FISTA, coordinate descent and ADMM minimise the same objective and reach the same "
        "value (Rozell et al. 2008; Gregor and LeCun 2010; Beck and Teboulle 2009; Wohlberg 2016).",
        verdict,
        f"Holds when on every problem the last objective of all five is within {WITHIN:g} of the best known one, "
        f"relative, the duality gap of that one included; partly within {10 * WITHIN:g}; fails beyond.",
        f"Farthest: {worst[1]} on {worst[0]}, {last[worst]:.1e} above the best known objective, which is at most "
        f"{proof:.1e} above the optimum.",
    )


def momentum(found: Sequence[Found]) -> Claim:
    """FISTA in fewer iterations than ISTA."""
    pairs = {f.task.name: (f.curve("FISTA").reached(f.best), f.curve("ISTA").reached(f.best)) for f in found}
    fewer = [fista is not None and (ista is None or fista < ista) for fista, ista in pairs.values()]
    return Claim(
        "momentum",
        "FISTA needs fewer iterations than ISTA, at the same cost of each (Beck and Teboulle 2009).",
        _verdict(all(fewer), any(fewer)),
        f"Iterations until the objective stays within {WITHIN:g} of the best known: fewer on every problem, it holds; "
        "on some, partly; on none, it fails.",
        "; ".join(f"{name}: {_count(fista)} against {_count(ista)}" for name, (fista, ista) in pairs.items()) + ".",
    )


def never_rises(found: Sequence[Found]) -> Claim:
    """ISTA, coordinate descent, and LCA below 2/L."""
    rises = {(f.task.name, label): f.curve(label).rise for f in found
             for label in ("LCA, soft", "ISTA", "coordinate descent")}
    worst = max(rises, key=lambda key: rises[key])
    return Claim(
        "never-rises",
        "The objective of ISTA with a step of at most 1/L, of coordinate descent, and of soft-threshold LCA with a "
        "step of at most 2/L never rises.",
        _verdict(rises[worst] <= ROUNDING, False),
        f"Holds when no iteration on any problem raises it by more than {ROUNDING:g}, relative (rounding); else it "
        "fails.",
        f"The largest rise in one iteration: {rises[worst]:.1e} ({worst[1]}, {worst[0]})."
        if rises[worst] else "No iteration raised it at all.",
    )


def hard_is_sparser(found: Sequence[Found]) -> Claim:
    """Hard against soft LCA at equal lambda."""
    label = HARD[0].label
    shares = {f.task.name: (float(f.curve(label).active[-1]), float(f.curve("LCA, soft").active[-1])) for f in found}
    fewer = [hard < soft for hard, soft in shares.values()]
    return Claim(
        "hard-is-sparser",
        "At equal lambda a hard threshold leaves fewer units active than a soft one (Rozell et al. 2008).",
        _verdict(all(fewer), any(fewer)),
        "Active codes at the end: fewer on every problem, it holds; on some, partly; on none, it fails.",
        _beside(shares),
    )


def few_turns(found: Sequence[Found]) -> Claim:
    """The half-quadratic schedule with p = 1."""
    ends = {}
    for f in found:
        above = f.curve(ONE_LABEL).above(f.best)
        ends[f.task.name] = float(above[min(TURNS, len(above) - 1)])
    worst = max(ends.values())
    return Claim(
        "few-turns",
        f"{TURNS} turns of continuation (beta from 1, times 6, below 10^5) are how Zeiler et al. 2010 minimise over "
        "feature maps; with p = 1 they should come near the optimum.",
        _verdict(worst <= 0.01, worst <= 0.1),
        f"Objective with p = 1 after {TURNS} turns: within 1 % of the best known on every problem, it holds; within "
        "10 %, partly; beyond, it fails.",
        "; ".join(f"{name}: {100 * end:.2f} % above" for name, end in ends.items()) + ".",
    )


def half_is_sparser(found: Sequence[Found]) -> Claim:
    """p = 1/2 against p = 1 at its optimum."""
    shares, words = {}, []
    for f in found:
        one = f.curve(ONE_LABEL)
        half, settled = float(f.half.active[-1]), float(one.active[-1])
        shares[f.task.name] = (half, settled)
        words.append(
            f"{f.task.name}: {100 * half:.2f} % active at {100 * f.half_error:.1f} % error against {100 * settled:.2f} "
            f"% at {100 * f.error:.1f} % (p = 1 after {TURNS} turns, before FISTA: "
            f"{100 * float(one.active[min(TURNS, one.iterations)]):.2f} %)"
        )
    fewer = [half < one for half, one in shares.values()]
    return Claim(
        "half-is-sparser",
        "At the same lambda |y|^p with p = 1/2 leaves fewer units active than the optimum of p = 1 (expected of priors "
        "with p below 1, for which Zeiler et al. 2010 made the half-quadratic method).",
        _verdict(all(fewer), any(fewer)),
        f"Active codes of p = 1/2 after its {TURNS} turns, a local minimum at best, against those of p = 1 at the end, "
        "where FISTA has settled it: fewer on every problem, it holds; on some, partly; on none, it fails. The errors, "
        "which differ, are not judged.",
        "; ".join(words) + ".",
    )


def _verdict(holds: bool, partly: bool) -> Verdict:
    return Verdict.HOLDS if holds else Verdict.PARTLY if partly else Verdict.FAILS


def _beside(shares: dict[str, tuple[float, float]]) -> str:
    return "; ".join(f"{name}: {100 * a:.2f} % against {100 * b:.2f} %" for name, (a, b) in shares.items()) + "."


def _count(iterations: int | None) -> str:
    return "never" if iterations is None else f"{iterations:,}"
