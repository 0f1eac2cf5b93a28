"""A manifest that says what none may say is refused, although its digest fits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.kits.manifest import LARGEST, is_plain, read_manifest
from edgefuse_runtimes.errors import BadInput

ENTRY = {"sha256": "0" * 64, "bytes": 1}
SAMPLE = {"image": "head.npz", "text": "head.npz", "label": "a"}
STATED = {"consent": "all agreed", "licence": "CC0-1.0"}


def written(**said: Any) -> bytes:
    """A manifest with the digest that fits it."""
    manifest = {"schema": 1, "name": "k", "version": "1", "classes": ["a"], "files": {"head.npz": ENTRY}} | said

    def text(value: dict[str, Any]) -> bytes:
        return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    return text(manifest | {"digest": hashlib.sha256(text(manifest)).hexdigest()})


def test_a_right_one_is_read() -> None:
    assert read_manifest(written(), "here")["name"] == "k"
    for head, label in (({}, "a"), ({"task": "multilabel"}, "a|a"), ({"task": "multilabel"}, "")):
        labelled = STATED | {"samples": [SAMPLE | {"label": label}]}
        assert read_manifest(written(head=head, evaluation_samples=labelled), "here")["name"] == "k"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"/etc/passwd": ENTRY}, "outside the kit"),
        ({"../outside": ENTRY}, "outside the kit"),
        ({"golden/../../outside": ENTRY}, "outside the kit"),
        ({"a\0b": ENTRY}, "outside the kit"),
        ({"a\\b": ENTRY}, "outside the kit"),
        ({"a\nb": ENTRY}, "outside the kit"),
        ({"": ENTRY}, "outside the kit"),
        ({"kit.json": ENTRY}, "a name that no file may have"),
        ({"kit.json.sig": ENTRY}, "a name that no file may have"),
        ({"Head.npz": ENTRY, "head.npz": ENTRY}, "differ in capitals only"),
        ({"golden": ENTRY, "Golden/0.png": ENTRY}, "both as a file and as a folder"),
        ({"a": {"sha256": "0" * 63, "bytes": 1}}, "no sha256 for a"),
        ({"a": {"sha256": "0" * 64, "bytes": -1}}, "no size for a"),
        ({"a": {"sha256": "0" * 64, "bytes": True}}, "no size for a"),
        ({"a": {"sha256": "0" * 64}}, "no size for a"),
        ({"a": "b"}, "no sha256 for a"),
        (["a"], "its files are no table"),
    ],
)
def test_files_that_no_kit_has(files: Any, why: str) -> None:
    with pytest.raises(BadInput, match=f"The manifest of the kit here is wrong: .*{why}.*; do not use this kit"):
        read_manifest(written(files=files), "here")


@pytest.mark.parametrize(
    "said",
    [
        {"name": "\x1b[2J"},
        {"name": ""},
        {"name": 7},
        {"version": "x" * 101},
        {"classes": "abc"},
        {"classes": ["a\nb"]},
        {"dataset": 7},
        {"dataset": {"leaks": [7]}},
        {"encoders": []},
        {"head": "x"},
        *(
            {"evaluation_samples": said}
            for said in (
                7,
                [SAMPLE],
                STATED | {"samples": {}},
                STATED | {"samples": []},
                STATED | {"samples": [7]},
                STATED | {"samples": [{"image": "head.npz", "text": "head.npz"}]},
                STATED | {"samples": [SAMPLE | {"label": 7}]},
                STATED | {"samples": [SAMPLE | {"label": "b"}]},
                STATED | {"samples": [SAMPLE | {"image": "../outside"}]},
                STATED | {"samples": [SAMPLE | {"text": ["head.npz"]}]},
                {"samples": [SAMPLE]},
                STATED | {"samples": [SAMPLE], "consent": ""},
            )
        ),
    ],
)
def test_words_that_no_kit_has(said: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="The manifest of the kit here is wrong: "):
        read_manifest(written(**said), "here")


@pytest.mark.parametrize(
    "data",
    [b"", b"[" * 100_000, b'{"schema": 1}', b"\xff\xfe", b'{"schema": 1e400}', b'{"schema": ' + b"9" * 5000 + b"}"],
)
def test_what_is_no_manifest_is_damage(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"damaged|schema"):
        read_manifest(data, "here")


@pytest.mark.parametrize("schema", [True, 1.0])
def test_a_schema_is_a_whole_number(schema: Any) -> None:
    with pytest.raises(BadInput, match="damaged"):
        read_manifest(written(schema=schema), "here")


def test_a_number_beyond_every_float_is_damage() -> None:
    assert read_manifest(written(budget={"ram_bytes": 2**64}), "here")["budget"] == {"ram_bytes": 2**64}
    with pytest.raises(BadInput, match="damaged"):
        read_manifest(written(budget={"ram_bytes": 10**400}), "here")


def test_one_that_would_fill_the_memory_is_not_read() -> None:
    with pytest.raises(BadInput, match="larger than any manifest"):
        read_manifest(b" " * (LARGEST + 1), "here")


@given(st.text())
def test_a_plain_name_stays_below_its_folder(name: str) -> None:
    if is_plain(name):
        assert (Path("/kit") / name).resolve().is_relative_to("/kit")
        assert "\0" not in name
