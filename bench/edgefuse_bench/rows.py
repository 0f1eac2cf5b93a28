"""A result's figures as rows, and the page that is printed of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgefuse.percentiles import percentile, percentiles, queries_needed
from edgefuse_bench.result import Result

COLUMNS = ("min", "median", "max", "p90", "p95", "p99")
WIDTH = 100
"""Characters in a line of the page."""
MARGIN = 12
"""Characters before what a line says."""


def stage_rows(result: Result) -> dict[str, dict[str, int]]:
    """Nanoseconds per stage, "total" last: least, median, most, and percentiles where queries suffice.

    Offline has no percentiles: nobody waits for one answer of a batch.
    """
    extra = ("start", "load") if result.scenario == "Cold" else ()
    times = {name: [query.stages_ns[name] for query in result.queries] for name in (*extra, *result.stages)}
    times["total"] = [query.total_ns for query in result.queries]
    is_offline = result.scenario == "Offline"
    return {name: _row(values) | ({} if is_offline else percentiles(values)) for name, values in times.items()}


def page(result: Result) -> str:
    """The result as text of at most 100 columns."""
    rows = stage_rows(result)
    columns = [name for name in COLUMNS if name in rows["total"]]
    lines = [
        *textwrap.wrap(_title(result), WIDTH),
        *_headed("engines", ", ".join(_engine(result, modality) for modality in ("image", "text"))),
        *_headed("machine", _machine(result.machine)),
        "",
        f"{'ms':<{MARGIN}}" + "".join(f"{name:>10}" for name in columns),
        *(
            f"{stage:<{MARGIN}}" + "".join(f"{row[name] / 1e6:>10.2f}" for name in columns)
            for stage, row in rows.items()
        ),
    ]
    too_few = [name for name in COLUMNS if name not in columns]
    if too_few and result.scenario != "Offline":
        needs = ", ".join(f"{name} {queries_needed(int(name[1:]) / 100)}" for name in too_few)
        lines.append(f"too few queries for some percentiles (needed: {needs})")
    lines.append("")
    for head, words in _facts(result):
        lines += _headed(head, words)
    for note in result.notes:
        lines += _headed("note", note)
    return "\n".join(lines)


def _title(result: Result) -> str:
    processes = len({query.process for query in result.queries})
    said = [
        result.scenario,
        _counted(len(result.queries), "query", "queries"),
        _counted(processes, "process", "processes"),
        _counted(result.threads, "thread", "threads"),
        *(["EMULATED: times mean nothing"] if result.emulated else []),
    ]
    return f"{result.kit['name']} {result.kit['version']}: {', '.join(said)}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _engine(result: Result, modality: str) -> str:
    engine = result.engines[modality]
    return f"{modality} {engine} {result.precisions[modality]}" if engine else f"no {modality}"


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    """The other lines, each with its head."""
    memory, first = result.memory, result.first
    if result.total_interval_ns is not None and result.scenario != "Offline":
        low, high = (value / 1e6 for value in result.total_interval_ns)
        yield "again", f"another run's median lies between {low:.2f} and {high:.2f} ms, 19 times in 20"
    if result.throughput is not None:
        yield "rate", _rate(result.throughput)
    load = first.stages_ns["load"] + (result.open_ns if result.schema > 1 else 0)  # schema 1 counts opening to it
    later = [query.stages_ns["load"] for query in result.warmup if "load" in query.stages_ns]
    again = f", in later processes {percentile(later, 0.5) / 1e6:.0f} ms" if later else ""
    yield "first", f"{(result.open_ns + first.total_ns) / 1e6:.0f} ms, of which loading {load / 1e6:.0f} ms{again}"
    yield "memory", ", ".join(_memory(memory))
    if memory.get("stages"):
        held = (f"{name} {stage['anon_bytes'] / 2**20:.0f}" for name, stage in memory["stages"].items())
        yield "by stage", f"MiB of their own after: {', '.join(held)}"
    if "growth" in memory:
        rate, (low, high) = memory["growth"]["anon_bytes_per_hour"], memory["growth"]["interval"]
        yield "growth", f"{rate / 2**20:+.1f} MiB an hour ({low / 2**20:+.1f} to {high / 2**20:+.1f})"
    if result.files:
        yield "files", f"{sum(result.files.values()) / 2**20:.0f} MiB in {len(result.files)} files of the kit"
    yield "samples", _samples(result.samples)
    yield from (("accuracy", words) for words in _accuracy(result))
    yield from ((str(meter["name"]), _meter(meter)) for meter in result.meters if "not_measurable" not in meter)
    missing = [str(meter["name"]) for meter in result.meters if "not_measurable" in meter]
    if missing:
        yield "no sensor", f"{', '.join(missing)}: not measurable here; --json says why"


def _memory(memory: Mapping[str, Any]) -> Iterator[str]:
    yield f"{memory['peak_rss_bytes'] / 2**20:.0f} MiB at the most, all processes together"
    if "processes" in memory:
        own = f"in the end {memory['anon_bytes'] / 2**20:.0f} MiB of their own"
        yield f"{own} and {memory['file_bytes'] / 2**20:.0f} of files"
        if memory.get("pss_bytes") is not None:
            yield f"shared pages counted once {memory['pss_bytes'] / 2**20:.0f}"
        yield _counted(len(memory["processes"]) - 1, "worker", "workers")


def _rate(throughput: Mapping[str, Any]) -> str:
    said = f"{throughput['samples_per_second']:.2f} samples a second"
    if throughput.get("interval"):
        low, high = throughput["interval"]
        said += f"; another run's lies between {low:.2f} and {high:.2f}, 19 times in 20"
    return said


def _samples(samples: Mapping[str, Any]) -> str:
    is_own = samples["source"] == "folder"
    one = "sample" if is_own else f"{samples['source']} sample"
    count = _counted(samples["count"], one, f"{one}s")
    if samples["drawn"]:
        return f"{count} in turn, drawn by edgefuse: times count, answers mean nothing"
    return f"{count} {'of your own' if is_own else 'of the kit'}, in turn"


def _accuracy(result: Result) -> Iterator[str]:
    golden, labelled, kit = (result.accuracy.get(name) for name in ("golden", "samples", "kit"))
    if golden:
        errors = ", ".join(f"{name} {error['worst']:.1e}" for name, error in golden["vector_error"].items())
        yield (
            f"{golden['n'] - golden['labels_changed']} of {golden['n']} golden samples get the label they were packed "
            f"with; probabilities differ by up to {golden['worst_probability_shift']:.4f}, vectors by 1 - cosine of up "
            f"to: {errors}"
        )
    if labelled:
        low, high = labelled["accuracy_interval"]
        count, all_there = labelled["n"], result.samples["count"]
        if result.samples["source"] == "folder":
            whose = f"your {count} labelled"
        else:
            whose = f"the kit's {count}" if count == all_there else f"{count} of the kit's {all_there}"
            whose += " evaluation"
        yield (
            f"{whose} samples: {labelled['accuracy']:.3f} ({low:.3f} to {high:.3f}), macro-F1 "
            f"{labelled['macro_f1']:.3f}; {labelled['referred']} referred{_drawn(labelled)}"
        )
    if kit:
        yield (
            f"the kit's own: {kit['accuracy']:.3f}, macro-F1 {kit['macro_f1']:.3f} on {kit['n']} {kit['part']} rows of "
            f"{kit['dataset']}{_drawn(kit)}"
        )


def _drawn(part: Mapping[str, Any]) -> str:
    return ", the drawn example, which says nothing about any real use" if part.get("drawn") else ""


def _meter(meter: Mapping[str, Any]) -> str:
    """What one meter said over the run."""
    values, unit = [reading["value"] for reading in meter["readings"]], meter["unit"]
    if not values:
        return "no reading"
    if "joules" in meter:
        return f"{meter['joules']:.1f} J"
    if unit == "bits":
        return ", ".join(sorted({hex(value) for value in values}))
    return f"{min(values):g} to {max(values):g} {unit}"


def _headed(head: str, words: str) -> list[str]:
    """Lines with the head in front of the first."""
    wrapped = textwrap.wrap(words, WIDTH - MARGIN, break_on_hyphens=False)
    return [f"{'' if number else head:<{MARGIN}}{line}" for number, line in enumerate(wrapped)]


def _row(values: Sequence[int]) -> dict[str, int]:
    return {"min": min(values), "median": percentile(values, 0.5), "max": max(values)}


def _machine(card: Mapping[str, Any]) -> str:
    limit, share = card["cgroup_limit_bytes"], card.get("cgroup_cores")
    parts = [
        *([card["board"]] if card["board"] else []),
        card["cpu"],
        _counted(card["physical_cores"], "core", "cores") + (f" (limited to {share:g})" if share else ""),
        f"{card['ram_bytes'] / 2**30:.1f} GiB" + (f" (limited to {limit / 2**30:.2f} GiB)" if limit else ""),
        card["system"],
        f"Python {card['python']}",
        *(f"{name}={value}" for name, value in card["settings"].items()),
    ]
    return ", ".join(parts)
