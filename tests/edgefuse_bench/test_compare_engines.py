"""The script that compares engines, on tiny encoders."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("bench/compare_engines.py")


class Recorder:
    def __init__(self, name: str, log: list[tuple[str, int]]) -> None:
        self.name, self.log = name, log

    def encode(self, batch: np.ndarray) -> np.ndarray:
        self.log.append((self.name, int(batch[0])))
        return batch[None].astype(np.float32)  # (1, d)


def test_every_sample_goes_to_all_engines_before_the_next(script) -> None:
    log: list[tuple[str, int]] = []
    engines = {name: Recorder(name, log) for name in ("a", "b")}

    times, vectors = script.interleave(engines, [np.array([0]), np.array([1]), np.array([2])], "samples")

    warm, measured = log[:2], log[2:]
    assert warm == [("a", 0), ("b", 0)]
    assert measured == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert {name: len(own) for name, own in times.items()} == {"a": 3, "b": 3}
    assert {name: own.tolist() for name, own in vectors.items()} == {"a": [[0], [1], [2]], "b": [[0], [1], [2]]}


def test_ratios_are_per_sample_and_rates_over_all(script) -> None:
    numpy = "q8_0 numpy"
    times = {"q8_0 llama.cpp": [10_000_000, 20_000_000, 30_000_000], numpy: [30_000_000, 60_000_000, 90_000_000]}
    vectors = dict.fromkeys(times, np.array([[0, 1], [0, 2], [5, 0]], np.float32))

    _, first, second = script.table(times, vectors, [6, 6, 6], "tokens")

    same = ["1.00000", "1.00000", "3", "of", "3"]
    assert first.split() == ["q8_0", "llama.cpp", "20.0", "300.0", "1.00", "1.00", "..", "1.00", *same]
    assert second.split() == ["q8_0", "numpy", "60.0", "100.0", "3.00", "3.00", "..", "3.00", *same]


def test_agreement_is_judged_after_the_mean_is_subtracted(script) -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=(10, 4)).astype(np.float32)
    shared = np.float32([100, 0, 0, 0])  # a large common part that a plain cosine would be all about

    cosines, same = script.agreement(own[:, [1, 0, 2, 3]] + shared, own + shared)
    assert cosines.mean() < 0.9
    assert same < 10

    cosines, same = script.agreement(own + shared, own + shared)
    assert cosines.min() > 0.999999
    assert same == 10


def test_all_installed_engines_are_timed(script, tiny_encoders, tiny_image_onnx) -> None:
    done = CliRunner().invoke(
        script.main, ["--encoders", str(tiny_encoders), "--fp32", str(tiny_image_onnx), "--count", "2"]
    )

    assert done.exit_code == 0, done.output
    assert "int8 numpy" in done.stdout
    assert "fp32 numpy" in done.stdout
    assert "q8_0 numpy" in done.stdout
    for module, name in (("onnxruntime", "onnxruntime"), ("llama_cpp", "llama.cpp")):
        installed = importlib.util.find_spec(module) is not None
        assert (f" {name}" in done.stdout) == installed
        assert (f"{name} is not installed" in done.stderr) != installed


@pytest.mark.parametrize("option", ["--encoders", "--fp32", "--pictures"])
def test_bad_input_is_a_sentence(script, tiny_encoders, tmp_path, option) -> None:
    arguments = {"--encoders": str(tiny_encoders)} | {option: str(tmp_path)}

    done = CliRunner().invoke(script.main, [word for pair in arguments.items() for word in pair])

    assert done.exit_code == 2
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr
