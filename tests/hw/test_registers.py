"""The register table: sound in itself, and the same in its four forms."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from striate.golden.errors import InputError
from striate.hw.registers import (
    ACCESS,
    ERRORS,
    FLAGS,
    PREFIX,
    REGISTERS,
    SPAN,
    c_header,
    markdown,
    python_module,
    register,
    verilog_header,
)
from striate.hw.toolchain import cxx


def expected() -> dict[str, int]:
    """Every constant that the headers define, formed here from the table."""
    found = {entry.name: entry.offset for entry in REGISTERS}
    for entry in REGISTERS:
        for field in entry.fields:
            found[f"{entry.name}_{field.name.upper()}_BIT"] = field.bit
            found[f"{entry.name}_{field.name.upper()}_MASK"] = sum(1 << (field.bit + n) for n in range(field.width))
    return found


def test_the_table_is_sound() -> None:
    offsets = [entry.offset for entry in REGISTERS]
    assert offsets == sorted(set(offsets)) and all(offset % 4 == 0 and offset < SPAN for offset in offsets)
    assert len({entry.name for entry in REGISTERS}) == len(REGISTERS)
    for entry in REGISTERS:
        assert entry.access in ACCESS and entry.text.endswith("."), entry.name
        taken = 0
        for field in entry.fields:
            assert field.width > 0 and field.bit + field.width <= 32
            assert not taken & field.mask, f"{entry.name}.{field.name} lies in another field"
            taken |= field.mask
        assert entry.reset is None or 0 <= entry.reset < 1 << 32


def test_the_map_is_the_documented_one() -> None:
    """Offsets and bits that software in the field relies on, written out once more."""
    names = (
        "ID VERSION DESIGN GEOMETRY0 GEOMETRY1 WEIGHTS CONTROL STATUS ERRORS STEPS THRESHOLD CUTOFF STEP_SHIFT "
        "CYCLES_LOW CYCLES_HIGH CODE_EVENTS CODES OVERFLOWS DIVERGED FRAMES LAST"
    )
    assert {entry.name: entry.offset for entry in REGISTERS} == {name: 4 * n for n, name in enumerate(names.split())}
    errors = "short_frame long_frame missing_tlast write_while_busy bad_address bad_value refused bad_weights"
    assert [field.name for field in ERRORS] == [*errors.split(), "unexpected_data"]
    assert [field.name for field in FLAGS] == ["overflow", "saturated", "refused", "settled", "malformed"]
    assert [field.name for field in register("CONTROL").fields] == ["start", "warm", "clear", "abort"]
    assert [field.name for field in register("STATUS").fields][:4] == ["busy", "dirty", "waiting", "done"]
    assert register("ID").reset == int.from_bytes(b"STRI", "big")


def test_fields_take_numbers_apart_and_put_them_together() -> None:
    high, low = register("GEOMETRY0").field("height"), register("GEOMETRY0").field("width")
    word = high.put(480) | low.put(640)
    assert word == 480 << 16 | 640 and (high.of(word), low.of(word)) == (480, 640)
    with pytest.raises(InputError, match=r"width is 65536, but the field has 16 bits; use 0\.\.65535"):
        low.put(1 << 16)
    with pytest.raises(InputError, match="no register 'SPEED'; there are ID, VERSION"):
        register("SPEED")
    with pytest.raises(InputError, match="register CONTROL has no field 'go'; its fields: start, warm"):
        register("CONTROL").field("go")
    with pytest.raises(InputError, match="its fields: none"):
        register("WEIGHTS").field("x")


def test_python_form() -> None:
    names: dict[str, object] = {}
    exec(python_module(), names)
    assert {name: value for name, value in names.items() if not name.startswith("__")} == expected()


def test_verilog_form() -> None:
    found = re.findall(rf"^localparam \[(\d+):0\] {PREFIX}_(\w+) = (\d+)'h([0-9a-f]+);", verilog_header(), re.MULTILINE)
    assert all(int(high) + 1 == int(width) == 4 * len(digits) for high, _, width, digits in found)
    assert {name: int(digits, 16) for _, name, _, digits in found} == expected()


def test_c_form(tmp_path: Path) -> None:
    """A C compiler reads the numbers back."""
    names = list(expected())
    lines = "\n".join(f'  std::printf("%u\\n", {PREFIX}_{name});' for name in names)
    (tmp_path / "registers.h").write_text(c_header())
    (tmp_path / "show.cpp").write_text(
        f'#include "registers.h"\n#include "registers.h"\n#include <cstdio>\nint main() {{\n{lines}\n}}\n'
    )
    subprocess.run([*cxx().split(), "show.cpp", "-o", "show"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "show"], capture_output=True, text=True, check=True).stdout
    assert dict(zip(names, (int(line) for line in said.split()), strict=True)) == expected()


def test_markdown_form() -> None:
    lines = markdown().splitlines()
    for entry in REGISTERS:
        assert any(line.startswith(f"| 0x{entry.offset:02x} | `{entry.name}` | {entry.access} |") for line in lines)
        for field in entry.fields:
            assert any(line.startswith(f"| `{entry.name}` |") and f"| `{field.name}` |" in line for line in lines)
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {5, 6}
