"""A machine card in words."""

from __future__ import annotations

from collections.abc import Iterator

from edgefuse_bench.report.entries import Card


def facts(card: Card) -> Iterator[tuple[str, str]]:
    """Name and value of everything that the card tells."""
    for name, key in (("Board", "board"), ("Processor", "cpu"), ("Emulated by", "emulation")):
        if card.get(key):
            yield name, str(card[key])
    physical, logical = card.get("physical_cores"), card.get("logical_cores")
    if physical:
        yield "Cores", f"{physical}" + (f" ({logical} threads)" if logical and logical != physical else "")
    if card.get("cgroup_cores"):
        yield "Limited to", f"{card['cgroup_cores']:g} cores"
    if card.get("features"):
        yield "Features", _listed(card["features"])
    if card.get("ram_bytes"):
        limit = card.get("cgroup_limit_bytes")
        yield (
            "Memory",
            f"{card['ram_bytes'] / 2**30:.1f} GiB" + (f", limited to {limit / 2**20:.0f} MiB" if limit else ""),
        )
    if card.get("max_mhz"):
        lowest = f"{card['min_mhz']:g} to " if card.get("min_mhz") else ""
        yield "Clock", f"{lowest}{card['max_mhz']:g} MHz"
    if card.get("governor"):
        yield "Governor", str(card["governor"])
    if card.get("page_bytes"):
        yield "Page", f"{card['page_bytes']} bytes"
    for name, key in (("System", "system"), ("Kernel", "kernel"), ("C library", "libc"), ("Python", "python")):
        if card.get(key):
            yield name, str(card[key])
    if card.get("virtual"):
        yield "Virtual", "yes: other machines share the processor"
    if card.get("libraries"):
        yield "Libraries", _listed(card["libraries"])
    if card.get("settings"):
        yield "Settings", _listed(card["settings"])


def _listed(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {words}" for name, words in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
