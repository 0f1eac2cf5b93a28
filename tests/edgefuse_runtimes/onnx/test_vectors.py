"""Pictures in, vectors out: what both engines of an ONNX encoder share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.graph import load
from edgefuse_runtimes.onnx.vectors import encode_each, input_shape
from edgefuse_runtimes.spec import EncoderSpec, Tokenization, Views

SHAPE = (1, 3, 28, 28)


@pytest.fixture
def small_spec(tiny_spec: EncoderSpec) -> EncoderSpec:
    return replace(tiny_spec, width=2, pooling="none")


def mean_and_max(x: np.ndarray) -> np.ndarray:
    return np.array([[x.mean(), x.max()]], np.float32)


def test_pictures_are_run_one_at_a_time(small_spec: EncoderSpec) -> None:
    batch = np.random.default_rng(0).random((4, 3, 28, 28), np.float32)

    rows = encode_each(mean_and_max, batch, small_spec)

    np.testing.assert_allclose(rows, [[x.mean(), x.max()] for x in batch], rtol=1e-6)


def test_vectors_are_pooled_and_normalised_as_the_spec_says(small_spec: EncoderSpec) -> None:
    spec = replace(small_spec, pooling="mean", normalize=True)
    hidden = np.array([[[2, 5], [4, 3]]], np.float32)  # (1, 2, 2)

    rows = encode_each(lambda x: hidden, np.zeros(SHAPE, np.float32), spec)

    np.testing.assert_allclose(rows, [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_picture_is_seen_from_all_its_views(small_spec: EncoderSpec, count: Views) -> None:
    assert small_spec.preprocess is not None
    spec = replace(small_spec, preprocess=replace(small_spec.preprocess, views=count))
    picture = np.random.default_rng(0).random(SHAPE, np.float32)

    def corners(x: np.ndarray) -> np.ndarray:
        return np.array([[x[0, 0, 0, 0], x[0, 0, 0, -1]]], np.float32)  # top left and top right

    (row,) = encode_each(corners, picture, spec)

    (a, b), (c, d) = picture[0, 0][[0, -1]][:, [0, -1]]
    same, mirrored, upside_down, turned = [(a, b), (b, a), (c, d), (d, c)]
    np.testing.assert_allclose(row, np.mean([same, mirrored, upside_down, turned][:count], axis=0), rtol=1e-6)


def test_no_pictures_give_no_vectors(small_spec: EncoderSpec) -> None:
    assert encode_each(mean_and_max, np.zeros((0, 3, 28, 28), np.float32), small_spec).shape == (
        0,
        2,
    )


@pytest.mark.parametrize(
    ("batch", "given"),
    [
        (np.zeros((1, 3, 28, 29), np.float32), r"float32 \(1, 3, 28, 29\)"),
        (np.zeros((3, 28, 28), np.float32), r"float32 \(3, 28, 28\)"),
        (np.zeros(SHAPE), r"float64 \(1, 3, 28, 28\)"),
        ([np.zeros(3, np.int32)], "list"),
    ],
)
def test_pictures_of_another_shape_or_type_are_refused(small_spec: EncoderSpec, batch: object, given: str) -> None:
    with pytest.raises(BadInput, match=rf"takes pictures as float32 \(n, 3, 28, 28\), but was given {given}"):
        encode_each(mean_and_max, batch, small_spec)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_refused(small_spec: EncoderSpec, value: float) -> None:
    batch = np.zeros((3, 3, 28, 28), np.float32)
    batch[1] = value

    with pytest.raises(BadInput, match="NaN or infinity for picture 2 of 3"):
        encode_each(mean_and_max, batch, small_spec)


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (1, 4, 2), (2,)])
def test_an_output_of_another_shape_is_refused(small_spec: EncoderSpec, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"pooling 'none'\) needs \(1, 2\)"):
        encode_each(lambda x: np.zeros(shape, np.float32), np.zeros(SHAPE, np.float32), small_spec)


def model(save_model: Callable[..., Path], shape: list[object] | None, dtype: type = np.float32) -> Path:
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    return save_model([node], {"x": (dtype, shape)}, {"y": (dtype, None)})


@pytest.mark.parametrize("shape", [[1, 3, 28, 28], ["batch", 3, 28, 28], ["batch", "channels", "height", None]])
def test_free_dimensions_are_filled(
    save_model: Callable[..., Path], tiny_spec: EncoderSpec, shape: list[object]
) -> None:
    assert input_shape(load(model(save_model, shape)), tiny_spec) == SHAPE


def test_a_graph_for_other_pictures_is_refused(save_model: Callable[..., Path], tiny_spec: EncoderSpec) -> None:
    with pytest.raises(BadInput, match=r"shape \(b, 3, 14, 28\), but its description prepares \(1, 3, 28, 28\)"):
        input_shape(load(model(save_model, ["b", 3, 14, 28])), tiny_spec)
    with pytest.raises(BadInput, match=r"shape \(1, 3\)"):
        input_shape(load(model(save_model, [1, 3])), tiny_spec)
    with pytest.raises(BadInput, match="one float32 input"):
        input_shape(load(model(save_model, [1, 3, 28, 28], np.int64)), tiny_spec)


@pytest.fixture
def text_spec(small_spec: EncoderSpec) -> EncoderSpec:
    rule = Tokenization(8, add_bos=True, newline_to_space=False, add_eos=True)
    return replace(small_spec, modality="text", preprocess=None, tokenization=rule)


@pytest.mark.parametrize("shape", [[1, "tokens"], ["batch", "tokens"], [None, None]])
def test_a_graph_for_notes_of_any_length(
    save_model: Callable[..., Path], text_spec: EncoderSpec, shape: list[object]
) -> None:
    assert input_shape(load(model(save_model, shape, np.int64)), text_spec) == (1, None)


@pytest.mark.parametrize(("shape", "shown"), [([1, 8], r"\(1, 8\)"), (["n"], r"\(n\)"), ([2, "t"], r"\(2, t\)")])
def test_a_graph_for_notes_of_one_length_is_refused(
    save_model: Callable[..., Path], text_spec: EncoderSpec, shape: list[object], shown: str
) -> None:
    with pytest.raises(BadInput, match=rf"takes token ids of the shape {shown}, .* prepares \(1, tokens\)"):
        input_shape(load(model(save_model, shape, np.int64)), text_spec)


def test_a_graph_of_the_other_modality_is_refused(
    save_model: Callable[..., Path], tiny_spec: EncoderSpec, text_spec: EncoderSpec
) -> None:
    with pytest.raises(BadInput, match="must have one int64 input, token ids"):
        input_shape(load(model(save_model, [1, 3, 28, 28])), text_spec)
    with pytest.raises(BadInput, match="must have one float32 input, pictures"):
        input_shape(load(model(save_model, [1, "tokens"], np.int64)), tiny_spec)


def test_notes_are_run_one_at_a_time_as_int64(text_spec: EncoderSpec) -> None:
    seen = []

    def length_and_sum(x: np.ndarray) -> np.ndarray:
        seen.append((x.dtype, x.shape))
        return np.array([[x.shape[1], x.sum()]], np.float32)

    notes = [np.array(ids, np.int32) for ids in ([1, 2, 3], [5], [7, 7])]
    assert encode_each(length_and_sum, notes, text_spec).tolist() == [[3, 6], [1, 5], [2, 14]]
    assert seen == [(np.int64, (1, 3)), (np.int64, (1, 1)), (np.int64, (1, 2))]
    assert encode_each(length_and_sum, [], text_spec).shape == (0, 2)


@pytest.mark.parametrize(
    ("batch", "given"),
    [
        (np.zeros((1, 3, 28, 28), np.float32), r"float32 \(1, 3, 28, 28\)"),
        ([np.zeros(9, np.int32)], r"int32 \(9\)"),
        ([np.zeros(0, np.int32)], r"int32 \(0\)"),
        ([np.zeros(3, np.int64)], r"int64 \(3\)"),
        ([np.zeros((1, 3), np.int32)], r"int32 \(1, 3\)"),
        (["a note"], "str"),
    ],
)
def test_notes_of_another_kind_are_refused(text_spec: EncoderSpec, batch: object, given: str) -> None:
    with pytest.raises(BadInput, match=rf"takes notes of 1 to 8 int32 token ids, but was given {given}"):
        encode_each(mean_and_max, batch, text_spec)  # type: ignore[arg-type]


def test_a_vector_of_a_note_that_is_not_finite_is_refused(text_spec: EncoderSpec) -> None:
    with pytest.raises(BadInput, match="for note 1 of 1; check the note"):
        encode_each(lambda x: np.full((1, 2), np.nan, np.float32), [np.ones(2, np.int32)], text_spec)
