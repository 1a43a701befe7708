"""What a failed synthesis says: logs as nextpnr writes them, a fake tool runner, folders that are another's."""

import json
from pathlib import Path
from typing import Any

import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.synth import flow, route, stages, synthesise
from striate.hw.synth.failures import of_tool, too_large, too_slow
from striate.hw.synth.parse import Clock, Count, CriticalPath
from striate.hw.toolchain import ToolError
from striate.sim.design import Design

TINY = Design(image=(8, 8), kernels=2, patch=4, stride=2, tiles=(1, 1), gather_lanes=2, scatter_lanes=2, detect_lanes=2,
              link_depth=4)  # fmt: skip
DICTIONARY = Dictionary.random(TINY.geometry, seed=1)
REPORT = json.loads((Path(__file__).parent / "synth_reports" / "ecp5.json").read_text())
STAT = {"design": {"num_cells_by_type": {"TRELLIS_FF": 1744, "DP16KD": 2, "MULT18X18D": 2}}}


@pytest.mark.parametrize(
    ("log", "status", "kind", "said"),
    [
        ("Info: x\nERROR: Unable to place cell 'a.b', no BELs remaining to implement cell type 'DP16KD'\n", 125,
         "does not fit", "routing: nextpnr-ecp5 found that no place is left for a DP16KD; smaller please"),
        ("ERROR: Unable to find a placement location for cell 'codes[6]$sb_io'\n1 warning, 1 error\n", 125,
         "does not fit", "found that Unable to find a placement location for cell 'codes"),
        ("ERROR: Unable to find legal placement for all cells, design is probably at utilisation limit.\n", 1,
         "does not fit", "design is probably at utilisation limit; smaller please"),
        ("ERROR: No BELs for SEMI\n", 1, "does not fit", "no place is left for a SEMI"),
        ("x\nERROR: Failed to route arc 3.0 of net 'u', from A to B.\n", 1, "not routed",
         "could not route it: Failed to route arc 3.0 of net 'u', from A to B; try another seed"),
        ("ERROR: Routing design failed.\n", 1, "not routed", "Routing design failed; try another seed"),
        ("terminate called after throwing\nAssert `count' failed in kernel/rtlil.cc:2872\n", 134, "tool aborted",
         "routing: nextpnr-ecp5 stopped with status 134: terminate called after throwing"),
        ("first\nlast words\n", 9, "tool aborted", "stopped with status 9: last words"),
        ("", 1, "tool aborted", "stopped with status 1: it said nothing"),
    ],
)  # fmt: skip
def test_logs_are_read(log: str, status: int, kind: str, said: str) -> None:
    failure = of_tool(ToolError("nextpnr-ecp5", f"failed with status {status}", log=log, status=status), "routing",
                      "smaller please")  # fmt: skip
    assert failure.kind == kind and said in failure.text and "\n" not in failure.text
    assert failure.tail.splitlines() == log.splitlines()


def test_a_missing_tool_and_one_that_does_not_end() -> None:
    missing = of_tool(ToolError("nextpnr-ecp5", "not installed; run `make setup`"), "routing")
    assert missing.kind == "tool missing" and "run `make setup`; `striate doctor` says what is missing" in missing.text
    late = of_tool(ToolError("nextpnr-ecp5", "not finished after 60 s", log="routing arc 1\n"), "routing")
    assert late.kind == "not finished" and "not finished after 60 s" in late.text and late.tail == "routing arc 1"


def test_too_large_and_too_slow_in_one_line() -> None:
    text = too_large("b", "LFE5U-25F", {"DP16KD": Count(192, 56), "TRELLIS_COMB": Count(1, 0)}, "buy another").text
    assert text == (
        "does not fit b (LFE5U-25F): 192 of 56 DP16KD, 136 over; 1 of 0 TRELLIS_COMB, 1 over; buy another"
    )
    failure = too_slow("b", Clock("clk", 73.92, 80.0, CriticalPath("tile0.a", "tile0.b", 13.5, 4.0)))
    assert failure.kind == "misses the clock" and failure.text == (
        "routed on b at 73.9 MHz where 80 were asked (clock clk); the critical path goes tile0.a -> tile0.b, 13.5 ns "
        "of which 4.0 ns logic; ask for --clock 73, try more --seeds, or keep the bitstream with --allow-miss"
    )
    assert "critical path" not in too_slow("b", Clock("clk", 1.0, 2.0, None)).text


