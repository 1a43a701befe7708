"""The benchmark programs measure what they say: the float loops they compare with are the golden network."""

import subprocess
import sys
from pathlib import Path

import striate

FOLDER = Path(striate.__file__).resolve().parent / "benchmarks"


def run(program: str) -> str:
    """In a process of its own: `common` sets the number of BLAS threads before NumPy is imported."""
    head = f"import sys; sys.path.insert(0, {str(FOLDER)!r})\nimport common\n"
    done = subprocess.run([sys.executable, "-c", head + program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_float_loops_are_the_golden_network():
    said = run("""
import networks
import numpy as np
from striate.golden.lca import LcaParams, encode

image = networks.picture((32, 40))
for name in (networks.SMALL, networks.W3):
    atoms = networks.dictionary(name)
    code = encode(image, atoms, LcaParams(steps=30)).code
    assert np.count_nonzero(code) > 20
    again = networks.numpy_lca(image, atoms.atoms, atoms.stride, 30, np.float64)
    np.testing.assert_allclose(again, code, atol=1e-9)
    try:
        torch = networks.torch_lca(image, atoms.atoms, atoms.stride, 5)
    except ImportError:
        continue
    np.testing.assert_allclose(torch, encode(image, atoms, LcaParams(steps=5)).code, atol=1e-5)
print(networks.dictionary(networks.W2).atoms.shape)
""")
    assert said == "(32, 1, 15, 15)\n"


def test_learning_is_timed_by_the_update():
    said = run("""
import json

import learning

settings = {"kernels": 4, "patch": 8, "stride": 4, "crop_size": 16, "steps": 5, "batch": 2}
measured, peak = common.apart(learning.PROGRAM.format(updates=3, settings=settings))
print(json.dumps([sorted(measured), 0 < measured["seconds"] < 1, 50 < peak < 2000]))
print([each.name for each in learning.CONFIGURATIONS if each.name not in learning.RECIPES])
""")
    assert said == '[["seconds"], true, true]\n[]\n'


def test_engines_are_measured_on_the_paper_s_patches():
    said = run("""
import engines

print(sorted({patch for _, patch, _ in engines.NETWORKS}))
print(engines.kernels(32, 16, 2)[1] == "", engines.kernels(3, 6, 2)[1], engines.kernels(3, 6, 2)[0].atoms.shape)
""")
    assert said == "[8, 15, 16, 32, 64]\nTrue noise for kernels (3, 1, 6, 6)\n"


def test_medians_ratios_and_memory():
    said = run("""
import json

turns = iter([9.0, 9.0, 1.0, 4.0, 3.0, 2.0, 2.0, 6.0])  # a warming turn, then three
medians = common.rounds({"a": lambda: next(turns), "b": lambda: next(turns)}, 3)
rows = common.compared("group", medians, 3, "a", {"b": "why"})
_, small = common.apart("pass")
_, large = common.apart("import numpy; x = numpy.ones(2**24)")
print(json.dumps([medians, large - small > 120, common.markdown({"rows": rows}).splitlines()]))
""")
    assert said.strip() == (
        '[{"a": 2.0, "b": 4.0}, true, ["| group | seconds | times the baseline |", "|---|---|---|", '
        '"| a | 2 | 1 |", "| b (why) | 4 | 2 |", "", "Baseline: a. Medians of 3, taking turns."]]'
    )


def test_results_go_into_the_readme(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("before <!-- benchmarks -->\nold\n<!-- /benchmarks --> after\n")
    run(f"""
import argparse, pathlib, table

folder = pathlib.Path({str(tmp_path)!r})
common.RESULTS = table.RESULTS = folder / "results"
table.README = folder / "README.md"
rows = common.compared("group", {{"a": 0.25, "b": 1234.0}}, 7, "a", {{}})
common.finish("speed", rows, common.machine(), argparse.Namespace(quick=False))
common.finish("golden", rows, common.machine(), argparse.Namespace(quick=True))  # writes nothing
(folder / "results" / "other.json").write_text("[1]")  # of a program with a form of its own
sys.argv = ["table.py", "--readme"]
table.main()
""")
    assert sorted(file.name for file in (tmp_path / "results").iterdir()) == ["other.json", "speed.json"]
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("before <!-- benchmarks -->\nMeasured on ")
    assert "\n| b | 1,234 | 4,936 |\n" in readme and "old" not in readme
    assert readme.endswith("Medians of 7, taking turns.\n<!-- /benchmarks --> after\n")


def test_blas_threads_are_set_before_numpy():
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, numpy; sys.path.insert(0, {str(FOLDER)!r}); import common"],
        capture_output=True,
        text=True,
    )
    assert done.returncode and "import common first" in done.stderr
