"""From a picture and a note to an answer, with one kit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefuse.golden import probe_sample
from edgefuse.kit import Kit
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Encoder, Memory
from edgefuse_runtimes.encoder import encode_notes, open_encoder
from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.image import Picture, load_image, prepare
from edgefuse_runtimes.machine import process_memory
from edgefuse_runtimes.spec import EncoderSpec, Modality
from edgefuse_runtimes.tokenizers import Tokenizer, tokenizer_of

Floats = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True)
class Prediction:
    """One answer, and what it took."""

    image: str
    label: str
    probabilities: dict[str, float]
    """By class, in the kit's order."""
    kit: dict[str, str]
    """"name" and "version"."""
    engines: dict[str, str]
    """What ran the "image" and the "text" encoder."""
    precisions: dict[str, str]
    """Of the files that were run, by modality."""
    timings_ms: dict[str, float]
    """"load" (kit and engines), "image", "text", "head", and "total"."""
    memory: dict[str, int]
    """"peak_rss_bytes" over all processes, "anon_bytes" and "file_bytes" of this one at the end."""
    notes: list[str]
    """Every warning, as sentences."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, in the published layout."""
        return asdict(self)


@dataclass
class _Stage:
    """One modality's encoder while it is open."""

    encoder: Encoder
    tokenizer: Tokenizer | None
    """Of the text encoder."""
    remarks: list[str]
    """What every answer must say about the choice of the engine."""


