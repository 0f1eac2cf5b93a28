"""Base packages that are missing or broken."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from edgefuse.doctor.examination import examine
from edgefuse.platforms import Platform

PI = Platform("Linux", "aarch64", 64, "little", "glibc 2.36", (3, 11, 2), "CPython")


def test_a_broken_base_package_is_a_problem_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        if name == "numpy":
            raise ImportError("libscipy_openblas.so: cannot open shared object file\n\nThis may be because of ...")
        return importlib.import_module(name)

    monkeypatch.setattr("edgefuse.doctor.packages.import_module", broken)
    found = examine(PI, None)
    assert found["can_answer"] is False
    assert found["problems"] == [
        "numpy cannot be imported (libscipy_openblas.so: cannot open shared object file); "
        "install it again with 'pip install edgefuse'."
    ]
    assert found["machine"] is None
