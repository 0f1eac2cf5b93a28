"""PyTorch models in Hugging Face folders: loaded whole or refused, and traced without chatter."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from edgefuse.extras import importable
from edgefuse_export.resources import torch_with_threads
from edgefuse_runtimes.errors import BadInput

EXTRA = "export-torch"
OPSET = 18
"""Has LayerNormalization (17) and is read by every onnxruntime that edgefuse takes."""

_UNUSED_WEIGHTS = {"embeddings.mask_token"}
"""Weights of training alone: a checkpoint may lack them."""


def load_config(folder: Path, half: str = "") -> Any:
    """The configuration of transformers for the model in `folder`.

    Args:
        folder: a Hugging Face folder.
        half: "vision_config" or "text_config": which half of a model with two is wanted; what has none is whole.

    Raises:
        BadInput: transformers cannot read it.
    """
    transformers = importable("transformers", EXTRA)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        part = getattr(config, half, None) if half else None
        if part is None:
            return config
        part.projection_dim = config.projection_dim  # the two halves share the width that the whole states
        return part
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise _unloadable(folder, error) from error


def load_model(folder: Path, name: str, config: Any, *, optional: Collection[str] = (), **settings: Any) -> Any:
    """The float32 model of transformers' class `name`; every weight but the `optional` ones comes from `folder`.

    Raises:
        BadInput: weights are missing or do not fit the configuration.
    """
    torch, transformers = torch_with_threads(), importable("transformers", EXTRA)
    settings |= {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    try:
        model, info = getattr(transformers, name).from_pretrained(
            folder, config=config, output_loading_info=True, **settings
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise _unloadable(folder, error) from error
    missing = sorted(set(info["missing_keys"]) - _UNUSED_WEIGHTS - set(optional))
    if missing:
        raise BadInput(
            f"{folder} lacks {len(missing)} weights of its model, such as {missing[0]!r}; "
            "its config and weights must agree."
        )
    return model.eval()


def _unloadable(folder: Path, error: Exception) -> BadInput:
    return BadInput(f"{folder} cannot be loaded by transformers ({reason(error)}); its config and weights must agree.")


def reason(error: Exception) -> str:
    """An error's text as part of a sentence."""
    return " ".join(str(error).split())[:200].rstrip(".")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Tracing prints many lines that say nothing to a user; errors still come out as exceptions."""
    verbosity = importable("transformers.utils.logging", EXTRA)
    before = verbosity.get_verbosity()
    verbosity.set_verbosity_error()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        verbosity.set_verbosity(before)
