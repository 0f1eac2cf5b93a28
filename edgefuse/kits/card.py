"""The model card of a kit: what it is, for whom, from what data, how good, with which limits and licences.

All of it comes from the manifest, which a stranger may have written: what is not there or of another kind is left out,
and nothing that could steer a terminal is printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from edgefuse.kits.kit import Kit
from edgefuse.progress import in_bytes
from edgefuse_runtimes.spec import EncoderSpec

HEADS = {"fused": "picture and note", "image_only": "picture alone", "text_only": "note alone", "majority": "majority"}
FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
LONGEST = 500
"""Characters of one text on the card."""
NOT_MEDICAL = "edgefuse is not a medical device: no answer replaces a clinician's judgement."
DRAWN = "unknown: it was trained on the drawn example, whose labels are invented"
NOT_TOLD = "not told when it was packed"


def model_card(kit: Kit, signer: str) -> str:
    """The card as a page, with terminal colours.

    Args:
        kit: whose manifest was checked; its files are not read.
        signer: who signed it, as words.
    """
    said = kit.manifest
    card, data = _table(said, "card"), _table(said, "dataset")
    size = in_bytes(sum(kit.hashes.values()))
    parts = {
        "What": [
            _text(card.get("purpose")) or NOT_TOLD,
            f"answers: {', '.join(map(_text, kit.classes))}",
            *_names(kit),
        ],
        "For whom": [_text(card.get("intended_for")) or NOT_TOLD],
        "Data": _data(kit, data),
        "How good": [DRAWN] if kit.drawn else _figures(_table(said, "evaluation")),
        "Limits": [*_texts(card.get("limits")), *_known_limits(kit), NOT_MEDICAL],
        "Encoders": [_encoder(spec) for spec in (*kit.encoders(), *kit.alternatives)],
        "Licences": _licences(kit, data),
        "Budget": [f"{size} of disk", *_budget(kit)],
        "Signed by": [signer],
    }
    lines = ["", f"  {click.style(f'{kit.name} {kit.version}', bold=True)}", f"  {click.style(kit.digest, dim=True)}"]
    for title, sentences in parts.items():
        lines += ["", f"  {click.style(title, bold=True, fg='blue')}", *(f"    {sentence}" for sentence in sentences)]
    return "\n".join([*lines, ""])


def _names(kit: Kit) -> list[str]:
    """What classes are called, a line for each language."""
    return [
        f"{language}: {', '.join(f'{name} = {names[name]}' for name in kit.classes if name in names)}"
        for language, names in sorted(kit.class_names.items())
    ]


def _data(kit: Kit, data: Mapping[str, Any]) -> list[str]:
    evaluation = _table(kit.manifest, "evaluation")
    head = _table(_table(kit.manifest, "head"), "training")
    rows = f"{_text(data.get('name')) or 'unknown'}: {_text(head.get('rows'))} training rows, "
    return [f"{rows}{_text(evaluation.get('n'))} test rows of {_text(evaluation.get('groups'))} groups"]


def _figures(evaluation: Mapping[str, Any]) -> list[str]:
    """A row for each head: figures on the test rows, with their intervals."""
    metrics, intervals = _table(evaluation, "metrics"), _table(evaluation, "intervals")
    level = _table(evaluation, "bootstrap").get("level")
    lines = [(f"{'':<18}" + "".join(f"{name:<22}" for name in FIGURES.values())).rstrip()]
    for key, name in HEADS.items():
        cells = []
        for figure in FIGURES:
            value, interval = _table(metrics, key).get(figure), _table(intervals, key).get(figure)
            spread = ""
            if isinstance(interval, list) and len(interval) == 2 and all(map(_is_number, interval)):
                spread = f" [{interval[0]:.2f}, {interval[1]:.2f}]"
            cells.append(f"{value:.3f}{spread}" if _is_number(value) else "unknown")
        lines.append((f"{name:<18}" + "".join(f"{cell:<22}" for cell in cells)).rstrip())
    if _is_number(level):
        lines.append(f"in brackets: {level:.0%} intervals over draws of whole groups")
    return lines


def _known_limits(kit: Kit) -> list[str]:
    return [*map(_text, kit.leaks), *_texts(_table(kit.manifest, "evaluation").get("warnings"))]


def _encoder(spec: EncoderSpec) -> str:
    name = _text(spec.source.get("name")) or "unknown"
    return f"{spec.modality}: {name}, {_text(spec.precision)}, {spec.width} wide, {in_bytes(spec.total_bytes)}"


def _licences(kit: Kit, data: Mapping[str, Any]) -> list[str]:
    mains = kit.encoders()
    licences = {f"{spec.modality} encoder": _text(spec.licence) for spec in mains}
    licences["data"] = _text(data.get("licence"))
    given = _table(kit.manifest, "golden_source")
    if given:
        licences["golden samples"] = _terms(given)
    labelled = _table(kit.manifest, "evaluation_samples")
    samples = labelled.get("samples")
    if isinstance(samples, list):
        licences[f"{len(samples)} evaluation samples"] = _terms(labelled)
    return [f"{what}: {text or 'unknown'}" for what, text in licences.items()]


def _terms(given: Mapping[str, Any]) -> str:
    return f"{_text(given.get('licence'))}; consent: {_text(given.get('consent'))}"


def _budget(kit: Kit) -> list[str]:
    budget = kit.budget
    lines = [f"an answer in {budget['latency_ms']:.0f} ms at the most"] if "latency_ms" in budget else []
    lines += [f"{in_bytes(budget['ram_bytes'])} of memory at the most"] if "ram_bytes" in budget else []
    return lines or [f"memory and time of an answer: {NOT_TOLD}"]


def _table(said: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = said.get(key)
    return part if isinstance(part, dict) else {}


def _texts(value: Any) -> Iterable[str]:
    return [_text(item) for item in value[:20]] if isinstance(value, list) else []


def _text(value: Any) -> str:
    """A value as one line that shows all it holds; "" for what is no text or number."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in str(value)[:LONGEST])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
