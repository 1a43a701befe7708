"""Update and drain of two positions a clock: the same bits and events, fewer clocks, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine
from striate.sim.mapping.resources import resources
from striate.sim.plan import Plan
from striate.sim.run import Run, StepView
from striate.sim.timing import Phase

ONE = Design(
    image=(24, 24), kernels=3, patch=6, stride=2, gather_lanes=6, scatter_lanes=4, detect_lanes=2, tiles=(2, 2),
    link_depth=3, steps=12, threshold=0.1, step_shift=3, preprocess="none",
)  # fmt: skip
TWO = ONE.replace(update_positions=2)


def frame(design: Design) -> tuple[Run, list[list[list[int]]]]:
    weights = quantise(Dictionary.random(design.geometry, 4).atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    x = plan.quantise_image(np.random.default_rng(4).standard_normal(design.geometry.image_shape) * 0.3)
    events: list[list[list[int]]] = []

    def keep(view: StepView) -> None:
        events.extend(rows.tolist() for rows in view.codes)

    return Machine(plan, weights).frame(x, design.dynamics.steps, observe=keep), events


def test_two_positions_a_clock_change_cycles_and_nothing_else() -> None:
    (one, before), (two, after) = frame(ONE), frame(TWO)
    assert np.array_equal(one.membrane, two.membrane) and np.array_equal(one.residual, two.residual)
    assert before == after, "the same events in the same order"
    assert one.counts == two.counts
    assert one.cycles is not None and two.cycles is not None and two.cycles.frame < one.cycles.frame
    # the first update of the frame: nothing has changed before it but what the serialiser passes on
    for run, words in ((one, ONE.geometry.sheet[0] * ONE.geometry.sheet[1] // 4), (two, 6 * 6 // 2)):
        assert run.cycles is not None
        phases = run.cycles.phases[run.cycles.phases[:, 0] == 0]
        update = int(np.flatnonzero(phases[:, 1] == Phase.UPDATE)[0])
        spent = int(phases[update + 1, 2] - phases[update, 2])
        assert words + 8 <= spent <= words + 8 + 3 * 36, spent


def test_a_quiet_update_takes_half_the_clocks() -> None:
    """With a threshold that nothing reaches every word passes in one clock, in update and in drain."""
    (one, _), (two, _) = (frame(design.replace(threshold=1.5, steps=2)) for design in (ONE, TWO))
    assert one.counts.code_events == two.counts.code_events == 0
    assert one.cycles is not None and two.cycles is not None
    # two steps and the drain of the first tile, whose words halve from 36 to 18; the clear is as deep as before
    assert one.cycles.frame - two.cycles.frame == 3 * 18


def test_memory_of_u_is_wider_and_half_as_deep() -> None:
    (one, _), (two, _) = frame(ONE), frame(TWO)
    u, wide = (next(m for m in resources(run.plan).memories if m.name == "U") for run in (one, two))
    assert (wide.words, wide.bits) == (u.words // 2, 2 * u.bits) and wide.total_bits == u.total_bits


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (dict(update_positions=3), "machine.update_positions cannot be 3; use 1 or 2"),
        (dict(update_positions=0), "machine.update_positions cannot be 0; use 1 or 2"),
        (dict(update_positions=2, gather_lanes=3), "machine.gather_lanes 3 give one; use gather_lanes = 6"),
        (dict(update_positions=2, tiles=(1, 4)), "a tile has 3; use update_positions = 1 or tiles with an even number"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(keys: dict[str, object], text: str) -> None:
    with pytest.raises(InputError) as caught:
        ONE.replace(**keys).check_machine()
    assert text in str(caught.value) and "\n" not in str(caught.value)
