"""One modality of an answer: its encoder, opened when a sample needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefuse.answering.memory import Chosen, MemorySetting
from edgefuse.kits.golden import probe_sample
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Encoder, Memory
from edgefuse_runtimes.encoder import ENGINES, open_encoder
from edgefuse_runtimes.machine import process_memory, return_freed_memory, usable_cores
from edgefuse_runtimes.probe import known_verdict
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import Tokenizer, Tokens, tokenize, tokenizer_of

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """How encoders are run."""

    engine: str
    threads: int | None
    memory: MemorySetting
    side_by_side: bool = False
    """Whether each thread takes a picture of its own, where there is room: for batches."""


class Stage(Closing):
    """The encoder of one modality of a kit."""

    def __init__(self, kit: Kit, spec: EncoderSpec, settings: Settings) -> None:
        self.spec = spec
        self.remarks: list[str] = []
        """What every answer must say about the choice of the engine."""
        self._kit = kit
        self._settings = settings
        self._chosen = Chosen("numpy", "low")
        self._encoder: Encoder | None = None
        self._tokenizer: Tokenizer | None = None

    @property
    def is_open(self) -> bool:
        """Whether the encoder holds memory."""
        return self._encoder is not None

    @property
    def side_by_side(self) -> bool:
        """Whether the encoder is open, and each of its threads takes a picture of its own."""
        able = {engine.name for engine in ENGINES[self.spec.format] if engine.side_by_side}
        return self.is_open and self._chosen.side_by_side and self.engine in able

    def open(self, chosen: Chosen) -> None:
        """Open the encoder in the way that was chosen for it, unless it is open.

        Raises:
            BadInput: a file is missing or damaged, or the engine asked for is not installed.
            EngineUnavailable: the engine asked for does not work.
        """
        if self._encoder is not None:
            return
        path = self._kit.file(self.spec.file)
        if self.spec.data is not None:
            self._kit.file(self.spec.data.file)  # listed, and so checked
        self._chosen = chosen
        self.remarks = list(chosen.remarks)
        self._encoder = open_encoder(
            self.spec,
            path.parent,
            engine=chosen.engine,
            threads=self._settings.threads,
            memory=chosen.memory,
            side_by_side=chosen.side_by_side,
            probe_sample=probe_sample(self._kit.file, self.spec),
            notify=self.remarks.append,
        )
        self._tokenizer = tokenizer_of(self.spec, self._kit.file) if self.spec.modality == "text" else None

    def encode_pictures(self, pixels: Floats) -> Floats:
        """Vectors (n, d) of prepared pictures (n, 3, H, W)."""
        assert self._encoder is not None
        return self._encoder.encode(pixels)

    def tokenize(self, note: str) -> Tokens:
        """The note's tokens, as many as the encoder reads."""
        assert self._tokenizer is not None
        assert self.spec.tokenization is not None
        return tokenize(self._tokenizer, self.spec.tokenization, note)

    def encode_tokens(self, tokens: Tokens) -> Floats:
        """Vector (1, d) of a note's tokens."""
        assert self._encoder is not None
        return self._encoder.encode([tokens.ids])

    def is_stand_in(self) -> bool:
        """Whether numpy took another engine's place for now: one that hung or did not fit may be right another day.

        An engine that failed its probe or died is remembered as such, so that numpy is what runs here.
        """
        if self._chosen.remarks:
            return True
        return bool(self.remarks) and not self._natives_are_distrusted([self._chosen.memory])

    def would_stand_in(self) -> bool:
        """Whether numpy would have to take another engine's place now, by what is remembered: `--forget` ends that."""
        asked = self._settings.memory
        return self._natives_are_distrusted(["low", "normal"] if asked == "auto" else [asked])

    def _natives_are_distrusted(self, settings: Sequence[Memory]) -> bool:
        """Whether each native engine is remembered as one that failed with one of the memory settings and none else."""
        threads, path = self._settings.threads or usable_cores(), self._kit.file(self.spec.file)
        for engine in ENGINES[self.spec.format][:-1]:
            found = [known_verdict(engine, path, self.spec, threads=threads, memory=memory) for memory in settings]
            if {verdict.trusted for verdict in found if verdict is not None} != {False}:
                return False
        return True

    @property
    def engine(self) -> str:
        """What runs the encoder, which is open."""
        assert self._encoder is not None
        return str(self._encoder.info()["engine"])

    @property
    def worker_peak_bytes(self) -> int:
        """The most that the encoder's worker ever held; 0 where it has none or is not open."""
        worker = None if self._encoder is None else self._encoder.info().get("pid")
        return process_memory(worker).peak_rss_bytes if worker else 0

    def close(self) -> None:
        """Give the encoder's memory back; the next sample opens it again."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = self._tokenizer = None
            return_freed_memory()
