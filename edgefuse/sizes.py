"""Sizes in bytes as people write and read them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import click

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str) -> int:
    """Bytes of "1G", "512M", "1.5GiB", "8GB" or "1073741824".

    As in the GNU tools, K, M, G and T (also KiB, MiB, ...) are powers of 1024, and KB, MB, GB and TB, which stand on
    disks and cards, powers of 1000.

    Raises:
        ValueError: it is no such size, or under one byte.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)(iB|B)?", text.strip(), re.IGNORECASE | re.ASCII)
    if found is None or (not found[2] and (found[3] or "").lower() == "ib"):
        raise ValueError(f"{text!r} is no size")
    base = 1000 if found[2] and (found[3] or "").lower() == "b" else 1024
    size = int(Decimal(found[1]) * base ** _UNITS[found[2].upper()])
    if size < 1:
        raise ValueError(f"{text!r} is under one byte")
    return size


def said_size(size: int) -> str:
    """Bytes for a page: "321 MiB", "6.7 GiB"; rounded up, since less would not do."""
    mib = -(-size // 2**20)
    return f"{mib} MiB" if mib < 1024 else f"{size / 2**30:.1f} GiB"


class SizeType(click.ParamType[int]):
    """A size on the command line."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes, or a usage error with a sentence."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no size; give bytes, or a number with K, M, G or T, such as 512M or 1.5G", param)


SIZE = SizeType()
