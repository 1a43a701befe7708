"""A study over any keys of a design, from what a user wrote."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from ..golden.errors import InputError
from ..sim.design_file import locate, parse_setting
from .points import canonical
from .studies import GRID, Series, Study, shown


def grid(varied: Sequence[str]) -> Study:
    """The study of ``key=v1,v2,...`` texts: the first key is the axis, every combination of the others a curve.

    Raises:
        InputError: a text of another form, an unknown key, a key or a value given twice, or no values.
    """
    axes: dict[str, list[Any]] = {}
    for text in varied:
        key, values = _axis(text)
        if key in axes:
            raise InputError(f"--vary names {key} twice; give all its values at once")
        axes[key] = values
    (key, values), *others = axes.items()
    series = []
    for chosen in product(*(those for _, those in others)):
        settings = dict(zip((name for name, _ in others), chosen, strict=True))
        series.append(Series(", ".join(f"{_bare(name)} {shown(value)}" for name, value in settings.items()), settings))
    label = _bare(key)
    return Study(GRID, f"Over {' and '.join(map(_bare, axes))}", f"{' and '.join(axes)} in every combination.", key,
                 label, tuple(values), tuple(series))  # fmt: skip


def _axis(text: str) -> tuple[str, list[Any]]:
    key, equals, rest = (part.strip() for part in text.partition("="))
    parts = [part.strip() for part in split(rest)]
    if not (key and equals):
        raise InputError(f"--vary '{text}' is not of the form key=v1,v2,...; write crossbar.levels=4,16,64, say")
    section, name = locate(key)
    if not any(parts):
        raise InputError(f"--vary {key} has no values; write {key}=v1,v2,...")
    if not all(parts):
        raise InputError(f"--vary '{text}' has an empty value; write {key}=v1,v2,...")
    values = [parse_setting(f"{key}={part}")[1] for part in parts]
    for part, value in zip(parts, values, strict=True):
        try:
            canonical(value)
        except (ValueError, TypeError):  # NaN, infinities, dates
            raise InputError(f"--vary {key} cannot take {part}; give finite numbers or words") from None
    for n, value in enumerate(values):
        if value in values[:n]:
            raise InputError(f"--vary {key} has the value {parts[n]} twice; give it once")
    return f"{section}.{name}", values


def split(text: str) -> list[str]:
    """A text cut at its commas, those inside brackets and quotation marks apart."""
    parts, depth, quoted = [""], 0, ""
    for char in text:
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char in "\"'":
            quoted = char
        elif char in "[]":
            depth += 1 if char == "[" else -1
        elif char == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += char
    return parts


def _bare(key: str) -> str:
    return key.rpartition(".")[2]
