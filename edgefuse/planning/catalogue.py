"""Encoders that `plan` knows by name: the published numbers of each network, nothing that was measured."""

from __future__ import annotations

from dataclasses import dataclass

from edgefuse.planning.architectures import Architecture, Llama, TextTransformer, VisionTransformer
from edgefuse_runtimes.spec import Modality


@dataclass(frozen=True)
class Known:
    """An encoder of the catalogue."""

    title: str
    """As its makers call it."""
    modality: Modality
    architecture: Architecture


def _dinov2(size: str, layers: int, width: int, feed_forward: int, *, gated: bool = False) -> Known:
    return Known(
        f"DINOv2 ViT-{size}/14", "image", VisionTransformer(layers, width, feed_forward, 14, 37**2 + 1, gated=gated)
    )


CATALOGUE = {
    "dinov2-small": _dinov2("S", 12, 384, 1536),
    "dinov2-base": _dinov2("B", 12, 768, 3072),
    "clip-vit-b16-image": Known(
        "CLIP ViT-B/16, pictures", "image",
        VisionTransformer(12, 768, 3072, 16, 197, is_dinov2=False, projection=512),
    ),
    "clip-vit-b32-image": Known(
        "CLIP ViT-B/32, pictures", "image",
        VisionTransformer(12, 768, 3072, 32, 50, is_dinov2=False, projection=512),
    ),
    "dinov2-large": _dinov2("L", 24, 1024, 4096),
    "clip-vit-l14-image": Known(
        "CLIP ViT-L/14, pictures", "image",
        VisionTransformer(24, 1024, 4096, 14, 257, is_dinov2=False, projection=768),
    ),
    "dinov2-giant": _dinov2("g", 40, 1536, 4096, gated=True),
    "all-minilm-l6": Known(
        "all-MiniLM-L6-v2", "text",
        TextTransformer(6, 384, 1536, 30522, 512, 256, tokenizer_bytes=466_247, segments=2),
    ),
    "clip-vit-b32-text": Known(
        "CLIP ViT-B/32, notes", "text",
        TextTransformer(12, 512, 2048, 49408, 77, 77, tokenizer_bytes=2_224_041, projection=512),
    ),
    "clip-vit-b16-text": Known(
        "CLIP ViT-B/16, notes", "text",
        TextTransformer(12, 512, 2048, 49408, 77, 77, tokenizer_bytes=2_224_041, projection=512),
    ),
    "smollm2-135m": Known("SmolLM2-135M", "text", Llama(30, 576, 1536, 9, 3, 49152, shares_embeddings=True)),
    "clip-vit-l14-text": Known(
        "CLIP ViT-L/14, notes", "text",
        TextTransformer(12, 768, 3072, 49408, 77, 77, tokenizer_bytes=2_224_041, projection=768),
    ),
    "smollm2-360m": Known("SmolLM2-360M", "text", Llama(32, 960, 2560, 15, 5, 49152, shares_embeddings=True)),
    "tinyllama-1.1b": Known("TinyLlama-1.1B", "text", Llama(22, 2048, 5632, 32, 4, 32000)),
    "smollm2-1.7b": Known("SmolLM2-1.7B", "text", Llama(24, 2048, 8192, 32, 32, 49152, shares_embeddings=True)),
    "llama-2-7b": Known("LLaMA-2-7B", "text", Llama(32, 4096, 11008, 32, 32, 32000)),
}  # fmt: skip
"""By modality from the smallest to the largest."""


def names(modality: Modality) -> list[str]:
    """The known encoders of a modality, the smallest first."""
    return [name for name, known in CATALOGUE.items() if known.modality == modality]
