"""The bridge before the core, compiled, through its two pins: every request is answered, nothing happens twice."""

import functools
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from support.boardsim import BUFFER, DIVISOR, SimulatedBoard

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.core import identity
from striate.hw.emit import quantised
from striate.hw.registers import register
from striate.hw.serial.framing import Answer, Deframer, Operation, Status, answer_of, frame
from striate.hw.serial.host import Link, LinkError, RefusedError
from striate.hw.serial.machine import BoardMachine, differences, expected_clocks
from striate.sim.design import Design
from striate.sim.machine import simulate
from striate.sim.run import Run

DESIGN = Design(
    image=(16, 16), kernels=3, patch=6, stride=2, tiles=(1, 1), gather_lanes=3, scatter_lanes=2, detect_lanes=2,
    preprocess="none", threshold=0.1, step_shift=2, steps=12,
)  # fmt: skip


@functools.cache
def dictionary() -> Dictionary:
    return Dictionary.random(DESIGN.geometry, 3)


def board(seed: int = 0, **line: float) -> SimulatedBoard:
    return SimulatedBoard(DESIGN, dictionary(), seed=seed, **line)


@functools.cache
def picture(seed: int) -> tuple[Run, Run]:
    """What the machine makes of two pictures, with pixels of both signs."""
    random = np.random.default_rng(seed)
    first, second = (simulate(random.uniform(-1, 1, (1, 16, 16)), DESIGN, dictionary=dictionary()) for _ in range(2))
    return first, second


