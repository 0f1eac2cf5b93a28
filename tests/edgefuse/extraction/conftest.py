"""Samples, and encoders whose vectors anyone can check."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edgefuse.commands.extract import command
from edgefuse.datasets import Dataset, Sample
from edgefuse.embeddings import table as embeddings
from edgefuse.extraction import filling
from edgefuse.extraction import running as extraction
from edgefuse.kits.encoders import Encoders
from edgefuse_runtimes.spec import EncoderSpec, Preprocess, Tokenization

PREPROCESS = Preprocess("squash", 8, "bilinear", 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGE = EncoderSpec("image", "onnx", "image.onnx", "1" * 64, 1, "fp32", 3, "none", False, preprocess=PREPROCESS)
TEXT = EncoderSpec(
    "text",
    "gguf",
    "text.gguf",
    "2" * 64,
    1,
    "fp32",
    2,
    "none",
    False,
    tokenization=Tokenization(12, True, True),
)


class Letters:
    """A tokenizer whose ids are the characters' codes."""

    bos_id, eos_id, add_bos = 1, 2, True

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]


class Means:
    """An encoder whose vectors anyone can check: a picture's mean colour, sum and count of a note's ids."""

    def __init__(self, spec: EncoderSpec, log: list[Any]) -> None:
        self.spec, self.log = spec, log
        self.fails_after = None if spec.modality == "text" else Means.pictures_until_failure
        log.append(f"open {spec.modality}")

    pictures_until_failure: int | None = None

    def encode(self, batch: Any) -> np.ndarray:
        self.log.extend([self.spec.modality] * len(batch))
        if self.fails_after is not None and self.log.count("image") > self.fails_after:
            raise KeyboardInterrupt
        return np.array([self.vector(item) for item in batch], np.float32)

    def vector(self, item: np.ndarray) -> np.ndarray:
        return item.mean(axis=(1, 2)) if item.ndim == 3 else np.array([item.sum(), len(item)])

    def info(self) -> dict[str, Any]:
        return {"engine": "means", "version": "1", "precision": self.spec.precision, "threads": 2}

    def __enter__(self) -> "Means":
        return self

    def __exit__(self, *error: object) -> None:
        self.log.append(f"close {self.spec.modality}")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the encoders did, while tables are cut into shards of four rows, and samples into portions of four."""
    log: list[Any] = []
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 4)
    monkeypatch.setattr(filling, "PORTION_SAMPLES", 4)
    monkeypatch.setattr(extraction, "tokenizer_of", lambda spec, locate: Letters())
    monkeypatch.setattr(extraction, "open_encoder", lambda spec, folder, **settings: Means(spec, log))
    return log


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Eleven samples, whose notes repeat: a, b, c, a, b, c, ..."""
    samples = []
    for k in range(11):
        path = tmp_path / "pictures" / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (10, 6), (20 * k, 255 - 20 * k, 7 * k)).save(path)
        samples.append(Sample(f"id{k}", path, f"note {'abc'[k % 3]}", "xy"[k % 2], f"group {k}"))
    return Dataset("made up", "none", tuple(samples))


ENCODERS = Encoders(Path("E"), IMAGE, TEXT)


@pytest.fixture
def run(dataset: Dataset, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run `edgefuse extract` on a table of the samples."""
    lines = [f"{s.id},{s.image.name},{s.text},{s.label}" for s in dataset.samples]
    (tmp_path / "table.csv").write_text("\n".join(["id,image,text,label", *lines]) + "\n")
    monkeypatch.setattr(Encoders, "open", lambda folder: ENCODERS)

    def run(*options: str) -> Any:
        arguments = [
            "--dataset",
            "table.csv",
            "--root",
            "pictures",
            "--encoders",
            "E",
            "--output",
            "V",
            *options,
        ]
        monkeypatch.chdir(tmp_path)
        return CliRunner().invoke(command, arguments)

    return run
