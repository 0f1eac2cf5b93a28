"""How long a note of 10,000 characters takes to become token ids: ours beside the library that defines the ids.

Give folders with a tokenizer.json or a tokenizer.model, such as those of SmolLM2, CLIP and LLaMA-2, or GGUF files:

    python bench/compare_tokenizers.py CHECKPOINTS/smollm2 CHECKPOINTS/clip CHECKPOINTS/minilm text.gguf

Each text is tokenised once to warm up. Then ours and the reference run in turn, each time on a text that was not seen
before, so that words remembered from the last one do not count. The least of the times is printed, in milliseconds of
the processor, which other work on the machine changes least.
"""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from edgefuse_runtimes.tokenizers import open_tokenizer

LENGTH = 10_000
NAMES = ("tokenizer.json", "tokenizer.model")
ENGLISH = (
    "Age: 45 years. Sex: male. Localization: lower extremity. The lesion has grown since March; it's itchy, "
    "and the patient doesn't smoke. "
)
DEVANAGARI = "रोगी की आयु ४५ वर्ष है और बाएँ पैर में खुजली है। "

Encode = Callable[[str], list[int]]


def texts(seed: int) -> dict[str, str]:
    """One text of each sort, all of `LENGTH` characters; each seed gives others."""
    rng = random.Random(seed)  # noqa: S311 no secret

    def drawn(letters: Iterable[str]) -> str:
        return "".join(rng.choices(list(letters), k=LENGTH))

    ideographs, emoji = map(chr, range(0x4E00, 0x9FFF)), map(chr, range(0x1F600, 0x1F64F))
    assigned = [chr(code) for code in range(0x20000) if chr(code).isprintable()]
    shift = rng.randrange(40)
    return {
        "English": (ENGLISH * 100)[shift : shift + LENGTH],
        "one drawn word": drawn(string.ascii_lowercase),
        "one letter": rng.choice(string.ascii_lowercase) * LENGTH,
        "Chinese": drawn("患者今年四十五岁左腿有黑痣边缘不规则一二三六七八九"),
        "all ideographs": drawn(ideographs),
        "Devanagari": (DEVANAGARI * 300)[shift : shift + LENGTH],
        "emoji": drawn(emoji),
        "one emoji": "😂" * (LENGTH - seed % 9),
        "spaces": " " * (LENGTH - seed % 9),
        "?!": drawn("?!"),
        "any characters": drawn(assigned),
    }


def reference(path: Path) -> tuple[str, Encode]:
    """Name and function of the library that defines the ids of a file."""
    if path.suffix == ".json":
        model = import_module("tokenizers").Tokenizer.from_file(str(path))
        model.no_truncation()
        model.no_padding()
        model.encode_special_tokens = True
        return "tokenizers", lambda text: model.encode(text, add_special_tokens=False).ids
    if path.suffix == ".model":
        pieces = import_module("sentencepiece").SentencePieceProcessor(model_file=str(path))
        return "sentencepiece", pieces.encode
    llama = import_module("llama_cpp").Llama(str(path), vocab_only=True, verbose=False)
    return "llama.cpp", lambda text: llama.tokenize(text.encode(), add_bos=False, special=False)


def compare(path: Path, runs: int) -> list[tuple[str, float, float, bool]]:
    """Sort of text, milliseconds of ours and of the reference, and whether all ids are equal."""
    ours, theirs = open_tokenizer(path).encode, reference(path)[1]
    for text in texts(runs).values():
        ours(text), theirs(text)
    times: dict[str, list[tuple[float, float]]] = {}
    equal: dict[str, bool] = {}
    for seed in range(runs):
        for sort, text in texts(seed).items():
            first, second = _timed(ours, text), _timed(theirs, text)
            times.setdefault(sort, []).append((first[0], second[0]))
            equal[sort] = equal.get(sort, True) and first[1] == second[1]
    return [(sort, *map(min, zip(*pairs, strict=True)), equal[sort]) for sort, pairs in times.items()]


def _timed(encode: Encode, text: str) -> tuple[float, Any]:
    start = time.process_time()
    ids = encode(text)
    return (time.process_time() - start) * 1e3, ids


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--runs", default=7, show_default=True, help="Texts of each sort.")
def main(sources: tuple[Path, ...], runs: int) -> None:
    """Print a table for each of SOURCES."""
    for source in sources:
        found = [source / name for name in NAMES if (source / name).is_file()] if source.is_dir() else [source]
        for path in found:
            click.echo(f"\n{source.name}, {path.name}\n\n| text | edgefuse | {reference(path)[0]} | ids |")
            click.echo("| --- | --- | --- | --- |")
            for sort, ours, theirs, equal in compare(path, runs):
                click.echo(f"| {sort} | {ours:.1f} | {theirs:.1f} | {'equal' if equal else 'DIFFER'} |")


if __name__ == "__main__":
    main()
