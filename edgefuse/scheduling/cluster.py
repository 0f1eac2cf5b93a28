"""The client's end: a Dask scheduler and its workers, tasks on their way, and what becomes of those that fail."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefuse.encoders import Encoders
from edgefuse.encoding import Encoded, Portion
from edgefuse.extraction import Settings
from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse.scheduling.store import File, files_of, new_token, receive
from edgefuse.scheduling.work import FilesMissing, Reply, Sent, SharedPicture, Work, encode_rows, has_files
from edgefuse.true_colour import opened
from edgefuse_runtimes.errors import BadInput, EdgefuseError, EngineUnavailable
from edgefuse_runtimes.image import Picture
from edgefuse_runtimes.machine import physical_cores
from edgefuse_runtimes.spec import EncoderSpec

PIECE = 16 << 20
"""Bytes of a file that are sent at a time; they pass the scheduler."""
SENT_BYTES = 4 << 20
"""Pictures that are sent in one task have no more, unless one has: tasks on their way lie in the scheduler's memory."""
AHEAD = 2
"""Tasks on their way for each worker: one that runs, one that waits for it."""
PATIENCE = 600.0
"""Seconds without any worker after which the table is left as it is, to be gone on with."""
ATTEMPTS = 3
"""Times that a task may be lost with its worker before it is blamed itself."""
LOOK_SECONDS = 2.0
HERE = (Path("/"), "/")
"""The root of pictures whose paths are the same for workers."""
EXTRA = "dask"


