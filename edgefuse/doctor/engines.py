"""Every engine that there is, and whether this machine has its library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgefuse.doctor.packages import version
from edgefuse_runtimes.encoder import ENGINES, is_installed

if TYPE_CHECKING:
    from edgefuse_runtimes.contract import Engine

INSTALL = {
    "onnxruntime": "pip install 'edgefuse[onnxruntime]'",
    "llama.cpp": "CMAKE_ARGS=\"-DGGML_NATIVE=OFF\" pip install 'edgefuse[llama]'",
    "numpy": "pip install edgefuse",
}
"""How an engine gets onto a machine with a network."""


def engines() -> list[dict[str, Any]]:
    """Formats, version and installation of each; a native one is not imported here: that may be its death."""
    formats: dict[str, list[str]] = {}
    known: dict[str, Engine] = {}
    for file_format, candidates in ENGINES.items():
        for engine in candidates:
            formats.setdefault(engine.name, []).append(file_format)
            known[engine.name] = engine
    return [
        {
            "engine": name,
            "formats": formats[name],
            "installed": is_installed(engine),
            "version": version(engine.package or "numpy"),
            "install": INSTALL.get(name, ""),
        }
        for name, engine in sorted(known.items(), key=lambda item: item[0] == "numpy")  # the last resort last
    ]
