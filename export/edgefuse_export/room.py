"""Room on the disk: asked for before the work, and told in one sentence where it ends in the middle."""

from __future__ import annotations

import errno
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgefuse.progress import in_bytes
from edgefuse_export.sources import files_of, kind_of
from edgefuse_export.weights import find_tensors
from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.spec import Modality

FULL_BYTES = 1 << 16
"""A disk with less than this is taken for full: not every library says why it could not write."""

GGUF_PRECISIONS = ("q8_0", "q4_k_m")

_OTHER_HALF = {"image": "text_model.", "text": "vision_model."}
"""Weights of a CLIP that the encoder does not take along."""


@dataclass(frozen=True)
class Disk:
    """The bytes that an encoder takes."""

    kept: int
    """By its file or files."""
    most: int
    """While it is made, its files included."""


def require_room(folder: Path, needed: int, what: str) -> None:
    """Ask before the work.

    Args:
        folder: an existing one on the disk in question.
        needed: bytes.
        what: needs them, as the beginning of a sentence.

    Raises:
        DoesNotFit: the disk has less room.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DoesNotFit(
            f"{what} needs {in_bytes(needed)} of disk while it is made, and {in_bytes(free)} are left in {folder}; "
            "make room or choose another output."
        )


def disk_for(source: Path, modality: Modality, precision: str) -> Disk:
    """What an encoder takes at least, told by the headers of its source.

    Args:
        source: a folder or file.
        modality: of the encoder.
        precision: of its file: "int8", "fp32", "q8_0" or "q4_k_m"; "both" are two files, in int8 and fp32.

    Raises:
        BadInput: the source is none, or a header is damaged.
    """
    kind = kind_of(source)
    weights = _weights(source, modality)
    bytes_each = {"fp32": 4.0, "int8": 1.0, "both": 5.0, "q8_0": 34 / 32, "q4_k_m": 0.6}[precision]
    kept = int(weights * bytes_each)
    if precision == "q4_k_m":
        return Disk(kept, int(weights * 34 / 32) + kept)  # the quantiser reads a file of all weights
    if precision == "q8_0":
        return Disk(kept, kept)
    # In float32: the graph as it is traced, for notes with its shapes fixed, then folded, then lean.
    graphs = 4 if modality == "text" else 3 if kind == "folder" else 2
    return Disk(kept, graphs * 4 * weights + (0 if precision == "fp32" else weights))  # fp32 is the lean graph, moved


def most_of(disks: list[Disk]) -> int:
    """The most bytes that encoders take when they are made one after the other."""
    kept = 0
    most = 0
    for disk in disks:
        most = max(most, kept + disk.most)
        kept += disk.kept
    return most


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent` for what is needed in between; it vanishes in the end.

    Raises:
        DoesNotFit: the block failed since the disk is full.
    """
    with tempfile.TemporaryDirectory(dir=parent, prefix=".work.") as name:
        try:
            yield Path(name)
        except Exception as error:
            if _is_full(parent, error) and not isinstance(error, DoesNotFit):
                raise DoesNotFit(
                    f"The disk of {parent} became full ({in_bytes(shutil.disk_usage(parent).free)} are left) and what "
                    "was made was removed; make room or choose another output."
                ) from error
            raise


def _is_full(folder: Path, error: Exception) -> bool:
    said: BaseException | None = error
    while said is not None:
        if isinstance(said, OSError) and said.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        said = said.__cause__ or said.__context__
    return shutil.disk_usage(folder).free < FULL_BYTES


def _weights(source: Path, modality: Modality) -> int:
    """How many numbers the encoder's weights are."""
    match kind_of(source):
        case "folder":
            tensors = find_tensors(source).values()
            shapes = [place.shape for place in tensors if not place.name.startswith(_OTHER_HALF[modality])]
        case "gguf":
            shapes = [tensor.shape for tensor in read_gguf(source).tensors.values()]
        case "onnx":
            return sum(file.stat().st_size for file in files_of(source).values()) // 4
    return sum(math.prod(shape) for shape in shapes)
