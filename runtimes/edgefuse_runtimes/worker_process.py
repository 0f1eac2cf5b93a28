"""The parent's end of a worker: a child process, two pipes, a time limit, and what became of it."""

from __future__ import annotations

import fcntl
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from edgefuse_runtimes import errors
from edgefuse_runtimes.errors import EdgefuseError, EngineInterrupted, EngineUnavailable
from edgefuse_runtimes.frames import Array, frame_bytes, parse_frame, write_frame

PIECE = 1 << 20
PIPE_BYTES = 1 << 20
"""As much as the kernel lets everyone have: a picture goes over in one piece, with no turns to take."""
STDERR_BYTES = 4096
"""How much of the end of the child's stderr is kept."""
CLOSING_SECONDS = 2.0


class EngineDied(EngineUnavailable):
    """A worker was ended by a signal of its own making, such as an illegal instruction or an abort."""

    signal = ""
    """Its name, "SIGILL"."""


FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""No engine dies of these by itself; the kernel sends the first when memory runs out."""


class WorkerProcess:
    """The parent's end: a process, a pipe to it, a pipe from it, and its stderr."""

    def __init__(self, name: str, timeout: float, lifetime: float = math.inf) -> None:
        self._name = name
        self._timeout = timeout
        self._end = time.monotonic() + lifetime
        self._stderr = b""
        self._failure = ""
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            requests, self._to, self._from, replies = pipes
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "edgefuse_runtimes.worker", str(requests), str(replies)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(requests, replies),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_search_path())},
                start_new_session=True,  # Ctrl-C is for the parent, which then closes the child
            )
        except BaseException as error:
            for end in pipes:
                os.close(end)
            if isinstance(error, OSError):
                raise EngineInterrupted(f"No process can be started for {name}: {error.strerror}.") from error
            raise
        os.close(requests)
        os.close(replies)
        assert self.process.stderr is not None
        self._err = self.process.stderr.fileno()
        for pipe in (self._to, self._from, self._err):
            os.set_blocking(pipe, False)
        for pipe in (self._to, self._from):
            with suppress(OSError):  # a user who has many large pipes already gets none more
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def ask(self, header: dict[str, Any], arrays: Sequence[Array]) -> tuple[dict[str, Any], list[Array]]:
        """Send a request, wait for its answer; what the child refused is raised here."""
        if self._failure:
            raise EngineUnavailable(self._failure)
        try:
            reply, answer = self._exchange(write_frame(header, arrays))
        except EngineUnavailable:
            raise
        except BaseException:
            self.failed("was interrupted")  # its late answer must never be taken for the next one
            raise
        if "error" in reply:
            kind = getattr(errors, str(reply["error"]), EngineUnavailable)
            raise cast(type[EdgefuseError], kind)(str(reply.get("message")))
        return reply, answer

    def failed(self, what: str, kind: type[EngineUnavailable] = EngineUnavailable) -> EngineUnavailable:
        """End the child; the error that says what it did and what it last wrote."""
        self._drain()
        self.process.kill()
        self.process.wait()
        last = self._stderr.decode("utf-8", "replace").strip().splitlines()
        said = f' ("{last[-1].strip()[:200]}")' if last else ""
        self._failure = f"The engine process {self._name} {what}{said}."
        return kind(self._failure)

    def close(self) -> None:
        """Close the pipes, on which the child ends by itself; kill it if it does not."""
        self._failure = self._failure or f"The engine process {self._name} is closed."
        for pipe in (self._to, self._from):
            if pipe >= 0:
                os.close(pipe)
        self._to = self._from = -1
        try:
            self.process.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _exchange(self, request: bytes) -> tuple[dict[str, Any], list[Array]]:
        """Write and read at once, so that neither side can wait for the other for ever."""
        deadline = min(time.monotonic() + self._timeout, self._end)
        unsent = memoryview(request)
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._to, selectors.EVENT_WRITE)
            selector.register(self._from, selectors.EVENT_READ)
            selector.register(self._err, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if key.fd == self._err and not self._drain():
                        selector.unregister(self._err)
                    elif key.fd == self._to:
                        unsent = self._send(unsent)
                        if not unsent:
                            selector.unregister(self._to)
                    elif key.fd == self._from and self._receive(received):
                        return parse_frame(received)
        raise self.failed(f"gave no answer within {self._timeout:g} s", EngineInterrupted)

    def _send(self, unsent: memoryview) -> memoryview:
        try:
            return unsent[os.write(self._to, unsent[:PIECE]) :]
        except BrokenPipeError:
            raise self._died() from None

    def _receive(self, received: bytearray) -> bool:
        """Add what has come to `received`; True once that is a whole frame."""
        piece = os.read(self._from, PIECE)
        if not piece:
            raise self._died()
        received += piece
        try:
            missing = frame_bytes(received) - len(received)
        except ValueError:
            missing = -1
        if missing < 0:
            raise self.failed("answered with something else than was asked for")
        return missing == 0

    def _drain(self) -> bool:
        """Take what the child wrote to stderr; False once it can write no more."""
        try:
            while piece := os.read(self._err, PIECE):
                self._stderr = (self._stderr + piece)[-STDERR_BYTES:]
        except BlockingIOError:
            return True
        return False

    def _died(self) -> EngineUnavailable:
        """The error for a child that ended by itself, naming the signal."""
        try:
            code = self.process.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            return self.failed("stopped talking")
        if code >= 0:
            return self.failed(f"ended with exit code {code}")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        error = self.failed(f"was ended by signal {name}", EngineInterrupted if -code in FROM_OUTSIDE else EngineDied)
        if isinstance(error, EngineDied):
            error.signal = name
        return error


def _search_path() -> list[str]:
    """This process's module search path, which the child shall share; never the current folder unnamed."""
    here = str(Path(__file__).resolve().parents[1])
    return [here, *(folder for folder in sys.path if folder and folder != here)]
