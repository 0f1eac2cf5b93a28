"""The ways to answer with two encoders on a device, the most comfortable first, and which of them fit.

Everything is told by the plan that `classify` makes before it loads an encoder (`edgefuse_runtimes.memory_plan`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edgefuse.answering.memory import MemorySetting, ways_to_run
from edgefuse.answering.text_cache import DEFAULT_MB
from edgefuse.planning.catalogue import names
from edgefuse.planning.device import Device
from edgefuse.planning.subject import Candidate, Subject, named
from edgefuse_runtimes.decoding import REDUCTIONS, PictureFacts, decoding_bytes, fitting_reduction
from edgefuse_runtimes.memory_plan import LIBRARIES, PROCESS, Need, Way, choose, frugal, in_q4, need

CACHE_BYTES = DEFAULT_MB * 1_000_000
"""The most that the text cache takes."""
PHOTOGRAPH = PictureFacts("JPEG", "RGB", 4000, 3000)
"""What a telephone takes: 12 megapixels."""
CLEARLY = 0.9
"""Share of an encoder's bytes below which another one is smaller, and not the same from another tool."""
SHORTEST = 256
"""Pixels of a short side that encoders resize to, so that a photograph is never decoded smaller."""


@dataclass(frozen=True)
class Moment:
    """What is held in memory at one moment of an answer."""

    does: tuple[str, ...]
    """"photograph", or the modalities of the encoders that are open."""
    ways: tuple[Way, ...]
    """How the encoders are run."""
    need: Need

    @property
    def memory_bytes(self) -> int:
        """Without which it cannot be, the process itself included."""
        return PROCESS + self.need.must_be_there


@dataclass(frozen=True)
class Option:
    """One way to answer."""

    key: str
    words: str
    is_same_kit: bool
    """Whether edgefuse can do so with the very kit."""
    moments: tuple[Moment, ...]
    disk_bytes: int
    device: Device

    @property
    def memory_bytes(self) -> int:
        """At its most demanding moment."""
        return max(moment.memory_bytes for moment in self.moments)

    @property
    def fits_memory(self) -> bool:
        """Whether the device leaves so much memory."""
        return self.memory_bytes <= self.device.memory_bytes

    @property
    def fits_disk(self) -> bool:
        """Whether the device leaves so much disk."""
        return self.disk_bytes <= self.device.disk_bytes

    @property
    def fits(self) -> bool:
        """Whether it can be done there."""
        return self.fits_memory and self.fits_disk

    @property
    def is_comfortable(self) -> bool:
        """Whether it fits and its weights stay in memory."""
        return self.fits and not self.read_again_bytes

    @property
    def read_again_bytes(self) -> int:
        """Weights that do not stay in memory and are read from the disk for every answer."""
        left = self.device.memory_bytes
        return max((m.need.mapped for m in self.moments if m.need.mapped > left - m.memory_bytes), default=0)


@dataclass(frozen=True)
class Asked:
    """How the user wants the encoders to be run."""

    subject: Subject
    device: Device
    engine: str = "auto"


def options(asked: Asked) -> list[Option]:
    """All ways to answer, the most comfortable first; "text-first" is what `classify` does for one answer."""
    same = [
        _both_open(asked, "normal", "both encoders stay open, weights made ready for speed"),
        _both_open(asked, "low", "both encoders stay open, low memory"),
        _one_by_one("text-first", "text first, then the picture, low memory", asked),
    ]
    texts, images = _smaller(asked.subject.text), _smaller(asked.subject.image)
    changed = [
        *_other_precisions(asked),
        *_best([_with(asked, "smaller-text", text) for text in texts]),
        *_best([_with(asked, "smaller-image", image) for image in images]),
    ]
    if not any(option.is_comfortable for option in (*same, *changed)):
        changed += _best([_with(asked, "smaller-both", image, text) for image in images for text in texts])
    return [*same, *changed, _image_only(asked)]


def for_many(asked: Asked) -> str | None:
    """Which option `classify` takes for a folder or a table by itself; None: none of them fits."""
    encoders = [(one.facts, _ways(asked, one, "auto")) for one in (asked.subject.text, asked.subject.image)]
    ways = choose(encoders, _room(asked.device), kept=True, leave_half=True)
    if ways is None:
        return None
    return "normal" if any(way.memory == "normal" for way in ways) else "low"


def _both_open(asked: Asked, memory: MemorySetting, words: str) -> Option:
    both = (asked.subject.text, asked.subject.image)
    return _option(memory, words, asked, [_photograph(asked.device), _moment(asked, both, memory, kept=True)])


