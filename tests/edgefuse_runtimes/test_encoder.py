"""Which engine runs an encoder, and what happens when a native one cannot be trusted."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse.encoders import Encoders
from edgefuse.golden import probe_sample
from edgefuse_runtimes import encoder, probe, worker
from edgefuse_runtimes.contract import Engine
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeEncoder

Open = Callable[..., encoder.Encoder]


@pytest.fixture
def encoders(tiny_encoders: Path) -> Encoders:
    return Encoders.open(tiny_encoders)


@pytest.fixture
def with_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a native engine of the given behaviour in the place of onnxruntime."""

    def install(behaviour: str) -> None:
        source = f"""
            import os, signal, time
            import numpy as np
            from edgefuse_runtimes.errors import EngineUnavailable
            from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder

            class Fake(OnnxNumpyEncoder):
                def info(self):
                    return super().info() | {{"engine": "fake"}}

                def encode(self, batch):
                    open({str(tmp_path / "calls")!r}, "a").write("x")
                    vectors = super().encode(batch)
                    {behaviour}
                    return vectors
            """
        (tmp_path / "fake_engine.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(tmp_path)
        fake = Engine("fake", "fake_engine:Fake", "fake_engine", "numpy", "fake_engine:Fake")
        monkeypatch.setitem(encoder.ENGINES, "onnx", (fake, encoder.ENGINES["onnx"][-1]))

    return install


def opened(encoders: Encoders) -> tuple[str, list[str]]:
    """The engine that "auto" chooses for the image encoder, and what it says about it."""
    said: list[str] = []
    sample = probe_sample(encoders.file, encoders.image)
    with open_encoder(encoders.image, encoders.folder, probe_sample=sample, notify=said.append) as found:
        return found.info()["engine"], said


def test_auto_takes_the_native_engine_that_passed_its_probe(encoders: Encoders) -> None:
    assert opened(encoders) == ("onnxruntime", [])


def test_without_a_probe_sample_numpy_runs(encoders: Encoders) -> None:
    with open_encoder(encoders.image, encoders.folder) as found:
        assert isinstance(found, OnnxNumpyEncoder)


def test_an_engine_can_be_named(encoders: Encoders) -> None:
    with open_encoder(encoders.image, encoders.folder, engine="onnxruntime") as found:
        assert isinstance(found, OnnxRuntimeEncoder)
    with open_encoder(encoders.text, encoders.folder, engine="onnxruntime") as found:
        assert found.info()["engine"] == "numpy"  # the name of the other format's engine means "auto"


def test_an_engine_that_is_not_installed_is_refused_by_name(
    encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = dataclasses.replace(encoder.ENGINES["onnx"][0], module="no_such_module")
    monkeypatch.setitem(encoder.ENGINES, "onnx", (missing, encoder.ENGINES["onnx"][1]))
    with pytest.raises(BadInput, match="The engine onnxruntime is not installed"):
        open_encoder(encoders.image, encoders.folder, engine="onnxruntime")
    assert opened(encoders) == ("numpy", [])


def test_a_missing_file_and_an_unknown_format_are_named(encoders: Encoders, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"The encoder file .*image\.onnx is missing"):
        open_encoder(encoders.image, tmp_path)
    odd = dataclasses.replace(encoders.image, format="flatbuffer")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="unknown format 'flatbuffer'"):
        open_encoder(odd, encoders.folder)


@pytest.mark.parametrize("name", ["SIGILL", "SIGSEGV", "SIGABRT"])
def test_an_engine_that_dies_is_replaced_with_a_sentence(
    encoders: Encoders, with_engine: Callable[[str], None], name: str
) -> None:
    with_engine(f"os.kill(os.getpid(), signal.{name})")
    engine, said = opened(encoders)
    assert engine == "numpy"
    assert len(said) == 1
    assert said[0].startswith("fake cannot be trusted with image.onnx here")
    assert name in said[0]
    assert said[0].endswith("numpy runs it.")


def test_an_engine_with_a_wrong_vector_is_replaced(encoders: Encoders, with_engine: Callable[[str], None]) -> None:
    with_engine("vectors = vectors[:, ::-1].copy()")
    engine, said = opened(encoders)
    assert engine == "numpy"
    assert "its vector of the golden sample is wrong" in said[0]


def test_a_right_engine_is_tried_once_and_remembered(
    encoders: Encoders, with_engine: Callable[[str], None], tmp_path: Path
) -> None:
    with_engine("")
    assert opened(encoders) == ("fake", [])
    assert opened(encoders) == ("fake", [])
    assert (tmp_path / "calls").read_text() == "x"
    (verdict,) = json.loads(probe.verdicts_path().read_text()).values()
    assert verdict == {"trusted": True, "reason": ""}


def test_a_bad_verdict_is_remembered_too(
    encoders: Encoders, with_engine: Callable[[str], None], tmp_path: Path
) -> None:
    with_engine("os.kill(os.getpid(), signal.SIGILL)")
    assert opened(encoders) == opened(encoders)
    assert (tmp_path / "calls").read_text() == "x"


def test_an_engine_that_hangs_is_tried_again_next_time(
    encoders: Encoders, with_engine: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_engine("time.sleep(60)")
    monkeypatch.setattr(worker, "SECONDS", 1.0)
    for tries in (1, 2):
        engine, said = opened(encoders)
        assert engine == "numpy"
        assert "gave no answer within" in said[0]
        assert (tmp_path / "calls").read_text() == "x" * tries


def test_an_engine_that_was_killed_from_outside_is_tried_again(
    encoders: Encoders, with_engine: Callable[[str], None], tmp_path: Path
) -> None:
    with_engine("os.kill(os.getpid(), signal.SIGKILL)")
    for tries in (1, 2):
        engine, said = opened(encoders)
        assert engine == "numpy"
        assert "SIGKILL" in said[0]
        assert (tmp_path / "calls").read_text() == "x" * tries


def test_verdicts_that_cannot_be_read_or_written_cost_only_a_probe(
    encoders: Encoders, with_engine: Callable[[str], None]
) -> None:
    with_engine("")
    probe.verdicts_path().parent.mkdir(parents=True)
    probe.verdicts_path().write_text("[not what it should be")
    assert opened(encoders) == ("fake", [])
    probe.verdicts_path().unlink()
    probe.verdicts_path().mkdir()
    assert opened(encoders) == ("fake", [])


def test_a_vector_is_the_same_alone_and_in_a_batch(encoders: Encoders) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(3, 3, 224, 224)).astype(np.float32)
    notes = [rng.integers(0, 200, length).astype(np.int32) for length in (1, 9, 30)]
    for spec, batch in ((encoders.image, pictures), (encoders.text, notes)):
        with open_encoder(spec, encoders.folder, engine="numpy") as found:
            together = found.encode(batch)
            alone = np.concatenate([found.encode(batch[row : row + 1]) for row in range(3)])
        assert together.shape == (3, spec.width)
        cosines = (together * alone).sum(1) / np.linalg.norm(together, axis=1) / np.linalg.norm(alone, axis=1)
        assert (1 - cosines).max() <= 1e-6


def test_a_golden_vector_that_is_no_number_trusts_nobody(
    encoders: Encoders, with_engine: Callable[[str], None]
) -> None:
    with_engine("")
    said: list[str] = []
    sample = probe_sample(encoders.file, encoders.image)()
    broken = dataclasses.replace(sample, expected=sample.expected * np.nan)
    with open_encoder(encoders.image, encoders.folder, probe_sample=lambda: broken, notify=said.append) as found:
        assert found.info()["engine"] == "numpy"
    assert "is wrong, centred cosine nan" in said[0]


def test_a_library_from_another_package_is_probed_all_the_same(
    encoders: Encoders, with_engine: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_engine("")
    native, numpy = encoder.ENGINES["onnx"]
    other = dataclasses.replace(native, package="no-such-distribution")
    monkeypatch.setitem(encoder.ENGINES, "onnx", (other, numpy))
    assert opened(encoders) == ("fake", [])
