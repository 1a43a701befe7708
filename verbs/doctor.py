"""``striate doctor``."""

import typer

from .common import Job, Json


def doctor(as_json: Json = False) -> None:
    """What is installed, what is missing, how to get it. Exit 1 when something required is missing.

    Example: striate doctor
    """
    from dataclasses import asdict

    from ..hw.toolchain import doctor as look

    job, tools = Job(as_json), look()
    missing = [tool for tool in tools if tool.required and not tool.ok]
    job.done(
        {"ok": not missing, "tools": [asdict(tool) for tool in tools]},
        None,
        [
            (
                f"{'ok' if t.ok else 'MISSING' if t.required else 'absent'}  {t.name}",
                f"{t.version}  {t.path}" if t.ok else t.remedy,
            )
            for t in tools
        ],
    )
    if missing:
        raise typer.Exit(1)
