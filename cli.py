"""The command line: every verb registered, mistakes turned into one line. The verbs are in ``verbs/``.

Exit status 0: done. 1: the job failed (diverged, RTL not equal). 2: wrong use, one line on standard error.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from .golden.errors import InputError
from .verbs.board import board
from .verbs.common import Interrupted, say
from .verbs.crossbar_learn import crossbar_learn
from .verbs.crossbar_sweep import crossbar_sweep
from .verbs.demo import demo
from .verbs.doctor import doctor
from .verbs.emit import emit
from .verbs.encode import encode
from .verbs.faults import faults
from .verbs.learn import learn
from .verbs.map import map as map_
from .verbs.new import new
from .verbs.report import report
from .verbs.reproduce import reproduce
from .verbs.synth import synth
from .verbs.verify import verify
from .verbs.video import video
from .verbs.widths import widths

# One thread multiplies these small matrices fastest; several fight for a busy machine. A value from outside stands.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

app = typer.Typer(
    name="striate",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Convolutional sparse coding from a floating-point model to gates. Every verb has --help with an example.",
)


@app.callback(invoke_without_command=True)
def top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Convolutional sparse coding from a floating-point model to gates. Every verb has --help with an example."""
    if version:
        from . import __version__

        print(__version__)
        raise typer.Exit


for _verb in (demo, new, learn, encode, map_, emit, verify, synth, board, faults, video, widths, crossbar_sweep,
              crossbar_learn, report, doctor):  # fmt: skip
    app.command()(_verb)
app.add_typer(reproduce, name="reproduce")


def wrong_use(error: Any) -> str:
    """typer's complaint about an option or an argument, with the value that it leaves out."""
    text = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    cause = error.__cause__
    if hasattr(cause, "errors") and (details := cause.errors()):
        text = text.partition(", unable to parse")[0].replace("Input should be", "must be")
        value = str(details[0].get("input"))
        if f"'{value}'" not in text:
            text += f", not '{value}'"
    return text


def tool_remedy(error: Any, words: Sequence[str]) -> str:
    """What to do about a program that is missing, that refused its input, or that failed in another way."""
    if error.status is None and "install" in str(error):
        return "" if "`striate doctor`" in str(error) else "; `striate doctor` says what is missing"
    if any(word == "--rtl" or word.startswith("--rtl=") for word in words):
        return "; mend that file, or make it anew with `striate emit`"
    return "; this is not about your input: please report it with the command"


INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status. A user's mistake is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        status = app(words, standalone_mode=False, prog_name="striate")
        status = status if isinstance(status, int) else 0
    except InputError as error:
        say(str(error))
        return 2
    except Interrupted as error:
        say(str(error))
        return INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own: wrong options and arguments
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "striate"
            say(f"{wrong_use(error)}; see `{path} --help`")
            return 2
        toolchain = sys.modules.get(f"{__package__}.hw.toolchain")
        if toolchain is not None and isinstance(error, toolchain.ToolError):
            say(f"{error}{tool_remedy(error, words)}")
            return 1
        raise
    if status == INTERRUPTED:  # typer turns an interruption into this status
        verb = next((word for word in words if not word.startswith("-")), "")
        resume = "the same command continues where it stopped" if verb == "learn" else "run the same command again"
        say(f"interrupted; {resume}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
