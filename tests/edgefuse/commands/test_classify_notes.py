"""`edgefuse classify`: where a note comes from, and what is done without one."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits.kit import Kit

NOTE = "Age: 45 years. Sex: male. Localization: trunk."

Answer = Callable[..., dict[str, Any]]


def test_a_note_comes_from_a_file_an_option_or_standard_input(
    answer: Answer, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note.txt").write_text(NOTE)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(NOTE.encode())))
    given = [("--note", NOTE), ("--text", tmp_path / "note.txt"), ("--text", "-")]
    first, second, third = (answer(picture, *options)["probabilities"] for options in given)
    assert first == second == third != answer(picture, "--note", "Something else.")["probabilities"]


def test_a_note_is_given_once(cli: Callable[..., Any], picture: Path) -> None:
    said = cli("classify", picture, "--note", NOTE, "--text", "note.txt").refusal
    assert "Give the note either with --text FILE or with --note WORDS" in said


def test_a_picture_or_a_note_alone_is_answered(cli: Callable[..., Any], tiny_kit: Path, picture: Path) -> None:
    kit = ("--kit", tiny_kit, "--engine", "numpy")
    alone: list[list[Path | str]] = [[picture], ["--note", NOTE]]
    by_picture, by_note = (json.loads(cli("classify", *given, *kit, "--json").out) for given in alone)
    assert (by_picture["missing"], by_picture["engines"]) == (["text"], {"image": "numpy", "text": None})
    assert (by_note["missing"], by_note["image"]) == (["image"], None)
    pages = [cli("classify", *given, *kit).out for given in alone]
    assert "No note was given: the image-only head answered (accuracy " in pages[0]
    assert "No picture was given: the text-only head answered (accuracy " in pages[1]
    assert "engines  image numpy\n" in pages[0]
    assert "engines  text numpy (vector from the cache)\n" in pages[1]


def test_neither_a_picture_nor_a_note_is_refused(cli: Callable[..., Any], tiny_kit: Path) -> None:
    assert "Give a picture IMAGE, a note with --text FILE or --note WORDS, or both" in cli("classify").refusal


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_an_empty_note_is_refused(refusal: Callable[..., str], picture: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "note.txt").write_bytes(content)
    said = "The note is empty; write at least a few words about the picture."
    assert refusal(picture, "--text", tmp_path / "note.txt") == said
    assert refusal(picture, "--note", content.decode("utf-8-sig")) == said


def test_a_missing_note_is_refused(refusal: Callable[..., str], picture: Path, tmp_path: Path) -> None:
    assert refusal(picture, "--text", tmp_path / "no.txt").startswith(f"There is no note at {tmp_path / 'no.txt'};")


def test_a_note_that_is_not_utf8_is_read_and_noted(answer: Answer, picture: Path, tmp_path: Path) -> None:
    latin = tmp_path / "latin1.txt"
    latin.write_bytes("Läsion am Bein".encode("latin-1"))
    found = answer(picture, "--text", latin)
    assert found["notes"] == [f"{latin} is not UTF-8 (byte 1); unreadable bytes were replaced."]
    assert found["probabilities"] == answer(picture, "--note", "L\ufffdsion am Bein")["probabilities"]
    on_the_command_line = answer(picture, "--note", os.fsdecode(latin.read_bytes()))
    assert on_the_command_line["notes"] == ["The note is not UTF-8 (byte 1); unreadable bytes were replaced."]
    assert on_the_command_line["probabilities"] == found["probabilities"]


def test_a_note_over_the_token_limit_is_cut_counted_and_noted(answer: Answer, tiny_kit: Path, picture: Path) -> None:
    limit = Kit.open(tiny_kit).text.tokenization.max_tokens
    cut = answer(picture, "--note", "x" * (limit + 5))
    assert cut["notes"] == ["The note is too long: its last 5 tokens were not read."]
    assert cut["probabilities"] == answer(picture, "--note", "x" * limit)["probabilities"]
