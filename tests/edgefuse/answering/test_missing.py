"""A picture or a note alone: who answers, and what the answer says of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse import Classifier
from edgefuse.datasets import Sample, open_dataset
from edgefuse.embeddings.table import open_table
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.alignment import align_image, align_text
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.fusion import Head, logits

NOTE = "Age: 45 years. Sex: male. Localization: trunk."


def drawn_sample(tiny_workshop: Path) -> Sample:
    return open_dataset("drawn", tiny_workshop / "drawn").samples[3]


def test_one_modality_alone_is_answered_by_its_own_head_and_opens_its_own_encoder_only(
    tiny_workshop: Path, tiny_kit: Path
) -> None:
    """The probabilities are those of the row of the table, with which the head was trained and judged."""
    table, sample = open_table(tiny_workshop / "table"), drawn_sample(tiny_workshop)
    row = table.ids.tolist().index(sample.id)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        head = classifier.kit.head
        by_picture = classifier.predict(sample.image, None)
        assert (classifier._image.is_open, classifier._text.is_open) == (True, False)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        by_note = classifier.predict(None, sample.text)
        assert (classifier._image.is_open, classifier._text.is_open) == (False, True)
        by_both = classifier.predict(sample.image, sample.text)
    for found, part, wanted in [
        (by_picture, "image_only", softmax(head.image_only, {"image": align_image(head.alignment, table.image[row])})),
        (by_note, "text_only", softmax(head.text_only, {"text": align_text(head.alignment, table.text[row])})),
    ]:
        scaled = wanted ** (1 / head.temperatures_alone[part])  # softmax(logits / T) is softmax(logits)^(1/T), scaled
        assert list(found.probabilities.values()) == pytest.approx(scaled / scaled.sum(), abs=1e-5)
        assert found.probabilities != by_both.probabilities


def softmax(head: Head, vectors: dict[str, np.ndarray]) -> np.ndarray:
    powers = np.exp(logits(head, vectors).astype(np.float64))
    return powers / powers.sum()


def test_the_figures_in_the_answer_are_those_of_the_predictions_that_it_gives(
    tiny_workshop: Path, tiny_kit: Path
) -> None:
    table, dataset = open_table(tiny_workshop / "table"), open_dataset("drawn", tiny_workshop / "drawn")
    test = {name for name, split in zip(table.ids, table.splits, strict=True) if split == "test"}
    samples = [sample for sample in dataset.samples if sample.id in test]
    recorded = Kit.open(tiny_kit).manifest["evaluation"]
    assert recorded["n"] == len(samples)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        for part, ask in {
            "image_only": lambda sample: classifier.predict(sample.image, None),
            "text_only": lambda sample: classifier.predict(None, sample.text),
        }.items():
            right = [ask(sample).label == sample.label for sample in samples]
            assert np.mean(right) == pytest.approx(recorded["metrics"][part]["accuracy"])


def test_an_answer_names_what_was_missing_and_how_good_it_is(tiny_kit: Path, picture: Path) -> None:
    metrics, n = (Kit.open(tiny_kit).manifest["evaluation"][name] for name in ("metrics", "n"))
    image_only, text_only, fused = (f"{metrics[name]['accuracy']:.2f}" for name in ("image_only", "text_only", "fused"))
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        by_picture, by_note = classifier.predict(picture, None), classifier.predict(None, NOTE)
    assert (by_picture.image, by_picture.missing) == (str(picture), ["text"])
    assert (by_note.image, by_note.missing) == (None, ["image"])
    assert by_picture.engines == {"image": "numpy", "text": None}
    assert by_note.precisions == {"image": None, "text": "q8_0"}
    assert by_picture.timings_ms["text"] == by_note.timings_ms["image"] == 0
    rows = f"on {n} test rows of the drawn example"
    assert by_picture.notes == [
        f"No note was given: the image-only head answered (accuracy {image_only} {rows}, the fused head {fused})."
    ]
    assert by_note.notes == [
        f"No picture was given: the text-only head answered (accuracy {text_only} {rows}, the fused head {fused})."
    ]


def test_neither_picture_nor_note_is_refused(tiny_kit: Path) -> None:
    with pytest.raises(BadInput, match="neither a picture nor a note"):
        Classifier.open(tiny_kit).predict(None, None)


def test_a_kit_of_an_older_edgefuse_says_what_it_lacks(
    tiny_kit: Path, picture: Path, tmp_path: Path, repack: Callable[..., None]
) -> None:
    old = Path(shutil.copytree(tiny_kit, tmp_path / "old.kit"))
    repack(old, lambda manifest: manifest["head"].pop("temperatures_alone"))
    with Classifier.open(old, engine="numpy") as classifier:
        assert classifier.predict(picture, NOTE).notes == []
        answer = classifier.predict(picture, None)
        vectors = classifier._image.encode_pictures(classifier.read(picture, None).pixels)[0]
    head = classifier.kit.head
    plain = softmax(head.image_only, {"image": align_image(head.alignment, vectors)})
    assert list(answer.probabilities.values()) == pytest.approx(plain, abs=1e-5)
    assert len(answer.notes) == 2
    assert "trained this kit without a temperature for its image-only head" in answer.notes[1]
    repack(old, lambda manifest: manifest["evaluation"]["metrics"].pop("image_only"))
    with Classifier.open(old, engine="numpy") as classifier:
        assert "the kit records no accuracy of it; pack it again" in classifier.predict(picture, None).notes[0]


def test_the_figures_that_an_older_edgefuse_packed_are_told(
    tiny_kit: Path, picture: Path, tmp_path: Path, repack: Callable[..., None]
) -> None:
    old = Path(shutil.copytree(tiny_kit, tmp_path / "old.kit"))
    metrics = {name: {"accuracy": 0.5, "macro_f1": 0.25} for name in ("majority", "text_only", "image_only", "fused")}
    schema_1 = {"schema": 1, "drawn": True, "n": 40, "groups": 40, "metrics": metrics}
    repack(old, lambda manifest: manifest.update(evaluation=schema_1))
    with Classifier.open(old, engine="numpy") as classifier:
        [note] = classifier.predict(picture, None).notes
    assert "(accuracy 0.50 on 40 test rows of the drawn example, the fused head 0.50)" in note
