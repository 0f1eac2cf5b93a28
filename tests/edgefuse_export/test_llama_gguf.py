"""A GGUF file of the LLaMA family -> a GGUF file in Q8_0, or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_export.llama import export_text_encoder
from edgefuse_export.sources import Origin
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256

gguf = pytest.importorskip("gguf", reason="gguf is not installed (extra export)")
Q8_0 = gguf.GGMLQuantizationType.Q8_0


def tensors(file: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}


def rewritten(
    source: Path,
    target: Path,
    change: Callable[[str, np.ndarray], tuple[np.ndarray, Any]] = lambda _, values: (values, None),
    *,
    architecture: str = "llama",
    extra: Callable[[Any], None] = lambda _: None,
) -> Path:
    """A copy of a float32 GGUF file with changed tensors or metadata."""
    reader, writer = gguf.GGUFReader(source), gguf.GGUFWriter(target, architecture)
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            kinds = [*field.types, None]
            writer.add_key_value(key, field.contents(), kinds[0], kinds[1])
    extra(writer)
    for tensor in reader.tensors:
        values, kind = change(tensor.name, np.array(tensor.data))
        if values.size:
            writer.add_tensor(tensor.name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def refuse(source: Path, tmp_path: Path, sentence: str) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match=sentence) as caught:
        export_text_encoder(source, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_gguf_in_f32_becomes_q8_0(tiny_text_gguf: Path, tmp_path: Path) -> None:
    spec = export_text_encoder(tiny_text_gguf, tmp_path)
    before, after = tensors(tiny_text_gguf), tensors(tmp_path / "text.gguf")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        if len(tensor.shape) == 2:
            np.testing.assert_array_equal(after[name].data, gguf.quants.quantize(tensor.data, Q8_0))
        else:
            np.testing.assert_array_equal(after[name].data, tensor.data)
    assert spec.recipe["steps"] == ["matrices of F32 dequantised", "matrices to Q8_0, norms to F32"]
    assert (spec.width, spec.source["name"]) == (64, "tiny.gguf")


def test_gguf_metadata_keep_their_values_and_types(tiny_text_gguf: Path, tmp_path: Path) -> None:
    export_text_encoder(tiny_text_gguf, tmp_path)
    before, after = gguf.GGUFReader(tiny_text_gguf).fields, gguf.GGUFReader(tmp_path / "text.gguf").fields
    for key, field in before.items():
        if not key.startswith("GGUF."):
            assert after[key].types == field.types
            assert after[key].contents() == field.contents()
    assert after["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q8_0
    assert after.keys() - before.keys() == {"general.file_type", "general.quantization_version"}


def test_q8_0_is_copied_byte_by_byte(tiny_text_gguf: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    export_text_encoder(tiny_text_gguf, tmp_path / "first")
    spec = export_text_encoder(tmp_path / "first" / "text.gguf", tmp_path / "second")
    assert spec.recipe["steps"] == ["Q8_0 matrices copied"]
    assert sha256(tmp_path / "first" / "text.gguf") == sha256(tmp_path / "second" / "text.gguf")


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q4_1", "Q5_0"])
def test_other_types_are_dequantised(tiny_text_gguf: Path, tmp_path: Path, kind: str) -> None:
    stored = gguf.GGMLQuantizationType[kind]
    source = rewritten(
        tiny_text_gguf,
        tmp_path / "source.gguf",
        lambda name, values: (gguf.quants.quantize(values, stored), stored) if values.ndim == 2 else (values, None),
    )
    lossy = kind.startswith("Q")
    spec = export_text_encoder(source, tmp_path, requantize=lossy)
    assert spec.recipe.get("notes", []) == (
        [f"source.gguf stores matrices as {kind}: what was lost there cannot come back"] if lossy else []
    )
    before, after = tensors(source), tensors(tmp_path / "text.gguf")
    for name in ("token_embd.weight", "blk.1.ffn_down.weight"):
        values = gguf.quants.dequantize(before[name].data, stored)
        np.testing.assert_array_equal(after[name].data, gguf.quants.quantize(values, Q8_0))


def test_quantised_sources_are_refused_unless_asked_for(tiny_text_gguf: Path, tmp_path: Path) -> None:
    stored = gguf.GGMLQuantizationType.Q4_1
    source = rewritten(
        tiny_text_gguf,
        tmp_path / "source.gguf",
        lambda name, values: (gguf.quants.quantize(values, stored), stored) if "ffn_up" in name else (values, None),
    )
    refuse(source, tmp_path, r"stores matrices as Q4_1, .*; give a file in BF16, F16, F32, Q8_0, or add --requantize")


def test_a_source_of_several_types_is_read_type_by_type(tiny_text_gguf: Path, tmp_path: Path) -> None:
    source = rewritten(
        tiny_text_gguf,
        tmp_path / "source.gguf",
        lambda name, values: (gguf.quants.quantize(values, Q8_0), Q8_0) if "ffn_up" in name else (values, None),
    )
    spec = export_text_encoder(source, tmp_path)
    before, after = tensors(source), tensors(tmp_path / "text.gguf")
    np.testing.assert_array_equal(after["blk.0.ffn_up.weight"].data, before["blk.0.ffn_up.weight"].data)
    values = before["blk.0.ffn_down.weight"].data
    np.testing.assert_array_equal(after["blk.0.ffn_down.weight"].data, gguf.quants.quantize(values, Q8_0))
    assert spec.recipe["steps"][0] == "matrices of F32 dequantised"


def test_given_origin_is_recorded_else_the_stated_licence(tiny_text_gguf: Path, tmp_path: Path) -> None:
    spec = export_text_encoder(tiny_text_gguf, tmp_path, origin=Origin({"name": "a wheel"}, "Apache-2.0"))
    assert (spec.source, spec.licence) == ({"name": "a wheel"}, "Apache-2.0")
    licensed = rewritten(tiny_text_gguf, tmp_path / "b.gguf", extra=lambda writer: writer.add_license("cc0-1.0"))
    (tmp_path / "out").mkdir()
    assert export_text_encoder(licensed, tmp_path / "out").licence == "cc0-1.0"


def test_damaged_gguf_is_refused(tiny_text_gguf: Path, tmp_path: Path) -> None:
    source = tmp_path / "damaged.gguf"
    source.write_bytes(tiny_text_gguf.read_bytes()[:-500])
    refuse(source, tmp_path, r"damaged\.gguf is not a usable GGUF file: it ends inside tensor")


def test_other_bytes_called_gguf_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04 no GGUF")
    refuse(tmp_path / "a.gguf", tmp_path, "does not begin with the letters GGUF")


def test_gguf_of_another_architecture_is_refused(tiny_text_gguf: Path, tmp_path: Path) -> None:
    source = rewritten(tiny_text_gguf, tmp_path / "a.gguf", architecture="qwen2")
    refuse(source, tmp_path, "its architecture is 'qwen2'")


def test_gguf_with_values_that_are_not_finite_is_refused(tiny_text_gguf: Path, tmp_path: Path) -> None:
    source = rewritten(
        tiny_text_gguf,
        tmp_path / "a.gguf",
        lambda name, values: (values * np.float32(np.nan if name == "blk.0.attn_q.weight" else 1), None),
    )
    refuse(source, tmp_path, "not finite in 'blk.0.attn_q.weight'")


def test_gguf_that_lacks_a_tensor_is_refused(tiny_text_gguf: Path, tmp_path: Path) -> None:
    source = rewritten(
        tiny_text_gguf,
        tmp_path / "a.gguf",
        lambda name, values: (values[:0] if name == "blk.1.ffn_up.weight" else values, None),
    )
    refuse(source, tmp_path, "tensor 'blk.1.ffn_up.weight' is missing")


def test_gguf_with_a_wrong_shape_is_refused(tiny_text_gguf: Path, tmp_path: Path) -> None:
    source = rewritten(
        tiny_text_gguf,
        tmp_path / "a.gguf",
        lambda name, values: (values[:-1] if name == "blk.1.ffn_up.weight" else values, None),
    )
    refuse(source, tmp_path, r"tensor 'blk.1.ffn_up.weight' has the shape \(127, 64\), not \(128, 64\)")
