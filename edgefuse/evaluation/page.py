"""evaluation.json as the tables that `edgefuse evaluate` prints, with terminal colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from edgefuse.splits.grouped import split_words
from edgefuse.training.report import DRAWN, NAMES, figure_lines

TITLES = {"accuracy": "accuracy", "balanced_accuracy": "balanced acc.", "macro_f1": "macro-F1", "auroc": "AUROC"}
"""Of the figures that are one number."""
FIRST, CELL = 12, 19
"""Widths of a table's first column and of the others."""
UNKNOWN = "(not known)"
"""For a subgroup of rows whose cell is empty."""


def render(evaluation: Mapping[str, Any]) -> list[str]:
    """All lines."""
    lines = [*_heading(evaluation), "", *_figures(evaluation), "", *_differences(evaluation), "", *_classes(evaluation)]
    lines += ["", *_calibration(evaluation["calibration"])]
    if evaluation["referral"] is not None:
        lines += ["", *_referral(evaluation["referral"])]
    for name, parts in evaluation["subgroups"].items():
        lines += ["", *_subgroup(name, parts)]
    lines += ["", *_cost(evaluation["cost"])]
    return [*lines, "", DRAWN] if evaluation["drawn"] else lines


def brief(evaluation: Mapping[str, Any]) -> list[str]:
    """The lines of accuracy and macro-F1 alone."""
    lines = [_heading(evaluation)[0], *figure_lines(evaluation["metrics"], evaluation["n"])]
    return [*lines, DRAWN] if evaluation["drawn"] else lines


