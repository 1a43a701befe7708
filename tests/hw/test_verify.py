"""RTL against the machine on the compiled model: random designs, pictures, edited folders, and the checker itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.hw.cosim.checker import Checker, Expected, codes_in_order
from striate.hw.cosim.harness import CompiledMesh, build
from striate.hw.cosim.random_design import draw
from striate.hw.emit import MESH_FILE, TILE_FILE, WEIGHTS_FILE, emit, quantised, verilog
from striate.hw.toolchain import ToolError
from striate.hw.verify import Frame, Verdict, random_frames, verify, verify_frames
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine
from striate.sim.plan import Plan
from striate.sim.run import Run
from striate.sim.tiling import IntArray

CROP = (104, 212)  # of the camera picture: some edges


def equal(verdict: Verdict) -> None:
    assert verdict.passed and verdict.mismatches == 0, verdict.first_divergence
    assert verdict.first_divergence is None
    assert verdict.cycles_rtl == verdict.cycles_model > 0
    assert verdict.words_compared > 0 and verdict.code_events > 0 and verdict.residual_events > 0


# ---- random designs --------------------------------------------------------------------------------------------------
def check_random(count: int, seed: int) -> None:
    heard: list[float] = []
    verdict = verify(Design(), random=count, seed=seed, jobs=1, progress=lambda text, done: heard.append(done))
    equal(verdict)
    assert verdict.designs == count and verdict.link_events >= 0
    assert heard == [n / count for n in range(1, count + 1)]
    redrawn = verdict.mix.pop("redrawn")
    assert redrawn >= 0
    assert {"kernels", "patch", "stride", "tiles", "transfer", "sides", "link_depth", "code_rounding"} <= set(
        verdict.mix
    )
    assert all(sum(tally.values()) == count for tally in verdict.mix.values())
    assert verdict.as_dict()["mix"] == verdict.mix


@pytest.mark.parametrize("seed", range(2))
def test_random_designs(seed: int) -> None:
    """Eight designs in all; each cold, warm, stalled, reloaded and reset (``random_frames``)."""
    check_random(4, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1010))
def test_fifty_random_designs(seed: int) -> None:
    check_random(5, seed)


def test_draws_are_reproducible_and_busy() -> None:
    for number in range(6):
        first, again = draw(5, number), draw(5, number)
        assert first.design == again.design and (first.weights == again.weights).all()
        assert all((a == b).all() for a, b in zip(first.images, again.images, strict=True))
        counts = Machine(first.plan, first.weights).frame(first.images[0], first.steps).counts
        assert first.steps >= 8 and min(counts.code_events, counts.residual_events) >= 20
        assert first.plan.tiling.count == 1 or counts.link_events > 0
        frames = random_frames(first)
        assert any(f.warm for f in frames) and any(f.weights is not None for f in frames)
        assert any(f.reset_after >= 0 for f in frames)
        assert any(f.handshakes.stall_in and f.handshakes.stall_out for f in frames)
        assert all(any(getattr(f, name) is not None for f in frames) for name in ("threshold", "cutoff", "shift"))
    assert draw(5, 0).design != draw(6, 0).design


# ---- pictures --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tiles", [(1, 1), (2, 2)], ids=str)
def test_crop_of_a_photograph(tiles: tuple[int, int]) -> None:
    """32x32, the shipped eight kernels, all 200 steps."""
    design = Design(image=(32, 32), tiles=tiles)
    assert (design.network.kernels, design.dynamics.steps) == (8, 200)
    verdict = verify(design, picture=load_image("camera", crop=CROP, size=(32, 32)), jobs=1)
    equal(verdict)
    assert verdict.steps == 200
    assert (verdict.link_events > 0) == (tiles != (1, 1))


def check_whole(steps: int) -> None:
    verdict = verify(Design(), picture=load_image("camera", crop=CROP, size=(128, 128)), steps=steps, jobs=1)
    equal(verdict)
    assert verdict.steps == steps and verdict.link_events > 0


def test_whole_picture_on_eight_tiles() -> None:
    assert Design().machine.tiles == (4, 2)
    check_whole(20)


@pytest.mark.slow
def test_whole_picture_on_eight_tiles_all_steps() -> None:
    check_whole(200)


# ---- the values of a frame -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "keys",
    [
        dict(transfer="soft", residual="s9.8:half_even:wrap", step_shift=[[0, 2], [3, 4]]),
        dict(transfer="hard", two_sided=True, code="s9.7", residual_cutoff=0.9),
        dict(transfer="soft", two_sided=True, code="s9.7", membrane="s24.16", residual="s24.16", residual_cutoff=10.0),
    ],
    ids=lambda keys: " ".join(map(str, keys.values())),
)
def test_values_of_a_frame(keys: dict[str, Any], tmp_path: Path) -> None:
    """Both ends of each range, cold and warm, on words of every kind; the last command is wider than 64 bits."""
    design = TINY.replace(image=(16, 8), tiles=(2, 1), update_positions=1, steps=6, **keys)
    plan, weights = quantised(design, Dictionary.random(design.geometry, 1))
    for name, text in verilog(plan).items():
        (tmp_path / name).write_text(text)
    rng = np.random.default_rng(3)
    first, second = (plan.quantise_image(rng.standard_normal(design.geometry.image_shape) * 0.4) for _ in range(2))
    (low, high), most, near = plan.shift_range, (1 << plan.cutoff_width) - 1, plan.threshold_q
    frames = [
        Frame(first, 6, threshold=near // 2, cutoff=0, shift=low),
        Frame(second, 6, warm=True, threshold=near // 2, cutoff=most, shift=high),
        Frame(second, 4, warm=True),  # refused
        Frame(first, 4, warm=True, threshold=near // 2),
        Frame(first, 4, threshold=plan.membrane.high, cutoff=1),
        Frame(first, 4, threshold=0),  # refused
        Frame(second, 4, threshold=1),
    ]
    verdict = verify_frames(plan, weights, frames, tmp_path / TILE_FILE, tmp_path / MESH_FILE, optimize=0)
    equal(verdict)


def test_a_shift_that_is_none_is_refused(tmp_path: Path) -> None:
    """The lowest of all shifts has one neighbour: a code of the command is left over."""
    plan, weights = quantised(TINY.replace(step_shift=0), TINY_DICTIONARY)
    assert plan.shift_range == (0, 1) and plan.shift_codes == 3
    for name, text in verilog(plan).items():
        (tmp_path / name).write_text(text)
    with CompiledMesh(plan, build(plan, tmp_path / TILE_FILE, tmp_path / MESH_FILE, optimize=0)) as rtl:
        rtl.load_weights(plan.layout.beats(weights))
        picture = np.zeros(plan.tiling.geometry.image_shape, np.int64).reshape(-1)
        for shift, flags in ((3, 4), (2, 0)):
            seen = rtl.frame(picture if not flags else picture[:0], 1, shift=shift, limit=5000)
            assert not seen.status and not seen.error and int(seen.closing[5]) == flags


# ---- folders, waves, wrong use ---------------------------------------------------------------------------------------
TINY = Design(
    image=(8, 8),
    kernels=2,
    patch=4,
    stride=2,
    tiles=(1, 1),
    gather_lanes=2,
    scatter_lanes=2,
    detect_lanes=1,
    preprocess="none",
    threshold=0.1,
    step_shift=2,
    steps=4,
)
TINY_DICTIONARY = Dictionary.random(TINY.geometry, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    emit(TINY, tmp_path / "rtl", dictionary=TINY_DICTIONARY)
    return tmp_path / "rtl"


def tiny(**options: Any) -> Verdict:
    return verify(TINY, dictionary=TINY_DICTIONARY, jobs=1, **options)


def test_emitted_folder_passes_and_an_edited_one_does_not(folder: Path) -> None:
    equal(tiny(rtl=folder))
    tile = folder / TILE_FILE
    right = r"\control.saturated  & \control.in_window "
    assert tile.read_text().count(right) == 1
    tile.write_text(tile.read_text().replace(right, r"1'h1 & \control.in_window "))
    verdict = tiny(rtl=folder)
    assert not verdict.passed and verdict.mismatches == 1
    first = verdict.first_divergence
    assert first is not None and first["unit"].startswith("closing word") and "expected" in first["text"]
    assert verdict.as_dict()["first_divergence"] == first


def test_weights_of_an_emitted_folder_are_checked_too(folder: Path) -> None:
    """The stream that a user loads is part of what was emitted."""
    weights = folder / WEIGHTS_FILE
    lines = weights.read_text().split("\n")
    for broken, unit in (
        (lines[:40], "line 41"),
        ([*lines[:7], "5a" if lines[7] != "5a" else "5b", *lines[8:]], "line 8"),
    ):
        weights.write_text("\n".join(broken))
        verdict = tiny(rtl=folder)
        assert not verdict.passed and verdict.first_divergence is not None
        assert verdict.first_divergence["unit"] == f"{WEIGHTS_FILE} {unit}"


def test_a_folder_of_another_design_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"was emitted with dynamics.threshold = .*, not 0.3.*emit again"):
        verify(TINY.replace(threshold=0.3), dictionary=TINY_DICTIONARY, jobs=1, rtl=folder)


def test_wave_is_a_vcd_of_mesh_and_tile(tmp_path: Path) -> None:
    wave = tmp_path / "run.vcd"
    equal(tiny(wave=wave))
    head = wave.read_text()[:200_000]
    assert "$enddefinitions" in wave.read_text() and "$timescale" in head
    assert "command__valid" in head and "trace_phase" in head


def test_wave_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write the wave file .*no folder"):
        tiny(wave=tmp_path / "no" / "such" / "folder.vcd", steps=1)


def test_broken_folders_are_named(folder: Path) -> None:
    (folder / MESH_FILE).rename(folder / "elsewhere.v")
    with pytest.raises(InputError, match=f"{MESH_FILE}.*striate emit"):
        tiny(rtl=folder)
    (folder / "elsewhere.v").rename(folder / MESH_FILE)
    (folder / TILE_FILE).write_text("module striate_tile (\n")
    with pytest.raises(ToolError, match="verilator") as caught:
        tiny(rtl=folder)
    assert "\n" not in str(caught.value)


def test_wrong_use_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="--random"):
        verify(TINY, random=2, rtl=folder)
    with pytest.raises(InputError, match="at least 1"):
        verify(TINY, random=0)
    with pytest.raises(InputError, match="the design wants"):
        tiny(picture=np.zeros((1, 8, 9)))
    with pytest.raises(InputError, match="schedule"):
        verify(TINY.replace(schedule="skip"), dictionary=TINY_DICTIONARY)


# ---- the checker: what it says about a word that is wrong ------------------------------------------------------------
FOUR = Design(
    image=(16, 16),
    kernels=3,
    patch=6,
    stride=2,
    tiles=(2, 2),
    gather_lanes=3,
    scatter_lanes=2,
    detect_lanes=1,
    link_depth=2,
    preprocess="none",
    threshold=0.1,
    step_shift=2,
    steps=5,
)


class Recorded:
    """A run of the machine, and what a faultless RTL would show."""

    def __init__(self) -> None:
        weights = np.asarray(quantise(Dictionary.random(FOUR.geometry, 1).atoms, FOUR.formats.weight), np.int64)
        self.plan = Plan.of(FOUR, weights)
        self.expected = Expected(self.plan)
        image = self.plan.quantise_image(np.random.default_rng(2).standard_normal((1, 16, 16)) * 0.3)
        self.run: Run = Machine(self.plan, weights).frame(image, 5, observe=self.expected.observe)
        self.check = Checker(self.plan, frame=7)

    def shown(self, step: int) -> dict[str, IntArray]:
        return {name: words[step].astype(np.int64) for name, words in self.expected.memories.items()}

    def step(self, tile: int, step: int, memories: dict[str, IntArray] | None = None, **events: IntArray) -> bool:
        codes = events.get("codes", self.expected.codes[step][tile])
        pixels = events.get("pixels", self.expected.pixels[step][tile])
        return self.check.step(tile, step, self.expected, memories or self.shown(step), codes, pixels)

    def closing(self) -> IntArray:
        flags = int(self.run.overflow) | int(self.run.saturated_late) << 1
        c = self.run.counts
        return np.array([0, 0, 0, 0, 1, flags, self.run.events_late, 0, c.steps, c.code_events])

    def frame(self, codes: IntArray | None = None, closing: IntArray | None = None) -> None:
        self.check.codes(
            self.run,
            codes_in_order(self.run) if codes is None else codes,
            self.closing() if closing is None else closing,
        )

    def found(self, unit: str, tile: int = 0, step: int = -1, cycle: int | None = None) -> tuple[Any, Any]:
        """The first difference is there; what was expected and found."""
        first = self.check.first
        assert first is not None and self.check.mismatches
        assert first.unit == unit and (first.frame, first.tile, first.step, first.cycle) == (7, tile, step, cycle), (
            first
        )
        assert unit in str(first) and f"tile {tile}" in str(first)
        return first.expected, first.found


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def test_checker_accepts_what_is_right(recorded: Recorded) -> None:
    for step in range(5):
        for tile in range(4):
            assert not recorded.step(tile, step)
    recorded.check.complete(5)
    recorded.frame()
    cycles = recorded.run.cycles
    assert cycles is not None
    shuffled = cycles.phases[np.random.default_rng(0).permutation(len(cycles.phases))]
    recorded.check.cycles(recorded.run, shuffled, cycles.beats)
    assert recorded.check.first is None and recorded.check.mismatches == 0
    state = sum(words[0][0].size for words in recorded.expected.memories.values())
    events = sum(len(rows) for kind in (recorded.expected.codes, recorded.expected.pixels) for s in kind for rows in s)
    assert recorded.check.steps == 5
    assert recorded.check.words == 5 * 4 * state + events + recorded.run.code.size + 1


@pytest.mark.parametrize(
    ("memory", "at", "unit"),
    [
        ("membrane", (1, 2, 0), "membrane (k, i, j) = (0, 5, 6)"),  # tile 3 begins at position (4, 4)
        ("drive", (3, 3, 2), "drive (k, i, j) = (2, 7, 7)"),
        ("residual", (0, 3, 9), "residual (c, y, x) = (0, 9, 15)"),  # its region begins at pixel (6, 6)
        ("sent", (0, 0, 1), "r~ (c, y, x) = (0, 6, 7)"),
    ],
)
def test_checker_names_a_wrong_word(recorded: Recorded, memory: str, at: tuple[int, ...], unit: str) -> None:
    memories = recorded.shown(3)
    memories[memory][(3, *at)] += 5
    assert not recorded.step(2, 3, memories)  # another tile's words are its own business
    assert recorded.step(3, 3, memories)
    want, have = recorded.found(unit, tile=3, step=3)
    assert have == want + 5 and recorded.check.mismatches == 1
    memories[memory][3] += 1  # the first difference stays, the count goes on
    recorded.step(3, 3, memories)
    assert recorded.found(unit, tile=3, step=3) == (want, have) and recorded.check.mismatches > 10


def test_checker_names_a_wrong_event(recorded: Recorded) -> None:
    codes = recorded.expected.codes[1][2].copy()
    codes[4, 3] += 1
    assert recorded.step(2, 1, codes=codes)
    want, have = recorded.found("code event (k, i, j, dy) 4", tile=2, step=1)
    assert want == str(tuple(recorded.expected.codes[1][2][4].tolist())) and have == str(tuple(codes[4].tolist()))


@pytest.mark.parametrize("kind", ["lost", "twice"])
def test_checker_names_a_lost_and_a_doubled_event(recorded: Recorded, kind: str) -> None:
    pixels = recorded.expected.pixels[2][1]
    n = len(pixels)
    assert recorded.step(1, 2, pixels=pixels[:-1] if kind == "lost" else pixels[[*range(n), n - 1]])
    want, have = recorded.found(f"residual event (c, y, x, dr) {n - (kind == 'lost')}", tile=1, step=2)
    assert (want if kind == "twice" else have) == "nothing"


def test_checker_names_a_step_too_many(recorded: Recorded) -> None:
    none = np.zeros((0, 4), np.int64)
    assert recorded.check.step(0, 5, recorded.expected, recorded.shown(4), none, none)
    assert recorded.found("end of the frame", step=5) == ("5 steps", "step 5")


def test_checker_names_a_tile_that_kept_silent(recorded: Recorded) -> None:
    for step in range(5):
        for tile in range(4):
            if (tile, step) != (2, 4):
                assert not recorded.step(tile, step)
    recorded.check.complete(5)
    assert recorded.found("steps shown by the trace", tile=2, step=4)[0] == "5 in order"
    recorded.check.begin(8)
    recorded.check.complete(0)
    assert recorded.check.mismatches == 1


def test_checker_names_a_wrong_missing_and_repeated_code(recorded: Recorded) -> None:
    right = codes_in_order(recorded.run)
    k, i, j, y = right[2].tolist()
    wrong = right.copy()
    wrong[2, 3] += 1
    recorded.frame(wrong)
    assert recorded.found(f"code (k, i, j) = {(k, i, j)}") == (y, y + 1)
    for codes, pair in (
        (np.delete(right, 2, 0), (y, 0)),
        (right[[*range(3), *range(2, len(right))]], ("once", "twice")),
    ):
        recorded.check = Checker(recorded.plan, frame=7)
        recorded.frame(codes)
        assert recorded.found(f"code (k, i, j) = {(k, i, j)}") == pair


def test_checker_names_a_wrong_order(recorded: Recorded) -> None:
    recorded.frame(codes_in_order(recorded.run)[::-1])
    recorded.found("order of the code stream")


def test_checker_names_a_wrong_closing_word(recorded: Recorded) -> None:
    closing = recorded.closing()
    closing[5] ^= 1
    recorded.frame(closing=closing)
    recorded.found("closing word: overflow, saturated, refused, settled")
    recorded.check = Checker(recorded.plan, frame=7)
    closing = recorded.closing()
    closing[6] -= 1
    recorded.frame(closing=closing)
    assert recorded.found("closing word: events") == (recorded.run.events_late, recorded.run.events_late - 1)
    recorded.check = Checker(recorded.plan, frame=7)
    closing = recorded.closing()
    closing[9] += 1
    recorded.frame(closing=closing)
    events = recorded.run.counts.code_events
    assert events > 0 and recorded.found("closing word: changes") == (events, events + 1)


def test_checker_names_a_wrong_cycle(recorded: Recorded) -> None:
    cycles = recorded.run.cycles
    assert cycles is not None
    phases = cycles.phases.copy()
    n = int(np.flatnonzero(phases[:, 0] == 2)[5])
    phases[n, 2] += 1
    recorded.check.cycles(recorded.run, phases, cycles.beats)
    at = int(cycles.phases[n, 2])
    want, have = recorded.found("phase", tile=2, cycle=at)
    assert want.endswith(f"at {at}") and have.endswith(f"at {at + 1}")
    recorded.check = Checker(recorded.plan, frame=7)
    recorded.check.cycles(recorded.run, cycles.phases[:-1], cycles.beats)
    assert recorded.found("phase", tile=3, cycle=int(cycles.phases[-1, 2]))[1] == "nothing"


@pytest.mark.parametrize("kind", ["late", "missing", "extra"])
def test_checker_names_a_wrong_beat(recorded: Recorded, kind: str) -> None:
    cycles = recorded.run.cycles
    assert cycles is not None
    beats = cycles.beats
    last = len(beats) - 1
    shown = {"late": np.array([*beats[:-1], beats[-1] + 1]), "missing": beats[:-1], "extra": np.array([*beats, 9])}[
        kind
    ]
    recorded.check.cycles(recorded.run, cycles.phases, shown)
    pair = {
        "late": (str(beats[-1]), str(beats[-1] + 1)),
        "missing": (str(beats[-1]), "nothing"),
        "extra": ("nothing", "9"),
    }
    assert recorded.found(f"cycle of code beat {last + (kind == 'extra')}") == pair[kind]
