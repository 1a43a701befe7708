"""Three ways to change weights in cells, and learning with each: golden rule, closed forms, restarts, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.learn import LearnOutcome, LearnParams, TrainingCrops, learn
from striate.golden.learn.training import DIVERGED_IN_A_ROW
from striate.sim.crossbar.device import DEVICES
from striate.sim.crossbar.learning.coding import WEIGHT, coder
from striate.sim.crossbar.learning.presets import UPDATE_DEVICES
from striate.sim.crossbar.learning.study import StudyParams, learn_study
from striate.sim.crossbar.learning.training import ArrayLearned, ArrayLearnParams, learn_on_array
from striate.sim.crossbar.learning.updates import Spent, Stored, UpdateRule, store, update
from striate.sim.crossbar.streams import Stream, stream
from striate.sim.design import Design
from striate.sim.machine import simulate

SMALL = LearnParams(kernels=4, patch=8, stride=2, pictures=12, crop_size=32, steps=60, scales=(1,), seed=3)
IDEAL = Design(device="ideal")
EVEN = replace(UPDATE_DEVICES["gokmen-vlasov"], step_spread=0.0, up_down_spread=0.0, high_spread=0.0, low_spread=0.0,
               cycle=0.0)  # fmt: skip
WEIGHTS = np.linspace(-0.6, 0.6, 2 * 1 * 4 * 4).reshape(2, 1, 4, 4)


def rng(number: int = 0) -> np.random.Generator:
    return stream(1, Stream.PULSE, number)


def stored(pair: bool, device: Any = EVEN, **keys: Any) -> Stored:
    return store(WEIGHTS, device, replace(DEVICES["ideal"], **keys), 0, pair=pair)[0]


@pytest.fixture(scope="module")
def crops() -> TrainingCrops:
    return TrainingCrops(["chelsea", "coffee"], SMALL.crop_size, scales=(1,), seed=SMALL.seed)


@pytest.fixture(scope="module")
def held_out() -> list[np.ndarray]:
    camera = TrainingCrops(["camera"], SMALL.crop_size, scales=(1,), seed=1)
    return [camera.crop(n) for n in range(3)]


def start() -> Dictionary:
    return Dictionary.random(SMALL.geometry, SMALL.seed)


# ---- cells -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pair", [False, True])
def test_stored_weights_come_back(pair: bool) -> None:
    there = stored(pair)
    np.testing.assert_allclose(there.weights, WEIGHTS, atol=1e-12)
    assert there.devices == 1 + pair and there.step == 0.0016 / (1 + pair) and there.at_bounds == 0
    half = 0.5 * DEVICES["ideal"].range_s
    np.testing.assert_allclose(there.conductances_s[0], DEVICES["ideal"].g_min_s + half * (1 + WEIGHTS), rtol=1e-12)


@pytest.mark.parametrize("pair", [False, True])
def test_even_cells_do_what_is_asked(pair: bool) -> None:
    """n nominal steps asked of every weight, pairs dividing them: exactly n steps."""
    there = stored(pair)
    counts = np.arange(-16, 16).reshape(WEIGHTS.shape)
    after, spent = update(there, counts * there.step, WEIGHTS, UpdateRule("naive", "nearest"), rng())
    np.testing.assert_allclose(after.weights, WEIGHTS + counts * there.step, atol=1e-12)
    assert spent == Spent(int(np.abs(counts).sum()), 0)


def test_a_pair_steps_alike_both_ways_whatever_its_cells_do() -> None:
    uneven = replace(EVEN, up_down=0.5)
    moved = {}
    for pair in (False, True):
        there = stored(pair, uneven)
        up, down = (there.pulsed(np.full(WEIGHTS.shape, n), rng()).weights - WEIGHTS for n in (4, -4))
        moved[pair] = (up.mean(), down.mean())
        assert np.ptp(up) < 1e-12 and np.ptp(down) < 1e-12
    assert moved[False][0] == pytest.approx(-2 * moved[False][1])
    assert moved[True][0] == pytest.approx(-moved[True][1])
    weights = np.zeros((1, 1, 100, 100))
    single = store(weights, EVEN, DEVICES["ideal"], 0, pair=True)[0].pulsed(np.ones(weights.shape, np.int64), rng())
    assert abs((single.held[0] > 0).mean() - 0.5) < 4 * 0.5 / 100 and np.allclose(single.weights, single.step)


def test_rounding() -> None:
    """Nearest loses every change below half a step; stochastic keeps the mean, within 4 sigma."""
    weights = np.zeros((1, 1, 100, 100))
    there, _ = store(weights, EVEN, DEVICES["ideal"], 0, pair=True)
    change = np.full(weights.shape, 0.3 * there.step)
    lost, none = update(there, change, change, UpdateRule("naive", "nearest"), rng())
    assert (lost.weights == there.weights).all() and none == Spent()
    kept, spent = update(there, change, change, UpdateRule("naive"), rng())
    sigma = np.sqrt(0.3 * 0.7 / weights.size)
    assert abs(kept.weights.mean() / there.step - 0.3) < 4 * sigma
    assert spent.pulses == round(kept.weights.sum() / there.step)


@pytest.mark.parametrize("pair", [False, True])
def test_ideal_writes_exactly(pair: bool) -> None:
    there = stored(pair, UPDATE_DEVICES["reram-array-hfo2"], stuck_low=0.2, stuck_high=0.2)
    before, stuck = there.weights, there.cells.stuck
    after, spent = update(there, WEIGHTS, WEIGHTS, UpdateRule("ideal"), rng())
    dead = stuck.all(axis=0)
    assert stuck.any() and dead.any() and spent == Spent()
    np.testing.assert_allclose(after.weights[~dead], (before + WEIGHTS)[~dead], atol=1e-12)
    np.testing.assert_array_equal(after.weights[dead], before[dead])


@pytest.mark.parametrize("how", ["naive", "write-verify"])
def test_stuck_cells_stay_and_their_twins_make_up_for_them(how: Any) -> None:
    there = stored(True, UPDATE_DEVICES["idealized"], stuck_low=0.15, stuck_high=0.15)
    stuck = there.cells.stuck
    rule = UpdateRule(how, tolerance=0.003, budget=20_000, train=10)
    after, _ = update(there, WEIGHTS - there.weights, WEIGHTS, rule, rng())
    assert (after.held[stuck] == there.held[stuck]).all() and (after.shown[stuck] == there.held[stuck]).all()
    low, high = (np.where(stuck, there.held, bound) for bound in (there.cells.low, there.cells.high))
    lowest, highest = (low[0] - high[1]) / 2, (high[0] - low[1]) / 2
    reached = stuck.any(axis=0) & ~stuck.all(axis=0) & (lowest < WEIGHTS - 0.01) & (WEIGHTS + 0.01 < highest)
    off = np.abs(after.weights - WEIGHTS)[reached]
    assert reached.sum() >= 4 and (off.max() <= 0.003) == (how == "write-verify")


def test_write_and_verify_ends_within_tolerance_or_out_of_pulses() -> None:
    there = stored(True, UPDATE_DEVICES["capacitor"])
    wanted = WEIGHTS[::-1] * 0.9
    close, spent = update(there, WEIGHTS, wanted, UpdateRule("write-verify", tolerance=0.004, budget=2000), rng())
    assert np.abs(close.weights - wanted).max() <= 0.004 and spent.verify_reads >= 2 * wanted.size
    short, less = update(there, WEIGHTS, wanted, UpdateRule("write-verify", tolerance=0.004, budget=10), rng())
    assert less.pulses <= 10 * wanted.size and less.verify_reads < spent.verify_reads
    far = np.abs(WEIGHTS - wanted) > 0.1
    assert (np.abs(short.weights - wanted)[far] > 0.004).all()
    same, idle = update(there, WEIGHTS, there.weights, UpdateRule("write-verify"), rng())
    assert idle == Spent(0, wanted.size) and (same.held == there.held).all()


def test_trains_between_reads() -> None:
    """Even cells and single pulses: a read after each, one more to see the last."""
    there, off = stored(True), np.resize([0, 3, -7], WEIGHTS.shape)
    wanted, tolerance = WEIGHTS + off * there.step, 0.4 * there.step
    for train, rounds in ((1, np.abs(off)), (3, -(-np.abs(off) // 3)), (9, np.abs(np.sign(off)))):
        rule = UpdateRule("write-verify", tolerance=tolerance, train=train)
        after, spent = update(there, WEIGHTS, wanted, rule, rng())
        assert spent == Spent(int(np.abs(off).sum()), int(rounds.sum()) + off.size)
        np.testing.assert_allclose(after.weights, wanted, atol=1e-12)


def test_single_pulses_choose_among_write_noise() -> None:
    """Cells that show 56 steps of noise: reading after every pulse leaves less of it than reading after 50."""
    there = stored(True, UPDATE_DEVICES["reram-es"])
    left = {}
    for train in (1, 50):
        after, _ = update(there, WEIGHTS, WEIGHTS + 0.02, UpdateRule("write-verify", train=train), rng())
        left[train] = np.sqrt(np.mean((after.weights - WEIGHTS - 0.02) ** 2))
    assert left[1] < 0.5 * left[50]


def test_read_noise_of_a_verifying_read() -> None:
    weights = np.full((1, 1, 100, 100), 0.25)
    for pair in (False, True):
        there, _ = store(weights, EVEN, replace(DEVICES["ideal"], read_noise=0.02), 0, pair=pair)
        g_s = there.conductances_s[:, 0, 0, 0, 0]
        sigma = 0.02 * np.linalg.norm(g_s) / (0.5 * DEVICES["ideal"].range_s) / (1 + pair)
        read = there.read(rng())
        assert abs(read.mean() - 0.25) < 4 * sigma / 100 and abs(read.std() / sigma - 1) < 4 / np.sqrt(2e4)
        assert (there.weights == weights).all()


def test_no_conductance_below_zero() -> None:
    """Bounds of a spread device end at 0 S, which is -1.125 for this one."""
    there = stored(True, UPDATE_DEVICES["reram-array-hfo2"])
    for _ in range(5):
        there = there.pulsed(np.full(WEIGHTS.shape, -60), rng())
    lowest = -(10 + 1 / 1.7) / (10 - 1 / 1.7)
    assert there.held.min() == pytest.approx(lowest) and there.at_bounds > 0.1


# ---- learning --------------------------------------------------------------------------------------------------------
def run(crops: TrainingCrops, held_out: list[np.ndarray], design: Design = IDEAL, **keys: Any) -> ArrayLearned:
    params = {"learn": SMALL, "update_device": "idealized", "rule": UpdateRule("ideal"), "evaluations": 3} | keys
    checkpoint, force = params.pop("checkpoint", None), params.pop("force", False)
    progress = params.pop("progress", None)
    return learn_on_array(ArrayLearnParams(**params), start(), design, crops, held_out, checkpoint=checkpoint,
                          force=force, progress=progress)  # fmt: skip


@pytest.mark.parametrize("mapping", ["offset", "two-sided"])
def test_ideal_updates_are_the_golden_learner(
    crops: TrainingCrops, held_out: list[np.ndarray], tmp_path: Path, mapping: str
) -> None:
    """Same start, crops and rates: the same kernels as golden learning, up to rounding."""
    found = run(crops, held_out, Design(device="ideal", mapping=mapping), update_device="exact")
    golden = learn(SMALL, ["chelsea", "coffee"], tmp_path / "golden.npz").dictionary
    assert golden is not None
    np.testing.assert_allclose(found.dictionary.atoms, golden.atoms, atol=1e-9)
    np.testing.assert_allclose(found.asked.atoms, golden.atoms, atol=1e-9)
    assert found.column("cosine") == pytest.approx(1.0) and found.column("norm") == pytest.approx(1.0, abs=1e-9)
    assert found.outcome is LearnOutcome.COMPLETED and found.crops == 12 and found.curve[-1].pulses == 0
    np.testing.assert_allclose(found.scale[:, None, None, None] * found.stored.weights, found.dictionary.atoms)


def test_learning_lowers_the_error_with_every_update(crops: TrainingCrops, held_out: list[np.ndarray]) -> None:
    """And what is spent is counted: open loop reads K C p p weights a crop for the scale, verifying at least that."""
    for how in ("ideal", "naive", "write-verify"):
        found = run(crops, held_out, update_device="ecram", rule=UpdateRule(how))  # type: ignore[arg-type]
        error, last = found.column("percent_error"), found.curve[-1]
        assert error[-1] < error[0] - 5 and [point.crops for point in found.curve] == [0, 4, 8, 12]
        assert (last.pulses > 0) == (how != "ideal")
        assert (last.verify_reads >= 12 * 256, last.norm_reads) == (
            (True, 256) if how == "write-verify" else (False, 13 * 256)
        )
        assert last.cosine > 0.95 and abs(last.percent_error - last.percent_error_digital) < 3


def test_repair_in_place(crops: TrainingCrops, held_out: list[np.ndarray]) -> None:
    """2 % stuck and a large error: coarse uneven cells get better too, and the stuck ones are where they were."""
    bad = Design(device="ideal", programming_error=0.1, fault_rate=0.05)
    whole = run(crops, held_out)
    params = ArrayLearnParams(replace(SMALL, pictures=20), "reram-es", UpdateRule("naive"), evaluations=2)
    found = learn_on_array(params, whole.dictionary, bad, crops, held_out)
    error = found.column("percent_error")
    assert error[0] > whole.curve[-1].percent_error + 3 and error[-1] < error[0] - 2
    assert found.stuck_cells == found.stored.cells.stuck.sum() > 0 and found.start_pulses == found.cells == 2 * 256
    assert found.curve[0].cosine == pytest.approx(1.0)  # the array is read once: nothing was asked for yet


def test_the_plain_sum_lets_the_norm_creep(crops: TrainingCrops, held_out: list[np.ndarray]) -> None:
    kept, crept = (run(crops, held_out, norm=norm).curve[-1].norm for norm in ("change", "scale"))
    assert kept == pytest.approx(1.0, abs=1e-9) and crept > 1.02


def test_continues_after_an_interrupt_with_the_same_kernels(
    crops: TrainingCrops, held_out: list[np.ndarray], tmp_path: Path
) -> None:
    keys: dict[str, Any] = {"update_device": "reram-es", "rule": UpdateRule("write-verify"), "design": Design()}
    whole = run(crops, held_out, **keys)
    file = tmp_path / "state.npz"

    def strike(progress: Any) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(crops, held_out, checkpoint=file, progress=strike, **keys)
    shown: list[int] = []
    again = run(crops, held_out, checkpoint=file, progress=lambda p: shown.append(p.done), **keys)
    assert shown == [6, 7, 8, 9, 10, 11, 12]
    assert (again.dictionary.atoms == whole.dictionary.atoms).all() and again.curve == whole.curve
    assert run(crops, held_out, checkpoint=file, progress=lambda p: shown.append(p.done), **keys).curve == whole.curve
    assert len(shown) == 7  # it was complete
    with pytest.raises(InputError, match="belongs to a run with other settings, pictures or start; give those again"):
        run(crops, held_out, checkpoint=file, **{**keys, "rule": UpdateRule("naive")})
    run(crops, held_out, checkpoint=file, force=True, **{**keys, "rule": UpdateRule("naive")})


def test_pulses_of_a_crop_are_its_own(crops: TrainingCrops, held_out: list[np.ndarray]) -> None:
    """Another seed, other devices; the same seed, the same everything."""
    first, again = (run(crops, held_out, update_device="ecram", rule=UpdateRule("naive")) for _ in range(2))
    assert (first.stored.held == again.stored.held).all() and first.curve == again.curve
    other = run(crops, held_out, learn=replace(SMALL, seed=4), update_device="ecram", rule=UpdateRule("naive"))
    assert (other.stored.cells.up != first.stored.cells.up).all()


def test_diverging_codes_end_the_run(crops: TrainingCrops, held_out: list[np.ndarray]) -> None:
    found = run(crops, held_out, learn=replace(SMALL, eta=1.0, threshold=1e-4))
    assert found.outcome is LearnOutcome.DIVERGED and found.diverged == found.crops == DIVERGED_IN_A_ROW
    np.testing.assert_allclose(found.dictionary.atoms, start().atoms, atol=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UpdateRule("open"), "--update must be one of ideal, naive, write-verify, not 'open'"),
        (lambda: UpdateRule(rounding="up"), "--rounding must be one of stochastic, nearest, not 'up'"),
        (lambda: UpdateRule(tolerance=0.0), "--tolerance must be above 0, not 0.0"),
        (lambda: UpdateRule(tolerance=float("nan")), "--tolerance must be above 0, not nan"),
        (lambda: UpdateRule(budget=0), "--budget must be at least 1 pulse a weight and update, not 0"),
        (lambda: UpdateRule(train=0), "--train must be at least 1 pulse between two reads, not 0"),
        (lambda: ArrayLearnParams(SMALL, "ecrom"), "no update device 'ecrom'; did you mean ecram"),
        (lambda: ArrayLearnParams(SMALL, norm="none"), "--norm must be change or scale, not 'none'"),
        (lambda: ArrayLearnParams(SMALL, coding="analog"), "--coding must be golden or crossbar, not 'analog'"),
        (lambda: ArrayLearnParams(SMALL, evaluations=0), "--evaluations must be at least 1, not 0"),
        (lambda: ArrayLearnParams(replace(SMALL, pictures=0)), "--pictures must be at least 1, not 0"),
    ],
)
def test_settings_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_start_of_another_shape(crops: TrainingCrops, held_out: list[np.ndarray]) -> None:
    five = replace(SMALL, kernels=5)
    with pytest.raises(InputError, match=r"of shape \(K, C, p, p\) = \(4, 1, 8, 8\) at stride 2, the network \(5, 1"):
        learn_on_array(ArrayLearnParams(five), start(), IDEAL, crops, held_out)
    strided = Dictionary(start().atoms, 4)
    with pytest.raises(InputError, match="at stride 4, the network"):
        learn_on_array(ArrayLearnParams(SMALL), strided, IDEAL, crops, held_out)


# ---- the machine in the loop -----------------------------------------------------------------------------------------
def test_the_machine_codes_what_the_fixed_point_machine_codes(crops: TrainingCrops) -> None:
    """Lossless and without wires: the bits of `simulate`, as numbers of the image."""
    design = Design(device="ideal", image=(32, 32), tiles=(2, 2), kernels=4, patch=8, steps=60, adc_bits=0, dac_bits=0,
                    wire_ohm=0.0, schedule="dense")  # fmt: skip
    kernels, image = start(), crops.crop(2)
    found = coder("crossbar", SMALL, design)(image, kernels, 0)
    fine = design.replace({"formats.weight": WEIGHT, "machine.residual_accumulator": 0})
    exact = simulate(image, fine, dictionary=kernels)
    np.testing.assert_array_equal(found.code, exact.code * 2.0**-fine.formats.code.frac)
    np.testing.assert_array_equal(found.residual, exact.residual * 2.0**-fine.residual_frac)
    assert found.code.any() and not found.diverged
    golden = coder("golden", SMALL, design)(image, kernels, 0)
    assert golden.code.any() and not golden.diverged


def test_learning_from_codes_of_the_machine(crops: TrainingCrops, held_out: list[np.ndarray]) -> None:
    """With 1 ohm of wire a segment, 8-bit converters and 1 % of read noise; every crop has noise of its own."""
    noisy = Design(device="ideal", read_noise=0.01, tiles=(2, 2), kernels=4, patch=8, steps=60)
    keys: dict[str, Any] = {"update_device": "ecram", "rule": UpdateRule("naive"), "coding": "crossbar"}
    found, again = (run(crops, held_out, noisy, **keys) for _ in range(2))
    error = found.column("percent_error")
    assert error[-1] < error[0] - 5 and (found.dictionary.atoms == again.dictionary.atoms).all()
    code = coder("crossbar", SMALL, noisy)
    first, second = (code(crops.crop(0), start(), n).code for n in (0, 1))
    assert (first != second).any()


# ---- a study ---------------------------------------------------------------------------------------------------------
def test_a_study_compares_and_goes_on(crops: TrainingCrops, held_out: list[np.ndarray], tmp_path: Path) -> None:
    """One device, two rules; the second call finds everything done."""
    bad = Design(device="ideal", programming_error=0.1, fault_rate=0.05)
    params = StudyParams(SMALL, ("ecram",), (UpdateRule("ideal"), UpdateRule("naive")), repair=True, evaluations=2)
    told: list[float] = []
    found = learn_study(params, start(), bad, crops, held_out, checkpoints=tmp_path / "states",
                        progress=lambda _, share: told.append(share))  # fmt: skip
    assert told == sorted(told) and told[-1] == 1.0 and len(told) == 3 * 12
    assert [run.params.rule.how for run in found.runs] == ["ideal", "naive"] and found.best is found.runs[1]
    assert found.digital.stuck_cells == 0 and found.runs[0].stuck_cells > 0
    alone = run(crops, held_out, update_device="exact", evaluations=2)
    assert found.digital.curve == alone.curve
    assert found.likeness(found.digital) == pytest.approx(1.0) and found.likeness(found.runs[1]).max() < 0.99
    rewritten = found.rewritten["ecram"]
    assert rewritten.crops == 0 and rewritten.norm == 1.0
    assert alone.curve[0].percent_error < rewritten.percent_error < found.runs[0].curve[0].percent_error
    again = learn_study(params, start(), bad, crops, held_out, checkpoints=tmp_path / "states",
                        progress=lambda _, share: told.append(share))  # fmt: skip
    assert len(told) == 3 * 12 and [run.curve for run in again.runs] == [run.curve for run in found.runs]
    with pytest.raises(InputError, match="no update device 'pcm'"):
        StudyParams(SMALL, ("ecram", "pcm"))
