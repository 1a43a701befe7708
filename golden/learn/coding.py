"""Coding the crops of a batch, and who does it: this process, several processes (`pool`) or a Dask cluster (`cluster`).

Whoever does it, a crop is coded alone and the codes come back in the order of the crops: the kernels that are learned
do not depend on it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..batch import encode_batch
from ..conv import Array
from ..dictionary import Dictionary
from ..errors import InputError
from ..lca import Outcome
from .params import LearnParams


class WorkersLost(RuntimeError):
    """The processes that code ended again and again; the text is one line that says so and what to do."""


@dataclass(frozen=True)
class Coded:
    """What learning needs of a coded crop.

    Args:
        code: y, ``(K, H/s, W/s)``.
        residual: x - Phi y over the image, ``(C, H, W)``.
        membrane: u, ``(K, H/s, W/s)``; None unless the next crop starts from it.
        outcome: of the run.
    """

    code: Array
    residual: Array
    membrane: Array | None
    outcome: Outcome


class Coder(Protocol):
    """Codes crops with one dictionary."""

    def code(self, images: Sequence[Array], dictionary: Dictionary, membranes: Array | None) -> list[Coded]:
        """One `Coded` for each image, in their order.

        Args:
            images: ``(C, H, W)`` each.
            dictionary: Phi.
            membranes: ``(len(images), K, H/s, W/s)``, or None for rest.

        Raises:
            WorkersLost: those who code are gone.
        """


class Here:
    """This process."""

    def __init__(self, params: LearnParams) -> None:
        self._params = params

    def code(self, images: Sequence[Array], dictionary: Dictionary, membranes: Array | None) -> list[Coded]:
        """As `Coder.code`."""
        p = self._params
        runs = encode_batch(np.stack(images), dictionary, p.dynamics, membranes=membranes, engine=p.engine,
                            device=p.device)
        return [Coded(run.code, run.residual, run.membrane if p.warm else None, run.outcome) for run in runs]


@dataclass(frozen=True)
class Packed:
    """A `Coded` as it travels between processes: of a code only what is not 0."""

    shape: tuple[int, ...]
    places: npt.NDArray[np.int64]
    values: Array
    residual: Array
    membrane: Array | None
    outcome: Outcome

    @classmethod
    def of(cls, coded: Coded) -> "Packed":
        """Pack."""
        flat = coded.code.ravel()
        places = np.flatnonzero(flat)
        return cls(coded.code.shape, places, flat[places], coded.residual, coded.membrane, coded.outcome)

    def open(self) -> Coded:
        """Unpack: equal to what was packed, but for the sign of a zero."""
        code = np.zeros(self.shape)
        code.ravel()[self.places] = self.values
        return Coded(code, self.residual, self.membrane, self.outcome)


Job = tuple[LearnParams, Sequence[Array], Dictionary, Array | None]


def jobs_of(params: LearnParams, images: Sequence[Array], dictionary: Dictionary, membranes: Array | None,
            workers: int) -> list[Job]:
    """The crops in up to ``workers`` runs of equal length."""
    bounds = [len(images) * n // workers for n in range(workers + 1)]
    return [(params, images[a:b], dictionary, None if membranes is None else membranes[a:b])
            for a, b in zip(bounds, bounds[1:], strict=False) if b > a]


def do(job: Job) -> list[Packed]:
    """What a worker does."""
    params, images, dictionary, membranes = job
    return [Packed.of(coded) for coded in Here(params).code(images, dictionary, membranes)]


@contextmanager
def coder_of(params: LearnParams, workers: int, scheduler: str | None) -> Iterator[Coder]:
    """The coder that `learn`'s arguments ask for, gone with the block.

    Raises:
        InputError: fewer than one worker, several for a batch of one or for PyTorch, or no scheduler that answers.
    """
    if workers < 1:
        raise InputError(f"--workers must be at least 1, not {workers}")
    if workers > 1 and scheduler is not None:
        raise InputError(f"--workers {workers} and --scheduler exclude each other: the cluster has its own workers; "
                         "leave --workers out")
    if workers == 1 and scheduler is None:
        if params.engine == "torch":
            from ..torch_engine import check_device

            check_device(params.device)
        yield Here(params)
        return
    asked = f"--workers {workers}" if scheduler is None else f"--scheduler {scheduler}"
    if params.batch == 1:
        raise InputError(f"{asked} share the crops of a batch, and --batch is 1; use --batch {max(2 * workers, 8)}, or "
                         "leave it out")
    if params.engine == "torch":
        raise InputError(f"{asked} has no use with --engine torch, which codes a batch at once; leave it out")
    # Imported here: most runs need neither.
    if scheduler is None:
        from .pool import pool_of

        with pool_of(params, min(workers, params.batch)) as pool:
            yield pool
    else:
        from .cluster import cluster_of

        with cluster_of(params, scheduler) as cluster:
            yield cluster
