"""A machine over the frames of a video, warm: each frame adds the change of the input to the state of the one before.

The network goes on from where it was; only what changed makes events. How many steps a frame then needs is asked in two
ways: `play` gives every frame the steps of the design (fewer where it settles), `play_until` gives every frame just
the steps after which its error is as small as a cold start's (it looks ahead on a copy of the machine, which a machine
cannot do: it tells what is possible, not how to know when to stop).
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..golden.dictionary import Dictionary
from ..golden.errors import InputError
from .design import Design
from .fixed import quantise
from .gram import GramNetwork
from .machine import Machine, load_dictionary
from .plan import Plan
from .run import FloatArray, Run

Observer = Callable[[int, Run], None]


@dataclass(frozen=True)
class Frame:
    """What one frame took.

    Args:
        warm: it went on from the frame before. steps: updates done. changed_pixels: input words that differ from the
        frame before, of ``pixels``. active: codes that are not 0 at its end.
        percent_error: 100 |x - Phi y| / |x| after the last step. error_curve: after each step.
        cycles: from the command to the closing word; ``load`` and ``drain`` of them bring the pixels in and the codes
        out. None without a clock (schedule gram).
    """

    number: int
    warm: bool
    steps: int
    pixels: int
    changed_pixels: int
    active: int
    code_events: int
    residual_events: int
    link_events: int
    macs: int
    percent_error: float
    error_curve: FloatArray
    outcome: str
    overflow: bool
    cycles: int | None
    load: int | None
    drain: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without the curve."""
        return {name: value for name, value in asdict(self).items() if name != "error_curve"}


@dataclass(frozen=True)
class Video:
    """All frames of a sequence, at a stated clock in MHz (a target, not an achieved one)."""

    frames: tuple[Frame, ...]
    clock_mhz: float

    @property
    def latency_ms(self) -> FloatArray:
        """(frames,) from the command of a frame to its last word; empty without a clock."""
        return np.array([f.cycles / self.clock_mhz * 1e-3 for f in self.frames if f.cycles is not None])

    @property
    def frames_per_second(self) -> float | None:
        """Frames in the time they take one after the other: a command is taken after the closing word before it."""
        latency = self.latency_ms
        return len(latency) / float(latency.sum()) * 1e3 if len(latency) else None

    def total(self, name: str) -> int:
        """Sum of a count over all frames after the first, which is cold in every sequence."""
        return sum(int(getattr(f, name)) for f in self.frames[1:])


class Player:
    """A network with its state, ready for the frames of a video.

    Args:
        design: the network; `machine.schedule` is "delta" or "gram". dictionary: in place of the design's.

    Raises:
        InputError: another schedule, and whatever ``design.check_machine`` refuses.
    """

    def __init__(self, design: Design, dictionary: Dictionary | None = None, threads: int = 1) -> None:
        schedule = design.machine.schedule
        if schedule not in ("delta", "gram"):
            raise InputError(
                f"machine.schedule '{schedule}' keeps no state from frame to frame; use machine.schedule = \"delta\" "
                f'or "gram" for a video'
            )
        dictionary = dictionary if dictionary is not None else load_dictionary(design)
        weights = np.asarray(quantise(dictionary.atoms, design.formats.weight), np.int64)
        self.design, self.plan = design, Plan.of(design, weights)
        more = {"threads": threads} if threads > 1 else {}
        self._network = Machine(self.plan, weights, **more) if schedule == "delta" else GramNetwork(self.plan, weights)
        self._number = 0

    def frame(self, image: FloatArray, steps: int, *, cold: bool = False) -> tuple[Frame, Run]:
        """The next frame, (C, H, W); the first one is cold."""
        if image.shape != self.design.geometry.image_shape:
            raise InputError(
                f"frame {self._number} is {image.shape}, the design wants (C, H, W) = "
                f"{self.design.geometry.image_shape}; crop the frames or set network.image and network.channels"
            )
        warm = self._number > 0 and not cold
        x, before = self.plan.quantise_image(image), self._network.input
        changed = int(np.count_nonzero(x != before if warm else x))
        run = self._network.frame(x, steps, warm=warm, reference=image)
        n, clock = run.counts, run.cycles
        done = Frame(
            self._number, warm, n.steps, x.size, changed, int(run.steps.active[-1]), n.code_events, n.residual_events,
            n.link_events, n.macs, float(run.steps.percent_error[-1]), run.steps.percent_error, run.outcome.value,
            run.overflow, clock.frame if clock else None, clock.load + 1 if clock else None,
            clock.frame - 1 - clock.compute if clock else None,
        )  # fmt: skip
        self._number += 1
        return done, run

    def ahead(self, image: FloatArray, steps: int, *, cold: bool = False) -> Frame:
        """What `frame` would give; the state stays as it is."""
        return copy.deepcopy(self).frame(image, steps, cold=cold)[0]


def play(
    images: Iterable[FloatArray],
    design: Design,
    *,
    dictionary: Dictionary | None = None,
    cold: bool = False,
    threads: int = 1,
    observe: Observer | None = None,
) -> Video:
    """All frames with the design's number of steps each, the first one cold, the others warm.

    Args:
        images: (C, H, W) each. cold: start every frame anew. observe: called with (number, run) after each frame.

    Raises:
        InputError: as for `Player`, no frame at all, or a frame of another shape.
    """
    player, frames = Player(design, dictionary, threads), []
    for image in images:
        done, run = player.frame(image, design.dynamics.steps, cold=cold)
        frames.append(done)
        if observe is not None:
            observe(done.number, run)
    if not frames:
        raise InputError("a video needs at least one frame")
    return Video(tuple(frames), design.target.clock_mhz)


def play_until(
    images: Sequence[FloatArray],
    errors: Sequence[float],
    design: Design,
    *,
    dictionary: Dictionary | None = None,
    cold: bool = False,
    tolerance: float = 0.0,
    threads: int = 1,
    observe: Observer | None = None,
) -> tuple[Video, tuple[bool, ...]]:
    """Each frame with the fewest steps after which its error is at most ``errors[n] (1 + tolerance)``.

    A frame that gets there in no step of ``design.dynamics.steps`` is given all of them.

    Returns:
        the video, and whether each frame got there.
    """
    player, frames, reached = Player(design, dictionary, threads), [], []
    for image, error in zip(images, errors, strict=True):
        curve = player.ahead(image, design.dynamics.steps, cold=cold).error_curve
        enough = np.flatnonzero(curve <= error * (1 + tolerance))
        reached.append(enough.size > 0)
        done, run = player.frame(image, int(enough[0]) + 1 if enough.size else len(curve), cold=cold)
        frames.append(done)
        if observe is not None:
            observe(done.number, run)
    if not frames:
        raise InputError("a video needs at least one frame")
    return Video(tuple(frames), design.target.clock_mhz), tuple(reached)
