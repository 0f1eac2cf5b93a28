"""The tables of a report."""

from __future__ import annotations

from collections.abc import Sequence

from edgefuse.evaluation.page import short
from edgefuse.pages.sheets import Column, Row, Sheet, Value
from edgefuse.percentiles import queries_needed
from edgefuse_bench.report.entries import Found
from edgefuse_bench.report.rows import PERCENTILES, row
from edgefuse_bench.result import STAGES

NONE = "–"
SPREAD = (
    "Accuracy here is that of the answers whose times stand here; in brackets a 95 % interval, for other samples alike."
)


def milliseconds(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Of nanoseconds, with an interval where there is one."""
    if value is None:
        return NONE
    return _digits(value / 1e6) + (
        "" if low is None or high is None else f" [{_digits(low / 1e6)}, {_digits(high / 1e6)}]"
    )


def rate(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A number a second, with an interval where there is one."""
    if value is None:
        return NONE
    return f"{value:.3g}" + ("" if low is None or high is None else f" [{low:.3g}, {high:.3g}]")


def mebibytes(value: float | None) -> str:
    """Of bytes."""
    return NONE if value is None else f"{value / 2**20:.0f}"


def share(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Between 0 and 1, with an interval where there is one."""
    if value is None:
        return NONE
    return short(value) + ("" if low is None or high is None else f" [{short(low, 2)}, {short(high, 2)}]")


def count(value: Value) -> str:
    """A whole number, or a dash."""
    return NONE if value is None else str(value)


def everything(found: Found) -> list[Row]:
    """A row for each entry."""
    return [row(entry) for entry in found.entries]


def csv_sheet(found: Found) -> Sheet:
    """Every value that any entry has."""
    rows = everything(found)
    names = dict.fromkeys(name for each in rows for name in each)
    return Sheet("bench", "", tuple(Column(name, (name,)) for name in names), tuple(rows))


def overview(found: Found) -> Sheet:
    """What one asks first: how fast, how heavy, how right."""
    rows = everything(found)
    columns = [
        Column("", ("label",)),
        Column("median ms", ("median_ns", "median_low_ns", "median_high_ns"), milliseconds),
        *(Column(f"{name} ms", (f"{name}_ns",), milliseconds) for name in PERCENTILES),
        Column("answers/s", ("per_second", "per_second_low", "per_second_high"), rate),
        Column("first answer s", ("first_ns",), _seconds),
        Column("peak MiB", ("peak_rss_bytes",), mebibytes),
        Column("hottest °C", ("hottest_celsius",), _whole),
        Column("J/answer", ("joules_an_answer",), rate),
        Column("labels changed here", ("golden_labels_changed", "golden_n"), _of),
        Column("accuracy here", ("samples_accuracy", "samples_accuracy_low", "samples_accuracy_high"), share),
        Column("accuracy of the kit", ("kit_accuracy",), share),
    ]
    always = {"peak_rss_bytes", "label"}
    shown = [one for one in columns if one.values[0] in always or _any(rows, one.values[0])]
    remarks = []
    if _any(rows, "median_low_ns"):
        remarks.append("In brackets: where the median of another such run lies, 19 times in 20.")
    if _any(rows, "samples_accuracy_low"):
        remarks.append(SPREAD)
    timed = [each for each in rows if each.get("median_ns")]
    few = [name for name in PERCENTILES if not all(each.get(f"{name}_ns") for each in timed)]
    if few:
        needs = ", ".join(f"{name} {queries_needed(int(name[1:]) / 100)}" for name in few)
        remarks.append(f"A percentile stands only where there are enough queries for it ({needs}).")
    if _any(rows, "joules_an_answer"):
        remarks.append("Energy is that of the whole time the answers took, idle parts of the machine included.")
    return Sheet("overview", "At a glance", tuple(shown), tuple(rows), tuple(remarks))


def stages(found: Found) -> Sheet | None:
    """Medians of each stage; None where nothing has times."""
    rows = [each for each in everything(found) if any(each.get(f"{name}_ns") is not None for name in STAGES)]
    if not rows:
        return None
    columns = [Column("ms", ("label",))]
    columns += [Column(name, (f"{name}_ns",), milliseconds) for name in STAGES if _any(rows, f"{name}_ns")]
    if _any(rows, "median_ns"):
        columns.append(Column("whole answer", ("median_ns",), milliseconds))
    remark = "Medians, which do not add up. Loading is in the first answer alone."
    return Sheet("stages", "Where the time goes", tuple(columns), tuple(rows), (remark,))


def accuracy(found: Found) -> Sheet | None:
    """How right the answers are; None where no result tells."""
    rows = everything(found)
    if not any(_any(rows, name) for name in ("golden_n", "samples_n", "kit_dataset")):
        return None
    columns: list[Column] = [Column("", ("label",))]
    if _any(rows, "golden_n"):
        columns += [
            Column("golden samples", ("golden_n",), count),
            Column("labels changed", ("golden_labels_changed",), count),
            Column("largest change of a probability", ("golden_worst_probability_shift",), _small),
        ]
    for part, title in (("samples", "samples here"), ("kit", "kit's test rows")):
        if _any(rows, f"{part}_n"):
            intervals = ("low", "high") if part == "samples" else ()
            columns += [Column(title, (f"{part}_n",), count)]
            columns += [
                Column(words, (f"{part}_{name}", *(f"{part}_{name}_{end}" for end in intervals)), share)
                for name, words in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"))
            ]
    if _any(rows, "kit_dataset"):
        columns.append(Column("the kit's data set", ("kit_dataset",)))
    remarks = []
    if _any(rows, "golden_n"):
        remarks.append(
            "Golden samples tell what a machine's engines change of packed answers, not how right those are."
        )
    if _any(rows, "samples_accuracy_low"):
        remarks.append(SPREAD)
    if _any(rows, "kit_n"):
        remarks.append("The kit's figures were found in the workshop, on its test rows.")
    if any((entry.results[0].accuracy.get("kit") or {}).get("drawn") for entry in found.entries):
        remarks.append("A kit of the drawn example: its figures tell nothing of any real use, and none stands here.")
    return Sheet("accuracy", "How right the answers are", tuple(columns), tuple(rows), tuple(remarks))


def _any(rows: Sequence[Row], name: str) -> bool:
    return any(each.get(name) is not None for each in rows)


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _seconds(value: float | None) -> str:
    return NONE if value is None else f"{value / 1e9:.2f}"


def _whole(value: float | None) -> str:
    return NONE if value is None else f"{value:.0f}"


def _of(value: Value, whole: Value) -> str:
    return NONE if value is None else f"{value} of {whole}"


def _small(value: float | None) -> str:
    return NONE if value is None else f"{value:.1e}"
