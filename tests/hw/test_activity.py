"""Toggle counts of the RTL against what its traces and the machine say, and the energy that is made of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.mutants import bed

from striate.cli import main
from striate.golden.errors import InputError
from striate.hw import activity as module
from striate.hw.activity import Activity, compare, count, energy, memory_bits
from striate.hw.cosim.harness import CompiledMesh, build
from striate.hw.emit import MESH_FILE, TILE_FILE, verilog
from striate.hw.netlist import netlist
from striate.sim.cost import memory_bits as counted_bits
from striate.sim.tech import ASIC_45NM, FPGA_40NM
from striate.sim.tiling import IntArray
from striate.sim.timing import Phase


def image(amplitude: float = 0.3) -> IntArray:
    plan = bed(False)[0]
    noise = np.random.default_rng(5).standard_normal(plan.tiling.geometry.image_shape) * amplitude
    return np.rint(noise * (1 << plan.input.frac)).astype(np.int64)


@pytest.fixture(scope="module")
def activity() -> Activity:
    plan, weights, _ = bed(False)
    return count(plan, weights, image(), 3)


def test_toggles_of_known_signals(activity: Activity) -> None:
    """Bits of the phase that change from one phase to the next, by the machine's clock; a bit that pulses once a step
    changes twice; a counter of steps changes as a counter does."""
    run = activity.run
    assert run.cycles is not None
    tiles = run.plan.tiling.count
    changes = 0
    for tile in range(tiles):
        phases = [int(Phase.IDLE), *(run.cycles.phases[run.cycles.phases[:, 0] == tile, 1].tolist())]
        changes += sum((a ^ b).bit_count() for a, b in zip(phases, [*phases[1:], 0], strict=True))
    assert activity.of("trace_phase") == changes > 0
    assert activity.of("trace_step_done") == 2 * tiles * run.counts.steps
    assert activity.clocks == run.cycles.frame + 1


@pytest.mark.slow
def test_toggles_are_those_of_the_waveform(activity: Activity, tmp_path: Path) -> None:
    """The same frame with a VCD of the emitted Verilog: its changes, counted here, port by port."""
    plan, weights, _ = bed(False)
    for name, text in verilog(plan).items():
        (tmp_path / name).write_text(text)
    library = build(plan, tmp_path / TILE_FILE, tmp_path / MESH_FILE, trace=True)
    wave = tmp_path / "wave.vcd"
    with CompiledMesh(plan, library, wave=wave) as rtl:
        rtl.load_weights(plan.layout.beats(weights))
        begin = rtl.cycle
        rtl.frame(np.moveaxis(image(), 0, -1).reshape(-1), 3)
    found = waveform(wave, begin)
    ports = [name for name in found if name in activity.netlist.named]
    assert len(ports) > 30 and {"link_out", "feed", "trace_u_data", "trace_d_data", "codes__payload"} <= set(ports)
    assert {name: found[name] for name in ports} == {name: activity.of(name) for name in ports}
    assert sum(found[name] for name in ports) > 100_000


def waveform(wave: Path, begin: int) -> dict[str, int]:
    """Bits of each port of the tiles that differ from one clock to the next, all tiles together, from a clock on."""
    names: dict[str, str] = {}
    scope: list[str] = []
    now: dict[str, int] = {}
    settled: dict[str, int] = {}
    counts: dict[str, int] = {}
    time = 0
    for line in wave.read_text().splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            scope.append(words[2])
        elif words[:1] == ["$upscope"]:
            scope.pop()
        elif words[:1] == ["$var"] and len(scope) == 2 and re.fullmatch(r"tile\d+", scope[0]):
            names.setdefault(words[3], words[4])
        elif line[:1] == "#":
            if time % 2 == 0 and time >= 2 * begin:  # the end of a settled clock
                for code, name in names.items():
                    value = now.get(code, 0)
                    counts[name] = counts.get(name, 0) + (value ^ settled.get(code, value)).bit_count()
                    settled[code] = value
            time = int(line[1:])
        elif line[:1] == "b":
            now[words[1]] = int(words[0][1:], 2)
        elif line[:1] in ("0", "1"):
            now[line[1:]] = int(line[0])
    return counts


def test_memory_bits_beside_the_counts(activity: Activity) -> None:
    """r~ and the pixels' adds are known to the bit; other memories are read ahead, never less than was counted."""
    seen, counted = memory_bits(activity), counted_bits(activity.run)
    assert seen["r~"] == counted["r~"]
    for name in ("U", "D", "R", "weights"):
        assert counted[name] <= seen[name] <= 1.3 * counted[name], name


