"""Golden samples that somebody gives in place of drawn ones, with the consent of those whom they show."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from edgefuse.answering.note import read_note
from edgefuse.batch.samples import read_samples
from edgefuse.kits.bare import bare_copy
from edgefuse.kits.encoders import Encoders, write_golden
from edgefuse.kits.golden import COUNT
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image

SHORT_SIDE = 256
"""Pixels: larger pictures are made smaller, since each device carries them."""


def write_own_golden(samples: Path, encoders: Encoders, folder: Path, progress: Progress = silent) -> None:
    """Write pictures, notes and vectors into `folder`, under the names that drawn ones have in an encoders folder.

    Nothing but the pixels of a picture is taken over.

    Args:
        samples: a folder with as many pictures as there are golden samples, each with its note beside it.
        encoders: whose vectors are to be computed, each by the numpy engine.
        folder: an empty one.
        progress: shows the encoder files.

    Raises:
        BadInput: it is no folder, there are more or fewer, one has no note, or one cannot be read.
    """
    wanted = f"{COUNT} pictures, each with its note, as 1.jpg and 1.txt"
    if not samples.is_dir():
        raise BadInput(f"{samples} is no folder; give one with {wanted}.")
    found, remarks = read_samples(samples)
    if len(found) != COUNT:
        raise BadInput(f"{samples} has {len(found)} pictures; give {wanted}.")
    if remarks:
        raise BadInput(f"{samples} has text files without a picture of the same name; take them out, or rename them.")
    given = []
    for sample in found:
        if sample.note is None or sample.image is None:
            raise BadInput(f"{samples} has no note for {sample.id}; write it into a text file of the same name.")
        given.append((_small(load_image(sample.image)), read_note(str(sample.note))[0]))
    write_golden(folder, encoders, given, progress=progress)


def _small(picture: Image.Image) -> Image.Image:
    """A picture of pixels alone, whose shorter side is no longer than SHORT_SIDE."""
    scale = min(1.0, SHORT_SIDE / min(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    bare = bare_copy(picture)
    return bare.resize(size, Image.Resampling.LANCZOS) if scale < 1 else bare
