"""The comparison of tokenizers runs, and says whether ids are equal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from click.testing import CliRunner


def test_every_sort_of_text_is_compared(
    load_script: Callable[[str], ModuleType], clip_tokenizer: Any, tmp_path: Path
) -> None:
    script = load_script("bench/compare_tokenizers.py")
    (tmp_path / "tokenizer.json").write_text(clip_tokenizer.to_str(), encoding="utf-8")
    outcome = CliRunner().invoke(script.main, [str(tmp_path), "--runs", "1"])
    assert outcome.exit_code == 0, outcome.output
    rows = [line.split(" | ") for line in outcome.output.splitlines() if line.endswith("equal |")]
    assert [row[0].removeprefix("| ") for row in rows] == list(script.texts(0))
    assert "DIFFER" not in outcome.output


def test_texts_have_the_length_they_are_compared_at(load_script: Callable[[str], ModuleType]) -> None:
    script = load_script("bench/compare_tokenizers.py")
    assert {len(text) for text in script.texts(0).values()} == {10_000}
    assert script.texts(1)["emoji"] != script.texts(2)["emoji"]