class Classifier(Closing):
    """Answers with one kit; may be shared by threads, which then take turns.

    Text comes first and its encoder is the heavy part, so with `keep_open=False` its memory is returned before the
    image encoder is opened: for one answer on a small device. With `keep_open=True` both stay for the next sample.
    """

    def __init__(
        self, kit: Kit, *, engine: str, threads: int | None, keep_open: bool, precision: str | None = None
    ) -> None:
        self.kit = kit
        self._image, self._text = kit.encoders(precision)
        memory: Memory = "normal" if keep_open else "low"  # what one sample needs is not worth keeping
        self._settings: dict[str, Any] = {"engine": engine, "threads": threads, "memory": memory}
        self._keep_open = keep_open
        self._stages: dict[Modality, _Stage] = {}
        self._lock = threading.Lock()
        self._load_ms = 0.0

    @classmethod
    def open(
        cls,
        kit: Path | str,
        *,
        engine: str = "auto",
        threads: int | None = None,
        keep_open: bool = True,
        precision: str | None = None,
    ) -> Classifier:
        """Open a kit and check all of it but the encoders, which are opened when they are first needed.

        An encoder that the kit has in the asked `precision` is run in it, any other as its main file.

        Raises:
            BadInput: there is no kit, it is damaged, or it has no encoder of that precision.
        """
        started = time.perf_counter()
        opened = Kit.open(Path(kit))
        _ = opened.head  # read now, so that a head that does not fit is refused before minutes of encoding
        classifier = cls(opened, engine=engine, threads=threads, keep_open=keep_open, precision=precision)
        classifier._load_ms = _milliseconds(started)
        return classifier

    def predict(self, image: Picture, text: str) -> Prediction:
        """Answer for one picture (a path, its bytes, or a PIL image) and its note.

        Raises:
            BadInput: the picture cannot be read, or the note is empty.
            EngineUnavailable: an engine that was asked for by its name died, hung or failed.
        """
        if not text.strip():
            raise BadInput("The note is empty; write at least a few words about the picture.")
        with self._lock:
            return self._predict(image, text)

    def _predict(self, image: Picture, text: str) -> Prediction:
        clock = _Clock(self._load_ms)
        self._load_ms = 0.0  # opening the kit is part of the first answer only
        notes: list[str] = []
        name = image if isinstance(image, str) else str(image) if isinstance(image, Path) else "(in memory)"

        with clock.stage("image"):  # before the note, which may take minutes: a picture may be unreadable
            assert self._image.preprocess is not None
            pixels = prepare(load_image(image), self._image.preprocess)[None]  # (1, 3, H, W)

        with clock.stage("load"):
            self._open("text", self._text)
        with clock.stage("text"):
            text_vectors, dropped = self._run("text", lambda stage: _encode_note(stage, text))  # (1, d_t)
        text_engine = self._finish("text", notes)
        if dropped:
            tokens = "token was" if dropped == 1 else "tokens were"
            notes.append(f"The note is too long: its last {dropped} {tokens} not read.")

        with clock.stage("load"):
            self._open("image", self._image)
        with clock.stage("image"):
            image_vectors = self._run("image", lambda stage: stage.encoder.encode(pixels))  # (1, d_i)
        image_engine = self._finish("image", notes)
        peak = max(text_engine["peak_rss_bytes"], image_engine["peak_rss_bytes"])

        with clock.stage("head"):
            probabilities = self.kit.head.probabilities(text_vectors, image_vectors)[0]  # (C,)
        memory = process_memory()
        return Prediction(
            image=name,
            label=self.kit.classes[int(probabilities.argmax())],
            probabilities=dict(zip(self.kit.classes, map(float, probabilities), strict=True)),
            kit={"name": self.kit.name, "version": self.kit.version},
            engines={"image": image_engine["engine"], "text": text_engine["engine"]},
            precisions={"image": self._image.precision, "text": self._text.precision},
            timings_ms=clock.milliseconds(),
            memory={
                "peak_rss_bytes": max(peak, memory.peak_rss_bytes),
                "anon_bytes": memory.anon_bytes,
                "file_bytes": memory.file_bytes,
            },
            notes=notes,
        )

    def _open(self, modality: Modality, spec: EncoderSpec) -> None:
        if modality not in self._stages:
            path = self.kit.file(spec.file)
            if spec.data is not None:
                self.kit.file(spec.data.file)  # listed, and so checked
            remarks: list[str] = []
            encoder = open_encoder(
                spec,
                path.parent,
                probe_sample=probe_sample(self.kit.file, spec),
                notify=remarks.append,
                **self._settings,
            )
            tokenizer = tokenizer_of(spec, self.kit.file) if modality == "text" else None
            self._stages[modality] = _Stage(encoder, tokenizer, remarks)

    def _run(self, modality: Modality, encode: Callable[[_Stage], T]) -> T:
        """What `encode` gives; an engine chosen by "auto" that dies, hangs or fails over it is replaced by numpy."""
        stage = self._stages[modality]
        try:
            return encode(stage)
        except EngineUnavailable as error:
            if self._settings["engine"] != "auto":
                raise
            stage.encoder.close()
            spec = stage.encoder.spec
            stage.encoder = open_encoder(spec, self.kit.folder, **self._settings | {"engine": "numpy"})
            stage.remarks.append(f"{error} numpy runs {spec.file} instead.")
            return encode(stage)

    def _finish(self, modality: Modality, notes: list[str]) -> dict[str, Any]:
        """What the stage's engine says of itself, and its peak memory; the stage is closed unless it is kept."""
        stage = self._stages[modality]
        notes.extend(stage.remarks)
        info = stage.encoder.info()
        info["peak_rss_bytes"] = _peak_rss(info)
        if not self._keep_open:
            self._stages.pop(modality).encoder.close()
        return info

    def close(self) -> None:
        """Close both encoders."""
        with self._lock:
            while self._stages:
                self._stages.popitem()[1].encoder.close()


def _encode_note(stage: _Stage, note: str) -> tuple[Floats, int]:
    """Vector (1, d_t) of the note, and how many of its tokens were over the limit."""
    assert stage.tokenizer is not None
    vectors, dropped = encode_notes(stage.encoder, stage.tokenizer, [note])  # (1, d_t)
    return vectors, dropped[0]


class _Clock:
    """Milliseconds per stage of one answer."""

    def __init__(self, load_ms: float) -> None:
        self._started = time.perf_counter() - load_ms / 1000
        self._stages = {"load": load_ms, "image": 0.0, "text": 0.0, "head": 0.0}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._stages[name] += _milliseconds(started)

    def milliseconds(self) -> dict[str, float]:
        stages = self._stages | {"total": _milliseconds(self._started)}
        return {name: round(value, 4) for name, value in stages.items()}


def _milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _peak_rss(info: dict[str, Any]) -> int:
    """The most that this process and the engine's worker, where it has one, can have held together."""
    worker = info.get("pid")
    return process_memory().peak_rss_bytes + (process_memory(worker).peak_rss_bytes if worker else 0)
