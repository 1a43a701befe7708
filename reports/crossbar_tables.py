"""Tables and sentences of one run on crossbars, and of the digital machine beside it. Plain data in and out."""

from collections.abc import Callable, Mapping
from typing import Any

from ..sim.crossbar.placement import Placement
from ..sim.design import Design
from .tables import DASH, Lines, number, si


def short_title(title: str) -> str:
    """A technology's title for an axis or a head: without its sources."""
    name = "standard cells, 32 nm" if title.endswith("scaled to 32 nm") else title.partition(" (")[0]
    return name.replace("Standard cells", "standard cells")


def beside_table(info: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the comparison: the run, the crossbars and the digital machine with the fewest steps."""
    machine, early = info.get("machine") or {}, info.get("fewest_steps")
    runs: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [("crossbars, this run", info, info["costs"][0])]
    if early and early["steps"] < info["steps"]:
        runs.append(("crossbars, fewest steps", early, early["costs"][0]))
    runs += [(f"digital, {short_title(cost['title'])}", machine, cost) for cost in machine.get("costs", [])]

    def row(name: str, text: Callable[[Mapping[str, Any], Mapping[str, Any]], str]) -> list[str]:
        return [name, *(text(run, cost) for _, run, cost in runs)]

    return ["", *(name for name, _, _ in runs)], [
        row("percent error, digital dictionary", lambda r, _: number(r["percent_error"], 3)),
        row("percent inactive", lambda r, _: number(r["percent_inactive"])),
        row("steps", lambda r, _: number(r["steps"])),
        row("energy a frame, modelled", lambda _, c: si(c["energy_pj"][1] * 1e-12, "J")),
        row("low .. high", lambda _, c: " .. ".join(si(c["energy_pj"][n] * 1e-12, "J") for n in (0, 2))),
        row("time of a frame, modelled", lambda _, c: si(c["latency_ms"] * 1e-3, "s")),
        row("energy x time, mJ ms", lambda _, c: number(c["energy_pj"][1] * 1e-9 * c["latency_ms"])),
        row("conversions", lambda r, _: number(r.get("conversions"))),
        row("products", lambda r, _: number(r.get("macs"))),
        row("cycles", lambda r, _: number(r.get("cycles"))),
        row("size, modelled", _size),
    ]


def _size(run: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    if "area_mm2" in cost:
        return f"{cost['area_mm2'][1]:.3f} mm\u00b2"
    r = run["resources"]
    return f"{r['blocks']} block RAMs, {r['multipliers']} mult." if cost["technology"].startswith("fpga") else DASH


def verdict(info: Mapping[str, Any]) -> str:
    """What the comparison says, in a sentence or two."""
    machine, early = info.get("machine"), info.get("fewest_steps")
    if machine is None or early is None:
        return "This run was made without the digital machine beside it."
    wanted, all_steps = f"{info['percent_error']:.2f} % by the digital dictionary", info["steps"]
    first = f"The crossbars reach their error of {wanted} in {early['steps']} of {all_steps} steps"
    if machine["refused"] is not None:
        return f"{first}. There is no digital machine of this design to compare with: {machine['refused']}."
    steps = f"{machine['steps']} of {all_steps} steps"
    if not machine["reached"]:
        steps = f"all {machine['steps']} steps and then has {machine['percent_error']:.2f} %"
    energy = early["energy_pj"]
    ratios = [f"{_times(c['energy_pj'][1] / energy)} ({short_title(c['title'])})" for c in machine["costs"]]
    listed = ", ".join(ratios[:-1]) + f" or {ratios[-1]}" if len(ratios) > 1 else ratios[0]
    text = f"{first}, with {si(energy * 1e-12, 'J')}. The digital machine takes {steps}; its energy is {listed} of that"
    if machine["percent_error_of_all_steps"] < 0.95 * info["percent_error"]:
        text += f". With all {all_steps} it has {machine['percent_error_of_all_steps']:.2f} %"
    return f"{text}."


def _times(ratio: float) -> str:
    if ratio < 0.1:
        return f"1/{1 / ratio:,.0f}"
    return f"{ratio:.2g} times" if ratio < 10 else f"{ratio:,.0f} times"


def device_rows(device: Mapping[str, str]) -> list[list[str]]:
    """(what, value) of a device, the preset with the design's changes: `sim.crossbar.device.describe`."""
    return [[name, text] for name, text in device.items() if name not in ("name", "title", "source")]


def array_rows(info: Mapping[str, Any], design: Design) -> list[list[str]]:
    """(what, value) of the arrays and how they are read."""
    a, c, n, t = info["arrays"], design.crossbar, info["counts"], info["costs"][0]["latency_ns"]
    place = Placement.of(design)
    parts = f"{len(place.row_parts)} x {len(place.column_parts)}"
    per_tile, largest = a["count"] // a["tiles"], f"{a['rows']} x {a['columns']}"
    return [
        ["arrays", f"{a['tiles']} tiles x {per_tile} = {a['count']:,}, up to {largest}"],
        ["weights of a tile", f"{place.shape[0]} x {place.shape[1]} in {parts} parts of {a['planes']} arrays each"],
        ["mapping, placement", f"{c.mapping}, {c.placement}"],
        ["cells", number(a["cells"])],
        ["stuck cells among them", number(a["stuck_cells"])],
        ["ADCs", f"{a['converters']:,}: one for {'an array' if c.mapping == 'offset' else 'the two arrays of a pair'}"],
        ["reads forward, backward", f"{n['forward_reads']:,}, {n['backward_reads']:,}"],
        ["reads left out, nothing to drive", number(n["skipped_reads"])],
        ["conversions forward, backward", f"{n['forward_conversions']:,}, {n['backward_conversions']:,}"],
        ["clipped", number(info["adc_saturations"])],
        ["one read forward", _read(t["forward_read"], t["forward_convert"], a["conversions_per_forward_read"])],
        ["one read backward", _read(t["backward_read"], t["backward_convert"], a["conversions_per_backward_read"])],
        ["wires", f"{c.wire_ohm:g} ohm a segment, driver {c.driver_ohm:g}, sense {c.sense_ohm:g}"],
    ]  # fmt: skip


def _read(read_ns: float, convert_ns: float, conversions: int) -> str:
    return f"{read_ns:.4g} ns integration, {convert_ns:.4g} ns for {conversions} conversions"


GAIN = 0.02
"""Distance of the best gain from 1 from which a run shows what one calibration would give."""


def gain_line(info: Mapping[str, Any]) -> Lines:
    """What one gain on the whole picture would mend, where it would."""
    if abs(info["gain"] - 1) <= GAIN:
        return []
    text = f"{info['gained_percent_error']:.3f} % by the digital dictionary times {info['gain']:.3f} (calibrated once)"
    return [("with one gain", text)]


def encode_lines(info: Mapping[str, Any]) -> Lines:
    """A run on crossbars on a terminal."""
    a, lossy, device = info["arrays"], info["adc_saturations"], info["device"]["name"]
    errors = (info["percent_error"], info["programmed_percent_error"])
    return [
        ("percent error", "{:.3f} % by the digital dictionary, {:.3f} % by the programmed arrays".format(*errors)),
        *gain_line(info),
        ("inactive", f"{info['percent_inactive']:.2f} %"),
        ("PSNR", f"{info['psnr_db']:.2f} dB, {info['programmed_psnr_db']:.2f} dB"),
        ("outcome", f"{info['outcome']}: {info['remedy']}"),
        ("arrays", f"{a['count']:,} of up to {a['rows']} x {a['columns']}, device {device}, seed {info['seed']}"),
        ("conversions", f"{info['conversions']:,}, {lossy:,} clipped"),
        ("energy", f"{si(info['energy_pj'] * 1e-12, 'J')} a frame (modelled)"),
        ("time", f"{info['latency_ms']:.3f} ms a frame (modelled)"),
        ("area", f"{info['area_mm2']:.3f} mm2 (modelled)"),
        ("code SHA-256", info["code_sha256"]),
        *(("warning", text) for text in info["warnings"]),
    ]  # fmt: skip
