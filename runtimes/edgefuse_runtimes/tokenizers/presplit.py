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
from dataclasses import dataclass, replace

from edgefuse_runtimes.tokenizers.tokenizers_table import LATE_DIGITS, LATE_LETTERS, LATE_NUMBERS
from edgefuse_runtimes.tokenizers.unicode_table import LETTERS, NUMBERS, SPACES


def _stand_ins(*classes: tuple[str, tuple[int, ...]]) -> str:
    """By code point, for `str.translate`; what lies beyond the last class stays, and no expression names it either."""
    table = bytearray(b"!" * max(borders[-1] for _, borders in classes))
    for letter, borders in classes:
        for first, end in zip(borders[::2], borders[1::2], strict=True):
            table[first:end] = letter.encode() * (end - first)
    table[:0x80] = range(0x80)
    return table.decode("ascii")


_CLASSES = (("a", LETTERS), ("0", NUMBERS), ("\v", SPACES))

OF_LLAMA_CPP = _stand_ins(*_CLASSES)
OF_TOKENIZERS = _stand_ins(*_CLASSES, ("a", LATE_LETTERS), ("0", LATE_NUMBERS))
"""With the newer letters and numbers that `tokenizers` knows."""

# SmolLM's numbers are cut out by a Unicode newer still; LLaMA-3's contractions are found without regard to case, by
# which the long s is an s.
_CUT_BY_DIGITS = _stand_ins(*_CLASSES, ("a", LATE_LETTERS), ("0", LATE_DIGITS))
_WITHOUT_CASE = OF_TOKENIZERS[: ord("ſ")] + "s" + OF_TOKENIZERS[ord("ſ") + 1 :]


@dataclass(frozen=True)
class Presplit:
    """How the texts of one family of vocabularies are cut, and what goes with it."""

    words: re.Pattern[str]
    """Of reduced text."""
    stand_ins: str = OF_LLAMA_CPP
    """By code point: what a text is reduced with."""
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
    "gpt-2": replace(_GPT2, stand_ins=OF_TOKENIZERS),
    "smollm": replace(_SMOLLM, stand_ins=_CUT_BY_DIGITS),
    "llama-bpe": replace(_LLAMA3, stand_ins=_WITHOUT_CASE),
}
"""The same for a tokenizer.json."""


def split(text: str, presplit: Presplit) -> list[str]:
    """The words of `text`, in order; of the three families above their concatenation is `text`."""
    if text.isascii():
        return presplit.words.findall(text)
    reduced = text.translate(presplit.stand_ins)
    return [text[match.start() : match.end()] for match in presplit.words.finditer(reduced)]
