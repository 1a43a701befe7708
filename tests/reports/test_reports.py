"""The page and its parts: self-contained, small, saying what was modelled; figures drawn from plain data."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.hw.verify import Verdict
from striate.reports import figures, tables
from striate.reports.demo import complete
from striate.reports.html import write_report
from striate.reports.record import assemble, phase_cycles, run_golden, run_machine, versions
from striate.reports.rundir import FILES, frames_of, load, plain, refuse_existing, writing
from striate.sim.design import Design
from striate.sim.machine import simulate
from striate.sim.run import StepView
from striate.sim.timing import Phase

DESIGN = Design(image=(32, 32), tiles=(2, 2), steps=12)


@pytest.fixture(scope="module")
def image() -> figures.Array:
    return load_image("camera", crop=(104, 212), size=(32, 32))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, image: figures.Array) -> dict[str, Path]:
    """A golden run, a machine run and a demo-like one with everything."""
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
    m_trace["photograph"] = np.zeros((1, 32, 32), np.uint8)
    golden = {
        "code": g_arrays["code"],
        "residual": g_arrays["residual"],
        "percent_error": g_trace["percent_error"],
        "active": g_trace["active"],
    }
    parts = {
        "golden": (g_info | common, g_arrays, g_trace, None),
        "machine": (m_info | common, m_arrays, m_trace, None),
        "demo": (
            m_info | common | {"golden": g_info, "verification": [verdict], "schedules": {"skip": m_info}},
            m_arrays,
            m_trace,
            golden,
        ),
    }
    made = {}
    for name, (info, arrays, trace, gold) in parts.items():
        made[name] = base / name
        with writing(made[name], False) as aside:
            complete(aside, info, DESIGN, arrays, trace, gold)
    return made


class Links(HTMLParser):
    """Collects what a page loads, and holds that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "xlink:href", "data")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "br", "input", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["golden", "machine", "demo"])
def test_the_page_is_self_contained(folders: dict[str, Path], name: str) -> None:
    text = (folders[name] / "report.html").read_text()
    page = Links()
    page.feed(text)
    assert not page.open and len(text) < 4_000_000
    assert all(load.startswith(("data:", "#")) for load in page.loads), page.loads
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
    text = write_report(tmp_path).read_text()
    assert "RTL does not equal the model." in text and "step 3, tile 1: R" in text
    info["verification"][0] |= {"cycles_rtl": 0, "cycles_model": 0}
    (tmp_path / "run.json").write_text(json.dumps(info))
    text = write_report(tmp_path).read_text()
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
        write_report(folders["golden"], tmp_path / "no" / "x.html")


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
        write_report(folders["machine"], tmp_path)
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
    assert len(set(figures.COLOURS)) == len(figures.COLOURS) >= len(Phase)


def test_what_was_not_reached_is_a_dash() -> None:
    broken = Verdict(False, 1, mismatches=1).as_dict()
    lines = dict(tables.verify_lines(broken))
    assert lines["cycles"] == lines["events"] == tables.DASH and lines["designs, steps"] == f"1, {tables.DASH}"
    lines = dict(tables.verify_lines(Verdict(True, 1, 5, 100, 0, 12, 12).as_dict()))
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
        figures.float_against_fixed(code, code, picture, picture, 0.1),
        figures.float_against_fixed(0 * code, 0 * code, picture, picture, 0.1),
    ]
    for n, figure in enumerate(drawn):
        assert isinstance(figure, Figure) and figures.svg(figure, f"f{n}").startswith("<svg")
        figures.png(figure, tmp_path / f"{n}.png", dpi=40)
        assert (tmp_path / f"{n}.png").stat().st_size > 100
