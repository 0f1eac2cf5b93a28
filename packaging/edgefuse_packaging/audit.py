"""Ask whether a package that installers carry has a known weakness, before a stick leaves the workshop.

Run where the network reaches a vulnerability service, with pip-audit installed:  python -m edgefuse_packaging.audit

The wheel of llama.cpp is not asked about: it holds the bindings alone, so diskcache (CVE-2025-69872) and jinja2, which
the release on the package registry needs, are not carried at all.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import click

from edgefuse_packaging.wheelhouse import PINS
from edgefuse_runtimes.errors import BadInput, EdgefuseError

EXCEPTIONS: dict[str, str] = {}
"""A weakness's id -> why it cannot be used against a device, and what guards that. There is none."""


def known_weaknesses() -> list[str]:
    """One line for each weakness of a pinned release that is no exception.

    Raises:
        BadInput: pip-audit is not installed, or its service did not answer, or not about every release.
    """
    if importlib.util.find_spec("pip_audit") is None:
        raise BadInput("The audit needs pip-audit; run: pip install pip-audit")
    options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(PINS), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines() or ["no answer"]
        raise BadInput(
            f"The vulnerability service did not answer ({said[-1]}); audit where there is a network."
        ) from None
    skipped = [package["name"] for package in packages if "vulns" not in package]
    if skipped:  # which pip-audit calls "no known vulnerabilities"
        raise BadInput(f"The vulnerability service told nothing of {', '.join(skipped)}; audit where it is reached.")
    return [
        f"{package['name']} {package['version']}: {weakness['id']}, fixed in {', '.join(weakness['fix_versions'])}"
        for package in packages
        for weakness in package["vulns"]
        if not {weakness["id"], *weakness.get("aliases", ())} & EXCEPTIONS.keys()
    ]


@click.command(epilog="Example: python -m edgefuse_packaging.audit")
def main() -> None:
    """Ask a vulnerability service about every release in pins.txt; exit code 3 if one has a known weakness."""
    try:
        found = known_weaknesses()
    except EdgefuseError as error:
        click.echo(f"audit: {error}", err=True)
        sys.exit(error.exit_code)
    for line in found:
        click.echo(line)
    click.echo(f"{len(found)} known weaknesses in {PINS.name}.", err=True)
    sys.exit(3 if found else 0)


if __name__ == "__main__":
    main()
