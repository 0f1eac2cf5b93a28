"""Libraries that only an extra of edgefuse brings."""

from __future__ import annotations

import importlib
from types import ModuleType

from edgefuse_runtimes.errors import BadInput


def importable(module: str, extra: str) -> ModuleType:
    """Import a library that only an extra brings.

    Raises:
        BadInput: it is not installed; the sentence names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise BadInput(
            f"This needs the Python package {error.name!r}, which is not installed; "
            f"run: pip install 'edgefuse[{extra}]'"
        ) from error