def linked(target: SimulatedBoard, **more: object) -> Link:
    """A link whose seconds are a million of the board's clocks, so that waiting costs none of ours."""
    settings: dict[str, object] = {"baud": 1_000_000 // DIVISOR, "patience_s": 0.003, "seed": 1}
    return Link(target, clock=lambda: target.cycles / 1e6, **{**settings, **more})  # type: ignore[arg-type]


def machine(link: Link) -> BoardMachine:
    plan, weights = quantised(DESIGN, dictionary())
    opened = BoardMachine(link, plan)
    opened.open()
    opened.load(weights)
    return opened


def ask(target: SimulatedBoard, body: bytes) -> list[Answer]:
    """A request as it stands, and all answers to it."""
    found = [answer_of(answer) for answer in Deframer().feed(target.run(frame(body), 30_000))]
    assert all(answer is not None for answer in found)
    return [answer for answer in found if answer is not None]


# ---- frames ----------------------------------------------------------------------------------------------------------
def test_frames_through_the_pins_are_those_of_the_machine() -> None:
    """Every code, the flags, the closing word, and the clocks from the last pixel to the first code."""
    target = board()
    opened = machine(linked(target))
    for run in picture(1):
        got = opened.frame(run.input, steps=DESIGN.dynamics.steps)
        assert np.array_equal(got.code, run.code) and differences(got, run) == {}
        assert got.clocks == expected_clocks(run) and got.beats == run.counts.codes_out + 1
        assert got.cycles > got.clocks
    assert opened.link.counters.crc_errors == opened.link.counters.retries == 0
    assert target.lights == (False, False)


@pytest.mark.parametrize("off", [-0.02, 0.02])
def test_a_host_whose_clock_is_two_percent_off(off: float) -> None:
    target = board(period=DIVISOR * (1 + off))
    run = picture(1)[0]
    link = linked(target)
    assert differences(machine(link).frame(run.input, steps=DESIGN.dynamics.steps), run) == {}
    assert link.counters.crc_errors == link.counters.retries == 0


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_flipped_bits_on_the_line_are_detected_and_mended(seed: int) -> None:
    """One bit in 2,500 both ways: some frames are bad, are sent again, and the result is the same in every word."""
    target = board(seed, flips=1 / 2500)
    link = linked(target, seed=seed, tries=60)
    opened = machine(link)
    for run in picture(2):
        assert differences(opened.frame(run.input, steps=DESIGN.dynamics.steps), run) == {}
    link.hello()
    assert link.counters.retries > 3 and link.counters.crc_errors and link.counters.lost


def test_a_line_of_noise_is_given_up() -> None:
    target = board(1)
    link = linked(target)
    link.hello()
    target.line(flips=0.05)
    with pytest.raises(LinkError) as caught:
        machine(link)
    assert "no answer to 10 requests in a row; the line is too noisy or the rate is wrong" in str(caught.value)


# ---- requests --------------------------------------------------------------------------------------------------------
def test_a_repeated_request_is_answered_again_and_not_executed_again() -> None:
    """The frame's last pixels sent twice would be a long frame; codes taken twice would be lost."""
    target, run = board(), picture(1)[0]
    opened = machine(linked(target))
    link = opened.link
    opened._control("start")
    pixels = [int(value) for value in run.input.reshape(-1)]
    link.stream(0, pixels[:200], last=False)
    rest = b"".join(int(value).to_bytes(2, "little", signed=True) for value in pixels[200:])
    sequence = (link._sequence + 1) % 256
    body = bytes([Operation.STREAM, sequence, 0x84]) + rest
    answers = [ask(target, body) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2] and answers[0][0].info == (56, 0)
    link._sequence = sequence
    assert link.read(register("ERRORS").offset) == 0
    taken: list[bytes] = []
    while True:
        body = bytes([Operation.TAKE, (link._sequence + 1) % 256, 5])
        one, two = ask(target, body), ask(target, body)
        assert one == two and len(one[0].payload) <= 5 * 8
        link._sequence = body[1]
        taken.append(one[0].payload)
        if one[0].info[1]:
            break
    beats = b"".join(taken)
    code, strange = opened._code([int.from_bytes(beats[n : n + 8], "little") for n in range(0, len(beats) - 8, 8)])
    assert np.array_equal(code, run.code) and strange == 0


def test_hello_begins_anew_with_any_number() -> None:
    target = board()
    first = ask(target, bytes([Operation.HELLO, 9]))
    again = ask(target, bytes([Operation.HELLO, 9]))
    assert first == again == [Answer(0, 9, Status.OK, (1, BUFFER.bit_length() - 1), bytes(4))]
    assert ask(target, bytes([Operation.READ, 10, 0]))[0].payload == b"IRTS"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (bytes([9, 1]), Status.UNKNOWN),
        (bytes([0x83, 1, 0]), Status.UNKNOWN),
        (bytes([Operation.READ, 1]), Status.LENGTH),
        (bytes([Operation.READ, 1, 0, 0]), Status.LENGTH),
        (bytes([Operation.WRITE, 1, 0x24, 1, 0, 0]), Status.LENGTH),
        (bytes([Operation.HELLO, 1, 0]), Status.LENGTH),
        (bytes([Operation.TAKE, 1]), Status.LENGTH),
        (bytes([Operation.CLOCKS, 1, 1]), Status.LENGTH),
        (bytes([Operation.STREAM, 1]), Status.LENGTH),
        (bytes([Operation.STREAM, 1, 0x04, 1]), Status.LENGTH),
        (bytes([Operation.STREAM, 1, 0x08, 1, 2]), Status.LENGTH),
        (bytes([Operation.STREAM, 1, 0x0C, 1]), Status.LENGTH),
        (bytes([Operation.READ, 1, 0xF0]), Status.REFUSED),
        (bytes([Operation.WRITE, 1, 0x00, 1, 0, 0, 0]), Status.REFUSED),
        (bytes([Operation.WRITE, 1, 0x24, 0, 0, 0, 0]), Status.REFUSED),
        (bytes([Operation.STREAM, 1, 0x00]), Status.OK),
        (bytes([Operation.TAKE, 1, 3]), Status.OK),
    ],
)
def test_every_request_is_answered(body: bytes, status: Status) -> None:
    """Also those that make no sense; afterwards the bridge answers as before, and the error light tells."""
    target = board()
    (answer,) = ask(target, body)
    assert (answer.operation, answer.sequence, answer.status) == (body[0] & 0x7F, body[1], status)
    assert answer.payload == b"" and target.lights[1] is (status > Status.BUSY)
    assert ask(target, bytes([Operation.READ, 2, 0]))[0].payload == b"IRTS" and not target.lights[1]


