"""Write the table of what the library `tokenizers` makes of each character; run with it and the pinned Unicode.

`tokenizers` has tables of its own: for BERT's classes Unicode 8, for the order of combining marks Unicode 9, for case
and for the classes in expressions a Unicode newer than these Pythons'. The ids of a tokenizer.json are what it gives,
so it is asked about every character, and the answers are committed.

    python3.13 packaging/make_tokenizers_table.py            writes the table
    python3.13 packaging/make_tokenizers_table.py --check    fails when the committed table differs
"""

from __future__ import annotations

import sys
import textwrap
import unicodedata
from collections.abc import Callable

from tokenizers import Regex, normalizers, pre_tokenizers

from make_unicode_table import TABLE as UNICODE_TABLE
from make_unicode_table import class_text, is_letter, is_number, is_space, write_or_check

TABLE = UNICODE_TABLE.with_name("tokenizers_table.py")

HEADER = '''"""Characters as the library `tokenizers` has them; made by packaging/make_tokenizers_table.py.

Each class is its rising borders, as in `unicode_table.py`. LATE classes are what expressions find beyond the classes
there. CAPITALS are stretches of characters with a lower case: first, last, step, and how far off the lower case is.
"""

from __future__ import annotations

from edgefuse_runtimes.tokenizers.unicode_table import hexadecimal
'''

_OFF = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
_CLEAN = normalizers.BertNormalizer(**_OFF | {"clean_text": True})
_STRIP = normalizers.BertNormalizer(**_OFF | {"strip_accents": True})
_WORDS = pre_tokenizers.BertPreTokenizer()
_DIGITS = pre_tokenizers.Digits(individual_digits=True)
_LOWER = normalizers.Lowercase()
_EXPRESSIONS = {
    name: pre_tokenizers.Split(Regex(expression), "removed")
    for name, expression in {"letter": r"\p{L}", "number": r"\p{N}", "space": r"\s"}.items()
}
_FORMS = {"NFC": normalizers.NFC(), "NFD": normalizers.NFD()}
_MARKS = ("\u0301", "\u0323", "\u0334", "\u0345")
"""Marks of four classes of order; whichever class another mark has, it moves past one of these, or one past it."""


_ALL = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
_NEW_PARTS = {
    part
    for letter in _ALL
    if (parts := unicodedata.normalize("NFD", letter)) != _FORMS["NFD"].normalize_str(letter)
    for part in parts
}
"""What newer Unicode takes a character apart into, and so puts together."""


def is_control(code: int) -> bool:
    """What `clean_text` leaves out: Cc but for white space, Cf, Co, U+0000 and U+FFFD."""
    return _CLEAN.normalize_str(f"a{chr(code)}b") == "ab"


def is_punctuation(code: int) -> bool:
    """What is a word of its own: P and ASCII's symbols."""
    return len(_WORDS.pre_tokenize_str(f"a{chr(code)}b")) == 3


def is_accent(code: int) -> bool:
    """What `strip_accents` leaves out: Mn."""
    return _STRIP.normalize_str(f"a{chr(code)}b") == "ab"


def is_unknown_mark(code: int) -> bool:
    """What newer Unicode orders, takes apart or puts together, and `tokenizers` leaves as it stands."""
    letter = chr(code)
    if letter in _NEW_PARTS:
        return True
    if not unicodedata.category(letter).startswith("M"):
        return False
    texts = [text for mark in _MARKS for text in (f"a{mark}{letter}", f"a{letter}{mark}")]
    return any(
        form.normalize_str(text) != unicodedata.normalize(name, text) for name, form in _FORMS.items() for text in texts
    )


def is_late_letter(code: int) -> bool:
    r"""\p{L} in `tokenizers`, and unassigned in the pinned Unicode."""
    return _is_late("letter", is_letter, code)


def is_late_number(code: int) -> bool:
    r"""\p{N} in `tokenizers`, and unassigned in the pinned Unicode."""
    return _is_late("number", is_number, code)


def is_late_digit(code: int) -> bool:
    """What the pre-tokenizer Digits cuts out, by a Unicode newer than the one of expressions."""
    cut_out = len(_DIGITS.pre_tokenize_str(f"\x01{chr(code)}\x01")) == 3
    assert cut_out or not is_number(code), f"U+{code:04X} is no digit in tokenizers"
    return cut_out and not is_number(code)


def _is_late(name: str, pinned: Callable[[int], bool], code: int) -> bool:
    late = _finds(name, code) and not pinned(code)
    assert late or _finds(name, code) == pinned(code), f"U+{code:04X} is no {name} in tokenizers"
    assert _finds("space", code) == is_space(code), f"U+{code:04X} is white space in one of both"
    return late


def _finds(name: str, code: int) -> bool:
    return len(_EXPRESSIONS[name].pre_tokenize_str(f"\x01{chr(code)}\x01")) == 2


def capitals_text() -> str:
    """The lines that define CAPITALS; the one character whose lower case is two is left to `normalize.py`."""
    stretches: list[list[int]] = []  # first, last, step (0: not known yet), shift
    for letter in _ALL:
        code, lower = ord(letter), _LOWER.normalize_str(letter)
        if lower == letter or letter == "\u0130":
            continue
        shift = ord(lower) - code
        last = stretches[-1] if stretches else [0, -9, 0, 0]
        if shift == last[3] and code - last[1] in ((1, 2) if last[2] == 0 else (last[2],)):
            last[2], last[1] = code - last[1], code
        else:
            stretches.append([code, code, 0, shift])
    numbers = " ".join(
        f"{first:X} {final:X} {step or 1:X} {shift:X}".replace(" ", "_") for first, final, step, shift in stretches
    )
    lines = textwrap.fill(numbers, 108, initial_indent="    ", subsequent_indent="    ").replace("_", " ")
    return f'\nCAPITALS = hexadecimal(\n    """\n{lines}\n    """\n)\n'


CLASSES: dict[str, Callable[[int], bool]] = {
    "CONTROLS": is_control,
    "PUNCTUATION": is_punctuation,
    "ACCENTS": is_accent,
    "UNKNOWN_MARKS": is_unknown_mark,
    "LATE_LETTERS": is_late_letter,
    "LATE_NUMBERS": is_late_number,
    "LATE_DIGITS": is_late_digit,
}


def table() -> str:
    """The module's text."""
    return HEADER + "".join(class_text(name, inside) for name, inside in CLASSES.items()) + capitals_text()


if __name__ == "__main__":
    write_or_check(TABLE, table)
