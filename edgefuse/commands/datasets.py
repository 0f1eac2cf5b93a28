"""`edgefuse datasets`: which data sets can be read, and what must be known of each."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import click

from edgefuse.datasets import ADAPTERS, Adapter
from edgefuse_runtimes.errors import BadInput


@click.group("datasets", invoke_without_command=True, epilog="Example: edgefuse datasets show ham10000")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all that 'show' tells.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the data sets that 'edgefuse extract --dataset' knows. 'show NAME' tells of one how it is read."""
    if context.invoked_subcommand is not None:
        return
    if as_json:
        click.echo(json.dumps({name: _facts(adapter) for name, adapter in ADAPTERS.items()}, indent=2))
        return
    width = max(len(name) for name in ADAPTERS)
    for name, adapter in ADAPTERS.items():
        click.echo(f"{click.style(f'{name:<{width}}', bold=True)}  {adapter.title}")


@command.command("show", epilog="Example: edgefuse datasets show brset")
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(name: str, as_json: bool) -> None:
    """Tell how the data set NAME is read: folder, fields, template, label, group, what leaks, licence, citation."""
    if name not in ADAPTERS:
        raise BadInput(f"There is no data set called {name!r}; name one of {', '.join(ADAPTERS)}.")
    if as_json:
        click.echo(json.dumps(_facts(ADAPTERS[name]), indent=2))
    else:
        click.echo("\n".join(page(name, ADAPTERS[name])))


def page(name: str, adapter: Adapter) -> list[str]:
    """All there is to say of a data set, as lines."""
    lines = [f"{click.style(name, bold=True)}: {adapter.title}"]
    if adapter.comparison:
        lines.append("It only serves to compare gaps between modalities: its labels are no task of the method.")
    lines += ["", "folder", *(f"  {line}" for line in adapter.layout)]
    lines += ["", "fields of a template", *_table(adapter.fields)]
    if adapter.leaks:
        refused = click.style("refused in a template unless --allow-leak names it, since it tells the label", fg="red")
        lines += ["", refused, *_table(adapter.leaks)]
    facts = {
        "template": adapter.template,
        "missing": f'said as "{adapter.missing}"' if adapter.missing else "does not occur",
        "label": adapter.label,
        "group": adapter.group,
        "subgroups": ", ".join(adapter.subgroups) or "none of its own",
        "splits": ", ".join(adapter.splits),
        "licence": adapter.licence,
        "citation": adapter.citation,
    }
    return [*lines, "", *(f"{click.style(f'{fact:<10}', bold=True)} {value}" for fact, value in facts.items())]


def _table(entries: Any) -> list[str]:
    width = max(len(name) for name in entries)
    return [f"  {name:<{width}}  {meaning}" for name, meaning in entries.items()]


def _facts(adapter: Adapter) -> dict[str, Any]:
    """All but what reads it."""
    return {field.name: getattr(adapter, field.name) for field in dataclasses.fields(adapter) if field.name != "read"}
