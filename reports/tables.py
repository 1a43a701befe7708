"""Numbers as text, and the rows of the page's tables. Plain data in, plain data out."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..golden.learn import SETTLED_CHANGE, SETTLED_PICTURES
from ..sim.timing import Phase

DASH = "\u2013"
_PREFIX = (
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "\u00b5"),
    (1e-9, "n"),
    (1e-12, "p"),
)


def number(value: float | int | None, digits: int = 2) -> str:
    """A number for reading: thousands separated, floats to ``digits`` places; a dash for None."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def short(value: float) -> str:
    """A number to four digits."""
    return f"{value:.4g}"


def si(value: float | None, unit: str, digits: int = 3) -> str:
    """A quantity in the base unit with an SI prefix: ``si(2.1e-3, "J")`` is "2.1 mJ"."""
    if value is None:
        return DASH
    if value == 0:
        return f"0 {unit}".strip()
    scale, prefix = next(((s, p) for s, p in _PREFIX if abs(value) >= s), _PREFIX[-1])
    return f"{value / scale:.{digits}g} {prefix}{unit}".strip()


def band(values: Sequence[float], scale: float, unit: str) -> str:
    """ "typical (low .. high)" of a band in SI prefixes; ``scale`` turns the values into ``unit``."""
    low, typical, high = (si(v * scale, unit) for v in values)
    return f"{typical} ({low} .. {high})"


COMPARISON = (
    ("percent error", "percent_error", 3),
    ("by the programmed arrays", "programmed_percent_error", 3),
    ("percent inactive", "percent_inactive", 2),
    ("PSNR, dB", "psnr_db", 2),
    ("outcome", "outcome", 0),
    ("code events", "events", 0),
    ("residual events", "residual_events", 0),
    ("link events", "link_events", 0),
    ("products (MACs)", "macs", 0),
    ("share of dense MACs, %", "mac_share", 2),
    ("conversions", "conversions", 0),
    ("cycles a frame", "cycles", 0),
    ("frames/s at the target clock", "frames_per_second", 1),
    ("time a frame (modelled)", "latency_ms", 0),
    ("energy a frame (modelled)", "energy_pj", 0),
    ("time on this computer", "compute_seconds", 0),
    ("code SHA-256", "code_sha256", 0),
)


