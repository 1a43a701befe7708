"""``striate map``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..golden.errors import InputError
from .common import Crop, DesignFile, Force, Job, Json, Settings, Steps, parse_crop, picture_path, read_design, say

if TYPE_CHECKING:
    from ..sim.mapping.fit import Fitted
    from ..sim.mapping.fold import Folded
    from ..sim.mapping.resources import Budget


def map(
    board: Annotated[
        str | None, typer.Option("--board", metavar="BOARD", help="Board to fill; the design's target.board without.")
    ] = None,
    fit: Annotated[
        float | None,
        typer.Option("--fit", metavar="FPS", help="Find the smallest machine that makes so many frames a second."),
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option("--fold", metavar="R,C", help="Fold the machine's tiles onto a mesh of R x C physical ones."),
    ] = None,
    memory_bits: Annotated[
        int, typer.Option("--memory-bits", metavar="N", help="Of a folded machine's memory outside: bits a clock.")
    ] = 32,
    buffers: Annotated[
        int, typer.Option("--buffers", metavar="1|2", help="Of a folded tile: 2 loads a block while it works on one.")
    ] = 1,
    picture: Annotated[
        str | None,
        typer.Option(
            "--picture", metavar="PICTURE", help="Frame to time; the centre of the photograph camera without."
        ),
    ] = None,
    crop: Crop = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write graph.json, graph.png, graph.svg and budget.md.")
    ] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    steps: Steps = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say where everything lives: tiles, memories, links, what a board has for them, cycles and frames a second.

    Example: striate map --board orangecrab-85f --fit 30 --out map
    """
    job, design = Job(as_json), read_design(design_file, settings, None, steps)
    from ..golden.images import load_image
    from ..reports.graph import budget_table, export, tile_graph
    from ..reports.record import design_sha256, phase_cycles
    from ..sim.machine import load_dictionary, simulate
    from ..sim.mapping import fit as fitting
    from ..sim.mapping.fold import check_fold, folded, services
    from ..sim.mapping.graph import Mapping
    from ..sim.mapping.nearest import does_not_fit
    from ..sim.mapping.resources import Budget, device_of
    from ..sim.timing import Phase

    if board is not None:
        design = design.replace({"target.board": board})
    device_of(design.target.board)
    if fit is None:  # a search takes other tiles and lanes, whatever the design has
        design.check_machine()
    if design.machine.schedule != "delta":
        raise InputError(
            f"machine.schedule '{design.machine.schedule}' has no tiles to map; use machine.schedule = \"delta\""
        )
    mesh = None if fold is None else _mesh(fold)
    if mesh is not None and fit is not None:
        raise InputError("--fold and --fit exclude each other; fold the machine that --fit finds in a second call")
    if mesh is not None:
        check_fold(design.machine.tiles, mesh, memory_bits, buffers)
    elif (memory_bits, buffers) != (32, 1):
        raise InputError("--memory-bits and --buffers are those of a folded machine; add --fold R,C or leave them out")
    n = design.network
    where: tuple[int, int] | None
    if picture is None:
        if crop is not None:
            raise InputError(f"--crop {crop} needs a picture; add --picture camera, say")
        where, image = fitting.default_crop(design), fitting.default_picture(design)
    else:
        where = parse_crop(crop)
        image = load_image(picture, crop=where, size=n.image, channels=n.channels, preprocess=design.input.preprocess)
    dictionary = load_dictionary(design)
    info: dict[str, Any] = {"picture": picture_path(picture or "camera"), "crop": where}
    rows: list[tuple[str, str]] = []
    if fit is not None:
        try:
            found = fitting.fit(design, design.target.board, fit, image=image, dictionary=dictionary)
        except fitting.DoesNotFit as error:
            if as_json:
                job.done(info | {"board": design.target.board, "fits": False, "reason": str(error)}, None)
            say(str(error))
            raise typer.Exit(1) from None
        design = found.design
        info["search"] = _search_json(found)
        rows.append(("search", (f"{found.legal} legal mappings, {found.fitting} fit, {found.promising} may be fast "
                               f"enough, {len(found.tried)} run")))  # fmt: skip
    mapping = Mapping.of(design, dictionary=dictionary)
    run = simulate(image, design, dictionary=dictionary)
    assert run.cycles is not None
    mapping, clock = mapping.with_traffic(run), design.target.clock_mhz
    budget, cycles, clocks = mapping.budget, run.cycles.frame, None
    if mesh is not None:
        clocks = folded(
            services(run.plan, run.dictionary, run.input, design.dynamics.steps), mesh,
            memory_bits_per_clock=memory_bits, buffers=buffers, device=mapping.device,
        )  # fmt: skip
        budget, cycles = Budget(mapping.device, clocks.on_chip), clocks.cycles
        info["fold"] = _fold_json(clocks)
    reason = ""
    if not budget.fits:
        reason = does_not_fit(design, run.dictionary, design.target.board, budget, folded=mesh is not None)
    info |= _budget_json(budget) | {
        "board": design.target.board, "fits": budget.fits, "reason": reason or None, "cycles": cycles,
        "clock_mhz": clock, "frames_per_second": clock * 1e6 / cycles, "link_events": run.counts.link_events,
        "machine": {key: value for key, value in design.sections()["machine"].items()},
    }  # fmt: skip
    rows += _rows(design.machine.tiles, mapping, budget, clocks)
    rows.append(("cycles a frame", f"{cycles:,}" + (" (modelled)" if clocks else " (exact)")))
    rows.append(("frames/s", f"{clock * 1e6 / cycles:.1f} at {clock:g} MHz (a target)"))
    if out is not None:
        spent = phase_cycles(run)
        busy = spent[:, [Phase.GATHER, Phase.UPDATE]].sum(axis=1) / max(1, spent.sum(axis=1).max())
        lines = [
            f"# {n.kernels} kernels {n.patch}x{n.patch} at stride {n.stride}, {n.image[0]}x{n.image[1]} pixels",
            "",
        ]
        lines += [*budget_table(budget), "", *(f"{label}: {text}  " for label, text in rows)]
        written = export(out, mapping, tile_graph(mapping, image, busy), lines, force)
        info["out"] = str(out.absolute())
        rows.append(("written", f"{len(written)} files in {out}"))
    job.done(info, design_sha256(design, dictionary), rows)
    if reason:
        say(reason)
        raise typer.Exit(1)


