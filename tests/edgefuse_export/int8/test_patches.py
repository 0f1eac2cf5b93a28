"""A patch convolution on whole pixels: they come back exactly, and the vectors stay where they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse_export.graph import load_graph
from edgefuse_export.int8 import wiring as wirings
from edgefuse_export.int8.moments import session_of
from edgefuse_export.int8.patches import Patches, find_patches, use_pixels
from edgefuse_export.int8.wiring import Wiring
from edgefuse_export.preprocessing import DINOV2
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.spec import Preprocess
from tests.edgefuse_export.int8.conftest import CASES, SIDE, FoldedOf

pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")

SMALL = replace(DINOV2, size=SIDE, crop=SIDE)
CLIP = replace(
    SMALL, mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)
)  # as OpenAI's processor has it
VIT = replace(SMALL, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # 127.5 lies between two pixels


def photographs(preprocess: Preprocess, count: int = 12) -> list[np.ndarray]:
    """Smooth pictures of coarse noise, prepared (1, 3, 56, 56)."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 7, 7, 3), np.uint8)
    return [prepare(Image.fromarray(picture).resize((SIDE, SIDE)), preprocess)[None] for picture in coarse]


def run(graph: Wiring, value: str, pictures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One more value of the graph, and its output, for each picture."""
    session = session_of(graph, [value])
    runs = [session.run([value, graph.output.name], {graph.input.name: picture}) for picture in pictures]
    return np.concatenate([given[0] for given in runs]), np.concatenate([given[1] for given in runs])


def opened(file: Path) -> tuple[Wiring, Patches]:
    graph = wirings.read(load_graph(file))
    found = find_patches(graph)
    assert found is not None
    return graph, found


@pytest.mark.parametrize(("name", "pooler"), CASES)
def test_tokens_stay_near_those_of_the_convolution(folded: FoldedOf, name: str, pooler: bool) -> None:
    graph, patches = opened(folded(name, pooler))
    pictures = photographs(SMALL)
    expected, outputs = run(graph, patches.moves[-1].output[0], pictures)
    use_pixels(graph, patches, SMALL, pictures)
    (product,) = [node for node in graph.nodes if node.op_type == "MatMulInteger"]
    (last,) = [node for node in graph.nodes if node.op_type == "Add" and "patches.bias" in node.input[1]]
    found, outputs_now = run(graph, last.output[0], pictures)
    assert np.abs(found - expected).max() < 0.05 * expected.std(axis=(0, 1)).max()
    np.testing.assert_allclose(outputs_now, outputs, atol=0.02)
    levels = graph.constants[product.input[1]].astype(int)
    assert np.abs(levels.reshape(-1, 2, levels.shape[1]).sum(axis=1)).max() <= 128


@pytest.mark.parametrize("preprocess", [SMALL, CLIP, VIT], ids=["dinov2", "clip", "vit"])
def test_every_pixel_comes_back_as_it_was(folded: FoldedOf, preprocess: Preprocess) -> None:
    graph, patches = opened(folded("dinov2", False))
    use_pixels(graph, patches, preprocess, photographs(preprocess, 2))
    (whole,) = [node.output[0] for node in graph.nodes if node.op_type == "QuantizeLinear"]
    pixels = np.arange(SIDE * SIDE * 3).astype(np.uint8).reshape(SIDE, SIDE, 3)  # each of 0..255 in each channel
    picture = prepare(Image.fromarray(pixels), preprocess)[None]
    (found,) = session_of(graph, [whole]).run([whole], {graph.input.name: picture})
    np.testing.assert_array_equal(found[0], pixels.transpose(2, 0, 1))


def test_what_is_outside_the_pixels_is_cut(folded: FoldedOf) -> None:
    graph, patches = opened(folded("dinov2", False))
    use_pixels(graph, patches, SMALL, photographs(SMALL, 2))
    (whole,) = [node.output[0] for node in graph.nodes if node.op_type == "QuantizeLinear"]
    wild = np.linspace(-50, 50, 3 * SIDE * SIDE, dtype=np.float32).reshape(1, 3, SIDE, SIDE)
    (found,) = session_of(graph, [whole]).run([whole], {graph.input.name: wild})
    assert (found.min(), found.max()) == (0, 255)


def test_a_picture_that_is_no_whole_number_of_patches_keeps_its_convolution(folded: FoldedOf) -> None:
    graph, _ = opened(folded("dinov2", False))
    for side in graph.input.type.tensor_type.shape.dim[2:]:
        side.dim_value += 5
    assert find_patches(graph) is None


def test_windows_that_overlap_are_no_patches(folded: FoldedOf) -> None:
    graph, patches = opened(folded("dinov2", False))
    (strides,) = [attribute for attribute in patches.convolution.attribute if attribute.name == "strides"]
    strides.ints[:] = [side // 2 for side in strides.ints]
    assert find_patches(graph) is None
