"""Unicode normal forms and case, as the library `tokenizers` has them, whatever Python runs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from edgefuse_runtimes.tokenizers.tokenizers_table import CAPITALS, UNKNOWN_MARKS

# Unicode never changes the parts or the order of a character that it has once assigned; so Python's own data serve,
# whatever their version, except for what came after those of `tokenizers` (Unicode 9).
_UNKNOWN_MARKS = re.compile(
    "(["
    + "".join(f"{chr(a)}-{chr(b - 1)}" for a, b in zip(UNKNOWN_MARKS[::2], UNKNOWN_MARKS[1::2], strict=True))
    + "])"
)

_LOWER_CASE: dict[int, int | str] = {0x130: "i\u0307"}
"""By code point; the one lower case of two characters is not in the table."""
for _first, _last, _step, _shift in zip(*(CAPITALS[place::4] for place in range(4)), strict=True):
    _LOWER_CASE.update((code, code + _shift) for code in range(_first, _last + 1, _step))

_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """`text` with U+FFFD for every lone surrogate, so that it can be written as UTF-8."""
    return _SURROGATE.sub("\ufffd", text)


def normal_form(form: Literal["NFC", "NFD"], text: str) -> str:
    """`text` in a normal form; marks that `tokenizers` does not know stay where they stand."""
    if text.isascii():
        return text
    parts = _UNKNOWN_MARKS.split(text)  # a stretch without such marks, a mark, a stretch, ...
    parts[::2] = [unicodedata.normalize(form, part) for part in parts[::2]]
    return "".join(parts)


def lower_case(text: str) -> str:
    """Every character of `text` in lower case by itself, so that sigma has one form."""
    return text.lower() if text.isascii() else text.translate(_LOWER_CASE)


def replace_each(text: str, replacement: Callable[[str], str]) -> str:
    """`text` with `replacement` of each character in its place; it is asked once for each that occurs."""
    return text.translate({ord(letter): replacement(letter) for letter in set(text)})