def comparison(columns: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Rows (label, one text a column) over runs; a row that nobody has is left out."""
    rows = []
    for label, key, digits in COMPARISON:
        texts = []
        for info in columns.values():
            value = info.get(key)
            if key == "latency_ms" and value is None and info.get("costs"):
                value = info["costs"][0]["latency_ms"]
            if key == "mac_share":
                value = 100.0 * info["macs"] / info["macs_dense"] if info.get("macs") else None
            if key == "energy_pj":
                text = si(value * 1e-12, "J") if value is not None else DASH
            elif key == "latency_ms":
                text = si(value * 1e-3, "s") if value is not None else DASH
            elif key == "compute_seconds":
                text = si(value, "s")
            elif key == "code_sha256":
                text = f"{value[:12]}\u2026" if value else DASH
            else:
                text = value if isinstance(value, str) else number(value, digits)
            texts.append(text)
        if any(text != DASH for text in texts):
            rows.append([label, *texts])
    return rows


def balance(cycles: Any) -> list[list[str]]:
    """Rows (what, share of all clocks, least, mean, most, the tile with the most, most / mean) over the tiles.

    Args:
        cycles: (T, phases) clocks in each phase, and one column more for the waits for tokens where they are known.
    """
    waits = cycles[:, [Phase.WAIT, *range(len(Phase), cycles.shape[1])]].sum(axis=1)
    rest = (Phase.CLEAR, Phase.REFRESH, Phase.INPUT, Phase.FLUSH, Phase.DRAIN, Phase.IDLE)
    parts = {
        "gather": cycles[:, Phase.GATHER],
        "update": cycles[:, Phase.UPDATE],
        "scatter": cycles[:, Phase.SCATTER],
        "waiting for neighbours": waits,
        "load, flush, drain, idle": cycles[:, list(rest)].sum(axis=1),
    }
    whole = max(1, int(cycles.sum()))
    return [
        [
            name,
            f"{100 * int(spent.sum()) / whole:.1f} %",
            number(int(spent.min())),
            number(round(float(spent.mean()))),
            number(int(spent.max())),
            str(int(spent.argmax())) if len(spent) > 1 else DASH,
            f"{spent.max() / spent.mean():.2f}" if spent.any() else DASH,
        ]
        for name, spent in parts.items()
    ]


def memory_rows(traffic: Mapping[str, Any]) -> list[list[str]]:
    """Rows (memory, bits of a word, words read, words written, bits, share of all bits) of a frame, and of the links.

    Args:
        traffic: `sim.traffic.Traffic.as_dict`.
    """
    found = [(m["name"], m["width"], m["reads"], m["writes"]) for m in traffic["memories"]]
    links = sum(sum(row) for row in traffic["links"]["events"])
    if links:
        found.append(("links between tiles", traffic["links"]["bits"], links, None))
    bits = [width * (reads + (writes or 0)) for _, width, reads, writes in found]
    return [
        [name, number(width), number(reads), number(writes), si(float(moved), "bit"),
         f"{100 * moved / max(1, sum(bits)):.1f} %"]
        for (name, width, reads, writes), moved in zip(found, bits, strict=True)
    ]  # fmt: skip


def verdict(results: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The sentence over all verification results: what was compared, are RTL and model equal, what failed first."""
    if not results:
        return None
    passed = all(r["passed"] for r in results)
    words, mismatches = (sum(r[key] for r in results) for key in ("words_compared", "mismatches"))
    ended = all(r["cycles_rtl"] for r in results)
    cycles = all(r["cycles_rtl"] == r["cycles_model"] for r in results)
    first = next((r["first_divergence"] for r in results if r.get("first_divergence")), None)
    clocks = f"cycles of RTL and model are {'equal' if cycles else 'not equal'}" if ended else "no frame was finished"
    return {
        "passed": passed,
        "on": " and ".join(str(r.get("name", "the design")) for r in results),
        "text": f"{mismatches:,} of {words:,} words differ; {clocks}.",
        "first": first.get("text") if isinstance(first, Mapping) else None,
    }


def clocks(result: Mapping[str, Any]) -> tuple[str, str]:
    """Cycles of RTL and model as text: dashes when a difference ended the comparison before a frame was finished."""
    if not result["passed"] and not result["cycles_rtl"]:
        return DASH, DASH
    return number(result["cycles_rtl"]), number(result["cycles_model"])


# ---- a result on the terminal: (label, text) lines ---------------------------------------------------------
Lines = list[tuple[str, str]]


def encode_lines(info: Mapping[str, Any], clock_mhz: float) -> Lines:
    """Of an encoding."""
    lines = [
        ("percent error", f"{info['percent_error']:.3f} %"),
        ("inactive", f"{info['percent_inactive']:.2f} %"),
        ("PSNR", f"{info['psnr_db']:.2f} dB"),
        ("outcome", f"{info['outcome']}: {info['remedy']}"),
    ]
    if info["on"] == "machine":
        share = 100 * info["macs"] / info["macs_dense"]
        lines += [
            ("events", f"{info['events']:,} code, {info['residual_events']:,} residual, {info['link_events']:,} link"),
            ("products", f"{info['macs']:,}, {share:.2f} % of dense"),
        ]
        if info["cycles"] is not None:
            rate = f"{info['frames_per_second']:.1f} frames/s at {clock_mhz:g} MHz (target)"
            lines += [
                ("cycles", f"{info['cycles']:,}: {rate}"),
                ("energy", f"{si(info['energy_pj'] * 1e-12, 'J')} a frame (modelled)"),
            ]
    lines += [("code SHA-256", info["code_sha256"]), *(("warning", text) for text in info["warnings"])]
    return lines


def learn_lines(info: Mapping[str, Any]) -> Lines:
    """Of a learned dictionary."""

    def yes(value: bool) -> str:
        return "yes" if value else "no"

    wanted = f"wanted: below {100 * SETTLED_CHANGE:g} %"
    if info["pictures"] < SETTLED_PICTURES:
        wanted += f" over {SETTLED_PICTURES} pictures, only {info['pictures']:,} were shown"
    return [
        ("dictionary", info["out"] if "dictionary_sha256" in info else "none"),
        ("pictures shown", f"{info['pictures']:,}"),
        ("diverged", f"{info['diverged']:,} of {info['pictures']:,}"),
        ("settled", f"{yes(info['settled'])}: kernels move {100 * info['change']:.2f} % an update ({wanted})"),
        ("Gabor-like", f"{yes(info['gabor_like'])}: {100 * info['gabor_share']:.0f} % of the kernels (wanted: 70 %)"),
        ("error, inactive", f"{info['percent_error']:.1f} %, {info['percent_inactive']:.1f} %"),
        ("silent kernels", f"{info['silent']:,} at the end, {info['reseeded']:,} drawn anew"),
    ]


def verify_lines(info: Mapping[str, Any]) -> Lines:
    """Of a verification. What was not reached is a dash, not a 0."""
    rtl, model = clocks(info)
    unfinished = rtl == DASH

    def reached(value: int) -> str:
        return DASH if unfinished and not value else number(value)

    events = ", ".join(f"{reached(info[f'{name}_events'])} {name}" for name in ("code", "residual", "link"))
    rate = info["rtl_cycles_per_second"]
    speed = f", {si(rate, 'cycles/s')} with comparison" if rate else ""
    lines = [
        ("RTL equals machine", "yes" if info["passed"] else "NO"),
        ("designs, steps", f"{info['designs']:,}, {reached(info['steps'])}"),
        ("words compared", f"{reached(info['words_compared'])}, {info['mismatches']:,} different"),
        ("cycles", DASH if unfinished else f"{rtl} RTL, {model} model"),
        ("events", DASH if unfinished and not info["code_events"] else events),
        ("simulator", f"{info['simulator']}{speed}"),
    ]
    for name, drawn in info["mix"].items():
        text = ", ".join(f"{key}: {count}" for key, count in drawn.items()) if isinstance(drawn, dict) else str(drawn)
        lines.append((str(name), text))
    return lines


def demo_lines(info: Mapping[str, Any]) -> Lines:
    """Of a demo's verifications, and where its page is."""
    lines = []
    for v in info["verification"]:
        words = f"{v['mismatches']} of {v['words_compared']:,} words differ"
        rtl, model = clocks(v)
        lines.append((f"RTL, {v['name']}", f"{words}; cycles {rtl} (RTL), {model} (model)"))
    return [*lines, ("report", info["report"])]
