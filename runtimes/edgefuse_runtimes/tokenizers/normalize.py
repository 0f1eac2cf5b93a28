"""Unicode normal forms and case, as the library `tokenizers` has them, whatever Python runs."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from edgefuse_runtimes.tokenizers.tokenizers_table import CAPITALS, UNKNOWN_MARKS


def one_of(borders: tuple[int, ...]) -> re.Pattern[str]:
    """What finds one character of the class with these borders, as its group 1."""
    stretches = zip(borders[::2], borders[1::2], strict=True)
    ranges = "".join(f"{re.escape(chr(first))}-{re.escape(chr(end - 1))}" for first, end in stretches)
    return re.compile(f"([{ranges}])")


# Unicode never changes the parts or the order of a character that it has once assigned; so Python's own data serve,
# whatever their version, except for what came after those of `tokenizers` (Unicode 9).
_UNKNOWN_MARKS = one_of(UNKNOWN_MARKS)

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
