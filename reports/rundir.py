"""A run on disk: written aside and renamed as a whole, never over another unless told to; read back for the page."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.archive import load_npz, replacing, save_npz
from ..golden.errors import InputError
from ..sim.design import Design

Arrays = dict[str, npt.NDArray[Any]]
ENCODING = ("input", "dictionary", "code", "membrane", "residual")
FRACTIONS = tuple(f"frac_{name}" for name in ("input", "weight", "code", "membrane", "residual"))
FIGURES = ("pictures", "kernels", "code", "float_against_fixed", "convergence", "events", "tiles", "cycles", "timeline",
           "ranges", "energy")  # fmt: skip
CROSSBAR_FIGURES = ("programmed", "converters", "arrays", "beside")
FILES = frozenset(
    {"run.json", "design.toml", "encoding.npz", "trace.npz", "golden.npz", "report.html", "machine.vcd",
     "timeline.json", "video.npz", "video.png", "faults.png", "dictionary.npz", "learned.npz",
     "crossbar_learning.png"}
    | {f"{name}.png" for name in FIGURES + CROSSBAR_FIGURES}
)  # fmt: skip
"""All files that a run writes: a folder with anything else in it is never removed."""
CROSSBAR = "crossbar"
"""The one folder in a run's: of a demo's run on crossbars, itself a run directory."""


def refuse_existing(out: Path, force: bool) -> None:
    """Refuse a folder that is not ours to replace, before any work is done.

    Raises:
        InputError: it exists and ``force`` is not set; it is a file; or, even with ``force``, it holds no run, or files
            beside the run's own.
    """
    if not out.exists():
        parent = out.absolute().parent
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise InputError(f"cannot make {out}: {parent} is no folder that may be written to; choose another --out")
        return
    if not out.is_dir():
        raise InputError(f"--out {out} is a file; name a folder")
    if not any(out.iterdir()):
        return
    if not force:
        raise InputError(f"--out {out} exists and is not empty; --force replaces it, or name another folder")
    if not (out / "run.json").is_file():
        raise InputError(f"--out {out} holds no run, so that --force does not replace it; name another folder")
    foreign = _foreign(out)
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise InputError(
            f"--out {out} holds {foreign[0]}{more}, which no run wrote, so that --force does not replace it; move it "
            "away or name another folder"
        )


def _foreign(out: Path) -> list[str]:
    """What no run wrote, as paths in a run's folder."""
    found = []
    for path in sorted(out.iterdir()):
        if path.name == CROSSBAR and path.is_dir() and not path.is_symlink() and (path / "run.json").is_file():
            found += [f"{CROSSBAR}/{name}" for name in _foreign(path)]
        elif path.name not in FILES and not _aside(path.name):
            found.append(path.name)
    return found


def _aside(name: str) -> bool:
    """Whether a file is what a killed process left half written."""
    return name.startswith(".") and name.endswith(".part")


