"""`edgefuse verify`: is the kit what was packed, and does this device compute with it what it should?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, threads_option


@click.command("verify", epilog="Example: edgefuse verify ham-mini")
@click.argument("kit", type=FOLDER)
@click.option(
    "--trust",
    "fingerprint",
    metavar="SHA256:...",
    help="Take the signature of the key with this fingerprint; 'kits install' pins a key.",
)
@click.option("--allow-unsigned", is_flag=True, help="Check a kit that no known key signed, too.")
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the page.")
@click.pass_context
def command(
    context: click.Context,
    kit: Path,
    fingerprint: str | None,
    allow_unsigned: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Check KIT: the name of an installed kit, a folder, an archive, or an installer.

    Looked at are the manifest, the size and the hash of every file, and the signature. Then the golden samples are
    replayed with every encoder file on every engine that is installed here, and one answer is measured against what
    the kit says that it may take. An archive is checked without running anything from it.

    Of an installer FILE.run or FILE.deb the signature FILE.run.sig beside it is checked, and that of its further parts.

    Exit code 2: damaged, or signed by nobody whom this device trusts; 3: an engine gives other answers than it should;
    5: an answer takes more than the kit allows.
    """
    from edgefuse.kits.active import find_kit
    from edgefuse.progress import bar
    from edgefuse.verification.checks import verify
    from edgefuse.verification.installers import is_installer, verify_installer
    from edgefuse.verification.page import render

    if is_installer(kit):
        if allow_unsigned:
            raise click.UsageError("Of an installer nothing but its signature is checked; leave out --allow-unsigned.")
        signed = verify_installer(kit, fingerprint=fingerprint)
        names = ", ".join(path.name for path in signed.files)
        page = f"{names}: as made and signed by {signed.signer.fingerprint}"
        click.echo(json.dumps(signed.to_json()) if as_json else page)
        return
    found = verify(find_kit(kit), fingerprint=fingerprint, allow_unsigned=allow_unsigned, threads=threads, progress=bar)
    click.echo(json.dumps(found.to_json()) if as_json else render(found))
    context.exit(found.exit_code)
