"""`edgefuse kits`: which kits are installed on this device, and which one it uses."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefuse.commands.options import FOLDER

if TYPE_CHECKING:
    from edgefuse.trust.keys import PublicKey

EXAMPLE = """\b
Examples: edgefuse kits install /media/stick/ham-mini.kit
          edgefuse kits list
          edgefuse kits rollback"""

trust_option = click.option(
    "--trust",
    "fingerprint",
    metavar="SHA256:...",
    help="Trust the key with this fingerprint, and pin it here.",
)
unsigned_option = click.option(
    "--allow-unsigned", is_flag=True, help="Take a kit that no known key signed; every answer tells."
)
version_option = click.option("--version", help="Of the kit, where several are installed.")


@click.group("kits", epilog=EXAMPLE)
def command() -> None:
    """Install kits on this device, and choose the one that it uses."""


@command.command("install", epilog="Example: edgefuse kits install /media/stick/ham-mini.kit")
@click.argument("kit", type=FOLDER)
@trust_option
@unsigned_option
@click.option("--allow-downgrade", is_flag=True, help="Take a lower version than the highest one ever installed here.")
@click.option("--use", "use_it", is_flag=True, help="Make it the active kit, even if another kit is.")
@click.option("--check", "only_check", is_flag=True, help="Only see whether it would be taken; write and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the sentence.")
def install(
    kit: Path,
    fingerprint: str | None,
    allow_unsigned: bool,
    allow_downgrade: bool,
    use_it: bool,
    only_check: bool,
    as_json: bool,
) -> None:
    """Bring KIT, a folder or an archive, onto this device and use it from now on.

    The kit must be signed. Of the first one, compare the fingerprint of the key that is shown with the one that you
    were given on paper; its key is pinned, and later kits need a pinned key. The version before stays installed: see
    'edgefuse kits rollback'. A power cut at any moment loses nothing: run the same command again.
    """
    from edgefuse.kits.active import activate, active_kit
    from edgefuse.kits.installing import check, install
    from edgefuse.progress import bar

    options: dict[str, Any] = {
        "fingerprint": fingerprint,
        "allow_unsigned": allow_unsigned,
        "allow_downgrade": allow_downgrade,
        "confirm": _confirm,
        "progress": bar,
    }
    if only_check:
        admitted = check(kit, **options)
        found, signer = admitted.brought.kit, admitted.trust.signer
        facts: dict[str, str | None] = {"name": found.name, "version": found.version, "digest": found.digest}
        facts["signer"] = signer.fingerprint if signer else None
        sentence = f"This would be installed: {_said(facts)}."
    else:
        done = install(kit, **options)
        active = active_kit()
        is_active = use_it or active is None or active == done.folder.parent.resolve() or not active.exists()
        if is_active:
            activate(done.folder)
        facts = {name: getattr(done.record, name) for name in ("name", "version", "digest", "signer")}
        hint = "" if is_active else f"; use it with 'edgefuse kits use {done.record.name}'"
        sentence = f"Installed{' and in use' if is_active else ''}: {_said(facts)}{hint}."
    click.echo(json.dumps(facts) if as_json else sentence)


@command.command("list", epilog="Example: edgefuse kits list --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def list_kits(as_json: bool) -> None:
    """List the kits that are installed; the active one has a star."""
    from edgefuse.kits.active import active_kit
    from edgefuse.kits.store import installed, kits_folder

    found, active = installed(), active_kit()
    rows = [
        {
            "name": item.record.name,
            "version": item.record.version,
            "active": item.in_use and active == item.folder.parent.resolve(),
            "in_use": item.in_use,
            "digest": item.record.digest,
            "signer": item.record.signer,
            "folder": str(item.folder),
        }
        for item in found
    ]
    if as_json:
        click.echo(json.dumps({"kits": rows}))
        return
    if not rows:
        named = os.environ.get("EDGEFUSE_KIT")  # by an installation for everyone, for instance
        used = f"; {named} is used" if named else ""
        click.echo(f"No kit is installed in {kits_folder()}{used}.", err=True)
    width = max((len(item.record.name) for item in found), default=0)
    longest = max((len(item.record.version) for item in found), default=0)
    for row in rows:
        mark = "*" if row["active"] else "+" if row["in_use"] else " "
        signer = row["signer"] or "not signed"
        click.echo(f"{mark} {row['name']!s:<{width}}  {row['version']!s:<{longest}}  {signer}")


@command.command("show", epilog="Example: edgefuse kits show /media/stick/ham-mini.kit")
@click.argument("kit", type=FOLDER, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the kit's manifest instead of the page.")
def show(kit: Path | None, as_json: bool) -> None:
    """Print the model card of KIT: an installed kit's name, a folder or an archive.  [default: the active kit]

    It tells what the kit is for, for whom, from what data it was made, how good it is, its limits and its licences.
    """
    from edgefuse.kits.active import find_kit
    from edgefuse.kits.brought import open_brought
    from edgefuse.kits.card import model_card
    from edgefuse.kits.signature import signer_of
    from edgefuse.trust.pinned import pinned_keys
    from edgefuse.trust.sshsig import can_check

    brought = open_brought(find_kit(kit))
    if as_json:
        click.echo(json.dumps(brought.kit.manifest))
        return
    if brought.signature is not None and not can_check():
        words = "unknown: the signature cannot be checked without the Python package 'cryptography'"
    else:
        signer = signer_of(brought)
        words = "nobody" if signer is None else signer.fingerprint
        if signer is not None and signer not in pinned_keys():
            words += ", a key that this device does not trust (yet)"
    click.echo(model_card(brought.kit, words))


@command.command("use", epilog="Example: edgefuse kits use ham-mini --version 1")
@click.argument("kit", type=FOLDER)
@version_option
@trust_option
def use(kit: Path, version: str | None, fingerprint: str | None) -> None:
    """Make KIT the active kit: what 'classify' uses when neither --kit nor EDGEFUSE_KIT names one.

    KIT is the name of an installed kit, or the folder of one that is used where it lies. On a device that trusts keys,
    such a folder must be signed by one of them, too; 'edgefuse kits install KIT --allow-unsigned' takes another one.
    """
    from edgefuse.kits.active import activate
    from edgefuse.kits.brought import open_brought
    from edgefuse.kits.kit import Kit
    from edgefuse.kits.signature import require_trust
    from edgefuse.kits.standing import standing
    from edgefuse.kits.store import switch
    from edgefuse.progress import bar
    from edgefuse.trust.pinned import pin, pinned_keys

    if kit.exists() or len(kit.parts) > 1:
        if version is not None:
            raise click.UsageError("--version chooses among installed kits; name one instead of a folder.")
        opened = Kit.open(kit)
        if fingerprint is not None or pinned_keys():
            trust = require_trust(open_brought(kit), fingerprint=fingerprint)
            opened.verify(bar)
            if trust.is_new and trust.signer is not None:
                pin(trust.signer)
        else:
            standing(kit)  # refuses a signature over something else
            opened.verify(bar)
        activate(kit)
        click.echo(f"The active kit is now {opened.name} {opened.version} ({kit.resolve()}).")
    else:
        chosen = switch(str(kit), version)
        activate(chosen.folder)
        click.echo(f"The active kit is now {_said(vars(chosen.record))}.")


@command.command("rollback", epilog="Example: edgefuse kits rollback ham-mini")
@click.argument("name", required=False)
def rollback(name: str | None) -> None:
    """Go back to the version of a kit that was installed before the one in use.  [default: of the active kit]"""
    from edgefuse.kits.store import rollback

    click.echo(f"In use again: {_said(vars(rollback(name or _active_name()).record))}.")


@command.command("remove", epilog="Example: edgefuse kits remove ham-mini --version 1")
@click.argument("name")
@version_option
def remove(name: str, version: str | None) -> None:
    """Remove an installed kit, or one version of it. Answers that were kept stay."""
    from edgefuse.home import home
    from edgefuse.kits.active import active_kit, deactivate
    from edgefuse.kits.store import remove

    gone = remove(name, version)
    active = active_kit()
    if active is not None and not active.exists() and active == gone[0].folder.parent.resolve():
        deactivate()
    versions = ", ".join(item.record.version for item in gone)
    click.echo(f"Removed: {name} {versions}. Answers that were kept, the device key and trusted keys stay in {home()}.")


def _said(facts: Mapping[str, Any]) -> str:
    signer = f"signed by {facts['signer']}" if facts["signer"] else "not signed by anyone this device knows"
    return f"{facts['name']} {facts['version']} ({signer})"


def _active_name() -> str:
    from edgefuse.kits.active import find_kit
    from edgefuse.kits.record import read_record
    from edgefuse_runtimes.errors import BadInput

    kit = find_kit()
    record = read_record(kit)
    if record is None:
        raise BadInput(f"The active kit {kit} was not installed, so it has no earlier version; name an installed kit.")
    return record.name


def _confirm(key: PublicKey) -> bool:
    """Ask whether the first key is the right one, where there is a person to ask."""
    if not sys.stdin.isatty():
        return False
    click.echo("This is the first kit on this device. It is signed by the key", err=True)
    click.echo(f"\n    {click.style(key.fingerprint, bold=True)}\n", err=True)
    return click.confirm("Is that the fingerprint that you were given on paper?", default=False, err=True)
