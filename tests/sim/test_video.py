"""Frames one after the other: a warm frame is the dense network going on; only what changed makes events."""

import numpy as np
import pytest
from support.reference import Reference

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.video import moving_object
from striate.sim.design import Design
from striate.sim.machine import load_dictionary
from striate.sim.video import Player, play, play_until

SMALL = Design(image=(64, 64), tiles=(2, 2), steps=60, step_shift=4, residual_accumulator=0)
DICTIONARY = load_dictionary(SMALL)
TINY = Design(
    image=(16, 16), kernels=3, patch=6, stride=2, tiles=(2, 2), gather_lanes=6, scatter_lanes=4, detect_lanes=2,
    threshold=0.1, step_shift=3, preprocess="none",
)  # fmt: skip


def scene(count: int = 4, extent: int = 8, step: tuple[int, int] = (0, 3)) -> list[np.ndarray]:
    return moving_object(
        "camera", "astronaut", count, size=(64, 64), crop=(100, 200), extent=(extent, extent), cut_at=(64, 192),
        start=(20, 8), step=step,
    )  # fmt: skip


def test_frames_are_the_matrix_reference_going_on() -> None:
    frames = np.random.default_rng(5).standard_normal((3, 1, 16, 16)) * 0.3
    player = Player(TINY, Dictionary.random(TINY.geometry, 3))
    reference = None
    for image in frames:
        _, run = player.frame(image, 6)
        if reference is None:
            reference = Reference(player.plan, run.dictionary, run.input)
        reference.x = run.input
        for n in range(6):
            reference.step(n)
        assert (run.membrane.reshape(-1) == reference.u).all() and (run.residual.reshape(-1) == reference.r).all()


@pytest.mark.parametrize("schedule", ["delta", "gram"])
def test_what_a_frame_took(schedule: str) -> None:
    seen = []
    frames = scene()
    video = play(frames, SMALL.replace(schedule=schedule), dictionary=DICTIONARY, observe=lambda n, r: seen.append(r))
    for n, (done, run) in enumerate(zip(video.frames, seen, strict=True)):
        assert (done.number, done.warm, done.steps, done.pixels) == (n, n > 0, 60, 64 * 64)
        changed = np.count_nonzero(run.input != (seen[n - 1].input if n else 0))
        assert done.changed_pixels == changed
        assert done.code_events == run.counts.code_events == run.steps.code_events.sum()
        assert done.percent_error == pytest.approx(run.percent_error(frames[n])) == done.error_curve[-1]
        assert done.active == np.count_nonzero(run.code)
        if schedule == "delta":
            assert done.cycles == run.cycles.frame and done.load + done.drain < done.cycles
    assert all(0 < f.changed_pixels < f.pixels / 2 for f in video.frames[1:])
    assert video.total("code_events") == sum(f.code_events for f in video.frames[1:])
    if schedule == "delta":
        seconds = sum(f.cycles for f in video.frames) / 80e6  # type: ignore[misc]
        assert video.frames_per_second == pytest.approx(len(frames) / seconds)
        assert video.latency_ms.sum() == pytest.approx(1e3 * seconds)
    else:
        assert video.frames_per_second is None and video.latency_ms.size == 0 and video.frames[0].cycles is None


def test_a_still_scene_costs_less_the_less_of_it_moves() -> None:
    cold = play(scene(), SMALL, dictionary=DICTIONARY, cold=True)
    assert not any(f.warm for f in cold.frames)
    events = []
    for extent in (4, 12, 24):
        warm = play(scene(extent=extent), SMALL, dictionary=DICTIONARY)
        events.append(warm.total("code_events"))
    still = play(scene(step=(0, 0)), SMALL.replace(steps=200), dictionary=DICTIONARY)
    assert still.frames[-1].changed_pixels == 0
    assert still.frames[-1].code_events < events[0] < events[1] < events[2]
    assert events[0] < cold.total("code_events") / 3


def test_a_warm_frame_gets_to_the_error_of_a_cold_one_in_fewer_steps() -> None:
    frames = scene()
    cold = play(frames, SMALL, dictionary=DICTIONARY, cold=True)
    errors = [f.percent_error for f in cold.frames]
    warm, reached = play_until(frames, errors, SMALL, dictionary=DICTIONARY, tolerance=0.02)
    again, reached_cold = play_until(frames, errors, SMALL, dictionary=DICTIONARY, tolerance=0.02, cold=True)
    assert all(reached) and all(reached_cold)
    for frame, once_more, error in zip(warm.frames, again.frames, errors, strict=True):
        for done in (frame, once_more):
            assert done.percent_error <= error * 1.02
            assert (done.error_curve[:-1] > error * 1.02).all()  # not a step too many
    assert sum(f.steps for f in warm.frames[1:]) < sum(f.steps for f in again.frames[1:]) / 2
    assert warm.total("code_events") < again.total("code_events") / 2
    none, reached = play_until(frames[:2], [0.0, 0.0], SMALL, dictionary=DICTIONARY)
    assert reached == (False, False) and [f.steps for f in none.frames] == [60, 60]


def test_looking_ahead_leaves_the_state() -> None:
    frames, player, plain = scene(2), Player(SMALL, DICTIONARY), Player(SMALL, DICTIONARY)
    player.frame(frames[0], 5)
    plain.frame(frames[0], 5)
    ahead = player.ahead(frames[1], 60)
    assert ahead.steps == 60 and ahead.warm
    a, b = player.frame(frames[1], 7)[1], plain.frame(frames[1], 7)[1]
    assert (a.membrane == b.membrane).all() and a.counts == b.counts
    assert (ahead.error_curve[:7] == a.steps.percent_error).all()


@pytest.mark.parametrize("schedule", ["dense", "skip"])
def test_schedules_without_a_state_are_refused(schedule: str) -> None:
    with pytest.raises(InputError, match=f"machine.schedule '{schedule}' keeps no state from frame to frame; use"):
        Player(SMALL.replace(schedule=schedule), DICTIONARY)


def test_bad_frames_are_refused() -> None:
    with pytest.raises(InputError, match=r"frame 1 is \(1, 8, 8\), the design wants \(C, H, W\) = \(1, 64, 64\)"):
        play([*scene(1), np.zeros((1, 8, 8))], SMALL, dictionary=DICTIONARY)
    for play_nothing in (lambda *a, **k: play([], *a, **k), lambda *a, **k: play_until([], [], *a, **k)):
        with pytest.raises(InputError, match="a video needs at least one frame"):
            play_nothing(SMALL, dictionary=DICTIONARY)
