"""The golden samples are replayed on every engine, and a wrong one is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse.kits.golden import golden_vectors
from edgefuse.kits.kit import Kit
from edgefuse.verification.replay import EXACT_SHIFT, ROUNDED_SHIFT, judge, replay
from edgefuse_runtimes.probe import MIN_COSINE


def test_every_installed_engine_is_right_with_every_file(kit_of_both: Path) -> None:
    runs = list(replay(Kit.open(kit_of_both), threads=1))
    assert {(run.file, run.engine) for run in runs} >= {
        ("image.onnx", "numpy"),
        ("image-fp32.onnx", "numpy"),
        ("text.gguf", "numpy"),
    }
    for run in runs:
        assert run.used, run
        assert run.is_right, run
        if run.precision == "fp32":
            assert run.limits == "exact"
        if run.engine == "numpy":
            assert run.cosine == pytest.approx(1, abs=1e-6)


def test_a_little_wrong_is_wrong_for_an_exact_file_and_right_for_a_rounded_one(kit_of_both: Path) -> None:
    kit = Kit.open(kit_of_both)
    (exact,), rounded = kit.alternatives, kit.image
    assert (exact.precision, rounded.precision) == ("fp32", "int8")
    for spec, limits, right in ((exact, "exact", False), (rounded, "rounded", True)):
        golden = golden_vectors(kit.file, spec)
        centred = golden - golden.mean(axis=0)
        noise = np.random.default_rng(0).normal(size=golden.shape)
        noise *= 0.03 * np.linalg.norm(centred, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
        found = judge(kit, spec, (golden + noise).astype(np.float32))
        assert 0.99 < found["cosine"] < 0.9999
        assert (found["limits"], found["is_right"]) == (limits, right)
        assert found["least_cosine"] == (MIN_COSINE["int8"] if right else 0.9999)
        assert found["most_shift"] == (ROUNDED_SHIFT if right else EXACT_SHIFT)


def test_vectors_that_are_no_numbers_are_wrong(tiny_kit: Path) -> None:
    kit = Kit.open(tiny_kit)
    vectors = np.full_like(golden_vectors(kit.file, kit.image), np.nan)
    assert judge(kit, kit.image, vectors)["is_right"] is False


def test_an_engine_that_fails_its_probe_is_not_used(tiny_kit: Path, fake_engine: Callable[..., Path]) -> None:
    fake_engine("vectors = -vectors")
    runs = {run.engine: run for run in replay(Kit.open(tiny_kit), threads=1) if run.modality == "image"}
    assert (runs["fake"].used, runs["numpy"].is_right) == (False, True)
    assert "its vector of the golden sample is wrong" in runs["fake"].reason


def test_an_engine_that_is_wrong_after_its_probe_is_found(tiny_kit: Path, fake_engine: Callable[..., Path]) -> None:
    fake_engine("vectors = -vectors if calls > 1 else vectors")
    runs = {run.engine: run for run in replay(Kit.open(tiny_kit), threads=1) if run.modality == "image"}
    assert (runs["fake"].used, runs["fake"].is_right) == (True, False)


def test_an_engine_that_dies_over_a_golden_sample_is_not_used(tiny_kit: Path, fake_engine: Callable[..., Path]) -> None:
    fake_engine("os.kill(os.getpid(), signal.SIGSEGV) if calls > 3 else None")
    runs = {run.engine: run for run in replay(Kit.open(tiny_kit), threads=1) if run.modality == "image"}
    assert runs["fake"].used is False
    assert "SIGSEGV" in runs["fake"].reason
