from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgefuse_runtimes.errors import BadInput, DoesNotFit, EngineInterrupted, EngineUnavailable
from edgefuse_runtimes.machine import process_memory
from edgefuse_runtimes.spec import EncoderSpec, Preprocess, Tokenization
from edgefuse_runtimes.worker import WorkerEncoder

pytestmark = pytest.mark.field

ENGINES = '''
import ctypes, os, signal, sys, time
import numpy as np
from edgefuse_runtimes.errors import BadInput, DoesNotFit, EngineInterrupted, EngineUnavailable


class Summing:
    """Vectors of a sample's sum and length; a first value below zero makes it misbehave."""

    def __init__(self, path, spec, *, threads, memory):
        self.spec, self.settings = spec, {"path": str(path), "threads": threads, "memory": memory}
        print("a library greets on stdout", flush=True)

    def encode(self, batch):
        (sample,) = batch
        match int(sample.flat[0]):
            case -1: os.kill(os.getpid(), signal.SIGILL)
            case -2: ctypes.string_at(0)
            case -3: os.abort()
            case -4: time.sleep(60)
            case -5: os.write(int(sys.argv[2]), b"garbage where answers are due")
            case -6: raise BadInput("This sample is bad.")
            case -7: raise DoesNotFit("This sample is too large.")
            case -8: raise RuntimeError("an engine's own trouble")
            case -9: return np.full((1, 2), np.nan, np.float32)
            case -10: return np.zeros((1, 3), np.float32)
            case -11: sys.exit(7)
            case -12: os.write(2, b"noise " * 100_000)
            case -13: os.close(2)
            case -14: print("last words", file=sys.stderr, flush=True); os.abort()
        return np.array([[sample.sum(), sample.size]], np.float32)

    def info(self):
        return {"engine": "summing", **self.settings}


class Refusing:
    def __init__(self, path, spec, *, threads, memory):
        raise BadInput(f"{path} is no file for this engine.")


class Dying:
    def __init__(self, path, spec, *, threads, memory):
        os.kill(os.getpid(), signal.SIGILL)


class Hanging:
    def __init__(self, path, spec, *, threads, memory):
        time.sleep(60)
'''

PARENT = """
import numpy as np
from pathlib import Path
from edgefuse_runtimes.spec import EncoderSpec, Tokenization
from edgefuse_runtimes.worker import WorkerEncoder

spec = EncoderSpec("text", "gguf", "x", "", 0, "", 2, "none", False, tokenization=Tokenization(8, True, True))
engine = "worker_test_engines:Summing"
worker = WorkerEncoder(engine, Path("x"), spec, threads=1, memory="low", timeout=60)
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a test engine in a worker; all are closed at the end."""
    (tmp_path / "worker_test_engines.py").write_text(ENGINES)
    monkeypatch.syspath_prepend(tmp_path)
    started = []

    def start(name="Summing", modality="text", timeout=30.0):
        image = modality == "image"
        spec = EncoderSpec(
            modality, "gguf", "encoder.bin", "0" * 64, 0, "fp32", 2, "none", False,
            preprocess=Preprocess("squash", 4, "bicubic", 4, (0.5,) * 3, (0.5,) * 3) if image else None,
            tokenization=None if image else Tokenization(8, True, True),
        )  # fmt: skip
        engine = f"worker_test_engines:{name}"
        worker = WorkerEncoder(engine, Path("some/encoder.bin"), spec, threads=3, memory="low", timeout=timeout)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.close()


def ids(*values):
    return np.array(values, np.int32)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_notes_and_pictures_go_there_and_vectors_come_back(start):
    assert start().encode([ids(1, 2, 3), ids(5)]).tolist() == [[6, 3], [5, 1]]
    pictures = np.arange(96, dtype=np.float32).reshape(2, 3, 4, 4)
    vectors = start(modality="image").encode(pictures)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[pictures[0].sum(), 48], [pictures[1].sum(), 48]]


def test_a_sample_larger_than_a_pipe_holds(start):
    picture = np.ones((1, 3, 600, 600), np.float32)
    assert start(modality="image").encode(picture).tolist() == [[picture.sum(), picture.size]]


def test_the_engine_gets_its_settings_and_tells_its_process(start):
    worker = start()
    assert worker.info() == {
        "engine": "summing", "path": "some/encoder.bin", "threads": 3, "memory": "low", "pid": worker.pid,
    }  # fmt: skip
    assert worker.pid != os.getpid()
    assert process_memory(worker.pid).anon_bytes > 0


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (-1, "signal SIGILL"),
        (-2, "signal SIGSEGV"),
        (-3, "signal SIGABRT"),
        (-5, "something else than was asked for"),
        (-8, r"exit code 1 \(\"RuntimeError: an engine's own trouble\"\)"),
        (-10, "no vector"),
        (-11, "exit code 7"),
        (-14, r"signal SIGABRT \(\"last words\"\)"),
    ],
)
def test_a_child_that_dies_or_talks_nonsense_is_an_engine_unavailable(start, value, problem):
    worker = start()
    with pytest.raises(EngineUnavailable, match=problem) as caught:
        worker.encode([ids(1), ids(value)])
    assert "Summing on encoder.bin" in str(caught.value)
    assert not running(worker.pid)
    with pytest.raises(EngineUnavailable, match=problem):
        worker.encode([ids(1)])


