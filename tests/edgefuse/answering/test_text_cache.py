"""Vectors of notes on disk: found again, bounded, private, and never wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from note_vectors import FACTS, KEY, equal, keep, look_up, made

from edgefuse.answering.text_cache import (
    FILE,
    LIMIT,
    NoteVector,
    TextCache,
    cache_folder,
    deciding_facts,
    open_text_cache,
)
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import EncoderSpec, Tokenization, TokenizerFile

NOTE = "Age: 45 years. Sex: male. Localization: trunk."
SPEC = EncoderSpec(
    modality="text",
    format="onnx",
    file="text.onnx",
    sha256="1" * 64,
    bytes=3,
    precision="int8",
    width=8,
    pooling="mean",
    normalize=False,
    tokenization=Tokenization(max_tokens=16, add_bos=True, newline_to_space=False),
    tokenizer=TokenizerFile("tokenizer.json", "2" * 64, 2),
)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[TextCache]:
    with TextCache(tmp_path / "cache", KEY, 10**7) as opened:
        yield opened


def test_a_vector_is_found_again_by_the_next_process_too(cache: TextCache, tmp_path: Path) -> None:
    assert look_up(cache, NOTE) is None
    keep(cache, NOTE)
    assert equal(look_up(cache, NOTE), made(NOTE))
    cache.close()
    with TextCache(tmp_path / "cache", KEY, 10**7) as again:
        assert equal(look_up(again, NOTE), made(NOTE))
        assert equal(look_up(again, f"  {NOTE}\n"), made(NOTE))  # no tokenizer reads blanks at the ends
        assert look_up(again, NOTE.lower()) is None


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(), min_size=1), min_size=1, max_size=5))
def test_any_note_gets_its_own_vector(cache: TextCache, notes: list[str]) -> None:
    stripped = [note.strip() for note in notes]
    for note in stripped:
        keep(cache, note, width=4)
    assert all(equal(look_up(cache, note), made(note, 4)) for note in stripped)


def test_another_device_key_finds_nothing(cache: TextCache, tmp_path: Path) -> None:
    keep(cache, NOTE)
    with TextCache(tmp_path / "cache", bytes(32), 10**7) as other:
        assert look_up(other, NOTE) is None


# What decides a vector


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "text.onnx").write_bytes(b"abc")
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    return tmp_path


def test_whatever_decides_a_vector_is_in_its_name(files: Path, cache: TextCache) -> None:
    assert SPEC.tokenization is not None
    assert SPEC.tokenizer is not None
    changed = [
        dataclasses.replace(SPEC, sha256="3" * 64),
        dataclasses.replace(SPEC, pooling="cls"),
        dataclasses.replace(SPEC, normalize=True),
        dataclasses.replace(SPEC, tokenization=dataclasses.replace(SPEC.tokenization, max_tokens=17)),
        dataclasses.replace(SPEC, tokenization=dataclasses.replace(SPEC.tokenization, newline_to_space=True)),
        dataclasses.replace(SPEC, tokenizer=dataclasses.replace(SPEC.tokenizer, sha256="3" * 64)),
    ]
    names = {cache.name(deciding_facts(spec, files.joinpath, "auto"), NOTE) for spec in [SPEC, *changed]}
    names |= {cache.name(deciding_facts(SPEC, files.joinpath, engine), NOTE) for engine in ("numpy", "onnxruntime")}
    assert len(names) == 9
    # The name of an engine of the other format means "auto", as it does where encoders are opened.
    assert cache.name(deciding_facts(SPEC, files.joinpath, "llama.cpp"), NOTE) in names


@pytest.mark.parametrize("name", ["text.onnx", "tokenizer.json"])
def test_a_file_that_was_written_again_is_another_encoder(files: Path, name: str) -> None:
    before = deciding_facts(SPEC, files.joinpath, "auto")
    (files / name).write_bytes((files / name).read_bytes()[::-1])
    assert deciding_facts(SPEC, files.joinpath, "auto") != before


def test_another_version_of_a_library_is_another_engine(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = deciding_facts(SPEC, files.joinpath, "auto")
    monkeypatch.setattr("edgefuse_runtimes.probe.metadata.version", lambda package: "9.9.9")
    assert deciding_facts(SPEC, files.joinpath, "auto") != before


# Its size


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    limit = 500_000  # about 300 vectors of width 384
    notes = [f"note {number}" for number in range(1000)]
    with TextCache(tmp_path, KEY, limit) as cache:
        for note in notes:
            keep(cache, note)
            assert look_up(cache, notes[0]) is not None  # used all the time
        kept = [note for note in notes if look_up(cache, note) is not None]
    assert kept == [notes[0], *notes[-len(kept) + 1 :]]
    assert 200 < len(kept) < 400
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= limit


def test_a_smaller_limit_shrinks_the_file(tmp_path: Path) -> None:
    with TextCache(tmp_path, KEY, 10**7) as cache:
        for number in range(300):
            keep(cache, str(number))
    with TextCache(tmp_path, KEY, 10**5) as cache:
        keep(cache, "last")
        assert look_up(cache, "last") is not None
    assert (tmp_path / FILE).stat().st_size <= 10**5


def test_a_vector_that_is_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    with TextCache(tmp_path, KEY, 10**5) as cache:
        keep(cache, NOTE, width=100_000)
        assert look_up(cache, NOTE) is None
        keep(cache, NOTE)
        assert look_up(cache, NOTE) is not None


def test_the_size_is_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "0")
    assert open_text_cache() is None
    monkeypatch.setenv(LIMIT, "2.5")
    cache = open_text_cache()
    assert cache is not None
    assert cache._limit == 2_500_000
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv(LIMIT, wrong)
        with pytest.raises(BadInput, match=f"{LIMIT} is '{wrong}'; set it to a number of megabytes"):
            open_text_cache()


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert open_text_cache() is None


# Privacy


def test_no_word_of_a_note_is_in_any_file_and_no_other_user_can_read_one() -> None:
    cache = open_text_cache()
    assert cache is not None
    with cache:
        keep(cache, NOTE)
        assert look_up(cache, NOTE) is not None
        files = [file for file in cache_folder().rglob("*") if file.is_file()]
        assert {file.name for file in files} == {FILE, f"{FILE}-journal", "lock"}
        content = b"".join(file.read_bytes() for file in files)
        modes = {file.stat().st_mode & 0o777 for file in files}
    assert modes == {0o600}
    assert cache_folder().stat().st_mode & 0o777 == 0o700
    assert len(content) > made(NOTE).vector.nbytes
    assert not [word for word in NOTE.split() if word.strip(".:").encode() in content and len(word) > 3]
    for digest in (hashlib.sha256, hashlib.blake2b, hashlib.md5):  # no plain hash, which could be guessed back
        assert digest(NOTE.encode()).digest() not in content


def test_who_has_the_cache_alone_can_compare_no_vector_with_that_of_a_guess(tmp_path: Path) -> None:
    """Nor tell whether two notes have the same one, or whether a note was put there twice."""
    same = NoteVector(np.full(384, 0.25, np.float32), "numpy", 0, ("the same words",))
    with TextCache(tmp_path, KEY, 10**7) as cache:
        for note in (NOTE, "another"):
            cache.put(cache.name(FACTS, note), same)
            assert equal(look_up(cache, note), same)
        first = hidden(tmp_path / FILE)
        cache.put(cache.name(FACTS, NOTE), same)
        both = first | hidden(tmp_path / FILE)
    assert len(both) == 3
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not [plain for plain in (same.vector.tobytes()[:8], b"numpy", b"the same words") if plain in content]
    pieces = [record[at : at + 64] for record in both for at in range(0, len(record) - 63, 64)]
    assert len(set(pieces)) == len(pieces)


def hidden(path: Path) -> set[bytes]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {record for (record,) in connection.execute("SELECT hidden FROM notes")}


def test_what_is_forgotten_is_overwritten(tmp_path: Path) -> None:
    with TextCache(tmp_path, KEY, 10**5) as cache:
        keep(cache, NOTE)
        (record,) = hidden(tmp_path / FILE)
        pieces = [record[at : at + 32] for at in range(0, len(record) - 32, 32)]  # it may lie across pages
        assert any(piece in (tmp_path / FILE).read_bytes() for piece in pieces)
        for number in range(100):
            keep(cache, str(number))
        assert look_up(cache, NOTE) is None
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir())  # journals too, while it is open
    assert not any(piece in content for piece in pieces)
