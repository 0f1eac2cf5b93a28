"""torch with transformers: the model as it was published, and its linear layers in torch's own dynamic int8."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_bench.peers.encoder import PeerEncoder
from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.float32]

PROJECTED = {
    "clip": {"image": "CLIPVisionModelWithProjection", "text": "CLIPTextModelWithProjection"},
    "clip_vision_model": {"image": "CLIPVisionModelWithProjection"},
    "clip_text_model": {"text": "CLIPTextModelWithProjection"},
}
"""Classes of transformers for models whose vector is a projection, by model_type; all others are `AutoModel`s."""


def load_model(folder: Path, spec: EncoderSpec, **settings: Any) -> Any:
    """The float32 model in the Hugging Face folder `folder`, ready to run."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    name = PROJECTED.get(config.model_type, {}).get(spec.modality, "AutoModel")
    settings |= {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    return getattr(transformers, name).from_pretrained(folder, **settings).eval()


def output_of(model: Any, spec: EncoderSpec, **inputs: Any) -> Any:
    """The output of `model` that `spec` pools: hidden states (1, tokens, d), or one vector (1, d)."""
    output = model(**inputs)
    if spec.pooling != "none":
        return output.last_hidden_state
    names = ("image_embeds", "text_embeds", "pooler_output")
    return next(output[name] for name in names if output.get(name) is not None)


class TorchEncoder(PeerEncoder):
    """The model as it was published, in float32."""

    def __init__(self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> None:
        import torch

        torch.set_num_threads(threads)
        model = self._changed(load_model(path, spec))
        name = "pixel_values" if spec.modality == "image" else "input_ids"

        def run(x: NDArray[Any]) -> Floats:
            with torch.inference_mode():
                found: Floats = output_of(model, spec, **{name: torch.from_numpy(x)}).numpy()
            return found

        super().__init__(spec, run, "torch", torch.__version__)

    def _changed(self, model: Any) -> Any:
        return model


class TorchInt8Encoder(TorchEncoder):
    """Its linear layers in int8 by `torch.ao.quantization.quantize_dynamic`."""

    def _changed(self, model: Any) -> Any:
        import torch
        from torch.ao.quantization import quantize_dynamic

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it will be gone one day
            return quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
