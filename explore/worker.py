"""The process that runs points: JSON lines in, JSON lines out, until its input ends.

    python -m striate.explore.worker

The first line names the job and its context, every further one is a point; each is answered by one line. When the
process that asked is gone, by whatever end, the input ends and so does this one.
"""

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from ..golden.errors import InputError
from .points import canonical

Function = Callable[[Mapping[str, Any], Mapping[str, Any], int], Any]


def resolve(job: str) -> Function:
    """The function that a job's name means.

    Raises:
        ValueError: not of the form "package.module:function", no such module or no such function in it.
    """
    module, colon, name = job.partition(":")
    try:
        if not colon:
            raise AttributeError
        function: Function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise ValueError(f"no job '{job}'; write it as package.module:function") from None
    return function


def answer(function: Function, context: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run one point: its result, or its error in one line; nothing that a job raises gets further than this."""
    began = time.perf_counter()
    try:
        told = {"result": function(context, asked["parameters"], asked["seed"])}
        canonical(told)
    except InputError as error:
        told = {"error": str(error)}
    except Exception as error:
        told = {"error": f"{_place(error)}{type(error).__name__}: {error}"}
    return {"key": asked["key"], "seconds": time.perf_counter() - began, **told}


def _place(error: Exception) -> str:
    """Where a mistake of ours was raised, for whoever mends it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}: "


def serve(source: IO[str], sink: IO[str]) -> None:
    """Answer the lines of ``source`` until it ends, or until nobody reads ``sink``."""
    job = json.loads(source.readline() or "null")
    if job is None:
        return
    function = resolve(job["job"])
    for line in source:
        try:
            sink.write(canonical(answer(function, job["context"], json.loads(line))) + "\n")
            sink.flush()
        except BrokenPipeError:
            os._exit(1)  # not the ordinary way: that would try to flush once more


def main() -> None:
    """What ``python -m`` runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the one who asked decides
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a job prints must not get between the answers
    serve(sys.stdin, sink)


if __name__ == "__main__":
    main()
