"""An ONNX encoder run by onnxruntime, in a worker process: a native library can die, and must cost no answer."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch, Memory
from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.onnx.graph import load
from edgefuse_runtimes.onnx.vectors import encode_each, input_shape
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.worker import WorkerEncoder, time_limit

IN_CHILD = "edgefuse_runtimes.onnx.with_onnxruntime:OnnxRuntimeEncoder"


class OnnxRuntimeWorker(WorkerEncoder):
    """onnxruntime in a child process, as an `Encoder`."""

    def __init__(
        self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory, side_by_side: bool = False
    ) -> None:
        """Start the child and open the file there; with `side_by_side` each thread takes a sample of its own.

        Raises:
            BadInput: the file is missing, damaged or no such encoder.
            EngineUnavailable: onnxruntime does not import here, cannot run the file, died or hung over it.
        """
        super().__init__(
            IN_CHILD,
            path,
            spec,
            threads=threads,
            memory=memory,
            timeout=time_limit(spec),
            name="onnxruntime",
            side_by_side=side_by_side,
        )


class OnnxRuntimeEncoder(Closing):
    """An `Encoder` that runs its graph in an onnxruntime session of this process.

    With `side_by_side` each of its threads takes a sample of its own. A graph has parts that cannot be shared out, and
    after each other part the threads wait for the slowest of them; samples side by side never wait for each other.

    Raises:
        EngineUnavailable: onnxruntime does not import here, or cannot run an operator of the file.
        BadInput: the file is missing, damaged or no such encoder.
    """

    def __init__(
        self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory, side_by_side: bool = False
    ) -> None:
        self.spec = spec
        self._pool = ThreadPoolExecutor(threads) if side_by_side else None
        self._path, self._threads, self._memory = path, threads, memory
        graph = load(
            path, () if spec.data is None else (spec.data.file,)
        )  # checked here, so that both engines refuse the same files with the same words
        shape = input_shape(graph, spec)
        self._input, self._output = graph.inputs[0].name, graph.outputs[0].name
        runtime = _import_onnxruntime()
        self._version = str(runtime.__version__)
        self._errors = errors_of(runtime)
        sizes = {free: size for free, size in zip(graph.inputs[0].shape, shape, strict=True) if isinstance(free, str)}
        options = session_options(runtime, 1 if side_by_side else threads, memory, sizes)
        del graph
        try:
            self._session: Any = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except runtime.capi.onnxruntime_pybind11_state.NotImplemented as error:
            raise EngineUnavailable(f"onnxruntime cannot run {path} ({first_line(error)}).") from error
        except self._errors as error:
            raise BadInput(
                f"onnxruntime cannot read {path} ({first_line(error)}); export the encoder again."
            ) from error

    def encode(self, batch: Batch) -> NDArray[np.float32]:
        """Vectors (n, d) of pictures (n, 3, H, W) or of n notes (t,); each is the same alone or in any batch.

        Raises:
            BadInput: samples of another shape, or a vector that is not finite.
            EngineUnavailable: onnxruntime failed.
        """
        over = map if self._pool is None else self._pool.map
        return encode_each(self._run, batch, self.spec, over=over)  # (n, d)

    def info(self) -> dict[str, Any]:
        """Engine, its version, file, threads, precision and memory setting."""
        return {
            "engine": "onnxruntime",
            "version": self._version,
            "file": str(self._path),
            "threads": self._threads,
            "precision": self.spec.precision,
            "memory": self._memory,
        }

    def close(self) -> None:
        """Give the session's memory back."""
        self._session = None
        if self._pool is not None:
            self._pool.shutdown()

    def _run(self, x: NDArray[Any]) -> NDArray[np.float32]:
        if self._session is None:
            raise EngineUnavailable(f"The encoder {self.spec.file} is closed.")
        try:
            output: NDArray[np.float32] = self._session.run([self._output], {self._input: x})[0]
        except self._errors as error:
            raise EngineUnavailable(f"onnxruntime failed while running {self._path} ({first_line(error)}).") from error
        return output


def session_options(
    runtime: ModuleType, threads: int, memory: Memory, sizes: Mapping[str, int | None] = MappingProxyType({})
) -> Any:
    """Every setting of a session, in one place.

    Args:
        runtime: the module onnxruntime.
        threads: the physical cores, unless the user chose; a hyper-thread beside a busy core only gets in its way.
        memory: how freely memory may be traded for speed.
        sizes: of the input's free dimensions by name; None for one that stays free, a note's length.
    """
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1  # one graph, one branch at a time: a second pool would only take turns
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    # Waiting threads sleep: spinning takes a small machine's cores and battery from everything else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # The arena never shrinks, and prepacking holds every weight a second time: faster, for more memory.
    is_roomy = memory == "normal"
    options.enable_cpu_mem_arena = is_roomy
    # A plan of the memory for each length of a note would only pile up.
    options.enable_mem_pattern = is_roomy and None not in sizes.values()
    options.add_session_config_entry("session.disable_prepacking", "0" if is_roomy else "1")
    # One sample a run: with the batch fixed to 1 (and a picture's sides), the optimiser knows every shape.
    for name, size in sizes.items():
        if name and size is not None:
            options.add_free_dimension_override_by_name(name, size)
    options.log_severity_level = 4  # errors come as exceptions; a second copy on stderr helps nobody
    return options


def _import_onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineUnavailable(
            f"onnxruntime cannot be imported ({first_line(error)}); "
            "install edgefuse[onnxruntime] or use the engine numpy."
        ) from error
    return onnxruntime  # type: ignore[no-any-return]


def errors_of(runtime: ModuleType) -> tuple[type[Exception], ...]:
    """onnxruntime's exceptions, which have no common base but Exception."""
    state = vars(runtime.capi.onnxruntime_pybind11_state).values()
    own = [kind for kind in state if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


def first_line(error: Exception) -> str:
    """The first line of an error's text without a full stop, or its name where there is none: what fits a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
