"""An encoder's description survives JSON, and a wrong one is refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import EncoderSpec, Preprocess, Tokenization, TokenizerFile

IMAGE = EncoderSpec(
    modality="image",
    format="onnx",
    file="image.onnx",
    sha256="0" * 64,
    bytes=23,
    precision="int8",
    width=384,
    pooling="cls",
    normalize=False,
    preprocess=Preprocess("shortest", 256, "bicubic", 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    source={"name": "a model", "remarks": ["one"]},
    licence="Apache-2.0",
    recipe={"tool": "1.0"},
)
TEXT = EncoderSpec(
    modality="text",
    format="gguf",
    file="text.gguf",
    sha256="1" * 64,
    bytes=138,
    precision="q8_0",
    width=576,
    pooling="last",
    normalize=False,
    tokenization=Tokenization(512, True, True),
)
ONNX_TEXT = replace(
    TEXT,
    format="onnx",
    file="text.onnx",
    precision="int8",
    pooling="mean",
    tokenization=Tokenization(512, True, False, add_eos=True),
    tokenizer=TokenizerFile("tokenizer.json", "2" * 64, 466),
)


def test_an_older_description_is_read_and_written_as_it_was() -> None:
    data = TEXT.to_json()
    assert "tokenizer" not in data
    assert sorted(data["tokenization"]) == ["add_bos", "max_tokens", "newline_to_space"]
    assert EncoderSpec.from_json(data).to_json() == data
    assert not {"views", "bands"} & IMAGE.to_json()["preprocess"].keys()


assert IMAGE.preprocess is not None
INFRARED = replace(IMAGE, preprocess=replace(IMAGE.preprocess, bands=(8, 4, 3)))


@pytest.mark.parametrize("spec", [IMAGE, INFRARED, TEXT, ONNX_TEXT])
def test_json_there_and_back(spec) -> None:
    data = spec.to_json()

    assert json.loads(json.dumps(data)) == data
    assert EncoderSpec.from_json(data) == spec


def changed(spec: EncoderSpec, path: str, value: Any) -> dict[str, Any]:
    """The spec's JSON with one value replaced, or with the key left out for `...`."""
    data = json.loads(json.dumps(spec.to_json()))
    *folders, name = path.split(".")
    inner = data
    for folder in folders:
        inner = inner[folder]
    if value is ...:
        del inner[name]
    else:
        inner[name] = value
    return data


@pytest.mark.parametrize(
    ("spec", "path", "value"),
    [
        (IMAGE, "width", ...),
        (IMAGE, "colour", "red"),
        (IMAGE, "preprocess", None),
        (IMAGE, "preprocess", "shortest"),
        (IMAGE, "preprocess.size", ...),
        (IMAGE, "preprocess.mean", 0.5),
        (IMAGE, "preprocess.mean", [0.5, 0.5]),
        (IMAGE, "preprocess.mean", ["a", "b", "c"]),
        (IMAGE, "preprocess.std", [0.2, 0.0, 0.2]),
        (IMAGE, "preprocess.resize", "stretch"),
        (IMAGE, "preprocess.resample", "best"),
        (IMAGE, "preprocess.size", 0),
        (IMAGE, "preprocess.size", "256"),
        (IMAGE, "preprocess.bands", [4, 3, 0]),
        (IMAGE, "preprocess.bands", [4, 3]),
        (IMAGE, "preprocess.crop", 257),
        (IMAGE, "preprocess.crop", 0),
        (IMAGE, "preprocess.size", 1_000_000),
        (TEXT, "tokenization", None),
        (TEXT, "tokenization.max_tokens", 0),
        (TEXT, "tokenization.max_tokens", "512"),
        (TEXT, "tokenization.add_bos", 1),
        (TEXT, "tokenization.newline", True),
        (TEXT, "pooling", "first"),
        (TEXT, "modality", "sound"),
        (TEXT, "modality", "image"),
        (TEXT, "width", "576"),
        (TEXT, "width", 0),
        (TEXT, "width", True),
        (TEXT, "normalize", "no"),
        (TEXT, "file", 7),
        (TEXT, "file", "../text.gguf"),
        (TEXT, "file", "/text.gguf"),
        (TEXT, "file", ""),
        (TEXT, "file", "te\0xt"),
        (TEXT, "source", "a model"),
        (TEXT, "bytes", -1),
        (TEXT, "sha256", 0),
        (TEXT, "tokenizer", ONNX_TEXT.to_json()["tokenizer"]),
        (IMAGE, "tokenizer", ONNX_TEXT.to_json()["tokenizer"]),
        (ONNX_TEXT, "tokenizer", ...),
        (ONNX_TEXT, "tokenizer", None),
        (ONNX_TEXT, "tokenizer.file", "text.onnx"),
        (ONNX_TEXT, "tokenizer.file", "../tokenizer.json"),
        (ONNX_TEXT, "tokenizer.bytes", -1),
        (ONNX_TEXT, "tokenizer.sha256", ...),
        (ONNX_TEXT, "tokenization.add_eos", "yes"),
        (ONNX_TEXT, "tokenization.max_tokens", 1),
    ],
)
def test_a_wrong_description_is_one_sentence(spec, path, value) -> None:
    with pytest.raises(BadInput) as caught:
        EncoderSpec.from_json(changed(spec, path, value))

    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = [*IMAGE.to_json()] + [f"preprocess.{name}" for name in IMAGE.to_json()["preprocess"]]


@given(path=st.sampled_from(PLACES), value=JSON)
def test_any_value_anywhere_is_read_or_refused(path, value) -> None:
    try:
        spec = EncoderSpec.from_json(changed(IMAGE, path, value))
    except BadInput:
        return
    assert EncoderSpec.from_json(spec.to_json()) == spec


@given(value=JSON)
def test_what_is_no_description_is_refused(value) -> None:
    with pytest.raises(BadInput):
        EncoderSpec.from_json(value)
