"""The page of a comparison, in Markdown: two tables for each encoder, what was left out, and the machine."""

from __future__ import annotations

from typing import Any

WHO = "who runs it"

BUSY = 0.05
"""Share of the processor that other programs may take before the page says that the machine was shared."""


LEAST = 0.0001
"""A distance below it is not told in figures."""


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    parts = [_comparison(result, comparison) for comparison in result["comparisons"]]
    remarks = [result["remark"]] if result["remark"] else []
    return "\n\n".join([*remarks, *parts, _measured_on(result)])


def _comparison(result: dict[str, Any], comparison: dict[str, Any]) -> str:
    baseline, reference = comparison["baseline"], comparison["reference"]
    emulated = bool(result["machine"].get("emulated"))
    rows = [row for row in comparison["peers"] if "failed" not in row]
    parts = [
        f"**{comparison['encoder']['source']}**: {_samples(result, comparison)}.",
        *_tables(rows, baseline, reference, emulated=emulated),
        *(f"{row['name']} is left out: {row['failed']}" for row in comparison["peers"] if "failed" in row),
    ]
    return "\n\n".join(parts)


def _tables(
    rows: list[dict[str, Any]], baseline: str, reference: str | None, *, emulated: bool
) -> tuple[str, str, str]:
    """Both tables and what to know of them; an emulator's times say nothing about a device, and are left out."""
    left_out = ("ms", "ratio", "95 %", "s to open") if emulated else ()
    speed, cost = (
        _table([{name: cell for name, cell in row.items() if name not in left_out} for row in found])
        for found in ([_speed(row, baseline, reference) for row in rows], [_cost(row) for row in rows])
    )
    exact = f"distances to the vectors of “{reference}”" if reference else ""
    said = [f"Milliseconds are the median of one sample; ratios are to “{baseline}”", exact]
    if emulated:
        said = ["EMULATED: times mean nothing, and none is shown", exact]
    return speed, ", ".join(filter(None, said)) + ".", cost


def _table(rows: list[dict[str, str]]) -> str:
    """Cells by column, as a table; nothing in a cell is broken into lines but the name of who runs it."""
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    lines = [
        "| " + " | ".join(columns) + " |",
        "| --- |" + " ---: |" * (len(columns) - 1),
        *(
            "| " + " | ".join([row[WHO], *(row[name].replace(" ", "\u00a0") for name in columns[1:])]) + " |"
            for row in rows
        ),
    ]
    return "\n".join(lines)


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


def _speed(row: dict[str, Any], baseline: str, reference: str | None) -> dict[str, str]:
    """Time and accuracy, by column; empty where there is no such figure."""
    interval, same = row["ratio"]["interval"], row["same_label"]
    return {
        WHO: row["name"],
        "ms": f"{row['median_ns'] / 1e6:.1f}",
        "ratio": f"{row['ratio']['median']:.2f}",
        "95 %": "" if interval is None or row["name"] == baseline else f"{interval[0]:.2f} to {interval[1]:.2f}",
        "1 − centred cosine": "exact" if row["name"] == reference else _distance(row["closeness"]),
        "same label": "" if same is None else f"{same['share']:.1%}",
    }


def _distance(near: dict[str, Any] | None) -> str:
    """Four decimals: what is below makes no label another one."""
    if near is None:
        return ""
    if near["mean"] < LEAST:
        return f"under {LEAST}"
    error = near["standard_error"]
    return f"{near['mean']:.4f}" + ("" if error is None else f" ± {error:.4f}")


def _cost(row: dict[str, Any]) -> dict[str, str]:
    """What it takes beside time, by column."""
    return {
        WHO: row["name"],
        "s to open": f"{row['open_ns'] / 1e9:.1f}",
        "peak MiB": f"{row['peak_rss_bytes'] / 2**20:.0f}",
        "own MiB": f"{row['anon_bytes'] / 2**20:.0f}",
        "file MB": f"{row['file_bytes'] / 1e6:.1f}",
    }


def _measured_on(result: dict[str, Any]) -> str:
    card = result["machine"]
    libraries = {name: version for name, version in (card["libraries"] | result["libraries"]).items() if version}
    share = max(comparison["others_work"] for comparison in result["comparisons"])
    shared = f"Other programs took {share:.0%} of the machine in the rounds"
    shared += ": the ratios count, not the times." if share > BUSY and not card.get("emulated") else "."
    emulated = f", which emulated {card['architecture']}" if card.get("emulated") else ""
    return (
        f"Measured {result['started'][:10]} on {card['cpu']}{emulated}, {card['physical_cores']} core(s), "
        f"{card['ram_bytes'] / 2**30:.1f} GiB, {card['system']}, Python {card['python']}; "
        f"{', '.join(f'{name} {version}' for name, version in libraries.items())}. {shared}"
    )
