"""Every source that cannot be used is refused by one sentence, and nothing is left beside the output."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")

Edit = Callable[[Path], None]


def config(**changes: Any) -> Edit:
    def edit(source: Path) -> None:
        path = source / "config.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))

    return edit


def without(name: str) -> Edit:
    return lambda source: (source / name).unlink()


def truncated(source: Path) -> None:
    path = source / "model.safetensors" if source.is_dir() else source
    path.write_bytes(path.read_bytes()[:-100])


def weights(change: Callable[[dict[str, np.ndarray]], None]) -> Edit:
    def edit(source: Path) -> None:
        library = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed (extra export)")
        tensors = library.load_file(source / "model.safetensors")
        change(tensors)
        library.save_file(tensors, source / "model.safetensors")

    return edit


def with_nan(tensors: dict[str, np.ndarray]) -> None:
    tensors[max(tensors)].reshape(-1)[-1] = np.nan


def one_row_less(tensors: dict[str, np.ndarray]) -> None:
    name = max(name for name, tensor in tensors.items() if tensor.ndim == 2)
    tensors[name] = tensors[name][:-1].copy()


def pickled(source: Path) -> None:
    (source / "model.safetensors").rename(source / "pytorch_model.bin")


def replaced(old: bytes, new: bytes) -> Edit:
    def edit(source: Path) -> None:
        content = source.read_bytes()
        assert old in content
        source.write_bytes(content.replace(old, new))

    return edit


def number_at(place: int, kind: str, value: int) -> Edit:
    """Overwrite a number in the header of a GGUF file: magic, version, count of tensors, count of metadata."""

    def edit(source: Path) -> None:
        content = bytearray(source.read_bytes())
        struct.pack_into(kind, content, place, value)
        source.write_bytes(content)

    return edit


def last_offset_beyond(source: Path) -> None:
    """The tensor table ends with the last tensor's offset, from the beginning of the padded data."""
    import gguf

    offset = gguf.GGUFReader(source).tensors[-1].field.parts[-1]
    content = source.read_bytes()
    place = content.rindex(struct.pack("<Q", int(offset[0])), 0, gguf.GGUFReader(source).data_offset)
    source.write_bytes(content[:place] + struct.pack("<Q", 1 << 40) + content[place + 8 :])


@pytest.mark.parametrize(
    ("kind", "edit", "said"),
    [
        ("llama", config(model_type="mistral"), "'mistral'; the text encoders that can be exported are: llama"),
        ("llama", without("config.json"), "holds no config.json"),
        ("llama", without("tokenizer.json"), "tokenizer"),
        ("llama", without("model.safetensors"), "holds no model.safetensors"),
        ("llama", pickled, "convert them to safetensors first"),
        ("llama", truncated, "fetch it again"),
        ("llama", weights(with_nan), "not finite"),
        ("llama", weights(one_row_less), "its config and weights must agree"),
        ("llama", config(hidden_size=-4), "hidden_size = -4"),
        ("gguf", replaced(b"llama", b"gemma"), "gemma"),
        ("gguf", truncated, "source"),
        ("gguf", number_at(4, "<I", 99), "99"),
        ("gguf", number_at(8, "<Q", 1 << 50), "source"),
        ("gguf", number_at(16, "<Q", 1 << 60), "source"),
        ("gguf", last_offset_beyond, "source"),
        ("dinov2", config(model_type="swin"), "'swin'; the image encoders that can be exported are: dinov2"),
        ("dinov2", without("preprocessor_config.json"), "preprocessor_config.json is missing"),
        ("dinov2", pickled, "convert them to safetensors first"),
        ("dinov2", truncated, "fetch it again"),
        ("dinov2", weights(with_nan), "not finite"),
        ("dinov2", weights(one_row_less), "its config and weights must agree"),
        ("bert", without("tokenizer.json"), "has no tokenizer.json"),
        ("onnx", truncated, "export or fetch it again"),
    ],
)
def test_what_cannot_be_used_is_refused_by_one_sentence(
    cli: Callable[..., Any], request: pytest.FixtureRequest, tmp_path: Path, kind: str, edit: Edit, said: str
) -> None:
    sources = {"image": request.getfixturevalue("tiny_image_onnx"), "text": request.getfixturevalue("tiny_text_gguf")}
    source = tmp_path / ("source" if kind in ("llama", "dinov2", "bert") else f"source.{kind}")
    match kind:
        case "llama" | "dinov2":
            shutil.copytree(request.getfixturevalue(f"{kind}_folder"), source)
        case "bert":
            shutil.copytree(request.getfixturevalue("text_folder")("bert"), source)
        case "onnx" | "gguf":
            shutil.copy(sources["image" if kind == "onnx" else "text"], source)
    edit(source)
    sources["image" if kind in ("dinov2", "onnx") else "text"] = source
    outcome = cli(
        "export", "--image-encoder", sources["image"], "--text-encoder", sources["text"], "--precision", "fp32",
        "--samples-count", "2",
        "--output", tmp_path / "E",
    )  # fmt: skip
    complaints = [line for line in outcome.err.splitlines() if line.startswith("edgefuse:")]
    if kind not in ("onnx", "dinov2"):  # told of the image encoder, which was read first
        complaints = [line for line in complaints if "preprocessing was assumed" not in line]
    assert (outcome.code, outcome.out, len(complaints)) == (2, "", 1), outcome
    assert str(source) in complaints[0]
    assert said in complaints[0]
    assert complaints[0].endswith(".")
    assert list(tmp_path.iterdir()) == [source]
