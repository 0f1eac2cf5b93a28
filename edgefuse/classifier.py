"""From a picture and a note to an answer, with one kit."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from edgefuse.kit import Kit
from edgefuse.prediction import Clock, Prediction, milliseconds
from edgefuse.stage import Settings, Stage
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import Picture, load_image, prepare
from edgefuse_runtimes.machine import process_memory


class Classifier(Closing):
    """Answers with one kit; may be shared by threads, which then take turns.

    Text comes first and its encoder is the heavy part, so with `keep_open=False` its memory is returned before the
    image encoder is opened: for one answer on a small device. With `keep_open=True` both stay for the next sample.
    """

    def __init__(
        self, kit: Kit, *, engine: str, threads: int | None, keep_open: bool, precision: str | None = None
    ) -> None:
        self.kit = kit
        # What one sample needs is not worth keeping.
        settings = Settings(engine, threads, memory="normal" if keep_open else "low")
        image, text = kit.encoders(precision)
        self._text, self._image = Stage(kit, text, settings), Stage(kit, image, settings)
        self._keep_open = keep_open
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
        classifier._load_ms = milliseconds(started)
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
        clock = Clock(self._load_ms)
        self._load_ms = 0.0  # opening the kit is part of the first answer only
        notes: list[str] = []
        name = image if isinstance(image, str) else str(image) if isinstance(image, Path) else "(in memory)"

        with clock.stage("image"):  # before the note, which may take minutes: a picture may be unreadable
            assert self._image.spec.preprocess is not None
            pixels = prepare(load_image(image), self._image.spec.preprocess)[None]  # (1, 3, H, W)

        with clock.stage("load"):
            self._text.open()
        with clock.stage("text"):
            text_vectors, dropped = self._text.encode_note(text)  # (1, d_t)
        text_engine = self._finish(self._text, notes)
        if dropped:
            tokens = "token was" if dropped == 1 else "tokens were"
            notes.append(f"The note is too long: its last {dropped} {tokens} not read.")

        with clock.stage("load"):
            self._image.open()
        with clock.stage("image"):
            image_vectors = self._image.encode_picture(pixels)  # (1, d_i)
        image_engine = self._finish(self._image, notes)
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
            precisions={"image": self._image.spec.precision, "text": self._text.spec.precision},
            timings_ms=clock.milliseconds(),
            memory={
                "peak_rss_bytes": max(peak, memory.peak_rss_bytes),
                "anon_bytes": memory.anon_bytes,
                "file_bytes": memory.file_bytes,
            },
            notes=notes,
        )

    def _finish(self, stage: Stage, notes: list[str]) -> dict[str, Any]:
        """What the stage says of itself; it is closed unless it is kept for the next sample."""
        notes.extend(stage.remarks)
        info = stage.info()
        if not self._keep_open:
            stage.close()
        return info

    def close(self) -> None:
        """Close both encoders."""
        with self._lock:
            self._text.close()
            self._image.close()
