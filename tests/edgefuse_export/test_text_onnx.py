"""Text encoders in ONNX, as both engines run them, compared with transformers on the same weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_export.text import export_text_encoder, export_text_encoders
from edgefuse_runtimes.encoder import encode_notes, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.pooling import l2_normalize
from edgefuse_runtimes.spec import EncoderSpec, Tokenization
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed (extra export-torch)")

TextFolder = Callable[[str], Path]
Exported = tuple[Path, EncoderSpec]
LENGTHS = {"bert": 40, "sentence-bert": 24, "clip": 40, "clip_text_model": 40}
ENGINES = ["onnxruntime", "numpy"]


@pytest.fixture(scope="module")
def notes(sentences: list[str]) -> list[str]:
    """Notes of one word up to more than any limit."""
    return [*sentences, "mole", "Ein Muttermal, 8 mm. " * 30, "It's 3 years old;\n\n\tgrowing."]


@pytest.fixture(scope="module")
def float32(text_folder: TextFolder, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """The folder and the spec of a tiny encoder exported with --precision fp32, made once."""
    made: dict[str, Exported] = {}

    def make(name: str) -> Exported:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = folder, export_text_encoder(text_folder(name), folder, precision="fp32")
        return made[name]

    return make


def by_transformers(folder: Path, notes: Sequence[str]) -> np.ndarray:
    """The vectors (n, d) that the model's own library gives, with the tokenizer of `tokenizers`."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    library = pytest.importorskip("tokenizers")
    tokenizer = library.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTHS[folder.name])
    tokenizer.encode_special_tokens = True
    ids = [torch.tensor([tokenizer.encode(note.strip()).ids]) for note in notes]
    match folder.name:
        case "clip":
            vector = transformers.CLIPModel.from_pretrained(folder).get_text_features
        case "clip_text_model":
            model = transformers.CLIPTextModelWithProjection.from_pretrained(folder)
            vector = lambda given: model(given).text_embeds  # noqa: E731
        case "bert":
            model = transformers.BertModel.from_pretrained(folder)
            vector = lambda given: model(given).last_hidden_state[:, 0]  # noqa: E731
        case "sentence-bert":
            model = transformers.BertModel.from_pretrained(folder)
            vector = lambda given: model(given).last_hidden_state.mean(1)  # noqa: E731
    with torch.no_grad():
        rows = np.concatenate([vector(given).numpy() for given in ids])  # (n, d)
    return rows if folder.name == "bert" else l2_normalize(rows)


def by_edgefuse(folder: Path, spec: EncoderSpec, engine: str, notes: Sequence[str]) -> np.ndarray:
    with open_encoder(spec, folder, engine=engine, threads=1) as encoder:
        assert encoder.info()["engine"] == engine
        return encode_notes(encoder, tokenizer_of(spec, folder.joinpath), notes)[0]


@pytest.mark.parametrize("name", ["bert", "clip"])
def test_both_precisions_are_written_from_one_source(
    text_folder: TextFolder, float32: Callable[[str], Exported], tmp_path: Path, notes: list[str], name: str
) -> None:
    int8, fp32 = export_text_encoders(text_folder(name), tmp_path, precision="both")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text-fp32.onnx", "text.onnx", "tokenizer.json"]
    assert [(spec.file, spec.precision) for spec in (int8, fp32)] == [("text.onnx", "int8"), ("text-fp32.onnx", "fp32")]
    assert fp32.sha256 == float32(name)[1].sha256
    assert (fp32.pooling, fp32.tokenizer, fp32.tokenization) == (int8.pooling, int8.tokenizer, int8.tokenization)
    expected = by_transformers(text_folder(name), notes)  # (n, d)
    for spec, least in ((int8, 0.99), (fp32, 0.99999)):
        for engine in ENGINES:
            assert centred_cosines(expected, by_edgefuse(tmp_path, spec, engine, notes)).mean() > least


def centred_cosines(exact: np.ndarray, near: np.ndarray) -> np.ndarray:
    a, b = exact - exact.mean(0), near - exact.mean(0)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("name", LENGTHS)
def test_fp32_file_gives_the_vectors_of_transformers(
    text_folder: TextFolder, float32: Callable[[str], Exported], notes: list[str], name: str
) -> None:
    folder, spec = float32(name)
    assert spec.precision == "fp32"
    expected = by_transformers(text_folder(name), notes)  # (n, d)
    assert spec.width == expected.shape[1]
    for engine in ENGINES:
        vectors = by_edgefuse(folder, spec, engine, notes)  # (n, d)
        assert centred_cosines(expected, vectors).min() > 0.99999
        np.testing.assert_allclose(vectors, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["sentence-bert", "clip"])
def test_int8_file_stays_near_transformers(
    text_folder: TextFolder, tmp_path: Path, notes: list[str], name: str
) -> None:
    folder = text_folder(name)
    spec = export_text_encoder(folder, tmp_path)
    assert spec.precision == "int8"
    expected = by_transformers(folder, notes)
    for engine in ENGINES:
        assert centred_cosines(expected, by_edgefuse(tmp_path, spec, engine, notes)).mean() > 0.99


