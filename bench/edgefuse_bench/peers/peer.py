"""What a peer is, as data: who runs the encoder, with which file, and what must be made for it before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.spec import EncoderSpec

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Step:
    """A file that is made for peers before they are opened, in a child process of its own."""

    function: str
    """"module:function", which takes an `Order`."""
    target: Path
    """The file that it writes; its folder holds nothing else."""


@dataclass(frozen=True)
class Order:
    """What a step is given."""

    spec: EncoderSpec
    """Of edgefuse's main file: what is fed, and which output stands for the sample."""
    source: Path
    """The folder or file that edgefuse's file was exported from."""
    graph: Path
    """The source as a float32 ONNX graph; the first step writes it."""
    target: Path
    calibration: Path
    """An npz with samples to calibrate on, as they are fed: pictures (3, H, W), or notes (t,) of ids."""


@dataclass(frozen=True)
class Peer:
    """One way to run the encoder; everything it needs is opened in its own process."""

    name: str
    """Unique for a modality: "torch, fp32"."""
    encoder: str
    """"module:class" of an `Encoder`, called with path, spec, threads and memory."""
    path: Path
    """What it opens."""
    spec: EncoderSpec
    precision: str
    needs: tuple[str, ...] = ()
    """Modules that must be installed, those of the steps too."""
    steps: tuple[Step, ...] = ()
    """In the order in which they are done; a step of several peers is done once."""
    memory: Memory = "normal"
    """For edgefuse's engines, which alone have such a setting."""
    reads_text: bool = False
    """Whether it turns the note into ids itself."""

    @property
    def file_bytes(self) -> int:
        """What lies on the disk for it: the file and what stands beside it, or a folder's weights."""
        if self.path.is_dir():
            return sum(file.stat().st_size for file in self.path.glob("*.safetensors"))
        if self.steps:
            return sum(file.stat().st_size for file in self.path.parent.iterdir() if file.is_file())
        return self.spec.total_bytes if self.path.name == self.spec.file else self.path.stat().st_size


@dataclass(frozen=True)
class Sample:
    """A picture or a note, as it is fed to the peers."""

    values: Floats | Ids
    """Pixels (3, H, W), or token ids (t,)."""
    text: Ids | None = None
    """A note's UTF-8 bytes, one number each, for peers that read text."""

    def given_to(self, peer: Peer) -> Floats | Ids:
        """What `peer` takes of it."""
        if peer.reads_text:
            assert self.text is not None
            return self.text
        return self.values


def as_bytes(note: str) -> Ids:
    """A note as a peer that reads text is given it: through the pipe go numbers alone."""
    return np.frombuffer(note.encode(), np.uint8).astype(np.int32)


def batch_of(values: Floats | Ids) -> Floats | Sequence[Ids]:
    """One sample as a batch of one: (1, 3, H, W), or a list of ids."""
    return values[None] if values.ndim == 3 else [values]  # type: ignore[return-value,list-item]