def test_every_bit_is_counted_once() -> None:
    nets = netlist(bed(False)[0])
    kinds = ("registers", "adders and comparators", "logic", "memory outputs")
    bits = [bit for kind in kinds for bit in nets.kinds[kind]]
    assert len(bits) == len(set(bits)) and max(bits) < nets.bits
    assert nets.register_bits == len(nets.kinds["registers"]) > 500
    assert len(nets.products) == bed(False)[0].tiling.gather_lanes
    assert all(len(operands) <= left + right for operands, left, right in nets.products)


@pytest.mark.parametrize("technology", [FPGA_40NM, ASIC_45NM], ids=lambda t: t.name)
def test_parts_sum_to_the_total(activity: Activity, technology: object) -> None:
    assert technology in (FPGA_40NM, ASIC_45NM)
    chosen = FPGA_40NM if technology is FPGA_40NM else ASIC_45NM
    compared = compare(activity, 50.0, chosen)
    for cost in (compared.by_activity, compared.by_counts):
        for n, total in enumerate(cost.energy_pj.as_list()):
            assert sum(row.energy_pj.as_list()[n] for row in cost.rows) == pytest.approx(total)
            assert sum(band.as_list()[n] for band in cost.by_group().values()) == pytest.approx(total)
            assert total > 0
    info = compared.as_dict()
    assert info["energy_ratio"] == pytest.approx(info["energy_activity_pj"][1] / info["energy_counts_pj"][1])


def test_a_toggle_more_costs_what_it_should(activity: Activity) -> None:
    """One operand bit of one multiplier, one bit of a register: the closed form."""
    nets, tech = activity.netlist, FPGA_40NM
    before = energy(activity, 50.0).energy_pj.typical
    for bit in (nets.products[0][0][0], nets.kinds["registers"][0]):
        toggles = activity.toggles.copy()
        toggles[bit] += 1
        more = energy(Activity(nets, activity.run, toggles, activity.high, activity.clocks), 50.0).energy_pj.typical
        driven = sum(bit in bits for kind, bits in nets.kinds.items() if kind not in ("links", "chains"))
        areas = [left * right / 64 * 2 / (left + right) for bits, left, right in nets.products if bit in bits]
        expected = 2 * driven * tech.add_bit_pj.band.typical + sum(areas) * tech.multiply_8x8_pj.band.typical
        assert more - before == pytest.approx(expected, rel=1e-4) and expected > 0


def test_rtl_that_is_not_the_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, weights, other = bed(False)
    right = module.CountingMesh.load_weights
    beats = plan.layout.beats(other)
    monkeypatch.setattr(module.CountingMesh, "load_weights", lambda self, _: right(self, beats))
    with pytest.raises(InputError, match="the RTL is not the machine: "):
        count(plan, weights, image(), 2)


SMALL = ("--set", "network.image=[32, 32]", "--set", "machine.tiles=[1, 1]", "--steps", "2")


@pytest.mark.slow  # two builds of the packaged dictionary's machine
def test_verify_says_the_energy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--picture", "camera", "--crop", "104,212", *SMALL, "--activity", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    low, typical, high = info["energy_activity_pj"]
    assert 0 < low < typical < high and len(info["energy_counts_pj"]) == 3
    assert info["energy_ratio"] == pytest.approx(typical / info["energy_counts_pj"][1])
    assert main(["verify", "--picture", "camera", "--crop", "104,212", *SMALL, "--activity"]) == 0
    out = capsys.readouterr().out
    assert "energy of the frame, modelled" in out and f"ratio {info['energy_ratio']:.2f}" in out


@pytest.mark.parametrize("words", [("--random", "2"), ("--fuzz", "10"), ("--top", "axi"), ("--rtl", "nowhere")])
def test_verify_refuses_activity_elsewhere(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--activity", *words]) == 2
    said = capsys.readouterr().err
    assert "--activity counts in" in said and f"leave out {words[0]}" in said and said.count("\n") == 1
