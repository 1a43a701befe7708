"""The short-stride runner: passes of frames, steps that are halved, points of the store, and what they come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from striate.explore.engine import run as run_points
from striate.explore.papers.configurations import configurations
from striate.explore.papers.frames import FrameSource, frames_sha256
from striate.explore.papers.short_stride_run import (
    Experiment,
    check_settings,
    gathered,
    job,
    like_the_pilot,
    show,
    shown_frame,
)
from striate.explore.papers.short_stride_table import as_dict, lines
from striate.explore.store import Store
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.golden.images import load_image
from striate.golden.lca import LcaParams, Outcome, encode
from striate.golden.metrics import percent_error, percent_inactive

SMALL = Geometry((32, 32), 1, 8, 8, 4)


def source(count: int = 4, size: int = 32, seed: int = 0) -> FrameSource:
    """Blobs that move by a pixel a frame."""
    noise = np.random.default_rng(seed).normal(size=(size + count, size + count))
    smooth = sum(np.roll(noise, (dy, dx), (0, 1)) for dy in range(4) for dx in range(4)) / 16
    frames = tuple(np.ascontiguousarray(smooth[None, :size, n : n + size]) for n in range(count))
    return FrameSource("noise", frames, ("1 pixel to the right",) * count, frames_sha256(frames))


def random_dictionaries(names: list[str], size: int = 32) -> dict[str, Dictionary]:
    return {
        each.name: Dictionary.random(Geometry((size, size), 1, each.kernels, each.patch, each.stride), 1)
        for each in configurations(names)
    }


def opposite_kernels(kernels: int, patch: int, stride: int) -> Dictionary:
    """Copies of one flat kernel and of its negative: the largest eigenvalue of Phi Phi^T is K p^2/s^2.

    With both signs a residual that overshoots is answered by the other half, and so grows.
    """
    signs = (-1.0) ** np.arange(kernels)[:, None, None, None]
    return Dictionary(signs * np.full((kernels, 1, patch, patch), 1 / patch), stride)


def bright(count: int = 4) -> FrameSource:
    """Frames that flat kernels have much to say to."""
    plain = source(count)
    frames = tuple(image + 0.3 for image in plain.frames)
    return FrameSource("bright", frames, plain.motion, frames_sha256(frames))


# ---- one run ---------------------------------------------------------------------------------------------------------
def test_frames_one_after_the_other_with_the_membrane_carried_over() -> None:
    frames, dictionary = source().frames, Dictionary.random(SMALL, 0)
    found = show(frames, dictionary, 0.05, passes=3, steps=30, seed=7)
    params = LcaParams(threshold=0.05, eta=1 / 32, steps=30)
    membrane = np.random.default_rng(7).uniform(-0.05, 0.05, SMALL.code_shape)
    assert not params.activate(membrane).any()  # silent at first
    for n, point in enumerate(found["points"]):
        seen = encode(frames[n % 4], dictionary, params, membrane=membrane, engine="reference")
        membrane = seen.membrane
        assert point[:2] == [1 + n // 4, n % 4] and point[4] == seen.outcome.value
        assert point[2] == pytest.approx(percent_error(frames[n % 4], seen.residual), rel=1e-6)
        assert point[3] == pytest.approx(percent_inactive(seen.code))
    assert len(found["points"]) == 12 and found["eta"] == 1 / 32 and found["steps"] == 30 and found["retreats"] == []
    assert json.loads(json.dumps(found)) == found
    assert show(frames, dictionary, 0.05, passes=3, steps=30, seed=7) == found
    other = show(frames, dictionary, 0.05, passes=3, steps=30, seed=8)
    assert other["points"][0] != found["points"][0]


def test_a_run_that_diverges_is_done_again_with_half_the_step_and_twice_the_steps() -> None:
    frames = bright(2).frames
    dictionary = opposite_kernels(8, 16, 2)  # eigenvalue 512, half of it active: stable below an eta of 2/256
    found = show(frames, dictionary, 0.05, passes=2, steps=40, seed=0)
    assert found["eta"] == 1 / 128 and found["steps"] == 160
    assert found["retreats"] == [
        {"eta": 1 / 32, "steps": 40, "pass_number": 1, "frame": 0},
        {"eta": 1 / 64, "steps": 80, "pass_number": 1, "frame": 0},
    ]
    assert Outcome.DIVERGED.value not in {point[4] for point in found["points"]} and len(found["points"]) == 4
    params = LcaParams(threshold=0.05, eta=1 / 128, steps=160)
    start = np.random.default_rng(0).uniform(-0.05, 0.05, (8, 16, 16))  # the same as before the retreats
    first = encode(frames[0], dictionary, params, membrane=start)
    assert found["points"][0][2] == pytest.approx(percent_error(frames[0], first.residual), rel=1e-6)


def test_a_run_that_always_diverges_is_an_error() -> None:
    with pytest.raises(InputError, match="frame 0 of pass 1 diverges even with eta 1/256; raise the threshold or"):
        show(bright(2).frames, opposite_kernels(32, 9, 1), 0.05, passes=2, steps=40, seed=0)


def test_which_frame_is_shown() -> None:
    assert [shown_frame(count) for count in (2, 4, 7, 8, 32)] == [0, 0, 0, 1, 7]


# ---- the experiment --------------------------------------------------------------------------------------------------
def experiment(**changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "configurations": configurations(["8@2", "512@16"]), "thresholds": (0.1, 0.05), "frames": source(),
        "passes": 3, "steps": 6, "seed": 0,
    }  # fmt: skip
    return Experiment(**{**settings, **changes})


def run_all(asked: Experiment, dictionaries: dict[str, Dictionary], folder: Path) -> Store:
    asked.write_inputs(folder / "inputs", dictionaries)
    store = Store(None, asked.sweep(folder / "inputs"))
    sweep, points = asked.sweep(folder / "inputs"), asked.points(dictionaries)
    for key, point in zip(store.add(points), points, strict=True):
        store.start(key)
        try:
            store.finish(key, job(sweep.context, point.parameters, point.seed), 2.0)
        except InputError as error:
            store.fail(key, str(error), 2.0)
    return store


def test_points_are_runs_and_shapes_and_a_store_gives_them_back(tmp_path: Path) -> None:
    asked, dictionaries = experiment(), random_dictionaries(["8@2", "512@16"])
    points = asked.points(dictionaries)
    assert [(p.parameters["configuration"], p.parameters.get("threshold")) for p in points] == [
        ("8@2", 0.05), ("8@2", 0.1), ("512@16", 0.05), ("512@16", 0.1), *[("8@2", None), ("512@16", None)] * 2
    ]  # fmt: skip
    assert [p.parameters.get("pilot") for p in points[4:]] == [[0.05, 0.1], [0.05, 0.1], None, None]
    with run_all(asked, dictionaries, tmp_path) as store:
        result = gathered(asked, dictionaries, store.entries(store.add(points)))
    assert [(run.configuration, run.threshold) for run in result.runs] == [
        ("8@2", 0.05), ("8@2", 0.1), ("512@16", 0.05), ("512@16", 0.1)
    ]  # fmt: skip
    assert all(len(run.points) == 12 and run.seconds == 2.0 for run in result.runs) and result.failed == ()
    run = result.run("8@2", 0.1)
    again = show(asked.frames.frames, dictionaries["8@2"], 0.1, passes=3, steps=6, seed=0)
    assert run is not None and [point.percent_error for point in run.points] == [p[2] for p in again["points"]]
    assert result.run("8@2", 0.2) is None and result.run("32@4", 0.1) is None
    # The picture is that of frame 0 in the last pass at .05: its error is the point's.
    shown = result.reconstructions["8@2"]
    image, point = asked.frames.frames[0][0], result.runs[0].points[8]
    assert (point.pass_number, point.frame, result.shown_threshold) == (3, 0, 0.05)
    assert 100 * np.linalg.norm(image - shown) / np.linalg.norm(image) == pytest.approx(point.percent_error, rel=1e-5)
    assert [support.configuration for support in result.supports] == ["8@2", "512@16"] and result.shapes == ()
    assert len(result.supports[1].radii_pixels) == 512 and result.supports[1].patch == 16
    assert {claim.name for claim in result.claims} == {"passes-alike", "threshold-trend", "eight-for-512"}
    assert [each.configuration for each in result.comparisons] == ["8@2", "512@16"]


def test_the_pilots_protocol_retreats_to_smaller_and_more_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[float, int]] = []

    def passes(frames: object, dictionary: object, params: LcaParams, *_: object) -> tuple[Any, ...]:
        tried.append((params.eta, params.steps))
        return [[1, 0, 50.0, 90.0, "converged"]], None, None if params.steps == 16 else (1, 0)

    monkeypatch.setattr("striate.explore.papers.short_stride_run._passes", passes)
    found = like_the_pilot(Dictionary.random(Geometry((128, 128), 1, 2, 16, 8), 0), 0.05, 4)
    assert tried == [(1 / 32, 4)] * 2 + [(1 / 64, 8)] * 2 + [(1 / 128, 16)] * 2
    assert (found["eta"], found["steps"]) == (1 / 128, 16)


def test_the_pilots_protocol_is_three_frames_of_two_pans_from_rest() -> None:
    dictionary = random_dictionaries(["8@2"])["8@2"]
    found = like_the_pilot(dictionary, 0.05, 4)
    assert (found["threshold"], found["eta"], found["steps"]) == (0.05, 1 / 32, 4)
    assert [row[:2] for row in found["points"]] == [[n, k] for n in (0, 1) for k in range(3)]
    params = LcaParams(threshold=0.05, steps=4)
    for number, (name, (top, left)) in enumerate((("camera", (192, 192)), ("china", (149, 256)))):
        membrane = None
        for k in range(3):
            image = load_image(name, crop=(top, left + k), size=(128, 128))
            seen = encode(image, dictionary, params, membrane=membrane)
            membrane = seen.membrane
            row = found["points"][3 * number + k]
            assert row[2] == pytest.approx(percent_error(image, seen.residual)) and row[4] == seen.outcome.value
    with pytest.raises(InputError, match="the pilot's frames diverge even with eta 1/256; raise the threshold"):
        like_the_pilot(opposite_kernels(512, 16, 2), 1e-6, 40)


def test_the_json_object_and_the_lines_of_a_result(tmp_path: Path) -> None:
    asked = experiment(
        configurations=configurations(["8@2", "32@4 p8"]), frames=bright(), steps=40, thresholds=(0.05,)
    )
    dictionaries = random_dictionaries(["8@2"]) | {"32@4 p8": opposite_kernels(8, 16, 2)}
    with run_all(asked, dictionaries, tmp_path) as store:
        result = gathered(asked, dictionaries, store.entries(store.add(asked.points(dictionaries))))
    info = json.loads(json.dumps(as_dict(result), allow_nan=False))
    assert info["on"] == "short-stride" and info["frames"]["count"] == 4 and info["frames"]["shape"] == [1, 32, 32]
    first, second = info["runs"]
    numbers = [p.percent_error for p in result.runs[0].points if p.pass_number > 1]
    assert first["percent_error"] == pytest.approx(np.mean(numbers)) and first["points"] == 8
    assert first["percent_error_sd"] == pytest.approx(np.std(numbers, ddof=1))
    assert sum(first["outcomes"].values()) == 8
    assert first["ellipse"]["centre"] == pytest.approx([first["percent_inactive"], first["percent_error"]])
    assert second["eta"] < 1 / 32 and second["steps"] * second["eta"] == 40 / 32 and second["retreats"][0]["frame"] == 0
    assert [change["later"] for change in first["changes"]] == [2, 3]
    assert {claim["verdict"] for claim in info["claims"]} <= {"holds", "partly holds", "does not hold"}
    assert {each["name"] for each in info["unjudged"]} >= {"stride-trend", "threshold-trend"}
    row = info["pilot"]["rows"][0]
    assert "other frames" in info["pilot"]["source"] and row["configuration"] == "8@2" and row["pilot_error"] == 18.2
    assert row["at_least_as_good"] is (row["error"] <= 18.2 and row["inactive"] >= 90.88)
    text = "\n".join(lines(result))
    row = f"8@2 {first['percent_error']:.1f} / {first['percent_inactive']:.2f}"
    assert " ".join(text.splitlines()[2].split()) == row
    assert "stride-trend: not judged, for want of a run of 32@1 at threshold 0.05" in text


def test_failures_are_rows(tmp_path: Path) -> None:
    asked = experiment(configurations=configurations(["8@2", "128@8"]), frames=bright(), steps=40, thresholds=(0.05,))
    dictionaries = random_dictionaries(["8@2"]) | {"128@8": opposite_kernels(32, 9, 1)}
    with run_all(asked, dictionaries, tmp_path) as store:
        result = gathered(asked, dictionaries, store.entries(store.add(asked.points(dictionaries))))
    assert [run.configuration for run in result.runs] == ["8@2"] and list(result.reconstructions) == ["8@2"]
    ((name, threshold, why),) = result.failed
    assert (name, threshold) == ("128@8", 0.05) and "diverges even with eta 1/256" in why
    assert as_dict(result)["failed"] == [{"configuration": "128@8", "threshold": 0.05, "error": why}]
    assert "failed" in lines(result)[3]


def test_processes_find_what_the_job_finds(tmp_path: Path) -> None:
    asked, dictionaries = experiment(thresholds=(0.1,)), random_dictionaries(["8@2", "512@16"])
    # One thread, as the processes have: two add up a norm in another order.
    with threadpool_limits(1), run_all(asked, dictionaries, tmp_path) as store:
        here = store.digest()
    with Store(tmp_path / "points.sqlite", asked.sweep(tmp_path / "inputs")) as store:
        end = run_points(store, asked.points(dictionaries), jobs=2)
        assert (end.done, end.failed, end.ran) == (6, 0, 6) and store.digest() == here


def test_inputs_that_changed_are_refused(tmp_path: Path) -> None:
    asked, dictionaries = experiment(), random_dictionaries(["8@2", "512@16"])
    asked.write_inputs(tmp_path, dictionaries)
    sweep, point = asked.sweep(tmp_path), asked.points(dictionaries)[0]
    experiment(frames=source(seed=3)).write_inputs(tmp_path, dictionaries)
    with pytest.raises(InputError, match=r"frames.npz no longer holds the frames that the experiment began with"):
        job(sweep.context, point.parameters, 0)
    asked.write_inputs(tmp_path, dictionaries | {"8@2": Dictionary.random(Geometry((32, 32), 1, 8, 16, 2), 9)})
    with pytest.raises(InputError, match=r"natural-k8-p16-s2.npz is no longer the dictionary that the experiment"):
        job(sweep.context, point.parameters, 0)


def test_what_no_experiment_can_be_made_of() -> None:
    assert experiment(thresholds=(0.1, 0.05, 0.1)).thresholds == (0.05, 0.1)
    for changes, text in (
        ({"passes": 1}, "--passes must be at least 2, not 1: the first does not count"),
        ({"thresholds": ()}, "no threshold; give one or more, such as 0.05"),
        ({"thresholds": (0.05, 0.0)}, "threshold"),
        ({"steps": 0}, "dynamics.steps must be at least 1, not 0"),
        ({"frames": source(1)}, "--frames must be at least 2, not 1: one frame makes no cloud"),
    ):
        with pytest.raises(InputError, match=text):
            experiment(**changes)
    with pytest.raises(InputError, match="not nan"):
        check_settings((float("nan"),), 3, 200)
