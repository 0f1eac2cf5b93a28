"""The tables of a report that tell how good the heads are; the first is the paper's Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgefuse.evaluation.page import UNKNOWN
from edgefuse.evaluation.subgroups import FEWEST_OF_A_CLASS, FEWEST_ROWS
from edgefuse.pages.sheets import Column, Row, Sheet, Value, change, estimate, number, share, within
from edgefuse.study.config import Study
from edgefuse.study.pooling import Pooled
from edgefuse.training.report import NAMES


def accuracy_sheet(study: Study, pooled: Sequence[Pooled], raw: Sequence[Mapping[str, Any]]) -> Sheet:
    """Table 1: accuracy and macro-F1 of every method."""
    rows: list[Row] = []
    for one in pooled:
        rows += [_accuracy_row(one, method) for method in ("fused",)]
    for name in dict.fromkeys(one.name for one in pooled):
        of_name = next(one for one in pooled if one.name == name)
        rows += [_accuracy_row(of_name, method) for method in ("image_only", "text_only")]
    rows.append(_accuracy_row(pooled[0], "majority"))
    rows += [_raw_accuracy(one) for one in raw]
    validated = all(one.validation for one in pooled)
    columns = [
        Column("encoders", ("encoders",)),
        Column("method", ("method",)),
        *([Column("macro-F1, validation", ("macro_f1_validation",), share)] if validated else []),
        Column("accuracy", ("accuracy", "accuracy_sd"), share),
        Column("95 % interval", ("accuracy_low", "accuracy_high"), _interval),
        Column("macro-F1", ("macro_f1", "macro_f1_sd"), share),
        Column("95 % interval", ("macro_f1_low", "macro_f1_high"), _interval),
        Column("AUROC", ("auroc", "auroc_low", "auroc_high"), within),
    ]
    judged = pooled[0].judged
    remarks = [
        f"Mean over {study.training.seeds} seeds ± their standard deviation; each seed divides {judged['samples']} "
        f"samples of {judged['groups']} groups anew into {study.training.folds} folds, and every sample is answered by "
        f"a head that saw none of its group. Intervals: {judged['bootstrap']['draws']} draws of whole groups, of the "
        "answers of all seeds together."
    ]
    if validated:
        remarks.append(
            "Validation: the mean over all folds and seeds, of each head's own validation rows. They chose its epoch "
            "and shift, so the figure flatters; it chooses, of the fused heads, the one that is shown in detail."
        )
    if raw:
        remarks.append("Raw baselines: one run each, on the test rows of the table's own split alone.")
    return Sheet("table-1-accuracy", "Table 1. Accuracy and macro-F1", tuple(columns), tuple(rows), tuple(remarks))


def difference_sheet(pooled: Sequence[Pooled]) -> Sheet:
    """Fused minus each baseline, of the same samples and draws."""
    rows = [
        {
            "encoders": one.name,
            "fusion": one.fusion,
            "minus": NAMES[method],
            **_flat("macro_f1", one.judged["differences"][method]["macro_f1"]),
            **_flat("accuracy", one.judged["differences"][method]["accuracy"]),
            "strong": _above(one.judged["differences"][method]["macro_f1"]),
        }
        for one in pooled
        for method in ("image_only", "text_only", "majority")
    ]
    columns = (
        Column("encoders", ("encoders",)),
        Column("fused", ("fusion",)),
        Column("minus", ("minus",)),
        Column("macro-F1", ("macro_f1", "macro_f1_low", "macro_f1_high"), change),
        Column("accuracy", ("accuracy", "accuracy_low", "accuracy_high"), change),
    )
    remark = "Paired: the same draws for both. Bold where all of macro-F1's interval is above 0."
    return Sheet("differences", "What fusing gains", columns, tuple(rows), (remark,))


def class_sheet(one: Pooled) -> Sheet:
    """Per-class F1 and AUROC of one fused head and its baselines."""
    judged = one.judged
    metrics, intervals = judged["metrics"], judged["intervals"]
    rows = [
        {
            "class": name,
            "answers": judged["rows_per_class"][name],
            "text_only": metrics["text_only"]["class_f1"][name],
            "image_only": metrics["image_only"]["class_f1"][name],
            **estimate("fused", metrics["fused"]["class_f1"][name], intervals["fused"]["class_f1"][name]),
            **estimate("auroc", metrics["fused"]["class_auroc"][name], intervals["fused"]["class_auroc"][name]),
        }
        for name in judged["classes"]
    ]
    columns = (
        Column("class", ("class",)),
        Column("answers", ("answers",), number(0)),
        Column("F1 text-only", ("text_only",), share),
        Column("F1 image-only", ("image_only",), share),
        Column("F1 fused", ("fused", "fused_low", "fused_high"), within),
        Column("AUROC fused", ("auroc", "auroc_low", "auroc_high"), within),
    )
    return Sheet("classes", f"Every class: {one.title}", columns, tuple(rows))


def calibration_sheet(pooled: Sequence[Pooled]) -> Sheet:
    """Calibration before and after temperature scaling."""
    rows: list[Row] = []
    for one in pooled:
        for when, words in (("before", "at temperature 1"), ("after", "after scaling")):
            found = one.judged["calibration"]["methods"]["fused"][when]
            low, high = found["ece_if_calibrated"]["range"]
            rows.append(
                {
                    "encoders": one.name,
                    "fusion": one.fusion,
                    "when": words,
                    "ece": found["ece"],
                    **estimate("chance", found["ece_if_calibrated"]["mean"], (low, high)),
                    **estimate("brier", found["brier"], found["brier_interval"]),
                    "log_loss": found["log_loss"],
                    "strong": when == "after" and found["ece"] <= high,
                }
            )
    columns = (
        Column("encoders", ("encoders",)),
        Column("fused", ("fusion",)),
        Column("", ("when",)),
        Column("ECE", ("ece",), share),
        Column("ECE if perfectly calibrated", ("chance", "chance_low", "chance_high"), within),
        Column("Brier", ("brier", "brier_low", "brier_high"), within),
        Column("log loss", ("log_loss",), share),
    )
    calibration = pooled[0].judged["calibration"]
    remark = (
        f"ECE over {calibration['bins']} bins of {calibration['claims']}. Beside it what a perfectly calibrated "
        f"model with the same probabilities would show on as many answers, from {calibration['simulations']} simulated "
        "ones. Bold: scaled, and within what chance gives."
    )
    return Sheet("calibration", "Calibration", columns, tuple(rows), (remark,))


def referral_sheet(pooled: Sequence[Pooled]) -> Sheet | None:
    """What referring the least sure answers gains; None of multilabel rows."""
    if pooled[0].judged["referral"] is None:
        return None
    rows = []
    for one in pooled:
        for method in ("fused", "image_only"):
            found = one.judged["referral"]["methods"][method]
            kept = found["threshold"] or {}
            rows.append(
                {
                    "encoders": one.name,
                    "method": _method(one, method),
                    **_flat("accuracy", {"value": found["curve"][-1]["accuracy"], "interval": None}),
                    **_flat("kept", found["accuracy_at_coverage"]),
                    **_flat("gain", found["gain"]),
                    **_flat("area", found["area"]),
                    "coverage": kept.get("coverage", {}).get("value"),
                    "right": kept.get("accuracy", {}).get("value"),
                    "strong": method == "fused",
                }
            )
    coverage = f"{pooled[0].judged['referral']['coverage']:.0%}"
    columns = (
        Column("encoders", ("encoders",)),
        Column("method", ("method",)),
        Column("accuracy, all answered", ("accuracy",), share),
        Column(f"accuracy, surest {coverage}", ("kept", "kept_low", "kept_high"), within),
        Column("gain", ("gain", "gain_low", "gain_high"), change),
        Column("area under risk-coverage", ("area", "area_low", "area_high"), within),
        Column("answered at the head's threshold", ("coverage",), share),
        Column("of these right", ("right",), share),
    )
    remarks = ("The threshold is the one that each head's validation rows chose; empty where none was asked for.",)
    return Sheet("referral", "Referring the least sure", columns, tuple(rows), remarks)


def subgroup_sheet(one: Pooled) -> Sheet:
    """The fused head's figures for every value of every subgroup."""
    rows: list[Row] = []
    for name, parts in one.judged["subgroups"].items():
        for value, part in parts.items():
            metrics, intervals = part["metrics"]["fused"], part["intervals"]["fused"]
            rows.append(
                {
                    "subgroup": f"{name}: {value or UNKNOWN}",
                    "samples": part["samples"],
                    "groups": part["groups"],
                    **estimate("accuracy", metrics["accuracy"], intervals["accuracy"]),
                    **estimate("macro_f1", metrics["macro_f1"], intervals["macro_f1"]),
                    **_flat("gain", part["differences"]["image_only"]["macro_f1"]),
                    "ece": part["calibration"]["ece"],
                    "few": _few(part["too_few"]),
                }
            )
    columns = (
        Column("subgroup", ("subgroup",)),
        Column("samples", ("samples",), number(0)),
        Column("groups", ("groups",), number(0)),
        Column("accuracy", ("accuracy", "accuracy_low", "accuracy_high"), within),
        Column("macro-F1", ("macro_f1", "macro_f1_low", "macro_f1_high"), within),
        Column("macro-F1, fused minus image-only", ("gain", "gain_low", "gain_high"), change),
        Column("ECE", ("ece",), share),
        Column("too few", ("few",)),
    )
    remark = (
        f"Too few: under {FEWEST_ROWS} samples in all, or under {FEWEST_OF_A_CLASS} of the classes named. Macro-F1 is "
        "over the classes that occur, so it cannot be compared between subgroups that lack different ones."
    )
    return Sheet("subgroups", f"Subgroups: {one.title}", columns, tuple(rows), (remark,))


