"""Site hook: write the command-line reference out of the click commands, so that the two cannot differ."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import click

from edgefuse.cli import VERBS, main

MARK = "<!-- the verbs stand here -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by the site builder for every page: put the reference where a page has the mark."""
    return markdown.replace(MARK, reference()) if MARK in markdown else markdown


def reference() -> str:
    """The reference of all verbs, as Markdown."""
    root = click.Context(main, info_name="edgefuse")
    lines = ["| verb | what it does |", "| --- | --- |"]
    lines += [f"| [`{name}`](#{name}) | {_escape(verb.summary)} |" for name, verb in VERBS.items()]
    for name in VERBS:
        command = main.get_command(root, name)
        assert command is not None, name
        lines += ["", *_section(command, click.Context(command, info_name=name, parent=root), 2)]
    return "\n".join(lines)


def _section(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    path = context.command_path.removeprefix("edgefuse ")
    yield f"{'#' * level} `{path}` {{ #{path.replace(' ', '-')} data-toc-label='{path}' }}"
    yield ""
    yield from _help(command.help or "").splitlines()
    yield from ("", "```console", f"$ {_usage(command, context)}", "```")
    options = [
        option for option in command.get_params(context) if isinstance(option, click.Option) and not option.hidden
    ]
    shown = [
        record for option in options if "--help" not in option.opts and (record := option.get_help_record(context))
    ]
    if shown:
        yield from ("", "| option | meaning |", "| --- | --- |")
        yield from (f"| `{names}` | {_escape(meaning)} |" for names, meaning in shown)
    if examples := _examples(command.epilog or ""):
        yield from ("", "Example:" if len(examples) == 1 else "Examples:", "", "```console")
        yield from (f"$ {line}" for line in examples)
        yield "```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            yield ""
            yield from _section(inner, click.Context(inner, info_name=name, parent=context), level + 1)


def _usage(command: click.Command, context: click.Context) -> str:
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _help(text: str) -> str:
    """A docstring as Markdown: what click prints as it is (after \\b) becomes a block of code."""
    return "\n\n".join(map(_paragraph, inspect.cleandoc(text).split("\n\n")))


def _paragraph(block: str) -> str:
    if block.startswith("\b"):
        return f"```text\n{block[1:].strip()}\n```"
    return block.replace("\n", " ")


def _examples(epilog: str) -> list[str]:
    lines = [line.strip() for line in inspect.cleandoc(epilog.replace("\b", "")).splitlines()]
    lines = [line.removeprefix("Examples:").removeprefix("Example:").strip() for line in lines]
    return [line for line in lines if line]


def _escape(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("*", "&#42;")
