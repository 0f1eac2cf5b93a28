"""Filling a table's shards with vectors, in whatever order these come.

The distinct samples of a table, numbered as its rows name them first, are cut into portions once and for all. An
engine may share work between the notes of a portion, so a vector's last bits are sure to be the same only where the
same notes go together: whichever run encodes a portion, on whichever machine, it encodes all of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgefuse.embeddings.cost import Spent, add_cost
from edgefuse.embeddings.mapped import VectorKind, read_shard
from edgefuse.embeddings.table import Floats, shard_path, shards, write_shard
from edgefuse.extraction.encoding import PORTION_SAMPLES, Encoded, Portion
from edgefuse.progress import Progress

Run = Callable[[Sequence[Portion]], Iterator[tuple[int, int, Encoded]]]
"""Encodes portions; yields vectors as they come, with the index of their portion and the place of the first sample."""
LABELS: dict[VectorKind, str] = {
    "text": "encoding notes",
    "image": "encoding pictures",
    "views": "encoding views",
}


def fill(
    folder: Path,
    kind: VectorKind,
    items: Sequence[int],
    samples: Portion,
    run: Run,
    progress: Progress,
    views: int = 1,
) -> None:
    """Write the missing shards of one kind of vectors, each as soon as the last of its vectors has come.

    A vector's number is its sample's, times `views`, and the number of the view.

    Args:
        folder: of the table.
        kind: of the vectors.
        items: (n,), for each row the number of its sample.
        samples: the distinct samples.
        run: encodes them; not called where finished shards hold all that is needed.
        progress: shows the step.
        views: vectors of each sample.
    """
    spans = [[items[row] * views + view for row in span for view in range(views)] for span in shards(len(items))]
    missing = [number for number in range(len(spans)) if not shard_path(folder, kind, number).exists()]
    if not missing:
        return
    needed = {item for number in missing for item in spans[number]}
    known = _known(folder, kind, spans, needed)
    numbers = sorted({item // views // PORTION_SAMPLES for item in needed - known.keys()})
    portions = [samples[k * PORTION_SAMPLES : (k + 1) * PORTION_SAMPLES] for k in numbers]
    pending: list[Spent] = []

    def encoded() -> Iterator[tuple[int, Floats]]:
        yield from known.items()
        for index, offset, done in run(portions) if portions else ():
            pending.append(done.spent)
            yield from enumerate(done.vectors, start=(numbers[index] * PORTION_SAMPLES + offset) * views)

    def written(rows: int) -> None:
        add_cost(folder, kind, rows // views, pending)
        pending.clear()

    shown = progress(LABELS[kind], encoded(), len(known) + sum(map(len, portions)) * views)
    write_shards(folder, kind, {number: spans[number] for number in missing}, shown, written)


def write_shards(
    folder: Path,
    kind: VectorKind,
    wanted: dict[int, Sequence[int]],
    vectors: Iterable[tuple[int, Floats]],
    written: Callable[[int], None],
) -> None:
    """Write shards out of vectors, which are held no longer than shards wait for them.

    Args:
        folder: of the table.
        kind: of the vectors.
        wanted: for each shard's number the numbers of its vectors, which may be in several.
        vectors: (d,) by their numbers, in any order; those that no shard waits for are passed over.
        written: told the number of vectors of each shard that was written.
    """
    lacking = {number: set(rows) for number, rows in wanted.items()}
    users = Counter(item for rows in lacking.values() for item in rows)
    shards_of = defaultdict(list)
    for number, rows in lacking.items():
        for item in rows:
            shards_of[item].append(number)
    held: dict[int, Floats] = {}
    for item, vector in vectors:
        if item in held or not users[item]:
            continue
        held[item] = vector
        for number in shards_of[item]:
            lacking[number].discard(item)
            if not lacking[number]:
                write_shard(shard_path(folder, kind, number), np.stack([held[k] for k in wanted[number]]))  # (m, d)
                written(len(wanted[number]))
                for done in set(wanted[number]):
                    users[done] -= 1
                    if not users[done]:
                        del held[done]


def _known(folder: Path, kind: VectorKind, spans: Sequence[Sequence[int]], needed: set[int]) -> dict[int, Floats]:
    """Needed vectors (d,) that finished shards hold."""
    known: dict[int, Floats] = {}
    for number, items in enumerate(spans):
        path = shard_path(folder, kind, number)
        if path.exists() and not needed.isdisjoint(items):
            shard = read_shard(path)  # (m, d)
            known.update((item, np.array(shard[k])) for k, item in enumerate(items) if item in needed)
    return known