def test_bytes_of_any_kind_never_hang_it() -> None:
    target, random = board(), Random(5)
    for _ in range(20):
        target.run(bytes(random.choice((0x7E, 0x7D, random.randrange(256))) for _ in range(60)), 0)
        target.run(b"", 25_000)
        assert ask(target, bytes([Operation.HELLO, random.randrange(256)]))[-1].status == Status.OK
    link = linked(target)
    link.hello()
    assert link.read(0) == identity(quantised(DESIGN, dictionary())[0])["ID"]


def test_values_of_every_width_reach_the_core() -> None:
    """Whole frames of one, two and four bytes a value."""
    target, run = board(), picture(1)[0]
    opened = machine(linked(target))
    for log_bytes in (1, 2):
        opened._control("start")
        pixels = [int(value) for value in run.input.reshape(-1)]
        step = 32
        for at in range(0, len(pixels), step):
            ends = at + step >= len(pixels)
            body = b"".join(value.to_bytes(1 << log_bytes, "little", signed=True) for value in pixels[at : at + step])
            head = bytes([log_bytes << 2 | (0x80 if ends else 0)])
            assert opened.link.request(Operation.STREAM, head + body).info == (step, 0)
        code, strange = opened._code(opened._codes(1.0)[:-1])
        assert np.array_equal(code, run.code) and strange == 0


# ---- the machine behind it -------------------------------------------------------------------------------------------
def test_a_program_that_died_in_mid_frame_is_cleaned_up_after() -> None:
    target, run = board(), picture(1)[0]
    first = machine(linked(target))
    first._control("start")
    first.link.stream(0, [1] * 100, last=False)
    second = machine(linked(target, seed=7))
    assert differences(second.frame(run.input, steps=DESIGN.dynamics.steps), run) == {}
    second.link.stream(1, [1] * 50, last=False)  # and in the middle of its weights
    third = machine(linked(target, seed=8))
    assert differences(third.frame(run.input, steps=DESIGN.dynamics.steps), run) == {}


def test_another_design_is_refused() -> None:
    other = DESIGN.replace({"network.patch": 4})
    plan, _ = quantised(other, Dictionary.random(other.geometry, 1))
    with pytest.raises(InputError) as caught:
        BoardMachine(linked(board()), plan).open()
    assert str(caught.value).startswith("the board holds another design (0x")
    assert "16x16 pixels, channels 1, kernels 3, patch 6, stride 2" in str(caught.value)


def test_what_the_core_refuses_is_said() -> None:
    opened = machine(linked(board()))
    with pytest.raises(RefusedError, match="the board does not write register 0x24 = 0: the core refused it"):
        opened._set("STEPS", 0)
    opened.link.stream(0, [1, 2, 3])
    with pytest.raises(LinkError, match="the board found fault with the frame: bad_value, unexpected_data"):
        opened._check("the frame")


def test_differences_are_found() -> None:
    opened = machine(linked(board()))
    run, other = picture(1)
    got = opened.frame(run.input, steps=DESIGN.dynamics.steps)
    assert differences(got, other)["code"] == np.count_nonzero(run.code != other.code)
    assert got.changes == run.counts.code_events > 0
    assert differences(replace(got, changes=got.changes + 1), run) == {"changes": 1}
    fewer = opened.frame(run.input, steps=DESIGN.dynamics.steps - 1)
    assert {"steps", "clocks"} <= set(differences(fewer, run))
