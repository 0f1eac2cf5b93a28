from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edgefuse.commands.extract import command
from edgefuse.datasets import Dataset, Sample
from edgefuse.embeddings import table as embeddings
from edgefuse.embeddings.cost import read_cost
from edgefuse.embeddings.table import shard_path
from edgefuse.extraction import filling
from edgefuse.extraction import running as extraction
from edgefuse.extraction.running import extract
from edgefuse.kits.encoders import Encoders
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare
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


def test_every_row_holds_the_vectors_of_its_own_sample(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    done = extract(dataset, ENCODERS, tmp_path / "V")
    means = Means(IMAGE, [])
    for k, sample in enumerate(dataset.samples):
        ids = np.array([1, *map(ord, sample.text)])
        np.testing.assert_allclose(done.table.text[k], [ids.sum(), len(ids)])
        expected = means.vector(prepare(load_image(sample.image), PREPROCESS))
        np.testing.assert_allclose(done.table.image[k], expected)
        assert done.table.ids[k] == sample.id
        assert done.table.classes[done.table.labels[k]] == sample.label
    assert set(done.table.splits) == {"train", "validation", "test"}
    assert done.table.encoders["image"]["sha256"] == IMAGE.sha256


def test_equal_notes_are_encoded_once_and_the_text_encoder_is_closed_first(
    dataset: Dataset, tmp_path: Path, log: list[Any]
) -> None:
    done = extract(dataset, ENCODERS, tmp_path / "V")
    assert log == [
        "open text", *["text"] * 3, "close text",
        "open image", *["image"] * 11, "close image",
    ]  # fmt: skip
    assert done.distinct_notes == 3


def test_an_interrupted_run_goes_on_where_it_stopped(
    dataset: Dataset, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = extract(dataset, ENCODERS, tmp_path / "whole").table
    log.clear()
    monkeypatch.setattr(Means, "pictures_until_failure", 6)
    with pytest.raises(KeyboardInterrupt):
        extract(dataset, ENCODERS, tmp_path / "V")
    monkeypatch.setattr(Means, "pictures_until_failure", None)
    log.clear()
    table = extract(dataset, ENCODERS, tmp_path / "V").table
    assert log == ["open image", *["image"] * 7, "close image"]  # rows 4 to 10: the first shard was finished
    np.testing.assert_array_equal(table.image, whole.image)
    np.testing.assert_array_equal(table.text, whole.text)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_lost_text_shard_is_made_again_from_the_notes_of_the_others(
    dataset: Dataset, tmp_path: Path, log: list[Any], number: int
) -> None:
    samples = [replace(sample, text="alone") if k == 5 else sample for k, sample in enumerate(dataset.samples)]
    dataset = replace(dataset, samples=tuple(samples))
    whole = extract(dataset, ENCODERS, tmp_path / "V").table
    shard_path(tmp_path / "V", "text", number).unlink()
    log.clear()
    again = extract(dataset, ENCODERS, tmp_path / "V").table
    assert log.count("text") == (4 if number == 1 else 0)  # "alone" and the three that always go with it
    np.testing.assert_array_equal(again.text, whole.text)


def test_the_cost_counts_rows_and_what_was_encoded_for_them(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    cost = extract(dataset, ENCODERS, tmp_path / "V").table.cost
    assert (cost["text"]["samples"], cost["text"]["distinct"]) == (11, 3)
    assert (cost["image"]["samples"], cost["image"]["distinct"]) == (11, 11)
    for modality, spec in (("image", IMAGE), ("text", TEXT)):
        of = cost[modality]
        assert (of["engine"], of["precision"], of["threads"]) == ("means", spec.precision, 2)
        assert of["seconds_per_sample"] == pytest.approx(of["seconds"] / of["distinct"], abs=1e-3)
        assert of["peak_rss_bytes"] > 10e6
        assert "cores" in of["machine"]
        assert len(of["runs"]) == 1


def test_the_cost_of_a_resumed_run_is_added(
    dataset: Dataset, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Means, "pictures_until_failure", 6)
    with pytest.raises(KeyboardInterrupt):
        extract(dataset, ENCODERS, tmp_path / "V")
    assert read_cost(tmp_path / "V")["image"]["samples"] == 4
    monkeypatch.setattr(Means, "pictures_until_failure", None)
    cost = extract(dataset, ENCODERS, tmp_path / "V").table.cost
    assert (cost["image"]["samples"], cost["image"]["distinct"]) == (11, 11)
    assert (cost["text"]["samples"], cost["text"]["distinct"]) == (11, 3)


def test_the_cost_is_no_part_of_the_table_s_digest(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    extract(dataset, ENCODERS, tmp_path / "V")
    digest = embeddings.table_digest(embeddings.open_table(tmp_path / "V"))
    (tmp_path / "V" / "cost.json").unlink()
    table = embeddings.open_table(tmp_path / "V")
    assert table.cost == {}
    assert embeddings.table_digest(table) == digest


def test_views_stand_beside_their_pictures_after_an_interruption_too(
    dataset: Dataset, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for k, sample in enumerate(dataset.samples):  # of which no view is like another
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (8, 8, 3), np.uint8)).save(sample.image)
    monkeypatch.setattr(Means, "pictures_until_failure", 11 + 4 * 5)
    with pytest.raises(KeyboardInterrupt):  # among the views of the second shard
        extract(dataset, ENCODERS, tmp_path / "V", views=4)
    monkeypatch.setattr(Means, "pictures_until_failure", None)
    monkeypatch.setattr(Means, "vector", lambda self, item: item[:, 0, 0] if item.ndim == 3 else np.array([1, 2]))
    log.clear()
    table = extract(dataset, ENCODERS, tmp_path / "V", views=4).table
    assert log == ["open image", *["image"] * 4 * 7, "close image"]  # of pictures 4 to 10: the first shard was finished
    assert table.views is not None
    assert (table.view_count, len(table.views)) == (4, 44)
    for k in range(4, 11):
        pixels = prepare(load_image(dataset.samples[k].image), PREPROCESS)  # (3, 8, 8)
        corners = [pixels[:, 0, 0], pixels[:, 0, -1], pixels[:, -1, 0], pixels[:, -1, -1]]
        np.testing.assert_array_equal(table.views[4 * k : 4 * k + 4], corners)
    assert (table.cost["views"]["samples"], table.cost["views"]["distinct"]) == (11, 44)


def test_views_are_a_part_of_the_table_s_digest(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    plain, more = (extract(dataset, ENCODERS, tmp_path / f"V{v}", views=v).table for v in (None, 2))
    np.testing.assert_array_equal(plain.image, more.image)
    assert embeddings.table_digest(plain) != embeddings.table_digest(more)
    shard_path(more.folder, "views", 1).unlink()
    with pytest.raises(BadInput, match=r"1 of 3 views shards are missing, the first is views-0001\.npy"):
        embeddings.open_table(more.folder)


def test_views_are_encoded_without_a_mean_over_them(
    dataset: Dataset, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_encoder(spec: EncoderSpec, folder: Path, *, each_view: bool, **settings: Any) -> Means:
        opened.append((spec.modality, each_view))
        return Means(spec, log)

    monkeypatch.setattr(extraction, "open_encoder", open_encoder)
    extract(dataset, ENCODERS, tmp_path / "V", views=8)
    assert opened == [("text", False), ("image", False), ("image", True)]


@pytest.mark.parametrize("other", [None, 2])
def test_a_table_of_other_views_is_not_gone_on_with(
    dataset: Dataset, tmp_path: Path, log: list[Any], other: int | None
) -> None:
    extract(dataset, ENCODERS, tmp_path / "V", views=4)
    with pytest.raises(BadInput, match=r"made from other inputs \(views differ"):
        extract(dataset, ENCODERS, tmp_path / "V", views=other)


def test_a_finished_table_opens_no_encoder(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    extract(dataset, ENCODERS, tmp_path / "V")
    log.clear()
    extract(dataset, ENCODERS, tmp_path / "V")
    assert log == []


@pytest.mark.parametrize(
    ("encoders", "change", "seed", "differs"),
    [
        (Encoders(Path("E"), replace(IMAGE, sha256="3" * 64), TEXT), {}, 0, "encoders"),
        (Encoders(Path("E"), IMAGE, replace(TEXT, pooling="mean")), {}, 0, "encoders"),
        (ENCODERS, {"text": "another note"}, 0, "inputs_sha256"),
        (ENCODERS, {"image": Path("other.png")}, 0, "inputs_sha256"),
        (ENCODERS, {}, 1, "split_seed, inputs_sha256"),
    ],
)
def test_a_table_of_other_inputs_is_not_gone_on_with(
    dataset: Dataset, tmp_path: Path, log: list[Any],
    encoders: Encoders, change: dict[str, Any], seed: int, differs: str,
) -> None:  # fmt: skip
    extract(dataset, ENCODERS, tmp_path / "V")
    before = {path.name: path.read_bytes() for path in (tmp_path / "V").iterdir()}
    if "image" in change:
        change = {"image": dataset.samples[0].image.rename(tmp_path / change["image"])}
    changed = (replace(dataset.samples[0], **change), *dataset.samples[1:])
    with pytest.raises(BadInput, match=rf"made from other inputs \({differs} differ"):
        extract(replace(dataset, samples=changed), encoders, tmp_path / "V", split_seed=seed)
    assert {path.name: path.read_bytes() for path in (tmp_path / "V").iterdir()} == before


def test_a_folder_may_move_between_two_runs(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    extract(dataset, ENCODERS, tmp_path / "V")
    (tmp_path / "pictures").rename(tmp_path / "moved")
    moved = [replace(s, image=tmp_path / "moved" / s.image.name) for s in dataset.samples]
    log.clear()
    extract(replace(dataset, samples=tuple(moved)), ENCODERS, tmp_path / "V")
    assert log == []


def test_a_folder_of_other_things_is_left_alone(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    (tmp_path / "V").mkdir()
    (tmp_path / "V" / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match="exists and is no embedding table"):
        extract(dataset, ENCODERS, tmp_path / "V")
    assert [path.name for path in (tmp_path / "V").iterdir()] == ["letter.txt"]


def test_two_at_once_do_not_make_the_same_table(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    """Whatever encodes, here or on a scheduler's workers: the second is told before it reads a picture."""
    broken = replace(dataset, samples=(replace(dataset.samples[0], image=tmp_path / "none.png"),))
    refused = []

    def encode(*given: Any) -> Any:
        with pytest.raises(BadInput, match=r"Another edgefuse is making .*V at this moment; wait for it or choose"):
            extract(broken, ENCODERS, tmp_path / "V")
        refused.append(True)
        return extraction.encode_here(*given)

    extract(dataset, ENCODERS, tmp_path / "V", encode=encode)
    assert len(refused) == 2
    assert extract(dataset, ENCODERS, tmp_path / "V").table.ids[0] == "id0"


def test_unreadable_pictures_are_named_before_anything_is_encoded_or_written(
    dataset: Dataset, tmp_path: Path, log: list[Any]
) -> None:
    dataset.samples[2].image.write_bytes(b"")
    dataset.samples[9].image.write_text("no picture")
    with pytest.raises(BadInput, match=r"2 of the samples .* id2 \(.*2\.png is empty.*id9 .*--skip-missing"):
        extract(dataset, ENCODERS, tmp_path / "V")
    assert log == []
    assert not (tmp_path / "V").exists()


def test_unreadable_pictures_are_left_out_when_asked(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    dataset.samples[2].image.write_bytes(b"")
    done = extract(dataset, ENCODERS, tmp_path / "V", skip_missing=True)
    assert done.left_out == ("id2",)
    assert len(done.table.ids) == 10
    assert "id2" not in done.table.ids


def test_notes_over_the_token_limit_are_counted_by_sample(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    long = [
        replace(sample, text="a note that is far too long") if k < 2 else sample
        for k, sample in enumerate(dataset.samples)
    ]
    done = extract(replace(dataset, samples=tuple(long)), ENCODERS, tmp_path / "V")
    assert done.cut_notes == 2
    assert done.table.text[0][1] == 12


def test_a_given_split_is_kept_and_checked(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    parts = ["train", "test", "validation"]
    given = [replace(sample, split=parts[k % 3]) for k, sample in enumerate(dataset.samples)]
    table = extract(replace(dataset, samples=tuple(given)), ENCODERS, tmp_path / "V").table
    assert table.splits.tolist() == [sample.split for sample in given]
    assert table.split_seed is None
    given[4] = replace(given[4], split="")
    with pytest.raises(BadInput, match="Sample id4 has the split ''"):
        extract(replace(dataset, samples=tuple(given)), ENCODERS, tmp_path / "W")


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


def test_the_command_encodes_views(run: Callable[..., Any], tmp_path: Path) -> None:
    outcome = run("--views", "2")
    assert outcome.exit_code == 0, outcome.exception
    assert "22 views of 11 rows" in outcome.stderr
    assert embeddings.open_table(tmp_path / "V").view_count == 2


def test_the_command_says_what_it_made(run: Callable[..., Any], tmp_path: Path) -> None:
    outcome = run()
    assert outcome.exit_code == 0, outcome.exception
    assert "V: 11 rows (7 training, 2 validation, 2 test), 2 classes, 3 different notes." in outcome.stderr
    assert outcome.stdout == ""
    assert (tmp_path / "V" / "table.json").is_file()


def test_the_command_names_a_missing_picture_or_goes_on(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "pictures" / "3.png").unlink()
    outcome = run()
    assert isinstance(outcome.exception, BadInput)
    assert "id3" in str(outcome.exception)
    assert not (tmp_path / "V").exists()
    outcome = run("--skip-missing")
    assert "1 samples were left out for want of a readable picture: id3." in outcome.stderr
