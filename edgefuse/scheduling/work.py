"""What a worker does: a portion of samples in, vectors out, with an encoder that stays open between portions."""

from __future__ import annotations

import asyncio
import json
import platform
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgefuse import __version__
from edgefuse.extraction.encoding import Encoded, Portion, Tokens, encode_portions
from edgefuse.extras import importable
from edgefuse.kits.golden import probe_sample
from edgefuse.scheduling.store import File, find, receive
from edgefuse_runtimes.contract import Encoder
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.errors import BadInput, EdgefuseError
from edgefuse_runtimes.machine import forget_peak_memory, return_freed_memory
from edgefuse_runtimes.spec import EncoderSpec


class FilesMissing(EdgefuseError):
    """A worker has nowhere the files of the encoder."""

    def __init__(self, worker: str) -> None:
        """`worker` is its address, at which the files can be sent to it."""
        super().__init__(worker)
        self.worker = worker


class SharedPicture(NamedTuple):
    """A picture that workers read themselves."""

    path: str
    bytes: int
    """Its size here, so that another file of this name is noticed."""


Sent = Sequence[Tokens] | Sequence[bytes] | Sequence[SharedPicture]
"""Samples as they go over: tokenised notes, pictures' files, or where these lie."""


@dataclass(frozen=True)
class Work:
    """Which encoder, and how it is run: the same for many portions."""

    spec: str
    """`EncoderSpec.to_json` as text, so that this can be a key."""
    files: tuple[File, ...]
    engine: str
    threads: int | None
    """None: the worker's physical cores."""
    shared: str | None
    """The folder that workers share; None: what their environment names."""
    views: int | None = None
    """Of each picture, to be encoded one by one; None: pictures are encoded as they are."""
    version: str = __version__


class Reply(NamedTuple):
    """A portion's vectors, and what is to be said about the engine that gave them."""

    encoded: Encoded
    remarks: tuple[str, ...]


class _Opened(NamedTuple):
    work: Work
    encoder: Encoder
    remarks: list[str]


_opened: _Opened | None = None
_one_at_a_time = threading.Lock()
"""A worker with several threads still runs one portion at a time: the encoder has the threads."""


def encode_rows(work: Work, samples: Sent) -> Reply:
    """The vectors (m, d) of some samples, or of the views of each (m * views, d).

    They are the same on every machine with the same engine and threads.

    Raises:
        FilesMissing: the encoder's files are not here.
        BadInput: a sample or the encoder cannot be used, or this worker has another edgefuse.
    """
    if work.version != __version__:
        raise BadInput(
            f"The worker on {platform.node()} has edgefuse {__version__}, not {work.version}; "
            "install the same version on all machines."
        )
    with _one_at_a_time:
        opened = _open(work)
        (encoded,) = encode_portions(opened.encoder, [_unpacked(samples)], work.views)
        return Reply(encoded, tuple(opened.remarks))


async def has_files(files: Sequence[File], shared: str | None) -> bool:
    """Whether this worker finds the encoder's files; it goes on answering the scheduler while it hashes them."""
    return await asyncio.to_thread(find, files, shared) is not None


async def take_piece(files: Sequence[File], file: File, token: str, offset: int, piece: bytes) -> None:
    """Take one piece of a file that is sent to this worker, see `store.receive`."""
    await asyncio.to_thread(receive, files, file, token, offset, piece)


def _open(work: Work) -> _Opened:
    """The encoder of this process, opened or the one that is open; another one is closed first."""
    global _opened
    if _opened is not None and _opened.work == work:
        return _opened
    if _opened is not None:
        _opened.encoder.close()
        _opened = None
        return_freed_memory()
    folder = find(work.files, work.shared)
    if folder is None:
        raise FilesMissing(importable("distributed", "dask").get_worker().address)
    spec = EncoderSpec.from_json(json.loads(work.spec))
    remarks: list[str] = []
    forget_peak_memory()
    encoder = open_encoder(
        spec,
        folder,
        engine=work.engine,
        threads=work.threads,
        side_by_side=True,
        each_view=work.views is not None,
        probe_sample=probe_sample(folder.joinpath, spec),
        notify=lambda sentence: remarks.append(f"{platform.node()}: {sentence}"),
    )
    _opened = _Opened(work, encoder, remarks)
    return _opened


def _unpacked(samples: Sent) -> Portion:
    return [_here(sample) if isinstance(sample, SharedPicture) else sample for sample in samples]  # type: ignore[return-value]  # one kind


def _here(picture: SharedPicture) -> Path:
    path = Path(picture.path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadInput(
            f"The worker on {platform.node()} cannot read {path} ({error.strerror}); "
            "correct --shared-root, or leave it out to have pictures sent."
        ) from error
    if size != picture.bytes:
        raise BadInput(f"{path} on {platform.node()} is another file than here ({size} bytes); correct --shared-root.")
    return path
