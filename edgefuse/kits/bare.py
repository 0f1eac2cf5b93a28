"""What a kit takes over of a picture of people: its pixels."""

from __future__ import annotations

from PIL import Image


def bare_copy(picture: Image.Image) -> Image.Image:
    """The pixels of an RGB picture and nothing else: no place, no time, no name."""
    bare = Image.new("RGB", picture.size)
    bare.paste(picture)
    return bare
