"""Folding: several logical tiles on one physical tile, so that any image runs on any mesh. Modelled; there is no RTL.

The state of the logical blocks lies in a memory outside. In each step a physical tile visits its blocks in turn:

    load U, D, R, r~ | read the code events of the step before | scatter | gather | update | write events | store

A block's scatter of step n - 1 is thus done in its visit of step n, and a closing visit scatters the last one and
drains. That is another order of the same integer sums: the bits are those of the logical machine, whose run gives every
service time here. Cycles follow by a recurrence of max and + over the visits (`folded`).
"""

from dataclasses import dataclass

import numpy as np

from ...golden.errors import InputError
from ..machine import Machine
from ..plan import Plan
from ..run import Run, StepView
from ..tiling import DIRECTIONS, IntArray, bits
from ..timing import FLUSH_GATHER, FLUSH_INPUT, FLUSH_SCATTER, SCATTER_FILL, TOKEN_DELAY, UPDATE_FILL, Phase
from .devices import Device, device_of
from .resources import MemoryUse, Resources, lut_estimate, resources

STATE = ("U", "D", "R", "r~")
_SOURCES = 9


@dataclass(frozen=True)
class Services:
    """What each logical tile did in each step of a bit-exact run: arrays (steps, T), clocks or events.

    Args:
        run: the logical machine's run; its words are those of every folding.
        gather: clocks of detect and gather. update: clocks in the serialiser. scatter: clocks of the lanes, fills
            included. written: copies of code events a block writes, one for itself and each neighbour it touches.
        read: events a block scatters, its own and its neighbours'.
    """

    run: Run
    gather: IntArray
    update: IntArray
    scatter: IntArray
    written: IntArray
    read: IntArray

    @property
    def plan(self) -> Plan:
        """The logical machine."""
        return self.run.plan


