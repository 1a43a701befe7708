"""Bitstreams for three boards, each by the public command with the machine that it chooses: clock, cells, frames/s.

    python benchmarks/boards.py [--work DIR] [--quick] [BOARD...]

Writes ``results/boards.json`` (what ``striate synth --json`` says, without paths and wall time) and the table of
docs/synthesis.md. About half an hour; a folder given with ``--work`` is continued. ``--quick`` writes nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from striate.golden.archive import replacing

RESULTS = Path(__file__).parent / "results" / "boards.json"
DOCUMENT = Path(__file__).parents[1] / "docs" / "synthesis.md"
BEGIN, END = "<!-- boards -->", "<!-- end of boards -->"
BOARDS = ("ulx3s-85f", "orangecrab-25f", "icebreaker")
LOCAL = ("bitstream", "out", "seconds", "striate")
"""Keys that say something about this machine or version, not about the board."""


def synthesise(board: str, folder: Path) -> dict[str, Any]:
    """What the verb says of one board."""
    words = [sys.executable, "-m", "striate", "synth", "--board", board, "--out", str(folder), "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise SystemExit(f"{board}: no result, exit status {done.returncode}")
    return {key: value for key, value in json.loads(done.stdout).items() if key not in LOCAL}


def row(found: dict[str, Any]) -> str:
    """One line of the table; the estimate's error in parentheses."""
    cells = [f"`{found['board']}`", f"{found['image'][0]}x{found['image'][1]}"]
    cells.append("; ".join(found["changes"]) or "the default network")
    cells.append(f"{found['fmax_mhz']:.1f} / {found['clock_mhz']:g}")
    lut, expected = found["lut"], found["estimate"]["lut"]
    cells.append(f"{lut:,} ({100 * (expected / lut - 1):+.1f} %)")
    for kind in ("bram", "dsp"):
        off = found["estimate"][kind] - found[kind]
        cells.append(f"{found[kind]} ({'exact' if not off else f'{off:+d}'})")
    seen = found["photographs"]
    for name, form in (("cycles", ",.0f"), ("frames_per_second", ".1f"), ("code_events", ",.0f"),
                       ("residual_events", ",.0f")):  # fmt: skip
        cells.append(" / ".join(format(seen[name][which], form) for which in ("min", "median", "max")))
    return f"| {' | '.join(cells)} |"


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table; triples are minimum, median and maximum over the crops."""
    head = [
        "board", "image", "network", "MHz routed / asked", "LUT (estimate)", "blocks", "multipliers", "cycles",
        "frames/s", "code events", "residual events",
    ]  # fmt: skip
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(row(found) for found in rows)]) + "\n"


def main() -> None:
    """Run the boards one after the other; with all of them, write the results and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("boards", nargs="*", default=BOARDS, metavar="BOARD")
    parser.add_argument("--work", type=Path, default=None, help="folder that keeps the runs")
    parser.add_argument("--quick", action="store_true", help="the smallest board, nothing written")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        boards = BOARDS[-1:] if options.quick else options.boards
        rows = [synthesise(board, work / board) for board in boards]
    table = markdown(rows)
    print(table)
    if options.quick or tuple(boards) != BOARDS:
        return
    with replacing(RESULTS) as aside:
        aside.write_text(json.dumps({"boards": rows}, indent=1) + "\n")
    text, _, rest = DOCUMENT.read_text().partition(BEGIN)
    with replacing(DOCUMENT) as aside:
        aside.write_text(f"{text}{BEGIN}\n{table}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
