"""The tables of a report that tell what heads and encoders take: the paper's Tables 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgefuse.embeddings.table import Table
from edgefuse.evaluation.megabytes import MEGABYTE, head_megabytes, read_megabytes
from edgefuse.pages.sheets import Column, Row, Sheet, number
from edgefuse.study.pooling import Pooled


def memory_sheet(pooled: Sequence[Pooled], tables: Mapping[str, Table], raw: Sequence[Mapping[str, Any]]) -> Sheet:
    """Table 2: megabytes of the head and of what an epoch reads, and the encoders' own."""
    rows: list[Row] = []
    for one in pooled:
        table = tables[one.name]
        training = one.training[0]
        outputs = 1 if one.predictions.task == "binary" else len(table.classes)
        width = table.text.shape[1] + table.image.shape[1]
        rows.append(
            {
                "encoders": one.name,
                "method": one.fusion,
                "head": head_megabytes(training["parameters"]),
                "parameters": training["parameters"],
                "read": read_megabytes(training["rows"] * (1 + table.view_count), width, outputs),
                **{
                    f"{modality}_peak": cost["peak_rss_bytes"] / MEGABYTE if cost else None
                    for modality in ("text", "image")
                    for cost in [table.cost.get(modality)]
                },
            }
        )
    rows += [_raw_memory(one) for one in raw]
    columns = (
        Column("encoders", ("encoders",)),
        Column("method", ("method",)),
        Column("parameters", ("parameters",), number(0)),
        Column("head, MB", ("head",), number(2)),
        Column("read per epoch, MB", ("read",), number(2)),
        Column("text encoder's peak, MB", ("text_peak",), number(0)),
        Column("image encoder's peak, MB", ("image_peak",), number(0)),
    )
    remark = (
        "1 MB is 2^20 bytes. Read per epoch: the float32 vectors of the training rows of one fold, and their labels, "
        "as the paper counts. The encoders' peak is that of the processes that ran them, Python and libraries too."
    )
    return Sheet("table-2-memory", "Table 2. Memory", columns, tuple(rows), (remark,))


def time_sheet(pooled: Sequence[Pooled], tables: Mapping[str, Table], raw: Sequence[Mapping[str, Any]]) -> Sheet:
    """Table 3: seconds of an epoch, and the encoders' own."""
    rows: list[Row] = []
    for one in pooled:
        table = tables[one.name]
        seconds = [each["seconds_per_epoch"]["fused"] for each in one.training]
        rows.append(
            {
                "encoders": one.name,
                "method": one.fusion,
                "training": sum(seconds) / len(seconds),
                "inference": sum(each["inference_seconds"] for each in one.training) / len(one.training),
                **{
                    f"{modality}_{name}": cost[key] if cost else None
                    for modality in ("text", "image")
                    for cost in [table.cost.get(modality)]
                    for name, key in (("once", "seconds"), ("each", "seconds_per_sample"))
                },
            }
        )
    rows += [_raw_time(one) for one in raw]
    columns = (
        Column("encoders", ("encoders",)),
        Column("method", ("method",)),
        Column("training, s per epoch", ("training",), number(3)),
        Column("inference, s per epoch", ("inference",), number(3)),
        Column("notes encoded once, s", ("text_once",), number(1)),
        Column("s a note", ("text_each",), number(3)),
        Column("pictures encoded once, s", ("image_once",), number(1)),
        Column("s a picture", ("image_each",), number(3)),
    )
    remark = (
        "An epoch of training goes over the training rows of one fold, one of inference over its test rows, "
        "both by the head alone; encoders run once for all epochs, seeds and folds. Heads were trained side by side on "
        "all cores."
    )
    if any(table.view_count for table in tables.values()):
        remark += " Views to learn from were encoded once as well, which is not counted here."
    return Sheet("table-3-time", "Table 3. Time", columns, tuple(rows), (remark,))


def _raw_memory(raw: Mapping[str, Any]) -> Row:
    return {"encoders": raw["name"], "method": raw["method"], "head": raw["head_mb"], "read": raw["read_mb"]}


def _raw_time(raw: Mapping[str, Any]) -> Row:
    seconds = {key: raw[f"{key}_seconds"] for key in ("training", "inference")}
    return {"encoders": raw["name"], "method": raw["method"], **seconds}
