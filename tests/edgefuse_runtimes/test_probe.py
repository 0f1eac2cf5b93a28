"""What a native engine does with a golden sample in a child process decides whether it is trusted."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import probe_sample
from edgefuse_runtimes import encoder, worker
from edgefuse_runtimes.contract import ProbeSample
from edgefuse_runtimes.encoder import ENGINES, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.probe import MIN_COSINE, centred_cosine, probe
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.verdicts import records, verdicts_folder

Fake = Callable[..., Path]


@pytest.fixture
def encoders(tiny_encoders: Path) -> Encoders:
    return Encoders.open(tiny_encoders)


def opened(encoders: Encoders, sample: ProbeSample | None = None) -> tuple[str, list[str]]:
    """The engine that "auto" chooses for the image encoder, and what it says about it."""
    said: list[str] = []
    golden = probe_sample(encoders.file, encoders.image) if sample is None else lambda: sample
    with open_encoder(encoders.image, encoders.folder, probe_sample=golden, notify=said.append) as found:
        return found.info()["engine"], said


DEATHS = {
    "SIGILL": "os.kill(os.getpid(), signal.SIGILL)",
    "SIGSEGV": "import ctypes; ctypes.string_at(0)",
    "SIGABRT": "os.abort()",
    "SIGBUS": "os.kill(os.getpid(), signal.SIGBUS)",
}


@pytest.mark.parametrize("name", DEATHS)
def test_an_engine_that_dies_is_replaced_with_one_sentence_and_not_tried_again(
    encoders: Encoders, fake_engine: Fake, name: str
) -> None:
    calls = fake_engine(DEATHS[name])
    sentence = (
        f"fake cannot be trusted with image.onnx here (The engine process fake on image.onnx was ended by signal {name}"
    )
    for _ in range(2):
        engine, (said,) = opened(encoders)
        assert engine == "numpy"
        assert said.startswith(sentence)
        assert said.endswith("); numpy runs it.")
    assert calls.read_text() == "x"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("vectors = vectors[:, ::-1].copy()", "its vector of the golden sample is wrong, centred cosine"),
        ("vectors = np.full_like(vectors, np.nan)", "turns a sample into NaN"),
        ("vectors = np.zeros_like(vectors)", "its vector of the golden sample is wrong, centred cosine"),
        ("vectors = vectors[:, :5].copy()", "answered with something that is no vector"),
        ("raise EngineUnavailable('The library is broken.')", "(The library is broken)"),
        ("raise ZeroDivisionError", "ended with exit code 1"),
    ],
)
def test_an_engine_with_a_wrong_vector_is_replaced_and_not_tried_again(
    encoders: Encoders, fake_engine: Fake, behaviour: str, reason: str
) -> None:
    calls = fake_engine(behaviour)
    for _ in range(2):
        engine, (said,) = opened(encoders)
        assert engine == "numpy"
        assert reason in said
    assert calls.read_text() == "x"


def test_a_right_engine_is_tried_once_with_its_real_shape_threads_and_memory(
    encoders: Encoders, fake_engine: Fake, tmp_path: Path
) -> None:
    shape = tmp_path / "shape"
    calls = fake_engine(f"open({str(shape)!r}, 'w').write(str(batch.shape))")
    sample = probe_sample(encoders.file, encoders.image)
    found = ENGINES["onnx"][0]
    for _ in range(2):
        verdict = probe(found, encoders.file("image.onnx"), encoders.image, sample, threads=3, memory="low")
        assert (verdict.trusted, verdict.reason) == (True, "")
    assert calls.read_text() == "x"
    assert shape.read_text() == "(1, 3, 224, 224)"
    (record,) = records()
    assert (record.engine, record.threads, record.memory) == ("fake", 3, "low")
    assert (record.file, record.sha256) == (str(encoders.file("image.onnx").resolve()), encoders.image.sha256)
    assert record.library == f"numpy {np.__version__}"
    assert record.info["threads"] == 3
    assert "pid" not in record.info  # it says nothing tomorrow


def test_other_settings_files_and_versions_are_tried_anew(
    encoders: Encoders, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = fake_engine()
    sample = probe_sample(encoders.file, encoders.image)
    path = shutil.copy(encoders.file("image.onnx"), tmp_path / "image.onnx")

    def tries(*, threads: int = 1, spec: EncoderSpec = encoders.image) -> int:
        before = calls.stat().st_size if calls.exists() else 0
        probe(ENGINES["onnx"][0], Path(path), spec, sample, threads=threads, memory="normal")
        return calls.stat().st_size - before

    assert [tries(), tries()] == [1, 0]
    assert [tries(threads=2), tries(threads=2)] == [1, 0]
    other = dataclasses.replace(encoders.image, sha256="1" * 64)
    assert [tries(spec=other), tries(spec=other)] == [1, 0]
    Path(path).touch()  # another time stamp
    assert [tries(), tries()] == [1, 0]
    monkeypatch.setattr("edgefuse_runtimes.probe.metadata.version", lambda name: "999")
    assert [tries(), tries()] == [1, 0]
    monkeypatch.setattr("edgefuse_runtimes.probe.cpu_model", lambda: "another processor")
    assert [tries(), tries()] == [1, 0]


def test_a_hang_counts_for_this_run_only(
    encoders: Encoders, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_engine("time.sleep(60)")
    monkeypatch.setattr(worker, "SECONDS", 4.0)
    for tries in (1, 2):
        engine, (said,) = opened(encoders)
        assert engine == "numpy"
        assert "gave no answer within 4" in said
        assert calls.read_text() == "x" * tries
    assert records() == []


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_an_engine_that_was_killed_from_outside_is_tried_again(
    encoders: Encoders, fake_engine: Fake, name: str
) -> None:
    calls = fake_engine(f"os.kill(os.getpid(), signal.{name})")
    for tries in (1, 2):
        engine, (said,) = opened(encoders)
        assert engine == "numpy"
        assert name in said
        assert calls.read_text() == "x" * tries
    assert records() == []


def test_an_engine_without_memory_is_tried_again(encoders: Encoders, fake_engine: Fake) -> None:
    calls = fake_engine("raise MemoryError")
    for tries in (1, 2):
        assert opened(encoders)[0] == "numpy"
        assert calls.read_text() == "x" * tries
    assert records() == []


def test_the_limit_is_a_minute_and_what_a_slow_card_needs(encoders: Encoders) -> None:
    seven_gigabytes = dataclasses.replace(encoders.text, bytes=7_000_000_000)
    assert worker.time_limit(seven_gigabytes) == pytest.approx(60 + 700)


def test_opening_and_encoding_share_one_limit(
    encoders: Encoders, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {}
    real = worker.WorkerProcess.__init__

    def watch(self: object, name: str, timeout: float, lifetime: float) -> None:
        given.update(timeout=timeout, lifetime=lifetime)
        real(self, name, timeout, lifetime)  # type: ignore[arg-type]

    fake_engine()
    monkeypatch.setattr(worker.WorkerProcess, "__init__", watch)
    sample = probe_sample(encoders.file, encoders.image)
    probe(ENGINES["onnx"][0], encoders.file("image.onnx"), encoders.image, sample, threads=1, memory="low")
    assert given["timeout"] == given["lifetime"] == worker.time_limit(encoders.image)


def test_a_golden_vector_that_is_no_number_trusts_nobody(encoders: Encoders, fake_engine: Fake) -> None:
    fake_engine()
    sample = probe_sample(encoders.file, encoders.image)()
    engine, (said,) = opened(encoders, dataclasses.replace(sample, expected=sample.expected * np.nan))
    assert engine == "numpy"
    assert "is wrong, centred cosine nan" in said


def test_verdicts_that_cannot_be_read_or_written_cost_only_a_probe(encoders: Encoders, fake_engine: Fake) -> None:
    calls = fake_engine()
    assert opened(encoders) == ("fake", [])
    (file,) = verdicts_folder().iterdir()
    file.write_text("{not what it should be")
    assert opened(encoders) == ("fake", [])
    shutil.rmtree(verdicts_folder())
    verdicts_folder().write_text("a file in the place of the folder")
    assert opened(encoders) == ("fake", [])
    assert calls.read_text() == "xxx"


def test_a_library_from_another_package_is_probed_all_the_same(
    encoders: Encoders, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_engine()
    native, numpy = encoder.ENGINES["onnx"]
    other = dataclasses.replace(native, package="no-such-distribution")
    monkeypatch.setitem(encoder.ENGINES, "onnx", (other, numpy))
    assert opened(encoders) == ("fake", [])


def test_real_onnxruntime_is_trusted(encoders: Encoders) -> None:
    assert opened(encoders) == ("onnxruntime", [])


# From here on: the real llama.cpp and damaged GGUF files.


def flipped(data: bytes, place: int, bit: int = 6) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)


def first_weight(path: Path) -> int:
    """Where the first value of the final norm ends, with the sign and exponent of a float32."""
    return read_gguf(path).tensors["output_norm.weight"].offset + 3


def letter_a(data: bytes) -> int:
    """Where the token "a" stands in the vocabulary; with its lowest bit flipped it is the token "`" once more."""
    return data.index(b"\x01\0\0\0\0\0\0\0a", data.index(b"tokenizer.ggml.tokens")) + 8


@pytest.fixture
def copied(encoders: Encoders, tmp_path: Path) -> Callable[[bytes], Encoders]:
    """The encoders folder with other bytes as its text.gguf."""
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")

    def make(data: bytes) -> Encoders:
        folder = Path(shutil.copytree(encoders.folder, tmp_path / "copied"))
        (folder / "text.gguf").write_bytes(data)
        return dataclasses.replace(encoders, folder=folder)

    return make


def text_encoder(encoders: Encoders, sample: ProbeSample) -> tuple[str, list[str], np.ndarray]:
    """The engine that "auto" chooses for the text encoder, what it says, and its vector (d,) of the sample."""
    said: list[str] = []
    with open_encoder(
        encoders.text, encoders.folder, probe_sample=lambda: sample, threads=1, notify=said.append
    ) as found:
        return found.info()["engine"], said, found.encode(sample.batch)[0]


@pytest.fixture
def golden_note(encoders: Encoders) -> ProbeSample:
    return probe_sample(encoders.file, encoders.text)()


def test_llama_cpp_is_trusted_with_a_whole_file(
    encoders: Encoders, copied: Callable[[bytes], Encoders], golden_note: ProbeSample
) -> None:
    engine, said, vector = text_encoder(copied(encoders.file("text.gguf").read_bytes()), golden_note)
    assert (engine, said) == ("llama.cpp", [])
    cosine = centred_cosine(vector, golden_note.expected, golden_note.centre)
    assert cosine >= MIN_COSINE[encoders.text.precision]


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.9999])
def test_a_truncated_gguf_is_refused(
    encoders: Encoders, copied: Callable[[bytes], Encoders], golden_note: ProbeSample, kept: float
) -> None:
    whole = encoders.file("text.gguf").read_bytes()
    with pytest.raises(BadInput, match=r"copied/text\.gguf is damaged \(sha256 differs\); copy or export it again\.$"):
        text_encoder(copied(whole[: int(kept * len(whole))]), golden_note)
    assert records() == []  # nothing is held against the engine


@pytest.mark.parametrize("part", ["magic", "tensor count", "a key", "vocabulary", "weights"])
def test_a_flipped_bit_that_harms_is_refused(
    encoders: Encoders, copied: Callable[[bytes], Encoders], golden_note: ProbeSample, part: str
) -> None:
    path = encoders.file("text.gguf")
    data = path.read_bytes()
    place, bit = {
        "magic": (1, 6),
        "tensor count": (8, 6),
        "a key": (data.index(b"llama.embedding_length"), 6),
        "vocabulary": (letter_a(data), 0),
        "weights": (first_weight(path), 6),
    }[part]
    with pytest.raises(BadInput, match=r"copied/text\.gguf is damaged"):
        text_encoder(copied(flipped(data, place, bit)), golden_note)


def test_a_flipped_bit_that_hardly_matters_is_not_seen(
    encoders: Encoders, copied: Callable[[bytes], Encoders], golden_note: ProbeSample
) -> None:
    """A probe judges an engine; that a file is whole is for its hash to say, when a kit is installed."""
    path = encoders.file("text.gguf")
    engine, said, _ = text_encoder(copied(flipped(path.read_bytes(), first_weight(path) - 3, 0)), golden_note)
    assert (engine, said) == ("llama.cpp", [])


def described(encoders: Encoders) -> Encoders:
    """The folder with a description that fits its text.gguf, as if it had been exported so."""
    path = encoders.file("text.gguf")
    text = dataclasses.replace(encoders.text, sha256=sha256(path), bytes=path.stat().st_size)
    return dataclasses.replace(encoders, text=text)


def test_a_vocabulary_that_makes_llama_cpp_abort_leaves_the_work_to_numpy(
    encoders: Encoders, copied: Callable[[bytes], Encoders], golden_note: ProbeSample
) -> None:
    data = encoders.file("text.gguf").read_bytes()
    odd = described(copied(flipped(data, letter_a(data), 0)))
    for _ in range(2):
        engine, (said,), vector = text_encoder(odd, golden_note)
        assert engine == "numpy"
        assert "The engine process llama.cpp on text.gguf was ended by signal SIGABRT" in said
        assert "GGML_ASSERT" in said
        np.testing.assert_allclose(vector, golden_note.expected, atol=1e-5)
    (record,) = records()
    assert (record.engine, record.trusted) == ("llama.cpp", False)


def test_weights_of_which_llama_cpp_makes_another_vector_leave_the_work_to_numpy(
    encoders: Encoders, copied: Callable[[bytes], Encoders], golden_note: ProbeSample
) -> None:
    path = encoders.file("text.gguf")
    data = path.read_bytes()
    for weight in range(20):  # of 64
        data = flipped(data, first_weight(path) + 4 * weight, 7)  # the sign
    engine, (said,), _ = text_encoder(described(copied(data)), golden_note)
    assert engine == "numpy"
    assert "llama.cpp cannot be trusted with text.gguf here (its vector of the golden sample is wrong" in said
