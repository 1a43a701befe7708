"""Predictive sparse decomposition: a feed-forward encoder learned together with the dictionary, to foretell its codes.

Kavukcuoglu, Ranzato, LeCun, *Fast inference in sparse coding algorithms with applications to object recognition*, 2008,
minimise ``|Dz - x|^2 + lambda |z|_1 + |sigma(Wx) - z|^2`` over D, W and z. Here it is half of that, so that lambda is
what it is in the rest of this package, and the prediction has a weight::

    E(x) = min over z of  1/2 |x - D z|^2 + lambda |z|_1 + alpha/2 |F(x) - z|^2,    F(x) = gain * sigma(W x, bias)

with two choices of sigma: "tanh", ``tanh(Wx + bias)``, as in that report; and "shrink", ``sign(Wx) max(|Wx| - bias,
0)`` with ``bias >= 0``, whose codes can be 0 (it is one step of ISTA, with learned matrices). alpha 0 is plain
dictionary learning.

Training alternates, a batch of vectors at a time: the codes given all else; then one projected gradient step of D; then
one gradient step of W, bias and gain. None of the three raises the batch's objective. Codes may be of either sign.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from .errors import InputError

Array = npt.NDArray[np.float64]
Nonlinearity = Literal["tanh", "shrink"]

HALVINGS = 30
"""A gradient step of the encoder that still raises the objective after so many halvings is not taken."""


@dataclass(frozen=True, eq=False)
class PredictiveEncoder:
    """The feed-forward encoder F and the dictionary whose codes it foretells.

    Args:
        atoms: ``(K, D)``, a row a kernel, of unit norm. weights: ``(K, D)``, W. bias, gain: ``(K,)``.
        nonlinearity: "tanh" or "shrink".
    """

    atoms: Array
    weights: Array
    bias: Array
    gain: Array
    nonlinearity: Nonlinearity = "tanh"

    def encode(self, vectors: Array) -> Array:
        """F(x) of ``(N, D)`` vectors: ``(N, K)``."""
        return self.gain * _sigma(vectors @ self.weights.T, self.bias, self.nonlinearity)[0]

    def gradients(self, vectors: Array, codes: Array) -> tuple[Array, Array, Array]:
        """Of ``mean over vectors of 1/2 |F(x) - z|^2``, by weights ``(K, D)``, bias and gain ``(K,)``."""
        sigma, by_drive, by_bias = _sigma(vectors @ self.weights.T, self.bias, self.nonlinearity)
        missed = (self.gain * sigma - codes) / len(vectors)
        driven = missed * self.gain
        return (driven * by_drive).T @ vectors, (driven * by_bias).sum(axis=0), (missed * sigma).sum(axis=0)


@dataclass(frozen=True)
class PredictiveParams:
    """How an encoder is trained.

    Args:
        kernels: K. threshold: lambda, above 0. prediction: alpha, 0 or more. nonlinearity: "tanh" or "shrink".
        passes: times every vector is seen. batch: vectors a step. iterations: of FISTA a batch.
        rate: of both gradient steps, above 0 and at most 1; 1 is the largest with which D cannot raise the objective
            of the batch. It falls to a tenth, geometrically, over the second half of the passes.
        seed: of the starting dictionary and of the order of the vectors.

    Raises:
        InputError: a value outside its range.
    """

    kernels: int = 128
    threshold: float = 0.1
    prediction: float = 1.0
    nonlinearity: Nonlinearity = "tanh"
    passes: int = 50
    batch: int = 100
    iterations: int = 50
    rate: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.nonlinearity not in get_args(Nonlinearity):
            raise InputError(f"the nonlinearity must be one of {', '.join(get_args(Nonlinearity))}, not "
                             f"'{self.nonlinearity}'")  # fmt: skip
        for name in ("kernels", "passes", "batch", "iterations"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.threshold < np.inf:
            raise InputError(f"the threshold must be a finite number above 0, not {self.threshold}")
        if not 0 <= self.prediction < np.inf:
            raise InputError(f"the weight of the prediction must be 0 or a finite number above it, not "
                             f"{self.prediction}")  # fmt: skip
        if not 0 < self.rate <= 1:
            raise InputError(f"the rate must be above 0 and at most 1, not {self.rate}")
        if self.seed < 0:
            raise InputError(f"the seed must be 0 or more, not {self.seed}")

    def rate_at(self, number: int) -> float:
        """Rate of pass ``number``, counted from 0."""
        return float(self.rate * 0.1 ** max(0.0, 2.0 * (number + 1) / self.passes - 1.0))


@dataclass(frozen=True, eq=False)
class Trained:
    """What training leaves.

    Args:
        encoder: with its dictionary.
        objective: ``(passes,)``, mean over the vectors of E of each pass, of every batch before its gradient steps.
        codes: ``(N, K)``, the last of every vector.
        reseeded: atoms that no code used for a whole pass and that became a vector of the data instead.
    """

    encoder: PredictiveEncoder
    objective: Array
    codes: Array
    reseeded: int


def objective(vectors: Array, codes: Array, encoder: PredictiveEncoder, threshold: float, prediction: float) -> Array:
    """``(N,)``: ``1/2 |x - Dz|^2 + lambda |z|_1 + alpha/2 |F(x) - z|^2`` of each vector."""
    foretold = encoder.encode(vectors) if prediction else None
    return _costs(vectors, codes, encoder.atoms, threshold, foretold, prediction)


def sparse_codes(
    vectors: Array,
    atoms: Array,
    threshold: float,
    *,
    foretold: Array | None = None,
    prediction: float = 0.0,
    iterations: int = 200,
    start: Array | None = None,
) -> Array:
    """The codes that minimise E, by FISTA on all vectors at once; never worse than where it starts.

    Args:
        vectors: ``(N, D)``. atoms: ``(K, D)``, rows of unit norm. threshold: lambda. foretold: ``(N, K)``, F(x), which
            ``prediction``, alpha, pulls to. start: ``(N, K)``; zeros when None.

    Returns:
        ``(N, K)``.

    Raises:
        InputError: vectors and atoms of different length, a threshold not above 0.
    """
    if vectors.ndim != 2 or vectors.shape[1] != atoms.shape[1]:
        raise InputError(f"these atoms code vectors of {atoms.shape[1]} values, not of shape {vectors.shape}")
    if not 0 < threshold < np.inf:
        raise InputError(f"the threshold must be a finite number above 0, not {threshold}")
    pull = prediction if foretold is not None else 0.0
    gram = atoms @ atoms.T
    step = 1.0 / (float(np.linalg.eigvalsh(gram)[-1]) + pull)
    drive = vectors @ atoms.T + (pull * foretold if foretold is not None else 0.0)
    first = np.zeros_like(drive) if start is None else np.asarray(start, np.float64)
    code, ahead, t = first, first, np.ones((len(vectors), 1))
    for _ in range(iterations):
        moved = ahead - step * (ahead @ gram + pull * ahead - drive)
        new = np.sign(moved) * np.maximum(np.abs(moved) - step * threshold, 0.0)
        # Momentum that points uphill is dropped, vector by vector (O'Donoghue and Candes 2015).
        uphill = ((ahead - new) * (new - code)).sum(axis=1, keepdims=True) > 0
        after = np.where(uphill, 1.0, 0.5 * (1 + np.sqrt(1 + 4 * t * t)))
        ahead = new + np.where(uphill, 0.0, (t - 1) / after) * (new - code)
        code, t = new, after
    before = _costs(vectors, first, atoms, threshold, foretold, pull)
    better = _costs(vectors, code, atoms, threshold, foretold, pull) <= before
    return np.where(better[:, None], code, first)


def train(
    params: PredictiveParams,
    vectors: Array,
    *,
    start: Array | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Trained:
    """Learn a dictionary and the encoder that foretells its codes.

    Args:
        vectors: ``(N, D)``, preprocessed. start: ``(K, D)`` atoms of unit norm; random vectors of the data when None.
        progress: called with the number of passes done and the mean objective of the last.

    Raises:
        InputError: vectors of another shape or not finite, or fewer than two that are not 0.
    """
    x = _checked(vectors)
    rng = np.random.default_rng(params.seed)
    encoder = _fresh(params, x, rng, start)
    codes: Array = np.zeros((len(x), params.kernels))
    history: list[float] = []
    reseeded = 0
    for number in range(params.passes):
        rate, total = params.rate_at(number), 0.0
        for rows in np.array_split(rng.permutation(len(x)), max(1, round(len(x) / params.batch))):
            encoder, codes[rows], cost = _step(params, encoder, x[rows], codes[rows], rate)
            total += cost * len(rows)
        history.append(total / len(x))
        silent = np.flatnonzero(~codes.any(axis=0))
        if len(silent) and number + 1 < params.passes / 2:
            encoder = _reseeded(encoder, silent, x, codes)
            reseeded += len(silent)
        if progress is not None:
            progress(number + 1, history[-1])
    return Trained(encoder, np.array(history), codes, reseeded)


def dictionary_step(atoms: Array, vectors: Array, codes: Array, rate: float) -> Array:
    """Atoms after a gradient step of ``rate`` over the gradient's Lipschitz constant, each back at unit norm.

    Nothing rises with a rate of at most 1: the step then minimises a bound of the error that touches it where it is,
    and scaling to unit norm is the nearest point of the sphere.
    """
    lipschitz = float(np.linalg.eigvalsh(codes.T @ codes)[-1])
    if lipschitz <= 0:
        return atoms
    moved = atoms + rate / lipschitz * (codes.T @ (vectors - codes @ atoms))
    norms = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(np.where(norms > 0, moved / np.where(norms > 0, norms, 1.0), atoms), np.float64)


def encoder_step(encoder: PredictiveEncoder, vectors: Array, codes: Array, rate: float) -> PredictiveEncoder:
    """The encoder after a gradient step towards given codes, halved until it does not raise the squared error.

    The gradient by the weights is divided by the inputs' covariance, as least squares would: pixels are correlated, and
    plain descent is slow along what varies little.
    """
    by_weights, by_bias, by_gain = encoder.gradients(vectors, codes)
    covariance = vectors.T @ vectors / len(vectors)
    covariance += 1e-3 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    by_weights = np.linalg.solve(covariance, by_weights.T).T.astype(np.float64)
    before = float(np.square(encoder.encode(vectors) - codes).sum())
    for _ in range(HALVINGS):
        bias = encoder.bias - rate * by_bias
        moved = replace(
            encoder, weights=encoder.weights - rate * by_weights, gain=encoder.gain - rate * by_gain,
            bias=np.maximum(bias, 0.0) if encoder.nonlinearity == "shrink" else bias,
        )  # fmt: skip
        if float(np.square(moved.encode(vectors) - codes).sum()) <= before:
            return moved
        rate /= 2
    return encoder


def _step(
    params: PredictiveParams, encoder: PredictiveEncoder, x: Array, codes: Array, rate: float
) -> tuple[PredictiveEncoder, Array, float]:
    """One batch: the encoder after it, its codes, and its mean objective before the gradient steps."""
    foretold = encoder.encode(x) if params.prediction else None
    codes = sparse_codes(
        x, encoder.atoms, params.threshold, foretold=foretold, prediction=params.prediction,
        iterations=params.iterations, start=codes,
    )  # fmt: skip
    cost = float(_costs(x, codes, encoder.atoms, params.threshold, foretold, params.prediction).mean())
    encoder = replace(encoder, atoms=dictionary_step(encoder.atoms, x, codes, rate))
    if params.prediction:
        encoder = encoder_step(encoder, x, codes, rate)
    return encoder, codes, cost


def _sigma(drive: Array, bias: Array, kind: str) -> tuple[Array, Array, Array]:
    """sigma, and its slope by the drive Wx and by the bias."""
    if kind == "tanh":
        value = np.tanh(drive + bias)
        slope = 1.0 - value * value
        return value, slope, slope
    sign = np.sign(drive) * (np.abs(drive) > bias)
    return sign * (np.abs(drive) - bias), np.abs(sign), -sign


def _costs(x: Array, codes: Array, atoms: Array, threshold: float, foretold: Array | None, pull: float) -> Array:
    cost = 0.5 * np.square(x - codes @ atoms).sum(axis=1) + threshold * np.abs(codes).sum(axis=1)
    if foretold is not None:
        cost = cost + 0.5 * pull * np.square(foretold - codes).sum(axis=1)
    return np.asarray(cost, np.float64)


def _fresh(params: PredictiveParams, x: Array, rng: np.random.Generator, start: Array | None) -> PredictiveEncoder:
    """The encoder that training starts from: W is the dictionary itself, one step of ISTA."""
    if start is None:
        drawn = x[rng.choice(len(x), params.kernels, replace=params.kernels > len(x))]
        stirred = drawn + 0.1 * drawn.std() * rng.standard_normal(drawn.shape)  # so that no two are alike
        atoms: Array = np.asarray(stirred, np.float64)
    else:
        atoms = np.array(start, np.float64)
        if atoms.shape != (params.kernels, x.shape[1]):
            raise InputError(f"the starting atoms have the shape {atoms.shape}, not ({params.kernels}, {x.shape[1]})")
    atoms = np.asarray(atoms / np.linalg.norm(atoms, axis=1, keepdims=True), np.float64)
    bias = np.full(params.kernels, params.threshold if params.nonlinearity == "shrink" else 0.0)
    return PredictiveEncoder(atoms, atoms.copy(), bias, np.ones(params.kernels), params.nonlinearity)


def _reseeded(encoder: PredictiveEncoder, silent: npt.NDArray[np.int64], x: Array, codes: Array) -> PredictiveEncoder:
    """With the silent atoms as what the codes leave of the vectors that are coded worst."""
    left = x - codes @ encoder.atoms
    worst = np.argsort(-np.square(left).sum(axis=1), kind="stable")[: len(silent)]
    silent = silent[: len(worst)]
    norms = np.linalg.norm(left[worst], axis=1, keepdims=True)
    new = np.where(norms > 0, left[worst] / np.where(norms > 0, norms, 1.0), encoder.atoms[silent])
    atoms, weights = encoder.atoms.copy(), encoder.weights.copy()
    atoms[silent], weights[silent] = new, new
    return replace(encoder, atoms=atoms, weights=weights)


def _checked(vectors: Array) -> Array:
    x = np.asarray(vectors, np.float64)
    if x.ndim != 2 or np.count_nonzero(x.any(axis=-1)) < 2:
        raise InputError(f"an encoder is trained on two or more vectors that are not 0, (N, D), not on {x.shape}")
    if not np.isfinite(x).all():
        raise InputError(f"{int(x.size - np.isfinite(x).sum())} of the values to learn from are not finite; mend them")
    return x
