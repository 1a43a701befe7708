"""Design files: TOML text to sections and back, and the one-line errors of both."""

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..golden.errors import InputError
from .fixed import Format
from .sections import EXAMPLES, SECTION_OF, SECTIONS

Sections = dict[str, dict[str, Any]]

_PAIR = "a list of two whole numbers, as in [4, 2]"
_WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": _PAIR,
    "too_long": _PAIR,
    "finite_number": "a finite number",
}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the closest one, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1, 0.5)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"


def locate(key: str) -> tuple[str, str]:
    """(section, key) of a bare or dotted key.

    Raises:
        InputError: an unknown key or section.
    """
    section, _, name = key.rpartition(".")
    if not section:
        if key not in SECTION_OF:
            raise InputError(f"unknown design key {key}; {did_you_mean(key, SECTION_OF)}")
        return SECTION_OF[key], key
    if section not in SECTIONS:
        raise InputError(f"unknown design section {section} in {key}; {did_you_mean(section, SECTIONS)}")
    if name not in SECTIONS[section].model_fields:
        if name in SECTION_OF:
            raise InputError(f"unknown design key {key}; did you mean {SECTION_OF[name]}.{name}?")
        raise InputError(f"unknown design key {key}; {did_you_mean(name, SECTIONS[section].model_fields)}")
    return section, name


def gather(keys: Mapping[str, Any]) -> Sections:
    """Keys as a user gives them - bare, dotted, or a whole section as a mapping - sorted into sections.

    Raises:
        InputError: an unknown key or section, or a key given twice.
    """
    found: Sections = {}
    for key, value in keys.items():
        whole = value.model_dump() if isinstance(value, BaseModel) else value
        if key in SECTIONS and isinstance(whole, Mapping):
            items = {f"{key}.{name}": item for name, item in whole.items()}
        elif isinstance(whole, Mapping) and key not in SECTION_OF:
            raise InputError(f"unknown design section {key}; {did_you_mean(key, SECTIONS)}")
        elif key in SECTIONS and key not in SECTION_OF:
            raise InputError(f"{key} is a section of the design, not a key: give it a table of keys, not {value!r}")
        else:
            items = {key: value}
        for dotted, item in items.items():
            section, name = locate(dotted)
            if name in found.setdefault(section, {}):
                raise InputError(f"design key {section}.{name} is given twice; give it once")
            found[section][name] = item
    return found


def one_line(error: ValidationError) -> InputError:
    """The first problem of a pydantic validation as the one-line error of this project."""
    detail = error.errors(include_url=False)[0]
    where = [str(part) for part in detail["loc"]]
    key = ".".join(where[:2])
    reason = detail.get("ctx", {}).get("error")
    if isinstance(reason, InputError):
        return InputError(f"{key} {reason}" if key.count(".") else str(reason))
    value, kind, limits = detail["input"], detail["type"], detail.get("ctx", {})
    if len(where) > 2:
        if kind == "missing":
            return InputError(f"{key} must be {_PAIR}, not {_listed(value)}{_example(where)}")
        return InputError(f"{key} must be {_PAIR}; found {value!r} in it")
    if kind == "literal_error":
        return InputError(f"{key} must be one of {limits['expected']}, not {value!r}")
    comparisons = {
        "greater_than": ("gt", "above"),
        "greater_than_equal": ("ge", "at least"),
        "less_than_equal": ("le", "at most"),
    }
    if kind in comparisons:
        name, words = comparisons[kind]
        return InputError(f"{key} must be {words} {limits[name]:g}, not {value!r}{_example(where)}")
    return InputError(f"{key} must be {_WANTED.get(kind, detail['msg'])}, not {_listed(value)}{_example(where)}")


def _listed(value: Any) -> str:
    """A value as a user wrote it: lists arrive as tuples."""
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


def _example(where: list[str]) -> str:
    if len(where) < 2 or where[0] not in SECTIONS or where[1] not in SECTIONS[where[0]].model_fields:
        return ""
    default = SECTIONS[where[0]].model_fields[where[1]].default
    return "" if default is None else f"; the default is {toml_value(default)}"


def toml_value(value: Any) -> str:
    """One value as TOML text on one line; formats as strings, tuples as arrays."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, str | Format):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"{value!r} has no place in a design file")


def to_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The canonical design file: every section and key in fixed order, LF line ends; a key that is None is left out."""
    parts = []
    for name, section in SECTIONS.items():
        given = {key: values[name][key] for key in section.model_fields if values[name][key] is not None}
        lines = [f"{key} = {toml_value(value)}" for key, value in given.items()]
        parts.append("\n".join([f"[{name}]", *lines]) + "\n")
    return "\n".join(parts)


_HEAD = """\
# A Striate design. Every key is optional; these are the defaults.
# Number formats: <s|u><width>.<fraction>[:<rounding>[:<overflow>]], as in s8.7 or s8.7:half_even:wrap;
# rounding half_up, half_even, floor, toward_zero; overflow saturate, wrap.
"""


def commented_text() -> str:
    """A design file with every key at its default and a comment on what it is; it loads to the default design."""
    parts = [_HEAD]
    for name, section in SECTIONS.items():
        lines = [f"[{name}]"]
        for key, field in section.model_fields.items():
            value = toml_value(EXAMPLES[key] if field.default is None else field.default)
            text = f"{'# ' if field.default is None else ''}{key} = {value}"
            lines.append(f"{text:<32} # {field.description}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def parse_text(text: str, source: str, folder: Path | None = None) -> Sections:
    """Sections of TOML text.

    Args:
        text: the file's content.
        source: name of the file, for messages.
        folder: what a relative ``network.dictionary`` is relative to; None leaves it.

    Raises:
        InputError: text that is not TOML, a key outside a section, an unknown section or key.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not a TOML file: {error}") from None
    for name, section in data.items():
        if not isinstance(section, dict):
            if name in SECTIONS and name not in SECTION_OF:
                raise InputError(f"{source}: {name} is a section, not a key: write [{name}] and its keys below")
            home = f"; put it under [{SECTION_OF[name]}]" if name in SECTION_OF else "; remove it"
            raise InputError(f"{source}: the key {name} stands outside a section{home}")
    try:
        found = gather(data)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    dictionary = found.get("network", {}).get("dictionary")
    if folder is not None and isinstance(dictionary, str) and dictionary.endswith(".npz"):
        found["network"]["dictionary"] = str(folder / dictionary)
    return found


def parse_setting(setting: str) -> tuple[str, Any]:
    """(dotted key, value) of ``section.key=value``; the value is TOML, or text where it is not.

    Raises:
        InputError: no ``=``, no value, or an unknown key.
    """
    key, equals, text = (part.strip() for part in setting.partition("="))
    if not (key and equals and text):
        raise InputError(f"'{setting}' is not a setting; write it as section.key=value, as in network.kernels=32")
    section, name = locate(key)
    try:
        values = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        values = {}
    return f"{section}.{name}", values["value"] if len(values) == 1 else text
