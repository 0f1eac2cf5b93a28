"""The page "Measured on" says what its files hold, and nothing of a device that none of them is of."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import jsonschema
import pytest

from edgefuse_bench.report import tables
from edgefuse_bench.result import read_results


@pytest.fixture(scope="module")
def hook(load_script):
    return load_script("docs/tools/measured_on.py")


def test_every_figure_of_the_files_is_on_the_page_and_no_other(hook, site: Path) -> None:
    page = (site / "reference" / "measured-on.html").read_text(encoding="utf-8")
    cells = [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page)]
    found = hook.measured()
    expected = [] if found is None else tables.everything(found)
    for row in expected:
        assert tables.milliseconds(*(row.get(f"median{end}_ns") for end in ("", "_low", "_high"))) in cells
        assert tables.rate(*(row.get(f"per_second{end}") for end in ("", "_low", "_high"))) in cells
        assert tables.mebibytes(row["peak_rss_bytes"]) in cells
    assert page.count("<tr>") - page.count("<thead>") >= len(expected)


def test_awaited_boards_have_empty_rows_until_one_of_them_was_measured(hook, root: Path, tmp_path: Path) -> None:
    assert _awaited(hook, None) == list(hook.AWAITED)
    result = json.loads((root / "tests" / "edgefuse_bench" / "fixtures" / "bench-schema-1.json").read_bytes())
    result["machine"]["board"] = "Raspberry Pi 4 Model B Rev 1.5"
    (tmp_path / "pi.json").write_text(json.dumps(result))
    assert "Raspberry Pi 4" not in _awaited(hook, hook.measured(tmp_path))
    lines = "\n".join(hook._lines(hook.measured(tmp_path)))
    assert "## Raspberry Pi 4 Model B Rev 1.5" in lines


def _awaited(hook, found) -> list[str]:
    lines = list(hook._lines(found))
    rows = lines[lines.index("## Not measured yet") + 4 :]
    assert all(row.endswith("| – | – |") for row in rows)
    return [row.split("|")[1].strip() for row in rows]


def test_every_file_is_as_published(root: Path) -> None:
    published = json.loads((root / "docs" / "reference" / "bench-result.schema.json").read_bytes())
    validator = jsonschema.Draft202012Validator(published)
    for file in (root / "docs" / "measured").glob("*.json"):
        validator.validate(json.loads(file.read_bytes()))


def test_no_file_is_of_an_emulator_or_of_a_raspberry_pi_that_none_was(root: Path) -> None:
    for file in (root / "docs" / "measured").glob("*.json"):
        assert file.stat().st_size < 1 << 20
        for result in read_results(file):
            assert not result.emulated
            assert result.machine["cpu"]
            if "raspberry" in file.name:
                assert "Raspberry Pi" in result.machine["board"]
