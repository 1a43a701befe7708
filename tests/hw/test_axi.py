"""The AXI top through its ports: cocotb benches, pictures against the machine, and registers in the corners."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.hw.cosim.axi import CompiledCore, Hang, Stalls, build_core
from striate.hw.cosim.axi_run import run_axi_bench
from striate.hw.emit import CORE_FILE, MESH_FILE, TILE_FILE, quantised
from striate.hw.registers import register
from striate.hw.verify_axi import AxiVerdict, fuzz, fuzz_design, verify_axi
from striate.sim.design import Design
from striate.sim.machine import Machine

DESIGN = fuzz_design()
DICTIONARY = Dictionary.random(DESIGN.geometry, 2)
BENCHES = 8  # of hw/cosim/axi_bench.py


@pytest.fixture
def folder(axi_folder: Path) -> Path:
    return axi_folder


@pytest.fixture
def core(folder: Path) -> CompiledCore:
    return CompiledCore(build_core([folder / name for name in (CORE_FILE, MESH_FILE, TILE_FILE)]))


def picture(design: Design = DESIGN, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(design.geometry.image_shape) * 0.3


def equal(verdict: AxiVerdict) -> None:
    assert verdict.passed and verdict.mismatches == 0 and verdict.violations == 0, verdict.first_divergence
    assert verdict.cycles_rtl == verdict.cycles_model > 0 and verdict.frames == 3
    assert verdict.code_events > 0 and verdict.residual_events > 0 and verdict.words_compared > 100


# ---- against the machine ---------------------------------------------------------------------------------------------
def test_a_picture_through_the_axi_top(folder: Path) -> None:
    heard: list[float] = []
    verdict = verify_axi(
        DESIGN, picture=picture(), dictionary=DICTIONARY, rtl=folder, progress=lambda text, done: heard.append(done)
    )
    equal(verdict)
    assert verdict.stalled["source"] > 0 < verdict.stalled["sink"] and heard == [0.0, 0.0, 1 / 3, 2 / 3]
    assert {"top": "axi", "violations": 0, "fuzz_cycles": 0}.items() <= verdict.as_dict().items()


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        dict(image=(32, 32), tiles=(2, 2), steps=40),
        dict(image=(32, 32), tiles=(1, 2), steps=60, settle=4, step_shift=((0, 4), (10, 5))),
    ],
)
def test_a_photograph_through_the_axi_top(keys: dict[str, object]) -> None:
    """The default dictionary on a part of a photograph; one design settles, and has a schedule of shifts."""
    design = Design(**keys)  # type: ignore[arg-type]
    image = load_image("camera", crop=(104, 212), size=(32, 32), preprocess=design.input.preprocess)
    equal(verify_axi(design, picture=image, seed=3))


@pytest.mark.slow
def test_refresh_behind_the_ports() -> None:
    """R, D and r~ are made anew before every second step: later, but with the same codes; in random traffic, too."""
    design = DESIGN.replace(refresh=2, steps=6)
    equal(verdict := verify_axi(design, picture=picture(), dictionary=DICTIONARY))
    plain, weights = quantised(DESIGN.replace(steps=6), DICTIONARY)
    run = Machine(plain, weights).frame(plain.quantise_image(picture()), 6)
    assert run.cycles is not None and verdict.cycles_rtl > run.cycles.frame
    found = fuzz(150_000, design=design, dictionary=DICTIONARY, seed=5)
    assert found.passed and found.frames > 30, found.first_divergence


def test_another_dictionary_is_found(folder: Path) -> None:
    """The weights in the folder are not those of the design: nothing is run."""
    verdict = verify_axi(DESIGN, dictionary=Dictionary.random(DESIGN.geometry, 9), rtl=folder)
    assert not verdict.passed and verdict.frames == 0
    assert verdict.first_divergence is not None and "weights.hex" in verdict.first_divergence["unit"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "unit"),
    [
        (r"assign s_axi_rdata = ", "assign s_axi_rdata = 1 ^ ", "ID after reset"),
        (r"assign m_axis_tdata = ", "assign m_axis_tdata = 1 ^ ", r"code \(k, i, j\)"),
    ],
)
def test_an_edited_top_is_caught(old: str, new: str, unit: str, folder: Path, tmp_path: Path) -> None:
    edited = tmp_path / "edited"
    edited.mkdir()
    for path in folder.iterdir():
        (edited / path.name).write_bytes(path.read_bytes())
    text, count = re.subn(old, new, (edited / CORE_FILE).read_text())
    if not count:
        pytest.fail(f"{old} is nowhere in {CORE_FILE}")
    (edited / CORE_FILE).write_text(text)
    verdict = verify_axi(DESIGN, picture=picture(), dictionary=DICTIONARY, rtl=edited)
    assert not verdict.passed and verdict.mismatches and verdict.first_divergence is not None
    assert re.match(unit, verdict.first_divergence["unit"]), verdict.first_divergence


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the picture is \(1, 4, 4\), the design wants \(1, 8, 8\)"):
        verify_axi(DESIGN, picture=np.zeros((1, 4, 4)), dictionary=DICTIONARY, rtl=folder)
    with pytest.raises(InputError, match="cannot write the wave file .*: no folder"):
        verify_axi(DESIGN, dictionary=DICTIONARY, rtl=folder, wave=tmp_path / "no" / "run.vcd")
    with pytest.raises(InputError, match=f"holds no {CORE_FILE}; emit again, or verify it with --top stream"):
        verify_axi(DESIGN, dictionary=DICTIONARY, rtl=tmp_path)


# ---- cocotb ----------------------------------------------------------------------------------------------------------
def test_some_benches_pass(folder: Path, tmp_path: Path) -> None:
    """One of the register port and one of the streams."""
    results = run_axi_bench(DESIGN, tmp_path, rtl=folder, seed=1, optimize=0, only="strobes|frames_with_gaps")
    assert results.ok and results.passed == 2, f"{results.failures}\n{results.tail}"


@pytest.mark.slow
def test_all_benches_pass(folder: Path, tmp_path: Path) -> None:
    results = run_axi_bench(DESIGN, tmp_path, rtl=folder, seed=1, optimize=0)
    assert results.ok and results.passed == BENCHES, f"{results.failures}\n{results.tail}"


@pytest.mark.slow
def test_benches_pass_on_another_design(tmp_path: Path) -> None:
    """One tile, two channels, one-sided, settling."""
    design = Design(
        image=(8, 10), channels=2, kernels=4, patch=4, stride=2, tiles=(1, 1), preprocess="none", threshold=0.1,
        step_shift=2, steps=20, settle=2, gather_lanes=4, scatter_lanes=4, detect_lanes=2,
    )  # fmt: skip
    results = run_axi_bench(design, tmp_path, dictionary=Dictionary.random(design.geometry, 3), seed=7)
    assert results.ok and results.passed == BENCHES, f"{results.failures}\n{results.tail}"


# ---- corners, on the compiled model ----------------------------------------------------------------------------------
def beats() -> np.ndarray:
    plan, weights = quantised(DESIGN, DICTIONARY)
    return np.asarray(plan.layout.beats(weights), np.int64)


def test_several_transactions_are_answered_in_order(core: CompiledCore) -> None:
    core.behave(Stalls.all(150), seed=9)
    steps = register("STEPS").offset
    for value in (5, 0, 6, 1 << 20, 7):
        core.queue_write(steps, value)
    writes, _ = core.settle()
    assert [answer.ok for answer in writes] == [True, False, True, False, True]
    for offset in (steps, 0xF0, 0x00):
        core.queue_read(offset)
    _, reads = core.settle()
    assert [(answer.ok, answer.data) for answer in reads[::2]] == [(True, 7), (True, 0x53545249)] and not reads[1].ok
    assert core.violations == 0, core.first_violation
    with pytest.raises(Hang, match="the read of 240 was refused"):
        core.read(0xF0)


def test_pixels_before_their_start_are_not_the_frame(core: CompiledCore) -> None:
    """A packet that begins before the start is swallowed to its end; the start in the middle of it is refused."""
    core.send(beats(), 1)
    core.send(np.ones(10, np.int64), 0, last=False)
    assert not core.write("CONTROL", 1)
    core.send(np.ones(54, np.int64), 0)
    assert core.write("CONTROL", 1) and core.read("STATUS") == 7
    plan, weights = quantised(DESIGN, DICTIONARY)
    image = plan.quantise_image(picture())
    core.send(np.moveaxis(image, 0, -1).reshape(-1), 0)
    (closed,) = core.closed()
    run = Machine(plan, weights).frame(image, DESIGN.dynamics.steps)
    assert len(closed.codes) == np.count_nonzero(run.code) > 0 and closed.flags == 0 and closed.tid == 0


def test_numbers_of_frames_go_round(core: CompiledCore) -> None:
    """TID is the frame's number modulo 256; refused starts count, FRAMES does not count them."""
    for n in range(258):
        assert core.write("CONTROL", 3)
        (closed,) = core.closed()
        assert (closed.tid, closed.flags, len(closed.codes)) == (n % 256, 4, 0)
        assert core.interrupt
    assert core.read("FRAMES") == 0 and core.read("LAST") == 4 and core.read("ERRORS") == 64
    core.write("ERRORS", 64)
    assert core.interrupt and core.write("CONTROL", 4)
    assert core.read("LAST") == 0 and core.read("STATUS") == 2 and not core.interrupt
    assert core.violations == 0, core.first_violation


def test_void_weights_outlive_a_reset(core: CompiledCore) -> None:
    core.send(beats()[:7], 1)
    assert core.read("STATUS") == 0b10010
    core.reset()
    assert core.read("STATUS") == 0b10010 and core.read("ERRORS") == 0
    assert core.write("CONTROL", 1) and core.closed()[0].flags == 4
    core.send(beats(), 1)
    assert core.read("STATUS") & 0b10000 == 0


def test_a_core_that_does_not_answer_is_a_hang(core: CompiledCore) -> None:
    core.limit = 50
    with pytest.raises(Hang, match="nothing from a closing word for 50 clocks"):
        core.closed()
    core.queue_beats(np.zeros(200, np.int64), 0)
    with pytest.raises(Hang, match="nothing from the input stream for 50 clocks"):
        core.sent()
