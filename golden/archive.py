"""NumPy archives (.npz): the same bytes every time, never half written, never able to run code when read."""

import contextlib
import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

# The earliest time a zip entry can carry. The real time would make two equal archives differ.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def save_npz(path: str | os.PathLike[str], arrays: Mapping[str, npt.ArrayLike]) -> None:
    """Write named arrays as a compressed .npz: aside first, then renamed, so that a crash leaves the old file or the
    new one.

    Args:
        path: the file, written exactly under this name.
        arrays: name -> array (numbers or text; objects are refused by NumPy).

    Raises:
        InputError: the folder is missing or cannot be written.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, value in arrays.items():
                entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                # Fixed as well: the default depends on the operating system.
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, np.asanyarray(value), allow_pickle=False)
                archive.writestr(entry, buffer.getvalue())
        os.replace(aside, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; check that the folder exists and may be "
                         "written to") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def load_npz(path: str | os.PathLike[str], keys: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Read the named arrays of an .npz file, without pickle.

    Raises:
        InputError: no such file, not an .npz archive, an array that needs pickle, or a missing name.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        # Opened here: NumPy leaves a damaged file open.
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            missing = [key for key in keys if key not in loaded.files]
            if missing:
                raise InputError(f"{path} holds {', '.join(loaded.files) or 'nothing'} but not {', '.join(missing)}; "
                                 "is it the right kind of file?")
            return {key: loaded[key] for key in keys}
    except InputError:
        raise
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else "damaged"
        raise InputError(f"{path} is not a readable .npz archive ({reason}); write it anew") from error
