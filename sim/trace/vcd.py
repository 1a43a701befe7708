"""The machine's own events as a VCD file, beside which the wave of the RTL can be opened.

Scopes, names, widths and the time of clock 0 are those of the wave that ``striate verify --wave`` writes for the first
frame after its weights were loaded: scope ``tile<n>``, signals ``trace_<name>`` as in ``hw/tile.py``, two units of time
a clock; a register of clock c changes at ``2 (c + origin) - 1``.

``trace_phase``, ``trace_step``, ``trace_step_done``, ``trace_event``, ``trace_sent``, ``trace_pixel`` and
``trace_taken`` have the RTL's value in every clock, ``trace_event_*`` and ``trace_pixel_*`` while ``trace_event`` and
``trace_pixel`` are 1 (they keep their last value otherwise; in the RTL the wires show what passes). The clock and the
writes of the memories are not in it; what the recorder did not keep is x.
"""

from pathlib import Path

import numpy as np

from ...golden.archive import replacing
from ..plan import Plan
from ..tiling import IntArray, bits
from ..timing import Phase
from .clocks import LOAD
from .recorder import Trace

RESET_CLOCKS = 4
UNKNOWN = -(1 << 40)  # a value that is written as x

_PIXEL = ("pixel", "taken", "pixel_c", "pixel_y", "pixel_x", "pixel_dr")
Changes = list[tuple[IntArray, int, IntArray]]  # clocks, signal, values


def signals(plan: Plan) -> dict[str, int]:
    """Widths of a tile's signals, in their order in the file; the names of ``hw/tile.py`` without ``trace_``."""
    t = plan.tiling
    return {
        "phase": 4,
        "step": plan.steps_width,
        "step_done": 1,
        "event": 1,
        "event_k": bits(t.geometry.kernels),
        "event_i": bits(t.block[0]),
        "event_j": bits(t.block[1]),
        "event_dy": plan.code_change_width,
        "sent": 8,
        "pixel": 1,
        "pixel_c": bits(t.geometry.channels),
        "pixel_y": bits(t.region[0]),
        "pixel_x": bits(t.region[1]),
        "pixel_dr": plan.residual_change_width,
        "taken": 1,
    }


def wave_origin(plan: Plan) -> int:
    """The clock of the RTL's wave in which the command of its first frame is accepted: reset, weights, a pause."""
    return RESET_CLOCKS + plan.layout.beat_count + plan.tiling.count + 4


def write_vcd(path: Path, trace: Trace, origin: int | None = None) -> None:
    """Write the steps that the recorder kept; aside and renamed.

    The first step kept brings the load with it when it is step 0, the last one the drain when it is the frame's last.
    What lies outside is x.

    Args:
        origin: clock of the file in which the command is accepted; None: `wave_origin`.
    """
    plan = trace.run.plan
    origin = wave_origin(plan) if origin is None else origin
    widths, first = list(signals(plan).values()), trace.recorder.steps[0]
    head = ["$version Striate: events of the machine $end", "$timescale 1ps $end"]
    for tile in range(plan.tiling.count):
        head.append(f"$scope module tile{tile} $end")
        for n, (name, width) in enumerate(signals(plan).items()):
            span = f" [{width - 1}:0]" if width > 1 else ""
            head.append(f"$var wire {width} {_code(tile * len(widths) + n)} trace_{name}{span} $end")
        head.append("$upscope $end")
    head += ["$enddefinitions $end", "#0", "$dumpvars"]
    start = 0 if first == 0 else UNKNOWN
    head += [_change(start, width, _code(tile * len(widths) + n))
             for tile in range(plan.tiling.count) for n, width in enumerate(widths)]  # fmt: skip
    clocks, at, values = _merged(trace, len(widths))
    times = 2 * (clocks + origin) - 1
    with replacing(path) as aside, aside.open("w", encoding="ascii") as file:
        file.write("\n".join([*head, "$end", ""]))
        last, block = -1, []
        for time, signal, value in zip(times.tolist(), at.tolist(), values.tolist(), strict=True):
            if time != last:
                block.append(f"#{time}")
                last = time
            block.append(_change(value, widths[signal % len(widths)], _code(signal)))
            if len(block) > 50_000:
                file.write("\n".join([*block, ""]))
                block = []
        file.write("\n".join([*block, f"#{2 * (trace.run.cycles.frame + origin)}" if trace.run.cycles else "", ""]))


