"""A run as Chrome trace events: what every tile does and what every link carries, to be opened in Perfetto.

Process 1 is the mesh: a thread a tile, a slice a phase, inside of scatter a slice a wait for a neighbour's token.
Process 2 are the links that carried something: a thread a link, a slice from the first to the last event of a step.
Process 3 counts: error, active codes and events after each step.

Times are microseconds at a stated clock, rounded to nanoseconds, clock 0 being that of the command; every slice says
its clocks exactly in ``args``. Nothing of this is measured on hardware.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...golden.archive import replacing
from ..timing import Phase
from .clocks import LOAD
from .recorder import Trace

LINKS = ("NW", "N", "NE", "W", "E", "SW", "S", "SE")
_MESH, _LINKS, _COUNTS = 1, 2, 3
_COLOURS = {  # names that chrome://tracing knows; Perfetto chooses by the slice's name
    Phase.GATHER: "thread_state_running",
    Phase.UPDATE: "good",
    Phase.SCATTER: "thread_state_iowait",
    Phase.WAIT: "bad",
    Phase.FLUSH: "grey",
}

Event = dict[str, Any]


def timeline(trace: Trace, clock_mhz: float) -> dict[str, Any]:
    """The JSON object of the steps that the recorder kept; the load belongs to step 0, the drain to the last step."""
    made = (_phases, _waits, _traffic, _counts)
    events = [*_names(trace), *(event for part in made for event in part(trace, clock_mhz))]
    assert trace.run.cycles is not None
    first, after = trace.recorder.steps
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "machine": f"{trace.run.plan.tiling.tiles[0]}x{trace.run.plan.tiling.tiles[1]} tiles",
            "clock_mhz": clock_mhz,
            "clock": "target, not measured",
            "cycles": trace.run.cycles.frame,
            "steps": trace.steps,
            "steps_shown": [first, after],
        },
    }


def write_timeline(path: Path, trace: Trace, clock_mhz: float) -> None:
    """Write `timeline` as JSON, an event a line; aside and renamed."""
    whole = timeline(trace, clock_mhz)
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in whole.pop("traceEvents"))
    rest = json.dumps(whole)[1:]
    with replacing(path) as aside:
        aside.write_text(f'{{"traceEvents": [\n{lines}\n], {rest}\n', encoding="utf-8")


def nanoseconds(cycle: int, clock_mhz: float) -> int:
    """Of the beginning of a clock."""
    return round(cycle * 1e3 / clock_mhz)


def _slice(name: str, pid: int, tid: int, first: int, after: int, clock_mhz: float, args: Event) -> Event:
    """A complete event. Both ends are rounded, not the length, so that slices that meet in clocks meet in time."""
    begin, end = nanoseconds(first, clock_mhz), nanoseconds(after, clock_mhz)
    return {
        "ph": "X",
        "name": name,
        "pid": pid,
        "tid": tid,
        "ts": _microseconds(begin),
        "dur": round((end - begin) / 1e3, 3),
        "args": {"cycle": first, "cycles": after - first, **args},
    }


def _microseconds(time_ns: int) -> float:
    """A quarter of a nanosecond later, so that a reader that cuts off to nanoseconds does not take one away."""
    return round(time_ns / 1e3 + 0.00025, 5)


def _names(trace: Trace) -> Iterator[Event]:
    def meta(what: str, pid: int, tid: int, value: str | int) -> Event:
        where = {"pid": pid, "tid": tid} if tid else {"pid": pid}
        return {"ph": "M", "name": what, **where, "args": {"name" if isinstance(value, str) else "sort_index": value}}

    for pid, name in ((_MESH, "tiles"), (_LINKS, "links"), (_COUNTS, "network")):
        yield meta("process_name", pid, 0, name)
        yield meta("process_sort_index", pid, 0, pid)
    t = trace.run.plan.tiling
    for tile in range(t.count):
        row, column = t.place(tile)
        yield meta("thread_name", _MESH, tile + 1, f"tile {tile} ({row}, {column})")
        yield meta("thread_sort_index", _MESH, tile + 1, tile)
        for link in range(8):
            if t.neighbours[tile, link] >= 0 and _kept(trace, tile, link):
                name = f"tile {tile} to {t.neighbours[tile, link]} ({LINKS[link]})"
                yield meta("thread_name", _LINKS, _link_thread(trace, tile, link), name)


def _link_thread(trace: Trace, tile: int, link: int) -> int:
    """Threads have numbers of their own over all processes, from 1 on: 0 is the idle thread to some readers."""
    return trace.run.plan.tiling.count + 1 + 8 * tile + link


def _kept(trace: Trace, tile: int, link: int) -> bool:
    """Whether a link carries anything in the steps shown."""
    found = (*trace.recorder.codes.values(), *trace.recorder.resent.values())
    return any((codes[tile][:, 4] >> link & 1).any() for codes in found)


def _phases(trace: Trace, clock_mhz: float) -> Iterator[Event]:
    first, after = trace.recorder.steps
    counts = trace.recorder.counts()
    for tile, step, phase, begin, end in trace.spans.tolist():
        again = LOAD - step if step < LOAD else 0  # the step that a refresh precedes
        shown = first <= (again or step) < after or (step == LOAD and first == 0) or (step >= trace.steps == after)
        if not shown or begin == end or not trace.recorder.codes:
            continue
        args: Event = {"step": step} if 0 <= step < trace.steps else {"step": again, "refresh": 1} if again else {}
        if phase == Phase.GATHER:
            args["residual_events"] = int(counts["tile_residual_events"][step, tile])
        if phase == Phase.UPDATE and not again:
            args["code_events_of_step"] = int(counts["tile_code_events"][step, tile])
        event = _slice(Phase(phase).name.lower(), _MESH, tile + 1, begin, end, clock_mhz, args)
        if phase in _COLOURS:
            event["cname"] = _COLOURS[Phase(phase)]
        yield event


def _waits(trace: Trace, clock_mhz: float) -> Iterator[Event]:
    for tile, step, other, begin, end in trace.token_waits.tolist():
        args = {"step": step, "neighbour": other}
        yield _slice("wait for a token", _MESH, tile + 1, begin, end, clock_mhz, args) | {"cname": "bad"}


def _traffic(trace: Trace, clock_mhz: float) -> Iterator[Event]:
    t = trace.run.plan.tiling
    first, after = trace.recorder.steps
    kept = [(step, again) for step in range(first, after) for again in (True, False)]
    for step, again in kept:
        shown = (trace.recorder.resent if again else trace.recorder.codes).get(step)
        for tile in range(t.count):
            if shown is None or not len(shown[tile]):
                continue
            codes = shown[tile]
            left = trace.resent_clocks(step, tile) if again else trace.code_clocks(step, tile)
            clocks = left + 1  # an event is on the link in the clock after it left update
            for link in range(8):
                at = clocks[codes[:, 4] >> link & 1 == 1]
                if t.neighbours[tile, link] < 0 or not len(at):
                    continue
                name = f"{len(at)} event{'s' if len(at) > 1 else ''}"
                args: Event = {"step": step, "events": len(at)} | ({"refresh": 1} if again else {})
                thread = _link_thread(trace, tile, link)
                yield _slice(name, _LINKS, thread, int(at[0]), int(at[-1]) + 1, clock_mhz, args)


def _counts(trace: Trace, clock_mhz: float) -> Iterator[Event]:
    s = trace.run.steps
    first, after = trace.recorder.steps
    ends = s.end_cycle.max(axis=1, initial=0)
    columns = {
        "percent error": (s.percent_error, "percent"),
        "active codes": (s.active, "neurons"),
        "code events": (s.code_events, "events"),
        "residual events": (s.residual_events, "events"),
        "link events": (s.link_events, "events"),
    }
    for step in range(first, after):
        at = _microseconds(nanoseconds(int(ends[step]), clock_mhz))
        for name, (values, unit) in columns.items():
            value = np.asarray(values)[step].item()
            yield {"ph": "C", "name": name, "pid": _COUNTS, "ts": at, "args": {unit: round(value, 4)}}
