"""A prediction as a small page for people."""

from __future__ import annotations

import click

from edgefuse.answering.prediction import Prediction

BAR = 30
"""Widest bar, in characters."""


def render(prediction: Prediction, *, drawn: bool, unicode: bool) -> str:
    """The page, with terminal colours; `unicode=False` keeps to ASCII for terminals that know nothing else."""
    rows = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    width = max(len(name) for name in prediction.probabilities)
    color = "yellow" if prediction.referred else "green"
    lines = ["", f"  {_headline(prediction, color)}", ""]
    if prediction.referred:
        refer = click.style("REFER", bold=True, fg=color)
        lines = ["", f"  {refer}  ask a clinician", f"  {prediction.reason}", *lines]
    for name, probability in rows:
        first = name in prediction.labels
        bar = _bar(probability, unicode)
        lines.append(
            f"  {click.style(f'{name:<{width}}', bold=first)}  "
            f"{click.style(bar, fg=color if first else 'blue')} {probability:6.1%}"
        )
    given = [modality for modality in ("text", "image") if modality not in prediction.missing]
    times = prediction.timings_ms
    facts = {
        **({"picture": prediction.image} if prediction.image is not None else {}),
        "kit": f"{prediction.kit['name']} {prediction.kit['version']}",
        "engines": ", ".join(_engine(prediction, modality) for modality in reversed(given))
        + (", as tune chose" if prediction.tuned else ""),
        "time": f"{times['total']:.0f} ms: load {times['load']:.0f}, "
        f"{''.join(f'{modality} {times[modality]:.0f}, ' for modality in given)}head {times['head']:.1f}",
        "memory": f"{prediction.memory['peak_rss_bytes'] / 2**20:.0f} MiB at the most",
        **({"stored": f"as number {prediction.number}"} if prediction.number is not None else {}),
    }
    lines += ["", *(f"  {click.style(f'{name:<8}', dim=True)} {value}" for name, value in facts.items())]
    remarks = list(prediction.notes)
    if drawn:
        remarks.append("This kit was trained on the drawn example: its labels are invented, not medicine.")
    if remarks:
        lines += ["", *(f"  {click.style('note', fg='yellow')}     {remark}" for remark in remarks)]
    return "\n".join([*lines, ""])


def _headline(prediction: Prediction, color: str) -> str:
    """Every class that holds, with its probability."""
    if not prediction.labels:
        return click.style("none of the classes", bold=True, fg=color)
    return ", ".join(
        f"{click.style(name, bold=True, fg=color)}  {prediction.probabilities[name]:.0%}" for name in prediction.labels
    )


def _engine(prediction: Prediction, modality: str) -> str:
    cached = " (vector from the cache)" if modality in prediction.cached else ""
    return f"{modality} {prediction.engines[modality]}{cached}"


def _bar(probability: float, unicode: bool) -> str:
    if not unicode:
        return f"{'#' * round(probability * BAR):<{BAR}}"
    eighths = round(probability * BAR * 8)
    return f"{'█' * (eighths // 8) + ' ▏▎▍▌▋▊▉'[eighths % 8].strip():<{BAR}}"
