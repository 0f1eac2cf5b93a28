"""A text cache that others write too, that was cut short, or whose bytes changed: never a wrong vector."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import note_vectors
import pytest
from note_vectors import KEY, equal, keep, look_up, made

from edgefuse.answering.text_cache import (
    FILE,
    TextCache,
)

NOTE = "Age: 45 years. Sex: male. Localization: trunk."

HAMMER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from edgefuse.answering.text_cache import TextCache
from note_vectors import KEY, equal, keep, look_up, made
import random
chosen = random.Random(int(sys.argv[2]))
hits = 0
with TextCache(Path(sys.argv[1]), KEY, 300_000) as cache:
    for _ in range(400):
        note = f"note {chosen.randrange(250)}"
        found = look_up(cache, note)
        if found is None:
            keep(cache, note)
        else:
            assert equal(found, made(note)), note
            hits += 1
    assert cache._works
print(hits)
"""


def hammer(folder: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HAMMER, str(folder), str(seed), str(Path(note_vectors.__file__).parent)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_share_it(tmp_path: Path) -> None:
    children = [hammer(tmp_path, seed) for seed in range(3)]
    for child in children:
        out, err = child.communicate()
        assert (child.returncode, err) == (0, "")
        assert int(out) > 50  # also what the others had put there
    assert (tmp_path / FILE).stat().st_size <= 300_000


def test_a_killed_process_leaves_a_cache_that_works(tmp_path: Path) -> None:
    for seed in range(3):
        child = hammer(tmp_path, seed)
        while not (tmp_path / FILE).exists():
            assert child.poll() is None
        with TextCache(tmp_path, KEY, 300_000) as cache:
            while look_up(cache, "note 7") is None and child.poll() is None:
                pass
        child.kill()
        child.wait()
        with TextCache(tmp_path, KEY, 300_000) as cache:
            for number in range(250):
                found = look_up(cache, f"note {number}")
                assert found is None or equal(found, made(f"note {number}"))
            keep(cache, "after all")
            assert look_up(cache, "after all") is not None


def filled(folder: Path) -> Path:
    with TextCache(folder, KEY, 10**7) as cache:
        for number in range(30):
            keep(cache, str(number))
    return folder / FILE


@pytest.mark.parametrize(
    "content", [b"no database", b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000], ids=["text", "zeros", "header"]
)
def test_a_file_that_is_no_cache_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    filled(tmp_path).write_bytes(content)
    with TextCache(tmp_path, KEY, 10**7) as cache:
        keep(cache, NOTE)
        assert equal(look_up(cache, NOTE), made(NOTE))


def test_a_cache_of_an_older_layout_is_begun_anew(tmp_path: Path) -> None:
    """Whose vectors lay in plain sight."""
    path = filled(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DROP TABLE notes; CREATE TABLE notes (name BLOB PRIMARY KEY, used INTEGER NOT NULL, about TEXT NOT NULL, "
            "vector BLOB NOT NULL, seal BLOB NOT NULL); INSERT INTO notes VALUES (1, 1, '', 'in plain sight', 2);"
            "PRAGMA user_version = 1;"
        )
    with TextCache(tmp_path, KEY, 10**7) as cache:
        keep(cache, NOTE)
        assert equal(look_up(cache, NOTE), made(NOTE))
    assert b"in plain sight" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_a_cache_of_another_layout_is_begun_anew(tmp_path: Path) -> None:
    path = filled(tmp_path)
    connection = sqlite3.connect(path)
    connection.executescript("DROP TABLE notes; CREATE TABLE notes (a, b); PRAGMA user_version = 7;")
    connection.close()
    with TextCache(tmp_path, KEY, 10**7) as cache:
        keep(cache, NOTE)
        assert equal(look_up(cache, NOTE), made(NOTE))


def test_no_changed_bytes_ever_become_an_answer(tmp_path: Path) -> None:
    path = filled(tmp_path)
    whole, chosen = path.read_bytes(), random.Random(0)
    lost = 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chosen.choice([1, 20, 400])):
            data[chosen.randrange(100, len(data))] ^= 1 << chosen.randrange(8)
        path.write_bytes(data)
        with TextCache(tmp_path, KEY, 10**7) as cache:
            for number in range(30):
                found = look_up(cache, str(number))
                assert found is None or equal(found, made(str(number)))
                lost += found is None
            keep(cache, NOTE)
            assert equal(look_up(cache, NOTE), made(NOTE))
    assert lost > 60


@pytest.mark.parametrize("used", ["words", b"\xff", 2.5, 2**63 - 1])
def test_a_damaged_order_of_use_is_no_error(tmp_path: Path, used: object) -> None:
    path = filled(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE notes SET used = ? WHERE used = 3", (used,))
        connection.commit()
    with TextCache(tmp_path, KEY, 10**7) as cache:
        assert all(equal(look_up(cache, str(number)), made(str(number))) for number in range(30))
        keep(cache, NOTE)
        assert equal(look_up(cache, NOTE), made(NOTE))


def test_vectors_exchanged_between_notes_are_seen(tmp_path: Path) -> None:
    path = filled(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE notes SET (nonce, hidden, seal) = (SELECT nonce, hidden, seal FROM notes WHERE used = 1)"
    )
    connection.commit()
    connection.close()
    with TextCache(tmp_path, KEY, 10**7) as cache:
        assert [equal(look_up(cache, str(number)), made(str(number))) for number in range(3)] == [True, False, False]


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null/cache"])
def test_where_nothing_can_be_written_it_is_silent(home: str) -> None:
    with TextCache(Path(home), KEY, 10**7) as cache:
        keep(cache, NOTE)
        assert look_up(cache, NOTE) is None
