"""What the log keeps of a picture and its note: keyed hashes, and they themselves only where that was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from edgefuse.answering.prediction import Prediction
from edgefuse_runtimes.files import sync_folder

FOLDER = "pictures"
"""Below the log's folder: the pictures that were kept."""

HASH_BYTES = 16


@dataclass(frozen=True)
class Given:
    """What an answer is about, as the log will know it."""

    picture_hash: str | None = None
    """Hex, keyed with the device key; None: there was no picture, or no key can be kept here."""
    note_hash: str | None = None
    names: tuple[tuple[str, str], ...] = ()
    """Paths that the answer may name, with the words that stand for them in the log: a path may name a person."""
    kept_picture: bytes | None = None
    """The picture's file, where it is to be kept."""
    kept_note: str | None = None
    suffix: str = ""
    """Of the picture's file, such as ".jpg"."""


def read_given(
    key: bytes | None, picture: Path | None, note: str | None, *, note_file: str | None = None, keep: bool = False
) -> Given:
    """Hash the picture's file and the note's words with the device key; with `keep`, also read the picture to keep it.

    A picture that cannot be read is None here: the classifier says what is wrong with it.
    """
    try:
        readable = picture if picture is not None and picture.is_file() else None
        picture_hash = _picture_hash(readable, key) if readable is not None and key is not None else None
        kept = readable.read_bytes() if readable is not None and keep else None
    except OSError:
        picture_hash = kept = None
    names = [(str(picture), "the picture")] if picture is not None else []
    names += [(note_file, "the note")] if note_file is not None and note_file != "-" else []
    return Given(
        picture_hash=picture_hash,
        note_hash=_note_hash(note, key) if note is not None and key is not None else None,
        names=() if keep else tuple(names),
        kept_picture=kept,
        kept_note=note if keep else None,
        suffix=picture.suffix.lower() if picture is not None and picture.suffix[1:].isalnum() else "",
    )


def case_id(words: str | None) -> str | None:
    """What a user calls a case, on one line and without what a terminal would obey; None where nothing is left."""
    if words is None:
        return None
    readable = words.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return on_one_line(readable) or None


def on_one_line(words: str) -> str:
    """Words without what a terminal would obey."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())


def without_names(prediction: Prediction, given: Given) -> Prediction:
    """The answer as the log has it: without the paths of picture and note, unless those are kept themselves."""
    if not given.names:
        return prediction
    return replace(prediction, image=None, notes=[_without(sentence, given.names) for sentence in prediction.notes])


def new_picture_name(suffix: str) -> str:
    """A name that tells nothing, for a picture that is kept."""
    return secrets.token_hex(8) + suffix


def write_picture(folder: Path, name: str, content: bytes) -> None:
    """Put a picture that the log names already below its folder and have it on the disk.

    It is written in place: whatever a power cut leaves of it has a name that the log knows, and so can be purged.
    """
    place = folder / FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(place)


def remove_pictures(folder: Path, names: Iterable[str]) -> None:
    """Remove pictures that were kept."""
    place = folder / FOLDER
    if not place.is_dir():
        return
    for name in names:
        (place / name).unlink(missing_ok=True)
    sync_folder(place)


def _picture_hash(picture: Path, key: bytes) -> str:
    with picture.open("rb") as file:
        keyed = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=HASH_BYTES, key=key, person=b"picture"))
    return keyed.hexdigest()


def _note_hash(note: str, key: bytes) -> str:
    told = json.dumps(note.strip()).encode()  # as every tokenizer reads it; JSON has words for lone surrogates
    return hashlib.blake2b(told, digest_size=HASH_BYTES, key=key, person=b"logged note").hexdigest()


def _without(sentence: str, names: Iterable[tuple[str, str]]) -> str:
    for name, words in names:
        sentence = sentence.replace(name, words)
    return sentence
