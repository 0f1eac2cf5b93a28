"""TIFF files of more bands than a picture has, as satellites make them, in the colours that the eye would see.

Pillow knows no picture of twelve bands, but it unpacks whatever TIFF files are packed with. So the file's blocks get
another description: of a grey picture, whose pixels are the file's bytes. Pillow unpacks that one, and numpy makes
numbers of the bytes (TIFF 6.0, sections 2, 14 and 15; for floating point Adobe's TIFF Technical Note 3).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Bands

WHITE = {"u1": 255.0, "u2": 4000.0, "f4": 0.4, "f8": 0.4}
"""The value that becomes 255, by kind and bytes of values. Reflectances are 0 to 1 in floating point, or times 10,000
in 16 bits. 2.5 times that, Sentinel Hub's own stretch for true colour, is the same for every file and keeps dates
comparable. 8-bit files were stretched by whoever made them and stay as they are."""
MAX_BYTES = 100_000_000
"""That the bands may unpack to."""
MAX_BLOCKS = 1_000_000
MOST_OF_A_PICTURE = 4
"""Bands: red, green, blue and transparency, or four inks."""
PACKINGS = (1, 5, 8, 32773, 32946, 50000)
"""None, LZW, deflate, PackBits, deflate by its older number, Zstandard: what packs bytes, whatever they mean."""

WIDTH, HEIGHT, BITS, PACKING, PHOTOMETRIC, FILL_ORDER, SAMPLES = 256, 257, 258, 259, 262, 266, 277
STRIPS, STRIP_ROWS, STRIP_BYTES, PLANAR, PREDICTOR, SAMPLE_FORMAT = 273, 278, 279, 284, 317, 339
TILE_WIDTH, TILE_ROWS, TILES, TILE_BYTES = 322, 323, 324, 325
READ = {
    WIDTH, HEIGHT, BITS, PACKING, PHOTOMETRIC, FILL_ORDER, SAMPLES, STRIPS, STRIP_ROWS, STRIP_BYTES, PLANAR, PREDICTOR,
    SAMPLE_FORMAT, TILE_WIDTH, TILE_ROWS, TILES, TILE_BYTES,
}  # fmt: skip
"""Entries of a description, by their numbers in TIFF 6.0."""
GREYS = (0, 1)
"""What `PHOTOMETRIC` says of bands that are no colours: the least is white, or black."""
CODES = {1: "B", 3: "H", 4: "L"}
"""Of whole numbers: struct's, by TIFF's."""
KINDS = {1: "u", 3: "f"}
KIND_WORDS = {1: "unsigned", 2: "signed", 3: "floating point"}
"""numpy's letters and words, by TIFF's sample formats."""
DIFFERENCES, FLOATING_DIFFERENCES = 2, 3
"""Predictors: a value is told by its difference to its neighbour's; in floating point its bytes are."""

Values = NDArray[np.generic]


