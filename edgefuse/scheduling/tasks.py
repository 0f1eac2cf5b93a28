"""Tasks: portions of samples, in the form in which they go over to workers."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse.extraction.encoding import Portion
from edgefuse.scheduling.work import Sent, SharedPicture
from edgefuse_runtimes.errors import BadInput

SENT_BYTES = 4 << 20
"""Pictures that are sent in one task have no more, unless one has: tasks on their way lie in the scheduler's memory."""
LATE = 2.0
"""Times of the usual task after which another worker that has nothing to do tries it too."""

SharedRoot = tuple[Path, str]
"""The data set's root here, and as workers see it."""


@dataclass(eq=False)
class Task:
    """A portion, or some pictures of it."""

    portion: int
    """Index among the portions."""
    offset: int
    """Of the first sample in it."""
    samples: Portion
    sent: float = 0.0
    """When, by the clock that only goes on."""
    lost: int = 0
    """How often the scheduler gave it up."""


def tasks_of(portions: Sequence[Portion], *, send_pictures: bool) -> Iterator[Task]:
    """The tasks in order. Notes of a portion stay together; pictures, each of which is encoded alone, need not."""
    for index, portion in enumerate(portions):
        if not (send_pictures and _are_pictures(portion)):
            yield Task(index, 0, portion)
            continue
        offset, size = 0, 0
        for k, path in enumerate(_paths(portion)):
            more = path.stat().st_size
            if k > offset and size + more > SENT_BYTES:
                yield Task(index, offset, portion[offset:k])
                offset, size = k, 0
            size += more
        yield Task(index, offset, portion[offset:])


def packed(samples: Portion, shared_root: SharedRoot | None) -> Sent:
    """Samples as they go over; pictures as their files' content, or by their place in a root that workers see.

    Raises:
        BadInput: a picture is not below the shared root.
    """
    if not _are_pictures(samples):
        return samples  # type: ignore[return-value]  # token ids: a portion holds samples of one kind
    paths = _paths(samples)
    if shared_root is None:
        return [path.read_bytes() for path in paths]
    root, there = shared_root
    try:
        inside = [path.resolve().relative_to(root.resolve()) for path in paths]
    except ValueError as error:
        raise BadInput(f"A picture is not below {root} ({error}); leave out --shared-root.") from error
    return [SharedPicture(str(Path(there) / k), path.stat().st_size) for k, path in zip(inside, paths, strict=True)]


def late(running: Mapping[Any, Task], seconds: Sequence[float]) -> list[Task]:
    """Tasks that take far longer than the finished ones did, and that only one worker has, the oldest first.

    Args:
        running: task by future; two futures may be of one task.
        seconds: that finished tasks took.
    """
    if not seconds:
        return []
    overdue = time.monotonic() - LATE * statistics.median(seconds)
    copies = Counter(map(id, running.values()))
    tasks = [task for task in running.values() if copies[id(task)] == 1 and task.sent < overdue]
    return sorted(tasks, key=lambda task: task.sent)


def _are_pictures(samples: Portion) -> bool:
    return isinstance(samples[0], str | Path)


def _paths(samples: Portion) -> list[Path]:
    return [Path(picture) for picture in samples]  # type: ignore[arg-type]  # pictures, as asked before
