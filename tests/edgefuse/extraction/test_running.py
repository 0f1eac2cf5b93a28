from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.datasets import Dataset
from edgefuse.embeddings import table as embeddings
from edgefuse.embeddings.cost import read_cost
from edgefuse.embeddings.table import shard_path
from edgefuse.extraction import running as extraction
from edgefuse.extraction.running import extract
from edgefuse.kits.encoders import Encoders
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare
from tests.edgefuse.extraction.conftest import ENCODERS, IMAGE, PREPROCESS, TEXT, Means


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
