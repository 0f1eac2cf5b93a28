"""Libraries that only an extra brings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgefuse.extras import importable
from edgefuse_runtimes.errors import BadInput


def test_missing_library_names_the_extra() -> None:
    with pytest.raises(
        BadInput, match=r"'no_such_library', which is not installed; run: pip install 'edgefuse\[export\]'"
    ):
        importable("no_such_library.part", "export")
    assert importable("json.decoder", "export") is json.decoder


def test_a_fault_inside_an_installed_library_is_not_taken_for_a_missing_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        importable("broken_library", "export")
