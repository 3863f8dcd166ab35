"""The index: what the manifests of all images say, in one SQLite database, for lists.

It is a cache and nothing else. Whoever asks it compares it first with the image IDs on disk, adds
the manifests that it lacks and drops what is gone. So an import or a removal need not write to it;
an index that was deleted or is damaged is made again, and where none can be written it is made
in memory. A start does without: importing SQLite alone takes 5 ms.
"""
from __future__ import annotations

import os
import sqlite3

from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BUSY_TIMEOUT_S = 10.0
_MEMORY = ":memory:"
# What brings a database from version N to N+1. Add steps; never change one that was released.
MIGRATIONS = (
    """
    CREATE TABLE image (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE label (
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (image, name)) WITHOUT ROWID;
    """,
)


class Row(Value):
    """What the index knows of an image."""

    id: str
    name: str
    labels: dict[str, str]


def rows(path: str, ids: Iterable[str], describe: Callable[[str], Row | None]) -> list[Row]:
    """A row for each of the images on disk, in no particular order.

    `describe` gives the row of an image that the index does not have, or None if its
    manifest cannot be read.
    """
    wanted = set(ids)
    try:
        return _rows(path, wanted, describe)
    except sqlite3.DatabaseError as err:
        if not _is_damage(err):  # read-only, no room, locked for too long, or of a later rkt
            return _rows(_MEMORY, wanted, describe)
    _delete(path)
    try:
        return _rows(path, wanted, describe)
    except sqlite3.DatabaseError:
        return _rows(_MEMORY, wanted, describe)


def _rows(path: str, wanted: set[str], describe: Callable[[str], Row | None]) -> list[Row]:
    database = _open(path)
    try:
        known = {image for image, in database.execute("SELECT id FROM image")}
        fresh = [row for image in wanted - known if (row := describe(image)) is not None]
        if fresh or known - wanted:
            _store(database, fresh, known - wanted)
        labels: dict[str, dict[str, str]] = {}
        for image, name, value in database.execute("SELECT image, name, value FROM label"):
            labels.setdefault(image, {})[name] = value
        return [Row(image, name, labels.get(image, {}))
                for image, name in database.execute("SELECT id, name FROM image")]
    finally:
        database.close()


def _store(database: sqlite3.Connection, fresh: list[Row], gone: set[str]) -> None:
    with _Transaction(database):
        database.executemany("DELETE FROM image WHERE id = ?", [(image,) for image in gone])
        database.executemany("INSERT OR REPLACE INTO image VALUES (?, ?)", [(row.id, row.name) for row in fresh])
        database.executemany("INSERT OR REPLACE INTO label VALUES (?, ?, ?)",
                             [(row.id, name, value) for row in fresh for name, value in row.labels.items()])


def _open(path: str) -> sqlite3.Connection:
    """A connection to a database of our schema, made or migrated if need be."""
    if path != _MEMORY:
        _make(path)
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        database.execute("PRAGMA foreign_keys = ON")
        version = _version(database)
        if version > len(MIGRATIONS):
            raise LaterIndex(f"{path}: schema version {version}, this rkt knows {len(MIGRATIONS)}")
        if version < len(MIGRATIONS):
            database.execute("PRAGMA journal_mode = WAL")
            with _Transaction(database):
                for step in MIGRATIONS[_version(database):]:  # asked again: another process may have been faster
                    for statement in step.split(";"):
                        database.execute(statement)
                database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        return database
    except BaseException:
        database.close()
        raise


class LaterIndex(sqlite3.OperationalError):
    """The index was made by a later rkt; it is left alone."""


class _Transaction:
    """All of a block or nothing of it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def __enter__(self) -> None:
        self.database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_error: object) -> None:
        if kind is None:
            self.database.execute("COMMIT")
        elif self.database.in_transaction:  # SQLite rolls back by itself when the disk is full
            self.database.execute("ROLLBACK")


def _version(database: sqlite3.Connection) -> int:
    (version,), = database.execute("PRAGMA user_version")
    return int(version)


def _make(path: str) -> None:
    """An empty file that the group may write to; SQLite gives its other files the same mode."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
    except OSError:
        return  # there, or not to be had: connecting tells
    os.fchmod(fd, 0o660)
    os.close(fd)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether a new database would help: not a database, malformed, or without a table it should have."""
    if isinstance(error, LaterIndex):
        return False
    return not isinstance(error, sqlite3.OperationalError) or error.sqlite_errorcode == sqlite3.SQLITE_ERROR


def _delete(path: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        try:
            os.unlink(path + suffix)
        except OSError:
            pass
