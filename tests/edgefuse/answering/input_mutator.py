"""Seeded damage to pictures and notes, as bad cards, broken copies and people who mean harm do it."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, PngImagePlugin

Bytes = Callable[[bytes, random.Random], bytes]

EDGES = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
NOTE = "Age: 45 years. Größe 8 mm, seit Jahren; पुराना. It bleeds at times.\r\n" * 3


def picture_of(rng: random.Random) -> tuple[str, bytes]:
    """The suffix and the bytes of a whole picture of some kind, size and mode."""
    width, height = rng.choice([(1, 1), (7, 5), (64, 48), (230, 170), (300, 1), (1, 300)])
    noise = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (height, width, 4), dtype=np.uint8)
    image = Image.fromarray(noise, "RGBA").convert(rng.choice(["RGB", "RGB", "L", "RGBA", "P", "1", "LA", "CMYK"]))
    exif = Image.Exif()
    exif[0x0112] = rng.choice([1, 3, 6, 8, 9])  # the orientation, once a wrong one
    exif[0x010F] = "camera"
    kind, options = rng.choice(
        [
            ("JPEG", {"quality": 80, "exif": exif, "progressive": rng.random() < 0.5}),
            ("PNG", {"exif": exif, "pnginfo": _text_chunks(), "icc_profile": b"profile" * 40}),
            ("WEBP", {"exif": exif, "lossless": rng.random() < 0.5, "quality": 50}),
            ("TIFF", {"compression": rng.choice([None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])}),
            ("GIF", {"save_all": True, "append_images": [Image.new("L", (width, height))]}),
            ("BMP", {}),
        ]
    )
    fitting = {"JPEG": "RGB", "WEBP": "RGB", "GIF": "P", "BMP": "RGB", "PNG": "RGBA", "TIFF": "RGB"}
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **options)
    except (OSError, ValueError):  # a mode that this kind has not
        stream = io.BytesIO()
        image.convert(fitting[kind]).save(stream, kind, **options)
    return f".{kind.lower()}", stream.getvalue()


def mutated_picture(rng: random.Random) -> tuple[str, bytes]:
    """The suffix and the bytes of a damaged picture."""
    suffix, data = picture_of(rng)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        changes: list[Bytes] = [bits, bits, run, cut, repeated, number, swapped, grown]
        if suffix == ".png":
            changes += [png_header, png_header, png_chunk]
        if suffix == ".tiff":
            changes += [tiff_entry, tiff_entry, tiff_entry]
        if suffix == ".jpeg":
            changes += [jpeg_size, jpeg_size]
        data = rng.choice(changes)(data, rng)
    return suffix, data


def mutated_note(rng: random.Random) -> bytes:
    """The bytes of a damaged or strange note."""
    strange = [
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        "\u202e".encode(),
        b"\x1b[2J",
        b"\xf4\x90\x80\x80",
        "\U0010ffff".encode(),
    ]
    data = NOTE.encode(rng.choice(["utf-8", "utf-8", "utf-16", "latin-1", "utf-8-sig"]), "replace")
    if rng.random() < 0.1:
        data = rng.choice([*strange, b"a", b" ", b"\n"]) * rng.choice([1, 1000, 300_000])
    for _ in range(rng.randrange(5)):
        data = rng.choice([bits, run, cut, repeated, lambda one, _: inserted(one, rng.choice(strange), rng)])(data, rng)
    return data


def bits(data: bytes, rng: random.Random) -> bytes:
    """Some bits turned over."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 3, 30])):
        if changed:
            changed[_place(changed, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def run(data: bytes, rng: random.Random) -> bytes:
    """A run of bytes replaced by zeros, ones or chance, as a bad block of a card gives."""
    start, length = _place(data, rng), rng.choice([4, 64, 512, 4096])
    filler = rng.choice([bytes(length), b"\xff" * length, rng.randbytes(length)])
    return data[:start] + filler[: len(data) - start] + data[start + length :]


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return data[: _place(data, rng)]


def repeated(data: bytes, rng: random.Random) -> bytes:
    """A part comes twice."""
    start, length = _place(data, rng), rng.choice([1, 16, 1024])
    return data[: start + length] + data[start:]


def number(data: bytes, rng: random.Random) -> bytes:
    """A number of one to four bytes becomes one at the edge of its range."""
    start, order, size = _place(data, rng), rng.choice(["big", "little"]), rng.choice([1, 2, 4])
    value = rng.choice(EDGES) % 256**size
    return data[:start] + value.to_bytes(size, order) + data[start + size :]


def swapped(data: bytes, rng: random.Random) -> bytes:
    """Two parts in the wrong order."""
    first, second = sorted((_place(data, rng), _place(data, rng)))
    return data[:first] + data[second:] + data[first:second]


def grown(data: bytes, rng: random.Random) -> bytes:
    """Something behind the end."""
    return data + rng.choice([bytes(5000), data, rng.randbytes(300)])


def inserted(data: bytes, what: bytes, rng: random.Random) -> bytes:
    """Something in between."""
    start = _place(data, rng)
    return data[:start] + what + data[start:]


def png_header(data: bytes, rng: random.Random) -> bytes:
    """Another width, height, depth or colour, with a checksum that fits."""
    if len(data) < 33:
        return data
    fields = list(struct.unpack(">IIBBBBB", data[16:29]))
    which = rng.randrange(7)
    sizes = [0, 1, 30, 9_999, 10_001, 30_000, 2**31 - 1, 2**31, 2**32 - 1]
    fields[which] = rng.choice(sizes) if which < 2 else rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255])
    body = b"IHDR" + struct.pack(">IIBBBBB", *fields)
    return data[:12] + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


