"""The text cache: vectors of notes that were encoded before, on disk, for this user only.

The note itself is not stored, and its name in the cache is a hash keyed with the device key. A vector is found again
only for the same note, the same encoder and tokenizer files, read and run in the same way. Every record is hidden under
a keyed stream: a vector in plain sight could be compared with those of guessed notes by whoever has the cache alone.
And it carries a keyed hash of its own content, so that no damage to the file, of whatever kind, becomes an answer.

SQLite does the locking between processes. The order of use is a counter, since a small device may have no clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefuse import __version__
from edgefuse.answering.device_key import device_key
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.encoder import ENGINES
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import cache_home
from edgefuse_runtimes.machine import cpu_model
from edgefuse_runtimes.probe import library_version
from edgefuse_runtimes.spec import EncoderSpec

try:
    import sqlite3
except ImportError:  # a Python that was built without it has no text cache
    sqlite3 = None  # type: ignore[assignment]

T = TypeVar("T")

SCHEMA = 2
FILE = "vectors.sqlite"
LIMIT = "EDGEFUSE_TEXT_CACHE_MB"
DEFAULT_MB = 64
"""4,000 vectors of the widest encoder (4096), 40,000 of a small one."""
NONCE = 16
"""Bytes; drawn anew for every record that is written, since one stream must never hide two contents."""

_LAYOUT = """
CREATE TABLE IF NOT EXISTS notes (
    name BLOB PRIMARY KEY, used INTEGER NOT NULL, nonce BLOB NOT NULL, hidden BLOB NOT NULL, seal BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS notes_used ON notes (used);
"""
_FORGET = "DELETE FROM notes WHERE name IN (SELECT name FROM notes ORDER BY used LIMIT 8)"
# Only integers count: a damaged cell may hold anything, and text is more than any number.
_LAST = "COALESCE((SELECT MAX(used) FROM notes WHERE typeof(used) = 'integer'), 0)"
_PUT = f"INSERT OR REPLACE INTO notes VALUES (?, {_LAST} + 1, ?, ?, ?)"  # noqa: S608 - a constant
_USE = f"UPDATE notes SET used = {_LAST} + 1 WHERE name = ? AND (typeof(used) <> 'integer' OR used < {_LAST})"  # noqa: S608


@dataclass(frozen=True)
class NoteVector:
    """What a text encoder made of a note, and how."""

    vector: NDArray[np.float32]
    """(d,)"""
    engine: str
    """What ran the encoder."""
    dropped: int
    """Tokens of the note that were over the limit."""
    remarks: tuple[str, ...]
    """What every answer with this vector must say about the choice of the engine."""


def open_text_cache() -> TextCache | None:
    """This user's text cache; None where it is switched off, or where nothing can be kept.

    Raises:
        BadInput: the size in the environment is no number.
    """
    limit = _limit()
    key = device_key() if limit and sqlite3 is not None else None
    if key is None:
        return None
    try:
        return TextCache(cache_folder(), key, limit)
    except FileNotFoundError:
        return None


def cache_folder() -> Path:
    """Where the cache lies.

    Raises:
        FileNotFoundError: there is no such place, since nothing tells the user's home.
    """
    return cache_home() / "text-cache"


def deciding_facts(spec: EncoderSpec, locate: Callable[[str], Path], engine: str) -> list[Any]:
    """All but the note that decides a vector: files, how a note is read, and which engine would run where.

    Threads and memory settings are not among them: they change last digits, less than engines differ. Sizes and
    times of the files are, beside their hashes: opening a kit does not hash them again.
    """
    names = [spec.file, *(file.file for file in (spec.data, spec.tokenizer) if file is not None)]
    files = [(stat.st_size, stat.st_mtime_ns) for stat in (locate(name).stat() for name in names)]
    hashes = [spec.sha256, *(file.sha256 for file in (spec.data, spec.tokenizer) if file is not None)]
    assert spec.tokenization is not None
    read = [spec.pooling, spec.normalize, spec.width, asdict(spec.tokenization)]
    engines = ENGINES[spec.format]
    asked = [candidate for candidate in engines if candidate.name == engine] or engines
    runs = [(candidate.name, library_version(candidate)) for candidate in asked]
    return [SCHEMA, __version__, hashes, files, read, runs, platform.machine(), cpu_model()]


class TextCache(Closing):
    """Vectors by note, at most `limit` bytes of them on the disk; the longest unused go first.

    Whatever is wrong with the disk costs an encoding, never an answer: a damaged file is begun anew, and where the
    cache cannot be read or written it stays silent.
    """

    def __init__(self, folder: Path, key: bytes, limit: int) -> None:
        self._folder, self._key, self._limit = folder, key, limit
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._works = True

    def name(self, facts: list[Any], note: str) -> bytes:
        """What the note is called in the cache, for an encoder with these facts."""
        read = note.strip()  # as every tokenizer reads it
        told = json.dumps([facts, read]).encode()
        return hashlib.blake2b(told, digest_size=32, key=self._key, person=b"note").digest()

    def get(self, name: bytes) -> NoteVector | None:
        """The vector that is kept under this name, which is now the last used; None where there is none."""
        return self._try(lambda connection: self._get(connection, name))

    def put(self, name: bytes, found: NoteVector) -> None:
        """Keep a vector under this name."""
        self._try(lambda connection: self._put(connection, name, found))

    def close(self) -> None:
        """Let the file go."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _get(self, connection: sqlite3.Connection, name: bytes) -> NoteVector | None:
        row = connection.execute("SELECT nonce, hidden, seal FROM notes WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        nonce, hidden, seal = row
        is_whole = isinstance(nonce, bytes) and isinstance(hidden, bytes) and seal == self._seal(name, nonce, hidden)
        if not is_whole:
            connection.execute("DELETE FROM notes WHERE name = ?", (name,))
            return None
        connection.execute(_USE, (name,))
        about, vector = self._under_stream(nonce, hidden).split(b"\n", 1)
        said = json.loads(about)
        values = np.frombuffer(vector, "<f4").astype(np.float32)  # (d,)
        return NoteVector(values, said["engine"], said["dropped"], tuple(said["remarks"]))

    def _put(self, connection: sqlite3.Connection, name: bytes, found: NoteVector) -> None:
        about = json.dumps({"engine": found.engine, "dropped": found.dropped, "remarks": found.remarks})
        nonce = secrets.token_bytes(NONCE)
        hidden = self._under_stream(nonce, about.encode() + b"\n" + found.vector.astype("<f4").tobytes())
        row = (name, nonce, hidden, self._seal(name, nonce, hidden))
        with _transaction(connection):
            connection.execute(_PUT, row)
            while _bytes_in_use(connection) > self._limit:
                if not connection.execute(_FORGET).rowcount:
                    break

    def _seal(self, name: bytes, nonce: bytes, hidden: bytes) -> bytes:
        told = b"".join([name, len(nonce).to_bytes(8, "big"), nonce, hidden])
        return hashlib.blake2b(told, digest_size=16, key=self._key, person=b"seal").digest()

    def _under_stream(self, nonce: bytes, content: bytes) -> bytes:
        """`content` hidden, or what is hidden brought back: xor with keyed BLAKE2b of nonce and block number.

        A keyed hash of a counter is a stream cipher (Bernstein, "Salsa20 specification", 2005, does the same with its
        own hash), so that both the cache and the device key are needed to compare a vector with that of a guess.
        """
        keyed = hashlib.blake2b(nonce, key=self._key, person=b"stream")
        blocks = []
        for number in range(-(-len(content) // keyed.digest_size)):
            block = keyed.copy()
            block.update(number.to_bytes(8, "big"))
            blocks.append(block.digest())
        stream = np.frombuffer(b"".join(blocks), np.uint8)[: len(content)]
        return (np.frombuffer(content, np.uint8) ^ stream).tobytes()

    def _try(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `work` gives; None, from now on silently, where the cache cannot be used."""
        if not self._works:
            return None
        for attempt in range(2):
            try:
                if self._connection is None:
                    with self._locked():  # SQLite's own locks do not cover a file's first moments
                        self._connection = self._open()
                return work(self._connection)
            except (sqlite3.Error, OSError) as error:
                self.close()
                if attempt or not _is_damage(error):
                    break
                with contextlib.suppress(OSError), self._locked():
                    self._remove()
        self._works = False
        return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_mode & 0o077:
            self._folder.chmod(0o700)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _open(self) -> sqlite3.Connection:
        path = self._folder / FILE
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # SQLite gives its other files the same mode
        self._inode = os.fstat(handle).st_ino
        os.close(handle)
        # Statements commit by themselves; the classifier sees to it that threads take turns.
        connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA auto_vacuum = FULL")  # what is deleted makes the file smaller
            connection.execute("PRAGMA secure_delete = ON")  # and is overwritten
            # No write-ahead log: what is deleted stays readable in one, and a journal is emptied at each commit.
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            # No answer waits for a slow card: what a power cut damages is seen by its seal or by SQLite.
            connection.execute("PRAGMA synchronous = OFF")
            schema = connection.execute("PRAGMA user_version").fetchone()[0]
            if schema != SCHEMA:
                if schema:
                    raise sqlite3.DatabaseError(f"schema {schema}")
                connection.executescript(f"BEGIN IMMEDIATE; {_LAYOUT} PRAGMA user_version = {SCHEMA}; COMMIT;")
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        """Remove the damaged file and its journals, unless another process did and has begun a new one."""
        if (self._folder / FILE).stat().st_ino == self._inode:
            for file in self._folder.glob(f"{FILE}*"):
                file.unlink(missing_ok=True)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _bytes_in_use(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _is_damage(error: Exception) -> bool:
    """Whether the file is no cache of ours, and not just locked, full, or out of reach."""
    code = getattr(error, "sqlite_errorcode", None)
    passing = {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
    }  # fmt: skip
    return isinstance(error, sqlite3.Error) and (code is None or code & 0xFF not in passing)


def _limit() -> int:
    """Bytes that the cache may take; 0: there is none."""
    given = os.environ.get(LIMIT, "").strip()
    try:
        size = float(given) if given else DEFAULT_MB
    except ValueError:
        size = -1
    if not 0 <= size < 1e9:
        raise BadInput(f"{LIMIT} is {given!r}; set it to a number of megabytes, 0 for no text cache.")
    return int(size * 1e6)
