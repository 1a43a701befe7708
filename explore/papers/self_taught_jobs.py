"""The jobs of the self-taught experiment, each run in a process of its own: learn, code, score.

What a job makes goes through the store as JSON; arrays are packed in it. The jobs that need them again read them from
the experiment's folder, where `self_taught_run` puts them.
"""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...golden.archive import load_npz
from ...golden.dictionary import Dictionary
from ...golden.features import Pca, lca_features
from ...golden.metrics import percent_error, percent_inactive
from ...golden.predictive import PredictiveEncoder, PredictiveParams, sparse_codes, train
from ...sim.machine import simulate
from ..points import canonical
from .self_taught import (
    CLASSES,
    FOLDS,
    INVERSE_PENALTIES,
    SIDE,
    VARIANCE,
    Array,
    Pictures,
    Settings,
    load_pictures,
    photograph_patches,
)

Arrays = dict[str, npt.NDArray[Any]]


def run(context: Mapping[str, Any], parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Any of the three, by ``parameters["do"]``; the job of the sweep."""
    settings = Settings(**{**context["settings"], "sizes": tuple(context["settings"]["sizes"])})
    folder = Path(context["folder"])
    if parameters["do"] == "learn":
        return learn(settings, parameters["source"])
    if parameters["do"] == "code":
        learned = _read(folder / learned_name(parameters["source"]), parameters["learned"])
        return code(settings, parameters["source"], parameters["method"], learned)
    features = _read(folder / features_name(parameters["source"], parameters["method"]), parameters["features"])
    return score(_pictures(settings), features["features"], parameters["size"], seed)


def learned_name(source: str) -> str:
    """File of what was learned of a source."""
    return f"learned-{source}.npz"


def features_name(source: str, method: str) -> str:
    """File of some features."""
    return f"features-{source}-{method}.npz" if source else f"features-{method}.npz"


# ---- learn -----------------------------------------------------------------------------------------------------------
def learn(settings: Settings, source: str) -> dict[str, Any]:
    """Dictionary, then an encoder that begins with it, then principal components; and how well the encoder foretells
    codes of pictures of the same kind that it never saw.
    """
    pictures = _pictures(settings)
    if source == "digits":
        vectors, new = pictures.unlabelled, pictures.held_out
    else:
        both = photograph_patches(settings)
        vectors, new = both[settings.held_out :], both[: settings.held_out]
    batch = max(20, len(vectors) // 9)
    plain = train(PredictiveParams(settings.kernels, settings.threshold, 0.0, passes=settings.passes, batch=batch,
                                   iterations=20, seed=settings.seed), vectors)  # fmt: skip
    joint = train(PredictiveParams(settings.kernels, settings.threshold, 1.0, passes=2 * settings.passes, batch=batch,
                                   iterations=20, seed=settings.seed), vectors, start=plain.encoder.atoms)  # fmt: skip
    pca, encoder = Pca.fit(vectors, VARIANCE), joint.encoder
    return {
        "arrays": pack({
            "atoms": plain.encoder.atoms, "encoder_atoms": encoder.atoms, "weights": encoder.weights,
            "bias": encoder.bias, "gain": encoder.gain, "mean": pca.mean, "components": pca.components,
        }),
        "objective": plain.objective.tolist(), "predictive_objective": joint.objective.tolist(),
        "reseeded": plain.reseeded + joint.reseeded, "components": len(pca.components),
        "measures": _foretold(encoder, new, settings.threshold),
    }  # fmt: skip


def _foretold(encoder: PredictiveEncoder, new: Array, threshold: float) -> dict[str, float]:
    """F(x) beside the codes it is to foretell: those that minimise the training objective, and the sparse ones."""
    foretold = encoder.encode(new)
    joint = sparse_codes(new, encoder.atoms, threshold, foretold=foretold, prediction=1.0, iterations=1000)
    sparse = sparse_codes(new, encoder.atoms, threshold, iterations=1000)
    return {
        "percent_off_joint": percent_error(joint, joint - foretold),
        "percent_off_sparse": percent_error(sparse, sparse - foretold),
        "correlation_sparse": float(np.corrcoef(foretold.ravel(), sparse.ravel())[0, 1]),
        "percent_error_foretold": percent_error(new, new - foretold @ encoder.atoms),
        "percent_error_joint": percent_error(new, new - joint @ encoder.atoms),
        "percent_error_sparse": percent_error(new, new - sparse @ encoder.atoms),
    }


# ---- code ------------------------------------------------------------------------------------------------------------
def code(settings: Settings, source: str, method: str, learned: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """The features of all labelled pictures, pool first, and what the codes are like."""
    pictures = _pictures(settings)
    vectors = pictures.labelled
    told: dict[str, Any] = {}
    if method == "pca":
        features = Pca(learned["mean"], learned["components"], 1.0).apply(vectors)
    elif method == "predictive":
        features = PredictiveEncoder(
            learned["encoder_atoms"], learned["weights"], learned["bias"], learned["gain"]
        ).encode(vectors)
    else:
        where, transfer = method.split("-")
        dictionary = Dictionary(learned["atoms"].reshape(-1, 1, SIDE, SIDE), SIDE, f"self-taught, {source}")
        features, told = _coded(settings, where, transfer, dictionary, vectors.reshape(-1, 1, SIDE, SIDE))
    return {"arrays": pack({"features": features}), **told}


def _coded(
    settings: Settings, where: str, transfer: str, dictionary: Dictionary, images: Array
) -> tuple[Array, dict[str, Any]]:
    design = settings.design(transfer)
    if where == "golden":
        features, runs = lca_features(images, dictionary, design.lca_params)
        errors = [percent_error(image, run.residual) for image, run in zip(images, runs, strict=True)]
        ends, extra = [run.outcome.value for run in runs], {}
    else:
        made = [simulate(image, design, dictionary=dictionary) for image in images]
        features = np.array([run.code_float.ravel() for run in made])
        errors = [percent_error(image, image - np.tensordot(code, dictionary.atoms, 1).reshape(image.shape))
                  for image, code in zip(images, features, strict=True)]  # fmt: skip
        ends = [run.outcome.value for run in made]
        extra = {"saturations": sum(run.counts.saturations for run in made),
                 "overflows": sum(run.overflow for run in made)}  # fmt: skip
    return features, {
        "percent_error": float(np.mean(errors)), "percent_inactive": percent_inactive(features),
        "outcomes": {name: ends.count(name) for name in sorted(set(ends))}, **extra,
    }  # fmt: skip


# ---- score -----------------------------------------------------------------------------------------------------------
def score(pictures: Pictures, features: Array, size: int, seed: int) -> dict[str, Any]:
    """Accuracy on the test pictures after learning from ``size`` labelled ones, drawn by the seed class by class.

    Features are divided by the root of their mean square norm over the labelled pictures; the penalty of the logistic
    regression is the one with the best mean accuracy over folds of these, the strongest of equals.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, train_test_split

    count = len(pictures.pool)
    rows, _ = train_test_split(np.arange(count), train_size=size, random_state=seed, stratify=pictures.pool_labels)
    x, labels = features[rows], pictures.pool_labels[rows]
    scale = float(np.sqrt(np.square(x).sum(axis=1).mean())) or 1.0
    x, test = x / scale, features[count:] / scale

    def fitted(c: float, picked: npt.NDArray[np.int64] | slice) -> Any:
        return LogisticRegression(C=c, max_iter=20_000).fit(x[picked], labels[picked])

    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, labels))
    right = [np.mean([fitted(c, learn).score(x[hold], labels[hold]) for learn, hold in folds])
             for c in INVERSE_PENALTIES]  # fmt: skip
    best = INVERSE_PENALTIES[int(np.argmax(right))]
    told = fitted(best, slice(None)).predict(test)
    confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    np.add.at(confusion, (pictures.test_labels - CLASSES[0], told - CLASSES[0]), 1)
    return {"accuracy": 100.0 * float(np.mean(told == pictures.test_labels)), "c": best,
            "confusion": confusion.tolist()}  # fmt: skip


# ---- arrays in JSON --------------------------------------------------------------------------------------------------
def pack(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Float arrays as JSON can hold them; equal arrays give equal text."""
    return {
        name: {"shape": list(array.shape),
               "data": base64.b64encode(zlib.compress(np.asarray(array, "<f8").tobytes(), 6)).decode()}
        for name, array in arrays.items()
    }  # fmt: skip


def unpack(packed: Mapping[str, Any]) -> dict[str, Array]:
    """What `pack` packed."""
    return {
        name: np.frombuffer(zlib.decompress(base64.b64decode(each["data"])), "<f8").reshape(each["shape"])
        for name, each in packed.items()
    }


def digest(packed: Mapping[str, Any]) -> str:
    """Hexadecimal SHA-256 of packed arrays."""
    return hashlib.sha256(canonical(packed).encode()).hexdigest()


@lru_cache(maxsize=4)
def _pictures(settings: Settings) -> Pictures:
    return load_pictures(settings)


@lru_cache(maxsize=16)
def _read(path: Path, sha256: str) -> Arrays:
    """The arrays of a file; the digest keeps what was read of an older one from being taken."""
    return load_npz(path, None)