def _merged(trace: Trace, count: int) -> tuple[IntArray, IntArray, IntArray]:
    """(clock, signal, value) of every change, by clock; a signal changes at most once a clock, and only to another
    value.
    """
    all_ = [_of_tile(trace, tile) for tile in range(trace.run.plan.tiling.count)]
    parts = [(c, np.full(len(c), tile * count + n), v) for tile, found in enumerate(all_) for c, n, v in found]
    clock, signal, value = (np.concatenate([part[n] for part in parts]) for n in range(3))
    order = np.lexsort((np.arange(len(clock)), clock, signal))
    clock, signal, value = clock[order], signal[order], value[order]
    final = np.append((clock[1:] != clock[:-1]) | (signal[1:] != signal[:-1]), True)  # of those of one clock, the last
    clock, signal, value = clock[final], signal[final], value[final]
    new = np.append(True, signal[1:] != signal[:-1])
    begun = UNKNOWN if trace.recorder.steps[0] > 0 else 0
    real = np.where(new, value != begun, value != np.roll(value, 1))
    clock, signal, value = clock[real], signal[real], value[real]
    order = np.lexsort((signal, clock))
    return clock[order], signal[order], value[order]


def _of_tile(trace: Trace, tile: int) -> Changes:
    """Every change of a tile's signals. Later entries of a signal win over earlier ones of the same clock."""
    names = {name: n for n, name in enumerate(signals(trace.run.plan))}
    found: Changes = []
    first, after = trace.recorder.steps
    rows = trace.spans[trace.spans[:, 0] == tile]
    if not len(trace.recorder.codes):
        return [(np.zeros(0, np.int64), 0, np.zeros(0, np.int64))]
    last = after == trace.steps
    step = np.where(rows[:, 1] < LOAD, LOAD - rows[:, 1], rows[:, 1])  # a refresh is shown with the step after it
    rows = rows[((step >= first) | (first == 0)) & ((step < after) | last)]

    def put(name: str, clocks: IntArray, values: IntArray) -> None:
        found.append((clocks, names[name], values))

    def pulses(name: str, clocks: IntArray, values: IntArray | None = None) -> None:
        """A signal that is 0 but for single clocks."""
        put(name, clocks + 1, np.zeros(len(clocks), np.int64))
        put(name, clocks, np.ones(len(clocks), np.int64) if values is None else values)

    begin = rows[:1, 3]
    if first > 0:
        for name in ("step_done", "event", "sent", "pixel", "taken"):
            put(name, begin, np.zeros(1, np.int64))
        put("step", begin, rows[:1, 1])
    put("phase", rows[:, 3], rows[:, 2])
    # the last FLUSH of a step: the counter moves with its first clock, `step_done` is its last one
    ends = rows[(rows[:, 2] == Phase.FLUSH) & (rows[:, 1] >= 0) & (np.append(rows[1:, 1], after) != rows[:, 1])]
    put("step", ends[:, 3], ends[:, 1] + 1)
    pulses("step_done", ends[:, 4] - 1)

    def events(codes: IntArray, at: IntArray) -> None:
        pulses("event", at)
        present = sum(1 << b for b in range(8) if trace.run.plan.tiling.neighbours[tile, b] >= 0)
        pulses("sent", at + 1, codes[:, 4] & present)
        for n, name in enumerate(("event_k", "event_i", "event_j", "event_dy")):
            put(name, at, codes[:, n])

    for step in range(first, after):
        if step in trace.recorder.resent:
            events(trace.recorder.resent[step][tile], trace.resent_clocks(step, tile))
        events(trace.recorder.codes[step][tile], trace.code_clocks(step, tile))
        if step not in trace.recorder.pixels:
            for name in _PIXEL:
                put(name, trace.of_step(step, tile, Phase.GATHER), np.full(1, UNKNOWN))
            continue
        pixels, (entered, taken) = trace.recorder.pixels[step][tile], trace.pixel_clocks(step, tile)
        pulses("pixel", entered)
        pulses("taken", taken)
        for n, name in enumerate(_PIXEL[2:]):
            put(name, entered, pixels[:, n])
    if not last:
        for n in names.values():
            found.append((rows[-1:, 4], n, np.full(1, UNKNOWN)))
    return found


def _code(number: int) -> str:
    """The short name of a signal: printable characters, base 94."""
    text = chr(33 + number % 94)
    while number >= 94:
        number = number // 94 - 1
        text += chr(33 + number % 94)
    return text


def _change(value: int, width: int, code: str) -> str:
    """One line of the file: two's complement of negative values."""
    if value == UNKNOWN:
        return f"x{code}" if width == 1 else f"bx {code}"
    return f"{value & 1}{code}" if width == 1 else f"b{value & ((1 << width) - 1):b} {code}"