@dataclass(frozen=True)
class Cluster:
    """A connection to a scheduler."""

    client: Any
    """distributed.Client."""
    address: str
    threads: int | None
    """Of the encoders where the user says nothing; None: each worker's physical cores."""
    shared_encoders: str | None = None
    """Folder of encoders as workers see it."""
    shared_root: tuple[Path, str] | None = None
    """The data set's root here, and as workers see it; None: pictures are sent."""
    progress: Progress = silent
    own: bool = False
    """Whether the workers are this machine's, and see its folders."""
    said: set[str] = field(default_factory=set)
    """Remarks that were told already: every worker has the same ones to make."""

    def encode(
        self, encoders: Encoders, spec: EncoderSpec, settings: Settings, portions: Sequence[Portion]
    ) -> Iterator[tuple[int, int, Encoded]]:
        """Vectors of the portions, as `filling.Run` says, in the order in which workers finish.

        Raises:
            BadInput: a sample or the encoder cannot be used, or a worker has another edgefuse.
            EngineUnavailable: the scheduler or all workers are gone, or a task was lost too often.
        """
        files = files_of(encoders, spec)
        threads = settings.threads or self.threads
        shared = self.shared_encoders or (str(encoders.folder.resolve()) if self.own else None)
        work = Work(json.dumps(spec.to_json()), files, settings.engine, threads, shared)
        self.supply(encoders, work)
        waiting = deque(self._tasks(portions))
        running: dict[Any, _Task] = {}
        alone_since: float | None = None
        distributed = importable("distributed", EXTRA)
        try:
            while waiting or running:
                workers = self._workers()
                alone_since = None if workers else alone_since or time.monotonic()
                if alone_since is not None and time.monotonic() - alone_since > PATIENCE:
                    raise EngineUnavailable(
                        f"No worker is left at {self.address}; start some, and run the same command again to go on."
                    )
                while waiting and len(running) < AHEAD * max(1, len(workers)):
                    task = waiting.popleft()
                    running[self.client.submit(encode_rows, work, self._packed(task.samples), pure=False)] = task
                for future in self._finished(distributed, list(running)):
                    task = running.pop(future)
                    reply = self._reply(distributed, future, task, work, encoders)
                    if reply is None:
                        waiting.appendleft(task)
                        continue
                    for sentence in reply.remarks:
                        if sentence not in self.said:
                            self.said.add(sentence)
                            settings.notify(sentence)
                    yield task.portion, task.offset, reply.encoded
        except EdgefuseError:
            raise
        except Exception as error:
            if self.client.status != "running":
                raise EngineUnavailable(
                    f"The scheduler at {self.address} is gone; start it again, and run the same command to go on."
                ) from error
            raise
        finally:
            with contextlib.suppress(Exception):  # where the scheduler is gone, so are they
                self.client.cancel(list(running))

    def supply(self, encoders: Encoders, work: Work) -> None:
        """Send the encoder's files to every machine whose workers do not find them, to one worker of each."""
        asked: set[str] = set()
        while True:
            found = self.client.run(has_files, work.files, work.shared, on_error="ignore")
            lacking = [worker for worker, has in found.items() if not has]
            if not lacking:
                return
            if asked & {*lacking}:
                raise EngineUnavailable(
                    f"The worker {lacking[0]} does not keep files that are sent; see its cache folder."
                )
            asked.add(lacking[0])
            self._send(lacking[0], encoders, work.files)

    def _send(self, worker: str, encoders: Encoders, files: Sequence[File]) -> None:
        token = new_token()

        def pieces() -> Iterator[bytes]:
            for file in files:
                with encoders.file(file.name).open("rb") as source:
                    for offset in range(0, max(1, file.bytes), PIECE):
                        piece = source.read(PIECE)
                        self.client.run(receive, files, file, token, offset, piece, workers=[worker])
                        yield piece

        label = f"sending {files[0].name} to {worker.rpartition('/')[2]}"
        try:
            for _ in self.progress(label, pieces(), sum(file.bytes for file in files), size=len):
                pass
        except EdgefuseError:
            raise
        except Exception:
            if worker in self._workers():
                raise

    def _tasks(self, portions: Sequence[Portion]) -> Iterator[_Task]:
        """Notes stay together; pictures, each of which is encoded alone, are parted where they are sent."""
        for number, portion in enumerate(portions):
            if self.shared_root or not _are_pictures(portion):
                yield _Task(number, 0, portion)
                continue
            offset, size = 0, 0
            for k, bytes_here in enumerate([Path(picture).stat().st_size for picture in portion]):  # type: ignore[arg-type]
                if k > offset and size + bytes_here > SENT_BYTES:
                    yield _Task(number, offset, portion[offset:k])
                    offset, size = k, 0
                size += bytes_here
            yield _Task(number, offset, portion[offset:])

    def _packed(self, samples: Portion) -> Sent:
        """Samples as they are sent."""
        if not _are_pictures(samples):
            return samples  # type: ignore[return-value]  # token ids
        paths = [Path(picture) for picture in samples]  # type: ignore[arg-type]
        if self.shared_root is None:
            return [picture_bytes(path) for path in paths]
        root, there = self.shared_root
        try:
            inside = [path.resolve().relative_to(root.resolve()) for path in paths]
        except ValueError as error:
            raise BadInput(f"A picture is not below {root} ({error}); leave out --shared-root.") from error
        return [SharedPicture(str(Path(there) / k), path.stat().st_size) for k, path in zip(inside, paths, strict=True)]

    def _workers(self) -> list[str]:
        return list(self.client.nthreads())

    def _finished(self, distributed: Any, futures: list[Any]) -> list[Any]:
        """Those that ended in whatever way; [] after a while in which none did."""
        if not futures:
            time.sleep(LOOK_SECONDS)
            return []
        try:
            return list(distributed.wait(futures, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []

    def _reply(self, distributed: Any, future: Any, task: _Task, work: Work, encoders: Encoders) -> Reply | None:
        """What a task gave; None: it is to be done again."""
        if future.status == "finished":
            reply = future.result()
            assert isinstance(reply, Reply)
            return reply
        if future.status in ("cancelled", "lost"):
            task.attempts += 1
            error: BaseException | None = None
        else:
            error = future.exception()
        if isinstance(error, FilesMissing):
            self.supply(encoders, work)
            return None
        if isinstance(error, EdgefuseError):
            raise error
        if isinstance(error, ModuleNotFoundError):
            raise BadInput(
                f"A worker at {self.address} has no {error.name}; install the same edgefuse on all machines."
            ) from error
        if isinstance(error, distributed.KilledWorker) or task.attempts >= ATTEMPTS:
            raise EngineUnavailable(
                f"Workers at {self.address} died {ATTEMPTS} times or more over the same samples; look at their logs, "
                "give them more memory, and run the same command again to go on."
            ) from error
        if error is not None:
            raise EngineUnavailable(f"A worker at {self.address} failed: {type(error).__name__}: {error}") from error
        return None


@dataclass
class _Task:
    """Part of a portion."""

    portion: int
    offset: int
    """Of its first sample in the portion."""
    samples: Portion
    attempts: int = 0


def _are_pictures(samples: Portion) -> bool:
    return isinstance(samples[0], str | Path)


def picture_bytes(path: Path) -> bytes:
    """A picture's file as workers can decode it; one of many bands becomes its true colours, as PNG."""
    picture: Picture = opened(path)
    if picture is path:
        return path.read_bytes()
    data = io.BytesIO()
    picture.save(data, format="PNG", compress_level=1)  # type: ignore[union-attr]
    return data.getvalue()


@contextmanager
def open_cluster(
    address: str,
    *,
    shared_encoders: str | None = None,
    shared_root: tuple[Path, str] | None = None,
    progress: Progress = silent,
) -> Iterator[Cluster]:
    """Connect to the scheduler at `address`, or start one with N workers here for "local:N".

    Raises:
        BadInput: distributed is missing, the address is none, or nothing answers there.
    """
    distributed = importable("distributed", EXTRA)
    kind, _, rest = address.partition(":")
    if kind == "local":
        if not rest.isdecimal() or not int(rest):
            raise BadInput(f"{address!r} names no number of workers; write local:2, for example.")
        threads = max(1, physical_cores() // int(rest))
        with (
            distributed.LocalCluster(
                n_workers=int(rest),
                threads_per_worker=1,
                memory_limit=0,  # the engines' own memory is not the workers'
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            ) as local,
            distributed.Client(local) as client,
        ):
            yield Cluster(client, address, threads, shared_encoders, HERE, progress, own=True)
        return
    if kind not in ("tcp", "tls") or not rest.startswith("//"):
        raise BadInput(f"{address!r} is no scheduler; write local:N, or tcp://HOST:PORT as 'dask scheduler' says it.")
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise BadInput(f"No scheduler answers at {address} ({error}); start one with 'dask scheduler'.") from error
    with client:
        yield Cluster(client, address, None, shared_encoders, shared_root, progress)