@dataclass(frozen=True)
class Layout:
    """What a file's description says; sizes and places are checked against each other and the file."""

    order: str
    """Of bytes in numbers: "<" or ">"."""
    width: int
    height: int
    bands: int
    kind: str
    """numpy's kind and bytes of a value, a key of `WHITE`."""
    packing: int
    predictor: int
    together: bool
    """Whether a pixel's bands lie side by side; else each band is a plane of its own, one after the other."""
    tiled: bool
    """Whether blocks are tiles; else strips, as wide as the picture."""
    block: tuple[int, int]
    """Width and height of a block, in pixels."""
    places: tuple[int, ...]
    sizes: tuple[int, ...]
    """Of the blocks, in bytes from the file's start."""

    @property
    def across(self) -> int:
        """Blocks side by side."""
        return -(-self.width // self.block[0])

    @property
    def blocks(self) -> int:
        """Blocks of a plane."""
        return self.across * -(-self.height // self.block[1])

    @property
    def stride(self) -> int:
        """Values of a pixel that lie side by side."""
        return self.bands if self.together else 1

    @property
    def block_bytes(self) -> int:
        """Of one row of a block."""
        return self.block[0] * self.stride * int(self.kind[1])


def layout_of(file: BinaryIO, name: str, *, surely: bool) -> Layout | None:
    """What the file's first description says; None: it is no TIFF file of two bands or more.

    Args:
        file: to read.
        name: of it, for complaints.
        surely: whether only that counts which is surely no picture: over four bands that are called no colours.

    Raises:
        BadInput: its values, its packing or its size is none that is read here, or it contradicts itself.
    """
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[_read(file, 0, 4)]
        tags = _tags(file, order)
        (width, height), bands, tiled = (tags[WIDTH][0], tags[HEIGHT][0]), tags[SAMPLES][0], TILES in tags
        rows = tags[TILE_ROWS][0] if tiled else min(height, *tags.get(STRIP_ROWS, (height,)))
        block = (tags[TILE_WIDTH][0] if tiled else width, rows)
        places, sizes = (tags[TILES], tags[TILE_BYTES]) if tiled else (tags[STRIPS], tags[STRIP_BYTES])
        bits, forms = set(tags[BITS]), set(tags.get(SAMPLE_FORMAT, (1,)))
    except (LookupError, EOFError, struct.error):
        return None
    if min(width, height, *block) < 1 or bands < 2:
        return None
    if surely and (bands <= MOST_OF_A_PICTURE or tags.get(PHOTOMETRIC, GREYS)[0] not in GREYS):
        return None
    packing, predictor, planar, fill = (tags.get(tag, (1,))[0] for tag in (PACKING, PREDICTOR, PLANAR, FILL_ORDER))
    kind = "".join(f"{KINDS.get(form)}{number / 8:g}" for form in forms for number in bits)
    if kind not in WHITE or packing not in PACKINGS or predictor not in (1, 2, 3) or fill != 1:
        words = " and ".join(f"{KIND_WORDS.get(form, 'strange')} {number}-bit" for form in forms for number in bits)
        raise BadInput(
            f"{name} has {bands} bands of {words} numbers, packed by TIFF's method {packing}; save it with unsigned "
            "bands of 8 or 16 bits or floating point ones, unpacked or packed by deflate or LZW."
        )
    found = Layout(order, width, height, bands, kind, packing, predictor, planar == 1, tiled, block, places, sizes)
    block_bytes = found.block_bytes * block[1]
    if block_bytes * found.blocks > MAX_BYTES:
        raise BadInput(f"{name} unpacks to over {MAX_BYTES // 1_000_000} MB; cut it smaller.")
    count = found.blocks * (1 if found.together else bands)
    if not len(places) == len(sizes) == count or max(sizes) > 2 * block_bytes + 64:  # nothing packs so badly
        raise BadInput(f"{name} is damaged (its blocks do not fit its size); take or copy the picture again.")
    return found


def true_colours(
    file: BinaryIO, layout: Layout, places: Bands, name: str, admit: Callable[[Image.Image], object]
) -> Image.Image:
    """Three bands of a file as the red, green and blue of an 8-bit picture.

    Args:
        file: to read.
        layout: what `layout_of` says of it.
        places: of the bands, see `Preprocess.bands`.
        name: of the file, for complaints.
        admit: asked before anything is unpacked; may raise to refuse it.

    Raises:
        BadInput: the file has no such bands.
        OSError, EOFError: it is damaged.
    """
    if max(places) > layout.bands:
        wanted = ", ".join(map(str, places))
        raise BadInput(f"{name} has {layout.bands} bands, its colours are the bands {wanted}; check what it is.")
    chosen = [place - 1 for place in places]
    if layout.together:
        values = _values(_unpacked(file, layout, 0, admit), layout, chosen)  # (H, W, 3)
    else:
        planes = []
        for number, plane in enumerate(chosen):
            planes.append(_values(_unpacked(file, layout, plane, admit if number == 0 else None), layout, [0]))
        values = np.concatenate(planes, axis=2)  # (H, W, 3)
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond all measure is white or black
        scaled = np.nan_to_num(values.astype(np.float32)) * np.float32(255 / WHITE[layout.kind])
    return Image.fromarray(np.rint(scaled.clip(0, 255)).astype(np.uint8))


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    data = file.read(size)
    if len(data) < size:
        raise EOFError("it ends too early")
    return data


def _tags(file: BinaryIO, order: str) -> dict[int, tuple[int, ...]]:
    """The whole numbers of the first description, by what they are; of an entry that is there twice the first."""
    (start,) = struct.unpack(f"{order}L", _read(file, 4, 4))
    (count,) = struct.unpack(f"{order}H", _read(file, start, 2))
    entries = _read(file, start + 2, 12 * count)
    length = file.seek(0, os.SEEK_END)
    tags: dict[int, tuple[int, ...]] = {}
    for at in range(0, len(entries), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHL", entries, at)
        if tag not in READ or tag in tags or kind not in CODES or not 0 < number <= MAX_BLOCKS:
            continue
        form = f"{order}{number}{CODES[kind]}"
        size = struct.calcsize(form)
        if size <= 4:
            tags[tag] = struct.unpack_from(form, entries, at + 8)
        elif size <= length:
            (place,) = struct.unpack_from(f"{order}L", entries, at + 8)
            tags[tag] = struct.unpack(form, _read(file, place, size))
    return tags


def _unpacked(
    file: BinaryIO, layout: Layout, plane: int, admit: Callable[[Image.Image], object] | None
) -> NDArray[np.uint8]:
    """The bytes (H, across, n) of the rows of a plane's blocks, as they were before they were packed."""
    these = slice(plane * layout.blocks, (plane + 1) * layout.blocks)
    sizes = layout.sizes[these]
    places, lengths = (TILES, TILE_BYTES) if layout.tiled else (STRIPS, STRIP_BYTES)
    tags: dict[int, tuple[int, ...]] = {
        WIDTH: (layout.across * layout.block_bytes,), HEIGHT: (layout.height,), BITS: (8,), SAMPLES: (1,),
        PACKING: (layout.packing,), PHOTOMETRIC: (1,), lengths: sizes,
        places: tuple(8 + before for before in np.cumsum((0, *sizes[:-1])).tolist()),
    }  # fmt: skip
    if layout.tiled:
        tags |= {TILE_WIDTH: (layout.block_bytes,), TILE_ROWS: (layout.block[1],)}
    else:
        tags |= {STRIP_ROWS: (layout.block[1],)}
    data = b"".join(_read(file, place, size) for place, size in zip(layout.places[these], sizes, strict=True))
    with Image.open(io.BytesIO(_described(data, layout.order, tags)), formats=("TIFF",)) as opened:
        if admit is not None:
            admit(opened)
        return np.asarray(opened).reshape(layout.height, layout.across, -1)


def _described(data: bytes, order: str, tags: Mapping[int, tuple[int, ...]]) -> bytes:
    """A TIFF file: its head, the blocks, a description of them, and the numbers that have no room in it."""
    start = 8 + len(data)
    numbers_start = start + 2 + 12 * len(tags) + 4
    entries, numbers = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}L", *values)
        if len(values) > 1:
            numbers, packed = numbers + packed, struct.pack(f"{order}L", numbers_start + len(numbers))
        entries += struct.pack(f"{order}HHL", tag, 4, len(values)) + packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    count = struct.pack(f"{order}H", len(tags))
    return b"".join([mark, struct.pack(f"{order}L", start), data, count, entries, bytes(4), numbers])


def _values(rows: NDArray[np.uint8], layout: Layout, chosen: list[int]) -> Values:
    """The chosen values (H, W, c) of pixels, out of the bytes (H, across, n) of rows of blocks."""
    size, stride = int(layout.kind[1]), layout.stride
    lines = rows.shape[:2]
    if layout.predictor == FLOATING_DIFFERENCES:  # first the highest byte of all values of the row, then the next
        steps = rows.reshape(*lines, -1, stride)[..., chosen]  # (H, across, size * b, c)
        summed = steps.cumsum(axis=2, dtype=np.uint8).reshape(*lines, size, -1)  # (H, across, size, b * c)
        values = np.ascontiguousarray(summed.swapaxes(2, 3)).view(f">{layout.kind}")  # (H, across, b * c, 1)
    else:
        kind = f"{layout.order}u{size}" if layout.predictor == DIFFERENCES else f"{layout.order}{layout.kind}"
        values = rows.view(kind).reshape(*lines, -1, stride)[..., chosen]  # (H, across, b, c)
        if layout.predictor == DIFFERENCES:
            values = values.cumsum(axis=2, dtype=f"u{size}").view(layout.kind)
    return values.reshape(lines[0], -1, len(chosen))[:, : layout.width]
