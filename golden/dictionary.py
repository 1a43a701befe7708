"""The dictionary Phi as a value: kernels of unit norm and their stride; loading, saving, the shipped ones."""

import hashlib
import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .archive import load_npz, save_npz
from .errors import InputError
from .geometry import Geometry

Array = npt.NDArray[np.float64]

# Largest |norm - 1| of a kernel: the +y of the dynamics cancels self-inhibition only at norm 1.
NORM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Dictionary:
    """K kernels of C channels and p x p pixels, used at one stride.

    Args:
        atoms: ``(K, C, p, p)`` float64, every kernel of unit L2 norm over (C, p, p). A read-only copy is kept.
        stride: s, pixels between neighbouring V1 positions.
        source: one line that says where the kernels come from.

    Raises:
        InputError: not that shape, not finite, a kernel that is not of unit norm, or a patch and stride that do not
        centre.
    """

    atoms: Array
    stride: int
    source: str = ""

    def __post_init__(self) -> None:
        atoms = np.array(self.atoms, np.float64, order="C")
        if atoms.ndim != 4 or atoms.shape[2] != atoms.shape[3] or not atoms.size:
            raise InputError(f"a dictionary has the shape (K, C, p, p), not {atoms.shape}")
        if not np.isfinite(atoms).all():
            raise InputError("the dictionary holds values that are not finite; learn it again")
        # Made for its checks of patch against stride; any image of whole cells would do.
        Geometry((self.stride, self.stride), atoms.shape[1], atoms.shape[0], atoms.shape[2], self.stride)
        norms = np.linalg.norm(atoms.reshape(len(atoms), -1), axis=1)
        worst = int(np.argmax(np.abs(norms - 1.0)))
        if abs(norms[worst] - 1.0) > NORM_TOLERANCE:
            raise InputError(f"kernel {worst} has the L2 norm {norms[worst]:.6g}, not 1; divide every kernel by its "
                             "norm")
        atoms.flags.writeable = False
        object.__setattr__(self, "atoms", atoms)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dictionary):
            return NotImplemented
        return self.sha256 == other.sha256 and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def kernels(self) -> int:
        """K."""
        return int(self.atoms.shape[0])

    @property
    def channels(self) -> int:
        """C."""
        return int(self.atoms.shape[1])

    @property
    def patch(self) -> int:
        """p in pixels."""
        return int(self.atoms.shape[2])

    @property
    def sha256(self) -> str:
        """Digest of shape, stride and the little-endian float64 kernels: equal digests code every image alike."""
        header = f"{self.atoms.shape} stride {self.stride}\n".encode()
        return hashlib.sha256(header + self.atoms.astype("<f8").tobytes()).hexdigest()

    def geometry(self, image: tuple[int, int]) -> Geometry:
        """The `Geometry` on an image of ``(H, W)`` pixels; refuses one the stride does not divide."""
        return Geometry(image, self.channels, self.kernels, self.patch, self.stride)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``dictionary``, ``patch``, ``stride`` and ``source`` as .npz, aside, then renamed; the bytes repeat."""
        save_npz(path, {"dictionary": self.atoms, "patch": np.int64(self.patch), "stride": np.int64(self.stride),
                        "source": np.str_(self.source)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Dictionary":
        """Read a file written by `save`.

        Raises:
            InputError: missing or damaged file, a missing key, or contents that are no dictionary; each names the file.
        """
        data = load_npz(path, ("dictionary", "patch", "stride", "source"))
        try:
            for key in ("patch", "stride"):
                if data[key].ndim or data[key].dtype.kind not in "iu":
                    raise InputError(f"'{key}' is not a whole number; learn the dictionary again")
            if data["dictionary"].dtype.kind != "f":
                raise InputError(f"'dictionary' holds {data['dictionary'].dtype}, not floats; learn it again")
            loaded = cls(data["dictionary"], int(data["stride"]), str(data["source"]))
            if loaded.patch != int(data["patch"]):
                raise InputError(f"'patch' says {int(data['patch'])} but the kernels are {loaded.patch} pixels wide; "
                                 "learn the dictionary again")
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return loaded

    @classmethod
    def random(cls, geometry: Geometry, seed: int) -> "Dictionary":
        """Gaussian noise of unit norm per kernel: where learning starts. The same seed gives the same kernels."""
        atoms = np.random.default_rng(seed).standard_normal(geometry.dictionary_shape)
        atoms /= np.linalg.norm(atoms.reshape(len(atoms), -1), axis=1)[:, None, None, None]
        return cls(atoms, geometry.stride, f"Gaussian noise, seed {seed}")


def shipped_names() -> list[str]:
    """Names of the dictionaries that come with the package, such as ``natural-k8-p16-s2``, sorted."""
    folder = Path(str(resources.files(__package__))) / "dictionaries"

    def numbers(name: str) -> list[tuple[int, str]]:
        return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", name)]

    return sorted((file.stem for file in folder.glob("*.npz")), key=numbers)


def shipped(kernels: int, patch: int, stride: int, channels: int = 1, name: str = "natural") -> Dictionary:
    """The dictionary of that shape which comes with the package ("natural": learned on the bundled photographs).

    Args:
        kernels, patch, stride, channels: K, p and s in pixels, C.
        name: its family.

    Raises:
        InputError: none of that shape; the message lists those that exist.
    """
    wanted = f"{name}-k{kernels}-p{patch}-s{stride}" + (f"-c{channels}" if channels != 1 else "")
    names = shipped_names()
    if wanted not in names:
        family = [each for each in names if each.startswith(f"{name}-k")]
        raise InputError(f"no dictionary '{wanted}' comes with the package (there are: {', '.join(family) or 'none'}); "
                         "use one of these shapes or learn your own with 'striate learn'")
    return Dictionary.load(Path(str(resources.files(__package__))) / "dictionaries" / f"{wanted}.npz")
