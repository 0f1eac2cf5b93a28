"""llama.cpp's own quantiser, in a child process: it ends the process on input that it finds malformed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from edgefuse_export.resources import resources
from edgefuse_runtimes.errors import BadInput

FILE_TYPES = {"q4_k_m": "LLAMA_FTYPE_MOSTLY_Q4_K_M"}
"""What can be asked for -> llama.cpp's name of it."""


def require_llama_cpp() -> None:
    """Ask before minutes of work.

    Raises:
        BadInput: llama-cpp-python is not installed; the sentence names the extra that brings it.
    """
    if find_spec("llama_cpp") is None:
        raise BadInput(
            "This needs the Python package 'llama_cpp', which is not installed; run: pip install 'edgefuse[llama]'"
        )


def quantize_gguf(source: Path, target: Path, kind: str) -> None:
    """Write `target`, the GGUF file `source` with its matrices in the mixture of types that `kind` names.

    Raises:
        BadInput: llama-cpp-python is not installed or too old, or its quantiser refuses the file or dies over it.
    """
    require_llama_cpp()
    command = [sys.executable, "-m", __name__, str(source), str(target), kind, str(resources().threads)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = f"signal {-done.returncode}" if done.returncode < 0 else (said or ["no reason given"])[-1].rstrip(".")
        raise BadInput(f"llama.cpp's quantiser failed ({reason}); export the text encoder without --quantize {kind}.")


def _main(source: str, target: str, kind: str, threads: str) -> int:
    import llama_cpp

    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = getattr(llama_cpp, FILE_TYPES[kind])
    settings.nthread = int(threads)
    settings.allow_requantize = True  # a Q8_0 source; whether others may be used was decided before
    return int(llama_cpp.llama_model_quantize(source.encode(), target.encode(), settings))


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