def _one_by_one(key: str, words: str, asked: Asked, *, is_same_kit: bool = True) -> Option:
    both = (asked.subject.text, asked.subject.image)
    encoding = [_moment(asked, (one,), "low", kept=False) for one in both]
    return _option(key, words, asked, [_photograph(asked.device), *encoding], is_same_kit=is_same_kit)


def _image_only(asked: Asked) -> Option:
    moments = [_photograph(asked.device), _moment(asked, (asked.subject.image,), "low", kept=False)]
    return _option("image-only", "the picture alone, without its note", asked, moments)


def _other_precisions(asked: Asked) -> Iterator[Option]:
    """The same encoders in smaller files: those that the kit carries, and q4_k_m."""
    subject = asked.subject
    mains = {"image": subject.image, "text": subject.text}
    found = [one for one in subject.alternatives if one.facts.weight_bytes < mains[one.modality].facts.weight_bytes]
    if subject.text.facts.precision == "q8_0" and not any(one.facts.precision == "q4_k_m" for one in found):
        found.append(replace(subject.text, facts=in_q4(subject.text.facts)))
    for one in found:
        precision = one.facts.precision
        key = "q4" if precision == "q4_k_m" else f"{one.modality}-{precision}"
        words = f"text first, the {one.modality} encoder in {precision}"
        option = _one_by_one(key, words, _changed(asked, one), is_same_kit=False)
        is_carried = one in subject.alternatives and subject.carried_bytes > 0
        yield replace(option, is_same_kit=True, disk_bytes=_disk_bytes(subject)) if is_carried else option


def _smaller(now: Candidate) -> list[Candidate]:
    """Those of the catalogue that are smaller, the smallest first."""
    known = [named(now.modality, name) for name in names(now.modality)]
    return [one for one in known if one.facts.weight_bytes < CLEARLY * now.facts.weight_bytes]


def _best(made: list[Option]) -> list[Option]:
    """The last that fits and whose weights stay in memory, else the last that fits, else the first; none of none."""
    comfortable = [option for option in made if option.is_comfortable]
    return comfortable[-1:] or [option for option in made if option.fits][-1:] or made[:1]


def _with(asked: Asked, key: str, *others: Candidate) -> Option:
    """The text first, with other encoders than those that are asked about."""
    words = f"text first, with {' and '.join(one.words for one in others)}"
    return _one_by_one(key, words, _changed(asked, *others), is_same_kit=False)


def _changed(asked: Asked, *others: Candidate) -> Asked:
    by_modality = {"image": asked.subject.image, "text": asked.subject.text} | {one.modality: one for one in others}
    return replace(asked, subject=replace(asked.subject, image=by_modality["image"], text=by_modality["text"]))


def _option(key: str, words: str, asked: Asked, moments: Sequence[Moment], *, is_same_kit: bool = True) -> Option:
    return Option(key, words, is_same_kit, tuple(moments), _disk_bytes(asked.subject), asked.device)


def _disk_bytes(subject: Subject) -> int:
    return subject.disk_bytes + CACHE_BYTES


def _moment(asked: Asked, encoders: Sequence[Candidate], memory: MemorySetting, *, kept: bool) -> Moment:
    """The fastest way that fits, or where none does the most frugal one."""
    choices = [(one.facts, _ways(asked, one, memory)) for one in encoders]
    ways = choose(choices, _room(asked.device), kept=kept, leave_half=False) or frugal(choices, kept=kept)
    total = sum((need(one.facts, way, kept=kept) for one, way in zip(encoders, ways, strict=True)), Need())
    return Moment(tuple(one.modality for one in encoders), ways, total)


def _photograph(device: Device) -> Moment:
    """Decoding a telephone's photograph, smaller where it does not fit, as `classify` does."""
    reduction = fitting_reduction(PHOTOGRAPH, _room(device), SHORTEST) or REDUCTIONS[-1]
    need = Need(activations=decoding_bytes(PHOTOGRAPH, reduction), libraries=LIBRARIES["numpy"])
    return Moment(("photograph",), (), need)


def _ways(asked: Asked, one: Candidate, memory: MemorySetting) -> list[Way]:
    return ways_to_run(one.facts.format, asked.engine, memory, asked.device.usable)


def _room(device: Device) -> int:
    """What is left beside the process itself."""
    return device.memory_bytes - PROCESS
