"""The short-stride experiment as points of a sweep: what is run, on what, and what the store's rows come to.

A point is one configuration at one threshold over all passes of the frames, or the shapes of its kernels.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...golden.archive import load_npz, save_npz
from ...golden.dictionary import Dictionary
from ...golden.engines import best_engine
from ...golden.errors import InputError
from ...golden.gabor import gabor_like
from ...golden.lca import Encoding, Engine, LcaParams, Outcome, encode
from ...golden.metrics import percent_error, percent_inactive
from ...golden.video import pan
from .. import points
from .configurations import TRAINED_AT, Configuration, configuration
from .frames import SIZE
from .short_stride import KernelShapes, Point, Retreat, Run, ShortStride, compare
from .short_stride_claims import judge
from .support import Support, mean_frequency, support_of

if TYPE_CHECKING:
    from .frames import FrameSource
    from .training import Training

Array = npt.NDArray[np.float64]
JOB, VERSION = f"{__name__}:job", 1
ETA = 1 / 32
"""dt/tau of the first try; the paper does not say its own."""
FRAMES = "frames.npz"
PILOT_PANS = {"camera": (192, 192), "china": (149, 256)}
"""Where the pans of the pilot's protocol begin: 128x128 pixels in the middle of each photograph."""
PILOT_FRAMES = 3
"""Of each pan."""
HALVINGS = 3
"""Of eta before a run counts as failed."""


def check_settings(thresholds: Sequence[float], passes: int, steps: int) -> None:
    """Refuse what no experiment can be made of.

    Raises:
        InputError: fewer than 2 passes, no threshold, one that `LcaParams` refuses, fewer than 1 step.
    """
    if passes < 2:
        raise InputError(f"--passes must be at least 2, not {passes}: the first does not count")
    if not thresholds:
        raise InputError("no threshold; give one or more, such as 0.05")
    for threshold in thresholds:
        LcaParams(threshold=threshold, steps=steps)


@dataclass(frozen=True)
class Experiment:
    """What is asked for.

    Args:
        configurations, thresholds: every pair is run. frames: what is shown. passes: how often, at least 2.
        steps: of a frame at `ETA`. seed: of the first membranes.

    Raises:
        InputError: fewer than 2 frames, and as for `check_settings`.
    """

    configurations: tuple[Configuration, ...]
    thresholds: tuple[float, ...]
    frames: "FrameSource"
    passes: int = 3
    steps: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.frames.frames) < 2:
            raise InputError(f"--frames must be at least 2, not {len(self.frames.frames)}: one frame makes no cloud")
        check_settings(self.thresholds, self.passes, self.steps)
        object.__setattr__(self, "thresholds", tuple(sorted(set(self.thresholds))))

    @property
    def shown_threshold(self) -> float:
        """Of the reconstructions: the one nearest to that of the training."""
        return min(self.thresholds, key=lambda threshold: abs(threshold - TRAINED_AT))

    def sweep(self, inputs: Path | None = None) -> points.Sweep:
        """The sweep whose jobs read what `write_inputs` wrote into a folder.

        Which configurations, thresholds and dictionaries there are does not tell one store from another: they are
        parameters of its points, so that a store may be filled bit by bit.
        """
        base = {"frames": self.frames.sha256, "passes": self.passes, "steps": self.steps}
        context = {
            "inputs": None if inputs is None else str(inputs.absolute()), "passes": self.passes, "steps": self.steps,
            "sha256": _digest(np.stack(self.frames.frames)),
        }  # fmt: skip
        return points.Sweep(JOB, VERSION, base, context)

    def write_inputs(self, inputs: Path, dictionaries: Mapping[str, Dictionary]) -> None:
        """Write frames.npz and the dictionaries into a folder, for the processes that run the points."""
        inputs.mkdir(exist_ok=True)
        save_npz(inputs / FRAMES, {"frames": np.stack(self.frames.frames)})
        for each in self.configurations:
            dictionaries[each.name].save(inputs / f"{each.shipped_name}.npz")

    def run_point(self, each: Configuration, dictionary: Dictionary, threshold: float) -> points.Point:
        """Of a configuration at a threshold."""
        parameters = {"configuration": each.name, "dictionary": dictionary.sha256, "threshold": threshold}
        return points.Point(parameters, self.seed)

    def shape_point(self, each: Configuration, dictionary: Dictionary) -> points.Point:
        """Of a configuration's kernels; fits of Gabors, which take long, only of the stride series."""
        parameters = {"configuration": each.name, "dictionary": dictionary.sha256, "gabor": "stride" in each.families}
        return points.Point(parameters)

    def pilot_point(self, each: Configuration, dictionary: Dictionary) -> points.Point:
        """Of a configuration under the pilot's protocol, at all thresholds."""
        parameters = {"configuration": each.name, "dictionary": dictionary.sha256, "pilot": list(self.thresholds)}
        return points.Point(parameters)

    def points(self, dictionaries: Mapping[str, Dictionary]) -> list[points.Point]:
        """All of them, the most work first: so that processes end together."""

        def work(each: Configuration) -> float:
            return float(each.patch**2 * each.overcompleteness)

        ordered = [(each, dictionaries[each.name]) for each in sorted(self.configurations, key=work, reverse=True)]
        runs = [self.run_point(*pair, threshold) for pair in ordered for threshold in self.thresholds]
        shapes = [self.shape_point(*pair) for pair in ordered]
        return [*runs, *(self.pilot_point(*pair) for pair in ordered), *shapes]


