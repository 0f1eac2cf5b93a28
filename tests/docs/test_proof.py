"""The page of what was proven says what docs/proof.json holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def hook(load_script: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loaded = load_script("docs/tools/proof.py")
    monkeypatch.setattr(loaded, "FILE", tmp_path / "proof.json")
    return loaded


def part(figures: dict[str, object], right: bool = True) -> dict[str, object]:
    told = {"commit": "0123456789", "started": "2026-11-29T03:00:00+00:00", "seconds": 600, "machine": "a laptop"}
    return {**told, "right": right, "figures": figures}


def test_a_part_stands_at_its_mark(hook: ModuleType) -> None:
    tests = {"passed": 3, "failed": ["tests.test_a"], "skipped": ["needs <root>"], "figures": {"kills": 1200.0}}
    hook.FILE.write_text(json.dumps({"parts": {"batches": part(tests, right=False)}}))

    page = hook.on_page_markdown("before\n<!-- proof: batches -->\n<!-- proof: mutants -->\nafter")

    assert page.startswith("before\n**Not right**: commit 0123456, 2026-11-29, a laptop, 10 minutes.\n\n| what |")
    assert "| kills | 1,200 |\n\n- failed: `tests.test_a`\n- skipped: needs &lt;root>\n" in page
    assert page.endswith("*Not run yet.*\nafter")


def test_processors_have_a_row_each(hook: ModuleType) -> None:
    answer = {
        "processor": "cortex-a72",
        "engines": {"image": "onnxruntime", "text": "llama.cpp"},
        "sample": 0,
        "label": "round",
        "worst_difference": 0.00123,
    }
    used = {"file": "image.onnx", "engine": "numpy", "used": True, "cosine": 0.99, "shift": 0.01, "flipped": 0}
    unused = {"file": "text.gguf", "engine": "llama.cpp", "used": False, "reason": "it | died"}
    verified = {"cortex-a72": {"replayed": [used, unused]}}
    figures = {
        "installer_bytes": 30 << 20,
        "installed_as": "cortex-a72",
        "install_seconds": 61.2,
        "answers": [answer],
        "verified": verified,
    }
    hook.FILE.write_text(json.dumps({"parts": {"arm": part(figures)}}))

    page = hook.on_page_markdown("<!-- proof: arm -->")

    assert "The file of 30 MiB was installed in 61 s (cortex-a72)." in page
    assert "| cortex-a72 | onnxruntime, llama.cpp | 0 | round | 0.001 |" in page
    assert "| cortex-a72 | image.onnx | numpy | 0.99000 | 0.01 | 0 |" in page
    assert "| cortex-a72 | text.gguf | llama.cpp | not used: it &#124; died |  |  |" in page