class FakeTools:
    """In the place of Yosys, nextpnr and ecppack: writes what it is told to, counts its runs, fails where asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.report: dict[str, Any] = json.loads(json.dumps(REPORT))
        self.fmax = {1: 70.0, 2: 90.0, 3: 85.0}
        self.fail: dict[str, ToolError] = {}
        self.ran: list[str] = []
        self.log = "all well\n"
        monkeypatch.setattr("striate.hw.synth.netlist.run_yosys", self.yosys)
        monkeypatch.setattr(route, "run_wasm", self.wasm)
        monkeypatch.setattr(flow, "_sources", self.sources)

    def _run(self, what: str) -> None:
        self.ran.append(what)
        if what in self.fail:
            raise self.fail[what]

    @staticmethod
    def sources(part: Any, design: Any, plan: Any, clock: float, dictionary: Any, out_of_context: bool) -> Any:
        """Without elaborating anything."""
        return flow._Made("top", {"top": "module"}, *(("", "") if out_of_context else ("pins", "top.lpf")), clock)

    def yosys(self, script: str, place: Path, *, outputs: tuple[str, ...]) -> str:
        self._run("yosys")
        for name in outputs:
            (place / name).write_text(json.dumps(STAT))
        return self.log

    def wasm(self, package: str, function: str, words: list[str], *, cwd: Path, timeout: float | None) -> str:
        if function == "run_ecppack":
            self._run("pack")
            (cwd / words[words.index("--bit") + 1]).write_bytes((cwd / words[words.index("--input") + 1]).read_bytes())
            return ""
        assert (cwd / "net.json").is_file() and not (cwd / "net.json").is_symlink()
        seed = int(words[words.index("--seed") + 1]) if "--seed" in words else None
        self._run("packing" if seed is None else f"seed {seed}")
        report = json.loads(json.dumps(self.report))
        if seed is not None:
            next(iter(report["fmax"].values()))["achieved"] = self.fmax[seed]
            option = "--write" if "--out-of-context" in words else "--textcfg"
            (cwd / words[words.index(option) + 1]).write_text(f"bits of seed {seed}")
        (cwd / "report.json").write_text(json.dumps(report))
        return "Info: fine\n"


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    return FakeTools(monkeypatch)


def run(out: Path, **more: Any) -> flow.Synthesis:
    return synthesise(TINY, "ulx3s-25f", out, **{"dictionary": DICTIONARY, "force_try": True, **more})


def test_the_fastest_seed_is_kept_and_all_are_listed(tools: FakeTools, tmp_path: Path) -> None:
    shares: list[float] = []
    found = run(tmp_path / "o", seeds=(1, 2, 3), jobs=2, progress=lambda text, share: shares.append(share))
    assert found.outcome == "done" and found.seed == 2 and found.fmax_mhz == 90.0 and found.clock_mhz == 80.0
    assert [(t.seed, t.fmax_mhz) for t in found.tries] == [(1, 70.0), (2, 90.0), (3, 85.0)]
    assert found.tries[0].failure is not None and found.tries[0].failure.kind == "misses the clock"
    assert found.bitstream == (tmp_path / "o" / "top.bit").absolute()
    assert found.bitstream.read_text() == "bits of seed 2"
    assert found.used["lut"] == Count(2261, 83640) and found.used["bram"] == Count(1, 208)
    assert 0 <= min(shares) and max(shares) == shares[-1] == 1.0


def test_what_was_done_is_not_done_again(tools: FakeTools, tmp_path: Path) -> None:
    out = tmp_path / "o"
    tools.fail["seed 2"] = ToolError("nextpnr-ecp5", "failed with status 1", log="ERROR: killed\n", status=1)
    first = run(out, seeds=(1, 2, 3))
    assert first.seed == 3 and [t.failure and t.failure.kind for t in first.tries][1] == "tool aborted"
    ran, tools.fail = len(tools.ran), {}
    again = run(out, seeds=(1, 2, 3))
    assert tools.ran[ran:] == ["seed 2", "pack"] and again.seed == 2 and again.outcome == "done"
    ran = len(tools.ran)
    assert run(out, seeds=(1, 2, 3)).bitstream == again.bitstream and len(tools.ran) == ran
    (out / stages.KEY).unlink(missing_ok=True)
    (out / "work" / "seed3" / stages.KEY).unlink()  # as a job that was killed in the middle leaves it
    run(out, seeds=(1, 2, 3))
    assert tools.ran[ran:] == ["seed 3"]


def test_a_missed_clock_has_no_bitstream_unless_asked(tools: FakeTools, tmp_path: Path) -> None:
    missed = run(tmp_path / "a")
    assert missed.outcome == "misses the clock" and missed.bitstream is None and missed.fmax_mhz == 70.0
    assert missed.failure is not None and "at 70.0 MHz where 80 were asked" in missed.failure.text
    kept = run(tmp_path / "b", allow_miss=True)
    assert kept.outcome == "misses the clock" and kept.bitstream is not None and kept.bitstream.is_file()


def test_too_large_after_packing(tools: FakeTools, tmp_path: Path) -> None:
    tools.report["utilization"]["DP16KD"]["used"] = 209
    found = run(tmp_path / "o")
    assert found.outcome == "does not fit" and found.bitstream is None and found.used["bram"] == Count(209, 208)
    assert found.failure is not None and "209 of 208 DP16KD, 1 over; try machine.gather_lanes=1" in found.failure.text
    assert tools.ran == ["yosys", "packing"]


def test_the_estimate_refuses_before_any_tool_runs(tools: FakeTools, tmp_path: Path) -> None:
    found = synthesise(Design(), "icebreaker", tmp_path / "o")
    assert found.outcome == "does not fit" and tools.ran == [] and not (tmp_path / "o").exists()
    assert found.failure is not None and "4-kbit blocks" in found.failure.text
    assert found.failure.text.endswith("(estimated before synthesis)") and found.estimate.blocks > 30


@pytest.mark.parametrize("where", ["yosys", "packing", "seed 1", "pack"])
def test_a_tool_that_aborts_shows_its_last_lines(tools: FakeTools, tmp_path: Path, where: str) -> None:
    log = "one\nAssert `count_id(wire->name) == 0' failed in kernel/rtlil.cc:2872.\n"
    tools.fmax[1] = 99.0
    tools.fail[where] = ToolError("the tool", "failed with status 134", log=log, status=134)
    found = run(tmp_path / "o")
    assert found.outcome == "tool aborted" and found.bitstream is None and found.failure is not None
    assert "rtlil.cc:2872" in found.failure.text and found.failure.tail == log.strip()
    kept = list((tmp_path / "o" / "work").glob("*/log.txt"))
    assert any(path.read_text() == log for path in kept)


def test_an_unreadable_report_is_a_failure(tools: FakeTools, tmp_path: Path) -> None:
    del tools.report["utilization"]["DP16KD"]
    found = run(tmp_path / "o")
    assert found.outcome == "tool aborted" and found.failure is not None
    assert "utilization has no key 'DP16KD'" in found.failure.text


def test_warnings_tell_of_emulated_ports_and_wrong_counts(tools: FakeTools, tmp_path: Path) -> None:
    tools.log = "creating $emulate_read_first\n"
    found = run(tmp_path / "o", seeds=(2,))
    assert "emulate_" in found.warnings[0] and found.outcome == "done"
    STAT["design"]["num_cells_by_type"]["MULT18X18D"] = 3
    try:
        found = run(tmp_path / "p", seeds=(2,))
        assert "3 multipliers after synthesis where 2 were counted" in found.warnings
    finally:
        STAT["design"]["num_cells_by_type"]["MULT18X18D"] = 2


def test_a_folder_belongs_to_one_job(tools: FakeTools, tmp_path: Path) -> None:
    out = tmp_path / "o"
    run(out, seeds=(2,))
    with pytest.raises(InputError, match=r"o holds another synthesis \(see job.json in it\); name another .*--force"):
        run(out, seeds=(2,), clock_mhz=60.0)
    ran = len(tools.ran)
    assert run(out, seeds=(2,), clock_mhz=60.0, force=True).clock_mhz == 60.0
    assert tools.ran[ran:] == ["yosys", "packing", "seed 2", "pack"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match="mine holds thesis.tex, which is not a synthesis; name another folder"):
        run(tmp_path / "mine", force=True)
    with pytest.raises(InputError, match=r"thesis.tex is a file; name a folder"):
        run(tmp_path / "mine" / "thesis.tex")


@pytest.mark.parametrize(
    ("board", "more", "said"),
    [
        ("nobody", {}, "unknown board 'nobody'; the boards are ulx3s-25f, .*icebreaker"),
        ("zynq-7020", {}, "board zynq-7020 .* has no open place-and-route here"),
        ("ulx3s-25f", {"clock_mhz": 900.0}, "a clock of 900 MHz is out of reach on ulx3s-25f .*nothing above 200 MHz"),
        ("ulx3s-25f", {"clock_mhz": 0.0}, "the clock must be a number of MHz above 0, not 0.0; ulx3s-25f takes 80"),
        ("ulx3s-25f", {"clock_mhz": float("nan")}, "the clock must be a number of MHz above 0, not nan"),
        ("ulx3s-25f", {"seeds": ()}, r"seeds must be whole numbers from 0 and at least one, not \[\]"),
        ("ulx3s-25f", {"seeds": (-1,)}, r"not \[-1\]"),
        ("ulx3s-25f", {"jobs": 0}, "jobs must be at least 1, not 0"),
        ("icebreaker", {"out_of_context": True}, "out of context is possible on an ECP5 only, and icebreaker has a"),
    ],
)
def test_refusals(tools: FakeTools, tmp_path: Path, board: str, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        synthesise(TINY, board, tmp_path / "o", dictionary=DICTIONARY, **more)
    assert tools.ran == [] and not (tmp_path / "o").exists()


def test_out_of_context_has_no_pins_and_no_bitstream(tools: FakeTools, tmp_path: Path) -> None:
    found = run(tmp_path / "o", seeds=(2,), out_of_context=True)
    assert found.outcome == "done" and found.bitstream is None and found.fmax_mhz == 90.0
    assert tools.ran == ["yosys", "packing", "seed 2"]
