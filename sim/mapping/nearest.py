"""What to say of a mapping that does not fit: which resource, by how much, and what is near that fits."""

import math
from typing import TYPE_CHECKING

from ..plan import Plan
from ..tiling import IntArray
from .devices import DEVICES, Device
from .resources import Budget, resources
from .space import any_plan, legal_plans, machine_keys, settings_text

if TYPE_CHECKING:
    from ..design import Design


def nothing_fits(design: "Design", weights: IntArray, board: str, found: list[tuple[Plan, Budget]]) -> str:
    """One line for a network that no mapping fits: the smallest one's budget, and the nearest that fits."""
    _, budget = min(found, key=lambda pair: (pair[1].resources.blocks, pair[1].lut_over))
    return (
        f"no mapping of this network fits {board} ({budget.device.name}): the smallest needs {budget.reason}; "
        f"{_smaller_network(design, weights, budget.device)}"
    )


def does_not_fit(design: "Design", weights: IntArray, board: str, budget: Budget, *, folded: bool = False) -> str:
    """One line for a mapping that does not fit: which resource, by how much, and the nearest mapping that fits.

    Args:
        folded: ``budget`` is that of a folded machine; fewer physical tiles are then the remedy.
    """
    name = f"{board} ({budget.device.name})"
    if folded:
        return (
            f"this folded mapping does not fit {name}: {budget.reason}; fold onto fewer tiles, use one buffer, or more "
            f"machine.tiles"
        )
    base = any_plan(design, weights)
    found = [(plan, Budget(budget.device, resources(plan, budget.device)))
             for plan in legal_plans(design, base, budget.device)]  # fmt: skip
    fitting = [plan for plan, other in found if other.fits]
    if not fitting:
        _, least = min(found, key=lambda pair: (pair[1].resources.blocks, pair[1].lut_over))
        return (
            f"this mapping does not fit {name}: {budget.reason}; nor does any other of this network, the smallest "
            f"needs {least.resources.blocks} blocks; {_smaller_network(design, weights, budget.device)}"
        )
    m = design.machine
    have = (*m.tiles, m.gather_lanes, m.scatter_lanes, m.detect_lanes, m.update_positions)

    def distance(plan: Plan) -> float:
        t = plan.tiling
        want = (*t.tiles, t.gather_lanes, t.scatter_lanes, t.detect_lanes, t.update_positions)
        return sum(abs(math.log2(a / b)) for a, b in zip(have, want, strict=True))

    near = settings_text(machine_keys(min(fitting, key=distance)))
    return f"this mapping does not fit {name}: {budget.reason}; the nearest that fits is {near}"


def _smaller_network(design: "Design", weights: IntArray, device: Device) -> str:
    """What would fit: the largest picture, the most kernels, the boards."""

    def fits(changed: "Design", taps: IntArray, on: Device) -> bool:
        base = any_plan(changed, taps)
        plans = (plan for plan in legal_plans(changed, base, on) if plan.tiling.tiles == (1, 1))
        return any(Budget(on, resources(plan, on)).fits for plan in plans)

    hints, n = [], design.network
    (rows, columns), s = design.geometry.sheet, n.stride
    low, high = 0, min(rows, columns)  # positions of the shorter side; a picture of `low` fits, one of `high` does not
    while high - low > 1:
        middle = (low + high) // 2
        size = tuple(max(1, side * middle // min(rows, columns)) * s for side in (rows, columns))
        low, high = (middle, high) if fits(design.replace({"network.image": size}), weights, device) else (low, middle)
    if low:
        hints.append(f"network.image={[max(1, side * low // min(rows, columns)) * s for side in (rows, columns)]}")
    for kernels in range(n.kernels - 1, 0, -1):
        if n.kernels % kernels == 0 and fits(design.replace({"network.kernels": kernels}), weights[:kernels], device):
            hints.append(f"network.kernels={kernels}")
            break
    boards = [name for name, other in DEVICES.items() if other != device and fits(design, weights, other)]
    if boards:
        hints.append(f"target.board {' or '.join(boards)}")
    if not hints:
        return "nothing near it fits: lower network.patch or the widths in formats"
    return f"nearest that fits: {', or '.join(hints)}"
