"""The workers of a Dask cluster that code the crops of a batch.

A worker holds Python's lock while it codes, so threads of one worker take turns: start workers with one thread each
(``dask worker --nthreads 1``). Dask gives the crops of a worker that died to another.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..conv import Array
from ..dictionary import Dictionary
from ..errors import InputError
from .coding import Coded, WorkersLost, do, jobs_of
from .params import LearnParams

ANSWER_S = 5.0
"""A scheduler is unreachable that does not answer for so long."""

WORKERS_S = 20.0
"""A cluster is empty that has no worker for so long."""

RETRIES = 3


class Cluster:
    """`coding.Coder` on the workers of a Dask scheduler."""

    def __init__(self, params: LearnParams, client: Any, address: str) -> None:
        self._params, self._client, self._address = params, client, address

    def code(self, images: Sequence[Array], dictionary: Dictionary, membranes: Array | None) -> list[Coded]:
        """As `Coder.code`."""
        try:
            workers = max(1, len(self._client.ncores()))
            runs = [self._client.submit(do, job, retries=RETRIES, pure=False)
                    for job in jobs_of(self._params, images, dictionary, membranes, workers)]
            return [packed.open() for packed_run in self._client.gather(runs) for packed in packed_run]
        except InputError:
            raise
        except Exception as error:
            raise WorkersLost(f"the Dask workers at {self._address} did not finish a batch ({_reason(error)}); the "
                              "same command continues") from error


@contextmanager
def cluster_of(params: LearnParams, address: str) -> Iterator[Cluster]:
    """A client of the scheduler, gone with the block.

    Raises:
        InputError: no scheduler answers, it has no workers, or they cannot import this package.
    """
    from distributed import Client

    connect: Any = Client  # untyped
    # Its words about lost connections would stand between ours.
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        try:
            client = connect(address, timeout=ANSWER_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"--scheduler {address}: no Dask scheduler answers there ({_reason(error)}); start one "
                             "with 'dask scheduler' and give the address that it prints") from error
        with client:
            _check_workers(client, address)
            yield Cluster(params, client, address)
    finally:
        log.setLevel(level)


def _check_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError as error:
        raise InputError(f"--scheduler {address} has no workers; start some with 'dask worker {address} --nthreads 1'"
                         ) from error
    try:
        client.submit(jobs_of, None, (), None, None, 1, pure=False).result(timeout=WORKERS_S)
    except Exception as error:
        raise InputError(f"--scheduler {address}: its workers cannot run this package ({_reason(error)}); install the "
                         "same version of it there") from error


def _reason(error: BaseException) -> str:
    """The first line of what an exception says."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