def test_the_spec_says_how_notes_are_read(text_folder: TextFolder, float32: Callable[[str], Exported]) -> None:
    for name, length in LENGTHS.items():
        folder, spec = float32(name)
        assert spec == EncoderSpec.from_json(spec.to_json())
        assert spec.tokenization == Tokenization(length, add_bos=True, newline_to_space=False, add_eos=True)
        wanted = {"bert": ("cls", False), "sentence-bert": ("mean", True)}.get(name, ("none", True))
        assert (spec.pooling, spec.normalize) == wanted
        content = (text_folder(name) / "tokenizer.json").read_bytes()
        assert spec.tokenizer is not None
        assert (spec.tokenizer.sha256, spec.tokenizer.bytes) == (sha256(content).hexdigest(), len(content))
        assert (folder / spec.tokenizer.file).read_bytes() == content
        assert sorted(path.name for path in folder.iterdir()) == ["text.onnx", "tokenizer.json"]


def test_a_long_note_keeps_its_special_tokens(float32: Callable[[str], Exported]) -> None:
    folder, spec = float32("clip")
    assert spec.tokenization is not None
    tokenizer = tokenizer_of(spec, folder.joinpath)
    tokens = tokenize(tokenizer, spec.tokenization, "mole " * 100)
    assert (len(tokens.ids), tokens.ids[0], tokens.ids[-1]) == (40, tokenizer.bos_id, tokenizer.eos_id)
    assert tokens.dropped == 100 * len(tokenizer.encode("mole")) - 38


def test_the_graph_is_plain(float32: Callable[[str], Exported]) -> None:
    """Shapes are constants but for the length."""
    for name in ("bert", "clip"):
        model = onnx.load(float32(name)[0] / "text.onnx")
        operators = [node.op_type for node in model.graph.node]
        assert {node.domain for node in model.graph.node} == {""}
        assert operators.count("Shape") == 1
        assert {"Concat", "Cast", "Where", "Expand", "Identity"}.isdisjoint(operators)
        assert [value.name for value in model.graph.input] == ["input_ids"]
        assert model.opset_import[0].version == 18


@pytest.mark.parametrize(("name", "pooling"), [("bert", "mean"), ("sentence-bert", "cls")])
def test_another_pooling_may_be_asked_for(
    text_folder: TextFolder, tmp_path: Path, name: str, pooling: Any, notes: list[str]
) -> None:
    spec = export_text_encoder(text_folder(name), tmp_path, precision="fp32", pooling=pooling)
    assert spec.pooling == pooling
    other = by_transformers(text_folder("sentence-bert" if name == "bert" else "bert"), notes)
    assert other.shape == by_edgefuse(tmp_path, spec, "numpy", notes).shape


def test_llama_may_be_pooled_by_mean(tiny_text_gguf: Path, tmp_path: Path) -> None:
    assert export_text_encoder(tiny_text_gguf, tmp_path, pooling="mean").pooling == "mean"
    assert export_text_encoder(tiny_text_gguf, tmp_path).pooling == "last"
    with pytest.raises(BadInput, match="of the LLaMA family, which is pooled by last or mean; choose --pooling"):
        export_text_encoder(tiny_text_gguf, tmp_path, pooling="cls")


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(source: Path, out: Path, **options: Any) -> str:
    out.mkdir(exist_ok=True)
    with pytest.raises(BadInput) as caught:
        export_text_encoder(source, out, **options)
    assert list(out.iterdir()) == []
    assert str(caught.value).count("\n") == 0
    return str(caught.value)


@pytest.fixture
def copy_of(text_folder: TextFolder, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(text_folder(name), tmp_path / name))


def test_poolings_that_a_family_lacks_are_refused(text_folder: TextFolder, tmp_path: Path) -> None:
    assert "holds a BertModel, whose vector is cls or mean, and not pooled by last; choose one" in refusal(
        text_folder("bert"), tmp_path / "out", pooling="last"
    )
    assert "whose vector is the projected end token alone, and not pooled by mean; leave --pooling out" in refusal(
        text_folder("clip"), tmp_path / "out", pooling="mean"
    )


@pytest.mark.parametrize("options", [{"quantize": "q4_k_m"}, {"requantize": True}])
def test_options_of_llama_are_refused(text_folder: TextFolder, tmp_path: Path, options: dict[str, Any]) -> None:
    said = refusal(text_folder("bert"), tmp_path / "out", **options)
    assert "becomes an ONNX file; leave --quantize and --requantize out, they are for LLaMA" in said


def test_another_family_is_refused(copy_of: Callable[[str], Path], tmp_path: Path) -> None:
    source = copy_of("bert")
    edit(source / "config.json", model_type="roberta")
    assert "type 'roberta'; the text encoders that can be exported are: llama, bert, clip, clip_text_model" in refusal(
        source, tmp_path / "out"
    )


