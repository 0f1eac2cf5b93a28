"""The client's end: a Dask scheduler and its workers, tasks on their way, and what becomes of those that fail."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefuse.extraction.encoding import Encoded, Portion
from edgefuse.extraction.running import Settings
from edgefuse.extras import importable
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import Progress, silent
from edgefuse.scheduling.store import File, files_of, new_token
from edgefuse.scheduling.tasks import SharedRoot, Task, late, packed, tasks_of
from edgefuse.scheduling.work import FilesMissing, Reply, Work, encode_rows, has_files, take_piece
from edgefuse_runtimes.errors import BadInput, EdgefuseError, EngineUnavailable
from edgefuse_runtimes.machine import usable_cores
from edgefuse_runtimes.spec import EncoderSpec

PIECE = 16 << 20
"""Bytes of a file that are sent at a time; they pass the scheduler."""
AHEAD = 2
"""Tasks on their way for each worker: one that runs, one that waits for it."""
PATIENCE = 600.0
"""Seconds without any worker after which the table is left as it is, to be gone on with."""
ATTEMPTS = 3
"""Times that a task may be lost before it is blamed itself."""
LOOK_SECONDS = 2.0
FETCH_SECONDS = 60.0
"""That the vectors of a finished task, a few megabytes at the most, may be on their way."""
EXTRA = "dask"
HERE = (Path("/"), "/")
"""The root of pictures whose paths are the same for workers."""

Running = dict[Any, Task]
"""Tasks on their way, by their futures; a late task has two."""


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
    shared_root: SharedRoot | None = None
    """None: pictures are sent."""
    progress: Progress = silent
    own: bool = False
    """Whether the workers are this machine's, and see its folders."""
    said: set[str] = field(default_factory=set)
    """Remarks that were told already: every worker has the same ones to make."""

    def encode(
        self,
        encoders: Encoders,
        spec: EncoderSpec,
        settings: Settings,
        views: int | None,
        portions: Sequence[Portion],
    ) -> Iterator[tuple[int, int, Encoded]]:
        """Vectors of the portions, as `filling.Run` says, in the order in which workers finish.

        Raises:
            BadInput: a sample or the encoder cannot be used, or a worker has another edgefuse.
            EngineUnavailable: the scheduler or all workers are gone, or a task was lost too often.
        """
        shared = self.shared_encoders or (str(encoders.folder.resolve()) if self.own else None)
        threads = settings.threads or self.threads
        files = files_of(encoders, spec)
        work = Work(json.dumps(spec.to_json()), files, settings.engine, threads, shared, views)
        waiting = deque(tasks_of(portions, send_pictures=self.shared_root is None))
        running: Running = {}
        supplied: set[str] = set()
        seconds: list[float] = []
        seen = time.monotonic()
        try:
            while waiting or running:
                workers = self.client.nthreads()
                seen = time.monotonic() if workers else seen
                if time.monotonic() - seen > PATIENCE:
                    raise EngineUnavailable(
                        f"No worker is left at {self.address}; start some, and run the same command again to go on."
                    )
                while waiting and len(running) < AHEAD * max(1, len(workers)):
                    self._submit(work, waiting.popleft(), running)
                if not waiting:
                    self._double(work, late(running, seconds), running)
                for future in self._finished(list(running)):
                    if future not in running:
                        continue  # the other future of its task came first
                    task = running.pop(future)
                    twins = [other for other, its in running.items() if its is task]
                    try:
                        reply = self._reply(future, task)
                    except FilesMissing as missing:
                        self._supply(missing.worker, encoders, work, supplied)
                        reply = None
                    if reply is None:
                        waiting.extendleft([] if twins else [task])
                        continue
                    self._drop(twins, running)
                    seconds.append(time.monotonic() - task.sent)
                    for sentence in {*reply.remarks} - self.said:
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
                self._drop(list(running), running)

    def _submit(self, work: Work, task: Task, running: Running, workers: Sequence[str] | None = None) -> None:
        task.sent = time.monotonic()
        samples = packed(task.samples, self.shared_root)
        running[self.client.submit(encode_rows, work, samples, pure=False, workers=workers)] = task

    def _double(self, work: Work, tasks: Sequence[Task], running: Running) -> None:
        """Give late tasks to workers that have nothing to do too, one each."""
        if tasks:
            idle = [worker for worker, keys in self.client.processing().items() if not keys]
            for task, worker in zip(tasks, idle, strict=False):
                self._submit(work, task, running, [worker])

    def _drop(self, futures: Sequence[Any], running: Running) -> None:
        self.client.cancel(futures)
        for future in futures:
            del running[future]

    def _finished(self, futures: Sequence[Any]) -> list[Any]:
        """Those that ended in whatever way; [] after a while in which none did."""
        if not futures:
            time.sleep(LOOK_SECONDS)
            return []
        wait = importable("distributed", EXTRA).wait
        try:
            return list(wait(futures, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []

    def _reply(self, future: Any, task: Task) -> Reply | None:
        """What a task gave; None: it is to be done again."""
        if future.status == "finished":
            with contextlib.suppress(TimeoutError):  # else its worker hangs, vectors in hand
                reply = future.result(timeout=FETCH_SECONDS)
                assert isinstance(reply, Reply)
                return reply
            return None
        error = None if future.status in ("cancelled", "lost") else future.exception()
        if isinstance(error, EdgefuseError):
            raise error
        if isinstance(error, ModuleNotFoundError):
            raise BadInput(
                f"A worker at {self.address} has no {error.name}; install the same edgefuse on all machines."
            ) from error
        task.lost += error is None
        if isinstance(error, importable("distributed", EXTRA).KilledWorker) or task.lost >= ATTEMPTS:
            raise EngineUnavailable(
                f"Workers at {self.address} died {ATTEMPTS} times or more over the same samples; look at their logs, "
                "give them more memory, and run the same command again to go on."
            ) from error
        if error is not None:
            raise EngineUnavailable(f"A worker at {self.address} failed: {type(error).__name__}: {error}") from error
        return None

    def _supply(self, worker: str, encoders: Encoders, work: Work, supplied: set[str]) -> None:
        """Send the encoder's files to a worker, unless another one has put them where it finds them meanwhile."""
        try:
            if self.client.run(has_files, work.files, work.shared, workers=[worker])[worker]:
                return
            if worker in supplied:
                raise EngineUnavailable(f"The worker {worker} does not keep files that are sent; see its cache folder.")
            supplied.add(worker)
            pieces = self._send(worker, encoders, work.files)
            label, size = f"sending to {worker.rpartition('/')[2]}", sum(file.bytes for file in work.files)
            for _ in self.progress(label, pieces, size, size=len):
                pass
        except EdgefuseError:
            raise
        except Exception:
            if worker in self.client.nthreads():
                raise

    def _send(self, worker: str, encoders: Encoders, files: Sequence[File]) -> Iterator[bytes]:
        """Send files to a worker; yields each piece when it is there."""
        token = new_token()
        for file in files:
            with encoders.file(file.name).open("rb") as source:
                for offset in range(0, max(1, file.bytes), PIECE):
                    piece = source.read(PIECE)
                    self.client.run(take_piece, files, file, token, offset, piece, workers=[worker])
                    yield piece


@contextmanager
def open_cluster(
    address: str,
    *,
    shared_encoders: str | None = None,
    shared_root: SharedRoot | None = None,
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
        threads = max(1, usable_cores() // int(rest))
        with (
            distributed.LocalCluster(
                n_workers=int(rest),
                threads_per_worker=1,
                memory_limit=0,  # the engines' own memory is not the workers'
                dashboard_address=":0",  # any port: several may run at once
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
