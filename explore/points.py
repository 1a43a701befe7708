"""Points of a sweep as values: what is run, on what, and what came of it.

A *point* is a set of parameters and a seed, a *job* the function that makes a result of one. Nothing here knows what is
swept: parameters, contexts and results are whatever JSON can hold.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

QUEUED, DONE, FAILED = "queued", "done", "failed"


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values: keys sorted, no spaces.

    Raises:
        ValueError: NaN or an infinity. TypeError: what JSON cannot hold.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Point:
    """What one run of the job is given.

    Args:
        parameters: anything JSON can hold, by name. seed: of everything random in it.
    """

    parameters: Mapping[str, Any]
    seed: int = 0


@dataclass(frozen=True)
class Sweep:
    """Which job runs on the points, and on what.

    Args:
        job: ``"package.module:function"``; called as ``function(context, parameters, seed)``, it returns what JSON can
            hold. version: of the job; another one makes other results of the same point. base: what all points share
            and what tells this sweep from another (digests of design and data). context: what the job is given beside
            the point; where things lie may be in it, as it counts for nothing in the key.
    """

    job: str
    version: int
    base: Mapping[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """What a store of this sweep is marked with."""
        return {"job": self.job, "version": self.version, **self.base}

    def key(self, point: Point) -> str:
        """Hexadecimal SHA-256 of the canonical parameters, the seed and the `identity`."""
        whole = {"identity": self.identity, "parameters": dict(point.parameters), "seed": point.seed}
        return hashlib.sha256(canonical(whole).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A row of the store.

    Args:
        state: "queued", "done" or "failed". runs: how often the point was started. seconds: of its last run.
        result: of the job, where it is done; error: one line, where it failed.
    """

    key: str
    point: Point
    state: str
    runs: int
    seconds: float | None
    result: Any
    error: str | None
