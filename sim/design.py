"""The design: one frozen, validated value from which the golden run, the simulator, the RTL and reports are made."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ..golden.archive import replacing
from ..golden.errors import InputError
from ..golden.geometry import Geometry
from . import design_file, legality, widths
from .fixed import AnyIntArray, Format
from .sections import (
    SECTIONS,
    Crossbar,
    Dynamics,
    Formats,
    Input,
    Machine,
    Network,
    Target,
    default_code,
    default_input,
)

if TYPE_CHECKING:
    from ..golden.dictionary import Dictionary
    from ..golden.lca import LcaParams


class Design(BaseModel):
    """Network, arithmetic, machine, crossbar and target as one frozen, hashable value.

    ``Design(kernels=32, tiles=(2, 2))`` takes any key of the design file by its bare name,
    ``Design(network={...})`` whole sections, ``Design(**{"machine.tiles": (2, 2)})`` dotted keys; everything else has
    its default. Values are read as ``design.network.kernels``, ``design.formats.code``. A code or input format that is
    not given follows from two_sided and from the weight and code fractions.

    Raises:
        InputError: an unknown key, a wrong type, an impossible network; one line naming key, value and remedy. What
            only the machine refuses is left to `check_machine`, so that a golden run takes any design.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    network: Network
    input: Input
    dynamics: Dynamics
    formats: Formats
    machine: Machine
    crossbar: Crossbar
    target: Target

    def __init__(self, **keys: Any) -> None:
        sections = design_file.gather(keys)
        try:
            super().__init__(**{name: sections.get(name, {}) for name in SECTIONS})
        except ValidationError as error:
            raise design_file.one_line(error) from None

    @model_validator(mode="before")
    @classmethod
    def _resolve_formats(cls, data: Any) -> Any:
        """Fill in the formats that follow from other keys, so that a design always holds every format."""
        data = {name: dict(section) for name, section in data.items()}
        formats = data["formats"]
        two_sided = data["dynamics"].get("two_sided", False) is True
        formats.setdefault("code", default_code(two_sided))
        try:
            given = Formats(**formats)
        except ValidationError:
            return data  # reported with its section's name when the sections are validated
        weight = _with_symmetry(given.weight, True)
        code = _with_symmetry(given.code, two_sided)
        formats.setdefault("input", default_input(weight, code))
        return data | {"formats": formats | {"weight": weight, "code": code}}

    @model_validator(mode="after")
    def _geometry_is_possible(self) -> "Design":
        _ = self.geometry
        return self

    # ---- making designs from designs and files -----------------------------------------------------------------------
    def replace(self, changes: Mapping[str, Any] | None = None, **keys: Any) -> "Design":
        """This design with some keys changed, bare or dotted, as keywords or in a mapping; sections merge key by key.

        A code or input format that is at its default goes on following its default.

        Raises:
            InputError: as for `Design`.
        """
        sections = self.sections()
        f, two_sided = self.formats, self.dynamics.two_sided
        if f.input == default_input(f.weight, f.code):
            del sections["formats"]["input"]
        if f.code == default_code(two_sided):
            del sections["formats"]["code"]
        for name, section in design_file.gather({**(changes or {}), **keys}).items():
            sections[name].update(section)
        return Design(**sections)

    def set(self, *settings: str) -> "Design":
        """This design with settings such as ``"network.kernels=32"``, in order; the value is TOML, bare words are text.

        Raises:
            InputError: a setting of another form, and as for `Design`.
        """
        changes = dict(design_file.parse_setting(setting) for setting in settings)
        return self.replace(changes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Design":
        """The design in a TOML file; a relative ``network.dictionary`` is relative to that file.

        Raises:
            InputError: a file that cannot be read or is not TOML, an unknown key, a wrong type, an impossible value.
        """
        try:
            text = Path(path).read_bytes().decode("utf-8")
        except OSError as error:
            raise InputError(
                f"cannot read the design file {path}: {error.strerror}; `striate new FILE` writes one"
            ) from None
        except UnicodeDecodeError:
            raise InputError(f"the design file {path} is not UTF-8 text; `striate new FILE` writes one") from None
        return cls.from_toml(text, source=str(path), folder=Path(path).parent)

    @classmethod
    def from_toml(cls, text: str, source: str = "design", folder: Path | None = None) -> "Design":
        """The design in TOML text; ``source`` names it in messages, ``folder`` is what its paths are relative to.

        Raises:
            InputError: as for `load`.
        """
        sections = design_file.parse_text(text, source, folder)
        try:
            return cls(**sections)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None

    def to_toml(self) -> str:
        """The canonical design file: every key in a fixed order, formats in short form; same design, same text."""
        return design_file.to_text(self.sections())

    def dump(self, path: str | os.PathLike[str]) -> None:
        """Write the canonical design file aside and rename it; ``network.dictionary`` becomes relative to it.

        Raises:
            InputError: a path that cannot be written.
        """
        target, sections = Path(path), self.sections()
        if self.network.dictionary != "natural":
            folder = os.path.abspath(target.parent)
            sections["network"]["dictionary"] = Path(os.path.relpath(self.network.dictionary, folder)).as_posix()
        try:
            with replacing(target) as aside:
                aside.write_text(design_file.to_text(sections), encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError(f"cannot write the design file {path}: {error.strerror}; choose another path") from None

    @staticmethod
    def commented_toml() -> str:
        """The text of a new design file: every key with its default and a comment with its meaning and unit."""
        return design_file.commented_text()

    def sections(self) -> dict[str, dict[str, Any]]:
        """Section name to key to value, every key, in file order; new dictionaries."""
        return {
            name: {key: getattr(getattr(self, name), key) for key in section.model_fields}
            for name, section in SECTIONS.items()
        }

    def sha256(self, dictionary_bytes: bytes = b"") -> str:
        """Hexadecimal SHA-256 of the canonical design and the dictionary's bytes; its path does not count."""
        sections = self.sections()
        sections["network"]["dictionary"] = ""
        text = design_file.to_text(sections).encode()
        return hashlib.sha256(len(text).to_bytes(8, "little") + text + dictionary_bytes).hexdigest()

    # ---- what follows from it ----------------------------------------------------------------------------------------
    @property
    def geometry(self) -> Geometry:
        """The network's geometry."""
        n = self.network
        return Geometry(n.image, n.channels, n.kernels, n.patch, n.stride)

    def check_machine(self) -> None:
        """Refuse what the machine and the RTL cannot do, in one line naming the nearest legal value.

        Raises:
            InputError: see `legality`.
        """
        legality.check_machine(self)

    def check_crossbar(self) -> None:
        """Refuse what the memristor machine cannot be built or run with, in one line with the remedy.

        Raises:
            InputError: see `crossbar.legality`.
        """
        from .crossbar.legality import check_crossbar

        check_crossbar(self)

    def fit(
        self,
        board: str,
        target_fps: float,
        *,
        image: npt.NDArray[np.float64] | None = None,
        dictionary: "Dictionary | None" = None,
        clock_mhz: float | None = None,
        shrink: bool = False,
    ) -> "Design":
        """This design with the smallest machine that fits a board and makes ``target_fps`` frames a second.

        `fit.fit` does it, has the record of the search, and says what *smallest* means.

        Args:
            image: (C, H, W) whose cold frame is timed; None: the centre of the bundled photograph "camera".
            dictionary: in place of the one named. clock_mhz: None: ``target.clock_mhz``.
            shrink: where nothing fits, take a smaller picture, and only then fewer and smaller kernels.

        Raises:
            InputError: an unknown board; no mapping fits it, or none that fits is fast enough: which resource, by how
                much, and what is near.
        """
        from .mapping.fit import fit

        found = fit(
            self, board, target_fps, image=image, dictionary=dictionary, clock_mhz=clock_mhz, shrink=shrink
        )
        return found.design

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """``((from_step, shift), ...)``, also when the step is one number."""
        shift = self.dynamics.step_shift
        return ((0, shift),) if isinstance(shift, int) else shift

    def shift_at(self, step: int) -> int:
        """k of update number ``step``, counted from 0."""
        return [shift for start, shift in self.shifts if start <= step][-1]

    def eta_at(self, step: int) -> float:
        """eta of update number ``step``, counted from 0: ``dynamics.eta`` where given, else ``2^-shift``."""
        return self.dynamics.eta if self.dynamics.eta is not None else float(2.0 ** -self.shift_at(step))

    @property
    def eta_schedule(self) -> tuple[tuple[int, float], ...]:
        """``((from_step, eta), ...)`` of the whole run, as `golden.lca.LcaParams` takes it."""
        if self.dynamics.eta is not None:
            return ((0, self.dynamics.eta),)
        return tuple((start, self.eta_at(start)) for start, _ in self.shifts)

    @property
    def lca_params(self) -> "LcaParams":
        """The dynamics as the golden model takes them."""
        from ..golden.lca import LcaParams

        d = self.dynamics
        return LcaParams(
            threshold=d.threshold,
            eta=self.eta_schedule,
            steps=d.steps,
            transfer=d.transfer,
            two_sided=d.two_sided,
            inclusive=d.inclusive,
            residual_cutoff=d.residual_cutoff,
            border=d.border,
        )

    @property
    def threshold_q(self) -> int:
        """lambda in units of the membrane: ``lambda * 2^fu`` rounded half up, exact."""
        return widths.half_up(self.dynamics.threshold, self.formats.membrane.frac)

    @property
    def cutoff_q(self) -> int:
        """Smallest |r~| that is kept: ``ceil(theta * 2^fr)``, exact on the float theta."""
        return widths.ceiling(self.dynamics.residual_cutoff, self.formats.residual.frac)

    @property
    def effective_cutoff(self) -> float:
        """|R| from which a residual drives anything, in units of the image: the cutoff acts on rounded values.

        ``(max(cutoff_q, 1) - 1/2) 2^-fr`` when the residual rounds to nearest: half a unit is lost even without a
        cutoff. Rounding by floor or toward_zero: ``max(cutoff_q, 1) 2^-fr``, for floor that of positive residuals.
        """
        return widths.effective_cutoff(self.cutoff_q, self.formats.residual)

    @property
    def residual_frac(self) -> int:
        """Fraction bits of the exact R and of every product w*y: fw + fy."""
        return self.formats.weight.frac + self.formats.code.frac

    @property
    def drive_frac(self) -> int:
        """Fraction bits of the exact D: fw + fr, of every product w*r~; 2 fw + fy in the gram network form."""
        if self.machine.schedule == "gram":
            return self.formats.weight.frac + self.residual_frac
        return self.formats.weight.frac + self.formats.residual.frac

    @property
    def input_shift(self) -> int:
        """Left shift that aligns x with R: fw + fy - fx; `check_machine` refuses a negative one."""
        return self.residual_frac - self.formats.input.frac

    @property
    def delta_code_width(self) -> int:
        """Bits of dy, signed: one more than the code."""
        return self.formats.code.width + 1

    @property
    def delta_residual_width(self) -> int:
        """Bits of dr~, signed: one more than the residual as read."""
        return self.formats.residual.width + 1

    @property
    def delta_input_width(self) -> int:
        """Bits of dx, signed: one more than the input."""
        return self.formats.input.width + 1

    def drive_bound_width(self, weights_q: AnyIntArray) -> int:
        """Bits that hold every D of quantised weights (K, C, p, p), proven; see `widths.drive_bound`."""
        return widths.signed_bits(*widths.drive_bound(self, weights_q))

    def residual_bound_width(self, weights_q: AnyIntArray) -> int:
        """Bits that hold every R of quantised weights (K, C, p, p), proven; see `widths.residual_bound`."""
        return widths.signed_bits(*widths.residual_bound(self, weights_q))

    def residual_word(self, weights_q: AnyIntArray) -> int:
        """Bits of R in the machine: ``residual_accumulator``, or for 0 the proven bound of weights (K, C, p, p)."""
        return self.resolved_widths(weights_q).residual

    def drive_word(self, weights_q: AnyIntArray) -> int:
        """Bits of D in the machine: ``drive_accumulator``, or for 0 the proven bound of weights (K, C, p, p)."""
        return self.resolved_widths(weights_q).drive

    def resolved_widths(self, weights_q: AnyIntArray) -> widths.ResolvedWidths:
        """Accumulator widths of the machine for quantised weights (K, C, p, p)."""
        return widths.resolve(self, np.asarray(weights_q))

    def warnings(self, weights_q: AnyIntArray | None = None) -> list[str]:
        """What is allowed but deserves a word, one line each; with quantised weights (K, C, p, p) also widths."""
        return widths.warnings(self, weights_q)


def _with_symmetry(fmt: Format, symmetric: bool) -> Format:
    symmetric = symmetric and fmt.signed
    return Format(fmt.signed, fmt.width, fmt.frac, fmt.rounding, fmt.overflow, symmetric)
