"""The field kit: one folder with all that a device needs to answer, described and guarded by `kit.json`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from edgefuse.heads import ARRAYS, Head, read_head
from edgefuse.kits.precisions import choose, read_alternatives
from edgefuse.leaks import leak_sentences
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256, write_bytes
from edgefuse_runtimes.spec import EncoderSpec

SCHEMA = 1
MANIFEST = "kit.json"


@dataclass(frozen=True)
class Kit:
    """An opened kit; `file` is the only way to a path inside it."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Kit:
        """Read the manifest and check it, the head's bytes, and the size of every file.

        Raises:
            BadInput: there is no kit, it is damaged or incomplete, or a newer edgefuse made it.
        """
        path = folder / MANIFEST
        if not folder.exists():
            raise BadInput(f"There is no kit at {folder}; check the path.")
        if not path.is_file():
            raise BadInput(f"{folder} is not a kit (it has no {MANIFEST}); name a folder made by 'edgefuse pack'.")
        kit = cls(folder, _read_manifest(path))
        for name in kit._said("files"):
            file = _inside(folder, name)
            if not file.is_file():
                raise BadInput(f"The kit {folder} lacks the file {name}; copy the kit again.")
            if file.stat().st_size != kit._said("files", name, "bytes"):
                raise BadInput(f"The kit's file {file} has the wrong size; copy the kit again.")
        kit._check_hash(ARRAYS)
        return kit

    def file(self, name: str) -> Path:
        """The path of a file that the manifest lists.

        Raises:
            BadInput: the manifest does not list it.
        """
        if name not in self._said("files"):
            raise BadInput(f"The manifest of the kit {self.folder} lists no file {name}; copy the kit again.")
        return _inside(self.folder, name)

    def verify(self) -> None:
        """Hash every file again.

        Raises:
            BadInput: a file is not the one that was packed.
        """
        for name in self._said("files"):
            self._check_hash(name)

    def _check_hash(self, name: str) -> None:
        if sha256(self.file(name)) != self._said("files", name, "sha256"):
            raise BadInput(f"The kit's file {self.file(name)} is damaged (sha256 differs); copy the kit again.")

    def _said(self, *keys: str) -> Any:
        """What the manifest says under `keys`, one inside the other."""
        found: Any = self.manifest
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise BadInput(f"The manifest of the kit {self.folder} does not say {'.'.join(keys)!r}; pack it again.")
            found = found[key]
        return found

    @property
    def name(self) -> str:
        """What the kit is called."""
        return str(self._said("name"))

    @property
    def version(self) -> str:
        """The kit's own version."""
        return str(self._said("version"))

    @property
    def digest(self) -> str:
        """The hash of all that the manifest says, and so of every file: equal kits have equal digests."""
        return str(self._said("digest"))

    @property
    def classes(self) -> list[str]:
        """The labels, in the order of the probabilities."""
        return list(self._said("classes"))

    @cached_property
    def image(self) -> EncoderSpec:
        """The image encoder."""
        return EncoderSpec.from_json(self._said("encoders", "image"), "image")

    @cached_property
    def text(self) -> EncoderSpec:
        """The text encoder."""
        return EncoderSpec.from_json(self._said("encoders", "text"), "text")

    @cached_property
    def alternatives(self) -> tuple[EncoderSpec, ...]:
        """Further files of the same encoders, in other precisions."""
        data = self._said("encoders").get("alternatives")
        return read_alternatives(data, (self.image, self.text), f"the kit {self.folder}")

    def encoders(self, precision: str | None = None) -> tuple[EncoderSpec, EncoderSpec]:
        """The image and the text encoder, of each the file of that precision; the main one where it has none.

        Raises:
            BadInput: neither has a file of that precision.
        """
        image, text = choose((self.image, self.text), self.alternatives, precision, f"The kit {self.folder}")
        return image, text

    @cached_property
    def head(self) -> Head:
        """The alignment and the heads."""
        head = read_head(self._said("head"), self.file(ARRAYS))
        if list(head.classes) != self.classes:
            raise BadInput(f"The kit {self.folder} has a head of other classes than its own; pack it again.")
        return head

    @property
    def drawn(self) -> bool:
        """Whether the head was trained on the drawn example, so that its labels mean nothing."""
        return bool(self._said("dataset", "drawn"))

    @property
    def leaks(self) -> list[str]:
        """What makes the recorded figures flatter, see `edgefuse.leaks`."""
        return leak_sentences(self._said("dataset"))


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """List and hash every file of `folder` and write `kit.json` with the digest over all of it."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    files = {name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in names}
    manifest = {"schema": SCHEMA, **content, "files": files}
    write_bytes(folder / MANIFEST, _serialize(manifest | {"digest": _digest(manifest)}))


def _serialize(manifest: dict[str, Any]) -> bytes:
    """The one way to write a manifest down: any other bytes are refused."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _digest(manifest: dict[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(_serialize(rest)).hexdigest()


def _read_manifest(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    damaged = BadInput(f"{path} is damaged (its digest does not fit); copy the kit again.")
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(manifest, dict):
        raise damaged
    schema = manifest.get("schema")
    if not isinstance(schema, int) or schema < SCHEMA:
        raise damaged
    if schema > SCHEMA:
        raise BadInput(
            f"The kit {path.parent} has schema {schema} and this edgefuse reads up to {SCHEMA}; upgrade edgefuse."
        )
    try:
        whole = _serialize(manifest) == data and manifest.get("digest") == _digest(manifest)
    except ValueError as error:  # a changed digit can make a number infinite, which JSON has no word for
        raise damaged from error
    if not whole:
        raise damaged
    return manifest


def _inside(folder: Path, name: str) -> Path:
    plain = PurePosixPath(name)
    path = folder / plain
    if (
        plain.is_absolute()
        or not name
        or "\\" in name
        or "\0" in name
        or any(part in ("..", ".", "") for part in name.split("/"))
        or not path.resolve().is_relative_to(folder.resolve())
    ):
        raise BadInput(f"The kit {folder} names a file outside itself ({name!r}); do not use this kit.")
    return path
