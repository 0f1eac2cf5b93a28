"""The page of a comparison, in Markdown: what it was measured on, a table for each encoder, and what was left out."""

from __future__ import annotations

from typing import Any

COLUMNS = (
    "who runs it",
    "ms",
    "ratio",
    "95 % of the ratio",
    "s to open",
    "peak MiB",
    "own MiB",
    "file MB",
    "1 − centred cosine",
)

BUSY = 0.05
"""Share of the processor that other programs may take before the page says that the machine was shared."""


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    parts = [_comparison(result, comparison) for comparison in result["comparisons"]]
    remarks = [result["remark"]] if result["remark"] else []
    return "\n\n".join([*remarks, *parts, _measured_on(result)])


def _comparison(result: dict[str, Any], comparison: dict[str, Any]) -> str:
    reference = comparison["reference"]
    rows = [row for row in comparison["peers"] if "failed" not in row]
    judged = [*COLUMNS, "same label"] if any(row["same_label"] for row in rows) else COLUMNS
    lines = [
        f"**{comparison['encoder']['source']}**: {_samples(result, comparison)}.",
        "",
        "| " + " | ".join(judged) + " |",
        "| --- |" + " ---: |" * (len(judged) - 1),
        *("| " + " | ".join(_cells(row, comparison)) + " |" for row in rows),
        "",
        f"Milliseconds are the median of one sample; ratios are to “{comparison['baseline']}”"
        + (f", distances to the vectors of “{reference}”." if reference else "."),
    ]
    left_out = [f"{row['name']} is left out: {row['failed']}" for row in comparison["peers"] if "failed" in row]
    return "\n".join([*lines, *(line for sentence in left_out for line in ("", sentence))])


def _samples(result: dict[str, Any], comparison: dict[str, Any]) -> str:
    settings, samples = result["settings"], result["samples"]
    what = "pictures" if comparison["modality"] == "image" else "notes"
    tokens = comparison["encoder"].get("tokens")
    of = f" of {tokens['least']} to {tokens['most']} tokens" if tokens else ""
    source = "drawn by edgefuse" if samples["drawn"] else samples["source"]
    return (
        f"{samples['count']} {what}{of} ({source}) in {settings['rounds']} rounds of {settings['count']}, "
        f"{settings['threads']} thread(s)"
    )


def _cells(row: dict[str, Any], comparison: dict[str, Any]) -> list[str]:
    ratio, near = row["ratio"], row["closeness"]
    interval = None if row["name"] == comparison["baseline"] else ratio["interval"]
    distance = "" if near is None else f"{near['mean']:.1e}"
    if near is not None and near["standard_error"]:
        distance += f" ± {near['standard_error']:.0e}"
    return [
        row["name"],
        f"{row['median_ns'] / 1e6:.1f}",
        f"{ratio['median']:.2f}",
        "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
        f"{row['open_ns'] / 1e9:.1f}",
        f"{row['peak_rss_bytes'] / 2**20:.0f}",
        f"{row['anon_bytes'] / 2**20:.0f}",
        f"{row['file_bytes'] / 1e6:.1f}",
        "exact" if row["name"] == comparison["reference"] else distance,
        *([f"{row['same_label']['share']:.1%}"] if row["same_label"] else []),
    ]


def _measured_on(result: dict[str, Any]) -> str:
    card = result["machine"]
    libraries = {name: version for name, version in (card["libraries"] | result["libraries"]).items() if version}
    share = max(comparison["others_work"] for comparison in result["comparisons"])
    shared = f"Other programs took {share:.0%} of the machine in the rounds"
    shared += ": the ratios count, not the times." if share > BUSY else "."
    return (
        f"Measured {result['started'][:10]} on {card['cpu']}, {card['physical_cores']} core(s), "
        f"{card['ram_bytes'] / 2**30:.1f} GiB, {card['system']}, Python {card['python']}; "
        f"{', '.join(f'{name} {version}' for name, version in libraries.items())}. {shared}"
    )