def short(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """A share as ".713", or "+.042" of a difference; "-" where there is none."""
    if value is None:
        return "-"
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and not text.lstrip("+-").startswith("1") else text


def span(interval: Sequence[float] | None, *, signed: bool = False) -> str:
    """An interval as "[.61, .80]"; "" where there is none."""
    if interval is None:
        return ""
    low, high = (short(bound, 2, signed=signed) for bound in interval)
    return f"[{low},{high}]" if signed else f"[{low}, {high}]"


def _heading(evaluation: Mapping[str, Any]) -> list[str]:
    split, drawing = evaluation["split"], evaluation["bootstrap"]
    where = split_words(evaluation["dataset"], split["seed"])
    name = click.style(evaluation["dataset"]["name"], bold=True)
    return [
        f"{name}: {evaluation['n']} test rows of {evaluation['groups']} groups, {where}",
        click.style(f"{drawing['level']:.0%} intervals over {drawing['draws']} draws of whole groups", dim=True),
    ]


def _figures(evaluation: Mapping[str, Any]) -> list[str]:
    lines = [_row("", TITLES.values())]
    for method, name in NAMES.items():
        values, intervals = evaluation["metrics"][method], evaluation["intervals"][method]
        line = _row(name, (f"{short(values[key])} {span(intervals[key])}".rstrip() for key in TITLES))
        lines.append(click.style(line, bold=method == "fused"))
    return lines


def _differences(evaluation: Mapping[str, Any]) -> list[str]:
    lines = ["fused minus"]
    for method, name in NAMES.items():
        if method != "fused":
            cells = (evaluation["differences"][method][key] for key in TITLES)
            lines.append(f"{name:<{FIRST}}" + "".join(_difference(cell) for cell in cells))
    return lines


def _difference(cell: Mapping[str, Any]) -> str:
    """Green where all of the interval is above 0, red where it is below."""
    interval = cell["interval"]
    text = f"{short(cell['value'], signed=True)} {span(interval, signed=True)}".rstrip()
    color = None if interval is None or interval[0] <= 0 <= interval[1] else "green" if interval[0] > 0 else "red"
    return click.style(f"{text:>{CELL}}", fg=color)


def _classes(evaluation: Mapping[str, Any]) -> list[str]:
    metrics, intervals = evaluation["metrics"], evaluation["intervals"]
    width = max(FIRST, *(len(name) for name in evaluation["classes"]))
    lines = [
        f"{'class':<{width}}{'rows':>6}{'F1 text-only':>15}{'F1 image-only':>15}{'F1 fused':>19}{'AUROC fused':>19}"
    ]
    for name in evaluation["classes"]:
        alone = (short(metrics[method]["class_f1"][name]) for method in ("text_only", "image_only"))
        fused = (
            f"{short(metrics['fused'][key][name])} {span(intervals['fused'][key][name])}".rstrip()
            for key in ("class_f1", "class_auroc")
        )
        cells = [f"{evaluation['rows_per_class'][name]:>6}", *(f"{cell:>15}" for cell in alone)]
        lines.append(f"{name:<{width}}" + "".join([*cells, *(f"{cell:>{CELL}}" for cell in fused)]))
    return lines


def _calibration(calibration: Mapping[str, Any]) -> list[str]:
    fused = calibration["methods"]["fused"]
    lines = [
        f"{'calibration of fused':<24}{'ECE':>8}{'if calibrated':>22}{'Brier':>10}{'log loss':>10}",
    ]
    for when, name in (("before", "at temperature 1"), ("after", "after temperature")):
        found = fused[when]
        chance = found["ece_if_calibrated"]
        by_chance = f"{short(chance['mean'])} {span(chance['range'])}"
        lines.append(
            f"{name:<24}{short(found['ece']):>8}{by_chance:>22}{short(found['brier']):>10}{short(found['log_loss']):>10}"
        )
    claims = f"{calibration['bins']} bins over {fused['after']['n']} claims, of {calibration['claims']}"
    return [*lines, click.style(claims, dim=True)]


def _referral(referral: Mapping[str, Any]) -> list[str]:
    """What answering only the surest rows would give, and what the head's own threshold gives."""
    share, fused = referral["coverage"], referral["methods"]["fused"]
    gain, area = fused["gain"], fused["area"]
    lines = [
        f"the surest {share:.0%} of the answers of fused: accuracy {_valued(fused['accuracy_at_coverage'])}, "
        f"{_valued(gain, signed=True)} against all",
        f"area under its risk-coverage curve: {_valued(area)}; least with as many errors {short(fused['least_area'])}",
    ]
    own = fused["threshold"]
    if own is None:
        return [*lines, "it has no threshold (see 'train --refer-accuracy') and refers nothing"]
    return [
        *lines,
        f"its own threshold answers {_valued(own['coverage'])} of the rows, with accuracy {_valued(own['accuracy'])}",
    ]


def _valued(found: Mapping[str, Any], *, signed: bool = False) -> str:
    return f"{short(found['value'], signed=signed)} {span(found['interval'], signed=signed)}".rstrip()


def _subgroup(name: str, parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each value; where rows or classes are few it is marked, and faint where rows are."""
    titles = ("accuracy fused", "macro-F1 fused", "AUROC fused", "fused less image")
    width = max(FIRST, len(name), *(len(value or UNKNOWN) for value in parts))
    lines = [f"{name:<{width}}{'rows':>6}{'groups':>8}" + "".join(f"{title:>{CELL}}" for title in titles)]
    for value, part in parts.items():
        metrics, intervals = part["metrics"]["fused"], part["intervals"]["fused"]
        cells = [f"{short(metrics[key])} {span(intervals[key])}".rstrip() for key in ("accuracy", "macro_f1", "auroc")]
        cells.append(_valued(part["differences"]["image_only"]["macro_f1"], signed=True))
        line = f"{value or UNKNOWN:<{width}}{part['n']:>6}{part['groups']:>8}" + "".join(
            f"{cell:>{CELL}}" for cell in cells
        )
        lines.append(_marked(line, part["too_few"]))
    return lines


def _cost(cost: Mapping[str, Any]) -> list[str]:
    """Time and memory of every method, its encoders' too."""
    titles = ("head MB", "vectors MB", "training s", "inference s", "encoders s/row", "encoders MiB")
    lines = [f"{'an epoch of':<{FIRST}}" + "".join(f"{title:>16}" for title in titles)]
    for method, name in NAMES.items():
        if method in cost["methods"]:
            found = cost["methods"][method]
            peak = found["encoder_peak_rss_bytes"]
            cells = (
                f"{found['head_mb']:.2f}",
                f"{found['embeddings_mb_per_epoch']:.2f}",
                _seconds(found["training_seconds_per_epoch"]),
                _seconds(found["inference_seconds_per_epoch"]),
                _seconds(found["encoder_seconds_per_sample"]),
                "-" if peak is None else f"{peak / 2**20:.0f}",
            )
            lines.append(f"{name:<{FIRST}}" + "".join(f"{cell:>16}" for cell in cells))
    rows = cost["rows"]
    return [*lines, click.style(f"{rows['train']} training and {rows['test']} test rows, {cost['machine']}", dim=True)]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _marked(line: str, too_few: Sequence[str]) -> str:
    if "rows" in too_few:
        return click.style(f"{line}  small", dim=True)
    classes = "1 class" if len(too_few) == 1 else f"{len(too_few)} classes"
    return f"{line}  few of {classes}" if too_few else line


def _row(first: str, cells: Iterable[str]) -> str:
    return f"{first:<{FIRST}}" + "".join(f"{cell:>{CELL}}" for cell in cells)
