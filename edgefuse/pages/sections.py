"""The sections of a report: each a heading with a table, paragraphs or figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from edgefuse.figures.canvas import Figure
from edgefuse.pages.sheets import Sheet, as_markdown


class Picture(NamedTuple):
    """A figure of the page."""

    name: str
    """Of its files."""
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it."""

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    sheet: Sheet | None = None
    pictures: tuple[Picture, ...] = ()

    @property
    def rows(self) -> list[tuple[list[str], bool]]:
        """The sheet's cells, and whether the row is set off."""
        return [] if self.sheet is None else list(zip(self.sheet.cells(), self.sheet.strong_rows(), strict=True))


def markdown(section: Section) -> Iterator[str]:
    """The lines of a section, without its pictures."""
    yield from (f"## {section.title}", "")
    yield from (f"{paragraph}\n" for paragraph in section.paragraphs)
    if section.sheet is not None:
        yield as_markdown(section.sheet)
