"""Scatter's waits: two touches of one word of R lie at least the hazard distance apart, whatever the events are."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from striate.golden.geometry import Geometry
from striate.sim.tiling import Tiling
from striate.sim.timing import HAZARD


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    """Legal tiles of every kind: strides that pair columns and strides that do not, lanes beyond the patch."""
    stride = draw(st.integers(1, 4))
    patch = stride + 2 * draw(st.integers(0, 5))
    least = max(1, -(-(patch - stride) // stride))
    block = [least + draw(st.integers(0, 4)) for _ in range(2)]
    channels, lanes = draw(st.integers(1, 3)), 1 << draw(st.integers(0, 4))
    geometry = Geometry((3 * block[0] * stride, 3 * block[1] * stride), channels, 1, patch, stride)
    return Tiling(geometry, (3, 3), 1, lanes, 1)


def touches(t: Tiling, row: int, column: int) -> list[tuple[int, int, int]]:
    """(channel, region row, column) of the first pixel of each issue of an event, in the order of hw/scatter.py."""
    g = t.geometry
    (first_row, rows), (first_group, groups) = t.visible(0), t.visible_groups()
    y0, x0 = (g.stride * (n - g.reach) for n in (row, column))
    return [
        (c, y0 + int(first_row[row]) + a, x0 + (int(first_group[column]) + n) * t.scatter_lanes)
        for c in range(g.channels)
        for a in range(int(rows[row]))
        for n in range(int(groups[column]))
    ]


@settings(max_examples=150, deadline=None)
@given(tilings(), st.integers(0, 10**6))
def test_no_two_touches_of_a_word_are_too_close(t: Tiling, seed: int) -> None:
    """Events of one source come in raster order, several of one position included; every bank is looked at."""
    rng = np.random.default_rng(seed)
    reach = t.geometry.reach
    rows, columns = (t.block[axis] + 2 * reach for axis in (0, 1))
    # a source is the tile itself or a neighbour: a part of the tables
    source = rng.integers(0, 3, 2)
    low = [(0, reach, reach + t.block[axis])[source[axis]] for axis in (0, 1)]
    high = [(reach, reach + t.block[axis], size)[source[axis]] for axis, size in ((0, rows), (1, columns))]
    assume(all(a < b for a, b in zip(low, high, strict=True)))
    count = int(rng.integers(2, 12))
    position = np.sort(rng.integers(0, (high[0] - low[0]) * (high[1] - low[1]), count))
    row, column = np.divmod(position, high[1] - low[1])
    row, column = row + low[0], column + low[1]
    clocks = t.scatter_clocks(row, column)
    last: dict[tuple[int, ...], int] = {}
    now = 0
    for n in range(count):
        issues = touches(t, int(row[n]), int(column[n]))
        now += int(clocks[n]) - len(issues)  # the wait before it
        assert n or not now, "the first event never waits"
        for c, y, x in issues:
            for lane in range(t.scatter_lanes):
                word = (c, y, (x + lane) // t.columns_per_word)
                if last.get(word, now) != now:
                    assert now - last[word] >= HAZARD, f"{word}: {last[word]} and {now}"
                last[word] = now
            now += 1


def test_a_visit_begins_without_a_wait() -> None:
    t = Tiling(Geometry((24, 24), 1, 1, 4, 2), (3, 3), 1, 2, 1)
    rows, columns = np.array([0, 0, 0]), np.array([2, 2, 2])
    free = int(t.visible(0)[1][0] * t.visible_groups()[1][2])
    assert t.visible(0)[1][0] < HAZARD
    assert t.scatter_clocks(rows, columns).tolist() == [free, free + HAZARD - 2, free + HAZARD - 2]
    assert t.scatter_clocks(rows, columns, np.array([0, 0, 1])).tolist() == [free, free + HAZARD - 2, free]
