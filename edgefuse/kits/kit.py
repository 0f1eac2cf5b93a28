"""The field kit: one folder with all that a device needs to answer, described and guarded by `kit.json`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgefuse.heads import ARRAYS, Head, read_head
from edgefuse.kits.golden import NOTES, PICTURES, golden_vectors
from edgefuse.kits.manifest import LARGEST, MANIFEST, is_plain, read_manifest
from edgefuse.kits.precisions import choose, read_alternatives
from edgefuse.kits.record import Record, read_record
from edgefuse.kits.source import Folder, check_files
from edgefuse.leaks import leak_sentences
from edgefuse.progress import Progress, silent
from edgefuse.trust.pinned import pinned_keys
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.spec import EncoderSpec


@dataclass(frozen=True)
class Kit:
    """An opened kit; `file` is the only way to a path inside it."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Kit:
        """Read the manifest and check it, the head's bytes, and the size of every file.

        Of an installed kit, a file that was written to since is hashed again.

        Raises:
            BadInput: there is no kit, it is damaged or incomplete, or a newer edgefuse made it.
        """
        path = folder / MANIFEST
        if not folder.exists():
            raise BadInput(f"There is no kit at {folder}; check the path.")
        if folder.is_file():
            raise BadInput(f"{folder} is a file; install the kit in it with 'edgefuse kits install {folder}' first.")
        if not path.is_file():
            raise BadInput(f"{folder} is not a kit (it has no {MANIFEST}); name a folder made by 'edgefuse pack'.")
        with path.open("rb") as file:
            kit = cls(folder, read_manifest(file.read(LARGEST + 1), folder))
        for name, entry in kit.files.items():
            inside = kit._path(name)
            if not inside.is_file():
                raise BadInput(f"The kit {folder} lacks the file {name}; copy the kit again.")
            status = inside.stat()
            if status.st_size != entry["bytes"]:
                raise BadInput(f"The kit's file {inside} has the wrong size; copy the kit again.")
            if kit.record is not None and kit.record.written_ns.get(name) != status.st_mtime_ns:
                kit._check_hash(name)
        kit._check_hash(ARRAYS)
        return kit

    def file(self, name: str) -> Path:
        """The path of a file that the manifest lists.

        Raises:
            BadInput: the manifest does not list it.
        """
        if name not in self._said("files"):
            raise BadInput(f"The manifest of the kit {self.folder} lists no file {name}; copy the kit again.")
        return self._path(name)

    def verify(self, progress: Progress = silent) -> None:
        """Hash every file again, and see that there is no other one.

        Raises:
            BadInput: a file is not the one that was packed, or was added.
        """
        check_files(Folder(self.folder), self.files)
        for name in progress("hashing the kit", self.files, len(self.files)):
            self._check_hash(name)

    def require_complete(self) -> None:
        """See that there is all that an answer and the golden samples need, and that it fits together.

        Raises:
            BadInput: something is missing or does not fit.
        """
        _ = self.head, self.drawn
        for spec in (*self.encoders(), *self.alternatives):
            golden_vectors(self.file, spec)
            for part in (spec, spec.data, spec.tokenizer):
                if part is not None:
                    self.file(part.file)
        for name in (*PICTURES, *NOTES):
            self.file(name)

    def _path(self, name: str) -> Path:
        """The path of a file whose name was checked; a link on the way must not lead out of the kit."""
        path = self.folder / name
        if not is_plain(name) or not os.path.realpath(path).startswith(f"{self._root}{os.sep}"):
            raise BadInput(f"The kit {self.folder} names a file outside itself ({name!r}); do not use this kit.")
        return path

    @cached_property
    def _root(self) -> str:
        """The folder itself, with no link on the way; asked for each of many files."""
        return os.path.realpath(self.folder)

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
    def files(self) -> dict[str, dict[str, Any]]:
        """For each file but the manifest and its signature, "sha256" and "bytes"."""
        files: dict[str, dict[str, Any]] = self._said("files")
        return files

    @property
    def hashes(self) -> dict[str, int]:
        """The sha256 of each different file, with its bytes."""
        return {entry["sha256"]: entry["bytes"] for entry in self.files.values()}

    @property
    def budget(self) -> dict[str, Any]:
        """What an answer may take on the devices that the kit is meant for; {} where nobody said."""
        budget = self.manifest.get("budget")
        known = budget.items() if isinstance(budget, dict) else ()
        return {name: value for name, value in known if type(value) in (int, float) and value > 0}

    @cached_property
    def record(self) -> Record | None:
        """What installing the kit left beside it; None where it was not installed."""
        return read_record(self.folder)

    @property
    def remarks(self) -> list[str]:
        """What every answer must say of the kit: who did not sign it, and what leaks."""
        if self.record is None:
            return self.leaks
        try:
            trusted = [key.fingerprint for key in pinned_keys()]
        except BadInput as error:  # an answer is worth more than the file of trusted keys
            return [str(error), *self.leaks]
        except OSError as error:
            why = f"{error.filename} cannot be read ({error.strerror})"
            return [f"{why}, so it is not known whether this device still trusts who signed the kit.", *self.leaks]
        return [*self.record.remarks(trusted), *self.leaks]

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

    @property
    def class_names(self) -> dict[str, dict[str, str]]:
        """What classes are called, by language; {} where nobody said."""
        return dict(self.manifest.get("class_names", {}))

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
    def evaluation_samples(self) -> list[dict[str, str]]:
        """Labelled samples that it carries, each with the files "image" and "text" and its "label"; [] for none."""
        samples: list[dict[str, str]] = self.manifest.get("evaluation_samples", {}).get("samples", [])
        return samples

    @property
    def leaks(self) -> list[str]:
        """What makes the recorded figures flatter, see `edgefuse.leaks`."""
        return leak_sentences(self._said("dataset"))
