"""Runs the points of a sweep in processes of their own and keeps every result the moment it is there.

What a sweep finds does not depend on the number of processes or on the order of the points: a job sees one point and
nothing else. A point that fails is kept with its line and the sweep goes on; so it does when a process dies under one.
"""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from ..golden.errors import InputError
from .points import DONE, FAILED, QUEUED, Point, canonical
from .store import Store
from .worker import resolve

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""One each: the points share the processors, not the products inside one."""


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Args:
        points: asked for. done, failed: of them, earlier commands' included. ran: in this command.
        seconds: since it began. remaining: seconds that the rest will take at the rate so far; None before the first.
    """

    points: int
    done: int
    failed: int
    ran: int
    seconds: float
    remaining: float | None

    @property
    def share(self) -> float:
        """Of the points that are through, 0 to 1."""
        return (self.done + self.failed) / self.points if self.points else 1.0


def run(
    store: Store,
    points: Sequence[Point],
    *,
    jobs: int | None = None,
    retry: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Run what is not yet in the store; finished points are not run again.

    Args:
        jobs: processes; None: one a processor. retry: failed points too. progress: called after every point.

    Raises:
        InputError: fewer than one process. ValueError: a job that is no function.
        KeyboardInterrupt: after Ctrl-C; what was finished is in the store, points in hand are queued again.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")
    resolve(store.sweep.job)
    keys = store.add(points)
    if retry:
        store.retry(keys)
    entries = store.entries(keys)
    waiting = [entry for entry in entries if entry.state == QUEUED][::-1]
    done, failed = (sum(entry.state == state for entry in entries) for state in (DONE, FAILED))
    tally = _Tally(len(keys), done, failed, progress)
    count = min(jobs if jobs is not None else processors(), len(waiting))
    pool: list[_Worker] = []
    try:
        with selectors.DefaultSelector() as selector:
            for _ in range(count):
                pool.append(_Worker(store))
                _give(pool[-1], waiting, store)
                selector.register(pool[-1].out, selectors.EVENT_READ, pool[-1])
            while selector.get_map():
                for ready, _ in selector.select():
                    worker: _Worker = ready.data
                    tally.count(_take(worker, store))
                    selector.unregister(worker.out)
                    if not worker.alive:
                        worker.end()
                        if not waiting:
                            continue
                        pool.remove(worker)
                        worker = _Worker(store)
                        pool.append(worker)
                    if waiting:
                        _give(worker, waiting, store)
                        selector.register(worker.out, selectors.EVENT_READ, worker)
    finally:
        for worker in pool:
            worker.end()
    return tally.now()


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _give(worker: "_Worker", waiting: list[Any], store: Store) -> None:
    entry = waiting.pop()
    store.start(entry.key)
    worker.ask(entry.key, entry.point)


def _take(worker: "_Worker", store: Store) -> bool:
    """Keep a worker's answer; whether it was a result."""
    told = worker.answer()
    if "result" in told:
        store.finish(told["key"], told["result"], told["seconds"])
    else:
        store.fail(told["key"], told["error"], told["seconds"])
    return "result" in told


class _Tally:
    """Counts what is through, and tells."""

    def __init__(self, points: int, done: int, failed: int, tell: Callable[[Progress], None] | None) -> None:
        self.points, self.done, self.failed, self.ran, self.tell = points, done, failed, 0, tell
        self.began = time.perf_counter()

    def count(self, good: bool) -> None:
        self.done, self.failed, self.ran = self.done + good, self.failed + (not good), self.ran + 1
        if self.tell is not None:
            self.tell(self.now())

    def now(self) -> Progress:
        seconds, left = time.perf_counter() - self.began, self.points - self.done - self.failed
        return Progress(self.points, self.done, self.failed, self.ran, seconds,
                        seconds / self.ran * left if self.ran else None)  # fmt: skip


class _Worker:
    """One process of `worker`, with at most one point in hand."""

    def __init__(self, store: Store) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self.out = self._process.stdin, self._process.stdout
        self._key, self._since, self.alive = "", 0.0, True
        self._send({"job": store.sweep.job, "context": dict(store.sweep.context)})

    def _send(self, value: dict[str, Any]) -> None:
        try:
            self._in.write(canonical(value).encode() + b"\n")
            self._in.flush()
        except BrokenPipeError:
            pass  # it is dead: its output ends as well, and `answer` says so

    def ask(self, key: str, point: Point) -> None:
        self._key, self._since = key, time.perf_counter()
        self._send({"key": key, "parameters": dict(point.parameters), "seed": point.seed})

    def answer(self) -> dict[str, Any]:
        """What came of the point in hand; called when there is something to read."""
        line = self.out.readline()
        if line.endswith(b"\n"):
            told: dict[str, Any] = json.loads(line)
            return told
        self.alive = False
        status = self._process.wait()
        self._errors.seek(0)
        said = [text for text in self._errors.read().decode(errors="replace").splitlines() if text.strip()]
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        error = f"its process {how}{': ' + said[-1].strip() if said else ''}"
        return {"key": self._key, "error": error, "seconds": time.perf_counter() - self._since}

    def end(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.wait()
        for file in (self.out, self._errors):
            file.close()
        try:
            self._in.close()
        except BrokenPipeError:
            pass


__all__ = ["Progress", "processors", "run"]
