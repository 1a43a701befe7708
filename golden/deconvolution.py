"""A single layer of a deconvolutional network: feature maps inferred by half-quadratic continuation, filters learned.

Zeiler, Krishnan, Taylor, Fergus, *Deconvolutional Networks*, CVPR 2010, section 3.2, algorithm 1, and the low-frequency
map of section 3.3. An image x is the sum of feature maps convolved with learned filters and, for pictures that were not
high-pass filtered, of a map z0 a channel convolved with a uniform filter:

    ``1/2 |x - sum_k z_k * f_k - z0 * f0|^2 + lambda sum_k |z_k|^p + lambda smoothness |grad z0|^2``

the paper's cost (eq. 2) divided by its lambda: our lambda is 1 over the paper's. f0 has unit norm, as every filter.

Borders: "full" has maps of ``(H + p - 1, W + p - 1)`` positions, as the paper: every position whose filter meets a
pixel. "cropped" and "circular" are those of `conv` at stride 1: maps of ``(H, W)``. "full" is the cropped border of an
image that is (p - 1)/2 pixels larger on each side and of which the outer pixels are not compared.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from .conv import Array, StridedConv
from .dictionary import Dictionary
from .errors import InputError
from .solvers.continuation import Continuation, Turn, conjugate_gradients, turns

LayerBorder = Literal["full", "cropped", "circular"]


class LayerConv:
    """Filters at stride 1 on one image size and the adjoint, for each border of the module.

    Args:
        atoms: ``(K, C, p, p)``, p odd.
        shape: ``(H, W)`` of the image in pixels.

    Raises:
        InputError: an unknown border, an even p, or what `StridedConv` refuses.
    """

    def __init__(self, atoms: Array, shape: tuple[int, int], border: LayerBorder = "full") -> None:
        if border not in get_args(LayerBorder):
            raise InputError(f"the border of a layer must be one of {', '.join(get_args(LayerBorder))}, not '{border}'")
        self._margin = (atoms.shape[-1] - 1) // 2 if border == "full" else 0
        height, width = (n + 2 * self._margin for n in shape)
        self._conv = StridedConv(atoms, 1, (height, width), "circular" if border == "circular" else "cropped")
        m = self._margin
        self._inside = (slice(None), slice(m, height - m), slice(m, width - m))

    @property
    def maps_shape(self) -> tuple[int, int, int]:
        """``(K, H + p - 1, W + p - 1)`` with the full border, else ``(K, H, W)``."""
        return self._conv.geometry.code_shape

    def synthesis(self, maps: Array) -> Array:
        """The image ``(C, H, W)`` that the maps stand for."""
        return np.ascontiguousarray(self._conv.synthesis(maps)[self._inside])

    def analysis(self, residual: Array) -> Array:
        """The adjoint: ``(C, H, W)`` to maps."""
        return self._conv.analysis(self._framed(residual))

    def correlate(self, residual: Array, maps: Array) -> Array:
        """Gradient of <synthesis(maps), residual> by the filters, ``(K, C, p, p)`` (eq. 9)."""
        return self._conv.correlate(self._framed(residual), maps)

    def _framed(self, residual: Array) -> Array:
        m = self._margin
        return np.pad(residual, ((0, 0), (m, m), (m, m))) if m else residual


class _Layer:
    """The quadratic cost of one image: what `continuation.turns` takes. Dense maps are z0, one a channel."""

    def __init__(self, image: Array, atoms: Array, border: LayerBorder, smoothing: float | None) -> None:
        self.image, self.dense = image, 0 if smoothing is None else len(image)
        self.smoothing = 0.0 if smoothing is None else smoothing
        self.conv = LayerConv(with_uniform(atoms, self.dense), (image.shape[1], image.shape[2]), border)
        self.drive = self.conv.analysis(image)

    def hessian(self, maps: Array) -> Array:
        product = self.conv.analysis(self.conv.synthesis(maps))
        if self.dense:
            product[:self.dense] += 2.0 * self.smoothing * _laplacian(maps[:self.dense])
        return product

    def cost(self, maps: Array) -> float:
        residual = self.image - self.conv.synthesis(maps)
        z0 = maps[:self.dense]
        return 0.5 * float(np.vdot(residual, residual)) + (
            self.smoothing * float(np.vdot(z0, _laplacian(z0))) if self.dense else 0.0)


def with_uniform(atoms: Array, channels: int) -> Array:
    """The filters with the uniform ones of ``channels`` low-frequency maps in front: ``(channels + K, C, p, p)``."""
    kernels, image_channels, patch, _ = atoms.shape
    low = np.zeros((channels, image_channels, patch, patch))
    for channel in range(channels):
        low[channel, channel] = 1.0 / patch
    return np.concatenate([low, atoms])


def _laplacian(maps: Array) -> Array:
    """grad^T grad with differences of neighbours; nothing beyond the edge. <z, this> is |grad z|^2."""
    result = np.zeros_like(maps)
    down, right = np.diff(maps, axis=1), np.diff(maps, axis=2)
    result[:, 1:] += down
    result[:, :-1] -= down
    result[:, :, 1:] += right
    result[:, :, :-1] -= right
    return result


@dataclass(frozen=True)
class Inference:
    """Feature maps of an image.

    Args:
        code: z of the filters, exactly sparse, of `LayerConv.maps_shape`. low: z0, ``(C, ...)``; no maps without it.
        reconstruction: ``(C, H, W)``; residual: image less reconstruction.
        objective: of the module's cost. turns: of the continuation, polishing included.
        converged: the last turn moved the code by no more than the tolerance.
    """

    code: Array
    low: Array
    reconstruction: Array
    residual: Array
    objective: float
    turns: int
    converged: bool


def infer(image: Array, filters: Dictionary, threshold: float, how: Continuation | None = None, *,
          low_frequency: bool = True, smoothness: float = 1.0, border: LayerBorder = "full",
          start: Array | None = None, tolerance: float = 1e-3,
          watch: Callable[[Turn], None] | None = None) -> Inference:
    """The feature maps of an image (algorithm 1, lines 4 to 9).

    Args:
        image: x, ``(C, H, W)``.
        filters: f at stride 1, of odd patch.
        threshold: lambda, 1 over the paper's.
        how: the continuation; the paper's when None.
        low_frequency: with z0. smoothness: weight of its gradients, above 0; the paper has 1.
        start: z0 and z in one array to begin with; zeros when None. watch: called after every turn.
        tolerance: of `Inference.converged`.

    Raises:
        InputError: filters of another stride or channels, an image that is not finite, lambda or smoothness not above
            0, a start of another shape.
    """
    image = _checked(image, filters)
    if not 0 < smoothness < math.inf:
        raise InputError(f"smoothness must be a finite number above 0, not {smoothness}")
    model = _Layer(image, filters.atoms, border, threshold * smoothness if low_frequency else None)
    shape = model.conv.maps_shape
    begin = np.zeros(shape) if start is None else np.asarray(start, np.float64)
    if begin.shape != shape:
        raise InputError(f"the maps to start with have the shape {begin.shape}; this image and layer take {shape}")
    count = 0
    for turn in turns(model, threshold, how or Continuation(), begin):
        count, last = count + 1, turn
        if watch is not None:
            watch(turn)
    reconstruction = model.conv.synthesis(last.code)
    return Inference(last.code[model.dense:].copy(), last.code[:model.dense].copy(), reconstruction,
                     image - reconstruction, last.objective, count, last.moved <= tolerance)


def _checked(image: Array, filters: Dictionary) -> Array:
    if filters.stride != 1 or filters.patch % 2 == 0:
        raise InputError(f"a deconvolutional layer has stride 1 and an odd patch, not stride {filters.stride} and "
                         f"patch {filters.patch}")
    x = np.asarray(image, np.float64)
    if x.ndim != 3 or x.shape[0] != filters.channels:
        raise InputError(f"the image has the shape {x.shape}; these filters take ({filters.channels}, H, W)")
    if not np.isfinite(x).all():
        raise InputError("the image holds values that are not finite (NaN or infinite); mend them first")
    return x


# ---- learning --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LayerParams:
    """How a layer is learned. Defaults are the paper's (section 4) where it has them.

    Args:
        kernels: K (paper: 9 in the first layer). patch: H (paper: 7), odd.
        threshold: lambda, 1 over the paper's (paper: 1), for images of unit variance.
        epochs: passes over all images (paper: 3).
        batch: images between two updates of the filters; None: all of them (paper).
        how: the continuation of each inference. filter_steps: conjugate gradient steps on eq. 9 an update.
        seed: of the first filters.

    Raises:
        InputError: a number below 1 or an even patch.
    """

    kernels: int = 9
    patch: int = 7
    threshold: float = 1.0
    epochs: int = 3
    batch: int | None = None
    how: Continuation = field(default_factory=Continuation)
    filter_steps: int = 10
    border: LayerBorder = "full"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("kernels", "patch", "epochs", "filter_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of a layer must be at least 1, not {getattr(self, name)}")
        if self.batch is not None and self.batch < 1:
            raise InputError(f"batch of a layer must be at least 1, or None for all images, not {self.batch}")
        if self.patch % 2 == 0:
            raise InputError(f"the patch of a layer must be odd, not {self.patch}; use {self.patch - 1} or "
                             f"{self.patch + 1}")
        if not 0 < self.threshold < math.inf:
            raise InputError(f"lambda must be a finite number above 0, not {self.threshold}")


@dataclass(frozen=True)
class Epoch:
    """One pass over the images: means over its updates.

    Args:
        objective: an image. error_before, error_after: squared residual a value, before and after the filter update
            with the maps held. active: share of codes that are not 0. turned: 1 - mean |cosine| of filters at the end
            of the pass with those at its start.
    """

    objective: float
    error_before: float
    error_after: float
    active: float
    turned: float


@dataclass(frozen=True)
class LayerLearned:
    """Filters of unit norm at stride 1, and every epoch."""

    dictionary: Dictionary
    epochs: tuple[Epoch, ...]


def learn_layer(images: Sequence[Array], params: LayerParams | None = None, *, source: str = "",
                progress: Callable[[str, float], None] | None = None) -> LayerLearned:
    """Algorithm 1 of the paper: maps of all images with the filters held, then the filters with the maps held.

    The filter update solves the least squares problem whose gradient is eq. 9 by a few conjugate gradient steps, begun
    at the filters; then every filter is brought back to unit norm (the paper leaves its norm open). A filter that no
    map uses stays as it is. Inference begins at zero maps each time.

    Args:
        images: ``(C, H, W)`` each, high-pass filtered or contrast-normalised. progress: called with (text, share).

    Returns:
        The same filters for the same images and parameters.

    Raises:
        InputError: no image, images of different channels, or as for `infer`.
    """
    params = params or LayerParams()
    if not images:
        raise InputError("no images to learn a layer from; give at least one")
    channels = images[0].shape[0]
    atoms = _unit(np.random.default_rng(params.seed).standard_normal(
        (params.kernels, channels, params.patch, params.patch)))
    batch = params.batch or len(images)
    history = []
    for epoch in range(params.epochs):
        first, updates = atoms, []
        for begin in range(0, len(images), batch):
            part = images[begin:begin + batch]
            atoms, numbers = _updated(atoms, part, params)
            updates.append(numbers)
            if progress is not None:
                done = (epoch + (begin + len(part)) / len(images)) / params.epochs
                progress(f"epoch {epoch + 1} of {params.epochs}", done)
        cosine = np.abs(np.sum((first * atoms).reshape(len(atoms), -1), axis=1))
        objective, before, after, active = (float(mean) for mean in np.mean(updates, axis=0))
        history.append(Epoch(objective, before, after, active, float(1.0 - cosine.mean())))
    return LayerLearned(Dictionary(atoms, 1, source), tuple(history))


def _updated(atoms: Array, images: Sequence[Array], params: LayerParams) -> tuple[Array, tuple[float, ...]]:
    """The filters after one update, and the first four numbers of `Epoch`."""
    filters = Dictionary(atoms, 1)
    found = [infer(image, filters, params.threshold, params.how, low_frequency=False, border=params.border)
             for image in images]
    codes = [inference.code for inference in found]
    moved, before, after = update_filters(atoms, images, codes, params.filter_steps, params.border)
    active = float(np.mean([np.count_nonzero(code) / code.size for code in codes]))
    return _unit(moved), (float(np.mean([inference.objective for inference in found])), before, after, active)


def update_filters(atoms: Array, images: Sequence[Array], codes: Sequence[Array], steps: int,
                   border: LayerBorder = "full") -> tuple[Array, float, float]:
    """Conjugate gradients on ``sum_i 1/2 |x_i - sum_k z_ik * f_k|^2`` by f, the maps held (eq. 9).

    Returns:
        The filters, not of unit norm, and the mean squared residual a value before and after; it never rises.
    """
    first = LayerConv(atoms, (images[0].shape[1], images[0].shape[2]), border)

    def conv(filters: Array, image: Array) -> LayerConv:
        return LayerConv(filters, (image.shape[1], image.shape[2]), border)

    def apply(filters: Array) -> Array:
        total = np.zeros_like(filters)
        for image, code in zip(images, codes, strict=True):
            operator = conv(filters, image)
            total += operator.correlate(operator.synthesis(code), code)
        return total

    def error(filters: Array) -> float:
        squares = sum(float(np.sum((image - conv(filters, image).synthesis(code))**2))
                      for image, code in zip(images, codes, strict=True))
        return squares / sum(image.size for image in images)

    target = np.zeros_like(atoms)
    for image, code in zip(images, codes, strict=True):
        target += (first if image.shape == images[0].shape else conv(atoms, image)).correlate(image, code)
    moved, _ = conjugate_gradients(apply, target, atoms, 1e-10, steps)
    return moved, error(atoms), error(moved)


def _unit(atoms: Array) -> Array:
    return np.asarray(atoms / np.linalg.norm(atoms.reshape(len(atoms), -1), axis=1)[:, None, None, None])
