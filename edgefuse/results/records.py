"""What is read from the results log."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edgefuse.results.inputs import FOLDER

COLUMNS = (
    "number, time, clock_synchronised, boot_id, since_boot_s, edgefuse, case_id, picture_hash, note_hash, "
    "kept_picture, kept_note, answer"
)
"""Of the table, in the order of a `Record`."""


@dataclass(frozen=True)
class Record:
    """One answer as it was stored."""

    number: int
    time: str
    """As `clock.Moment` has it, with the next three."""
    clock_synchronised: bool | None
    boot_id: str | None
    since_boot_s: float
    edgefuse: str
    """The version that answered."""
    case: str | None
    """What the user called it."""
    picture_hash: str | None
    note_hash: str | None
    kept_picture: str | None
    """The path of the picture that was kept."""
    kept_note: str | None
    answer: dict[str, Any]
    """The answer's JSON; its "image" is None unless the picture was kept."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, in the published layout."""
        return asdict(self)


@dataclass(frozen=True)
class Wanted:
    """Which answers; each condition that is not None must hold."""

    kit: str | None = None
    """The kit's name, or how its digest begins."""
    case: str | None = None
    since: str | None = None
    """As `clock.Moment.time`; from this moment on."""
    before: str | None = None
    referred: bool | None = None

    def where(self) -> tuple[str, list[Any]]:
        """The SQL condition and its values."""
        conditions: dict[str, tuple[Any, ...]] = {
            "(kit_name = ? OR substr(kit_digest, 1, ?) = ?)": (self.kit, len(self.kit or ""), self.kit),
            "case_id = ?": (self.case,),
            "time >= ?": (self.since,),
            "time < ?": (self.before,),
            "referred = ?": (self.referred,),
        }
        asked = {condition: values for condition, values in conditions.items() if values[0] is not None}
        return " AND ".join(asked) or "1", [value for values in asked.values() for value in values]


def read_row(row: tuple[Any, ...], folder: Path) -> Record:
    """The answer in a row of `COLUMNS`, of the log below `folder`.

    Raises:
        ValueError: it is no answer; SQLite does not notice a bit that a card has turned in a text.
    """
    path = None if row[9] is None else folder / FOLDER / row[9]
    number, time, synchronised, boot_id, since_boot_s, version, case, picture, note, _, kept_note, told = row
    answer = json.loads(told)
    if not _is_answer(answer) or not isinstance(since_boot_s, float) or datetime.fromisoformat(time).tzinfo is None:
        raise ValueError(f"row {number} holds no answer")
    return Record(
        number=number,
        time=time,
        clock_synchronised=None if synchronised is None else bool(synchronised),
        boot_id=boot_id,
        since_boot_s=since_boot_s,
        edgefuse=version,
        case=case,
        picture_hash=picture,
        note_hash=note,
        kept_picture=str(path) if path is not None and path.is_file() else None,
        kept_note=kept_note,
        answer=answer | {"number": number},
    )


def _is_answer(answer: Any) -> bool:
    """Whether it has what pages and tables show, of the right kinds."""
    try:
        tables = [answer[name] for name in ("probabilities", "timings_ms", "engines", "precisions", "kit", "memory")]
        numbers = [*tables[0].values(), *tables[1].values(), answer["memory"]["peak_rss_bytes"]]
        words = [answer["label"], *(answer["kit"][name] for name in ("name", "version", "digest"))]
        words += [word for name in ("missing", "cached", "notes") for word in answer[name]]
        in_both = all(engine.keys() == {"image", "text"} for engine in (answer["engines"], answer["precisions"]))
    except (KeyError, TypeError, AttributeError):
        return False
    is_told = isinstance(answer.get("referred"), bool) and isinstance(answer.get("reason", 0), str | None)
    right = all(isinstance(number, int | float) for number in numbers) and all(isinstance(word, str) for word in words)
    return in_both and is_told and right and bool(answer["probabilities"])
