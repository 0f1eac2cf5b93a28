"""The script that measures what reading meters costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from click.testing import CliRunner


def test_every_meter_of_a_recorded_machine_has_a_row(
    load_script: Callable[[str], ModuleType], recorded: Callable[[str], Path]
) -> None:
    script = load_script("bench/meters_cost.py")
    outcome = CliRunner().invoke(script.main, ["--root", str(recorded("pi4")), "--readings", "2"])
    assert outcome.exit_code == 0, outcome.output
    rows = outcome.stdout.splitlines()[1:]
    measured = {row[:16].strip(): row for row in rows if "not measurable" not in row}
    assert set(measured) == {"temperature", "clock", "throttling"}
    assert all(float(row[16:30]) > 0 and float(row[30:44]) >= 0 for row in measured.values())
    assert measured["clock"].endswith("vcgencmd measure_clock arm")
    assert any(row.startswith("energy          not measurable: vcgencmd pmic_read_adc") for row in rows)
