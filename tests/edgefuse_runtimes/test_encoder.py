"""Which engine runs an encoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import probe_sample
from edgefuse_runtimes import encoder
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import views
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeWorker


@pytest.fixture
def encoders(tiny_encoders: Path) -> Encoders:
    return Encoders.open(tiny_encoders)


def opened(encoders: Encoders) -> tuple[str, list[str]]:
    """The engine that "auto" chooses for the image encoder, and what it says about it."""
    said: list[str] = []
    sample = probe_sample(encoders.file, encoders.image)
    with open_encoder(encoders.image, encoders.folder, probe_sample=sample, notify=said.append) as found:
        return found.info()["engine"], said


def test_auto_takes_the_native_engine_that_passed_its_probe(encoders: Encoders) -> None:
    assert opened(encoders) == ("onnxruntime", [])


def test_without_a_probe_sample_numpy_runs(encoders: Encoders) -> None:
    with open_encoder(encoders.image, encoders.folder) as found:
        assert isinstance(found, OnnxNumpyEncoder)


def test_each_view_is_encoded_for_itself_by_an_engine_that_was_tried_on_their_mean(encoders: Encoders) -> None:
    """The golden vectors of an encoder of four views are means; its probe must not compare them with one view's."""
    spec = encoders.image
    assert spec.preprocess is not None
    four = dataclasses.replace(spec, preprocess=dataclasses.replace(spec.preprocess, views=4))
    sample = probe_sample(encoders.file, spec)()
    inputs = views(sample.batch[0], 4)  # (4, 3, S, S)
    with open_encoder(four, encoders.folder, engine="numpy") as numpy:
        golden = dataclasses.replace(sample, expected=numpy.encode(sample.batch)[0])
    said: list[str] = []
    given: dict[str, Any] = {"probe_sample": lambda: golden, "notify": said.append}
    with open_encoder(four, encoders.folder, each_view=True, **given) as found:
        assert (found.info()["engine"], said) == ("onnxruntime", [])
        apart = found.encode(inputs)  # (4, d)
    np.testing.assert_allclose(apart.mean(axis=0), golden.expected, atol=1e-4)
    with open_encoder(spec, encoders.folder, engine="onnxruntime") as one:
        np.testing.assert_array_equal(apart, one.encode(inputs))


def test_an_engine_can_be_named(encoders: Encoders) -> None:
    with open_encoder(encoders.image, encoders.folder, engine="onnxruntime") as found:
        assert isinstance(found, OnnxRuntimeWorker)
    with open_encoder(encoders.text, encoders.folder, engine="onnxruntime") as found:
        assert found.info()["engine"] == "numpy"  # the name of the other format's engine means "auto"


def test_an_engine_that_is_not_installed_is_refused_by_name(
    encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = dataclasses.replace(encoder.ENGINES["onnx"][0], module="no_such_module")
    monkeypatch.setitem(encoder.ENGINES, "onnx", (missing, encoder.ENGINES["onnx"][1]))
    with pytest.raises(BadInput, match="The engine onnxruntime is not installed"):
        open_encoder(encoders.image, encoders.folder, engine="onnxruntime")
    assert opened(encoders) == ("numpy", [])


def test_a_missing_file_and_an_unknown_format_are_named(encoders: Encoders, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"The encoder file .*image\.onnx is missing"):
        open_encoder(encoders.image, tmp_path)
    odd = dataclasses.replace(encoders.image, format="flatbuffer")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="unknown format 'flatbuffer'"):
        open_encoder(odd, encoders.folder)


def test_a_vector_is_the_same_alone_and_in_a_batch(encoders: Encoders) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(3, 3, 224, 224)).astype(np.float32)
    notes = [rng.integers(0, 200, length).astype(np.int32) for length in (1, 9, 30)]
    for spec, batch in ((encoders.image, pictures), (encoders.text, notes)):
        with open_encoder(spec, encoders.folder, engine="numpy") as found:
            together = found.encode(batch)
            alone = np.concatenate([found.encode(batch[row : row + 1]) for row in range(3)])
        assert together.shape == (3, spec.width)
        cosines = (together * alone).sum(1) / np.linalg.norm(together, axis=1) / np.linalg.norm(alone, axis=1)
        assert (1 - cosines).max() <= 1e-6


def test_side_by_side_gives_the_very_vectors(encoders: Encoders) -> None:
    pictures = np.random.default_rng(0).normal(size=(7, 3, 224, 224)).astype(np.float32)  # more than one request
    found = {}
    for side_by_side in (False, True):
        with open_encoder(
            encoders.image, encoders.folder, engine="onnxruntime", threads=2, side_by_side=side_by_side
        ) as opened:
            found[side_by_side] = opened.encode(pictures)  # (7, d)
            assert opened.info()["threads"] == 2
    np.testing.assert_array_equal(found[True], found[False])


@pytest.mark.parametrize(("engine", "threads"), [("numpy", 2), ("onnxruntime", 1)])
def test_what_cannot_be_done_side_by_side_is_done_in_turn(encoders: Encoders, engine: str, threads: int) -> None:
    pictures = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    settings: dict[str, Any] = {"engine": engine, "threads": threads}
    with (
        open_encoder(encoders.image, encoders.folder, **settings) as one,
        open_encoder(encoders.image, encoders.folder, **settings, side_by_side=True) as other,
    ):
        np.testing.assert_array_equal(other.encode(pictures), one.encode(pictures))
