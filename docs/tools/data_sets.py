"""Site hook: write what is known of each data set out of the adapters, so that page and code cannot differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgefuse.datasets import ADAPTERS, Adapter

MARK = "<!-- the data sets stand here -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by the site builder for every page: put the data sets where a page has the mark."""
    return markdown.replace(MARK, "\n".join(_all())) if MARK in markdown else markdown


def _all() -> Iterator[str]:
    for name, adapter in ADAPTERS.items():
        yield from ("", f"## `{name}` {{ #{name} data-toc-label='{name}' }}", "", f"{_sentence(adapter.title)}.")
        yield from _section(adapter)


def _section(adapter: Adapter) -> Iterator[str]:
    if adapter.comparison:
        yield from ("", "It only serves to compare gaps: its labels are no task of the method.")
    yield from ("", "```text", *adapter.layout, "```")
    yield from ("", "| | |", "| --- | --- |")
    facts = {
        "template": f"`{adapter.template}`",
        "missing values": f"“{adapter.missing}”" if adapter.missing else "do not occur",
        "label": _escape(adapter.label),
        "group": _escape(adapter.group),
        "subgroups": ", ".join(adapter.subgroups) or "none of its own",
        "splits": ", ".join(f"`{split}`" for split in adapter.splits),
        "licence": _escape(adapter.licence),
        "cite": _escape(adapter.citation),
    }
    yield from (f"| {fact} | {value} |" for fact, value in facts.items())
    yield from _fields("field", "what it says", adapter.fields)
    if adapter.leaks:
        yield from _fields("field that is refused", "how it tells the label", adapter.leaks)


def _fields(name: str, meaning: str, entries: Mapping[str, str]) -> Iterator[str]:
    yield from ("", f"| {name} | {meaning} |", "| --- | --- |")
    yield from (f"| `{field}` | {_escape(said)} |" for field, said in entries.items())


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _escape(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("*", "&#42;").replace("_", "&#95;")
