"""Single faults of the kind people make, put into the emitted Verilog or into the design while it is elaborated.

The product knows nothing of them: a text fault replaces one piece of one line of the Verilog and insists that exactly
that line was there; an elaboration fault patches one name of one module of ``striate.hw`` while the Verilog is made.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from amaranth.hdl import Value

from striate.hw import control, detect, exchange, gather, scatter, shapes, update
from striate.hw.beds import bed as bed
from striate.hw.beds import frames as frames
from striate.hw.beds import small_design as small_design
from striate.hw.emit import MESH_FILE, TILE_FILE, verilog
from striate.hw.verify import Verdict, verify_frames
from striate.sim.plan import Plan
from striate.sim.tiling import Tiling


@functools.cache
def sound(settling: bool = False) -> dict[str, str]:
    """The Verilog without a fault."""
    return verilog(bed(settling)[0])


def judge(files: dict[str, str], folder: Path, settling: bool = False) -> Verdict:
    """Compile the Verilog and hold it against the machine."""
    plan, weights, other = bed(settling)
    for name, text in files.items():
        (folder / name).write_text(text)
    return verify_frames(plan, weights, frames(plan, other), folder / TILE_FILE, folder / MESH_FILE, optimize=0)


# ---- faults ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Edit:
    """Replace ``old`` by ``new`` in the one line of ``file`` that is ``line``, where ``_N_`` and ``$N`` stand for any
    number that Yosys or Amaranth gave, and blanks for any number of blanks."""

    file: str
    line: str
    old: str
    new: str

    def apply(self, files: dict[str, str]) -> dict[str, str]:
        """The files with the fault.

        Raises:
            AssertionError: the line is not there exactly once, or ``old`` not exactly once in it.
        """
        escaped = re.escape(self.line).replace("_N_", r"_\d+_").replace(r"\$N", r"\$\d+")
        pattern = re.compile(r"^\s*" + re.sub(r"(\\ )+", r"\\s+", escaped) + r"\s*$", re.MULTILINE)
        text = files[self.file]
        found = list(pattern.finditer(text))
        assert len(found) == 1, f"{len(found)} lines are {self.line!r}"
        line = found[0].group()
        assert line.count(self.old) == 1, f"{self.old!r} is not once in {line!r}"
        changed = line.replace(self.old, self.new)
        return {**files, self.file: text[: found[0].start()] + changed + text[found[0].end() :]}


@dataclass(frozen=True)
class Mutant:
    """A fault: edits of the text, or a patch around the elaboration. ``caught``: a pattern of the unit in which it
    must show first; ``frame``: the frame in which it must; ``settling``: on the design that settles."""

    name: str
    caught: str
    frame: int = 1
    edits: tuple[Edit, ...] = ()
    patch: Callable[[], AbstractContextManager[Any]] = nullcontext
    settling: bool = False

    def verilog(self) -> dict[str, str]:
        """The faulty files; they differ from the sound ones."""
        if self.edits:
            files = sound(self.settling)
            for edit in self.edits:
                files = edit.apply(files)
        else:
            with self.patch():
                files = verilog(bed(self.settling)[0])
        assert files != sound(self.settling), "the fault changed nothing"
        return files


def _swap(old: tuple[Any, ...], a: int, b: int) -> tuple[Any, ...]:
    values = list(old)
    values[a], values[b] = values[b], values[a]
    return tuple(values)


def _rounds_down(module: Any, name: str) -> Callable[[], AbstractContextManager[Any]]:
    """Rounds down in one module instead of half up; ``name``: by which function it rounds."""

    def rounded(value: Value, shift: int, rounding: str) -> Any:
        return getattr(shapes, name)(value, shift, "floor" if rounding == "half_up" else rounding)

    return lambda: mock.patch.object(module, name, rounded)


def _saturates_early() -> AbstractContextManager[Any]:
    """The residual as read saturates one unit too early."""

    def fit(value: Value, fmt: Any) -> Value:
        return shapes.fit(
            value,
            mock.Mock(
                wraps=fmt, width=fmt.width, signed=fmt.signed, low=fmt.low, high=fmt.high - 1, overflow=fmt.overflow
            ),
        )

    return mock.patch.object(detect, "fit", fit)


def _strict_threshold() -> AbstractContextManager[Any]:
    """``u > threshold`` instead of ``u >= threshold``."""

    def transfer(u: Value, *, threshold_q: int, **rest: Any) -> Value:
        return shapes.transfer(u, threshold_q=threshold_q + 1, **rest)

    return mock.patch.object(update, "transfer", transfer)


def _table(module: Any, name: str, change: Callable[[dict[str, list[int]]], None]) -> Callable[[], Any]:
    """A table of one module with one entry changed."""
    right = getattr(module, name)

    def wrong(plan: Plan) -> dict[str, list[int]]:
        columns = {key: list(values) for key, values in right(plan).items()}
        change(columns)
        return columns

    return lambda: mock.patch.object(module, name, wrong)


def _narrow_halo(columns: dict[str, list[int]]) -> None:
    """The last pixel column of the region is masked off."""
    masks = columns["mask"]
    last = max(n for n, mask in enumerate(masks) if mask)
    masks[last] &= masks[last] - 1


def _set(key: str, index: int, by: int) -> Callable[[dict[str, list[int]]], None]:
    def change(columns: dict[str, list[int]]) -> None:
        columns[key][index] += by

    return change


def _border() -> AbstractContextManager[Any]:
    """Detect sees one pixel column less than the image has, at the right border."""
    right = Tiling.inside

    def inside(self: Tiling, n: int) -> tuple[int, int, int, int]:
        y_low, y_high, x_low, x_high = right(self, n)
        return y_low, y_high, x_low, x_high - (self.place(n)[1] == self.tiles[1] - 1)

    return mock.patch.object(Tiling, "inside", inside)


def _constant(module: Any, name: str, value: object) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: mock.patch.object(module, name, value)


def _in_tile(line: str, old: str, new: str) -> tuple[Edit, ...]:
    return (Edit(TILE_FILE, line, old, new),)


def _in_mesh(line: str, old: str, new: str) -> Edit:
    return Edit(MESH_FILE, line, old, new)


def _and_a_register(declaration: str, clocked: str) -> tuple[Edit, ...]:
    line = r"assign out = \exchange.out ;"
    return _in_tile(line, ";", f"; {declaration} always @(posedge clk) {clocked}")


_TOKEN = r"{ \exchange.last , \exchange.token ,"
_SENT = r"\update.serialiser.value , \update.here [11:6], \drain$N.own.saturated , \drain$N.own.overflow"
_SENT_LINE = rf"else \exchange.out [26:8] <= {_TOKEN} {_SENT} }};"
_PAIR = r"\update.serialiser.value , \update.here [6], \event [3], \update.here [4:3], trace_event_k"
_OTHER_PORTS = [
    _in_mesh(
        f".{port}__{name}({wire}),", wire, f"tile{other}_codes__ready" if name == "ready" else f"tile0_{there}__{name}"
    )
    for port, other, there, own in (("east", 2, "south", 1), ("south", 1, "east", 2))
    for name, wire in (
        ("payload", f"tile0_{port}__payload"),
        ("ready", f"tile{own}_codes__ready"),
        ("valid", f"tile0_{port}__valid"),
    )
]

MUTANTS = (
    # arithmetic
    Mutant("membrane rounded down", r"^(code event|membrane)", patch=_rounds_down(update, "round_parts")),
    Mutant("residual rounded down", r"^residual event", patch=_rounds_down(detect, "round_shift")),
    Mutant("residual saturates one early", r"^residual event", 2, patch=_saturates_early),
    Mutant("u > threshold", r"^(code event|membrane|residual \()", patch=_strict_threshold),
    Mutant(
        "step shift changes a step late",
        r"^(code event|membrane)",
        edits=_in_tile(
            r"assign _N_ = | \control.step [15:2];", r"| \control.step [15:2]", r"\control.step > 16'h0004"
        ),
    ),
    # geometry
    Mutant("scatter halo one column short", r"^residual \(", patch=_table(scatter, "mask_table", _narrow_halo)),
    Mutant(
        "scatter misses a row of the patch",
        r"^(residual \(|assertion)",
        patch=_table(scatter, "row_table", _set("more", 4, -1)),
    ),
    Mutant("gather starts a row late in D", r"^drive", patch=_table(gather, "row_table", _set("d_row", 12, 1))),
    Mutant("gather leaves out a position", r"^drive", patch=_table(gather, "column_table", _set("last_mask", 9, -1))),
    Mutant(
        "input region one column narrow",
        r"^residual event",
        edits=_in_tile(r"assign _N_ = $signed(\intake.x ) < $signed(6'h16);", "6'h16", "6'h15"),
    ),
    Mutant("detect mask at the border off by one", r"^residual event", patch=_border),
    # exchange
    Mutant(
        "two neighbours swapped in a mesh",
        r"^(residual \(|assertion)",
        edits=(
            _in_mesh(
                ".in_4({ tile1_link_out[26:8], tile1_link_out[3] }),",
                "{ tile1_link_out[26:8], tile1_link_out[3] }",
                "{ tile2_link_out[26:8], tile2_link_out[1] }",
            ),
            _in_mesh(
                ".in_6({ tile2_link_out[26:8], tile2_link_out[1] }),",
                "{ tile2_link_out[26:8], tile2_link_out[1] }",
                "{ tile1_link_out[26:8], tile1_link_out[3] }",
            ),
        ),
    ),
    Mutant(
        "two directions swapped in a tile",
        r"^residual \(",
        patch=_constant(exchange, "DIRECTIONS", _swap(exchange.DIRECTIONS, 3, 4)),
    ),
    Mutant(
        "consumed from the wrong neighbour",
        r"^(residual|phase|code event)",
        edits=(
            _in_mesh(
                ".acknowledged({ tile3_consumed[0], tile2_consumed[1], 1'h0, tile1_consumed[3], 4'h0 }),",
                "tile1_consumed[3]",
                "tile3_consumed[0]",
            ),
        ),
    ),
    Mutant(
        "token dropped",
        r"^end of the frame",
        edits=_in_tile(_SENT_LINE, r"\exchange.token ", r"(\exchange.token & ~\exchange.last ) "),
    ),
    Mutant(
        "token a cycle late",
        r"^phase",
        edits=_in_tile(_SENT_LINE, _TOKEN, "{ late,")
        + _and_a_register("reg [1:0] late = 2'h0;", rf"late <= {_TOKEN[:-1]}}};"),
    ),
    Mutant(
        "a skipped link is emptied",
        r"^(residual \(|end of the frame)",
        edits=_in_tile(r"assign \exchange.clear$N = \control.finished & _N_;", "&", "| 1'h0 &"),
    ),
    Mutant(
        "event lost while the links are full",
        r"^code event",
        edits=_in_tile(r"assign \update.accept = \control.running & event_accept;", "event_accept", "1'h1"),
    ),
    Mutant(
        "D not held while update is frozen",
        r"^(code event|membrane)",
        edits=_in_tile(r"assign \d.read__en = read_en | \datapath.pipe_gather_3 ;", "read_en", "1'h1"),
    ),
    # pipelines
    Mutant(
        "event lost while the FIFO is full",
        r"^residual event",
        edits=_in_tile(r"assign _N_ = \detect.serialiser.accept & _N_;", r"\detect.serialiser.accept ", "1'h1"),
    ),
    Mutant(
        "FIFO of 15",
        r"^phase",
        edits=_in_tile(r"assign _N_ = \gather.$signal$N == 4'hf;", "4'hf", "4'he"),
    ),
    Mutant("gather pauses a cycle short", r"^assertion", patch=_constant(gather, "HAZARD", 3)),
    Mutant("scatter pauses a cycle short", r"^(assertion|phase)", patch=_constant(scatter, "HAZARD", 3)),
    Mutant(
        "update begins a cycle early", r"^phase", patch=_constant(control, "FLUSH_GATHER", control.FLUSH_GATHER - 1)
    ),
    # weights, clear, drain, status
    Mutant(
        "a lane of the weights is never written",
        r"^(residual|drive)",
        edits=_in_tile(r"if (\datapath.weights.write_en [3])", r"\datapath.weights.write_en [3]", "1'h0"),
    ),
    Mutant(
        "stale weights after a reload",
        r"^(residual|drive)",
        3,
        edits=_in_tile(r"if (\datapath.weights.write_en [3])", r"[3]", "[3] & ~loaded")
        + _and_a_register("reg loaded = 1'h0;", "if (trace_phase != 0) loaded <= 1'h1;"),
    ),
    Mutant(
        "clear leaves r~",
        r"^residual event",
        3,
        edits=_in_tile(
            r"assign trace_s_en = _N_ ? { _N_, _N_ } : \detect.s_write_en ;",
            "assign trace_s_en = ",
            "assign trace_s_en = trace_phase == 1'h1 ? 2'h0 : ",
        ),
    ),
    Mutant(
        "warm frame not refused",
        r"^frame that cannot begin",
        7,
        edits=(_in_mesh("assign _N_ = dirty | _N_;", "dirty", "1'h0"),),
    ),
    Mutant("drain order", r"^order of the code stream", edits=tuple(_OTHER_PORTS)),
    Mutant(
        "code lost in the drain",
        r"^(code \(|end of)",
        edits=_in_tile(r"assign \drain$N.own_ready = \drain$N.queue.level != 2'h2;", r"!= 2'h2", "!= 2'h3"),
    ),
    Mutant(
        "overflow flag dropped",
        r"^closing word: overflow",
        2,
        edits=_in_tile(r"else \datapath.overflow <= _N_;", "<= ", "<= 1'h0 & "),
    ),
    Mutant(
        "saturation flag dropped",
        r"^closing word: overflow",
        2,
        edits=_in_tile(r"assign _N_ = \control.saturated & \control.in_window ;", r"\control.saturated ", "1'h0 "),
    ),
    Mutant(
        "events counted over a step less",
        r"^closing word: events",
        patch=_constant(control, "WINDOW", control.WINDOW - 1),
    ),
    # settling
    Mutant(
        "news from one neighbour forgotten",
        r"^(end of the frame|phase)",
        0,
        edits=_in_tile(
            r"assign _N_ = _N_ ? \exchange.link4.closed_news : \exchange.link3.closed_news ;",
            r"\exchange.link3.closed_news ",
            "8'h00 ",
        ),
        settling=True,
    ),
    Mutant(
        "own event not in the news",
        r"^(end of the frame|phase|steps)",
        0,
        edits=_in_tile(r"assign _N_ = \exchange.near [0] | trace_event;", r"\exchange.near [0] | trace_event", "1'h0"),
        settling=True,
    ),
    Mutant(
        "settles a step early",
        r"^(end of the frame|phase|steps)",
        0,
        edits=_in_tile(r"assign _N_ = \control.quiet == 2'h2;", "2'h2", "2'h1"),
        settling=True,
    ),
    Mutant(
        "a cold frame settles before its first event",
        r"^(end of the frame|phase|steps)",
        0,
        edits=_in_tile(r"else if (_N_) \control.stirred <= _N_;", "<= ", "<= 1'h1 | "),
        settling=True,
    ),
    Mutant(
        "both of two positions have the column of the first",
        r"^code event",
        0,
        edits=_in_tile(r"assign trace_event_j = { \update.here [6], \event [3] };", r"\event [3]", "1'h0")
        + _in_tile(rf"\exchange.own.store [\exchange.own.$signature__addr ] <= {{ {_PAIR} }};", r"\event [3]", "1'h0")
        + _in_tile(rf"else _N_ <= {{ \exchange.near [7:1], _N_, {_TOKEN[2:]} {_PAIR} }};", r"\event [3]", "1'h0"),
        settling=True,
    ),
    Mutant(
        "events of a frame that settles counted over a step less",
        r"^closing word: events",
        1,
        patch=_constant(control, "WINDOW", control.WINDOW - 1),
        settling=True,
    ),
)
