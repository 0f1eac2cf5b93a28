"""An engine in a child process: what it does there, dying included, costs the caller a sentence and no more.

The child is a fresh interpreter, not a fork and not multiprocessing's spawn, which would run the user's main
module again. They talk in frames (`frames.py`) over two pipes of their own; stdout and stderr stay free for
whatever a native library prints.
"""

from __future__ import annotations

import math
import os
import resource
import select
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes import errors
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch, Encoder, Memory
from edgefuse_runtimes.errors import EdgefuseError, EngineInterrupted, EngineUnavailable
from edgefuse_runtimes.frames import Array, read_frame, write_frame
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.worker_process import WorkerProcess

SECONDS = 60.0
BYTES_PER_SECOND = 10e6
SAMPLES_EACH = 2
"""That a thread takes of a request, side by side: with one, all would wait for the slowest after each."""


def time_limit(spec: EncoderSpec) -> float:
    """Seconds that opening a file, or one sample, may last: a minute, and what a slow card needs to read the file."""
    return SECONDS + spec.total_bytes / BYTES_PER_SECOND


class WorkerEncoder(Closing):
    """Any `Encoder` class, run in a child process and used like one in this process.

    Samples go over one at a time, so that `timeout` is the limit of one sample; side by side, a few for each thread.
    After a death or a time-out every further call raises EngineUnavailable.
    """

    def __init__(
        self,
        engine: str,
        path: Path,
        spec: EncoderSpec,
        *,
        threads: int,
        memory: Memory,
        timeout: float,
        lifetime: float = math.inf,
        name: str = "",
        side_by_side: bool = False,
    ) -> None:
        """Start the child and wait until its engine has opened `path`.

        Args:
            engine: "module:class" of the encoder, importable with this process's module search path.
            path: the encoder's file.
            spec: its description.
            threads: for the engine.
            memory: for the engine.
            timeout: seconds that opening, and each sample, may take.
            lifetime: seconds after which no answer is waited for any more.
            name: what sentences call the engine; its class where there is none.
            side_by_side: each thread takes a sample of its own; only for an engine that can.

        Raises:
            BadInput: the engine refused the file.
            EngineUnavailable: the engine is not installed, died (the signal is named) or hung.
        """
        self.spec = spec
        self._lock = threading.Lock()
        each = SAMPLES_EACH if side_by_side else 1
        self._portion = each * threads if side_by_side else 1
        self._child = WorkerProcess(f"{name or engine.partition(':')[2]} on {path.name}", each * timeout, lifetime)
        settings: dict[str, Any] = {"threads": threads, "memory": memory}
        settings |= {"side_by_side": True} if side_by_side else {}
        described = {"engine": engine, "path": str(path), "spec": spec.to_json(), "settings": settings}
        try:
            header, _ = self._child.ask({"call": "open", **described}, [])
        except BaseException:
            self._child.close()
            raise
        self._info: dict[str, Any] = header["info"]

    @property
    def pid(self) -> int:
        """The child's process id, for reading its memory with `machine.process_memory`."""
        return self._child.process.pid

    def encode(self, batch: Batch) -> NDArray[np.float32]:
        """Vectors (n, d) of a batch.

        Raises:
            BadInput: the engine refused a sample.
            EngineUnavailable: the child died, hung or answered with anything but a vector of numbers.
        """
        vectors = np.empty((len(batch), self.spec.width), np.float32)  # (n, d)
        dtype = np.float32 if self.spec.modality == "image" else np.int32
        with self._lock:
            for first in range(0, len(batch), self._portion):
                portion = [np.asarray(sample, dtype) for sample in batch[first : first + self._portion]]
                _, arrays = self._child.ask({"call": "encode"}, portion)
                wanted = (len(portion), self.spec.width)
                if len(arrays) != 1 or arrays[0].shape != wanted or arrays[0].dtype != np.float32:
                    raise self._child.failed("answered with something that is no vector")
                vectors[first : first + len(portion)] = arrays[0]
        return vectors

    def info(self) -> dict[str, Any]:
        """What the engine in the child says of itself, and the child's process id."""
        return {**self._info, "pid": self.pid}

    def close(self) -> None:
        """End the child, even inside a call; its memory goes back to the system with it."""
        if not self._lock.acquire(blocking=False):
            self._child.process.kill()  # the call under way in another thread ends with an error
            self._lock.acquire()
        try:
            self._child.close()
        finally:
            self._lock.release()


def _end_with_parent(requests: int) -> None:
    """End this process as soon as nobody can ask it anything any more, even inside a long native call."""
    poll = select.poll()
    poll.register(requests, 0)  # hang-up is always reported
    poll.poll()
    os._exit(0)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until the parent closes its pipe; any error but an EdgefuseError ends the process."""
    encoder: Encoder | None = None
    while (frame := read_frame(requests)) is not None:
        header, arrays = frame
        reply: dict[str, Any] = {}
        answer: list[Array] = []
        try:
            if header["call"] == "open":
                encoder = _open(header)
                reply["info"] = encoder.info()
            else:
                assert encoder is not None
                answer = [_vectors(encoder, arrays)]  # (m, d)
        except EdgefuseError as error:
            known = type(error) if hasattr(errors, type(error).__name__) else EngineUnavailable
            reply = {"error": known.__name__, "message": str(error)}
        except MemoryError:
            reply = {"error": EngineInterrupted.__name__, "message": "The engine's process is out of memory."}
        replies.write(write_frame(reply, answer))
        replies.flush()


def _open(header: dict[str, Any]) -> Encoder:
    module, _, name = header["engine"].partition(":")
    make = getattr(import_module(module), name)
    spec = EncoderSpec.from_json(header["spec"])
    return cast("Encoder", make(Path(header["path"]), spec, **header["settings"]))


def _vectors(encoder: Encoder, samples: Sequence[Array]) -> NDArray[np.float32]:
    batch = np.stack(samples) if encoder.spec.modality == "image" else samples
    vectors = encoder.encode(batch)  # (m, d)
    if not np.isfinite(vectors).all():
        raise EngineUnavailable(f"{encoder.info()['engine']} turns a sample into NaN with {encoder.spec.file}.")
    return np.ascontiguousarray(vectors, np.float32)


def main() -> None:
    """The child: requests come from one pipe, answers go to another."""
    from_parent, to_parent = map(int, sys.argv[1:])
    # A death is expected here: no copy of gigabytes of weights shall be left on the disk by it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    threading.Thread(target=_end_with_parent, args=(from_parent,), daemon=True).start()
    with os.fdopen(from_parent, "rb") as requests, os.fdopen(to_parent, "wb") as replies:
        try:
            _serve(requests, replies)
        except Exception:  # noqa: BLE001 - the process ends with it
            # Told before the pipes close: the thread that watches them ends this process at once.
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)


if __name__ == "__main__":
    main()