@pytest.mark.parametrize(
    ("value", "kind", "problem"),
    [
        (-6, BadInput, "This sample is bad."),
        (-7, DoesNotFit, "This sample is too large."),
        (-9, EngineUnavailable, "turns a sample into NaN"),
    ],
)
def test_what_the_engine_refuses_is_raised_here_and_it_lives_on(start, value, kind, problem):
    worker = start()
    with pytest.raises(kind, match=problem):
        worker.encode([ids(value)])
    assert worker.encode([ids(4)]).tolist() == [[4, 1]]


def test_a_death_leaves_no_copy_of_the_memory_on_the_disk(start):
    limits = Path(f"/proc/{start().pid}/limits").read_text().splitlines()
    (line,) = [line for line in limits if line.startswith("Max core file size")]
    assert line.split()[4] == "0"


@pytest.mark.parametrize("value", [-12, -13])
def test_noise_on_stderr_and_a_closed_stderr_do_no_harm(start, value):
    worker = start()
    assert worker.encode([ids(value)]).tolist() == [[value, 1]]
    assert worker.encode([ids(4)]).tolist() == [[4, 1]]


def test_a_hang_is_a_time_out_and_the_child_is_ended(start):
    worker = start()
    worker._child._timeout = 0.5  # only now: starting a child may take longer on a busy machine
    with pytest.raises(EngineInterrupted, match=r"no answer within 0.5 s") as caught:
        worker.encode([ids(-4)])
    assert isinstance(caught.value, EngineUnavailable)
    assert not running(worker.pid)


@pytest.mark.parametrize(
    ("name", "timeout", "kind", "problem"),
    [
        ("Refusing", 30, BadInput, "some/encoder.bin is no file for this engine"),
        ("Dying", 30, EngineUnavailable, "SIGILL"),
        ("Hanging", 2, EngineInterrupted, "no answer within 2 s"),
        ("Absent", 30, EngineUnavailable, "AttributeError.*Absent"),
    ],
)
def test_an_engine_that_does_not_open_is_named(start, name, timeout, kind, problem):
    with pytest.raises(kind, match=problem):
        start(name, timeout=timeout)


def test_an_interrupted_request_never_answers_the_next_one(start, monkeypatch):
    worker = start()
    with monkeypatch.context() as patch:
        patch.setattr(
            "edgefuse_runtimes.worker_process.parse_frame",
            lambda data: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        with pytest.raises(KeyboardInterrupt):
            worker.encode([ids(1)])
    with pytest.raises(EngineUnavailable, match="was interrupted"):
        worker.encode([ids(2)])


def test_threads_take_turns(start):
    worker = start()
    answers = {}
    threads = [
        threading.Thread(target=lambda n=n: answers.update({n: worker.encode([ids(n)] * 20).tolist()}))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: [[n, 1]] * 20 for n in range(4)}


def test_a_closed_worker_has_no_child_any_more(start):
    with start() as worker:
        assert running(worker.pid)
    assert not running(worker.pid)
    with pytest.raises(EngineUnavailable, match="is closed"):
        worker.encode([ids(1)])
    worker.close()


def test_closing_ends_a_call_of_another_thread(start):
    worker = start()
    caught = []

    def call():
        with pytest.raises(EngineUnavailable) as error:
            worker.encode([ids(-4)])
        caught.append(str(error.value))

    caller = threading.Thread(target=call)
    caller.start()
    assert wait_until(worker._lock.locked)
    worker.close()
    caller.join()
    assert len(caught) == 1
    assert not running(worker.pid)


def test_the_child_ends_when_its_parent_is_killed_in_a_long_call(start, tmp_path):
    start()  # writes the engines
    script = tmp_path / "parent.py"
    script.write_text(PARENT + "print(worker.pid, flush=True)\nworker.encode([np.array([-4], np.int32)])\n")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        time.sleep(0.3)
        assert running(child)
        parent.kill()
    assert wait_until(lambda: not running(child))


def test_a_worker_is_started_without_running_the_main_module_again(start, tmp_path):
    start()
    script = tmp_path / "parent.py"
    script.write_text("print('main runs')\n" + PARENT + "worker.close()\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "main runs\n"
    assert done.stderr == ""


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_where_no_process_can_be_started_the_engine_is_unavailable(start, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    before = open_files()
    with pytest.raises(EngineUnavailable, match=r"No process can be started .*No such file"):
        start()
    assert open_files() == before


def test_where_no_pipe_can_be_had_the_engine_is_unavailable(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = open_files()
    try:
        free = [number for number in range(1024) if str(number) not in before]
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[2], hard))  # one pipe can be had
        with pytest.raises(EngineUnavailable, match=r"No process can be started .*Too many open files"):
            start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_files() == before
