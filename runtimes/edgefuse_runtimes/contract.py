"""The contract between encoders, the engines that run them, and all that uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.spec import EncoderSpec

Memory = Literal["normal", "low"]
"""How freely an engine may trade memory for speed."""

Batch = NDArray[np.float32] | Sequence[NDArray[np.int32]]
"""Pictures float32 (n, 3, H, W), or notes as n arrays of int32 token ids."""


class Encoder(Protocol):
    """A frozen model that turns samples of one modality into vectors."""

    spec: EncoderSpec

    def encode(self, batch: Batch) -> NDArray[np.float32]:
        """Vectors (n, d); each is the same alone or in any batch (1 - cosine <= 1e-6)."""
        ...

    def info(self) -> dict[str, Any]:
        """Engine, version, file, threads, precision and memory setting, as plain JSON types."""
        ...

    def close(self) -> None:
        """Give the memory back; the encoder cannot be used afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class ProbeSample:
    """One sample that every engine must agree on."""

    batch: Batch
    """A batch of one."""
    expected: NDArray[np.float32]
    """Its vector (d,)."""
    centre: NDArray[np.float32]
    """Mean vector (d,) of a sample set, subtracted before vectors are compared."""


@dataclass(frozen=True)
class Engine:
    """One way to run one file format."""

    name: str
    encoder: str
    """"module:class" of the encoder; a native engine's is a worker."""
    module: str = ""
    """The library it needs beside numpy; "": none."""
    package: str = ""
    """What the library is called where packages come from."""
    child: str = ""
    """"module:class" that runs in the child process of a native engine, in its probe and later."""
    side_by_side: bool = False
    """Whether its threads can take a sample each."""
