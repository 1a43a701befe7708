"""``striate synth``: the table, the JSON object, exit statuses and one-line errors, with the flow replaced."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from striate.cli import main
from striate.hw.synth import Synthesis, Try
from striate.hw.synth.failures import Failure
from striate.hw.synth.parse import Clock, Count, CriticalPath
from striate.sim.mapping import photographs
from striate.sim.mapping.photographs import CropCycles
from striate.sim.mapping.resources import Resources

SMALL = ["--set", "network.image=[32,32]", "--set", "machine.tiles=[1,1]"]
PATH = CriticalPath("tile0.a", "tile0.b", 11.0, 4.0)
TRIES = (
    Try(1, {}, (Clock("clk", 85.0, 80.0, PATH),), None, None),
    Try(2, {}, (Clock("clk", 91.0, 80.0, PATH),), None, None),
)
DONE = Synthesis(
    "ulx3s-85f", "LFE5U-85F", 80.0, {"lut": Count(1000, 83640), "ff": Count(900, 83640), "bram": Count(24, 208),
    "dsp": Count(16, 156)}, 91.0, PATH, Path("/x/top.bit"), 2, TRIES, Resources((), 1, 24, 16, 1050, 880), None,
)  # fmt: skip
FRAMES = tuple(CropCycles("camera", (n, 0), 1_000_000 * n, 10 * n, 100 * n) for n in (1, 2, 4))


class Flow:
    """In the place of `synthesise`: gives what it is told to and keeps what it was asked."""

    def __init__(self) -> None:
        self.result, self.asked = DONE, {}  # type: ignore[var-annotated]

    def __call__(self, design: Any, board: str, out: Path, **options: Any) -> Synthesis:
        self.asked = {"design": design, "board": board, "out": out, **options}
        if self.result.used:
            Path(out).mkdir(exist_ok=True)
        return self.result


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Flow:
    made = Flow()
    monkeypatch.setattr("striate.hw.synth.synthesise", made)
    monkeypatch.setattr(photographs, "photograph_cycles", lambda design, dictionary: FRAMES)
    return made


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    capsys.readouterr()
    return main(["synth", *words]), *capsys.readouterr()


def test_the_table(flow: Flow, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = run(capsys, "--board", "ulx3s-85f", "--out", str(tmp_path / "o"), "--seeds", "2", *SMALL)
    assert (status, err) == (0, "")
    rows = dict(line.split("  ", 1) for line in out.splitlines() if line.strip())
    assert rows["look-up tables"].split() == ["1,050", "1,000", "+5.0", "%", "83,640"]
    assert rows["memory blocks"].split() == ["24", "24", "+0.0", "%", "208"]
    assert rows["seed 2"].strip() == "91.0 MHz, kept" and rows["seed 1"].strip() == "85.0 MHz"
    assert rows["clock"].strip() == "91.0 MHz routed, 80 MHz asked" and rows["bitstream"].strip() == "/x/top.bit"
    assert rows["cycles a frame"].strip() == "2,000,000 (1,000,000 to 4,000,000, 3 crops of the bundled photographs)"
    assert rows["frames/s"].strip() == "45.5 (22.8 to 91.0) from a cold start"
    assert rows["critical path"].strip() == "tile0.a -> tile0.b, 11.0 ns of which 4.0 ns logic"
    assert flow.asked["seeds"] == (1, 2) and flow.asked["clock_mhz"] == 80.0 and flow.asked["limit_s"] == 3600
    assert (tmp_path / "o" / "design.toml").is_file() and (tmp_path / "o" / "dictionary.npz").is_file()


def test_the_json_object(flow: Flow, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--board", "ulx3s-85f", "--out", str(tmp_path / "o"), "--clock", "75", "--json", *SMALL]
    status, out, err = run(capsys, *words)
    assert (status, err, out.count("\n")) == (0, "", 1)
    info = json.loads(out)
    assert {"striate", "design", "seconds", "board", "device", "lut", "bram", "dsp", "ff", "fmax_mhz", "clock_mhz",
            "bitstream", "cycles_per_frame", "frames_per_second", "estimate", "seeds", "outcome"} <= info.keys()
    assert info["estimate"] == {"lut": 1050, "ff": 880, "bram": 24, "dsp": 16}
    assert (info["lut"], info["ff"], info["bram"], info["dsp"]) == (1000, 900, 24, 16)
    assert info["cycles_per_frame"] == 2e6 and info["frames_per_second"] == pytest.approx(45.5)
    assert info["seeds"][1] == {"seed": 2, "fmax_mhz": 91.0, "outcome": "done"} and info["outcome"] == "done"
    seen = info["photographs"]
    assert seen["code_events"] == {"min": 10, "median": 20, "max": 40} and len(seen["crops"]) == 3
    assert flow.asked["clock_mhz"] == 75.0
    assert json.loads((tmp_path / "o" / "synthesis.json").read_text())["fmax_mhz"] == 91.0


@pytest.mark.parametrize(
    ("failure", "lines"),
    [
        (Failure("does not fit", "192 of 56 blocks"), ["striate: 192 of 56 blocks"]),
        (Failure("tool aborted", "it stopped: two", "one\ntwo"),
         ["striate: one", "striate: two", "striate: it stopped: two"]),
        (Failure("tool missing", "not installed; run `make setup`"), ["striate: not installed; run `make setup`"]),
    ],
)  # fmt: skip
def test_failures_exit_1(
    flow: Flow, capsys: pytest.CaptureFixture[str], tmp_path: Path, failure: Failure, lines: list[str]
) -> None:
    flow.result = replace(DONE, failure=failure, bitstream=None, fmax_mhz=None, tries=(), path=None, used={})
    status, out, err = run(capsys, "--board", "ulx3s-85f", "--out", str(tmp_path / "o"), "--json", *SMALL)
    info = json.loads(out)
    assert status == 1 and err.splitlines() == lines
    assert info["outcome"] == failure.kind and info["reason"] == failure.text and info["bitstream"] is None
    assert info["lut"] is None and info["photographs"] is None and not (tmp_path / "o").exists()


def test_a_missed_clock_exits_1_unless_allowed(
    flow: Flow, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    slow = Failure("misses the clock", "routed at 70 MHz")
    flow.result = replace(DONE, failure=slow, bitstream=None)
    words = ["--board", "ulx3s-85f", "--out", str(tmp_path / "o"), *SMALL]
    status, _, err = run(capsys, *words)
    assert status == 1 and err == "striate: routed at 70 MHz\n"
    flow.result = replace(DONE, failure=slow)
    status, _, err = run(capsys, *words, "--allow-miss")
    assert (status, err) == (0, "") and flow.asked["allow_miss"]


def test_without_a_design_the_machine_is_found(
    flow: Flow, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, _, err = run(capsys, "--board", "orangecrab-25f", "--out", str(tmp_path / "o"), "--steps", "5")
    design = flow.asked["design"]
    assert status == 0 and design.network.kernels == 8 and design.network.patch == 16
    assert design.network.image[0] < 128 and design.target.board == "orangecrab-25f"
    assert err.startswith("striate: the default network does not fit orangecrab-25f: ")
    assert f"{design.network.image[0]}x{design.network.image[1]} pixels in place of 128x128" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--board", "arty", "--out", "o"], "unknown board 'arty'; the boards are ulx3s-25f"),
        (["--out", "o"], "Missing option '--board'"),
        (["--board", "ulx3s-85f", "--out", "o", "--seeds", "0"], "'--seeds'"),
        (["--board", "ulx3s-85f", "--out", "o", "--clock", "x"], "'--clock'"),
        (["--board", "ulx3s-85f", "--out", "o", "--out-of-context", "--textcfg"],
         "--textcfg needs pins, which --out-of-context has none of"),
        (["--board", "ulx3s-85f", "--out", "o", "--set", "machine.gather_lanes=3"], "machine.gather_lanes 3 is"),
        (["--board", "ulx3s-85f", "--out", "o", "--clock", "500", *SMALL], "a clock of 500 MHz is out of reach"),
        (["--board", "zynq-7020", "--out", "o", *SMALL], "has no open place-and-route here"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert status == 2 and out == "" and err.count("\n") == 1 and said in err, err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--board", "icebreaker", "--textcfg"], "--textcfg is for an ECP5, and icebreaker has a up5k; leave it out"),
        (["--board", "icebreaker", "--out-of-context"], "--out-of-context is for an ECP5, and icebreaker has a up5k"),
        (["--board", "ulx3s-85f", "--limit", "-1"], "--limit -1: must be a number of minutes above 0"),
    ],
)
def test_what_cannot_be_is_refused_before_any_search(
    words: list[str], said: str, flow: Flow, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, err = run(capsys, *words, "--out", str(tmp_path / "o"))
    assert (status, out) == (2, "") and said in err and not flow.asked


def test_a_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--board", "ulx3s-25f", "--out", "/proc/x", *SMALL, "--set", "machine.gather_lanes=4"]
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert "/proc/x cannot be written: " in err and "name another folder" in err and len(err.splitlines()) == 1
