"""A result's figures as rows, and the page that is printed of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgefuse.percentiles import percentile, percentiles, queries_needed
from edgefuse_bench.scenario import STAGES

COLUMNS = ("min", "median", "max", "p90", "p95", "p99")


def stage_rows(result: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Nanoseconds per stage, "total" last: least, median, most, and percentiles where queries suffice."""
    queries = result["queries"]
    times = {name: [query["stages_ns"][name] for query in queries] for name in STAGES if name != "load"}
    times["total"] = [query["total_ns"] for query in queries]
    return {name: _row(values) for name, values in times.items()}


def page(result: dict[str, Any]) -> str:
    """The result as text of at most 100 columns."""
    rows, machine, memory = stage_rows(result), result["machine"], result["memory"]
    columns = [name for name in COLUMNS if name in rows["total"]]
    count, kit, first = len(result["queries"]), result["kit"], result["first"]
    opening, loading = result["open_ns"], first["stages_ns"]["load"]
    threads = result["settings"]["threads"] or machine["physical_cores"]
    lines = [
        f"{kit['name']} {kit['version']}: SingleStream, {count} queries, {threads} thread(s)",
        f"engines   image {result['engines']['image']}, text {result['engines']['text']}",
        f"machine   {_machine(machine)}",
        "",
        "ms        " + "".join(f"{name:>10}" for name in columns),
        *(f"{stage:<10}" + "".join(f"{row[name] / 1e6:>10.2f}" for name in columns) for stage, row in rows.items()),
        "",
        f"first     {(opening + first['total_ns']) / 1e6:.0f} ms, of which loading {loading / 1e6:.0f} ms",
        f"memory    {memory['peak_rss_bytes'] / 2**20:.0f} MiB at the most, all processes together",
        f"samples   {len(result['samples']['pictures'])} golden samples in turn, drawn by edgefuse: "
        "times count, answers mean nothing",
    ]
    too_few = [name for name in COLUMNS if name not in columns]
    if too_few:
        needs = ", ".join(f"{name} {queries_needed(int(name[1:]) / 100)}" for name in too_few)
        lines.append(f"          too few queries for some percentiles (needed: {needs})")
    lines += [f"note      {note}" for note in result["notes"]]
    return "\n".join(lines)


def _row(values: Sequence[int]) -> dict[str, int]:
    return {"min": min(values), "median": percentile(values, 0.5), "max": max(values), **percentiles(values)}


def _machine(card: dict[str, Any]) -> str:
    limit = card["cgroup_limit_bytes"]
    parts = [
        *([card["board"]] if card["board"] else []),
        card["cpu"],
        f"{card['physical_cores']} core(s)",
        f"{card['ram_bytes'] / 2**30:.1f} GiB" + (f" (limited to {limit / 2**30:.2f} GiB)" if limit else ""),
        card["system"],
        f"Python {card['python']}",
        *(f"{name}={value}" for name, value in card["settings"].items()),
    ]
    return ", ".join(parts)
