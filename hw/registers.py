"""The registers of the AXI4-Lite port, in one table, and the forms in which a user wants them.

Everything that knows a register reads ``REGISTERS``: the slave of ``hw/core.py``, its tests, the host software, and the
four files of an emitted folder. All registers are 32 bits wide; offsets are in bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..golden.errors import InputError

PREFIX = "STRIATE"
ACCESS = {"ro": "read only", "rw": "read and write", "wo": "write only, reads 0", "w1c": "writing 1 clears a bit"}
"""The kinds of access."""
IDENTITY = 0x53545249
"""What ID reads: "STRI"."""
MAP_VERSION = 0x00010000
"""What VERSION reads: major and minor number of this table."""


@dataclass(frozen=True)
class Field:
    """Some bits of a register: the lowest ``bit`` and how many (``width``)."""

    name: str
    bit: int
    width: int
    text: str

    @property
    def mask(self) -> int:
        """The field's bits in the register's word."""
        return ((1 << self.width) - 1) << self.bit

    def of(self, word: int) -> int:
        """The field's value in a register's word."""
        return (word & self.mask) >> self.bit

    def put(self, value: int) -> int:
        """A register's word with this field alone.

        Raises:
            InputError: a value that the field cannot hold.
        """
        if not 0 <= value < 1 << self.width:
            raise InputError(f"{self.name} is {value}, but the field has {self.width} bits; use 0..{2**self.width - 1}")
        return value << self.bit


@dataclass(frozen=True)
class Register:
    """One register. ``reset``: its value after reset; None: a number of the design (``hw/core.py`` knows it)."""

    name: str
    offset: int
    access: str
    reset: int | None
    text: str
    fields: tuple[Field, ...] = ()

    def field(self, name: str) -> Field:
        """The field of that name.

        Raises:
            InputError: the register has no such field.
        """
        for field in self.fields:
            if field.name == name:
                return field
        names = ", ".join(field.name for field in self.fields) or "none"
        raise InputError(f"register {self.name} has no field '{name}'; its fields: {names}")

    @property
    def readable(self) -> bool:
        """Whether a read gives anything but 0."""
        return self.access != "wo"

    @property
    def writable(self) -> bool:
        """Whether a write is not refused."""
        return self.access != "ro"


def _bits(*entries: tuple[str, str]) -> tuple[Field, ...]:
    """Fields of one bit each, from bit 0 on."""
    return tuple(Field(name, bit, 1, text) for bit, (name, text) in enumerate(entries))


FLAGS = _bits(
    ("overflow", "the word of R was left in this frame, or in one that it continues"),
    ("saturated", "a membrane left its range in the last steps of the frame"),
    ("refused", "no frame was made: a warm one without a state to go on from, or no whole weight load"),
    ("settled", "the frame ended by rest"),
    ("malformed", "the frame was short, aborted or had a pixel out of range; zeros stand in for those pixels"),
)
"""Flags of a closing word, in ``LAST`` and in bits 15:0 of the closing beat of ``m_axis``."""

ERRORS = _bits(
    ("short_frame", "TLAST before the last pixel; the frame was completed with zeros and marked"),
    ("long_frame", "pixels after the last one; they were swallowed up to TLAST"),
    ("missing_tlast", "the last pixel came without TLAST"),
    ("write_while_busy", "a parameter, start or weight load while busy, or a start while swallowing; ignored"),
    ("bad_address", "a read or write of no register, or a write of one that is read only"),
    ("bad_value", "a register, pixel or weight out of its range; the register keeps its value"),
    ("refused", "a start that was answered by a closing word with `refused`"),
    ("bad_weights", "a weight load of another length than WEIGHTS; frames are refused until a whole one"),
    ("unexpected_data", "pixels without a start, an unknown TID, or another TID inside a packet; swallowed"),
)  # fmt: skip

_ABORT = (
    "the input side goes back to the beginning of a packet: a waiting start is withdrawn, a half frame is completed "
    "with zeros and marked, a half weight load is void, a swallowed packet is over"
)

REGISTERS: tuple[Register, ...] = (
    Register("ID", 0x00, "ro", IDENTITY, 'The letters "STRI".'),
    Register(
        "VERSION", 0x04, "ro", MAP_VERSION, "Version of this register map.",
        (Field("minor", 0, 16, "grows when registers are added"), Field("major", 16, 16, "grows when old ones change")),
    ),
    Register("DESIGN", 0x08, "ro", None, "First 32 bits of a SHA-256 of the plan: same design, same word."),
    Register(
        "GEOMETRY0", 0x0C, "ro", None, "Size of the picture.",
        (Field("width", 0, 16, "pixels in a row"), Field("height", 16, 16, "rows")),
    ),
    Register(
        "GEOMETRY1", 0x10, "ro", None, "Shape of the network; 255 stands for 255 and more.",
        (
            Field("stride", 0, 8, "pixels between neighbouring positions"),
            Field("patch", 8, 8, "rows and columns of a kernel"),
            Field("kernels", 16, 8, "kernels"),
            Field("channels", 24, 8, "channels of the picture"),
        ),
    ),
    Register("WEIGHTS", 0x14, "ro", None, "Beats of a weight load."),
    Register(
        "CONTROL", 0x18, "wo", 0, "Commands; several bits may be written at once, but not start with abort.",
        _bits(
            ("start", "a frame begins; its pixels come next on `s_axis`"),
            ("warm", "with start: the state is kept and the pixels are changes of the picture"),
            ("clear", "all counters, LAST and STATUS.done become 0"),
            ("abort", _ABORT),
        ),
    ),
    Register(
        "STATUS", 0x1C, "ro", None, "What the core is doing.",
        _bits(
            ("busy", "a start has been taken and its closing word has not left, or weights are being loaded"),
            ("dirty", "the state belongs to no whole frame of these weights; a warm start is refused"),
            ("waiting", "a start has been taken and no pixel has come"),
            ("done", "a closing word has left since the last start"),
            ("weights_void", "the last weight load was no whole one; every start is refused"),
            ("swallowing", "inside a packet that is thrown away; a start is an error until its TLAST, or abort"),
        ),
    ),
    Register("ERRORS", 0x20, "w1c", 0, "What went wrong since the bits were cleared.", ERRORS),
    Register("STEPS", 0x24, "rw", None, "Updates of a frame, 1..65,535.", (Field("steps", 0, 16, "updates"),)),
    Register("THRESHOLD", 0x28, "rw", None, "The threshold, in units of the membrane's last bit."),
    Register("CUTOFF", 0x2C, "rw", None, "Smallest residual that is kept, in units of the residual's last bit."),
    Register(
        "STEP_SHIFT", 0x30, "rw", None, "The step is 2^-shift.",
        (
            Field("shift", 0, 8, "the shift of every step"),
            Field("schedule", 31, 1, "the design's shifts instead; reads with the first of them in `shift`"),
        ),
    ),
    Register(
        "CYCLES_LOW", 0x34, "ro", 0,
        "Clocks of the last frame: from the one in which its first pixel is there and the machine begins, to the one "
        "in which the closing word leaves the machine, both counted. A read holds the high part for CYCLES_HIGH.",
    ),
    Register("CYCLES_HIGH", 0x38, "ro", 0, "Bits 39:32 of the same count, as of the last read of CYCLES_LOW."),
    Register("CODE_EVENTS", 0x3C, "ro", 0, "Changes of codes in the last frame."),
    Register("CODES", 0x40, "ro", 0, "Codes that left in the last frame, the closing word not counted."),
    Register("OVERFLOWS", 0x44, "ro", 0, "Frames with an overflow of R since the counters were cleared."),
    Register("DIVERGED", 0x48, "ro", 0, "Frames that diverged since the counters were cleared."),
    Register("FRAMES", 0x4C, "ro", 0, "Frames done since the counters were cleared; refused ones are none."),
    Register("LAST", 0x50, "ro", 0, "Flags of the last closing word.", FLAGS),
)  # fmt: skip
"""Every register, by rising offset."""

SPAN = 0x100
"""Bytes of the address space; what is not in the table is refused."""


def register(name: str) -> Register:
    """The register of that name.

    Raises:
        InputError: there is none.
    """
    for entry in REGISTERS:
        if entry.name == name:
            return entry
    raise InputError(f"no register '{name}'; there are {', '.join(entry.name for entry in REGISTERS)}")


def _constants() -> Iterator[tuple[str, int, int, str]]:
    """(name, value, bits, text) of everything that the headers define."""
    for entry in REGISTERS:
        yield entry.name, entry.offset, 8, f"{ACCESS[entry.access]}: {entry.text}"
        for field in entry.fields:
            name = f"{entry.name}_{field.name.upper()}"
            yield f"{name}_BIT", field.bit, 8, field.text
            yield f"{name}_MASK", field.mask, 32, ""


_TITLE = "Registers of a Striate core: 32 bits each, offsets in bytes."


def verilog_header() -> str:
    """``localparam`` lines, for `` `include`` inside a module."""
    lines = [f"// {_TITLE}"]
    for name, value, width, text in _constants():
        number = f"{width}'h{value:0{width // 4}x}"
        lines.append(f"localparam [{width - 1}:0] {PREFIX}_{name} = {number};{_remark(text, '//')}")
    return "\n".join(lines) + "\n"


def c_header() -> str:
    """A C and C++ header of ``#define`` lines."""
    guard = f"{PREFIX}_REGISTERS_H"
    lines = [f"/* {_TITLE} */", f"#ifndef {guard}", f"#define {guard}", ""]
    for name, value, width, text in _constants():
        lines.append(f"#define {PREFIX}_{name} 0x{value:0{width // 4}x}u{f'  /* {text} */' if text else ''}")
    return "\n".join([*lines, "", f"#endif /* {guard} */"]) + "\n"


def python_module() -> str:
    """A Python module of constants that needs nothing else."""
    lines = [f'"""{_TITLE}"""', ""]
    for name, value, width, text in _constants():
        lines.append(f"{name} = 0x{value:0{width // 4}x}{_remark(text, '#')}")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """Two tables: the registers, and their fields."""
    lines = ["| offset | register | access | after reset | |", "|---|---|---|---|---|"]
    for entry in REGISTERS:
        reset = "of the design" if entry.reset is None else f"0x{entry.reset:08x}" if entry.reset else "0"
        lines.append(f"| 0x{entry.offset:02x} | `{entry.name}` | {entry.access} | {reset} | {entry.text} |")
    lines += ["", "Access: " + "; ".join(f"{name}: {text}" for name, text in ACCESS.items()) + ".", ""]
    lines += ["| register | bits | field | |", "|---|---|---|---|"]
    for entry in REGISTERS:
        for field in entry.fields:
            bits = str(field.bit) if field.width == 1 else f"{field.bit + field.width - 1}:{field.bit}"
            lines.append(f"| `{entry.name}` | {bits} | `{field.name}` | {field.text} |")
    return "\n".join(lines) + "\n"


def _remark(text: str, mark: str) -> str:
    return f"  {mark} {text}" if text else ""