def _mesh(fold: str) -> tuple[int, int]:
    try:
        rows, columns = (int(part) for part in fold.split(","))
    except ValueError:
        raise InputError(f"--fold must be two whole numbers R,C such as 2,1, not '{fold}'") from None
    return rows, columns


def _rows(tiles: tuple[int, int], mapping: Any, budget: "Budget", clocks: "Folded | None") -> list[tuple[str, str]]:
    """The table's middle: what lives where, and what the device has for it."""
    t, found, device = mapping.plan.tiling, budget.resources, budget.device
    g = t.geometry
    mesh = f"{tiles[0]}x{tiles[1]} tiles" + (f" folded onto {clocks.mesh[0]}x{clocks.mesh[1]}" if clocks else "")
    rows = [
        ("machine", (f"{mesh}, {t.gather_lanes} gather, {t.scatter_lanes} scatter, {t.detect_lanes} detect lanes, "
                    f"links of {mapping.plan.link_depth}")),
        ("a tile", (f"{t.block[0]}x{t.block[1]} positions, {t.positions * g.kernels:,} neurons, "
                   f"{t.region[0]}x{t.region[1]} pixels")),
    ]  # fmt: skip
    rows += [
        (f"memory {m.name}", (f"{m.banks} x {m.words} words x {m.bits} bits, {m.blocks} blocks a tile, "
                             f"{found.tiles * m.blocks} in all"))
        for m in found.memories
    ]  # fmt: skip
    rows += [
        (f"{device.block_name}s", f"{found.blocks} of {device.blocks}"),
        ("multipliers", f"{found.multipliers} of {device.multipliers}"),
        (f"LUT{device.lut_inputs}", f"{found.lut:,} of {device.lut:,} (estimated)"),
    ]
    edges = list(mapping.graph.edges(data=True))
    links = [(data["words"], one, other) for one, other, data in edges if data["kind"] == "events"]
    width = {data["kind"]: data["width_bits"] for *_, data in edges}
    text = f"feed chain {width['feed']} bits, drain chain {width['drain']} bits"
    if links:
        most, one, other = max(links)
        text = f"{len(links)} of {width['events']} bits, the busiest {one} to {other}: {most:,} events; {text}"
    rows.append(("links", text))
    if clocks:
        read, written = clocks.words
        text = f"{clocks.outside_bits:,} bits; words of {clocks.memory_bits_per_clock} bits a frame: {read:,} read, "
        rows.append(("memory outside", f"{text}{written:,} written; busy {100 * clocks.memory_share:.0f} %"))
    return rows


def _budget_json(budget: "Budget") -> dict[str, Any]:
    found, device = budget.resources, budget.device
    return {
        "device": device.name, "tiles": found.tiles, "blocks": found.blocks, "multipliers": found.multipliers,
        "lut_estimate": found.lut, "device_blocks": device.blocks, "device_multipliers": device.multipliers,
        "device_lut": device.lut, "blocks_over": budget.blocks_over, "bits_over": budget.bits_over,
        "memories": [
            {"name": m.name, "banks": m.banks, "words": m.words, "bits": m.bits, "blocks": m.blocks}
            for m in found.memories
        ],
    }  # fmt: skip


def _fold_json(clocks: "Folded") -> dict[str, Any]:
    read, written = clocks.words
    return {
        "mesh": clocks.mesh, "logical": clocks.logical, "memory_bits_per_clock": clocks.memory_bits_per_clock,
        "buffers": clocks.buffers, "read_bits": clocks.read_bits, "written_bits": clocks.written_bits,
        "read_words": read, "written_words": written, "outside_bits": clocks.outside_bits,
        "memory_share": clocks.memory_share,
    }  # fmt: skip


def _search_json(found: "Fitted") -> dict[str, Any]:
    return {
        "target_fps": found.target_fps, "legal": found.legal, "fitting": found.fitting, "promising": found.promising,
        "tried": [
            {**c.machine, "blocks": c.size[0], "multipliers": c.size[1], "least_cycles": c.least_cycles,
             "cycles": c.cycles} for c in found.tried
        ],
    }  # fmt: skip
