"""MiniLM (a BERT with trained weights) and CLIP ViT-B/32 (in its true shape, random weights), against transformers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.datasets.drawn import draw, write_example
from edgefuse.kits.encoders import Encoders
from edgefuse_export import vision
from edgefuse_export.calibration import LEAST
from edgefuse_runtimes.encoder import encode_notes, encode_pictures, open_encoder
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.pooling import l2_normalize
from edgefuse_runtimes.tokenizers import tokenizer_of

pytestmark = pytest.mark.shared
torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (export-torch)")

ENGINES = ["onnxruntime", "numpy"]
SEEDS = range(8)


@pytest.fixture(scope="module")
def captions(shared_folder: Path) -> list[str]:
    """Twenty sentences about photographs."""
    with (shared_folder / "data" / "coco-captions-mini" / "captions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["caption"] for row in rows[:20]]


@pytest.fixture(autouse=True)
def _few_calibration_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "COUNT", LEAST)


def export(cli: Callable[..., Any], folder: Path, *options: Path | str) -> Encoders:
    outcome = cli("export", *options, "--samples-count", "12", "--output", folder / "E")
    assert outcome.code == 0, outcome
    return Encoders.open(folder / "E")


def notes_vectors(encoders: Encoders, engine: str, notes: list[str]) -> np.ndarray:
    with open_encoder(encoders.text, encoders.folder, engine=engine, threads=1) as encoder:
        return encode_notes(encoder, tokenizer_of(encoders.text, encoders.file), notes)[0]


def pictures_vectors(encoders: Encoders, engine: str) -> np.ndarray:
    with open_encoder(encoders.image, encoders.folder, engine=engine, threads=1) as encoder:
        return encode_pictures(encoder, [draw(seed).image for seed in SEEDS])


def centred_cosines(exact: np.ndarray, near: np.ndarray) -> np.ndarray:
    a, b = exact - exact.mean(0), near - exact.mean(0)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def minilm_vectors(folder: Path, notes: list[str]) -> np.ndarray:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = [model(**tokenizer(note, return_tensors="pt")).last_hidden_state[0] for note in notes]
    return l2_normalize(np.stack([hidden.mean(0).numpy() for hidden in states]))


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("int8", 0.9)])
def test_dinov2_and_minilm(
    cli: Callable[..., Any],
    shared_checkpoint: Callable[[str], Path],
    captions: list[str],
    dinov2_folder: Path,
    tmp_path: Path,
    precision: str,
    least: float,
) -> None:
    minilm = shared_checkpoint("minilm")
    dinov2 = shared_checkpoint("dinov2") if precision == "int8" else dinov2_folder  # a real one for the kit alone
    sources = ["--image-encoder", dinov2, "--text-encoder", minilm]
    encoders = export(cli, tmp_path, *sources, "--precision", precision)
    assert (encoders.text.pooling, encoders.text.normalize, encoders.text.width) == ("mean", True, 384)
    assert encoders.text.tokenization is not None
    assert encoders.text.tokenization.max_tokens == 256
    expected = minilm_vectors(minilm, captions)
    for engine in ENGINES:
        assert centred_cosines(expected, notes_vectors(encoders, engine, captions)).min() >= least
    if precision == "int8":
        assert_a_kit_answers(cli, tmp_path)


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.99999), ("int8", 0.98)])
def test_clip_and_clip(
    cli: Callable[..., Any],
    shared_checkpoint: Callable[[str], Path],
    captions: list[str],
    tmp_path: Path,
    precision: str,
    least: float,
) -> None:
    folder = shared_checkpoint("clip")
    encoders = export(cli, tmp_path, "--clip", folder, "--precision", precision)
    assert (encoders.text.pooling, encoders.text.normalize, encoders.text.width) == ("none", True, 512)
    assert encoders.text.tokenization is not None
    assert encoders.text.tokenization.max_tokens == 77
    notes = [*captions, " ".join(captions)]  # the last is cut
    tokenizer, model = (
        transformers.AutoTokenizer.from_pretrained(folder),
        transformers.CLIPModel.from_pretrained(folder),
    )
    assert encoders.image.preprocess is not None
    pixels = np.stack([prepare(draw(seed).image, encoders.image.preprocess) for seed in SEEDS])
    with torch.no_grad():
        ids = [tokenizer(note, return_tensors="pt", truncation=True) for note in notes]
        texts = l2_normalize(np.concatenate([model.get_text_features(**given).numpy() for given in ids]))
        pictures = l2_normalize(model.get_image_features(torch.tensor(pixels)).numpy())
    for engine in ENGINES:
        assert centred_cosines(texts, notes_vectors(encoders, engine, notes)).min() >= least
        assert centred_cosines(pictures, pictures_vectors(encoders, engine)).min() >= least
    if precision == "int8":
        assert_a_kit_answers(cli, tmp_path)


def assert_a_kit_answers(cli: Callable[..., Any], folder: Path) -> None:
    write_example(folder / "drawn", count=18)
    data = ["--dataset", "drawn", "--root", folder / "drawn", "--encoders", folder / "E", "--output", folder / "V"]
    assert cli("extract", *data).code == 0
    assert cli("train", folder / "V", "--fusion", "early", "--epochs", "2", "--output", folder / "H").code == 0
    packed = cli(
        "pack", "--encoders", folder / "E", "--head", folder / "H", "--name", "k", "--output", folder / "k.kit"
    )
    assert packed.code == 0, packed
    picture = sorted((folder / "drawn").rglob("*.png"))[0]
    probabilities = []
    for engine in ENGINES:
        asked = ["classify", picture, "--note", "a brown mole", "--kit", folder / "k.kit", "--engine", engine, "--json"]
        answer = cli(*asked)
        assert answer.code == 0, answer
        said = json.loads(answer.out)
        assert said["engines"] == {"image": engine, "text": engine}
        probabilities.append(list(said["probabilities"].values()))
    np.testing.assert_allclose(probabilities[0], probabilities[1], atol=0.05)
