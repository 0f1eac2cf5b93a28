r"""Cutting a text into the words inside which byte-level BPE merges.

The references write these cuts as expressions over \p{L}, \p{N} and \s, which Python's `re` does not know.
So a text is first reduced: each character outside ASCII becomes one ASCII character of its class that no
expression names (letter "a", number "0", white space "\v", anything else "!"). In the reduced text plain
ASCII expressions find the same borders. (llama.cpp does the same for expressions it has no code of its own
for.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgefuse_runtimes.tokenizers.unicode_table import LETTERS, NUMBERS, SPACES, within


@dataclass(frozen=True)
class Presplit:
    """How the texts of one family of vocabularies are cut, and what goes with it."""

    words: re.Pattern[str]
    """Of reduced text; its matches cover every character."""
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


def split(text: str, words: re.Pattern[str]) -> list[str]:
    """The words of `text`, in order; their concatenation is `text`."""
    if text.isascii():
        return words.findall(text)
    return [text[match.start() : match.end()] for match in words.finditer(reduce(text))]


def reduce(text: str) -> str:
    """`text` with every character outside ASCII replaced by the stand-in of its class; same length."""
    return text.translate({ord(letter): _stand_in(ord(letter)) for letter in set(text) if not letter.isascii()})


def _stand_in(code: int) -> str:
    if within(LETTERS, code):
        return "a"
    if within(NUMBERS, code):
        return "0"
    return "\v" if within(SPACES, code) else "!"
