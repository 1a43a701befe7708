"""NumPy archives (.npz): the same bytes every time, never half written, never able to run code when read."""

import contextlib
import errno
import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

# The earliest time a zip entry can carry. The real time would make two equal archives differ.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside ``path`` to write, renamed to ``path`` when the block ends without an error; nothing is left of it
    otherwise.

    Raises:
        OSError: ``path`` is a folder, or the renaming fails.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what killed processes left of ``path``: files of `replacing` whose process no longer runs."""
    path = Path(path)
    wanted = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.part")
    for file in path.parent.iterdir() if path.parent.is_dir() else ():
        found = wanted.fullmatch(file.name)
        if found and not _alive(int(found[1])):
            with contextlib.suppress(OSError):
                file.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # someone else's
        return True
    return True


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
    try:
        with replacing(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, value in arrays.items():
                entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                # Fixed as well: the default depends on the operating system.
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, np.asanyarray(value), allow_pickle=False)
                archive.writestr(entry, buffer.getvalue())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; check that the folder exists and may be "
                         "written to") from error


# What NumPy and zipfile raise over files that are not what they should be.
UNREADABLE = (ValueError, TypeError, OSError, EOFError, KeyError, RuntimeError, SyntaxError, MemoryError, OverflowError,
              struct.error, zipfile.BadZipFile, zlib.error)


def load_npz(path: str | os.PathLike[str], keys: tuple[str, ...] | None) -> dict[str, npt.NDArray[Any]]:
    """Read the named arrays of an .npz file, or for None all of them, without pickle.

    Raises:
        InputError: no such file, not an .npz archive, an array that needs pickle, or a missing name.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        # Opened here: NumPy leaves a damaged file open.
        with path.open("rb") as file:
            start = file.read(6)
            if not start.startswith(b"PK"):
                single = "it holds a single array" if start == b"\x93NUMPY" else "it is not a NumPy archive"
                raise _refused(path, single if start else "it is empty")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            wanted = tuple(loaded.files) if keys is None else keys
            missing = [key for key in wanted if key not in loaded.files]
            if missing:
                raise InputError(f"{path} holds {', '.join(loaded.files) or 'nothing'} but not {', '.join(missing)}; "
                                 "is it the right kind of file?")
            arrays = {key: loaded[key] for key in wanted}
    except InputError:
        raise
    except UNREADABLE as error:
        raise _refused(path, unreadable(error)) from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise _refused(path, "it holds what is no array")
    return arrays


def unreadable(error: BaseException) -> str:
    """Why an array could not be read, in our words: NumPy's name the option that would run code from the file."""
    if str(error).startswith("Object arrays"):
        return "it holds Python objects, not numbers"
    return error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"


def _refused(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is not a readable .npz archive ({reason}); write it anew")
