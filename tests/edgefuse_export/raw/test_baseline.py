"""The raw baseline on drawn pictures, with tiny BERT and ViT models of random weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.datasets import Dataset, open_dataset
from edgefuse.datasets.drawn import write_example
from edgefuse.embeddings.table import Table, open_table
from edgefuse.extraction.running import Settings as ExtractionSettings
from edgefuse.extraction.running import extract
from edgefuse.kits.encoders import Encoders
from edgefuse_export.raw.backbones import TOKENS, Backbones, encode, open_backbones
from edgefuse_export.raw.baseline import Settings, run
from edgefuse_export.raw.samples import samples_of
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare

torch = pytest.importorskip("torch", reason="torch is not installed (extra raw)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra raw)")

ROWS = 40


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, tiny_encoders: Path) -> Path:
    """A folder with drawn samples in `data` and the embedding table `V` of them."""
    folder = tmp_path_factory.mktemp("raw")
    write_example(folder / "data", count=ROWS)
    dataset = open_dataset("drawn", folder / "data")
    extract(dataset, Encoders.open(tiny_encoders), folder / "V", settings=ExtractionSettings(engine="numpy"))
    return folder


@pytest.fixture(scope="module")
def table(example: Path) -> Table:
    return open_table(example / "V")


@pytest.fixture(scope="module")
def dataset(example: Path) -> Dataset:
    return open_dataset("drawn", example / "data")


@pytest.fixture
def backbones(text_folder: Callable[[str], Path], image_folder: Callable[[str], Path]) -> Backbones:
    return open_backbones(str(text_folder("bert")), str(image_folder("vit")))


def test_vectors_are_the_cls_token_and_the_pooler(backbones: Backbones, dataset: Dataset) -> None:
    notes = [dataset.samples[0].text, "short"]
    picture = prepare(load_image(dataset.samples[0].image), backbones.preprocess)  # (3, H, W)
    with torch.no_grad():
        text, image = encode(backbones, notes, np.stack([picture, picture]))
        alone, _ = encode(backbones, notes[1:], picture[None])
        ids = backbones.tokenizer(notes[0], truncation=True, max_length=40, return_tensors="pt")
        expected = backbones.text(**ids).last_hidden_state[0, 0]
        pooled = backbones.image(torch.from_numpy(picture[None])).pooler_output[0]
    assert torch.allclose(text[0], expected, atol=1e-5)
    assert torch.allclose(text[1], alone[0], atol=1e-5)
    assert torch.allclose(image[1], pooled, atol=1e-5)


def test_a_note_is_read_up_to_its_limit_of_500_tokens_or_what_the_model_has(
    backbones: Backbones, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, text_folder: Callable[[str], Path],
    image_folder: Callable[[str], Path],
) -> None:  # fmt: skip
    assert TOKENS == 500
    assert backbones.tokens == backbones.text.config.max_position_embeddings < TOKENS
    monkeypatch.setattr("edgefuse_export.raw.backbones.TOKENS", 6)
    short = open_backbones(str(text_folder("bert")), str(image_folder("vit")))
    picture = prepare(load_image(dataset.samples[0].image), backbones.preprocess)[None]  # (1, 3, H, W)
    with torch.no_grad():
        four, five, whole = (
            encode(short, [note], picture)[0] for note in ("1 2 3 4", "1 2 3 4 5", "1 2 3 4 5 6 7 8 9")
        )  # between CLS and SEP there is room for four
    assert torch.equal(five, four)
    assert torch.equal(whole, four)


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_a_head_learns_on_frozen_models(table: Table, dataset: Dataset, backbones: Backbones, fusion: Any) -> None:
    before = {name: value.clone() for name, value in backbones.image.state_dict().items()}
    settings = Settings(fusion, epochs=4, batch=8)
    result = run(table, samples_of(table, dataset), backbones, settings)
    assert all(torch.equal(value, before[name]) for name, value in backbones.image.state_dict().items())
    losses = [epoch["training_loss"] for epoch in result["history"]]
    assert losses[-1] < losses[0]
    chosen = max(epoch["validation"]["macro_f1"] for epoch in result["history"])
    assert result["validation"]["macro_f1"] == chosen
    assert result["history"][result["kept_epoch"] - 1]["validation"] == result["validation"]
    assert result["rows"] == {name: int((table.splits == name).sum()) for name in ("train", "validation", "test")}
    assert (result["dataset"]["drawn"], result["classes"]) == (True, ["lumo", "pavi", "ziru"])
    json.dumps(result)


def test_the_same_seed_gives_the_same_figures(table: Table, dataset: Dataset, backbones: Backbones) -> None:
    samples = samples_of(table, dataset)
    found = [run(table, samples, backbones, Settings("early", epochs=2, batch=8, seed=seed)) for seed in (0, 0, 1)]
    losses = [[epoch["training_loss"] for epoch in result["history"]] for result in found]
    assert losses[0] == losses[1] != losses[2]


def test_unfrozen_models_learn_and_the_best_epoch_of_them_is_kept(
    table: Table, dataset: Dataset, backbones: Backbones
) -> None:
    before = [model.embeddings.state_dict()["position_embeddings.weight" if k else "position_embeddings"].clone()
              for k, model in enumerate((backbones.image, backbones.text))]  # fmt: skip
    result = run(table, samples_of(table, dataset), backbones, Settings("late", unfreeze=True, epochs=2, batch=8))
    after = [backbones.image.embeddings.position_embeddings, backbones.text.embeddings.position_embeddings.weight]
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert result["settings"]["unfreeze"] is True


def test_a_binary_task_has_one_logit(table: Table, dataset: Dataset, backbones: Backbones) -> None:
    two = dataclasses.replace(table, labels=np.minimum(table.labels, 1), classes=("lumo", "other"))
    samples = samples_of(table, dataset)
    result = run(two, samples, backbones, Settings("early", epochs=2, batch=8))
    parameters = backbones.parameter_count + (48 + 48) * 128 + 3 * 128 + 129
    assert result["megabytes"]["head"] == pytest.approx(parameters * 4 / 2**20, abs=0.006)
    assert 0 <= result["test"]["macro_f1"] <= 1


def test_rows_that_the_data_set_lacks_or_reads_otherwise(table: Table, dataset: Dataset) -> None:
    fewer = dataclasses.replace(dataset, samples=dataset.samples[1:])
    with pytest.raises(BadInput, match=r"lacks 1 of the rows of .*such as 'drawn-0000'"):
        samples_of(table, fewer)
    changed = (dataclasses.replace(dataset.samples[0], text="other words"), *dataset.samples[1:])
    with pytest.raises(BadInput, match=r"The notes or pictures of drawn are not those .*--template"):
        samples_of(table, dataclasses.replace(dataset, samples=changed))


def test_tables_that_it_is_not_made_for(table: Table, dataset: Dataset, backbones: Backbones) -> None:
    samples = samples_of(table, dataset)
    with pytest.raises(BadInput, match="is multilabel"):
        run(dataclasses.replace(table, multilabel=True), samples, backbones, Settings("early"))
    with pytest.raises(BadInput, match="The class 'more' has no training row"):
        run(dataclasses.replace(table, classes=(*table.classes, "more")), samples, backbones, Settings("early"))
    splits = np.where(table.splits == "validation", "test", table.splits)
    with pytest.raises(BadInput, match="has no validation rows"):
        run(dataclasses.replace(table, splits=splits), samples, backbones, Settings("early"))


def test_models_of_another_family(text_folder: Callable[[str], Path], image_folder: Callable[[str], Path]) -> None:
    bert, vit = str(text_folder("bert")), str(image_folder("vit"))
    with pytest.raises(BadInput, match=r"--text-model .* is vit, not a bert"):
        open_backbones(vit, vit)
    with pytest.raises(BadInput, match=r"--image-model .* is bert, not a vit"):
        open_backbones(bert, bert)


def test_the_verb_writes_its_result_and_prints_it(
    example: Path,
    tmp_path: Path,
    cli: Callable[..., Any],
    text_folder: Callable[[str], Path],
    image_folder: Callable[[str], Path],
) -> None:
    models = ["--text-model", text_folder("bert"), "--image-model", image_folder("vit")]
    data = ["--dataset", "drawn", "--root", example / "data"]
    command = ["raw", example / "V", *data, *models, "--fusion", "early", "--epochs", "2", "--batch-size", "8"]
    outcome = cli(*command, "--output", tmp_path / "raw.json")
    assert outcome.code == 0, outcome.err
    result = json.loads((tmp_path / "raw.json").read_text())
    first, _, validation, test, seconds, sizes, drawn = outcome.out.splitlines()
    assert first == f"drawn: raw pictures and notes, frozen backbones, early fusion, epoch {result['kept_epoch']} of 2"
    figures = result["validation"]
    numbers = [str(result["rows"]["validation"]), f"{figures['accuracy']:.3f}", f"{figures['macro_f1']:.3f}"]
    assert validation.split() == ["validation", *numbers]
    assert f"{result['test']['macro_f1']:.3f}" in test
    assert seconds.endswith("inference")
    assert sizes.startswith("MB: ")
    assert drawn == "drawn example: not an accuracy figure for any real use"
    (tmp_path / "empty").mkdir()
    for taken in ("raw.json", "empty"):
        assert f"{taken} already exists" in cli(*command, "--output", tmp_path / taken).refusal
