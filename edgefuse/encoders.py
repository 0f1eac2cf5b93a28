"""The encoders folder: an image and a text encoder, their specs, and golden samples to try engines on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse.golden import write_golden
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256, write_json
from edgefuse_runtimes.spec import EncoderSpec

SCHEMA = 1
SPECS = "encoders.json"


@dataclass(frozen=True)
class Encoders:
    """What `export` made and everything later runs."""

    folder: Path
    image: EncoderSpec
    text: EncoderSpec

    def file(self, name: str) -> Path:
        """The path of a file of this folder."""
        return self.folder / name

    @property
    def identity(self) -> dict[str, dict[str, Any]]:
        """What decides the vectors: heads and tables made with another identity do not fit these encoders."""
        return {"image": identity(self.image), "text": identity(self.text)}

    @classmethod
    def open(cls, folder: Path) -> Encoders:
        """Read the folder and check both files against their hashes.

        Raises:
            BadInput: the folder is no encoders folder, or a file of it is missing or damaged.
        """
        path = folder / SPECS
        if not path.is_file():
            raise BadInput(f"{folder} is not an encoders folder (no {SPECS}); make one with 'edgefuse export'.")
        try:
            data = json.loads(path.read_bytes())
            schema, image, text = data["schema"], data["image"], data["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is damaged ({error}); export the encoders again.") from error
        if schema != SCHEMA:
            raise BadInput(f"{path} has schema {schema}, this edgefuse reads {SCHEMA}; export the encoders again.")
        encoders = cls(folder, EncoderSpec.from_json(image), EncoderSpec.from_json(text))
        for spec in (encoders.image, encoders.text):
            file = folder / spec.file
            if not file.is_file():
                raise BadInput(f"{folder} lacks the encoder file {spec.file}; export the encoders again.")
            if sha256(file) != spec.sha256:
                raise BadInput(f"{file} is not the file that was exported (sha256 differs); export it again.")
        return encoders


def identity(spec: EncoderSpec) -> dict[str, Any]:
    """The part of a spec that decides a sample's vector."""
    data = spec.to_json()
    return {key: data[key] for key in ("sha256", "width", "pooling", "normalize", "preprocess", "tokenization")}


def write_encoders(folder: Path, image: EncoderSpec, text: EncoderSpec, progress: Progress = silent) -> None:
    """Finish a folder that already holds the two encoder files: golden samples and `encoders.json`."""
    for _ in progress("golden samples", [None], 1):
        write_golden(folder, image, text)
    write_json(folder / SPECS, {"schema": SCHEMA, "image": image.to_json(), "text": text.to_json()})