def png_chunk(data: bytes, rng: random.Random) -> bytes:
    """A chunk that unpacks to much, or of a length that lies, behind the header."""
    packed = zlib.compress(bytes(rng.choice([10, 2_000_000, 60_000_000])))
    kind, body = rng.choice(
        [
            (b"iCCP", b"name\0\0" + packed),
            (b"zTXt", b"name\0\0" + packed),
            (b"iTXt", b"name\0\1\0\0\0" + packed),
            (b"eXIf", rng.randbytes(60)),
            (b"PLTE", rng.randbytes(rng.choice([3, 7, 768, 3000]))),
            (b"tRNS", rng.randbytes(300)),
            (b"IDAT", packed),
        ]
    )
    length = rng.choice([len(body), len(body), len(body), 0, 2**31 - 1, 2**32 - 1])
    return data[:33] + struct.pack(">I", length) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) + data[33:]


def jpeg_size(data: bytes, rng: random.Random) -> bytes:
    """Another width and height in a frame's header."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        place = data.find(marker)
        if 0 <= place < len(data) - 9:
            size = struct.pack(">HH", rng.choice([0, 1, 9_000, 65_535]), rng.choice([0, 1, 9_000, 65_535]))
            return data[: place + 5] + size + data[place + 9 :]
    return data


def tiff_entry(data: bytes, rng: random.Random) -> bytes:
    """An entry of the first directory with another tag, type, count or value."""
    if len(data) < 8:
        return data
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack(f"{order}I", data[4:8])
    if start + 2 > len(data):
        return data
    (count,) = struct.unpack(f"{order}H", data[start : start + 2])
    place = start + 2 + 12 * rng.randrange(max(1, count))
    if place + 12 > len(data):
        return data
    fields = list(struct.unpack(f"{order}HHII", data[place : place + 12]))
    which = rng.randrange(4)
    tags = [256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 324, 338, 339, 347, 34665, 700]
    choices = [
        tags,
        list(range(20)),
        [0, 1, 2, 1000, 2**16, 2**31, 2**32 - 1],
        [*EDGES, 3, 4, 5, 6, 7, 8, 9_000, 32773, 34712],
    ]
    fields[which] = rng.choice(choices[which]) % (2**16 if which < 2 else 2**32)
    return data[:place] + struct.pack(f"{order}HHII", *fields) + data[place + 12 :]


def _place(data: bytes | bytearray, rng: random.Random) -> int:
    """Somewhere, in half of the cases among the first bytes, which steer the rest."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 120)
    return rng.randrange(end) if end else 0


def _text_chunks() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "a picture", zip=True)
    return info
