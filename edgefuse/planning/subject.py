"""What a plan is made for: an image and a text encoder, from a kit or from the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from edgefuse.kits.kit import Kit
from edgefuse.planning.catalogue import CATALOGUE
from edgefuse.training.shapes import early, image_only, text_only
from edgefuse_runtimes.encoder_facts import EncoderFacts, encoder_facts
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.memory_plan import FLOAT
from edgefuse_runtimes.spec import EncoderSpec, Modality

GOLDEN_BYTES = 750_000
"""Of the golden samples of a kit, which are the same in all kits so far."""
CLASSES = 7
"""Of a head that does not exist yet; its width counts for far more."""


@dataclass(frozen=True)
class Candidate:
    """An encoder file that may be run."""

    modality: Modality
    title: str
    """What people call it."""
    facts: EncoderFacts

    @property
    def words(self) -> str:
        """Title and precision."""
        return f"{self.title} in {self.facts.precision}"

    @property
    def disk_bytes(self) -> int:
        """Of its file and its tokenizer's."""
        return self.facts.weight_bytes + self.facts.tokenizer_bytes


@dataclass(frozen=True)
class Subject:
    """The encoders of one kit, also of one that is only thought of."""

    name: str
    """As the beginning of a sentence."""
    image: Candidate
    text: Candidate
    beside_bytes: int
    """Of the kit's other files: head, golden samples, manifest."""
    alternatives: tuple[Candidate, ...] = ()
    """Other precisions that the kit holds, or that could be exported instead."""
    carried_bytes: int = 0
    """Of the alternatives that take room in the kit, whether they are run or not."""

    @property
    def disk_bytes(self) -> int:
        """Of the whole kit."""
        return self.image.disk_bytes + self.text.disk_bytes + self.beside_bytes + self.carried_bytes


def of_kit(kit: Kit, precision: str | None = None) -> Subject:
    """A kit that is there, run in `precision` where it has that.

    Raises:
        BadInput: an encoder's file is missing or damaged, or the kit has no file of that precision.
    """
    run = kit.encoders(precision)
    image, text = (_of_file(kit, spec) for spec in run)
    others = [spec for spec in (kit.image, kit.text, *kit.alternatives) if spec not in run]
    carried = sum(spec.total_bytes for spec in others)
    listed = sum(file["bytes"] for file in kit.files.values())
    return Subject(
        name=f"The kit {kit.name}",
        image=image,
        text=text,
        beside_bytes=listed - image.disk_bytes - text.disk_bytes - carried,
        alternatives=tuple(_of_file(kit, spec) for spec in others),
        carried_bytes=carried,
    )


def of_names(image: str, text: str, precision: str | None = None) -> Subject:
    """A kit of two encoders of the catalogue, each in `precision` where it can be exported so, else in its usual one.

    Raises:
        BadInput: an encoder is not in the catalogue, or none can be exported in that precision.
    """
    chosen = (named("image", image, precision), named("text", text, precision))
    if precision is not None and precision not in {one.facts.precision for one in chosen}:
        can = "; ".join(f"{name}: {', '.join(CATALOGUE[name].architecture.precisions)}" for name in (image, text))
        raise BadInput(f"Neither encoder can be exported in {precision!r} ({can}); choose another --precision.")
    others = [
        named(one.modality, name, other)
        for one, name in zip(chosen, (image, text), strict=True)
        for other in CATALOGUE[name].architecture.precisions
        if other != one.facts.precision
    ]
    head = head_bytes(CATALOGUE[text].architecture.vector_width, CATALOGUE[image].architecture.vector_width)
    return Subject(
        f"{chosen[0].title} with {chosen[1].title}", chosen[0], chosen[1], head + GOLDEN_BYTES, tuple(others)
    )


def named(modality: Modality, name: str, precision: str | None = None) -> Candidate:
    """An encoder of the catalogue, in its usual precision where it cannot be exported in the one asked for.

    Raises:
        BadInput: it is not in the catalogue.
    """
    known = CATALOGUE.get(name)
    if known is None or known.modality != modality:
        there = ", ".join(other for other, one in CATALOGUE.items() if one.modality == modality)
        raise BadInput(f"{name!r} is no {modality} encoder that plan knows; choose one of {there}, or name a --kit.")
    precisions = known.architecture.precisions
    facts = known.architecture.facts(precision if precision in precisions else precisions[0])
    return Candidate(modality, known.title, facts)


def head_bytes(text_width: int, image_width: int) -> int:
    """Of head.npz: the early head, those for one modality alone, and what brings the wider vector down."""
    width = min(text_width, image_width)
    shapes = (early(width, width, CLASSES), text_only(width, CLASSES), image_only(width, width, CLASSES))
    projection = 0 if text_width == image_width else max(text_width, image_width) * width
    return FLOAT * (sum(shape.parameter_count for shape in shapes) + projection)


def _of_file(kit: Kit, spec: EncoderSpec) -> Candidate:
    return Candidate(spec.modality, spec.file, encoder_facts(spec, kit.file))
