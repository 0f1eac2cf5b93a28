"""How much of the workshop's machine an export may use: one setting for onnxruntime, torch and BLAS alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from edgefuse.extras import importable
from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.machine import set_blas_threads, usable_cores


@dataclass(frozen=True)
class Resources:
    """What may be used."""

    threads: int
    memory: Memory
    """"low": slower, with less held in memory at a time."""


_chosen: ContextVar[Resources | None] = ContextVar("resources", default=None)


def resources() -> Resources:
    """What was chosen, else every core and memory as it comes."""
    return _chosen.get() or Resources(usable_cores(), "normal")


@contextmanager
def limited(threads: int | None, memory: Memory) -> Iterator[None]:
    """Choose for the block; None stands for the physical cores."""
    before = _chosen.set(Resources(threads or usable_cores(), memory))
    try:
        set_blas_threads(resources().threads)
        yield
    finally:
        _chosen.reset(before)
        set_blas_threads(resources().threads)


def session_options() -> Any:
    """Options of an onnxruntime session of the workshop, which tells its errors as exceptions alone.

    Raises:
        BadInput: onnxruntime is not installed.
    """
    options = importable("onnxruntime", "export").SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = resources().threads, 1
    options.log_severity_level = 4
    if resources().memory == "low":  # the arena never shrinks, and prepacking holds every weight a second time
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def torch_with_threads() -> Any:
    """The library torch, told how many threads it may use.

    Raises:
        BadInput: it is not installed.
    """
    torch = importable("torch", "export-torch")
    torch.set_num_threads(resources().threads)
    return torch
