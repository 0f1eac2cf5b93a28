"""Strings as the SSH protocol writes them: four bytes of length, the largest first, then the bytes (RFC 4251, 5)."""

from __future__ import annotations


def packed(*parts: bytes) -> bytes:
    """The parts one after the other, each with its length."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def unpacked(data: bytes, count: int) -> list[bytes]:
    """Inverse of `packed` for `count` parts that fill `data`.

    Raises:
        ValueError: they do not.
    """
    parts = []
    for _ in range(count):
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            raise ValueError("it ends too early")
        parts.append(data[4 : 4 + length])
        data = data[4 + length :]
    if data:
        raise ValueError("something follows its end")
    return parts
