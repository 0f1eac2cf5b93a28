"""What is worth a run on this device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgefuse.kits.kit import Kit
from edgefuse_bench.tuning.candidates import candidates, thread_counts
from edgefuse_bench.tuning.search import Configuration
from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.machine import AvailableMemory, usable_cores

MIB = 2**20


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [2, 1]), (4, [4, 2, 1]), (6, [6, 4, 2, 1])])
def test_all_cores_are_usual_and_then_come_powers_of_two(cores: int, counts: list[int]) -> None:
    assert thread_counts(cores) == counts


def test_what_is_usual_comes_first_and_everything_once(tiny_kit: Path) -> None:
    found = candidates(Kit.open(tiny_kit)).configurations

    assert found[0] == Configuration("auto", usable_cores(), None)
    assert len(set(found)) == len(found)


def test_a_file_that_was_never_compared_with_its_source_is_left_out(kit_of_both: Path) -> None:
    kit = Kit.open(kit_of_both)
    assert {one.precision for one in candidates(kit).configurations} == {None}
    assert "image-fp32.onnx was never compared with its source; export it again." in candidates(kit).left_out

    (other,) = kit.alternatives
    kit.__dict__["alternatives"] = (replace(other, recipe={**other.recipe, "parity": {"mean": 0.0}}),)
    assert {one.precision for one in candidates(kit).configurations} == {None, "fp32"}


def test_an_engine_that_fails_its_probe_is_left_out(
    tiny_kit: Path, fake_engine: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake_engine("vectors = -vectors")

    left_out = candidates(Kit.open(tiny_kit)).left_out

    assert any(said.startswith("fake cannot be trusted with image.onnx here") for said in left_out)


def test_where_not_even_the_usual_way_fits_nothing_is_run(tiny_kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edgefuse_bench.tuning.candidates.available_memory", lambda: AvailableMemory(20 * MIB, "the test's limit")
    )

    with pytest.raises(DoesNotFit, match="the test's limit"):
        candidates(Kit.open(tiny_kit))
