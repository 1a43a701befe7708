"""Coding many pictures of one size: what learning calls for every mini-batch.

The engines on NumPy and numba code one picture after another; "torch" steps all of them together, on the CPU or on a
GPU. Whatever the engine, picture n comes out as if it were coded alone, to the tolerance of the engine.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .conv import Array, StridedConv
from .dictionary import Dictionary
from .errors import InputError
from .lca import Course, Encoding, Engine, LcaParams, check_engine, checked_image, checked_membrane, encode
from .threshold import cost
from .torch_engine import Precision, TorchBatch

# On a GPU the host asks only so often whether any picture is still running: asking waits for the GPU.
_LOOK = 16


def encode_batch(images: npt.ArrayLike, dictionary: Dictionary, params: LcaParams | None = None, *,
                 membranes: Array | None = None, engine: Engine = "fast", device: str = "cpu",
                 precision: Precision = "float64") -> list[Encoding]:
    """Sparse-code pictures of one size, each from rest or from its own membrane.

    Args:
        images: ``(B, C, H, W)``, already preprocessed; B may be 0.
        dictionary: Phi.
        params: the dynamics of all of them; the defaults when None.
        membranes: u_0, ``(B, K, H/s, W/s)``; zeros when None.
        engine: as in `lca.encode`.
        device: "cpu", or with the engine "torch" also "cuda" or "cuda:N".
        precision: "float64", or with the engine "torch" also "float32".

    Returns:
        B `Encoding`, float64, in the order of the pictures; one that diverges leaves the others alone.

    Raises:
        InputError: what `lca.encode` refuses, a device that is not there, or a device or precision that the engine has
            not.
    """
    params = params or LcaParams()
    check_engine(engine)
    check_placement(engine, device, precision)
    x = np.asarray(images, np.float64)
    if x.ndim != 4:
        raise InputError(f"a batch of images has the shape (B, C, H, W), not {x.shape}")
    if membranes is not None and len(membranes) != len(x):
        raise InputError(f"{len(membranes)} starting membranes were given for {len(x)} images; give one for each")
    starts = [None] * len(x) if membranes is None else list(membranes)
    if engine != "torch":
        return [encode(image, dictionary, params, membrane=start, engine=engine)
                for image, start in zip(x, starts, strict=True)]
    if not len(x):
        return []
    conv = StridedConv(dictionary.atoms, dictionary.stride, (x.shape[2], x.shape[3]), params.border)
    return _together([checked_image(image, dictionary) for image in x], conv, dictionary, params,
                     [checked_membrane(start, conv) for start in starts], {"device": device, "precision": precision})


def check_placement(engine: Engine, device: str, precision: Precision = "float64") -> None:
    """Refuse a device or a precision that only the engine "torch" has with an InputError."""
    if engine == "torch":
        return
    if device != "cpu":
        raise InputError(f"the engine '{engine}' runs on the CPU alone, not on '{device}'; only the engine 'torch' has "
                         "others")
    if precision != "float64":
        raise InputError(f"the engine '{engine}' computes in float64, not in {precision}; the engine 'torch' has "
                         "float32")


def _together(images: list[Array], conv: StridedConv, dictionary: Dictionary, params: LcaParams, starts: list[Array],
              placement: dict[str, Any]) -> list[Encoding]:
    margin = (conv.residual_shape[1] - images[0].shape[1]) // 2
    frames = np.pad(np.stack(images), ((0, 0), (0, 0), (margin,) * 2, (margin,) * 2))
    batch = TorchBatch(frames, conv, dictionary.atoms, threshold=params.threshold, kind=params.transfer,
                       two_sided=params.two_sided, inclusive=params.inclusive, cutoff=params.residual_cutoff,
                       **placement)
    batch.start(np.stack(starts))

    def energies() -> tuple[Array, Array]:
        """|r|^2 / 2 and the cost of every picture."""
        r, y = batch.numbers(batch.r), batch.numbers(batch.y)
        return (np.array([0.5 * float(np.vdot(one, one)) for one in r]),
                np.array([cost(one, params.threshold, params.transfer) for one in y]))

    misfit, costs = energies()
    courses = [Course(params, 0.5 * float(np.vdot(image, image)), left + spent, left, frames[0].size)
               for image, left, spent in zip(images, misfit, costs, strict=True)]
    for course, moved in zip(courses, _advance(batch, params, [course.limit for course in courses]), strict=True):
        for size, slope, residual in moved:
            if not course.goes_on(size, slope, residual):
                break
    misfit, costs = energies()
    code, u, r = (batch.numbers(values) for values in (batch.y, batch.u, batch.r))
    r = r[:, :, margin:r.shape[2] - margin, margin:r.shape[3] - margin]
    return [Encoding(code[n].copy(), u[n].copy(), r[n].copy(), course.outcome(misfit[n] + costs[n]), course.steps,
                     course.slope) for n, course in enumerate(courses)]


def _advance(batch: TorchBatch, params: LcaParams, limits: list[float]) -> Array:
    """All steps; what each picture proposed, ``(B, steps, 3)``. A picture stays before the first step that may not be
    taken, as `Course.goes_on` judges it afterwards from the same numbers."""
    most = batch.column(limits)
    running = most == most
    said = []
    for step in range(params.steps):
        moved = batch.propose(params.eta_at(step))
        said.append(moved)
        running = running & moved[0].isfinite() & (moved[2] <= most)
        batch.accept(running)
        if step % _LOOK == _LOOK - 1 and not bool(running.any()):
            break
    return np.stack([[batch.numbers(value) for value in moved] for moved in said]).transpose(2, 0, 1)
