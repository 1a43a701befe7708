"""The file that keeps the points of a sweep: SQLite, one row a point, opened again by the command that made it."""

import contextlib
import fcntl
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ..golden.errors import InputError
from .points import Entry, Point, Sweep, canonical

SCHEMA = 1
_TABLES = """
CREATE TABLE sweep (identity TEXT NOT NULL);
CREATE TABLE points (
    key TEXT PRIMARY KEY, parameters TEXT NOT NULL, seed INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'failed')),
    runs INTEGER NOT NULL DEFAULT 0, seconds REAL, result TEXT, error TEXT
) WITHOUT ROWID;
"""
_COLUMNS = "key, parameters, seed, state, runs, seconds, result, error"


class Store:
    """The points of one sweep in a file, or in memory without one.

    Every change is committed at once (write-ahead log): a process that is killed loses none of them, a machine that
    loses its power at most the last. One process writes at a time; others may read the file meanwhile.

    Args:
        path: the file, made where there is none; None: in memory. anew: throw away what is in it, whatever that is.

    Raises:
        InputError: a file that is no store or damaged, that is another sweep's, that another process fills, or that
            cannot be made; every method: a file that is damaged or cannot be written.
    """

    def __init__(self, path: Path | None, sweep: Sweep, anew: bool = False) -> None:
        self.path, self.sweep = path, sweep
        self._lock: IO[bytes] | None = None
        try:
            self._lock = None if path is None else _locked(path)
            if anew and path is not None:  # not before the lock is ours, and never the lock itself
                for end in ("", "-wal", "-shm"):
                    path.with_name(path.name + end).unlink(missing_ok=True)
            self._base = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._base.close()
                raise
        except sqlite3.DatabaseError as error:
            self._unlock()
            raise InputError(f"{path} is no store of a sweep ({error}); name another folder") from None
        except BaseException:
            self._unlock()
            raise

    def _prepare(self) -> None:
        base, mine = self._base, canonical(self.sweep.identity)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        (version,) = base.execute("PRAGMA user_version").fetchone()
        if version == 0 and not base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            base.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
            base.execute("INSERT INTO sweep VALUES (?)", (mine,))
        elif version != SCHEMA:
            raise InputError(f"{self.path} was written by another version of striate; name another folder")
        row = base.execute("SELECT identity FROM sweep").fetchone()
        if row is None:  # killed between making the tables and marking them
            base.execute("INSERT INTO sweep VALUES (?)", (mine,))
        elif row[0] != mine:
            theirs = json.loads(row[0])
            if theirs.get("job") != self.sweep.job:  # not for --force to replace: who gave it means another folder
                raise InputError(
                    f"{self.path} holds another experiment ({_difference(theirs, json.loads(mine))}); name another "
                    "folder"
                )
            raise InputError(
                f"{self.path} holds another sweep ({_difference(theirs, json.loads(mine))}); name another "
                f"folder, or replace it with --force"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; further calls fail."""
        self._base.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()

    # ---- writing -----------------------------------------------------------------------------------------------------
    def add(self, points: Iterable[Point]) -> list[str]:
        """Queue the points that are not there yet; the keys of all of them, in order, each once."""
        keys = {self.sweep.key(point): point for point in points}
        rows = [(key, canonical(dict(point.parameters)), point.seed) for key, point in keys.items()]
        with self._transaction():
            self._base.executemany("INSERT OR IGNORE INTO points (key, parameters, seed) VALUES (?, ?, ?)", rows)
        return list(keys)

    def start(self, key: str) -> None:
        """Count one more start of a point."""
        self._change("UPDATE points SET runs = runs + 1 WHERE key = ? AND state = 'queued'", key)

    def finish(self, key: str, result: Any, seconds: float) -> None:
        """Keep a point's result."""
        self._change("UPDATE points SET state = 'done', result = ?, seconds = ? WHERE key = ? AND state = 'queued'",
                     canonical(result), seconds, key)  # fmt: skip

    def fail(self, key: str, error: str, seconds: float) -> None:
        """Keep why a point has no result, in one line."""
        line = " ".join(error.split())
        self._change("UPDATE points SET state = 'failed', error = ?, seconds = ? WHERE key = ? AND state = 'queued'",
                     line, seconds, key)  # fmt: skip

    def retry(self, keys: Iterable[str]) -> None:
        """Queue those of the points that failed once more."""
        with self._transaction():
            self._base.executemany(
                "UPDATE points SET state = 'queued', error = NULL WHERE key = ? AND state = 'failed'",
                [(key,) for key in keys],
            )

    def _change(self, command: str, *values: Any) -> None:
        with self._transaction():
            if self._base.execute(command, values).rowcount != 1:
                raise KeyError(f"no queued point {values[-1]}")

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        try:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")
        except sqlite3.OperationalError as error:  # no room, no right to write
            raise InputError(f"cannot write {self.path}: {error}; make room, then give the command again") from None
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"{self.path} is damaged ({error}); begin anew with --force, or in another folder")

    # ---- reading -----------------------------------------------------------------------------------------------------
    def entries(self, keys: Sequence[str] | None = None) -> list[Entry]:
        """The rows of some points in their order; None: of all, in the order of their keys."""
        rows = {row[0]: row for row in self._rows(f"SELECT {_COLUMNS} FROM points ORDER BY key")}
        try:
            return [_entry(rows[key]) for key in (rows if keys is None else keys)]
        except ValueError as error:
            raise self._damaged(error) from None

    def digest(self) -> str:
        """Hexadecimal SHA-256 of all results and errors: equal however the points were run."""
        rows = self._rows("SELECT key, state, result, error FROM points ORDER BY key")
        return hashlib.sha256(canonical(rows).encode()).hexdigest()

    def _rows(self, command: str) -> list[tuple[Any, ...]]:
        try:
            return self._base.execute(command).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None


def _entry(row: tuple[Any, ...]) -> Entry:
    key, parameters, seed, state, runs, seconds, result, error = row
    point = Point(json.loads(parameters), seed)
    return Entry(key, point, state, runs, seconds, None if result is None else json.loads(result), error)


def _locked(path: Path) -> IO[bytes]:
    """An open file whose lock says that this process fills the store; it goes with the process.

    A file of its own: closing any second handle of the store would undo SQLite's own locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock").open("ab")
    except OSError as error:
        raise InputError(f"cannot make {path}: {error.strerror}; name another folder") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InputError(f"{path} is being filled by another process; wait for it, or name another folder") from None
    return lock


def _difference(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    """The first thing in which two identities differ, in words."""
    for name in dict.fromkeys((*mine, *theirs)):
        if theirs.get(name) != mine.get(name):
            shown = [canonical(of.get(name)) for of in (theirs, mine)]
            if all(len(text) <= 60 for text in shown) and None not in (theirs.get(name), mine.get(name)):
                return f"of {name} {shown[0]}, not {shown[1]}"
            return f"of other {name}"
    return "of other parts"
