"""``striate new``."""

from pathlib import Path
from typing import Annotated

import typer

from ..golden.errors import InputError
from .common import Force, Job, Json


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The design file to write.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a design file with every key, its default and a comment.

    Example: striate new design.toml
    """
    from ..golden.archive import replacing
    from ..reports.record import design_sha256
    from ..sim.design import Design
    from ..sim.machine import load_dictionary

    job = Job(as_json)
    if file.is_dir():
        raise InputError(f"{file} is a folder; name a file, as in {file / 'design.toml'}")
    if file.exists() and not force:
        raise InputError(f"{file} exists; --force replaces it, or name another file")
    try:
        with replacing(file) as aside:
            aside.write_text(Design.commented_toml(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; choose another path") from None
    design = Design.load(file)
    job.done({"file": str(file.absolute())}, design_sha256(design, load_dictionary(design)), [("written", str(file))])
