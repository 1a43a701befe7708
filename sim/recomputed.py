"""The ``dense`` and ``skip`` schedules: the same bits as the delta machine without events.

R and D are formed anew in every step, over all codes and residuals or over those that are not 0. They are no machine,
so they have no clock; they show what the events save.
"""

import time

import numpy as np

from .kernel import arithmetic, recompute
from .plan import Plan
from .run import Counts, FloatArray, Run, Steps, ended, error_percent, late_events, norm, word_type
from .settle import settled
from .tiling import IntArray


def recomputed(
    plan: Plan,
    weights: IntArray,
    image: IntArray,
    steps: int,
    *,
    skip: bool,
    reference: FloatArray | None = None,
) -> Run:
    """The same bits without events: R and D formed anew in every step, over all codes and residuals or the nonzero
    ones.
    """
    g, a = plan.tiling.geometry, arithmetic(plan)
    started = time.perf_counter()
    largest = int(np.abs(image).max() << plan.input_shift) + plan.code.magnitude * int(np.abs(weights).sum())
    word = word_type(max(plan.residual_width, plan.drive_width, largest.bit_length() + 1))
    u, y, d = np.zeros(g.code_shape, np.int64), np.zeros(g.code_shape, np.int64), np.zeros(g.code_shape, word)
    r, s = np.zeros(g.image_shape, word), np.zeros(g.image_shape, word)
    x = (image << plan.input_shift).astype(word)
    w, wk = weights.astype(word), np.ascontiguousarray(np.moveaxis(weights, 0, -1), word)
    tallies = np.zeros(6, np.int64)
    rows: list[tuple[float, int, int, int, int, int]] = []
    quantised = np.asarray(image * plan.input.scale, np.float64)
    lost = np.zeros_like(quantised) if reference is None else reference - quantised
    scale = norm(quantised + lost)
    changed, outside = np.zeros(steps, np.int64), np.zeros(steps, np.int64)
    n, at_rest = 0, False
    while True:
        shift = next(v for first, v in reversed(plan.step_shift) if first <= min(n, steps - 1))
        before = tallies.copy()
        recompute(u, x, w, wk, n == steps, g.stride, shift, skip, a, y, r, s, d, tallies)
        if n:
            error = error_percent(np.asarray(r * plan.residual_scale + lost, np.float64), scale)
            rows[-1] = (error, *rows[-1][1:])
        if n == steps:
            overflow = tallies[5] > 0
            tallies = before  # the closing R belongs to no step
            break
        scattered, gathered, changed[n], detected = (int(tallies[m] - before[m]) for m in range(4))
        outside[n] = tallies[4] - before[4]
        rows.append((0.0, int(np.count_nonzero(y)), int(changed[n]), detected, scattered, gathered))
        n += 1
        if at_rest := bool(settled(changed, n, plan.settle, False)):
            steps = n
    late, saturated_late, quiet = late_events(changed[:steps], outside[:steps])
    counts = Counts(
        steps=steps,
        scatter_macs=int(tallies[0]),
        gather_macs=int(tallies[1]),
        macs_dense=2 * g.pairs * steps,
        code_events=int(tallies[2]),
        residual_events=int(tallies[3]),
        saturations=int(tallies[4]),
        pixels_in=image.size,
        codes_out=int(np.count_nonzero(y)),
    )
    active, changed_codes, changed_pixels, scatter_macs, gather_macs = (
        np.array([row[n] for row in rows], np.int64) for n in range(1, 6)
    )
    trace = Steps(
        percent_error=np.array([row[0] for row in rows]),
        active=active,
        code_events=changed_codes,
        residual_events=changed_pixels,
        link_events=np.zeros(steps, np.int64),
        macs=scatter_macs + gather_macs,
        end_cycle=np.zeros((0, 0), np.int64),
        scatter_macs=scatter_macs,
        gather_macs=gather_macs,
    )
    return Run(
        plan,
        image.copy(),
        weights,
        y,
        u,
        r.astype(np.int64),
        counts,
        None,
        trace,
        ended(late, saturated_late, quiet, g.neurons, at_rest),
        bool(overflow),
        (),
        time.perf_counter() - started,
        late,
        saturated_late > 0,
        settled=at_rest,
    )
