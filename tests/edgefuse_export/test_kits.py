"""Every pair of encoders that the method names, as a kit with either fusion, answers on either engine.

The encoders here have the structure of the real ones, few layers and random weights: they show that the parts fit, and
nothing about accuracy. The same is done with real checkpoints where ../shared can write them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse import Classifier
from edgefuse.datasets import open_dataset
from edgefuse.datasets.drawn import write_example
from edgefuse.evaluation.record import evaluate_folder
from edgefuse.extraction.running import Settings, extract
from edgefuse.heads import Fusion, write_head
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.packing import pack
from edgefuse.training import recipe, trainer

pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")

PAIRS = ("dinov2 + llama", "dinov2 + sentence encoder", "clip + clip")
FUSIONS: tuple[Fusion, ...] = ("early", "late")
SAMPLES = 40


@dataclass(frozen=True)
class Workshop:
    """What is made once for a pair of encoders."""

    folder: Path
    encoders: Encoders

    def kit(self, fusion: Fusion) -> Path:
        """A kit with a head of this fusion."""
        kit = self.folder / f"{fusion}.kit"
        if not kit.exists():
            table = extract(
                open_dataset("drawn", self.folder / "drawn"),
                self.encoders,
                self.folder / "V",
                settings=Settings(engine="numpy"),
            ).table
            head = self.folder / f"H-{fusion}"
            write_head(head, recipe.train_head(table, fusion=fusion, settings=trainer.Settings(epochs=3)))
            pack(self.encoders, head, evaluate_folder(head), kit, name=fusion, version="1")
        return kit


def workshop(folder: Path, cli: Callable[..., Any], sources: list[Path | str]) -> Workshop:
    outcome = cli("export", *sources, "--samples-count", "12", "--output", folder / "E")
    assert outcome.code == 0, outcome
    write_example(folder / "drawn", count=SAMPLES)
    return Workshop(folder, Encoders.open(folder / "E"))


@contextmanager
def opened(kit: Path, engine: str) -> Iterator[Classifier]:
    with Classifier.open(kit, engine=engine, cache=False) as classifier:
        yield classifier


def assert_engines_answer_alike(made: Workshop, native: dict[str, str]) -> None:
    """Both engines give both kits' answers, with probabilities as close as rounded encoders allow."""
    pictures = sorted((made.folder / "drawn").rglob("*.png"))[:6]
    notes = [f"Age: {30 + 7 * place} years. Sex: female. Localization: back." for place in range(len(pictures))]
    for fusion in FUSIONS:
        kit = made.kit(fusion)
        answers = {}
        for engine, expected in (("auto", native), ("numpy", {"image": "numpy", "text": "numpy"})):
            with opened(kit, engine) as classifier:
                found = [classifier.predict(picture, note) for picture, note in zip(pictures, notes, strict=True)]
            assert found[0].engines == expected, found[0].notes
            answers[engine] = np.array([list(answer.probabilities.values()) for answer in found])  # (n, C)
        np.testing.assert_allclose(answers["auto"].sum(axis=1), 1, rtol=1e-5)
        assert np.abs(answers["auto"] - answers["numpy"]).max() < 0.1
        assert np.ptp(answers["auto"], axis=0).max() > 1e-3  # the answer depends on the sample


@pytest.mark.parametrize("pair", PAIRS)
def test_a_kit_of_each_pair_answers_on_either_engine(
    pair: str,
    cli: Callable[..., Any],
    dinov2_folder: Path,
    llama_folder: Path,
    text_folder: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    if pair == "clip + clip":
        sources: list[Path | str] = ["--clip", text_folder("clip")]
    else:
        text = llama_folder if "llama" in pair else text_folder("sentence-bert")
        sources = ["--image-encoder", dinov2_folder, "--text-encoder", text]
    native = {"image": "onnxruntime", "text": "onnxruntime"}
    if "llama" in pair:
        pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (extra llama)")
        native["text"] = "llama.cpp"
    assert_engines_answer_alike(workshop(tmp_path, cli, sources), native)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("pair", PAIRS)
def test_a_kit_of_each_pair_of_checkpoints_answers_on_either_engine(
    pair: str, cli: Callable[..., Any], shared_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """DINOv2-S, SmolLM2-135M and MiniLM are real; CLIP has its true shape and random weights."""
    if pair == "clip + clip":
        sources: list[Path | str] = ["--clip", shared_checkpoint("clip")]
    else:
        text = shared_checkpoint("smollm2" if "llama" in pair else "minilm")
        sources = ["--image-encoder", shared_checkpoint("dinov2"), "--text-encoder", text]
    native = {"image": "onnxruntime", "text": "llama.cpp" if "llama" in pair else "onnxruntime"}
    assert_engines_answer_alike(workshop(tmp_path, cli, sources), native)
