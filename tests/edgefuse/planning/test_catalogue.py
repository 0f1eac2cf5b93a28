"""The catalogue's parameter counts against transformers, its file sizes and facts against exported files."""

from __future__ import annotations

from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from edgefuse.planning.architectures import Llama
from edgefuse.planning.catalogue import CATALOGUE, names
from edgefuse_runtimes.encoder_facts import EncoderFacts

PUBLISHED = {
    "dinov2-small": 22_056_576,
    "dinov2-base": 86_580_480,
    "dinov2-large": 304_368_640,
    "dinov2-giant": 1_136_480_768,
    "smollm2-135m": 134_515_008,
    "tinyllama-1.1b": 1_100_048_384,
    "llama-2-7b": 6_738_415_616,
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "dinov2-small": ("Dinov2Model", {"hidden_size": 384, "num_attention_heads": 6}),
    "dinov2-base": ("Dinov2Model", {"hidden_size": 768}),
    "dinov2-large": ("Dinov2Model", {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}),
    "dinov2-giant": (
        "Dinov2Model",
        {"hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "use_swiglu_ffn": True},
    ),
    "clip-vit-b32-image": ("CLIPVisionModelWithProjection", {}),
    "clip-vit-b32-text": ("CLIPTextModelWithProjection", {}),
    "clip-vit-b16-image": ("CLIPVisionModelWithProjection", {"patch_size": 16}),
    "clip-vit-b16-text": ("CLIPTextModelWithProjection", {}),
    "clip-vit-l14-image": (
        "CLIPVisionModelWithProjection",
        {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "patch_size": 14,
            "projection_dim": 768,
        },
    ),
    "clip-vit-l14-text": (
        "CLIPTextModelWithProjection",
        {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "projection_dim": 768},
    ),
    "all-minilm-l6": (
        "BertModel",
        {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    ),
}


def in_transformers(name: str) -> tuple[str, dict[str, Any]]:
    """Class and settings; a LLaMA's are its own fields."""
    architecture = CATALOGUE[name].architecture
    if not isinstance(architecture, Llama):
        kind, settings = CONFIGS[name]
        return kind, {"patch_size": 14, "image_size": 518, **settings} if kind == "Dinov2Model" else settings
    return "LlamaForCausalLM", {
        "hidden_size": architecture.width,
        "num_hidden_layers": architecture.layers,
        "intermediate_size": architecture.feed_forward,
        "num_attention_heads": architecture.heads,
        "num_key_value_heads": architecture.kv_heads,
        "vocab_size": architecture.vocabulary,
        "tie_word_embeddings": architecture.shares_embeddings,
    }


@pytest.mark.parametrize("name", CATALOGUE)
def test_parameters_are_counted_as_transformers_does(name: str) -> None:
    torch = pytest.importorskip("torch", reason="needs torch, the reference")
    transformers = pytest.importorskip("transformers", reason="needs transformers, the reference")
    kind, settings = in_transformers(name)
    model_class = getattr(transformers, kind)
    options = {"add_pooling_layer": False} if kind == "BertModel" else {}

    with torch.device("meta"):
        model = model_class(model_class.config_class(**settings), **options)

    assert CATALOGUE[name].architecture.parameters == sum(weights.numel() for weights in model.parameters())


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_parameters_are_those_that_are_published(name: str, count: int) -> None:
    assert CATALOGUE[name].architecture.parameters == count


@pytest.mark.parametrize(("size", "count"), [("b32", 151_277_313), ("b16", 149_620_737), ("l14", 427_616_513)])
def test_both_towers_of_clip_and_its_scale_are_the_published_clip(size: str, count: int) -> None:
    towers = (f"clip-vit-{size}-image", f"clip-vit-{size}-text")
    assert sum(CATALOGUE[name].architecture.parameters for name in towers) + 1 == count


def test_a_projecting_tower_is_planned_with_the_width_of_its_layers() -> None:
    assert CATALOGUE["clip-vit-b32-image"].architecture.facts("int8").width == 768  # and its vectors 512


def test_llama_2_in_q8_0_takes_6_7_gib() -> None:
    assert f"{CATALOGUE['llama-2-7b'].architecture.facts('q8_0').weight_bytes / 2**30:.1f}" == "6.7"


@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_smallest_come_first(modality: Any) -> None:
    sizes = [CATALOGUE[name].architecture for name in names(modality)]
    taken = [one.facts(one.precisions[0]).weight_bytes for one in sizes]

    assert taken == sorted(taken)


@pytest.mark.shared
@pytest.mark.skipif(not util.find_spec("transformers"), reason="needs edgefuse[export-torch]")
def test_a_real_gguf_file_has_the_facts_of_the_catalogue(
    shared_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    from edgefuse_export.text import export_text_encoder
    from edgefuse_runtimes.encoder_facts import encoder_facts

    spec = export_text_encoder(shared_checkpoint("smollm2"), tmp_path)
    found = encoder_facts(spec, tmp_path.joinpath)
    expected = CATALOGUE["smollm2-135m"].architecture.facts("q8_0")

    assert found.weight_bytes == pytest.approx(expected.weight_bytes, rel=0.01)
    assert _but_size(found) == _but_size(expected)


@pytest.mark.shared
@pytest.mark.skipif(not util.find_spec("optimum"), reason="needs edgefuse[export-torch]")
def test_real_onnx_files_have_the_sizes_of_the_catalogue(
    shared_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    from edgefuse_export.vision import export_image_encoders

    specs = export_image_encoders(shared_checkpoint("dinov2"), tmp_path, precision="both")

    assert {spec.precision for spec in specs} == {"int8", "fp32"}
    for spec in specs:
        expected = CATALOGUE["dinov2-small"].architecture.facts(spec.precision)
        assert (spec.width, spec.total_bytes) == (expected.width, pytest.approx(expected.weight_bytes, rel=0.02))


def _but_size(facts: EncoderFacts) -> dict[str, Any]:
    return {name: value for name, value in vars(facts).items() if name != "weight_bytes"}
