"""`edgefuse doctor`: whether this machine can answer, with which engines, and what would help."""

from __future__ import annotations

import codecs
import json
import sys
from pathlib import Path
from typing import Any, Literal

import click

from edgefuse.platforms import require_supported, this_platform
from edgefuse_runtimes.errors import BadInput

# The option types that other verbs share import numpy, which may be what is missing here.

EXAMPLE = """\b
Examples: edgefuse doctor
          edgefuse doctor --kit my.kit --probe
          edgefuse doctor --forget llama.cpp"""


@click.command("doctor", epilog=EXAMPLE)
@click.option(
    "--kit",
    type=click.Path(path_type=Path),
    help="Look at this kit too: a folder, or an installed kit's name.  [default: $EDGEFUSE_KIT, then the active kit]",
)
@click.option(
    "--memory",
    type=click.Choice(["auto", "low", "normal"]),
    default="auto",
    envvar="EDGEFUSE_MEMORY",
    show_default=True,
    help="Look at the engines as one answer with this memory setting would run them.",
)
@click.option(
    "--probe",
    "try_engines",
    is_flag=True,
    help="Try every engine on the kit now, also one that was tried before; this may take minutes.",
)
@click.option(
    "--forget",
    metavar="[ENGINE|KIT|PATH|gone|all]",
    is_flag=False,
    flag_value="all",
    help="Only forget what probes found: about an engine, an encoder file or a kit, about files that are gone, or all "
    "of it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the page.")
@click.pass_context
def command(
    context: click.Context,
    kit: Path | None,
    memory: Literal["auto", "low", "normal"],
    try_engines: bool,
    forget: str | None,
    as_json: bool,
) -> None:
    """Tell whether this machine can answer, with which engines, what is missing and what to install.

    Ends with exit code 0 if it can, with 1 if not. Nothing is tried unless --probe is given: what is shown about
    engines is what earlier probes found.
    """
    if forget is not None:
        if kit is not None or try_engines:
            raise click.UsageError("Give --forget without --kit and --probe; a kit can follow --forget.")
        _forget(forget, as_json)
        return
    from edgefuse.doctor.examination import examine

    found = this_platform()
    report = examine(found, kit, memory=memory, try_engines=try_engines)
    if try_engines and report["kit"] is None and not report["problems"]:
        raise click.UsageError("--probe needs a kit to try the engines on: add --kit KIT.")
    _print(report, as_json)
    context.exit(0 if report["can_answer"] else 1)


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report))
        return
    from edgefuse.doctor.page import render

    encoding = codecs.lookup(sys.stdout.encoding or "ascii").name
    page = render(report, unicode=encoding == "utf-8")
    click.echo(page.encode(encoding, "backslashreplace").decode(encoding))


def _forget(what: str, as_json: bool) -> None:
    require_supported()
    from edgefuse.doctor.remembered import is_gone, verdict_json
    from edgefuse.kits.active import find_kit
    from edgefuse_runtimes.encoder import ENGINE_NAMES
    from edgefuse_runtimes.verdicts import Record, forget

    path, words = find_kit(Path(what)).resolve(), ("all", "gone", *ENGINE_NAMES)

    def chosen(record: Record) -> bool:
        if what in ("all", record.engine):
            return True
        if what == "gone":
            return is_gone(record)
        return what not in words and Path(record.file).is_relative_to(path)

    gone = forget(chosen)
    if not gone and what not in words and not path.exists():
        raise BadInput(
            f"Nothing is remembered about {what}, which is no engine and no file; give all, gone, an engine "
            f"({', '.join(ENGINE_NAMES[1:])}), an installed kit, or the path of an encoder file or a kit."
        )
    if as_json:
        click.echo(json.dumps({"forgotten": [verdict_json(record) for record in gone]}))
    else:
        verdicts = "1 verdict is" if len(gone) == 1 else f"{len(gone)} verdicts are"
        click.echo(f"{verdicts} forgotten; engines are probed again when they are next needed.")
