"""Random legal and malformed traffic on the AXI top, and what every answer must be by the rules alone.

What the registers must read is in ``axi_rules.py``, the codes are those of ``sim/machine.py``; no gate shares code with
either. An episode is one thing a host may do, right or wrong; after each all registers are compared.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np

from ...golden.lca import Outcome
from ...sim.machine import Machine
from ...sim.plan import Plan
from ...sim.run import Run
from ...sim.tiling import IntArray
from ..registers import REGISTERS, register
from .axi import Closed, CompiledCore, Hang, Stalls
from .axi_rules import ABORT, CLEAR, ERROR, MALFORMED, REFUSED, START, WARM, Expectation, Ranges, register_at
from .checker import codes_in_order

PIXELS, WEIGHTS = 0, 1
"""TID."""


class Wrong(Exception):
    """A result that is not what the rules say."""


class Fuzz:
    """A host that does what it should and what it should not, and checks everything.

    Args:
        core: the compiled top, just out of reset. weights: two dictionaries of integers (K, C, p, p). identity, ranges:
        of the design, as ``hw/core.py`` gives them. steps: what STEPS reads after reset.
    """

    def __init__(
        self,
        core: CompiledCore,
        plan: Plan,
        weights: tuple[IntArray, IntArray],
        *,
        seed: int,
        identity: dict[str, int],
        ranges: Ranges,
        steps: int,
    ) -> None:
        self.core, self.plan, self.weights = core, plan, weights
        self.identity, self.ranges, self.steps = identity, ranges, steps
        self.rng = np.random.default_rng(seed)
        self.mix: Counter[str] = Counter()
        self.frames = self.words = 0
        self.quick = True
        self.machine = Machine(plan, weights[0])
        self.input = np.zeros(plan.tiling.geometry.image_shape, np.int64)
        self.now = Expectation.after_reset(ranges, steps, void=False)
        core.send(np.asarray(plan.layout.beats(weights[0]), np.int64), WEIGHTS)
        self.episodes: list[tuple[Callable[[], None], str, int]] = [
            (lambda: self._frame("good"), "good frame", 8),
            (lambda: self._frame("short"), "short frame", 3),
            (lambda: self._frame("long"), "long frame", 3),
            (lambda: self._frame("endless"), "frame without TLAST, then abort", 2),
            (lambda: self._frame("range"), "pixel out of range", 2),
            (lambda: self._frame("mixed"), "other TID inside a frame", 2),
            (lambda: self._frame("abort"), "abort in a frame", 2),
            (self._withdrawn, "start withdrawn", 1),
            (self._stray, "packet that nobody asked for", 3),
            (lambda: self._load("good"), "weight load", 2),
            (lambda: self._load("short"), "short weight load", 1),
            (lambda: self._load("long"), "long weight load", 1),
            (lambda: self._load("range"), "weight out of range", 1),
            (lambda: self._load("abort"), "abort in a weight load", 1),
            (self._accesses, "register accesses", 5),
            (self._clear, "counters cleared", 1),
            (self._reset, "reset", 1),
        ]

    # ---- comparison --------------------------------------------------------------------------------------------------
    def _expect(self, what: str, want: object, have: object) -> None:
        self.words += 1
        if want != have:
            raise Wrong(f"clock {self.core.clock}: {what}: expected {want}, found {have}")

    def _registers(self) -> None:
        """Read every register and compare."""
        now = self.now
        want = {
            **self.identity, "CONTROL": 0, "STATUS": now.status(), "ERRORS": now.errors, **now.parameters,
            **now.counters,
        }  # fmt: skip
        for entry in REGISTERS:
            self.core.queue_read(entry.offset)
        _, answers = self.core.settle()
        have = {entry.name: answer.data for entry, answer in zip(REGISTERS, answers, strict=True)}
        for entry, answer in zip(REGISTERS, answers, strict=True):
            self._expect(f"response to a read of {entry.name}", True, answer.ok)
            if entry.name in want:
                self._expect(entry.name, hex(want[entry.name]), hex(answer.data))
        cycles = have["CYCLES_HIGH"] << 32 | have["CYCLES_LOW"]
        if now.cycles_exact:
            self._expect("CYCLES", now.cycles, cycles)
        elif cycles < now.cycles:
            self._expect("CYCLES", f"at least {now.cycles}", cycles)
        self._expect("interrupt", now.done or bool(now.errors), self.core.interrupt)

    def _write(self, name: str, value: int, *, ok: bool = True) -> None:
        self._expect(f"response to writing {value:#x} to {name}", ok, self.core.write(name, value))

    # ---- frames ------------------------------------------------------------------------------------------------------
    def _start(self, *, warm: bool) -> bool:
        """Start a frame; whether it is refused (and then its closing word is checked here)."""
        now = self.now
        refused = now.refuses(warm=warm)
        self._write("CONTROL", START | WARM * warm)
        now.done = False
        if refused:
            now.errors |= ERROR["refused"]
            (closed,) = self._closed()
            self._expect("codes and closing word of a refused start", (0, REFUSED, 0, 0),
                         (len(closed.codes), closed.flags, closed.steps, closed.late_events))  # fmt: skip
            now.counters["LAST"] = REFUSED
            self.mix["refused start"] += 1
        return refused

    def _closed(self) -> list[Closed]:
        frames = self.core.closed()
        self.core.run(2)  # the closing word's clock is over: STATUS tells of it
        self._expect("closing words", 1, len(frames))
        self._expect("TID", self.now.number & 255, frames[0].tid)
        self.now.number += 1
        self.now.done = True
        return frames

    def _pokes(self) -> None:
        """Register accesses while busy."""
        wanted = []
        for _ in range(int(self.rng.integers(1, 4))):
            name = str(self.rng.choice(["STEPS", "THRESHOLD", "CUTOFF", "STEP_SHIFT", "CONTROL", "ID"]))
            value = START if name == "CONTROL" else int(self.rng.integers(1 << 32))
            self.core.queue_write(register(name).offset, value)
            wanted.append(self.now.write(register(name).offset, value, 15, busy=True))
        self.core.queue_read(register("DESIGN").offset)
        self.core.queue_read(register("STATUS").offset)
        writes, reads = self.core.settle()
        self._expect("responses to writes while busy", wanted, [answer.ok for answer in writes])
        self._expect("DESIGN while busy", self.identity["DESIGN"], reads[0].data)
        self._expect("STATUS.busy", 1, reads[1].data & 1)
        self.mix["accesses while busy"] += 1

    def _beats(self, warm: bool, shape: str) -> tuple[IntArray, IntArray]:
        """(rows of the packet, the picture that the machine must see)."""
        plan, rng = self.plan, self.rng
        scale = float(rng.choice([0.05, 0.2, 0.5])) * (1 << plan.input.frac)
        image = np.rint(rng.standard_normal(self.input.shape) * scale)
        image = np.clip(image, plan.input.low, plan.input.high).astype(np.int64)
        base = self.input if warm else np.zeros_like(self.input)
        change = np.moveaxis(image - base, 0, -1).reshape(-1).copy()
        sent = change.copy()
        length = len(change)
        if shape == "abort" and rng.random() < 0.5:
            # they may still stand in the queue, or be in the machine: zeros are the same in either case
            length, sent[:], change[:] = int(rng.integers(1, 3)), 0, 0
        elif shape in ("short", "abort"):
            length = int(rng.integers(1 if shape == "short" else 3, length))
            change[length:] = 0
        elif shape == "range":
            width = plan.input_change_width if warm else plan.input.width + (not plan.input.signed)
            for n in rng.integers(0, length, int(rng.integers(1, 4))):
                far = int(rng.integers(1 << (width - 1), 1 << 31))
                sent[n], change[n] = (far if rng.random() < 0.5 else -far - 1), 0
        rows = np.zeros((length, 3), np.int64)
        rows[:, 0] = sent[:length] & 0xFFFFFFFF
        if shape in ("long", "endless"):
            extra = int(rng.integers(1 if shape == "long" else 0, 9))
            rows = np.concatenate([rows, np.stack([rng.integers(0, 256, extra), np.zeros(extra), np.zeros(extra)], 1)])
        if shape == "mixed":
            rows = self._foreign(rows.astype(np.int64), PIXELS)
        if shape not in ("endless", "abort"):
            rows[-1, 2] = 1
        dx = np.moveaxis(change.reshape(*np.moveaxis(base, 0, -1).shape), -1, 0)
        return rows.astype(np.int64), base + dx

    def _foreign(self, rows: IntArray, tid: int) -> IntArray:
        """The rows with beats of other TIDs between them, TLAST at random; neither the first nor the last."""
        others = [n for n in range(4) if n != tid]
        for _ in range(int(self.rng.integers(1, 5))):
            at = int(self.rng.integers(1, len(rows)))
            beat = [int(self.rng.integers(1 << 32)), int(self.rng.choice(others)), int(self.rng.integers(2))]
            rows = np.insert(rows, at, beat, axis=0)
        return rows

    def _frame(self, shape: str) -> None:
        now, core, rng = self.now, self.core, self.rng
        self._write("STEPS", steps := int(rng.integers(1, 4)))
        now.parameters["STEPS"] = steps
        warm = bool(rng.random() < (0.7 if not now.dirty else 0.1))
        rows, image = self._beats(warm, shape)
        if self._start(warm=warm):
            if shape not in ("endless", "abort") and rng.random() < 0.5:
                core.queue_rows(rows)
                core.sent()
                now.errors |= ERROR["unexpected_data"]
            return
        held = rng.random() < 0.3
        if rng.random() < 0.3:
            self._pokes()
        if rng.random() < 0.15:
            core.queue_beats(rng.integers(-100, 100, int(rng.integers(1, 9))), WEIGHTS)
            now.errors |= ERROR["write_while_busy"]
            self.mix["weights while busy"] += 1
            core.sent()
        core.hold(bool(held))
        core.queue_rows(rows)
        if held:
            self._pokes()
            core.hold(False)
        if shape == "abort":
            core.sent()
            core.run(int(rng.integers(4)))
            self._write("CONTROL", ABORT)
            if rng.random() < 0.5:
                core.send(rng.integers(0, 100, int(rng.integers(1, 6))), PIXELS)  # the rest of the packet
                now.errors |= ERROR["unexpected_data"]
        (closed,) = self._closed()
        core.sent()
        now.errors |= {
            "short": ERROR["short_frame"], "abort": ERROR["short_frame"], "range": ERROR["bad_value"],
            "long": ERROR["long_frame"] | ERROR["missing_tlast"], "mixed": ERROR["unexpected_data"],
            "endless": ERROR["missing_tlast"] | (ERROR["long_frame"] if len(rows) > image.size else 0),
        }.get(shape, 0)  # fmt: skip
        malformed = shape in ("short", "abort", "range")
        exact = self.quick and not held and shape in ("good", "short", "long", "endless", "range")
        self._compare(closed, image, steps, warm=warm, malformed=malformed, exact=exact)
        if shape == "endless":
            now.swallowing = True
            self._registers()
            self._write("CONTROL", START, ok=False)
            now.errors |= ERROR["write_while_busy"]
            self._write("CONTROL", ABORT)
            now.swallowing = False

    def _compare(
        self, closed: Closed, image: IntArray, steps: int, *, warm: bool, malformed: bool, exact: bool
    ) -> None:
        """A frame that was made: its codes, its closing word, and what the registers must say of it."""
        now, run = self.now, self._run(image, steps, warm)
        want = codes_in_order(run)
        self._expect("codes (k, i, j, y)", want.tolist(), closed.codes.tolist())
        flags = int(run.overflow) | int(run.saturated_late) << 1 | int(run.settled) << 3 | MALFORMED * malformed
        self._expect("flags of the closing word", flags, closed.flags)
        self._expect("steps of the closing word", run.counts.steps, closed.steps)
        self._expect("late events of the closing word", run.events_late, closed.late_events)
        assert run.cycles is not None
        self.input, self.frames = image, self.frames + 1
        now.dirty, now.threshold = malformed, now.parameters["THRESHOLD"]
        now.cycles, now.cycles_exact = run.cycles.frame, exact
        counters = now.counters
        counters["FRAMES"] += 1
        counters["OVERFLOWS"] += run.overflow
        counters["DIVERGED"] += run.outcome is Outcome.DIVERGED
        counters["CODES"], counters["LAST"], counters["CODE_EVENTS"] = len(want), flags, run.counts.code_events

    def _run(self, image: IntArray, steps: int, warm: bool) -> Run:
        p = self.now.parameters
        shift = None if p["STEP_SHIFT"] >> 31 else p["STEP_SHIFT"]
        return self.machine.frame(
            image, steps, warm=warm, threshold=p["THRESHOLD"], cutoff=p["CUTOFF"], shift=shift
        )

    # ---- other episodes ----------------------------------------------------------------------------------------------
    def _withdrawn(self) -> None:
        if not self._start(warm=False):
            self.core.run(int(self.rng.integers(0, 20)))
            self._pokes()
            self._write("CONTROL", ABORT)

    def _stray(self) -> None:
        rng, count = self.rng, int(self.rng.integers(1, 12))
        tid = int(rng.choice([0, 2, 3]))
        rows = np.stack([rng.integers(0, 1 << 32, count), np.full(count, tid), np.zeros(count, np.int64)], 1)
        endless = rng.random() < 0.3
        if not endless:
            rows[-1, 2] = 1
        if count > 1 and rng.random() < 0.3:
            rows = self._foreign(rows, tid)
        self.core.queue_rows(rows)
        self.core.sent()
        self.now.errors |= ERROR["unexpected_data"]
        if endless:
            self.now.swallowing = True
            self._registers()
            self._write("CONTROL", ABORT)
            self.now.swallowing = False

    def _load(self, shape: str) -> None:
        now, rng, core = self.now, self.rng, self.core
        weights = self.weights[int(rng.integers(2))]
        values = np.asarray(self.plan.layout.beats(weights), np.int64).copy()
        if shape in ("short", "abort"):
            values = values[: int(rng.integers(1, len(values)))]
        elif shape == "long":
            values = np.concatenate([values, rng.integers(0, 9, int(rng.integers(1, 6)))])
        elif shape == "range":
            values[int(rng.integers(len(values)))] = 1 << int(rng.integers(self.plan.weight.width - 1, 31))
        core.send(values, WEIGHTS, last=shape != "abort")
        if shape == "abort":
            self._write("CONTROL", ABORT)
        now.dirty, now.void = True, shape != "good"
        now.errors |= {"good": 0, "range": ERROR["bad_value"]}.get(shape, ERROR["bad_weights"])
        self.machine = Machine(self.plan, weights)  # used once the load is whole

    def _accesses(self) -> None:
        """Writes and reads of anything, no start among them."""
        rng, core = self.rng, self.core
        for _ in range(int(rng.integers(1, 4))):
            wanted = []
            for _ in range(int(rng.integers(1, 6))):
                offset, value = self._somewhere(), self._something()
                strobe = 15 if rng.random() < 0.6 else int(rng.integers(16))
                if offset & ~3 == register("CONTROL").offset:
                    value &= ~START
                core.queue_write(offset, value, strobe)
                wanted.append(self.now.write(offset, value, strobe, busy=False))
            writes, _ = core.settle()
            self._expect("responses to writes", wanted, [answer.ok for answer in writes])
            offsets = [self._somewhere() for _ in range(int(rng.integers(1, 6)))]
            for offset in offsets:
                core.queue_read(offset)
            _, reads = core.settle()
            known = [register_at(offset) is not None for offset in offsets]
            self._expect("responses to reads", known, [answer.ok for answer in reads])
            if not all(known):
                self.now.errors |= ERROR["bad_address"]

    def _somewhere(self) -> int:
        if self.rng.random() < 0.3:
            return int(self.rng.integers(256))
        return int(self.rng.choice([entry.offset for entry in REGISTERS])) + int(self.rng.integers(4))

    def _something(self) -> int:
        """A number that is often a legal parameter."""
        if self.rng.random() < 0.4:
            return int(self.rng.integers(1 << 32))
        low, high, own = self.ranges[str(self.rng.choice(list(self.ranges)))]
        return int(self.rng.choice([low, high, own, low - 1, high + 1, int(self.rng.integers(0, 40))])) & 0xFFFFFFFF

    def _clear(self) -> None:
        self._write("CONTROL", CLEAR)
        self.now.clear()

    def _reset(self) -> None:
        """Reset in a frame, in a load, or at rest."""
        rng, core, void = self.rng, self.core, self.now.void
        if rng.random() < 0.3:
            core.send(rng.integers(0, 9, int(rng.integers(1, self.plan.layout.beat_count))), WEIGHTS, last=False)
            void = True
        elif not void:
            core.write("CONTROL", START)
            core.queue_beats(rng.integers(0, 9, self.input.size), PIXELS)
            core.run(int(rng.integers(1, 1500)))
        core.reset(int(rng.integers(1, 5)))
        self.now = Expectation.after_reset(self.ranges, self.steps, void=void)

    # ---- all of it ---------------------------------------------------------------------------------------------------
    def episode(self) -> None:
        """One thing at random, and all registers after it.

        Raises:
            Wrong: a result that is not what the rules say. Hang: none came.
        """
        rng = self.rng
        kind = rng.random()
        self.quick = kind < 0.25
        rates = {"quick": 0, "same": int(rng.integers(1, 230))}
        if self.quick:
            self.core.behave(Stalls.all(rates["quick"]))
        elif kind < 0.5:
            self.core.behave(Stalls.all(rates["same"]))
        else:
            self.core.behave(Stalls({port: int(rng.integers(0, 240)) for port in Stalls.all(0).rates}))
        if self.now.void and rng.random() < 0.6:
            run, name = (lambda: self._load("good")), "weight load"
        else:
            shares = np.array([share for *_, share in self.episodes], float)
            run, name, _ = self.episodes[int(rng.choice(len(self.episodes), p=shares / shares.sum()))]
        self.mix[name] += 1
        run()
        self._registers()


__all__ = ["Fuzz", "Hang", "Wrong"]
