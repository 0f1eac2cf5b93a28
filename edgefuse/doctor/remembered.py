"""What earlier probes found, as the doctor shows it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from edgefuse_runtimes.verdicts import Record


def verdict_json(record: Record) -> dict[str, Any]:
    """A remembered verdict in plain JSON types, its machine's own text of the processor left out.

    "gone" says that its file is no longer there: it may be on a medium that was taken out, or have been moved.
    """
    known = {name: value for name, value in asdict(record).items() if name != "processor"}
    return known | {"gone": is_gone(record)}


def is_gone(record: Record) -> bool:
    """Whether the file that a verdict is about is no longer where it was tried."""
    return not os.path.exists(record.file)  # noqa: PTH110 - Path.exists fails in a folder that may not be entered
