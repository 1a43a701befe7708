"""Processes on this machine that code the crops of a batch. Those that die are replaced."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager

from ..conv import Array
from ..dictionary import Dictionary
from .coding import Coded, WorkersLost, do, jobs_of
from .params import LearnParams

ATTEMPTS = 3
"""A batch is given up when so many sets of processes in a row died of it."""


class Pool:
    """`coding.Coder` on several processes."""

    def __init__(self, params: LearnParams, workers: int) -> None:
        self._params, self._workers = params, workers
        self._executor = self._start()

    def code(self, images: Sequence[Array], dictionary: Dictionary, membranes: Array | None) -> list[Coded]:
        """As `Coder.code`; a batch that a process died of is coded again by new processes."""
        jobs = jobs_of(self._params, images, dictionary, membranes, self._workers)
        for _ in range(ATTEMPTS):
            try:
                runs = [self._executor.submit(do, job) for job in jobs]
                return [packed.open() for run in runs for packed in run.result()]
            except BrokenExecutor:
                self.close()
                self._executor = self._start()
        raise WorkersLost(f"worker processes ended {ATTEMPTS} times in a row over one batch: is memory short, or does "
                          "the calling script lack its if __name__ == '__main__'? The same command continues; fewer "
                          "--workers or a smaller --batch need less")

    def close(self) -> None:
        """End the processes."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        # Not forked: a copy of a process with threads may hang.
        return ProcessPoolExecutor(self._workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


@contextmanager
def pool_of(params: LearnParams, workers: int) -> Iterator[Pool]:
    """A pool, gone with the block."""
    pool = Pool(params, workers)
    try:
        yield pool
    finally:
        pool.close()


def _begin() -> None:
    """In a worker: Ctrl-C is the parent's business, and a worker whose parent died ends as well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
