"""Stored answers as a CSV table or as JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from edgefuse.results.records import Record

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection")."""

_BEFORE = (
    "number", "time", "clock_synchronised", "boot_id", "since_boot_s", "case", "label", "referred", "reason",
)  # fmt: skip
_BETWEEN = (
    "kit", "kit_version", "kit_digest", "missing", "engine_image", "engine_text", "precision_image", "precision_text",
)  # fmt: skip
_AFTER = ("picture_hash", "note_hash", "kept_picture", "kept_note", "notes", "edgefuse")
"""Columns; the probabilities come between the first and the second group, the times before the last."""


def json_lines(records: Callable[[], Iterable[Record]]) -> Iterator[str]:
    """One JSON object an answer, ASCII, each with its line end."""
    for record in records():
        yield json.dumps(record.to_json()) + "\n"


def csv_lines(records: Callable[[], Iterable[Record]]) -> Iterator[str]:
    """A header and one row an answer, with a column for each class and each stage of each kit in it.

    `records` is asked twice: first for those.
    """
    classes: dict[str, None] = {}
    stages: dict[str, None] = {}
    for record in records():
        classes |= dict.fromkeys(f"p_{name}" for name in record.answer["probabilities"])
        stages |= dict.fromkeys(f"{stage}_ms" for stage in record.answer["timings_ms"])
    header = [*_BEFORE, *classes, *_BETWEEN, *stages, *_AFTER]
    yield _line(map(guarded, header))  # a class may be called anything
    for record in records():
        cells = _cells(record)
        yield _line(guarded(cells.get(name)) for name in header)


def guarded(cell: Any) -> Any:
    """A text that a spreadsheet would compute gets an apostrophe in front, numbers stay."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(_DANGEROUS) else cell


def _cells(record: Record) -> dict[str, Any]:
    """By column."""
    answer = record.answer
    columns: dict[str, Any] = {
        "number": record.number,
        "time": record.time,
        "clock_synchronised": _said(record.clock_synchronised),
        "boot_id": record.boot_id,
        "since_boot_s": record.since_boot_s,
        "case": record.case,
        "label": answer["label"],
        "referred": _said(answer["referred"]),
        "reason": answer["reason"],
        "kit": answer["kit"]["name"],
        "kit_version": answer["kit"]["version"],
        "kit_digest": answer["kit"]["digest"],
        "missing": " ".join(answer["missing"]),
        "picture_hash": record.picture_hash,
        "note_hash": record.note_hash,
        "kept_picture": record.kept_picture,
        "kept_note": record.kept_note,
        "notes": " ".join(answer["notes"]),
        "edgefuse": record.edgefuse,
    }
    columns |= {f"p_{name}": probability for name, probability in answer["probabilities"].items()}
    columns |= {f"{stage}_ms": value for stage, value in answer["timings_ms"].items()}
    for modality in ("image", "text"):
        columns[f"engine_{modality}"] = answer["engines"][modality]
        columns[f"precision_{modality}"] = answer["precisions"][modality]
    return columns


def _said(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _line(cells: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)  # lines end in CR LF, as RFC 4180 has it
    return buffer.getvalue()
