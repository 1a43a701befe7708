"""Where the clocks of the steps go: how busy gather's lanes are, what exchange and hazards cost, who waits for whom.

Every clock of every tile from its first GATHER to its DRAIN is counted once:

=========  =============================================================================================================
gather     GATHER in which the lanes work (issues)
update     UPDATE, without the fill of its pipeline once a step
scatter    SCATTER in which the lanes work (issues)
scan       GATHER without work and without a pause: filling detect, finding the next event, the last word
hazard     pauses of gather, and FLUSH: clocks kept between two touches of one word
exchange   SCATTER without work and without waiting (sources looked at, filled, their pauses), a clock of WAIT a round,
           the fill of update
waiting    SCATTER until a neighbour's token, WAIT until its acknowledgement: the other tile has more to do
=========  =============================================================================================================

``waiting`` is what the picture costs, not the protocol: were the tiles' work even, nobody would wait. It is therefore
reported beside the overhead, not in it.
"""

from dataclasses import dataclass
from functools import cached_property

from ...golden.errors import InputError
from ..timing import UPDATE_FILL, Phase
from .recorder import Trace


@dataclass(frozen=True)
class Occupancy:
    """Clocks of all tiles over the steps of a frame, by use; products and lanes of gather.

    Args:
        gather, update, scatter, scan, hazard, exchange, waiting: clocks, as the module says.
        products: of gather. lanes: gather lanes of a tile.
        busiest: clocks in GATHER of the busiest tile of each step, summed. tiles: in the mesh.
    """

    gather: int
    update: int
    scatter: int
    scan: int
    hazard: int
    exchange: int
    waiting: int
    pauses: int
    products: int
    lanes: int
    busiest: int
    tiles: int

    @staticmethod
    def of(trace: Trace) -> "Occupancy":
        """Count a frame.

        Raises:
            InputError: a recorder that did not see every step, or a frame with refreshes (their work is no step's).
        """
        run, plan = trace.run, trace.run.plan
        arrays, tiles = trace.arrays(), plan.tiling.count
        if "cycles_token_wait" not in arrays:
            raise InputError("the recorder did not observe every step of the run; give it to the run from the start")
        if (arrays["spans"][:, 1] < -1).any():
            raise InputError("a frame with refreshes has no occupancy of its steps; use machine.refresh = 0")
        spent = {
            name: int(arrays[f"cycles_{name}"].sum())
            for name in ("gather", "flush", "wait", "update", "scatter", "token_wait")
        }
        rows = arrays["spans"]
        rounds = int(((rows[:, 2] == Phase.WAIT) & (rows[:, 1] >= 0)).sum())
        fill = UPDATE_FILL * trace.steps * tiles
        counts = run.counts
        return Occupancy(
            gather=counts.gather_issues,
            update=spent["update"] - fill,
            scatter=counts.scatter_issues,
            scan=spent["gather"] - counts.gather_issues - counts.gather_pauses,
            hazard=counts.gather_pauses + spent["flush"],
            exchange=spent["scatter"] - spent["token_wait"] - counts.scatter_issues + rounds + fill,
            waiting=spent["token_wait"] + spent["wait"] - rounds,
            pauses=counts.gather_pauses,
            products=counts.gather_macs,
            lanes=plan.tiling.gather_lanes,
            busiest=int(arrays["cycles_gather"].max(axis=1).sum()),
            tiles=tiles,
        )

    @cached_property
    def total(self) -> int:
        """Clocks of all tiles over the steps."""
        return self.gather + self.update + self.scatter + self.scan + self.hazard + self.exchange + self.waiting

    @property
    def in_gather(self) -> int:
        """Clocks in GATHER."""
        return self.gather + self.scan + self.pauses

    @property
    def busy(self) -> float:
        """Share of the clocks in GATHER in which the lanes work."""
        return self.gather / max(1, self.in_gather)

    @property
    def lanes_busy(self) -> float:
        """Share of the products that the lanes could have formed in GATHER: ``busy`` times the lanes used in an
        issue."""
        return self.products / max(1, self.in_gather * self.lanes)

    @property
    def overhead(self) -> float:
        """Share of a step that exchange and hazards take, of the clocks in which the tile does not wait for another."""
        return (self.hazard + self.exchange) / max(1, self.total - self.waiting)

    @property
    def waits(self) -> float:
        """Share of a step in which a tile waits for another one."""
        return self.waiting / max(1, self.total)

    @property
    def imbalance(self) -> float:
        """GATHER of the busiest tile of each step over that of the mean tile; 1 where all are equal."""
        return self.busiest * self.tiles / max(1, self.in_gather)

    def as_dict(self) -> dict[str, float]:
        """The shares and the clocks by name."""
        clocks = ("gather", "update", "scatter", "scan", "hazard", "exchange", "waiting", "total", "products")
        shares = ("busy", "lanes_busy", "overhead", "waits", "imbalance")
        return {n: getattr(self, n) for n in clocks} | {n: round(getattr(self, n), 4) for n in shares}
