"""The starter kit's own vocabulary, SmolLM2's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_runtimes.tokenizers import Tokenizer, open_tokenizer

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def tokenizer(starter_kit: Path) -> Tokenizer:
    return open_tokenizer(starter_kit / "text.gguf")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (
            "Age: 45 years. Sex: male. Localization: trunk.",
            [24679, 42, 216, 36, 37, 929, 30, 13165, 42, 4672, 30, 10698, 1237, 42, 16533, 30],
        ),
        ("<|im_start|>", [44, 108, 306, 79, 3738, 108, 46]),
        (
            "  रोगी\n\t٣٤ 😀 doesn't",
            [216, 12335, 125, 42213, 4300, 241, 37189, 3354, 164, 113, 164, 114, 40303, 218, 2761, 982],
        ),
    ],
)
def test_ids_are_those_that_tokenizers_gives(tokenizer: Tokenizer, text: str, ids: list[int]) -> None:
    assert tokenizer.encode(text) == ids


def test_ids_equal_those_of_llama_cpp(
    tokenizer: Tokenizer,
    starter_kit: Path,
    llama_cpp_ids: Callable[[Path, list[str]], list[list[int]]],
    many_texts: list[str],
) -> None:
    texts = [*many_texts, "<|im_start|>system", " \x04!", "lesion" * 1500]
    assert [tokenizer.encode(text) for text in texts] == llama_cpp_ids(starter_kit / "text.gguf", texts)
