"""The pages: whole in one file, and what a user gave is text in them, never markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgefuse.kits.encoders import Encoders
from edgefuse_export.parity.gates import Gates
from edgefuse_export.parity.labels import Pair
from edgefuse_export.parity.page import chart, headline, page, percent, signed, small
from edgefuse_export.parity.report import MAIN, encoder_figures, parity_report
from edgefuse_export.parity.samples import Samples, read_samples

pytest.importorskip("jinja2", reason="jinja2 is not installed (extra export)")

HOSTILE = '<script>alert("&")</script>'


class Parsed(HTMLParser):
    """Every tag with its attributes, and the text between them; complains of tags that do not match."""

    VOID = frozenset({"meta", "img", "line", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def samples() -> Samples:
    return replace(read_samples(count=30), ids=tuple(f"{HOSTILE} {k}" for k in range(30)), pictures_from=HOSTILE)


@pytest.fixture
def report(samples: Samples, tiny_encoders: Path) -> dict[str, Any]:
    encoders, dice = Encoders.open(tiny_encoders), np.random.default_rng(0)
    figures = {}
    for spec in (encoders.image, encoders.text):
        source = dice.normal(size=(30, spec.width))
        pair = Pair(source, source + dice.normal(0, 0.1, source.shape))
        engine = {"engine": "numpy", "version": "2"}
        named = replace(spec, source={"name": HOSTILE})
        figures[spec.modality] = encoder_figures(named, samples, pair, engine)
    return parity_report(figures, {MAIN: labels()}, Gates(max_error=0.5, min_agreement=0.5))


def labels() -> dict[str, Any]:
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    answer = {"label": HOSTILE, "probability": 0.75}
    comparison = {
        "agreement": {"mean": 0.9, "standard_error": 0.05},
        "flips": [{"id": HOSTILE, "label": None, "source": answer, "exported": answer}],
        "per_class": [
            {"label": HOSTILE, "answered": 3, "stayed": 2, "labelled": 1, "f1": {"source": 0.5, "exported": None}}
        ],
        "accuracy": {"source": value, "exported": value, "difference": value},
        "macro_f1": {"source": value, "exported": value, "difference": value},
    }
    return {
        "head": {
            "name": HOSTILE, "classes": [HOSTILE], "drawn": False,
            "trained_on_these_files": {"image": True, "text": False},
        },
        "samples": {"count": 30, "labelled": 1, "pictures_from": HOSTILE, "notes_from": "the drawn example"},
        "bootstrap": {"resamples": 1000, "seed": 0, "interval": 0.95, "units": 1},
        "comparisons": {"image": comparison, "text": comparison, "both": comparison},
    }  # fmt: skip


@pytest.mark.parametrize("modality", ["image", "text"])
def test_a_page_loads_nothing_and_runs_nothing(report: dict[str, Any], samples: Samples, modality: str) -> None:
    parsed = Parsed(page(report, modality, samples if modality == "image" else None))
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "iframe", "object", "form"}
    for _, attributes in parsed.tags:
        assert "href" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:image/jpeg;base64,"[:5])
        assert not [name for name in attributes if name.startswith("on")]
    html = page(report, modality)
    assert "http" not in html
    assert "url(" not in html


@pytest.mark.parametrize("modality", ["image", "text"])
def test_what_was_given_is_shown_as_text(report: dict[str, Any], modality: str) -> None:
    html = page(report, modality)
    assert "<script" not in html
    assert Parsed(html).text.count(HOSTILE) >= 10 + 3 * 2  # the worst samples, and flips and classes twice
    assert "None" not in html


def test_pictures_are_shown_only_when_asked_for(report: dict[str, Any], samples: Samples) -> None:
    assert "<img" not in page(report, "image")
    shown = [attributes for tag, attributes in Parsed(page(report, "image", samples)).tags if tag == "img"]
    assert len(shown) == len(report["encoders"]["image"]["worst"]) == 10
    assert len({attributes["src"] for attributes in shown}) == 10


def test_a_picture_that_is_large_becomes_small(report: dict[str, Any], samples: Samples) -> None:
    photographs = tuple(Image.effect_noise((2000, 1500), 60) for _ in range(30))
    assert len(page(report, "image", replace(samples, pictures=photographs))) < 500_000


def test_gates_and_percentiles_are_told(report: dict[str, Any]) -> None:
    text = " ".join(Parsed(page(report, "image")).text.split())
    assert "within the limit of 5.0 × 10⁻¹" in text
    assert "at least 50.0 % was asked for" in text
    assert "30 samples are too few for one (64 are needed for the 90th)" in text


def test_vectors_of_one_direction_are_warned_of(report: dict[str, Any]) -> None:
    sentence = "as random weights do"
    assert sentence not in page(report, "image")
    report["encoders"]["image"]["mean_length"] = 0.999
    assert sentence in page(report, "image")


@pytest.mark.parametrize(
    ("error", "said"),
    [(1e-4, "practically the same as"), (5e-3, "close to"), (0.2, "clearly different from")],
)
def test_the_headline_judges_centred_vectors(error: float, said: str) -> None:
    found = {"file": "image.onnx", "centred": {"mean": error}, "plain": {"mean": 0.0}}
    assert headline(found) == f"The vectors of image.onnx are {said} those of its source"


def test_bars_are_as_high_as_their_counts() -> None:
    edges = (10 ** (np.arange(-16, -11) / 4)).tolist()  # from 10^-4 to 10^-3
    drawn = chart(edges, [1, 0, 4, 2])
    heights = [bar["height"] for bar in drawn["bars"]]
    assert [height / heights[0] for height in heights] == pytest.approx([1, 4, 2], abs=0.01)
    assert all(bar["y"] + bar["height"] == pytest.approx(drawn["bottom"], abs=0.02) for bar in drawn["bars"])
    assert [tick["text"] for tick in drawn["ticks"]] == ["10⁻⁴", "10⁻³"]
    assert drawn["bars"][1]["title"] == "4 between 3.2 × 10⁻⁴ and 5.6 × 10⁻⁴"


def test_numbers_are_written_for_people() -> None:
    assert (small(0.000304), small(0), small(1.5)) == ("3.0 × 10⁻⁴", "0", "1.5 × 10⁰")
    assert (percent(0.9731), signed(-0.004), signed(0.25)) == ("97.3 %", "−0.004", "+0.250")
