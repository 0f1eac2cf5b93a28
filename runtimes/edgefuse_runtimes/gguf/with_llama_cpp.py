"""A GGUF text encoder run by llama.cpp, always in a worker process: it aborts on some malformed files."""

from __future__ import annotations

import ctypes
import os
from collections import deque
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch, Memory
from edgefuse_runtimes.errors import BadInput, EngineInterrupted, EngineUnavailable
from edgefuse_runtimes.gguf.notes import Ids, check_notes
from edgefuse_runtimes.pooling import l2_normalize
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.worker import WorkerEncoder, time_limit

Floats = NDArray[np.float32]

IN_CHILD = "edgefuse_runtimes.gguf.with_llama_cpp:LlamaCppInProcess"

CONTEXT_STEP = 256
"""Contexts are made for a multiple of this many tokens: llama.cpp rounds up to it anyway."""

SPINS = "1000"
"""Turns in a loop before a waiting thread sleeps: no slower where it is quiet, and far faster where it is not."""

LOG_ERROR = 4  # ggml.h: GGML_LOG_LEVEL_ERROR


class LlamaCppEncoder(WorkerEncoder):
    """llama.cpp in a child process, as an `Encoder` of notes of token ids."""

    def __init__(self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> None:
        """Start the child and load the file there.

        Raises:
            BadInput: llama.cpp refuses the file, or it is not what `spec` says.
            EngineUnavailable: llama-cpp-python is not installed or too old, or died or hung over this file.
        """
        if util.find_spec("llama_cpp") is None:
            raise EngineUnavailable("llama-cpp-python is not installed.")
        super().__init__(
            IN_CHILD, path, spec, threads=threads, memory=memory, timeout=time_limit(spec), name="llama.cpp"
        )


class LlamaCppInProcess(Closing):
    """llama.cpp in this process, one note a call; meant for the child, whose death is no loss.

    With memory "low" the weights stay pages of the mapped file, which the system may drop. With "normal" they
    are read into memory, where llama.cpp may repack them for this processor: mapped too, they would be there
    twice.
    """

    def __init__(self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> None:
        """Load the file.

        Raises:
            BadInput: llama.cpp refuses the file, or it is not what `spec` says.
            EngineUnavailable: llama-cpp-python is not installed or too old.
        """
        # Its threads wait for each other many times a note, and libgomp lets them turn in a loop meanwhile: on a busy
        # machine that keeps out the very thread they wait for. The library reads this when it is loaded.
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
        try:
            import llama_cpp
        except (ImportError, OSError, RuntimeError) as error:
            raise EngineUnavailable(f"llama-cpp-python cannot be imported ({error}).") from error
        # An abort would first start the debugger that a machine may have, and bury the reason in its output.
        os.environ["GGML_NO_BACKTRACE"] = "1"
        self.spec = spec
        self._lib = llama_cpp
        self._path = path
        self._threads = threads
        self._memory: Memory = memory
        self._context: Any = None
        self._context_tokens = 0
        self._pooling = _pooling_type(llama_cpp, spec)
        self._errors: deque[str] = deque(maxlen=5)
        self._log = llama_cpp.llama_log_callback(self._keep_errors)  # held here: llama.cpp keeps only its address
        llama_cpp.llama_log_set(self._log, ctypes.c_void_p(0))
        _load_kernels(Path(llama_cpp.__file__).parent / "lib")
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), self._model_settings())
        if not self._model:
            raise BadInput(f"llama.cpp cannot load {path}{self._said()}; get the file again.")
        self._width = llama_cpp.llama_model_n_embd(self._model)
        if self._width != spec.width:
            raise BadInput(
                f"{path}: its vectors are {self._width} wide, not {spec.width} as its description says; "
                "export the encoder again."
            )
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))

    def encode(self, batch: Batch) -> Floats:
        """Vectors (n, d) of n notes of token ids, special tokens included.

        Raises:
            BadInput: a note without tokens or with unknown ids.
            EngineUnavailable: llama.cpp failed.
        """
        notes = check_notes(batch, self._vocabulary)
        vectors = np.empty((len(notes), self._width), np.float32)  # (n, d)
        for row, note in enumerate(notes):
            vectors[row] = self._encode_note(note)
        return l2_normalize(vectors) if self.spec.normalize else vectors

    def info(self) -> dict[str, Any]:
        """Engine, version, file, threads, precision and memory setting."""
        return {
            "engine": "llama.cpp",
            "version": f"llama-cpp-python {self._lib.__version__}",
            "file": str(self._path),
            "threads": self._threads,
            "precision": self.spec.precision,
            "memory": self._memory,
        }

    def close(self) -> None:
        """Free context and weights."""
        self._free_context()
        if self._model:
            self._lib.llama_model_free(self._model)
            self._model = None

    def _encode_note(self, note: Ids) -> Floats:
        self._need_context(len(note))
        lib = self._lib
        lib.llama_memory_clear(lib.llama_get_memory(self._context), False)
        tokens = (lib.llama_token * len(note))(*note.tolist())
        status = lib.llama_decode(self._context, lib.llama_batch_get_one(tokens, len(note)))
        vector = lib.llama_get_embeddings_seq(self._context, 0) if status == 0 else None
        if not vector:
            raise EngineUnavailable(f"llama.cpp failed with {self._path.name} (status {status}{self._said()}).")
        return np.ctypeslib.as_array(vector, (self._width,)).copy()  # (d,)

    def _need_context(self, tokens: int) -> None:
        """A context for `tokens` or more; one note is one piece, since pooling sees one piece only."""
        if tokens <= self._context_tokens:
            return
        self._free_context()
        size = -(-tokens // CONTEXT_STEP) * CONTEXT_STEP
        settings = self._lib.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = size
        settings.n_seq_max = 1
        settings.n_threads = settings.n_threads_batch = self._threads
        settings.embeddings = True
        settings.pooling_type = self._pooling
        self._context = self._lib.llama_init_from_model(self._model, settings)
        if not self._context:
            raise EngineInterrupted(f"llama.cpp has no room for a note of {tokens} tokens{self._said()}.")
        self._context_tokens = size

    def _free_context(self) -> None:
        if self._context:
            self._lib.llama_free(self._context)
        self._context = None
        self._context_tokens = 0

    def _model_settings(self) -> Any:
        settings = self._lib.llama_model_default_params()
        if not hasattr(settings, "load_mode"):
            raise EngineUnavailable(f"llama-cpp-python {self._lib.__version__} is too old; upgrade it to 0.3.36.")
        low = self._memory == "low"
        settings.load_mode = self._lib.LLAMA_LOAD_MODE_MMAP if low else self._lib.LLAMA_LOAD_MODE_NONE
        settings.use_extra_bufts = not low
        settings.n_gpu_layers = 0
        return settings

    def _keep_errors(self, level: int, text: bytes, _: Any) -> None:
        if level == LOG_ERROR:
            self._errors.append(text.decode("utf-8", "replace").strip())

    def _said(self) -> str:
        return f" ({self._errors[0]})" if self._errors else ""


def _load_kernels(libraries: Path) -> None:
    """Where the build carries its kernels for several processors, load the best that this one can run.

    llama_cpp does not ask for it. The call must go to the library that libllama asks for by this very name, since
    another copy has a registry of its own. A build for one processor has no such files and needs no call.
    """
    if any(libraries.glob("libggml-cpu-*.so")):
        ggml = ctypes.CDLL(str(libraries / "libggml.so.0"))
        ggml.ggml_backend_load_all_from_path(ctypes.c_char_p(os.fsencode(libraries)))


def _pooling_type(lib: Any, spec: EncoderSpec) -> int:
    """llama.cpp's number of the pooling; both give the plain hidden states after the final norm."""
    types = {"last": lib.LLAMA_POOLING_TYPE_LAST, "mean": lib.LLAMA_POOLING_TYPE_MEAN}
    if spec.pooling not in types:
        raise BadInput(f"The text encoder {spec.file} has pooling {spec.pooling!r}; use last or mean.")
    return int(types[spec.pooling])
