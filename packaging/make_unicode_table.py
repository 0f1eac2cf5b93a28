"""Write the table of Unicode classes that pre-splitting needs; run with a Python that has the pinned version.

The table is committed, so that a token never depends on the Python that runs: CPython 3.11 has Unicode
14.0, 3.12 has 15.0, 3.13 has 15.1. The pinned version is that of llama.cpp's own table, which CPython 3.13
also has.

    python3.13 packaging/make_unicode_table.py            writes the table
    python3.13 packaging/make_unicode_table.py --check    fails when the committed table differs
"""

from __future__ import annotations

import sys
import textwrap
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

UNICODE_VERSION = "15.1.0"
TABLE = Path(__file__).resolve().parent.parent / "runtimes/edgefuse_runtimes/tokenizers/unicode_table.py"

HEADER = f'''"""Classes of characters in Unicode {UNICODE_VERSION}; made by packaging/make_unicode_table.py.

Each table holds the rising borders of its class: a code point is inside when an odd number of them is at or
below it.
"""

from __future__ import annotations

from bisect import bisect_right

UNICODE_VERSION = "{UNICODE_VERSION}"


def within(borders: tuple[int, ...], code: int) -> bool:
    """Whether code point `code` is in the class with these borders."""
    return bisect_right(borders, code) % 2 == 1


def hexadecimal(text: str) -> tuple[int, ...]:
    """The numbers written in hexadecimal in `text`."""
    return tuple(int(number, 16) for number in text.split())
'''


def is_letter(code: int) -> bool:
    r"""\p{L}."""
    return unicodedata.category(chr(code)).startswith("L")


def is_number(code: int) -> bool:
    r"""\p{N}."""
    return unicodedata.category(chr(code)).startswith("N")


def is_space(code: int) -> bool:
    r"""\s: the property White_Space, which is the separators and six controls (so not Python's \s)."""
    return unicodedata.category(chr(code)) in ("Zs", "Zl", "Zp") or code in (*range(0x09, 0x0E), 0x85)


CLASSES: dict[str, Callable[[int], bool]] = {"LETTERS": is_letter, "NUMBERS": is_number, "SPACES": is_space}


def borders(inside: Callable[[int], bool]) -> list[int]:
    """Code points where `inside` changes its answer, beginning outside; surrogates are never inside."""
    answers = [False, *(not 0xD800 <= code < 0xE000 and inside(code) for code in range(sys.maxunicode + 1)), False]
    return [code for code, (before, after) in enumerate(pairwise(answers)) if before != after]


def class_text(name: str, inside: Callable[[int], bool]) -> str:
    """The lines that define one class."""
    numbers = " ".join(f"{border:X}" for border in borders(inside))
    lines = textwrap.fill(numbers, 108, initial_indent="    ", subsequent_indent="    ")
    return f'\n{name} = hexadecimal(\n    """\n{lines}\n    """\n)\n'


def table() -> str:
    """The module's text."""
    return HEADER + "\n" + "".join(class_text(name, inside) for name, inside in CLASSES.items())


def write_or_check(path: Path, table: Callable[[], str]) -> None:
    """Write a table, or with --check compare the committed one."""
    if unicodedata.unidata_version != UNICODE_VERSION:
        sys.exit(
            f"This Python has Unicode {unicodedata.unidata_version}, the table is of {UNICODE_VERSION}; "
            "run the script with Python 3.13."
        )
    if "--check" not in sys.argv[1:]:
        path.write_text(table(), encoding="utf-8")
    elif path.read_text(encoding="utf-8") != table():
        sys.exit(f"{path} is not what this script writes; run it without --check.")


if __name__ == "__main__":
    write_or_check(TABLE, table)
