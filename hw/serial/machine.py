"""The machine on a board, as the host sees it through the serial link: is it the design, weights in, frames through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...golden.errors import InputError
from ...sim.plan import Plan
from ...sim.run import Run
from ...sim.tiling import IntArray
from ..core import identity, parameter_ranges
from ..packets import FRAME, WEIGHTS
from ..registers import FLAGS, register
from .host import Link, LinkError

EDGES = 2
"""Clocks that the core's queues add between the machine's last pixel and its first code, one at either end."""
SETTLING_S = 10.0
"""How long a frame that somebody left behind may go on, and what a frame may take beyond its clocks at SLOWEST_MHZ."""
SLOWEST_MHZ = 1.0

Tell = Callable[[str, float], None]


def _silent(text: str, share: float) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class BoardFrame:
    """A frame as it came back.

    Args:
        code: (K, H/s, W/s). beats: as they came. flags: names of ``registers.FLAGS`` that are set.
        steps, late_events: of the closing word. changes: register CODE_EVENTS.
        clocks: from the last pixel to the first code. cycles: register CYCLES, waiting for the line included.
        strange: beats that name no neuron, a neuron for the second time, or the code 0.
    """

    code: IntArray
    beats: int
    flags: frozenset[str]
    steps: int
    late_events: int
    changes: int
    clocks: int
    cycles: int
    strange: int


class BoardMachine:
    """A board that holds ``plan``.

    ``open`` it, ``load`` weights, then ``frame`` as often as wanted. LinkError from anything the link does not bear.
    """

    def __init__(self, link: Link, plan: Plan) -> None:
        self.link, self.plan = link, plan

    def _get(self, name: str) -> int:
        return self.link.read(register(name).offset)

    def _set(self, name: str, value: int) -> None:
        self.link.write(register(name).offset, value)

    def _control(self, *names: str) -> None:
        self._set("CONTROL", sum(register("CONTROL").field(name).mask for name in names))

    def open(self) -> None:
        """Say hello, check that it is this design, and stop whatever a program before left unfinished.

        Raises:
            InputError: another design is on the board. LinkError: no answer, or a frame that does not end.
        """
        self.link.hello()
        wanted = identity(self.plan)
        if (found := self._get("ID")) != wanted["ID"]:
            raise InputError(f"the device is no Striate core: its ID is 0x{found:08x}, not 0x{wanted['ID']:08x}")
        if (found := self._get("DESIGN")) != wanted["DESIGN"]:
            size, shape = register("GEOMETRY0"), register("GEOMETRY1")
            geometry0, geometry1 = self._get("GEOMETRY0"), self._get("GEOMETRY1")
            there = f"{size.field('height').of(geometry0)}x{size.field('width').of(geometry0)} pixels, " + ", ".join(
                f"{field.name} {field.of(geometry1)}" for field in reversed(shape.fields)
            )
            raise InputError(
                f"the board holds another design (0x{found:08x}: {there}), not this one (0x{wanted['DESIGN']:08x}); "
                f"give the design it was built from, or build and load this one"
            )
        self._control("abort")
        self._control("abort")  # a value that stood before the door at the first one is inside by now
        busy, until = register("STATUS").field("busy"), self.link.clock() + SETTLING_S
        while self.link.take()[0] or busy.of(self._get("STATUS")):
            if self.link.clock() > until:
                raise LinkError(f"the board was busy when it was opened and still is after {SETTLING_S:g} s; reset it")
        self._control("clear")
        self._set("ERRORS", 0xFFFF_FFFF)

    def load(self, weights: IntArray, tell: Tell = _silent) -> None:
        """Load quantised weights (K, C, p, p)."""
        beats = [int(value) for value in self.plan.layout.beats(weights)]
        self.link.stream(WEIGHTS, beats, tell=lambda share: tell("weights", share))
        self._check("the weights")

    def frame(self, image: IntArray, *, steps: int, expected: int = 0, tell: Tell = _silent) -> BoardFrame:
        """A cold frame of quantised pixels (C, H, W). ``expected``: clocks it should take, for how long to wait."""
        for name, (_, _, value) in parameter_ranges(self.plan).items():
            self._set(name, value)
        self._set("STEPS", steps)
        self._control("start")
        pixels = [int(value) for value in np.moveaxis(image, 0, -1).reshape(-1)]
        self.link.stream(FRAME, pixels, tell=lambda share: tell("picture", share))
        tell("codes", 0.0)
        beats = self._codes(SETTLING_S + expected / (SLOWEST_MHZ * 1e6))
        self._check("the frame")
        code, strange = self._code(beats[:-1])
        closing = beats[-1]
        low = self._get("CYCLES_LOW")
        return BoardFrame(
            code=code,
            beats=len(beats),
            flags=frozenset(field.name for field in FLAGS if field.of(closing & 0xFFFF)),
            steps=closing >> 16 & 0xFFFF,
            late_events=closing >> 32,
            changes=self._get("CODE_EVENTS"),
            clocks=self.link.clocks(),
            cycles=self._get("CYCLES_HIGH") << 32 | low,
            strange=strange,
        )

    def _codes(self, wait_s: float) -> list[int]:
        beats: list[int] = []
        until = self.link.clock() + wait_s
        while True:
            more, _, closed = self.link.take()
            beats += more
            if closed:
                return beats
            if more:
                until = self.link.clock() + SETTLING_S
            elif self.link.clock() > until:
                raise LinkError(f"the board answers but its frame does not end: no closing word after {wait_s:.0f} s")

    def _code(self, beats: Sequence[int]) -> tuple[IntArray, int]:
        """Beats of y, k, i, j to a code, and how many of them make no sense."""
        g = self.plan.tiling.geometry
        code = np.zeros((g.kernels, *g.sheet), np.int64)
        strange = 0
        for beat in beats:
            y, k, i, j = (beat >> n & 0xFFFF for n in (0, 16, 32, 48))
            y -= (y & 0x8000) << 1
            if k >= g.kernels or i >= g.sheet[0] or j >= g.sheet[1] or code[k, i, j] or not y:
                strange += 1
            else:
                code[k, i, j] = y
        return code, strange

    def _check(self, what: str) -> None:
        """LinkError when the core found fault with what it was sent."""
        errors = self._get("ERRORS")
        if errors:
            names = ", ".join(field.name for field in register("ERRORS").fields if field.of(errors))
            raise LinkError(f"the board found fault with {what}: {names}")


def differences(frame: BoardFrame, run: Run) -> dict[str, int]:
    """What differs between a frame of the board and the model's run, by name; empty when nothing does.

    ``code``: neurons; ``clocks``: clocks more than the model's; flags, counts of the closing word and the code changes
    of the whole frame (``changes``): 1 each.
    """
    assert run.cycles is not None
    found = {
        "code": int(np.count_nonzero(frame.code != run.code)) + frame.strange,
        "clocks": frame.clocks - expected_clocks(run),
        "steps": int(frame.steps != run.counts.steps),
        "late_events": int(frame.late_events != run.events_late),
        "changes": int(frame.changes != run.counts.code_events),
        "flags": len(
            frame.flags
            ^ {
                name
                for name, there in (
                    ("overflow", run.overflow),
                    ("saturated", run.saturated_late),
                    ("settled", run.settled),
                )
                if there
            }
        ),
    }
    return {name: count for name, count in found.items() if count}


def expected_clocks(run: Run) -> int:
    """What ``Link.clocks`` reads after a frame that the model ran."""
    assert run.cycles is not None
    return int(run.cycles.beats[0]) - run.cycles.load + EDGES


__all__ = ["BoardFrame", "BoardMachine", "differences", "expected_clocks"]
