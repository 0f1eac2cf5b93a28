r"""Cutting a text into the words inside which byte-level BPE merges.

The references write these cuts as expressions over \p{L}, \p{N} and \s, which Python's `re` does not know.
So a text is first reduced: each character outside ASCII becomes one ASCII character of its class that no
expression names (letter "a", number "0", white space "\v", anything else "!"). In the reduced text plain
ASCII expressions find the same borders. (llama.cpp does the same for expressions it has no code of its own
for.)

llama.cpp has the classes of Unicode 15.1, the library `tokenizers` those of a newer version; so a vocabulary is cut by
the classes of whichever defines its ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgefuse_runtimes.tokenizers.normalize import replace_each
from edgefuse_runtimes.tokenizers.tokenizers_table import LATE_DIGITS, LATE_LETTERS, LATE_NUMBERS
from edgefuse_runtimes.tokenizers.unicode_table import LETTERS, NUMBERS, SPACES, within


def of_llama_cpp(letter: str) -> str:
    """The stand-in of one character; ASCII stands for itself."""
    code = ord(letter)
    if code < 0x80:
        return letter
    if within(LETTERS, code):
        return "a"
    if within(NUMBERS, code):
        return "0"
    return "\v" if within(SPACES, code) else "!"


def of_tokenizers(letter: str) -> str:
    """The stand-in of one character, with the newer letters and numbers that `tokenizers` knows."""
    code = ord(letter)
    if within(LATE_LETTERS, code):
        return "a"
    return "0" if within(LATE_NUMBERS, code) else of_llama_cpp(letter)


def _cut_by_digits(letter: str) -> str:
    """For SmolLM's numbers, which `tokenizers` cuts out by a Unicode newer still."""
    return "0" if within(LATE_DIGITS, ord(letter)) else of_tokenizers(letter)


def _without_case(letter: str) -> str:
    """For LLaMA-3's contractions, which `tokenizers` finds without regard to case: the long s is an s there."""
    return "s" if letter == "ſ" else of_tokenizers(letter)


@dataclass(frozen=True)
class Presplit:
    """How the texts of one family of vocabularies are cut, and what goes with it."""

    words: re.Pattern[str]
    """Of reduced text."""
    stand_in: Callable[[str], str] = of_llama_cpp
    """By which a text is reduced."""
    ignore_merges: bool = False
    """Whether a word that is a token as a whole is taken as that, whatever the merges say."""
    add_bos: bool = False
    """What holds when the file does not say."""


_GPT2 = Presplit(re.compile(r"'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII))

# Numbers are cut out digit by digit first, then GPT-2's expression is applied to what lies between them,
# where white space before a number stands at the end of a text.
_SMOLLM = Presplit(
    re.compile(r"[0-9]|'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s+(?![^\s0-9])|\s+", re.ASCII)
)

_LLAMA3 = Presplit(
    re.compile(
        r"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]{1,3}"
        r"| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        re.ASCII,
    ),
    ignore_merges=True,
    add_bos=True,
)

PRESPLITS = {
    "gpt-2": _GPT2,
    "smollm": _SMOLLM,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "llama-bpe": _LLAMA3,
}
"""By `tokenizer.ggml.pre`; expressions as in llama.cpp's llama-vocab.cpp."""


PRESPLITS_OF_TOKENIZERS = {
    "gpt-2": replace(_GPT2, stand_in=of_tokenizers),
    "smollm": replace(_SMOLLM, stand_in=_cut_by_digits),
    "llama-bpe": replace(_LLAMA3, stand_in=_without_case),
}
"""The same for a tokenizer.json."""


def split(text: str, presplit: Presplit) -> list[str]:
    """The words of `text`, in order; of the three families above their concatenation is `text`."""
    if text.isascii():
        return presplit.words.findall(text)
    reduced = replace_each(text, presplit.stand_in)
    return [text[match.start() : match.end()] for match in presplit.words.finditer(reduced)]
