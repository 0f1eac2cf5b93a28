"""BERT and ViT as the paper's raw baseline takes them: the CLS token of 500 tokens, and the pooler's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse_export.preprocessing import FILE, read_preprocess
from edgefuse_export.sources import find_source, read_config
from edgefuse_export.torch_models import load_config, load_model, reason
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Preprocess

EXTRA = "raw"
TOKENS = 500
"""Of a note; BERT itself has places for 512."""
UNUSED = ("pooler.dense.weight", "pooler.dense.bias")
"""Of BERT: it stands behind the CLS token that is taken, so that a checkpoint may lack it."""


@dataclass(frozen=True)
class Backbones:
    """Both models, and what prepares their input."""

    text: Any
    """A BertModel."""
    image: Any
    """A ViTModel with its pooler."""
    tokenizer: Any
    tokens: int
    """The most of a note that is read."""
    preprocess: Preprocess

    @property
    def widths(self) -> tuple[int, int]:
        """Of the text's and of the image's vector."""
        return int(self.text.config.hidden_size), int(self.image.config.hidden_size)

    @property
    def parameter_count(self) -> int:
        """Of both models, whatever of them is used."""
        return sum(parameter.numel() for model in (self.text, self.image) for parameter in model.parameters())

    def trainable(self, on: bool) -> None:
        """Whether both learn: also whether their dropout acts."""
        for model in (self.text, self.image):
            model.requires_grad_(on)
            model.train(on)


def open_backbones(text: str, image: str) -> Backbones:
    """The models in two Hugging Face folders, or of two names on the hub.

    Raises:
        BadInput: the extra is not installed, one is no BERT or no ViT, or lacks files or weights.
    """
    importable("torch", EXTRA)
    transformers = importable("transformers", EXTRA)
    text_folder, image_folder = _folder(text, "bert", "--text-model"), _folder(image, "vit", "--image-model")
    bert = load_model(text_folder, "BertModel", load_config(text_folder), optional=UNUSED)
    vit = load_model(image_folder, "ViTModel", load_config(image_folder), add_pooling_layer=True)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(text_folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"The tokenizer in {text_folder} cannot be loaded ({reason(error)}); fetch the model's folder again."
        ) from error
    tokens = min(TOKENS, int(bert.config.max_position_embeddings))
    return Backbones(bert, vit, tokenizer, tokens, read_preprocess(image_folder / FILE))


def encode(backbones: Backbones, notes: Sequence[str], pixels: NDArray[np.float32]) -> tuple[Any, Any]:
    """Text vectors (n, d_t) and image vectors (n, d_i), torch tensors, of n notes and their pictures (n, 3, H, W)."""
    torch = importable("torch", EXTRA)
    words = backbones.tokenizer(
        list(notes), truncation=True, max_length=backbones.tokens, padding=True, return_tensors="pt"
    )  # ids and mask (n, t), t as long as the longest note: padding that is masked changes no vector
    text = backbones.text(**words).last_hidden_state[:, 0]  # (n, d_t)
    image = backbones.image(pixel_values=torch.from_numpy(pixels)).pooler_output  # (n, d_i)
    return text, image


def _folder(source: str, family: str, option: str) -> Path:
    folder = find_source(source)
    found = read_config(folder)["model_type"] if folder.is_dir() else "no folder"
    if found != family:
        raise BadInput(f"{option} {source} is {found}, not a {family} in a Hugging Face folder; name one.")
    return folder
