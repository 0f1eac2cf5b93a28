"""Write the table of character classes that BERT's tokenizer needs; run with tokenizers and the pinned Unicode.

`tokenizers` classes characters by tables of its own, older than any Python's: Unicode 8, and Unicode 9 for the order of
combining marks. A checkpoint's ids are what it gives, so it is asked about every character, and the answers are
committed.

    python3.13 packaging/make_bert_table.py            writes the table
    python3.13 packaging/make_bert_table.py --check    fails when the committed table differs
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable

from make_unicode_table import TABLE as UNICODE_TABLE
from make_unicode_table import class_text, write_or_check
from tokenizers import normalizers, pre_tokenizers

TABLE = UNICODE_TABLE.with_name("bert_table.py")

HEADER = '''"""Classes of characters as the library `tokenizers` has them; made by packaging/make_bert_table.py.

Each table holds the rising borders of its class, as in `unicode_table.py`.
"""

from __future__ import annotations

from edgefuse_runtimes.tokenizers.unicode_table import borders
'''

_OFF = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
_CLEAN = normalizers.BertNormalizer(**_OFF | {"clean_text": True})
_STRIP = normalizers.BertNormalizer(**_OFF | {"strip_accents": True})
_WORDS = pre_tokenizers.BertPreTokenizer()
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


CLASSES: dict[str, Callable[[int], bool]] = {
    "CONTROLS": is_control,
    "PUNCTUATION": is_punctuation,
    "ACCENTS": is_accent,
    "UNKNOWN_MARKS": is_unknown_mark,
}


def table() -> str:
    """The module's text."""
    return HEADER + "".join(class_text(name, inside) for name, inside in CLASSES.items())


if __name__ == "__main__":
    write_or_check(TABLE, table)
