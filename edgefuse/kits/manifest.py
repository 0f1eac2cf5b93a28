"""`kit.json`: how it is written, and what is asked of one before anything in it is believed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from edgefuse.labels import names_of
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256, write_bytes

SCHEMA = 1
MANIFEST = "kit.json"
SIGNATURE = "kit.json.sig"
"""Beside the manifest, where `ssh-keygen -Y sign` puts it; over the manifest, and so over every file."""
LARGEST = 16 << 20
"""Bytes of a manifest; those of real kits have some ten thousand."""
LONGEST = 100
"""Characters of a kit's name, of its version, of a class and of a file's name."""
MOST_DIGITS = 300
"""Of a whole number; a float has no more."""

_HASH = re.compile(r"[0-9a-f]{64}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_JOINERS = re.compile("[\u200c\u200d]")
"""Without width, yet part of how Persian and Hindi are written."""


def compose(content: dict[str, Any], files: Mapping[str, Path]) -> bytes:
    """The manifest that says `content`, lists and hashes the files by their names in the kit, and its digest."""
    listed = {name: {"sha256": sha256(path), "bytes": path.stat().st_size} for name, path in files.items()}
    manifest = {"schema": SCHEMA, **content, "files": listed}
    return _serialize(manifest | {"digest": _digest(manifest)})


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write the manifest of every file there is in `folder`."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    write_bytes(folder / MANIFEST, compose(content, files))


def read_manifest(data: bytes, where: Path | str) -> dict[str, Any]:
    """The manifest out of its bytes.

    Args:
        data: content of `kit.json`.
        where: the kit, for sentences.

    Raises:
        BadInput: it is damaged, of a newer schema, or says what no manifest may say.
    """
    damaged = BadInput(f"{MANIFEST} of the kit {where} is damaged (its digest does not fit); copy the kit again.")
    if len(data) > LARGEST:
        raise BadInput(f"{MANIFEST} of the kit {where} is larger than any manifest; do not use this kit.")
    try:
        manifest = json.loads(data, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(manifest, dict):
        raise damaged
    schema = manifest.get("schema")
    if type(schema) is not int or schema < SCHEMA:
        raise damaged
    if schema > SCHEMA:
        raise BadInput(f"The kit {where} has schema {schema} and this edgefuse reads up to {SCHEMA}; upgrade edgefuse.")
    try:
        whole = _serialize(manifest) == data and manifest.get("digest") == _digest(manifest)
    except (ValueError, RecursionError) as error:  # a changed digit can make a number infinite
        raise damaged from error
    if not whole:
        raise damaged
    problem = _problem(manifest)
    if problem:
        raise BadInput(f"The manifest of the kit {where} is wrong: {problem}; do not use this kit.")
    return manifest


def is_plain(name: str) -> bool:
    """Whether a file's name is a relative path that can lead nowhere but below its folder."""
    return (
        bool(name)
        and not PurePosixPath(name).is_absolute()
        and "\\" not in name
        and not any(part in ("..", ".", "") for part in name.split("/"))
        and is_readable(name)
    )


def is_readable(text: Any) -> bool:
    """Whether it is a short text that shows all it holds: no control characters, which could rewrite a screen."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST and text.isprintable()


def wrong_class_names(said: Any, classes: Sequence[str]) -> str:
    """What is wrong with the classes' names in other languages, {language: {class: name}}; "" where nothing is."""
    if not isinstance(said, dict) or not all(isinstance(names, dict) for names in said.values()):
        return "its class names are no table of languages"
    for language, names in said.items():
        if not _LANGUAGE.fullmatch(language):
            return f"{language[:LONGEST]!r} is no code of a language, such as 'fr'"
        unknown = sorted(names.keys() - set(classes))
        if unknown:
            return f"it names a class {unknown[0][:LONGEST]!r} in {language}, and has none"
        if not all(isinstance(name, str) and is_readable(_JOINERS.sub("", name)) for name in names.values()):
            return f"its class names in {language} are no short, plain texts"
        shown = [names.get(name, name) for name in classes]
        if len(set(shown)) < len(shown):
            return f"two of its classes have one name in {language}"
    return ""


def _wrong_evaluation_samples(manifest: dict[str, Any]) -> str:
    """What is wrong with the evaluation samples of a manifest whose other parts are right; "" where nothing is."""
    said = manifest.get("evaluation_samples", {})
    samples = said.get("samples") if isinstance(said, dict) else None
    if said == {}:
        return ""
    if not isinstance(samples, list) or not samples:
        return "its evaluation samples are no list of some"
    if not all(isinstance(said.get(key), str) and said[key] for key in ("consent", "licence")):
        return "its evaluation samples come without consent or licence"
    multilabel = manifest.get("head", {}).get("task") == "multilabel"
    files, classes = manifest.get("files", {}), manifest.get("classes", [])
    for number, sample in enumerate(samples, start=1):
        parts = [sample.get(key) for key in ("image", "text", "label")] if isinstance(sample, dict) else [None]
        words = [part for part in parts if isinstance(part, str)]
        if len(words) < 3:
            return f"its evaluation sample {number} lacks a picture, a note or a label"
        if not files.keys() >= set(words[:2]):
            return f"its evaluation sample {number} is in no file that it lists"
        if not set(names_of(words[2], multilabel=multilabel)) <= set(classes):
            return f"its evaluation sample {number} has a label that is none of its classes"
    return ""


def _problem(manifest: dict[str, Any]) -> str:
    """What a manifest says that none may say; "" where nothing is wrong. What is missing is told by who needs it."""
    for key in ("name", "version"):
        if key in manifest and not is_readable(manifest[key]):
            return f"its {key} is no short, plain text"
    classes = manifest.get("classes", [])
    if not isinstance(classes, list) or not all(is_readable(name) for name in classes):
        return "its classes are no list of short, plain texts"
    wrong = wrong_class_names(manifest.get("class_names", {}), classes)
    if wrong:
        return wrong
    for key in ("files", "encoders", "head", "dataset"):
        if not isinstance(manifest.get(key, {}), dict):
            return f"its {key} are no table"
    leaks = manifest.get("dataset", {}).get("leaks", [])
    if not isinstance(leaks, list) or not all(is_readable(field) for field in leaks):
        return "its leaks are no list of short, plain texts"
    files = manifest.get("files", {})
    for name, entry in files.items():
        if not is_plain(name) or name in (MANIFEST, SIGNATURE):
            return f"it names a file outside the kit or under a name that no file may have ({name[:LONGEST]!r})"
        if not isinstance(entry, dict) or not _HASH.fullmatch(str(entry.get("sha256"))):
            return f"it has no sha256 for {name}"
        size = entry.get("bytes")
        if type(size) is not int or size < 0:
            return f"it has no size for {name}"
    folded = [name.casefold() for name in files]
    if len(set(folded)) < len(folded):
        return "two of its files have names that differ in capitals only"
    folders = {str(parent) for name in folded for parent in PurePosixPath(name).parents}
    if folders & set(folded):
        return "it names something both as a file and as a folder"
    return _wrong_evaluation_samples(manifest)


def _whole_number(digits: str) -> int:
    """A number that is no larger than a float can be: whoever prints or compares a larger one would fail."""
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"{len(digits)} digits are too many")
    return int(digits)


def _serialize(manifest: dict[str, Any]) -> bytes:
    """The one way to write a manifest down: any other bytes are refused."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _digest(manifest: dict[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(_serialize(rest)).hexdigest()