def shown_frame(count: int) -> int:
    """Whose reconstruction is kept: the last of the first quarter, which follows a run of small motions."""
    return max(0, count // 4 - 1)


def _digest(stack: Array) -> str:
    return hashlib.sha256(f"{stack.shape}\n".encode() + stack.astype("<f8").tobytes()).hexdigest()


# ---- the job ---------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=1)
def _frames(path: Path, sha256: str) -> Array:
    stack = np.asarray(load_npz(path, ("frames",))["frames"], np.float64)
    if _digest(stack) != sha256:
        raise InputError(f"{path} no longer holds the frames that the experiment began with; begin anew with --force")
    return stack


def job(context: Mapping[str, Any], parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """One point: a run where it has a threshold, else the shapes of kernels.

    Raises:
        InputError: frames or a dictionary other than at the start, or a run that diverges however small its step.
    """
    inputs, name = Path(context["inputs"]), parameters["configuration"]
    path = inputs / f"{configuration(name).shipped_name}.npz"
    dictionary = Dictionary.load(path)
    if dictionary.sha256 != parameters["dictionary"]:
        raise InputError(f"{path} is no longer the dictionary that the experiment began with; begin anew with --force")
    if "pilot" in parameters:
        return {"runs": [like_the_pilot(dictionary, level, context["steps"]) for level in parameters["pilot"]]}
    if "threshold" not in parameters:
        return {
            "radii_pixels": list(support_of(name, dictionary).radii_pixels),
            "frequencies": [mean_frequency(kernel) for kernel in dictionary.atoms],
            "explained": [float(share) for share in gabor_like(dictionary)] if parameters["gabor"] else None,
        }
    frames = _frames(inputs / FRAMES, context["sha256"])
    passes, steps = context["passes"], context["steps"]
    return show(frames, dictionary, parameters["threshold"], passes=passes, steps=steps, seed=seed)


def show(
    frames: Sequence[Array] | Array, dictionary: Dictionary, threshold: float, *, passes: int, steps: int, seed: int
) -> dict[str, Any]:
    """All passes of the frames, the membrane carried from each to the next: what a run point keeps.

    The first membrane is random, evenly from -threshold to threshold: below it, so that the first code is silent. When
    a frame diverges, everything is done again from that membrane with half of eta and twice the steps.

    Raises:
        InputError: a frame diverges after `HALVINGS` halvings too.
    """
    size = frames[0].shape[1], frames[0].shape[2]
    engine = best_engine(dictionary, size)
    shape = dictionary.geometry(size).code_shape
    start = np.random.default_rng(seed).uniform(-threshold, threshold, shape)
    retreats: list[dict[str, Any]] = []
    for halving in range(HALVINGS + 1):
        params = LcaParams(threshold=threshold, eta=ETA / 2**halving, steps=steps * 2**halving)
        found, shown, where = _passes(frames, dictionary, params, start, passes, engine)
        if where is None:
            assert shown is not None
            return {
                "eta": params.eta, "steps": params.steps, "engine": engine, "retreats": retreats, "points": found,
                "shown": base64.b64encode(shown.astype("<f4").tobytes()).decode(),
            }  # fmt: skip
        retreats.append({"eta": params.eta, "steps": params.steps, "pass_number": where[0], "frame": where[1]})
    raise InputError(
        f"frame {retreats[-1]['frame']} of pass {retreats[-1]['pass_number']} diverges even with eta 1/"
        f"{round(1 / retreats[-1]['eta'])}; raise the threshold or learn the dictionary again"
    )


def like_the_pilot(dictionary: Dictionary, threshold: float, steps: int) -> dict[str, Any]:
    """`PILOT_FRAMES` frames of each of `PILOT_PANS`, each pan from rest: eta, steps and [pan, frame, error, inactive,
    outcome] of each frame.

    Raises:
        InputError: a frame diverges after `HALVINGS` halvings of eta too.
    """
    pans = [pan(name, PILOT_FRAMES, size=SIZE, start=start) for name, start in PILOT_PANS.items()]
    engine = best_engine(dictionary, SIZE)
    rest = np.zeros(dictionary.geometry(SIZE).code_shape)
    for halving in range(HALVINGS + 1):
        params = LcaParams(threshold=threshold, eta=ETA / 2**halving, steps=steps * 2**halving)
        seen = [_passes(frames, dictionary, params, rest, 1, engine) for frames in pans]
        if all(where is None for _, _, where in seen):
            rows = [[n, *row[1:]] for n, (found, _, _) in enumerate(seen) for row in found]
            return {"threshold": threshold, "eta": params.eta, "steps": params.steps, "points": rows}
    raise InputError(f"the pilot's frames diverge even with eta 1/{2**HALVINGS * round(1 / ETA)}; raise the threshold")


def _passes(
    frames: Sequence[Array] | Array, dictionary: Dictionary, params: LcaParams, membrane: Array, passes: int,
    engine: Engine,
) -> tuple[list[list[Any]], Array | None, tuple[int, int] | None]:  # fmt: skip
    """(points, reconstruction of the shown frame in the last pass, where it diverged)."""
    found: list[list[Any]] = []
    shown = None
    for pass_number in range(1, passes + 1):
        for frame, image in enumerate(frames):
            seen: Encoding = encode(image, dictionary, params, membrane=membrane, engine=engine)
            if seen.outcome is Outcome.DIVERGED:
                return found, None, (pass_number, frame)
            membrane = seen.membrane
            error, inactive = percent_error(image, seen.residual), float(percent_inactive(seen.code))
            found.append([pass_number, frame, error, inactive, seen.outcome.value])
            if frame == shown_frame(len(frames)):
                shown = image - seen.residual
    return found, shown, None


# ---- from the store --------------------------------------------------------------------------------------------------
def gathered(
    experiment: Experiment, dictionaries: Mapping[str, Dictionary], entries: Sequence[points.Entry],
    training: "Sequence[Training]" = (),
) -> ShortStride:  # fmt: skip
    """The experiment's result from its rows of the store, with the verdicts."""
    sweep = experiment.sweep()
    rows = {entry.key: entry for entry in entries}
    runs: list[Run] = []
    failed: list[tuple[str, float, str]] = []
    supports: list[Support] = []
    shapes: list[KernelShapes] = []
    reconstructions: dict[str, Array] = {}
    for each in experiment.configurations:
        dictionary = dictionaries[each.name]
        for threshold in experiment.thresholds:
            entry = rows[sweep.key(experiment.run_point(each, dictionary, threshold))]
            if entry.result is None:
                failed.append((each.name, threshold, entry.error or "not run"))
                continue
            runs.append(_run(each.name, threshold, entry))
            if threshold == experiment.shown_threshold:
                reconstructions[each.name] = _picture(entry.result["shown"], experiment.frames.frames[0])
        shape = rows[sweep.key(experiment.shape_point(each, dictionary))].result
        if shape is not None:
            supports.append(Support(each.name, tuple(shape["radii_pixels"]), each.patch))
            if shape["explained"] is not None:
                shapes.append(KernelShapes(each.name, tuple(shape["explained"]), tuple(shape["frequencies"])))
    claims, unjudged = judge(runs, supports, shapes)
    beside = []
    for each in experiment.configurations:
        row = rows[sweep.key(experiment.pilot_point(each, dictionaries[each.name]))].result
        like = [_pilot_run(each.name, found) for found in row["runs"]] if row is not None else []
        beside.append(compare(each.name, like, TRAINED_AT, of=lambda run: run.points))
    return ShortStride(
        experiment.configurations, experiment.thresholds, experiment.passes, experiment.steps, experiment.seed,
        tuple(runs), tuple(supports), tuple(shapes), claims, experiment.frames, tuple(training), dictionaries,
        reconstructions, shown_frame(len(experiment.frames.frames)), experiment.shown_threshold, unjudged,
        tuple(found for found in beside if found is not None), tuple(failed),
    )  # fmt: skip


def _run(name: str, threshold: float, entry: points.Entry) -> Run:
    result = entry.result
    return Run(
        name, threshold, result["eta"], result["steps"], tuple(Point(*each) for each in result["points"]),
        entry.seconds or 0.0, result["engine"], tuple(Retreat(**each) for each in result["retreats"]),
    )  # fmt: skip


def _pilot_run(name: str, found: Mapping[str, Any]) -> Run:
    """Its passes are the pans."""
    shown = tuple(Point(pan_number + 1, *rest) for pan_number, *rest in found["points"])
    return Run(name, found["threshold"], found["eta"], found["steps"], shown, 0.0)


def _picture(text: str, frame: Array) -> Array:
    """``(H, W)``; the mean of the channels where there are several."""
    values = np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
    return np.asarray(values.reshape(frame.shape).mean(axis=0), np.float64)