def test_a_tokenizer_that_is_missing_or_another_models_is_refused(
    copy_of: Callable[[str], Path], text_folder: TextFolder, tmp_path: Path
) -> None:
    source = copy_of("clip")
    shutil.copy(text_folder("bert") / "tokenizer.json", source)
    assert "tokenizer.json ends a text with the id 3, its model with" in refusal(source, tmp_path / "out")
    (source / "tokenizer.json").unlink()
    assert "has no tokenizer.json; write one with transformers" in refusal(source, tmp_path / "out")
    source = copy_of("bert")
    shutil.copy(text_folder("clip") / "tokenizer.json", source)
    assert "has ids up to" in refusal(source, tmp_path / "out")


def test_an_older_config_of_clip_means_the_highest_id(
    copy_of: Callable[[str], Path], tmp_path: Path, notes: list[str]
) -> None:
    """Configs that say 2 were written before transformers looked for the end token's id."""
    source = copy_of("clip")
    expected = by_transformers(source, notes)  # (n, d)
    config = json.loads((source / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 2
    (source / "config.json").write_text(json.dumps(config))
    np.testing.assert_allclose(by_transformers(source, notes), expected, atol=1e-6)
    (tmp_path / "out").mkdir()
    spec = export_text_encoder(source, tmp_path / "out", precision="fp32")
    np.testing.assert_allclose(by_edgefuse(tmp_path / "out", spec, "numpy", notes), expected, atol=1e-4)


def test_weights_that_are_missing_or_nan_are_refused(copy_of: Callable[[str], Path], tmp_path: Path) -> None:
    source = copy_of("clip_text_model")
    weights = safetensors.load_file(source / "model.safetensors")
    projection = weights.pop("text_projection.weight")
    safetensors.save_file(weights, source / "model.safetensors", {"format": "pt"})
    assert "lacks 1 weights of its model, such as 'text_projection.weight'" in refusal(source, tmp_path / "out")
    broken = weights | {"text_projection.weight": np.full_like(projection, np.nan)}
    safetensors.save_file(broken, source / "model.safetensors", {"format": "pt"})
    assert "not finite in 'text_projection.weight'" in refusal(source, tmp_path / "out")


@pytest.mark.parametrize("change", [{"is_decoder": True}, {"position_embedding_type": "relative_key"}])
def test_an_unusual_bert_is_refused(copy_of: Callable[[str], Path], tmp_path: Path, change: dict[str, Any]) -> None:
    source = copy_of("bert")
    edit(source / "config.json", **change)
    said = refusal(source, tmp_path / "out")
    assert "a variant of its type that is not supported" in said or "lacks 2 weights" in said


@pytest.mark.parametrize(
    ("kind", "pooling", "said"),
    [
        ("Dense", {}, "has the module Dense, which is not supported"),
        ("Normalize", {"pooling_mode_max_tokens": True}, "pools by pooling_mode_mean_tokens, pooling_mode_max_tokens"),
        ("Normalize", {"pooling_mode_mean_tokens": False}, "pools by nothing"),
    ],
)
def test_vectors_that_are_made_in_another_way_are_refused(
    copy_of: Callable[[str], Path], tmp_path: Path, kind: str, pooling: dict[str, Any], said: str
) -> None:
    source = copy_of("sentence-bert")
    modules = (source / "modules.json").read_text().replace("Normalize", kind)
    (source / "modules.json").write_text(modules)
    edit(source / "1_Pooling" / "config.json", **pooling)
    assert said in refusal(source, tmp_path / "out")


@pytest.mark.parametrize("content", ["{}", "[1]", '[{"type": 3}]', "{"])
def test_a_damaged_list_of_modules_is_refused(copy_of: Callable[[str], Path], tmp_path: Path, content: str) -> None:
    source = copy_of("sentence-bert")
    (source / "modules.json").write_text(content)
    if content == "{}":  # no module: the model's own way
        (tmp_path / "out").mkdir()
        assert export_text_encoder(source, tmp_path / "out", precision="fp32").pooling == "cls"
    else:
        assert "modules.json is damaged" in refusal(source, tmp_path / "out")


def test_lower_case_that_the_tokenizer_does_not_see_to_is_refused(
    copy_of: Callable[[str], Path], tmp_path: Path
) -> None:
    source = copy_of("sentence-bert")
    edit(source / "sentence_bert_config.json", do_lower_case=True)
    (tmp_path / "fine").mkdir()
    export_text_encoder(source, tmp_path / "fine", precision="fp32")
    tokenizer = json.loads((source / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    tokenizer["model"]["vocab"] |= {"A": tokenizer["model"]["vocab"].pop("[MASK]")}
    tokenizer["added_tokens"] = []
    (source / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "asks for notes in lower case" in refusal(source, tmp_path / "out")


def test_a_limit_of_the_tokenizers_config_counts(copy_of: Callable[[str], Path], tmp_path: Path) -> None:
    source = copy_of("bert")
    edit(source / "tokenizer_config.json", model_max_length=16)
    (tmp_path / "out").mkdir()
    spec = export_text_encoder(source, tmp_path / "out", precision="fp32")
    assert spec.tokenization is not None
    assert spec.tokenization.max_tokens == 16
    edit(source / "tokenizer_config.json", model_max_length=1)
    assert "reads 1 tokens" in refusal(source, tmp_path / "refused")