@contextlib.contextmanager
def writing(out: Path, force: bool) -> Iterator[Path]:
    """A folder to fill beside ``out``, renamed to ``out`` when the block ends without an error, else removed.

    Raises:
        InputError: as for `refuse_existing`, or a folder that cannot be made.
    """
    refuse_existing(out, force)
    aside = out.absolute().with_name(f".{out.absolute().name}.{uuid.uuid4().hex[:8]}.part")
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"cannot make {out}: {error.strerror}; choose another --out") from None
    try:
        yield aside
        if out.exists():
            old = aside.with_suffix(".old")
            os.rename(out, old)
            try:
                os.rename(aside, out)
            except OSError:
                os.rename(old, out)
                raise
            shutil.rmtree(old)
        else:
            os.rename(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """One JSON object, aside and renamed; infinities and NaN as null."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(plain(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """NumPy numbers as Python's, tuples as lists, paths as text, infinities and NaN as None: what JSON can hold."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def frames_of(pixels: int, steps: int) -> list[int]:
    """Steps worth a picture, early ones more often: about 32 of them for 128 x 128 pixels, fewer for larger images."""
    count = int(np.clip(32 * 128 * 128 // pixels, 6, 40))
    return sorted({int(n) for n in np.rint(np.geomspace(1, steps, min(count, steps)))})


_KEYS = (
    "picture percent_error percent_inactive psnr_db outcome remedy steps code_sha256 compute_seconds warnings versions "
    "design striate"
)
_KEYS_ON = {
    "machine": "schedule macs macs_dense cycles frames_per_second energy_pj overflow counts words resources",
    "crossbar": "programmed_percent_error programmed_psnr_db program_seconds conversions adc_saturations energy_pj "
    "latency_ms area_mm2 overflow counts costs device arrays seed words",
}
_TRACES = ("percent_error", "active")


@dataclass(frozen=True)
class RunRecord:
    """A run directory in memory: ``info`` is run.json; ``encoding``, ``trace`` and a demo's ``golden`` are arrays;
    ``crossbar``: a demo's run on crossbars.
    """

    folder: Path
    info: dict[str, Any]
    design: Design
    encoding: Arrays
    trace: Arrays
    golden: Arrays | None
    crossbar: "RunRecord | None" = None

    def real(self, name: str) -> npt.NDArray[np.float64]:
        """An array of the encoding in units of the image, whichever machine wrote it."""
        key = "frac_weight" if name == "dictionary" else f"frac_{name}"
        return np.asarray(self.encoding[name] * (2.0 ** -float(self.encoding[key]) if key in self.encoding else 1.0))


def save(
    folder: Path, info: dict[str, Any], design: Design, encoding: Arrays, trace: Arrays, golden: Arrays | None = None
) -> None:
    """The files of a run, figures apart."""
    write_json(folder / "run.json", info)
    design.dump(folder / "design.toml")
    save_npz(folder / "encoding.npz", encoding)
    save_npz(folder / "trace.npz", trace)
    if golden is not None:
        save_npz(folder / "golden.npz", golden)


EXPERIMENTS = ("short-stride", "heterogeneity", "self-taught", "solvers", "denoising")
"""Of `striate reproduce`."""


def of_experiment(folder: Path, name: str) -> InputError:
    """The refusal of a folder in which one of `EXPERIMENTS` was begun or finished."""
    return InputError(
        f"{folder} holds a paper's experiment, whose page is its report.html; `striate reproduce {name}` with the "
        "options of its first run continues it and draws the page again"
    )


def load(folder: Path) -> RunRecord:
    """Read a run directory.

    Raises:
        InputError: a folder that holds no run, or a damaged one.
    """
    if not (folder / "run.json").is_file():
        raise InputError(
            f"{folder} holds no run (there is no run.json in it); `striate encode PICTURE --out DIR` makes one"
        )
    try:
        info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        on = info["on"]
    except (ValueError, KeyError, TypeError, OSError):
        raise InputError(f"{folder / 'run.json'} is damaged; make the run again") from None
    if on == "video":
        raise InputError(f"{folder} holds a video, whose figure is video.png; a page is made of what `encode` writes")
    if on == "faults":
        raise InputError(
            f"{folder} holds a study of bit flips, whose page is its report.html; `striate faults` makes it"
        )
    if on == "crossbar-learn":
        raise InputError(
            f"{folder} holds a study of learning, whose page is its report.html; `striate crossbar-learn` makes it"
        )
    if on in EXPERIMENTS:
        raise of_experiment(folder, on)
    wanted = f"{_KEYS} {_KEYS_ON.get(on, '')}".split()
    missing = [key for key in wanted if key not in info]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{folder / 'run.json'} has no {missing[0]}{more}; make the run again")
    keys = ENCODING + (FRACTIONS if on != "golden" else ()) + (("programmed",) if on == "crossbar" else ())
    golden, beside = folder / "golden.npz", folder / CROSSBAR
    trace = load_npz(folder / "trace.npz", None)
    missing = [key for key in _TRACES if key not in trace]
    if missing:
        raise InputError(f"{folder / 'trace.npz'} has no {missing[0]}; make the run again")
    return RunRecord(
        folder,
        info,
        Design.load(folder / "design.toml"),
        load_npz(folder / "encoding.npz", keys),
        trace,
        load_npz(golden, None) if golden.is_file() else None,
        load(beside) if (beside / "run.json").is_file() else None,
    )