@dataclass(frozen=True)
class Folded:
    """A folded machine's frame.

    Args:
        mesh: physical tiles (rows, columns). logical: those folded onto them. memory_bits_per_clock, buffers: as given.
        cycles: of a cold frame, the codes out. step_end: (steps, T) cycle in which each block's events were written.
        read_bits, written_bits: by memory ("U", "D", "R", "r~", "input", "events"), of a frame, outside the chip.
        outside_bits: size of the memory outside. on_chip: what the physical tiles need.
    """

    mesh: tuple[int, int]
    logical: tuple[int, int]
    memory_bits_per_clock: int
    buffers: int
    cycles: int
    step_end: IntArray
    read_bits: dict[str, int]
    written_bits: dict[str, int]
    outside_bits: int
    on_chip: Resources

    @property
    def words(self) -> tuple[int, int]:
        """Words of ``memory_bits_per_clock`` bits read and written outside in a frame."""
        b = self.memory_bits_per_clock
        return -(-sum(self.read_bits.values()) // b), -(-sum(self.written_bits.values()) // b)

    @property
    def memory_share(self) -> float:
        """Share of the frame's clocks in which the memory outside is busy."""
        return sum(self.words) / self.cycles

    def frames_per_second(self, clock_mhz: float) -> float:
        """One frame after the other."""
        return clock_mhz * 1e6 / self.cycles


def services(plan: Plan, weights: IntArray, image: IntArray, steps: int) -> Services:
    """Run the logical machine on a cold frame and keep what each tile did in each step.

    Args:
        plan: the logical machine. weights, image: (K, C, p, p) and (C, H, W) integers of its formats.

    Raises:
        InputError: a machine with refreshes, whose clock is not known folded.
    """
    if plan.refresh:
        raise InputError(f"machine.refresh {plan.refresh} is not modelled on folded tiles; use machine.refresh = 0")
    t, g = plan.tiling, plan.tiling.geometry
    (th, tw), reach = t.block, g.reach
    update, scatter, written, read = (np.zeros((steps, t.count), np.int64) for _ in range(4))

    def keep(view: StepView) -> None:
        n = view.step
        for tile, codes in enumerate(view.codes):
            i, j, mask = codes[:, 1], codes[:, 2], codes[:, 4]
            changed = len(np.unique((i * tw + j) // t.update_positions))
            update[n, tile] = t.membrane_depth + len(codes) - changed
            for b in range(-1, 8):
                other = tile if b < 0 else t.neighbour(tile, b)
                sent = np.ones(len(codes), bool) if b < 0 else (mask >> b & 1).astype(bool)
                count = int(np.count_nonzero(sent))
                if other < 0 or not count:
                    continue
                di, dj = (0, 0) if b < 0 else (DIRECTIONS[b][0] * th, DIRECTIONS[b][1] * tw)
                lanes = t.scatter_clocks(i[sent] - di + reach, j[sent] - dj + reach)
                scatter[n, other] += SCATTER_FILL + int(lanes.sum())
                read[n, other] += count
                written[n, tile] += count

    run = Machine(plan, weights).frame(image, steps, observe=keep)
    assert run.cycles is not None
    done, phases = run.counts.steps, run.cycles.phases
    begin = np.flatnonzero(phases[:, 1] == Phase.GATHER)
    gather = (phases[begin + 1, 2] - phases[begin, 2]).reshape(t.count, done).T
    return Services(run, gather, update[:done], scatter[:done], written[:done], read[:done])


def legal_meshes(tiles: tuple[int, int]) -> list[tuple[int, int]]:
    """Physical meshes that a logical one folds onto: each side divides the logical one, fewer tiles in all."""
    sides = [[n for n in range(1, count + 1) if count % n == 0] for count in tiles]
    return [(rows, columns) for rows in sides[0] for columns in sides[1] if (rows, columns) != tiles]


def check_fold(tiles: tuple[int, int], mesh: tuple[int, int], memory_bits_per_clock: int, buffers: int) -> None:
    """Refuse a folding that cannot be.

    Raises:
        InputError: a mesh whose sides do not divide the logical mesh, or that is the logical mesh; a memory of no
            width; another number of buffers than 1 or 2.
    """
    legal = legal_meshes(tiles)
    if not legal:
        raise InputError(f"machine.tiles {list(tiles)} is one tile: nothing can be folded; use more tiles or no fold")
    if mesh not in legal:
        near = min(legal, key=lambda m: abs(m[0] - mesh[0]) + abs(m[1] - mesh[1]))
        why = "is the mesh itself" if mesh == tiles else f"does not divide machine.tiles {list(tiles)}"
        raise InputError(f"the fold {list(mesh)} {why}; use {list(near)}")
    if memory_bits_per_clock < 1:
        raise InputError(f"the memory outside must move at least 1 bit a clock, not {memory_bits_per_clock}; use 32")
    if buffers not in (1, 2):
        raise InputError(f"a physical tile has 1 or 2 buffers, not {buffers}; with 2 it loads a block while it works")


def folded(
    served: Services, mesh: tuple[int, int], *, memory_bits_per_clock: int = 32, buffers: int = 1,
    device: Device | str = "ulx3s-85f",
) -> Folded:  # fmt: skip
    """The clock and the memory traffic of a run folded onto a smaller mesh.

    Args:
        mesh: physical tiles (rows, columns); logical tile (r, c) is visited by (r div rows each, c div columns each).
        memory_bits_per_clock: of the memory outside, reads and writes together. Physical tiles take fixed turns: each
            has ``memory_bits_per_clock / tiles`` bits a clock.
        buffers: 1: load, work, store one after the other. 2: the next block is loaded and the one before stored
            meanwhile, for twice the state on chip.
        device: whose blocks ``on_chip`` counts.

    Raises:
        InputError: see `check_fold`; an unknown board.

    The recurrence, for visit v (block b in step n) of a physical tile whose port is free at ``port``; a transfer takes
    ``ceil(bits * tiles / memory_bits_per_clock)``:

        1 buffer:   port += load_v;  port = max(port, events of step n - 1 of b and its neighbours written + 2) + read_v
                    end = port + work_v;  port = end + write_v  (written);  port += store_v
        2 buffers:  port = max(port, events written + 2) + read_v;  end = port + work_v
                    port += store_(v-1) + load_(v+1);  port = max(port, end) + write_v  (written)
    """
    plan, run = served.plan, served.run
    t = plan.tiling
    check_fold(t.tiles, mesh, memory_bits_per_clock, buffers)
    tiles, steps = mesh[0] * mesh[1], len(served.gather)
    each = t.tiles[0] // mesh[0], t.tiles[1] // mesh[1]
    order: list[list[int]] = [[] for _ in range(tiles)]
    for tile in range(t.count):
        row, column = t.place(tile)
        order[row // each[0] * mesh[1] + column // each[1]].append(tile)
    sources = [[tile, *(o for o in t.neighbours[tile].tolist() if o >= 0)] for tile in range(t.count)]
    state, event = _state_bits(plan), _event_bits(plan)
    inside = np.array([(y2 - y1) * (x2 - x1) for y1, y2, x1, x2 in map(t.inside, range(t.count))], np.int64)
    pixels = t.geometry.channels * inside
    work, drained = _work(served, pixels)

    def clocks(amount: int) -> int:
        return -(-amount * tiles // memory_bits_per_clock)

    def load(n: int, tile: int) -> int:
        if n == 0:
            return clocks(int(pixels[tile]) * plan.input.width)
        return clocks(state["U"] + state["R"] if n == steps else sum(state.values()))

    def store(n: int) -> int:
        return clocks(state["R"] if n == steps else sum(state.values()))

    written = np.zeros((steps + 1, t.count), np.int64)
    port = np.zeros(tiles, np.int64)
    first_code = 0
    for n in range(steps + 1):
        for place, blocks in enumerate(order):
            now = int(port[place])
            for v, tile in enumerate(blocks):
                if buffers == 1 or (n == 0 and v == 0):
                    now += load(n, tile)
                if n:
                    now = max(now, int(written[n - 1, sources[tile]].max()) + TOKEN_DELAY)
                    now += clocks(int(served.read[n - 1, tile]) * event)
                end = now + int(work[n, tile])
                if n == steps:
                    first_code = min(first_code or end, end - int(drained[tile]))
                if buffers == 2:
                    now += store(n if v else n - 1) if n or v else 0
                    after = (n, blocks[v + 1]) if v + 1 < len(blocks) else (n + 1, blocks[0])
                    now += load(*after) if after[0] <= steps else 0
                    now = max(now, end)
                else:
                    now = end
                now += clocks(int(served.written[n, tile]) * event) if n < steps else 0
                written[n, tile] = now
                if buffers == 1 or (n == steps and v + 1 == len(blocks)):
                    now += store(n)
            port[place] = now
    codes = int(np.count_nonzero(run.code))
    cycles = max(int(port.max()), first_code + codes + 1)
    copies = int(served.written.sum())
    reads = {name: t.count * (steps - 1) * size for name, size in state.items()}
    writes = {name: t.count * steps * size for name, size in state.items()}
    for name in ("U", "R"):
        reads[name] += t.count * state[name]
    writes["R"] += t.count * state["R"]
    reads |= {"input": int(pixels.sum()) * plan.input.width, "events": int(served.read.sum()) * event}
    writes |= {"input": 0, "events": copies * event}
    outside = t.count * sum(state.values()) + 2 * int(served.written.sum(axis=1).max()) * event
    return Folded(
        mesh, t.tiles, memory_bits_per_clock, buffers, cycles, written[:steps], reads, writes, outside,
        on_chip(plan, tiles, buffers, device_of(device) if isinstance(device, str) else device),
    )  # fmt: skip


def on_chip(plan: Plan, tiles: int, buffers: int, device: Device) -> Resources:
    """Memories and multipliers of the physical tiles: a logical tile's state ``buffers`` times, its weights once."""
    one = resources(plan, device)
    memories = tuple(
        MemoryUse(m.name, m.banks * times, m.words, m.bits, m.blocks * times)
        for m in one.memories
        for times in (buffers if m.name in STATE else 1,)
    )
    multipliers = one.multipliers // one.tiles
    blocks = sum(m.blocks for m in memories)
    return Resources(memories, tiles, tiles * blocks, tiles * multipliers, tiles * lut_estimate(plan, device))


def _work(served: Services, pixels: IntArray) -> tuple[IntArray, IntArray]:
    """(steps + 1, T) clocks of each visit's pipelines, the last row the closing visits; (T,) those of their drain."""
    t, steps = served.plan.tiling, len(served.gather)
    work = np.zeros((steps + 1, t.count), np.int64)
    work[1:] += _SOURCES + served.scatter + 1 + FLUSH_SCATTER
    work[:steps] += served.gather + 1 + FLUSH_GATHER + 1 + UPDATE_FILL + served.update - 1
    work[0] += t.clear_cycles + pixels + FLUSH_INPUT
    (rows, columns), (th, tw) = t.tiles, t.block
    active = np.count_nonzero(served.run.code, axis=0)
    words = active.reshape(rows, th, columns, tw // t.update_positions, t.update_positions).sum(axis=4)
    drained = UPDATE_FILL + np.maximum(1, words).sum(axis=(1, 3)).ravel()
    work[steps] += drained
    return work, np.asarray(drained, np.int64)


def _state_bits(plan: Plan) -> dict[str, int]:
    """Bits of a block's state, without the padding that memories on chip have."""
    t, g = plan.tiling, plan.tiling.geometry
    neurons, region = t.positions * g.kernels, g.channels * t.region[0] * t.region[1]
    sizes = (neurons * plan.membrane.width, neurons * plan.drive_width, region * plan.residual_width,
             region * plan.residual.width)  # fmt: skip
    return dict(zip(STATE, sizes, strict=True))


def _event_bits(plan: Plan) -> int:
    t = plan.tiling
    return sum(bits(size) for size in (t.geometry.kernels, *t.block)) + plan.code_change_width
