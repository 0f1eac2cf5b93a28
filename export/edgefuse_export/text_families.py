"""Families of text encoders that become ONNX: what loads them, and how they are traced for notes of any length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse_export.torch_models import EXTRA, OPSET, load_model, quiet, reason
from edgefuse_export.weights import check_finite
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Pooling


@dataclass(frozen=True)
class TextFamily:
    """How the models of one type are loaded and read."""

    model: str
    """Class of transformers."""
    output: str
    """Its output that stands for the note: hidden states (1, t, d), or one vector (1, d)."""
    poolings: tuple[Pooling, ...]
    """What may be chosen, the usual one first."""
    normalize: bool = False


CLIP = TextFamily("CLIPTextModelWithProjection", "text_embeds", ("none",), normalize=True)
BERT = TextFamily("BertModel", "last_hidden_state", ("cls", "mean"))

TEXT_FAMILIES = {"bert": BERT, "clip": CLIP, "clip_text_model": CLIP}
"""By the model_type that config.json states."""


@dataclass(frozen=True)
class TextModel:
    """A loaded model and the plainer one that is traced: without masks, as one note has no padding."""

    family: TextFamily
    source: Any
    """The model as transformers has it."""
    plain: Any

    def states(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """What transformers gives for a note (t,): hidden states (t, d), or one vector (d,)."""
        torch = importable("torch", EXTRA)
        with torch.no_grad():
            output = self.source(input_ids=torch.tensor(ids[None], dtype=torch.int64))[self.family.output]
        states: NDArray[np.float32] = output[0].numpy()
        return states


def load(folder: Path, family: TextFamily, config: Any, progress: Progress = silent) -> TextModel:
    """The model in `folder`.

    Raises:
        BadInput: weights are missing, damaged or not finite.
    """
    check_finite(folder, progress)
    settings: dict[str, Any] = {"add_pooling_layer": False} if family is BERT else {}
    with quiet():
        model = load_model(folder, family.model, config, attn_implementation="eager", **settings)
        return TextModel(family, model, _plain_clip(model) if family is CLIP else _plain_bert(model))


def trace(model: TextModel, ids: NDArray[np.int32], folder: Path, target: Path, progress: Progress = silent) -> None:
    """Write the model to `target`: an ONNX graph of one note (1, tokens) int64, `tokens` free, with the one output.

    Args:
        model: of `load`.
        ids: a note to try it on, (t,), that begins and ends with the special tokens.
        folder: the model's, for messages.
        target: an .onnx file.
        progress: shows the step.

    Raises:
        BadInput: the model does not run, or computes something else than its family does.
    """
    torch = importable("torch", EXTRA)
    given = torch.tensor(ids[None], dtype=torch.int64)  # (1, t)
    for _ in progress("tracing the text encoder", [None], 1):
        with quiet():
            try:
                with torch.no_grad():
                    plain, expected = model.plain(given)[0].numpy(), model.states(ids)  # (t, d) or (d,), twice
                if plain.shape != expected.shape or not np.allclose(plain, expected, rtol=1e-3, atol=1e-4):
                    raise BadInput(
                        f"{folder} holds a variant of its type that is not supported (it computes something else); "
                        "choose another text encoder."
                    )
                torch.onnx.export(
                    model.plain, (given,), str(target), input_names=["input_ids"], output_names=[model.family.output],
                    dynamic_axes={"input_ids": {1: "tokens"}}, opset_version=OPSET, dynamo=False,
                )  # fmt: skip
            except (RuntimeError, ValueError, IndexError) as error:
                raise BadInput(
                    f"{folder} does not run on one note of {len(ids)} tokens ({reason(error)}); "
                    "its tokenizer.json must belong to what its config.json states."
                ) from error


def _plain_bert(model: Any) -> Any:
    """BERT for one note without padding and without a second sentence: ids (1, t) -> hidden states (1, t, d)."""
    embeddings = model.embeddings

    class PlainBert(importable("torch", EXTRA).nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.norm, self.encoder = embeddings.word_embeddings, embeddings.LayerNorm, model.encoder
            # Every token is of the first sentence, so that the two tables are one.
            table = embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0]
            self.register_buffer("table", table.detach())  # (positions, d)

        def forward(self, ids: Any) -> Any:
            hidden = self.norm(self.words(ids) + self.table[: ids.shape[1]])  # (1, t, d)
            return self.encoder(hidden).last_hidden_state  # (1, t, d)

    return PlainBert().eval()


def _plain_clip(model: Any) -> Any:
    """CLIP's text half for one note: ids (1, t), of which the last is the end token -> its projection (1, d)."""
    torch = importable("torch", EXTRA)
    text, positions = model.text_model, model.config.max_position_embeddings
    embeddings = text.embeddings

    class PlainClip(importable("torch", EXTRA).nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.encoder, self.norm = embeddings.token_embedding, text.encoder, text.final_layer_norm
            self.projection = model.text_projection
            self.register_buffer("table", embeddings.position_embedding.weight.detach())  # (positions, d)
            lowest = torch.full((1, 1, positions, positions), torch.finfo(torch.float32).min)
            self.register_buffer("mask", lowest.triu(1))  # a token sees itself and what stands before it

        def forward(self, ids: Any) -> Any:
            length = ids.shape[1]
            hidden = self.encoder(
                inputs_embeds=self.words(ids) + self.table[:length],
                causal_attention_mask=self.mask[:, :, :length, :length],
            ).last_hidden_state  # (1, t, d)
            return self.projection(self.norm(hidden[:, -1]))  # (1, d)

    return PlainClip().eval()