def _accuracy_row(one: Pooled, method: str) -> Row:
    accuracy, accuracy_sd = one.spread(method, "accuracy")
    macro_f1, macro_f1_sd = one.spread(method, "macro_f1")
    judged = one.judged
    intervals = {
        f"{name}_{end}": value
        for name in ("accuracy", "macro_f1")
        for end, value in zip(("low", "high"), judged["intervals"][method][name] or (None, None), strict=True)
    }
    fixed = method == "majority"
    return {
        "encoders": "" if fixed else one.name,
        "method": _method(one, method),
        "macro_f1_validation": one.validation.get(method),
        "accuracy": accuracy,
        "accuracy_sd": None if fixed else accuracy_sd,
        "macro_f1": macro_f1,
        "macro_f1_sd": None if fixed else macro_f1_sd,
        **intervals,
        **estimate("auroc", judged["metrics"][method]["auroc"], judged["intervals"][method]["auroc"]),
        "strong": method == "fused",
    }


def _raw_accuracy(raw: Mapping[str, Any]) -> Row:
    figures = {key: raw[key] for key in ("accuracy", "macro_f1")}
    return {"encoders": raw["name"], "method": f"{raw['method']} ({raw['rows']} rows)", **figures}


def _method(one: Pooled, method: str) -> str:
    return f"fused, {one.fusion}" if method == "fused" else NAMES[method]


def _flat(name: str, found: Mapping[str, Any]) -> dict[str, Value]:
    return estimate(name, found["value"], found["interval"])


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{share(low)} to {share(high)}"


def _few(too_few: Sequence[str]) -> str:
    return ", ".join("samples" if name == "rows" else name for name in too_few)


def _above(found: Mapping[str, Any]) -> bool:
    return found["interval"] is not None and found["interval"][0] > 0
