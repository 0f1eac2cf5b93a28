"""From a picture and a note to an answer, with one kit."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefuse.answering.choice import runs
from edgefuse.answering.inputs import Inputs, Seen
from edgefuse.answering.memory import Chosen, MemorySetting, Request, plan
from edgefuse.answering.missing import missing_sentences
from edgefuse.answering.prediction import Clock, Prediction, milliseconds
from edgefuse.answering.stage import Settings, Stage
from edgefuse.answering.text_cache import NoteVector, deciding_facts, open_text_cache
from edgefuse.heads import answering
from edgefuse.kits.kit import Kit
from edgefuse.labels import SEPARATOR
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.decoding import load_within
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.image import Picture, prepare
from edgefuse_runtimes.machine import available_memory, process_memory, usable_cores
from edgefuse_runtimes.spec import Modality
from edgefuse_runtimes.worker import SAMPLES_EACH

Watch = Callable[[str, NDArray[np.float32] | None], None]
"""Told the name of a stage of an answer when it ends, and its vectors (1, d), probabilities (1, K) or None."""


class Classifier(Closing):
    """Answers with one kit; may be shared by threads, which then take turns.

    Text comes first and its encoder is the heavy part, so with `keep_open=False` its memory is returned before the
    image encoder is opened: for one answer on a small device. With `keep_open=True` both stay for the next sample.
    """

    def __init__(
        self,
        kit: Kit,
        *,
        settings: Settings,
        keep_open: bool,
        precision: str | None = None,
        cache: bool = True,
    ) -> None:
        self.kit = kit
        self.watch: Watch | None = None
        """Looks at every stage of an answer: for measuring."""
        self._runs = runs(kit, settings, precision)
        self._memory = settings.memory
        self._text, self._image = (
            Stage(kit, self._runs.specs[modality], self._runs.settings[modality]) for modality in ("text", "image")
        )
        self._chosen: dict[Modality, Chosen] = {}
        self._keep_open = keep_open
        self._cache = open_text_cache() if cache else None
        engine = self._runs.settings["text"].engine
        self._text_facts = deciding_facts(self._text.spec, kit.file, engine) if self._cache is not None else []
        self._lock = threading.Lock()
        self._load_ms = 0.0

    @classmethod
    def open(
        cls,
        kit: Path | str,
        *,
        engine: str = "auto",
        threads: int | None = None,
        memory: MemorySetting = "auto",
        keep_open: bool = True,
        precision: str | None = None,
        cache: bool = True,
        side_by_side: bool = False,
    ) -> Classifier:
        """Open a kit and check all of it but the encoders, which are opened when they are first needed.

        An encoder that the kit has in the asked `precision` is run in it, any other as its main file. How the encoders
        are run in the memory there is, is planned before the first of them is opened: with `memory` "auto" as
        "normal" where they are kept open and half of the memory stays free, else as "low". With `cache` the vectors of
        notes are kept on the disk, see `edgefuse.answering.text_cache`.

        Where neither `engine`, `threads` nor `precision` is given, what `edgefuse tune` chose for this kit on this
        machine is used.

        With `side_by_side`, for batches, `answer_together` gives each thread a picture of its own where the engine can.

        Raises:
            BadInput: there is no kit, it is damaged, or it has no encoder of that precision.
        """
        started = time.perf_counter()
        opened = Kit.open(Path(kit))
        _ = opened.head  # read now, so that a head that does not fit is refused before minutes of encoding
        settings = Settings(engine, threads, memory, side_by_side)
        classifier = cls(opened, settings=settings, keep_open=keep_open, precision=precision, cache=cache)
        classifier._load_ms = milliseconds(started)
        return classifier

    def predict(self, image: Picture | None, text: str | None) -> Prediction:
        """Answer for one picture (a path, its bytes, or a PIL image), its note, or both.

        Where one of them is None, the head that was trained on the other alone answers.

        Raises:
            BadInput: the picture cannot be read, the note is empty, or both are None.
            DoesNotFit: there is too little memory for the encoders or the picture.
            EngineUnavailable: an engine that was asked for by its name died, hung or failed.
        """
        return self.answer(self.read(image, text))

    def read(self, image: Picture | None, text: str | None) -> Inputs:
        """The first half of `predict`: all that needs no encoder. Threads may do it side by side.

        What is wrong with a sample is found here, before a note is encoded, which may take minutes.

        Raises:
            BadInput: the picture cannot be read, the note is empty, or both are None.
            DoesNotFit: there is too little memory to decode the picture.
        """
        started = time.perf_counter()
        if image is None and text is None:
            raise BadInput("There is neither a picture nor a note; give one of them or both.")
        if text is not None and not text.strip():
            raise BadInput("The note is empty; write at least a few words about the picture.")
        if image is None:
            return Inputs(None, None, text, 0.0)
        preprocess = self._image.spec.preprocess
        assert preprocess is not None
        remarks: list[str] = []
        pixels = prepare(load_within(image, preprocess, remarks.append), preprocess)[None]  # (1, 3, H, W)
        self._tell("decode")
        name = str(image) if isinstance(image, str | Path) else "(in memory)"
        return Inputs(name, pixels, text, milliseconds(started), tuple(remarks))

    def answer(self, inputs: Inputs) -> Prediction:
        """The second half of `predict`, on what `read` gave; threads take turns.

        Raises:
            BadInput: an encoder's file is missing or damaged, or the engine asked for is not installed.
            DoesNotFit: there is too little memory for the encoders.
            EngineUnavailable: an engine that was asked for by its name died, hung or failed.
        """
        with self._lock:
            self._chosen.clear()
            return self._answer(inputs)

    def answer_together(self, group: Sequence[Inputs]) -> list[Prediction]:
        """What `answer` gives for each; their pictures are encoded first, in one go.

        Raises:
            BadInput, DoesNotFit, EngineUnavailable: as `answer`.
        """
        with self._lock:
            self._chosen.clear()
            return [self._answer(inputs, seen) for inputs, seen in zip(group, self._see(group), strict=True)]

    @property
    def group(self) -> int:
        """How many samples are best given to `answer_together` now; 1 until the image encoder is open."""
        return SAMPLES_EACH * self.threads["image"] if self._image.side_by_side else 1

    @property
    def threads(self) -> dict[Modality, int]:
        """How many threads run each encoder."""
        return {modality: how.threads or usable_cores() for modality, how in self._runs.settings.items()}

    def _see(self, group: Sequence[Inputs]) -> list[Seen | None]:
        """The pictures of a group; None where there is none, or where `_answer` is to encode it after its note."""
        pixels = [inputs.pixels for inputs in group if inputs.pixels is not None]
        if len(pixels) < 2 or not self._keep_open:
            return [None] * len(group)
        started = time.perf_counter()
        note = next((inputs.note for inputs in group if inputs.note is not None), None)
        self._open(self._image, [] if note is None else [self._text], note)
        load_ms, started = milliseconds(started), time.perf_counter()
        vectors = iter(self._image.encode_pictures(np.concatenate(pixels)))  # of (n, d_i)
        share = milliseconds(started) / len(pixels)
        found: list[Seen | None] = []
        for inputs in group:
            found.append(None if inputs.pixels is None else Seen(next(vectors)[None], load_ms, share))
            load_ms = 0.0 if found[-1] is not None else load_ms  # the first one's alone
        return found

    def _answer(self, inputs: Inputs, seen: Seen | None = None) -> Prediction:
        before = (self._load_ms, 0.0) if seen is None else (self._load_ms + seen.load_ms, seen.image_ms)
        clock = Clock(load_ms=before[0], decode_ms=inputs.decode_ms, image_ms=before[1])
        self._load_ms = 0.0  # opening the kit is part of the first answer only
        text_vectors = image_vectors = None
        engines: dict[str, str | None] = {"image": None, "text": None}
        notes = list(inputs.remarks)
        peaks: list[int] = []
        is_cached = False

        if inputs.note is not None:
            with_picture = [self._image] if inputs.pixels is not None else []
            found, is_cached = self._note_vector(inputs.note, clock, peaks, with_picture)
            text_vectors, engines["text"] = found.vector[None], found.engine  # (1, d_t)
            notes += found.remarks
            if found.dropped:
                tokens = "token was" if found.dropped == 1 else "tokens were"
                notes.append(f"The note is too long: its last {found.dropped} {tokens} not read.")

        if inputs.pixels is not None:
            if seen is not None:
                image_vectors = seen.vectors  # (1, d_i)
            else:
                with clock.stage("load"):
                    self._open(self._image, [], inputs.note)
                with clock.stage("image"):
                    image_vectors = self._image.encode_pictures(inputs.pixels)  # (1, d_i)
            self._tell("image", image_vectors)
            notes += self._image.remarks
            engines["image"] = self._finish(self._image, peaks)

        with clock.stage("head"):
            probabilities = self.kit.head.probabilities(text_vectors, image_vectors)[0]  # (K,)
        self._tell("head", probabilities[None])
        given: dict[Modality, bool] = {"image": image_vectors is not None, "text": text_vectors is not None}
        missing = [modality for modality, is_given in given.items() if not is_given]
        notes += [sentence for modality in missing for sentence in missing_sentences(self.kit, modality)]
        notes += [*self._runs.remarks, *self.kit.remarks]
        labels = self.kit.head.answer(probabilities)
        label = SEPARATOR.join(labels)
        referral = self.kit.head.referral
        part = answering(missing[0] if missing else None)
        reason = None if referral is None else referral.reason(part, label, float(probabilities.max()))
        specs = {"image": self._image.spec, "text": self._text.spec}
        memory = process_memory()
        return Prediction(
            image=inputs.name,
            label=label,
            labels=list(labels),
            referred=reason is not None,
            reason=reason,
            probabilities=dict(zip(self.kit.classes, map(float, probabilities), strict=True)),
            kit={"name": self.kit.name, "version": self.kit.version, "digest": self.kit.digest},
            missing=list(missing),
            engines=engines,
            precisions={name: None if name in missing else spec.precision for name, spec in specs.items()},
            cached=["text"] if is_cached else [],
            timings_ms=clock.milliseconds(),
            memory={
                "peak_rss_bytes": max([*peaks, memory.peak_rss_bytes]),
                "anon_bytes": memory.anon_bytes,
                "file_bytes": memory.file_bytes,
            },
            notes=notes,
            tuned=self._runs.tuned,
        )

    def _note_vector(
        self, note: str, clock: Clock, peaks: list[int], later: Sequence[Stage]
    ) -> tuple[NoteVector, bool]:
        """The note's vector, and whether it was in the text cache; only if not, the text encoder is opened."""
        name = known = None
        if self._cache is not None:
            with clock.stage("text"):
                name = self._cache.name(self._text_facts, note)
                known = self._cache.get(name)
                if known is not None and known.remarks and not self._text.would_stand_in():
                    known = None  # the engine that its remarks complain of may be tried again
        if known is not None:
            return known, True
        with clock.stage("load"):
            self._open(self._text, later, note)
        with clock.stage("text"):
            with clock.stage("tokenise"):
                tokens = self._text.tokenize(note)
            self._tell("tokenise")
            vectors = self._text.encode_tokens(tokens)  # (1, d_t)
        self._tell("text", vectors)
        stands_in, remarks = self._text.is_stand_in(), tuple(self._text.remarks)
        found = NoteVector(vectors[0], self._finish(self._text, peaks), tokens.dropped, remarks)
        if self._cache is not None and name is not None and not stands_in:  # next time the right engine may work
            with clock.stage("text"):
                self._cache.put(name, found)
        return found, False

    def _open(self, stage: Stage, later: Sequence[Stage], note: str | None) -> None:
        """Open the stage, unless it is open, after it was planned together with those that come later."""
        if stage.is_open:
            return
        if stage.spec.modality not in self._chosen:
            self._chosen |= self._plan([one for one in (stage, *later) if not one.is_open], note)
        stage.open(self._chosen[stage.spec.modality])
        self._tell(f"load {stage.spec.modality}")

    def _plan(self, needed: Sequence[Stage], note: str | None) -> dict[Modality, Chosen]:
        """How to run the stages that this sample needs; where they stay open, the next one may need the other too.

        Else the first of two encoders would take the room of the second wherever the first note is known or missing.
        """
        closed = [stage for stage in (self._text, self._image) if not stage.is_open]
        if self._keep_open and len(closed) > len(needed):
            with contextlib.suppress(DoesNotFit, BadInput):  # it may never be needed
                return self._plan_for(closed, note)
        return self._plan_for(needed, note)

    def _plan_for(self, stages: Sequence[Stage], note: str | None) -> dict[Modality, Chosen]:
        specs = {stage.spec.modality: stage.spec for stage in stages}
        engines = {modality: self._runs.settings[modality].engine for modality in specs}
        count = self.threads["image"] if self._runs.settings["image"].side_by_side else 1
        request = Request(self.kit, specs, engines, self._memory, note, self._keep_open, count)
        return plan(request, available_memory())

    def _tell(self, stage: str, given: NDArray[np.float32] | None = None) -> None:
        if self.watch is not None:
            self.watch(stage, given)

    def _finish(self, stage: Stage, peaks: list[int]) -> str:
        """The stage's engine; adds the most memory held with it to `peaks` and closes it unless it is kept."""
        engine = stage.engine
        peaks.append(process_memory().peak_rss_bytes + self._text.worker_peak_bytes + self._image.worker_peak_bytes)
        if not self._keep_open:
            stage.close()
        return engine

    def close(self) -> None:
        """Close both encoders and the text cache."""
        with self._lock:
            if self._cache is not None:
                self._cache.close()
            self._text.close()
            self._image.close()
