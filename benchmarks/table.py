"""The results of the benchmark programs as tables: speed, memory and RTL; the long ones of `docs/` with --all.

    python benchmarks/table.py [--readme | --all]

``--readme`` puts them into README.md between the benchmark markers.
"""

import argparse
import json
from pathlib import Path

from common import RESULTS, markdown

from striate.golden.archive import replacing

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
FIRST = ("speed", "scaling", "golden", "learning", "rtl", "crossbar_circuit", "crossbar_loop")


def whole(everything: bool = False) -> str:
    """The result files of `FIRST`, or every one that holds rows of `common`."""
    others = sorted(file.stem for file in RESULTS.glob("*.json") if file.stem not in FIRST)
    names = [*FIRST, *(others if everything else ())]
    files = [RESULTS / f"{name}.json" for name in names]
    found = [json.loads(file.read_text()) for file in files if file.exists()]
    found = [results for results in found if isinstance(results, dict) and "name" in results]  # as `finish` writes them
    if not found:
        return "Nothing measured yet: `make bench`."
    where = found[0]["machine"]
    head = (
        f"Measured on {where['processor']} with {where['cores']} cores (Python {where['python']}, "
        f"NumPy {where['numpy']}, numba {where['numba']}), one core unless said; `make bench` measures them again."
    )
    return "\n\n".join([head, *(markdown(results) for results in found)])


def main() -> None:
    """Print; with --readme also write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    text = whole(options.all and not options.readme)
    print(text)
    if options.readme:
        head, rest = README.read_text(encoding="utf-8").split(START)
        with replacing(README) as aside:
            aside.write_text(f"{head}{START}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
