"""The base packages, without any of which nothing runs: whether they can be imported, and their versions."""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

BASE = {"numpy": "numpy", "pillow": "PIL", "click": "click", "psutil": "psutil"}
"""Packages and the modules they bring."""


def base_packages() -> list[dict[str, Any]]:
    """ "package", "version", and the "problem" where it cannot be imported, for each of `BASE`."""
    return [_package(name, module) for name, module in BASE.items()]


def version(package: str) -> str | None:
    """The installed version; None where the package is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _package(name: str, module: str) -> dict[str, Any]:
    try:
        import_module(module)
        problem = ""
    except Exception as error:  # noqa: BLE001 - numpy raises all kinds on a processor that it was not built for
        problem = " ".join(str(error).strip().split("\n\n")[0].split()).rstrip(".") or type(error).__name__
    return {"package": name, "version": version(name), "problem": problem}
