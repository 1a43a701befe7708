"""The page and its parts: self-contained, small, saying what was modelled; figures drawn from plain data."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.page import Page

from striate.cli import main
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.hw.verify import Verdict
from striate.reports import figures, tables
from striate.reports.demo import complete
from striate.reports.drawn import windows
from striate.reports.html import page, write_report
from striate.reports.record import assemble, phase_cycles, run_golden, run_machine, versions
from striate.reports.rundir import FIGURES, FILES, frames_of, load, plain, refuse_existing, writing
from striate.reports.traces import PICTURES, recorder_of
from striate.sim.design import Design
from striate.sim.machine import simulate
from striate.sim.run import StepView
from striate.sim.timing import Phase
from striate.sim.trace.recorder import UNITS, Trace

DESIGN = Design(image=(32, 32), tiles=(2, 2), steps=12)
BLANK = {name: Figure((1, 1)) for name in FIGURES}  # where the figures are not what is tested
BLANK_GOLDEN = {name: BLANK[name] for name in ("pictures", "kernels", "code", "convergence")}
GRAM = DESIGN.replace(schedule="gram", tiles=(1, 1))


@pytest.fixture(scope="module")
def image() -> figures.Array:
    return load_image("camera", crop=(104, 212), size=(32, 32))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, image: figures.Array) -> dict[str, Path]:
    """A golden run, a machine run, a demo-like one with everything, and one of a schedule without a clock."""
    base = tmp_path_factory.mktemp("runs")
    common = {"striate": "0", "picture": "camera", "versions": versions(), "command": "striate <b>", "seconds": 1.0}
    g_info, g_arrays, g_trace, _ = run_golden(image, DESIGN, frames=True)
    m_info, m_arrays, m_trace, _ = run_machine(image, DESIGN, frames=True)
    verdict = {
        "name": "32x32",
        "passed": True,
        "steps": 12,
        "words_compared": 12345,
        "mismatches": 0,
        "cycles_rtl": 7,
        "cycles_model": 7,
        "code_events": 1,
        "residual_events": 2,
        "link_events": 3,
        "simulator": "verilator",
        "first_divergence": None,
    }
    recorder = recorder_of(DESIGN, (2, 6))
    t_info, t_arrays, t_trace, t_run = run_machine(image, DESIGN, frames=True, recorder=recorder)
    t_trace["photograph"] = np.zeros((1, 32, 32), np.uint8)
    golden = {
        "code": g_arrays["code"],
        "residual": g_arrays["residual"],
        "percent_error": g_trace["percent_error"],
        "active": g_trace["active"],
    }
    gram_info, gram_arrays, gram_trace, _ = run_machine(image, GRAM, frames=True)
    parts = {
        "golden": (g_info | common, DESIGN, g_arrays, g_trace, None, None),
        "machine": (m_info | common, DESIGN, m_arrays, m_trace, None, None),
        "demo": (
            t_info | common | {"golden": g_info, "verification": [verdict], "schedules": {"skip": m_info}},
            DESIGN,
            t_arrays,
            t_trace,
            golden,
            Trace.of(t_run, recorder),
        ),
        "gram": (gram_info | common, GRAM, gram_arrays, gram_trace, None, None),
    }
    made = {}
    for name, (info, design, arrays, trace, gold, traced) in parts.items():
        made[name] = base / name
        with writing(made[name], False) as aside:
            complete(aside, {**info, "design": "d"}, design, arrays, trace, gold, traced)
    return made


@pytest.mark.parametrize("name", ["golden", "machine", "demo", "gram"])
def test_the_page_is_self_contained(folders: dict[str, Path], name: str) -> None:
    text = (folders[name] / "report.html").read_text()
    page = Page(text)
    assert len(text) < 4_000_000
    beside = {"trace.npz", "machine.vcd", "timeline.json"} if name == "demo" else set()
    assert all(load.startswith(("data:", "#")) or load in beside for load in page.loads), page.loads
    assert beside <= set(page.loads)
    assert not re.search(r"@import|url\((?!#)|https?://", re.sub(r"data:image/png;base64,[\w+/=\n]+", "", text))
    assert len(page.ids) == len(set(page.ids)), "ids of two figures clash"
    assert "striate &lt;b&gt;" in text and "prefers-color-scheme" in text


def test_the_page_says_what_it_must(folders: dict[str, Path]) -> None:
    text = (folders["demo"] / "report.html").read_text()
    assert "RTL equals the model." in text and "0 of 12,345 words differ" in text
    assert "Compared on 32x32: parts of the photograph, not all of its 32&times;32 pixels." in text
    for word in ("modelled", "target", "Effective cutoff", "not proven", "Horowitz", "s18.14", "Joulescope"):
        assert word in text, word
    golden = (folders["golden"] / "report.html").read_text()
    assert "RTL" not in golden and "modelled" not in re.sub(r"<style>.*?</style>", "", golden, flags=re.DOTALL)


def test_a_broken_rtl_is_shown(folders: dict[str, Path], tmp_path: Path) -> None:
    info = json.loads((folders["demo"] / "run.json").read_text())
    info["verification"][0] |= {"passed": False, "mismatches": 2, "first_divergence": {"text": "step 3, tile 1: R"}}
    for path in folders["demo"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "run.json").write_text(json.dumps(info))
    text = write_report(tmp_path, drawn=BLANK).read_text()
    assert "RTL does not equal the model." in text and "step 3, tile 1: R" in text
    info["verification"][0] |= {"cycles_rtl": 0, "cycles_model": 0}
    (tmp_path / "run.json").write_text(json.dumps(info))
    text = write_report(tmp_path, drawn=BLANK).read_text()
    assert "no frame was finished." in text and text.count(f"<td>{tables.DASH}</td><td>{tables.DASH}</td>") >= 1


def test_the_same_run_gives_the_same_page(folders: dict[str, Path], tmp_path: Path) -> None:
    again = write_report(folders["machine"], tmp_path / "again.html")
    assert again.read_bytes() == (folders["machine"] / "report.html").read_bytes()


def test_what_is_no_run_is_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="holds no run"):
        load(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path)
    with pytest.raises(InputError, match="cannot write"):
        write_report(folders["golden"], tmp_path / "no" / "x.html", drawn=BLANK_GOLDEN)


def test_a_run_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), writing(tmp_path / "run", False) as aside:
        (aside / "half").write_text("")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_run_beside_other_files_is_not_replaced(folders: dict[str, Path], tmp_path: Path) -> None:
    for folder in folders.values():
        assert {path.name for path in folder.iterdir()} <= FILES
        refuse_existing(folder, True)
    out = tmp_path / "run"
    out.mkdir()
    for name in ("run.json", ".run.json.7.part", "report.html"):
        (out / name).write_text("")
    refuse_existing(out, True)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds notes.txt, which no run wrote"), writing(out, True):
        pass
    assert (out / "notes.txt").read_text() == "mine" and [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_damaged_array_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for path in folders["machine"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in ("encoding.npz", "trace.npz"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:60] + b"rot" * 40 + whole[180:])
        with pytest.raises(InputError, match=rf"{name} is not a readable .npz archive \(it is damaged\)"):
            load(tmp_path)
        (tmp_path / name).write_bytes(whole)


def test_a_page_that_cannot_be_written_leaves_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        write_report(folders["machine"], tmp_path, drawn=BLANK)
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}*"))


def test_an_overflow_is_the_outcomes_remedy(image: figures.Array) -> None:
    info = run_machine(image, DESIGN.replace(residual_accumulator=12), frames=False)[0]
    assert info["overflow"] and "R left its word of 12 bits" in info["remedy"]
    assert "Nothing to do" not in info["remedy"] and "machine.residual_accumulator = 20" in info["remedy"]
    assert dict(tables.encode_lines(info, 80.0))["outcome"].endswith("= 20.")


def test_unknown_boards_are_refused(image: figures.Array) -> None:
    with pytest.raises(InputError, match="target.board must be one of ulx3s-85f, .*, not 'foo'"):
        run_machine(image, DESIGN.replace(board="foo"), frames=False)


def test_every_phase_has_its_colour() -> None:
    assert len(set(figures.PHASE_COLOURS)) == len(figures.PHASE_COLOURS) == len(Phase) + 1


def test_what_was_not_reached_is_a_dash() -> None:
    broken = Verdict(False, 1, mismatches=1).as_dict()
    lines = dict(tables.verify_lines(broken))
    assert lines["cycles"] == lines["events"] == tables.DASH and lines["designs, steps"] == f"1, {tables.DASH}"
    lines = dict(tables.verify_lines(Verdict(True, 1, 5, words_compared=100, cycles_rtl=12, cycles_model=12).as_dict()))
    assert lines["cycles"] == "12 RTL, 12 model" and lines["events"] == "0 code, 0 residual, 0 link"


def test_saved_numbers_come_back(folders: dict[str, Path], image: figures.Array) -> None:
    run = simulate(image, DESIGN)
    record = load(folders["machine"])
    np.testing.assert_array_equal(record.real("residual"), run.residual_float)
    np.testing.assert_array_equal(record.real("code"), run.code_float)
    assert record.design == DESIGN


def test_assembled_residuals_and_phases(image: figures.Array) -> None:
    seen: list[np.ndarray] = []

    def keep(view: StepView) -> None:
        seen.append(view.residual.copy())

    run = simulate(image, DESIGN, observe=keep)
    np.testing.assert_array_equal(assemble(seen[-1], run.plan.tiling), run.residual)
    assert run.cycles is not None
    spent, first = phase_cycles(run), [run.cycles.phases[run.cycles.phases[:, 0] == t][0, 2] for t in range(4)]
    np.testing.assert_array_equal(spent.sum(axis=1), run.cycles.frame - np.array(first))


def test_frames() -> None:
    for pixels, steps in ((32 * 32, 1), (128 * 128, 200), (1024 * 1024, 200), (128 * 128, 5)):
        steps_ = frames_of(pixels, steps)
        assert steps_[0] == 1 and steps_[-1] == steps and len(steps_) <= 40 and steps_ == sorted(set(steps_))


def test_json_holds_no_nan() -> None:
    assert plain({"a": float("inf"), "b": np.float64("nan"), "c": np.int64(3), "d": (1, Path("x"))}) == {
        "a": None,
        "b": None,
        "c": 3,
        "d": [1, "x"],
    }


def test_numbers_as_text() -> None:
    assert tables.si(2.1e-3, "J") == "2.1 mJ" and tables.si(0, "J") == "0 J" and tables.si(None, "J") == tables.DASH
    assert (
        tables.si(4.2e-13, "J") == "0.42 pJ" and tables.number(1234567) == "1,234,567" and tables.number(True) == "yes"
    )
    assert tables.band([1e6, 2e6, 4e6], 1e-12, "J") == "2 \u00b5J (1 \u00b5J .. 4 \u00b5J)"


@pytest.mark.parametrize("channels", [1, 3])
def test_figures_from_plain_data(channels: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    picture = random.random((channels, 8, 12))
    code = np.where(random.random((3, 4, 6)) > 0.7, random.random((3, 4, 6)), 0.0)
    drawn = [
        figures.panel(picture, picture - 0.5, picture - 0.5, picture - 0.5),
        figures.panel(None, picture, picture, picture),
        figures.kernels(random.standard_normal((3, channels, 5, 5)), np.arange(3)),
        figures.code_map(code),
        figures.code_map(np.zeros_like(code)),
        figures.convergence({"a": (np.arange(5.0), np.arange(5.0))}),
        figures.events({"code": np.arange(5)}),
        figures.phase_cycles(np.arange(10)[None] * np.arange(1, 41)[:, None], [*"abcdefghij"]),
        figures.timeline(
            np.array([[0, 0, Phase.GATHER, 2, 9], [1, 0, Phase.WAIT, 3, 8], [1, 1, Phase.GATHER, 8, 12]]),
            [("all", 0, 20), ("nothing", 30, 40)],
            [0, 1],
            [*"abcdefghij"],
        ),
        figures.float_against_fixed(code, code, picture, picture, 0.1),
        figures.float_against_fixed(0 * code, 0 * code, picture, picture, 0.1),
    ]
    for n, figure in enumerate(drawn):
        assert isinstance(figure, Figure) and figures.svg(figure, f"f{n}").startswith("<svg")
        figures.png(figure, tmp_path / f"{n}.png", dpi=40)
        assert (tmp_path / f"{n}.png").stat().st_size > 100


def test_one_step_is_seen() -> None:
    """A line needs two points: a single one is drawn as a dot, at a whole step."""
    for figure in (figures.convergence({"a": (np.ones(1), np.ones(1))}), figures.events({"code": np.ones(1, int)})):
        for axes in figure.axes:
            assert axes.lines[0].get_marker() == "o" and axes.get_xticks().tolist() == [1]
    for steps in (20, 50):
        axes = figures.events({"code": np.ones(steps, int)}).axes[0]
        assert axes.lines[0].get_marker() in ("", "None") and not (axes.get_xticks() % 1).any()


@pytest.mark.parametrize("tiles", [1, 2, 20])
def test_the_phases_of_one_tile_leave_room_for_the_axes(tiles: int) -> None:
    names = [*(phase.name.lower() for phase in Phase), "waiting for a token in scatter"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib only warns where axes vanish
        assert figures.svg(figures.phase_cycles(np.ones((tiles, len(names)), np.int64), names), "phases")


# ---- traces, clocks, traffic -----------------------------------------------------------------------------------------
def test_what_a_traced_run_writes(folders: dict[str, Path]) -> None:
    folder = folders["demo"]
    info = json.loads((folder / "run.json").read_text())
    assert info["traces"]["steps"] == [2, 6] and info["traces"]["npz_units"] == UNITS | PICTURES
    assert all((folder / name).stat().st_size > 1000 for name in info["traces"]["files"])
    record = load(folder)
    assert record.trace.keys() == UNITS.keys() | PICTURES.keys()  # every array that is promised, and no other
    steps = len(record.trace["active"])
    assert steps == DESIGN.dynamics.steps and record.trace["kept_steps"].tolist() == [2, 6]
    spans = record.trace["spans"]
    inside = spans[(spans[:, 1] >= 0) & (spans[:, 1] < steps)]
    spent = sum(record.trace[f"cycles_{name}"].sum() for name in ("gather", "flush", "wait", "update", "scatter"))
    assert spent == (inside[:, 4] - inside[:, 3]).sum()
    text = (folder / "report.html").read_text()
    assert "show steps 3 to 6 of 12; in the files the first step is 0." in text and 'href="machine.vcd"' in text
    assert "machine.vcd" not in page(record, beside=False, drawn=BLANK)


def test_the_timeline_shows_steps_whose_events_are_known(folders: dict[str, Path]) -> None:
    for name, (low, high) in (("machine", (0, 12)), ("demo", (2, 6))):
        trace = load(folders[name]).trace
        shown = windows(trace)
        assert shown[0][:2] == ("load and step 1", 0) and len(shown) == 2
        rows = trace["spans"][(trace["spans"][:, 1] >= low) & (trace["spans"][:, 1] < high)]
        assert rows[:, 3].min() <= shown[1][1] < shown[1][2] <= rows[:, 4].max()
    one = {
        "spans": np.array([[0, -1, 2, 0, 5], [0, 0, 4, 5, 9]]),
        "active": np.zeros(1),
        "kept_steps": np.array([0, 1]),
    }
    assert windows(one) == [("load and step 1", 0, 9)]


def test_how_even_the_load_is() -> None:
    cycles = np.zeros((2, len(Phase) + 1), np.int64)
    cycles[:, Phase.GATHER], cycles[:, Phase.WAIT], cycles[:, -1] = (30, 10), (1, 2), (0, 17)
    rows = {row[0]: row[1:] for row in tables.balance(cycles)}
    assert rows["gather"] == ["66.7 %", "10", "20", "30", "0", "1.50"]
    assert rows["waiting for neighbours"] == ["33.3 %", "1", "10", "19", "1", "1.90"]
    assert rows["scatter"][-1] == tables.DASH


def test_what_moves_in_a_frame(folders: dict[str, Path]) -> None:
    traffic = {
        "memories": [
            {"name": "U", "width": 10, "reads": 3, "writes": 1},
            {"name": "D", "width": 20, "reads": 1, "writes": 1},
        ],
        "links": {"bits": 20, "events": [[1, 0], [0, 0]]},
    }
    assert tables.memory_rows(traffic) == [
        ["U", "10", "3", "1", "40 bit", "40.0 %"],
        ["D", "20", "1", "1", "40 bit", "40.0 %"],
        ["links between tiles", "20", "1", tables.DASH, "20 bit", "20.0 %"],
    ]
    assert "What moves in a frame" in (folders["gram"] / "report.html").read_text()


def test_tables_that_a_run_brings_are_shown(folders: dict[str, Path]) -> None:
    record = load(folders["golden"])
    record.info["tables"] = [{"title": "Boards & rates", "columns": ["board", "frames"], "rows": [["<x>", 1234567]]}]
    text = page(record, drawn=BLANK_GOLDEN)
    assert "Boards &amp; rates" in text and "<td>&lt;x&gt;</td><td>1,234,567</td>" in text


@pytest.mark.parametrize(("name", "key"), [("golden", "picture"), ("machine", "macs_dense"), ("machine", "versions")])
def test_a_run_with_a_missing_key_is_refused(folders: dict[str, Path], tmp_path: Path, name: str, key: str) -> None:
    for path in folders[name].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    info = json.loads((tmp_path / "run.json").read_text())
    del info[key]
    (tmp_path / "run.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match=rf"run.json has no {key}; make the run again"):
        write_report(tmp_path)


def test_a_run_with_a_part_missing_deeper_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for path in folders["machine"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    info = json.loads((tmp_path / "run.json").read_text())
    for change in ({"resources": {}}, {"traffic": {}}):
        (tmp_path / "run.json").write_text(json.dumps(info | change))
        with pytest.raises(InputError, match=r"the run in .* is incomplete \(.*\); make the run again"):
            write_report(tmp_path, tmp_path / "again.html", drawn=BLANK)
        assert not (tmp_path / "again.html").exists()
    (tmp_path / "run.json").write_text(json.dumps(info))
    np.savez(tmp_path / "trace.npz", active=np.zeros(3))
    with pytest.raises(InputError, match=r"trace.npz has no percent_error; make the run again"):
        write_report(tmp_path)


# ---- striate encode --trace ------------------------------------------------------------------------------------------
SMALL = ("encode", "camera", "--crop", "104,212", "--set", "network.image=[32,32]", "--set", "machine.tiles=[2,2]",
         "--steps", "5")  # fmt: skip


def test_encode_writes_traces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main([*SMALL, "--on", "machine", "--out", str(out), "--trace-steps", "1:3"]) == 0
    assert "steps 1 .. 2 of 5 in machine.vcd and timeline.json" in capsys.readouterr().out
    assert {"trace.npz", "machine.vcd", "timeline.json"} <= {path.name for path in out.iterdir()} <= FILES
    assert json.loads((out / "run.json").read_text())["traces"]["steps"] == [1, 3]
    assert json.loads((out / "timeline.json").read_text())["otherData"]["steps_shown"] == [1, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "x", "--trace"), "--trace shows the machine's clock; encode with --on machine"),
        (("--on", "machine", "--trace"), "--trace writes files; name a folder with --out DIR"),
        (("--on", "machine", "--out", "x", "--trace", "--schedule", "skip"), '"skip" has none; leave --trace out'),
        (("--on", "machine", "--out", "x", "--trace-steps", "3"), "two whole numbers A:B such as 0:20, not '3'"),
        (("--on", "machine", "--out", "x", "--trace-steps", "2:9"), "0 <= A < B <= 5 (dynamics.steps), not 2:9"),
    ],
)
def test_traces_that_cannot_be_are_refused(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, *words]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not list(tmp_path.iterdir())
